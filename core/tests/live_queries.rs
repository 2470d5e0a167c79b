//! Live queries and watches: what the differences make is what `find` answers, and what they cost.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod live_support;

use common::Seeded;
use firkin_core::database::{Database, GetOptions, Moved, Watch};
use firkin_core::path::Path;
use firkin_core::query::QueryError;
use firkin_core::storage::memory::MemoryKv;
use futures_util::FutureExt;
use live_support::{Reader, any_query, any_write, find, many, open, parse, put, write};
use pollster::block_on;
use serde_json::{Value, json};

fn fresh() -> Database<MemoryKv> {
    open(MemoryKv::new())
}

/// `count` documents `{ _id: 'd0000', n: 0, even: true }`, ….
fn numbered(count: usize) -> Database<MemoryKv> {
    let database = fresh();
    let document = |n: usize| json!({ "_id": format!("d{n:04}"), "n": n, "even": n.is_multiple_of(2) }).to_string();
    block_on(write(&database, &((0..count).map(document).collect(), true)));
    database
}

fn get(database: &Database<MemoryKv>, id: &str) -> Value {
    serde_json::from_slice(&block_on(database.get(id, &GetOptions::default())).unwrap()).unwrap()
}

fn update(database: &Database<MemoryKv>, id: &str, change: impl FnOnce(&mut Value)) {
    let mut document = get(database, id);
    change(&mut document);
    put(database, &document);
}

#[test]
fn differences_make_what_find_answers() {
    let (mut told, mut silent) = (0, 0);
    for seed in 0..100 {
        let random = Seeded::new(seed);
        let database = fresh();
        // Few documents, which meet each other often, or so many that windows know only a part.
        let ids = if seed % 2 == 0 { 25 } else { 150 };
        block_on(write(&database, &many(&random, random.below(ids))));
        let queries: Vec<Value> = (0..6).map(|_| any_query(&random)).collect();
        let mut readers: Vec<Reader> = queries.iter().map(|query| Reader::new(&database, &parse(query))).collect();
        for step in 0..40 {
            block_on(write(&database, &any_write(&random, &database, ids)));
            for (reader, query) in readers.iter_mut().zip(&queries) {
                // Some read after each commit, some after several.
                if random.below(3) > 0 {
                    match reader.read(&database) {
                        Some(_) => told += 1,
                        None => silent += 1,
                    }
                    let query = parse(query);
                    assert_eq!(reader.list, find(&database, &query), "seed {seed}, step {step}: {query:?}");
                    let rows_max = query.limit.map_or(ids as u64 + 1, |limit| limit + query.skip + 32);
                    assert!(reader.live.stats().rows <= rows_max, "{:?}", reader.live.stats());
                    if query.limit.is_none() && query.skip == 0 {
                        assert_eq!(reader.live.stats().rows, reader.list.len() as u64);
                    }
                }
            }
        }
    }
    assert!(told > 4_000 && silent > 4_000, "{told} told, {silent} silent");
}

#[test]
fn the_first_difference_adds_the_whole_answer_even_if_that_is_empty() {
    let database = numbered(3);
    let mut reader = Reader::new(&database, &parse(&json!({ "selector": { "even": true } })));
    let first = reader.read(&database).unwrap();
    assert_eq!(first.added.iter().map(|added| added.id.as_str()).collect::<Vec<_>>(), ["d0000", "d0002"]);
    assert_eq!(reader.read(&database), None);
    let mut nothing = Reader::new(&database, &parse(&json!({ "selector": { "n": 77 } })));
    assert!(nothing.read(&database).unwrap().is_empty());
    assert_eq!(nothing.read(&database), None);
}

