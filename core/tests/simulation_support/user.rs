//! What the user of a replica does: edits, deletions, merges, attachments, of documents of one small world.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use firkin_core::database::{Choice, GetOptions, OpenRev, OpenRevs, WriteOptions, Written};
use firkin_core::json::{self as engine_json, Object};
use firkin_core::merge::Policies;
use firkin_core::storage::Durability;
use serde_json::{Value, json};

use super::Engine;
use crate::replication_support::Seeded;

/// What `n` is of documents: below this.
pub const VALUES: u64 = 4;
/// How many documents there are of each kind.
const DOCUMENTS: u64 = 5;

/// The kinds of documents. The id tells it, so that no document leaves a selector.
pub const KINDS: [&str; 2] = ["a", "b"];

/// The id of some document among those that `takes_part` says.
pub fn any_id(random: &Seeded, takes_part: &dyn Fn(&str) -> bool) -> String {
    loop {
        let kind = KINDS[usize::try_from(random.below(2)).unwrap()];
        let id = format!("{kind}{}", random.below(DOCUMENTS));
        if takes_part(&id) {
            return id;
        }
    }
}

/// The leaves of a document, the winner first.
pub async fn leaves(database: &Engine, id: &str) -> Vec<Value> {
    let Ok(opened) = database.open_revs(id, OpenRevs::All, &GetOptions::default()).await else { return Vec::new() };
    let read = opened.iter().filter_map(|leaf| match leaf {
        OpenRev::Ok(text) => Some(serde_json::from_slice(text).unwrap()),
        OpenRev::Missing(_) => None,
    });
    let mut leaves: Vec<Value> = read.collect();
    let rank = |leaf: &Value| {
        let (generation, hash) = leaf["_rev"].as_str().unwrap().split_once('-').unwrap();
        (leaf["_deleted"] != true, generation.parse::<u64>().unwrap(), hash.to_owned())
    };
    leaves.sort_by_key(rank);
    leaves.reverse();
    leaves
}

fn attachment(random: &Seeded) -> Value {
    let bytes: Vec<u8> = (0..random.below(1_500)).map(|place| (place * 7 + random.below(2)) as u8).collect();
    json!({ "content_type": "a/b", "data": STANDARD.encode(bytes) })
}

/// The next revision of a document: what it has for attachments stays, mostly.
fn edited(id: &str, leaf: Option<&Value>, random: &Seeded) -> Value {
    let n = random.below(VALUES);
    let mut document = json!({ "_id": id, "kind": &id[..1], "n": n, "m": [n], "by": random.below(1_000_000) });
    if let Some(leaf) = leaf {
        document["_rev"] = leaf["_rev"].clone();
        if random.below(4) > 0 {
            document["_attachments"] = leaf["_attachments"].clone();
        }
    }
    if document["_attachments"].is_null() {
        document["_attachments"] = json!({});
    }
    if random.below(3) == 0 {
        document["_attachments"][format!("f{}", random.below(3))] = attachment(random);
    }
    document
}

/// All that a merge writes: one revision on the winner, which depends on nothing but the leaves, and tombstones on the others.
fn merged(id: &str, alive: &[Value]) -> Vec<Value> {
    let n = alive.iter().map(|leaf| leaf["n"].as_u64().unwrap()).max().unwrap();
    let by = alive.iter().map(|leaf| leaf["by"].as_u64().unwrap()).max().unwrap();
    let mut attachments = json!({});
    for leaf in alive.iter().rev() {
        for (name, stub) in leaf["_attachments"].as_object().into_iter().flatten() {
            attachments[name] = stub.clone();
        }
    }
    let merge = json!({
        "_id": id, "_rev": alive[0]["_rev"], "kind": &id[..1], "n": n, "m": [n], "by": by, "_attachments": attachments,
    });
    let tombstones = alive[1..].iter().map(|leaf| json!({ "_id": id, "_rev": leaf["_rev"], "_deleted": true }));
    std::iter::once(merge).chain(tombstones).collect()
}

/// The policies of the app: in version 0, or 1.
pub fn policies(version: u64) -> Policies {
    let rules = [r#"{"*":"max","m":"union"}"#, r#"{"*":"min","m":"union"}"#];
    let rules = engine_json::parse(rules[usize::try_from(version).unwrap()].as_bytes()).unwrap();
    Policies::parse(&rules).unwrap().with_version(u32::try_from(version).unwrap())
}

/// Has policies close a review, of one version or the other, or does as they propose; or takes a merge back.
async fn review(database: &Engine, id: &str, random: &Seeded, write: &WriteOptions) -> Option<Written> {
    let policies = policies(random.below(2));
    let told = Object::new();
    if random.below(3) > 0 {
        return database.settle_review(id, &policies, write).await.ok()?;
    }
    let open: Vec<String> =
        database.review(id, &policies).await.ok()?.branches.into_iter().map(|branch| branch.rev).collect();
    let merged = database.merge_review(id, &open, &Choice::Proposal, &told, &policies, write).await.ok()?;
    if random.below(2) == 0 {
        return Some(merged);
    }
    database.revert_merge(id, &merged.rev, &told, write).await.ok()
}

/// What was written, and whether it survives a loss of power; nothing if the storage failed.
pub type Acknowledged = (Vec<Written>, bool);

/// One step of the user of a replica.
pub async fn act(database: &Engine, id: &str, random: &Seeded) -> Acknowledged {
    let is_strict = random.below(3) == 0;
    let durability = Some(if is_strict { Durability::Strict } else { Durability::Relaxed });
    let write = WriteOptions { durability, ..WriteOptions::default() };
    let leaves = leaves(database, id).await;
    let alive: Vec<Value> = leaves.iter().filter(|leaf| leaf["_deleted"] != true).cloned().collect();
    if alive.len() > 1 && random.below(3) == 0 {
        return (review(database, id, random, &write).await.into_iter().collect(), is_strict);
    }
    let texts: Vec<Value> = match random.below(10) {
        0..2 if !alive.is_empty() => {
            let leaf = &alive[usize::try_from(random.below(alive.len() as u64)).unwrap()];
            vec![json!({ "_id": id, "_rev": leaf["_rev"], "_deleted": true })]
        }
        2..6 if alive.len() > 1 => merged(id, &alive),
        6 if alive.len() > 1 => {
            let leaf = &alive[usize::try_from(random.below(alive.len() as u64)).unwrap()];
            vec![edited(id, Some(leaf), random)]
        }
        _ => vec![edited(id, alive.first(), random)],
    };
    let texts: Vec<String> = texts.iter().map(Value::to_string).collect();
    if let [text] = texts.as_slice() {
        // A conflict with what a replication brought meanwhile is no failure of the storage.
        let written = database.put(text.as_bytes(), &write).await;
        return (written.into_iter().collect(), is_strict);
    }
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let write = WriteOptions { atomic: true, ..write };
    let rows = database.bulk_docs(&texts, true, &write).await.unwrap_or_default();
    (rows.into_iter().filter_map(Result::ok).collect(), is_strict)
}
