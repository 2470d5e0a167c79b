//! What the suites of live queries share: random documents, queries and writes, and a reader that applies differences.
#![allow(dead_code, reason = "each suite uses a part of it")]

use firkin_core::database::{Database, Difference, GetOptions, Live, Options, WriteOptions};
use firkin_core::query::FindQuery;
use firkin_core::storage::Kv;
use firkin_core::storage::memory::MemoryKv;
use futures_util::FutureExt;
use pollster::block_on;
use serde_json::{Value, json};

use crate::common::Seeded;

/// Values that meet each other often, of all types.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(2.5),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("x".repeat(70)),
        json!("x".repeat(71)),
        json!([]),
        json!([1, "a"]),
        json!([{ "x": 1 }, 2.5]),
        json!({}),
        json!({ "x": 1 }),
        json!({ "x": { "y": "a" }, "z": 0 }),
    ]
}

const PATHS: [&str; 9] = ["a", "b", "c", "_id", "a.x", "b.0", "b.0.x", "c.x.y", "nowhere"];

pub fn pick<'list, Item>(random: &Seeded, list: &'list [Item]) -> &'list Item {
    &list[random.below(list.len())]
}

/// A document without `_id` and `_rev`.
pub fn any_members(random: &Seeded) -> Value {
    let mut members = json!({});
    for name in ["a", "b", "c", "d"] {
        if random.below(4) > 0 {
            members[name] = pick(random, &values()).clone();
        }
    }
    members
}

fn any_condition(random: &Seeded) -> Value {
    let value = pick(random, &values()).clone();
    let other = pick(random, &values()).clone();
    match random.below(24) {
        20.. => json!({ "$gte": null }),
        0 => json!({ "$ne": value }),
        1 => json!({ "$lt": value }),
        2 => json!({ "$lte": value }),
        3 | 4 => json!({ "$gt": value }),
        5 | 6 => json!({ "$gte": value }),
        7 => json!({ "$in": [value, other] }),
        8 => json!({ "$nin": [value, other] }),
        9 | 10 => json!({ "$exists": random.below(2) == 0 }),
        11 => json!({ "$type": pick(random, &["null", "boolean", "number", "string", "array", "object"]) }),
        12 => json!({ "$size": random.below(3) }),
        13 => json!({ "$mod": [2, random.below(2)] }),
        14 => json!({ "$beginsWith": "a" }),
        15 => json!({ "$regex": "^a?$" }),
        16 => json!({ "$all": [value] }),
        17 => json!({ "$elemMatch": { "$gte": value } }),
        18 => json!({ "$allMatch": { "$exists": true } }),
        _ => json!({ "$keyMapMatch": { "$eq": "x" } }),
    }
}

pub fn any_selector(random: &Seeded, depth: usize) -> Value {
    if depth > 0 && random.below(3) == 0 {
        let parts: Vec<Value> = (0..1 + random.below(2)).map(|_| any_selector(random, depth - 1)).collect();
        return match random.below(4) {
            0 => json!({ "$not": parts[0] }),
            1 => json!({ "$nor": parts }),
            2 => json!({ "$or": parts }),
            _ => json!({ "$and": parts }),
        };
    }
    match random.below(9) {
        0..3 => json!({}),
        3 => json!({ *pick(random, &PATHS): pick(random, &values()) }),
        _ => json!({ *pick(random, &PATHS): any_condition(random) }),
    }
}

/// A query as it crosses from outside.
pub fn any_query(random: &Seeded) -> Value {
    let mut query = json!({ "selector": any_selector(random, 2) });
    if random.below(3) > 0 {
        let field = |random: &Seeded| {
            let path = match random.below(12) {
                0 => "_rev",
                1 | 2 => pick(random, &PATHS[4..8]),
                _ => pick(random, &PATHS[..4]),
            };
            json!({ path: pick(random, &["asc", "desc"]) })
        };
        query["sort"] = (0..1 + random.below(2)).map(|_| field(random)).collect();
    }
    if random.below(3) > 0 {
        query["limit"] = json!(random.below(12));
    }
    if random.below(3) == 0 {
        query["skip"] = json!(random.below(5));
    }
    if random.below(3) == 0 {
        query["fields"] = json!([pick(random, &PATHS), pick(random, &["_rev", "d", "_id"])]);
    }
    query
}

pub fn parse(query: &Value) -> FindQuery {
    FindQuery::parse(query.to_string().as_bytes()).unwrap()
}

/// A database over `kv`, in memory.
pub fn open<K: Kv>(kv: K) -> Database<K> {
    block_on(Database::open(kv, &Seeded::new(1), Options::default())).unwrap()
}

/// A bulk of documents, and whether they are new edits.
pub type Write = (Vec<String>, bool);

/// Whole and new documents, `count` of them.
pub fn many(random: &Seeded, count: usize) -> Write {
    let document = |n: usize| {
        let mut document = any_members(random);
        document["_id"] = json!(format!("d{n:03}"));
        document.to_string()
    };
    ((0..count).map(document).collect(), true)
}

/// One random write to documents among the first `ids`.
pub fn any_write(random: &Seeded, database: &Database<MemoryKv>, ids: usize) -> Write {
    match random.below(12) {
        0 => removal(random, database, ids),
        1..4 => ((0..1 + random.below(6)).map(|_| replicated(random, database, ids)).collect(), false),
        4..6 => ((0..1 + random.below(40)).map(|_| edit(random, database, ids)).collect(), true),
        _ => (vec![edit(random, database, ids)], true),
    }
}