#[test]
fn one_document_that_passes_others_is_one_move_and_a_new_text_is_a_change_in_place() {
    let database = numbered(10);
    let mut reader = Reader::new(&database, &parse(&json!({ "selector": {}, "sort": ["n"] })));
    reader.read(&database);
    update(&database, "d0007", |document| document["n"] = json!(1.5));
    let difference = reader.read(&database).unwrap();
    assert_eq!(difference.moved, [Moved { from: 7, to: 2 }]);
    assert_eq!(difference.changed.iter().map(|changed| changed.index).collect::<Vec<_>>(), [2]);
    assert!(difference.added.is_empty() && difference.removed.is_empty());
    // Where the value differs and the order does not, nothing moves.
    update(&database, "d0007", |document| document["n"] = json!(1.75));
    let difference = reader.read(&database).unwrap();
    assert!(difference.moved.is_empty() && difference.changed.len() == 1, "{difference:?}");
    // Of three that passed each other two are told.
    for (id, n) in [("d0000", 1.3), ("d0001", 1.2), ("d0007", 1.1)] {
        update(&database, id, |document| document["n"] = json!(n));
    }
    assert_eq!(reader.read(&database).unwrap().moved.len(), 2);
    assert_eq!(reader.list, find(&database, &parse(&json!({ "selector": {}, "sort": ["n"] }))));
}

#[test]
fn fields_that_are_shown_decide_what_is_a_change() {
    let database = numbered(4);
    let query = parse(&json!({ "selector": { "even": true }, "fields": ["n"] }));
    let mut reader = Reader::new(&database, &query);
    reader.read(&database);
    update(&database, "d0002", |document| document["other"] = json!(1));
    assert_eq!(reader.read(&database), None);
    // There and back again between two readings is no change either.
    update(&database, "d0002", |document| document["n"] = json!(7));
    update(&database, "d0002", |document| document["n"] = json!(2));
    assert_eq!(reader.read(&database), None);
    update(&database, "d0002", |document| document["n"] = json!(8));
    assert_eq!(reader.read(&database).unwrap().changed.len(), 1);
    assert_eq!(reader.list, find(&database, &query));
}

#[test]
fn writes_that_touch_no_watched_path_cost_a_look_up_and_nothing_else() {
    let database = numbered(100);
    let queries = [
        json!({ "selector": { "n": { "$gte": 50 } }, "sort": [{ "n": "desc" }], "limit": 5 }),
        json!({ "selector": { "n": { "$gte": 50 } }, "fields": ["n"] }),
        json!({ "selector": { "$or": [{ "n": { "$lt": 0 } }, { "even": { "$elemMatch": { "$eq": 1 } } }] } }),
    ];
    let mut readers: Vec<Reader> = queries.iter().map(|query| Reader::new(&database, &parse(query))).collect();
    readers.iter_mut().for_each(|reader| assert!(reader.read(&database).is_some()));
    let before: Vec<_> = readers.iter().map(|reader| reader.live.stats()).collect();
    for write in 0..500 {
        // Documents outside of all answers that are whole, and new ones without any of the paths.
        update(&database, &format!("d{:04}", write % 50), |document| document["other"] = json!(write));
        put(&database, &json!({ "_id": format!("new{write}"), "x": write }));
    }
    for (reader, before) in readers.iter_mut().zip(before) {
        assert_eq!(reader.read(&database), None);
        let after = reader.live.stats();
        assert_eq!(after.lookups, before.lookups + 1000);
        assert_eq!((after.evaluations, after.documents_read, after.queries), (0, before.documents_read, 1));
    }
}

#[test]
fn a_window_reads_again_only_when_the_rows_behind_it_are_used_up() {
    let database = numbered(1000);
    let query = parse(&json!({ "selector": {}, "sort": ["n"], "limit": 10, "skip": 2 }));
    let mut reader = Reader::new(&database, &query);
    reader.read(&database);
    let first = reader.live.stats();
    for removed in 0..16 {
        update(&database, &format!("d{removed:04}"), |document| document["_deleted"] = json!(true));
        reader.read(&database).unwrap();
        assert_eq!(reader.list, find(&database, &query));
    }
    let kept = reader.live.stats();
    // Each lets one document in, which is read; no query is asked.
    assert_eq!((kept.queries, kept.documents_read), (1, first.documents_read + 16));
    update(&database, "d0016", |document| document["_deleted"] = json!(true));
    reader.read(&database).unwrap();
    assert_eq!(reader.live.stats().queries, 2);
    assert!(reader.live.stats().documents_read < kept.documents_read + 100, "{:?}", reader.live.stats());
    assert_eq!(reader.list, find(&database, &query));
}