/// Removes a run of documents, so that windows lose more rows than are kept behind them.
fn removal(random: &Seeded, database: &Database<MemoryKv>, ids: usize) -> Write {
    let first = random.below(ids);
    let remove = |n| {
        let id = format!("d{n:03}");
        let rev = revs(database, &id).into_iter().next()?;
        Some(json!({ "_id": id, "_rev": rev, "_deleted": true }).to_string())
    };
    ((first..first + 40).filter_map(remove).collect(), true)
}

fn any_id(random: &Seeded, ids: usize) -> String {
    if random.below(20) == 0 { "_design/d".into() } else { format!("d{:03}", random.below(ids)) }
}

/// The leaves of a document that are not deleted, winner first; none if the winner is.
fn revs(database: &Database<MemoryKv>, id: &str) -> Vec<String> {
    let get = GetOptions { conflicts: true, ..GetOptions::default() };
    let Ok(text) = block_on(database.get(id, &get)) else { return Vec::new() };
    let document: Value = serde_json::from_slice(&text).unwrap();
    let revs = std::iter::once(&document["_rev"]).chain(document["_conflicts"].as_array().into_iter().flatten());
    revs.map(|rev| rev.as_str().unwrap().to_owned()).collect()
}

fn edit(random: &Seeded, database: &Database<MemoryKv>, ids: usize) -> String {
    let id = any_id(random, ids);
    let mut document = any_members(random);
    if let Some(rev) = revs(database, &id).first() {
        document["_rev"] = json!(rev);
    }
    document["_id"] = json!(id);
    if random.below(5) == 0 {
        document["_deleted"] = json!(true);
    }
    document.to_string()
}

/// A branch of its own, or a child of a leaf that is here.
fn replicated(random: &Seeded, database: &Database<MemoryKv>, ids: usize) -> String {
    let id = any_id(random, ids);
    let hash = format!("{:032x}", random.below(usize::MAX));
    let (mut start, mut path) = (1 + random.below(4), vec![hash.clone()]);
    let revs = revs(database, &id);
    if !revs.is_empty() && random.below(2) == 0 {
        let (generation, parent) = pick(random, &revs).split_once('-').unwrap();
        start = generation.parse::<usize>().unwrap() + 1;
        path.push(parent.into());
    }
    let mut document = any_members(random);
    document["_id"] = json!(id);
    document["_rev"] = json!(format!("{start}-{hash}"));
    document["_revisions"] = json!({ "start": start, "ids": path });
    if random.below(4) == 0 {
        document["_deleted"] = json!(true);
    }
    document.to_string()
}

pub async fn write<K: Kv>(database: &Database<K>, (documents, new_edits): &Write) {
    let texts: Vec<&[u8]> = documents.iter().map(String::as_bytes).collect();
    database.bulk_docs(&texts, *new_edits, &WriteOptions::default()).await.unwrap();
}

pub fn put<K: Kv>(database: &Database<K>, document: &Value) -> String {
    block_on(database.put(document.to_string().as_bytes(), &WriteOptions::default())).unwrap().rev
}

/// What `find` answers.
pub fn find<K: Kv>(database: &Database<K>, query: &FindQuery) -> Vec<String> {
    let page = block_on(database.find(query)).unwrap();
    page.docs.into_iter().map(|text| String::from_utf8(text).unwrap()).collect()
}

/// Follows a live query as a page does: it holds the list that the differences make.
pub struct Reader {
    pub live: Live,
    pub list: Vec<String>,
}

impl Reader {
    pub fn new<K: Kv>(database: &Database<K>, query: &FindQuery) -> Self {
        Self { live: database.live(query.clone()).unwrap(), list: Vec::new() }
    }

    /// Takes the difference, if there is one now.
    pub fn read<K: Kv>(&mut self, database: &Database<K>) -> Option<Difference> {
        let difference = self.live.next(database).now_or_never()?.unwrap();
        self.apply(&difference);
        Some(difference)
    }

    /// Waits for the difference.
    pub fn wait<K: Kv>(&mut self, database: &Database<K>) {
        let difference = block_on(self.live.next(database)).unwrap();
        self.apply(&difference);
    }

    /// Applies a difference, word for word as its documentation says.
    pub fn apply(&mut self, difference: &Difference) {
        let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
        let count = self.list.len() - difference.removed.len() + difference.added.len();
        let mut list: Vec<Option<String>> = vec![None; count];
        for added in &difference.added {
            assert!(list[added.index].replace(text(&added.text)).is_none(), "two at {}", added.index);
        }
        for moved in &difference.moved {
            assert!(list[moved.to].replace(self.list[moved.from].clone()).is_none(), "two at {}", moved.to);
        }
        let is_placed = |index: &usize| {
            difference.removed.contains(index) || difference.moved.iter().any(|moved| moved.from == *index)
        };
        let mut others = (0..self.list.len()).filter(|index| !is_placed(index)).map(|index| self.list[index].clone());
        for place in list.iter_mut().filter(|place| place.is_none()) {
            *place = others.next();
        }
        assert_eq!(others.next(), None, "more documents are left than places");
        self.list = list.into_iter().map(Option::unwrap).collect();
        for changed in &difference.changed {
            let shown = &mut self.list[changed.index];
            assert_ne!(*shown, text(&changed.text), "what is changed differs");
            *shown = text(&changed.text);
        }
    }
}