#[test]
fn a_document_that_goes_behind_the_rows_that_are_kept_and_stays_in_the_window_is_the_same_one() {
    let database = numbered(100);
    let query = parse(&json!({ "selector": {}, "sort": ["n"], "limit": 2 }));
    let mut reader = Reader::new(&database, &query);
    reader.read(&database);
    let rows = reader.live.stats().rows;
    for gone in 1..rows {
        update(&database, &format!("d{gone:04}"), |document| document["_deleted"] = json!(true));
    }
    update(&database, "d0000", |document| document["n"] = json!(rows as f64 + 0.5));
    let difference = reader.read(&database).unwrap();
    assert_eq!((difference.removed.as_slice(), difference.added.len()), ([1].as_slice(), 1));
    assert_eq!(difference.changed.iter().map(|changed| changed.index).collect::<Vec<_>>(), [1]);
    assert_eq!(reader.list, find(&database, &query));
}

#[test]
fn a_window_holds_no_more_rows_than_it_may_need() {
    let database = numbered(1000);
    let query = parse(&json!({ "selector": {}, "sort": [{ "n": "desc" }], "limit": 10 }));
    let mut reader = Reader::new(&database, &query);
    reader.read(&database);
    let first = reader.live.stats().rows;
    for n in 1000..1200 {
        put(&database, &json!({ "_id": format!("d{n:04}"), "n": n }));
        reader.read(&database).unwrap();
        assert_eq!(reader.list, find(&database, &query));
    }
    let last = reader.live.stats();
    assert!(first <= 30 && last.rows < 50 && last.queries == 1, "{first} rows at first, then {last:?}");
}

#[test]
fn a_document_that_passes_only_what_comes_or_goes_has_not_moved() {
    let database = numbered(0);
    for (id, n) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)] {
        put(&database, &json!({ "_id": id, "n": n }));
    }
    let query = parse(&json!({ "selector": {}, "sort": ["n"], "skip": 1, "limit": 3 }));
    let mut reader = Reader::new(&database, &query);
    reader.read(&database);
    put(&database, &json!({ "_id": "x", "n": 0 }));
    update(&database, "b", |document| document["n"] = json!(0.5));
    // From b, c, d to b, a, c: b passed a, which was not shown.
    let difference = reader.read(&database).unwrap();
    assert_eq!((difference.moved.as_slice(), difference.removed.as_slice()), ([].as_slice(), [2].as_slice()));
    assert_eq!(difference.added.iter().map(|added| added.index).collect::<Vec<_>>(), [1]);
    assert_eq!(reader.list, find(&database, &query));
}

#[test]
fn too_much_for_memory_is_read_anew_and_told_as_an_exact_difference() {
    let database = numbered(50);
    let query = parse(&json!({ "selector": { "n": { "$gte": 10 } } }));
    let mut reader = Reader::new(&database, &query);
    reader.read(&database);
    let later = |first: usize, count: usize| {
        let document = |n: usize| json!({ "_id": format!("m{n:05}"), "n": n }).to_string();
        (Vec::from_iter((first..first + count).map(document)), true)
    };
    // One commit that is too large.
    block_on(write(&database, &later(0, 10_050)));
    update(&database, "d0020", |document| document["n"] = json!(0));
    let difference = reader.read(&database).unwrap();
    assert_eq!((difference.removed.as_slice(), difference.added.len()), ([10].as_slice(), 10_040));
    assert_eq!((reader.live.stats().queries, reader.live.stats().lookups), (2, 0));
    assert_eq!(reader.list, find(&database, &query));
    // Several that are too much together.
    block_on(write(&database, &later(20_000, 6_000)));
    block_on(write(&database, &later(30_000, 6_000)));
    assert_eq!(reader.read(&database).unwrap().added.len(), 12_000);
    assert_eq!(reader.live.stats().queries, 3);
    assert_eq!(reader.list, find(&database, &query));
    // And it goes on by differences.
    put(&database, &json!({ "_id": "e", "n": 11 }));
    assert_eq!(reader.read(&database).unwrap().added.len(), 1);
    assert_eq!(reader.live.stats().queries, 3);
}

#[test]
fn a_bookmark_is_refused() {
    let database = numbered(1);
    let request = json!({ "selector": {}, "bookmark": "[\"d0000\"]" });
    let error = database.live(parse(&request)).err().unwrap();
    assert_eq!(error.report().status, 400);
    assert!(matches!(error, QueryError::BadMember { member: "bookmark", .. }), "{error}");
}

/// The value that a watch tells now, if it is another.
fn told(watch: &mut Watch, database: &Database<MemoryKv>) -> Option<Option<Value>> {
    let value = watch.next(database).now_or_never()?.unwrap();
    let text = |value| {
        let mut text = Vec::new();
        firkin_core::json::write(value, &mut text);
        serde_json::from_slice(&text).unwrap()
    };
    Some(value.as_ref().map(text))
}

#[test]
fn a_watch_tells_the_value_at_a_path_whenever_it_is_another() {
    let database = fresh();
    let mut watch = database.watch("doc", Some(Path::parse("a.b"))).unwrap();
    assert_eq!(told(&mut watch, &database), Some(None));
    assert_eq!(told(&mut watch, &database), None);
    put(&database, &json!({ "_id": "doc", "a": { "b": { "x": 1, "y": 2 } } }));
    assert_eq!(told(&mut watch, &database), Some(Some(json!({ "x": 1, "y": 2 }))));
    update(&database, "doc", |document| document["other"] = json!(1));
    put(&database, &json!({ "_id": "another", "a": { "b": 5 } }));
    assert_eq!(told(&mut watch, &database), None);
    // The same members in another order are the same value.
    let rev = &get(&database, "doc")["_rev"];
    let reordered = format!(r#"{{"_id":"doc","_rev":{rev},"a":{{"b":{{"y":2,"x":1}}}}}}"#);
    block_on(write(&database, &(vec![reordered], true)));
    assert_eq!(told(&mut watch, &database), None);
    update(&database, "doc", |document| document["a"]["b"] = json!(7));
    update(&database, "doc", |document| document["a"]["b"] = json!(8));
    assert_eq!(told(&mut watch, &database), Some(Some(json!(8))));
    update(&database, "doc", |document| document["a"] = json!("no object"));
    assert_eq!(told(&mut watch, &database), Some(None));
    update(&database, "doc", |document| document["_deleted"] = json!(true));
    assert_eq!(told(&mut watch, &database), None);
}

#[test]
fn a_watch_without_a_path_tells_the_document_as_get_reads_it() {
    let database = fresh();
    let least = format!("1-{:032}", 0);
    for id in ["doc", "_design/doc"] {
        let mut watch = database.watch(id, None).unwrap();
        assert_eq!(told(&mut watch, &database), Some(None));
        let rev = put(&database, &json!({ "_id": id, "n": 1 }));
        assert_eq!(told(&mut watch, &database), Some(Some(json!({ "_id": id, "_rev": rev, "n": 1 }))));
        // A branch that wins is another document; one that loses is not.
        let branch = |rev: &str, n: usize| (vec![json!({ "_id": id, "_rev": rev, "n": n }).to_string()], false);
        block_on(write(&database, &branch(&least, 2)));
        assert_eq!(told(&mut watch, &database), None);
        block_on(write(&database, &branch("9-f", 3)));
        assert_eq!(told(&mut watch, &database), Some(Some(json!({ "_id": id, "_rev": "9-f", "n": 3 }))));
        // The branch that lost wins once the other is deleted.
        put(&database, &json!({ "_id": id, "_rev": "9-f", "_deleted": true }));
        assert_eq!(told(&mut watch, &database).unwrap().unwrap()["n"], 1);
        put(&database, &json!({ "_id": id, "_rev": rev, "_deleted": true }));
        put(&database, &json!({ "_id": id, "_rev": least, "_deleted": true }));
        assert_eq!(told(&mut watch, &database), Some(None));
    }
}

#[test]
fn a_watch_survives_a_commit_that_is_too_large_to_be_told() {
    let database = fresh();
    let mut watch = database.watch("m00007", Some(Path::parse("n"))).unwrap();
    assert_eq!(told(&mut watch, &database), Some(None));
    let documents = (0..10_050).map(|n| json!({ "_id": format!("m{n:05}"), "n": n }).to_string()).collect();
    block_on(write(&database, &(documents, true)));
    assert_eq!(told(&mut watch, &database), Some(Some(json!(7))));
    assert_eq!(told(&mut watch, &database), None);
}

#[test]
fn a_watch_is_refused_for_what_can_be_no_document() {
    let database = fresh();
    for id in ["", "_odd", "_local/x"] {
        assert_eq!(database.watch(id, None).err().unwrap().report().status, 400, "{id:?}");
    }
}
