//! What queries read: postings and documents, counted on 100,000 documents.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, value};
use firkin_core::database::{Database, FindStats, Options, Way, WriteOptions};
use firkin_core::query::{FindQuery, Selector};
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;
use serde_json::{Value, json};

const DOCUMENTS: usize = 100_000;

/// `owner`: 1,000 values of 100 documents each. `kind`: two values. `rank`: all different, in no order of the ids.
fn document(place: usize) -> Value {
    json!({
        "_id": format!("d{place:06}"),
        "owner": format!("owner {:03}", place % 1000),
        "kind": if place.is_multiple_of(2) { "even" } else { "odd" },
        "rank": (place * 7919) % DOCUMENTS,
        "tags": [format!("tag {}", place % 500), format!("tag {}", 500 + place % 300)],
    })
}

fn filled_database() -> Database<MemoryKv> {
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(1), Options::default())).unwrap();
    for first in (0..DOCUMENTS).step_by(5000) {
        let texts: Vec<String> = (first..first + 5000).map(|place| document(place).to_string()).collect();
        let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    }
    database
}

/// Answers the request, and compares the answer with what a scan finds.
fn answer(database: &Database<MemoryKv>, request: &Value) -> (usize, FindStats) {
    let query = FindQuery::parse(request.to_string().as_bytes()).unwrap();
    let page = block_on(database.find(&query)).unwrap();
    let mut expected: Vec<_> = (0..DOCUMENTS)
        .map(|place| value(&document(place)))
        .filter(|document| query.selector.matches(document))
        .filter_map(|document| query.place_of(&document))
        .collect();
    expected.sort_by(|left, right| query.compare(left, right));
    expected.truncate(query.limit.unwrap_or(u64::MAX) as usize);
    let ids = expected.iter().map(|place| place.last().unwrap().as_str().unwrap().to_owned());
    let found =
        page.docs.iter().map(|text| serde_json::from_slice::<Value>(text).unwrap()["_id"].as_str().unwrap().to_owned());
    assert_eq!(found.collect::<Vec<_>>(), ids.collect::<Vec<_>>(), "{request}");
    (page.docs.len(), page.stats)
}

#[test]
fn queries_read_what_their_answers_need() {
    let database = &filled_database();
    let mut failed = Vec::new();
    {
        // A request, the way to take, how many documents may be read beside those of the answer, and how many postings.
        let cases = [
            (json!({ "selector": { "owner": "owner 007" } }), Way::Index, 0, 101),
            (json!({ "selector": { "owner": "owner 007" }, "limit": 10 }), Way::IdOrder, 0, 11),
            (json!({ "selector": { "kind": "odd" }, "limit": 25 }), Way::IdOrder, 0, 26),
            // In the order of a path, with and without conditions on it and on others.
            (json!({ "selector": {}, "sort": ["rank"], "limit": 20 }), Way::SortOrder, 0, 21),
            (json!({ "selector": {}, "sort": [{ "rank": "desc" }], "limit": 20 }), Way::SortOrder, 0, 21),
            (
                json!({ "selector": { "rank": { "$gte": 5000 } }, "sort": ["rank"], "limit": 20 }),
                Way::SortOrder,
                0,
                300,
            ),
            (json!({ "selector": { "kind": "odd" }, "sort": ["rank"], "limit": 20 }), Way::SortOrder, 25, 20_000),
            (json!({ "selector": { "owner": "owner 007" }, "sort": ["rank"], "limit": 20 }), Way::Index, 80, 101),
            // Intersections: what both sides name is read, and no more.
            (json!({ "selector": { "owner": "owner 007", "kind": "even" } }), Way::Index, 0, 3000),
            (json!({ "selector": { "owner": "owner 007", "rank": { "$lt": 1000 } } }), Way::Index, 0, 2500),
            (json!({ "selector": { "tags": { "$all": ["tag 7", "tag 607"] } } }), Way::Index, 0, 1500),
            (
                json!({ "selector": { "$and": [{ "tags": { "$elemMatch": { "$eq": "tag 7" } } }, { "tags": { "$in": ["tag 607"] } }] } }),
                Way::Index,
                0,
                1500,
            ),
            // Unions.
            (json!({ "selector": { "$or": [{ "owner": "owner 007" }, { "rank": 9 }] } }), Way::Index, 0, 200),
            (json!({ "selector": { "owner": { "$in": ["owner 007", "owner 008"] } } }), Way::Index, 0, 400),
            // Conditions that ranges do not serve are asked of the keys.
            (json!({ "selector": { "owner": { "$regex": "7$", "$beginsWith": "owner 00" } } }), Way::Index, 0, 2000),
            (json!({ "selector": { "rank": { "$gte": 100, "$lt": 200, "$mod": [10, 3] } } }), Way::Index, 0, 101),
            (json!({ "selector": { "_id": "d000017", "kind": "odd" } }), Way::Index, 0, 400),
        ];
        for (request, way, documents, postings) in cases {
            let (found, stats) = answer(database, &request);
            let documents = found as u64 + documents;
            if stats.way != way || stats.documents_read > documents || stats.postings_read > postings {
                failed.push(format!("{request}: {found} results, {stats:?}"));
            }
        }
        let (found, stats) = answer(database, &json!({ "selector": { "owner": "owner 007" }, "fields": ["_id"] }));
        assert_eq!((found, stats.documents_read), (100, 0), "only ids are asked for");
        let query =
            FindQuery::parse(br#"{"selector":{"owner":"owner 007","rank":{"$gt":5}},"sort":["kind"]}"#).unwrap();
        let explained: Value = serde_json::from_slice(&block_on(database.explain(&query)).unwrap()).unwrap();
        let owner = json!({ "path": "owner", "bounds": [{ "from": "owner 007", "to": "owner 007" }] });
        let rank = json!({ "path": "rank", "bounds": [{ "above": 5 }] });
        assert_eq!(explained["source"], json!({ "all": [owner, rank] }));
        assert_eq!((&explained["way"], &explained["documents_read"]), (&json!("index"), &json!(100)));
        for (selector, count, postings) in [
            (json!({}), DOCUMENTS, 0),
            (json!({ "rank": { "$exists": true } }), DOCUMENTS, 0),
            (json!({ "tags": { "$type": "array" } }), DOCUMENTS, 0),
            (json!({ "kind": { "$type": "number" } }), 0, 0),
            (json!({ "owner": "owner 007" }), 100, 101),
            (json!({ "tags": { "$size": 2 } }), DOCUMENTS, DOCUMENTS as u64),
            (json!({ "kind": "odd", "rank": { "$lt": 50_000 } }), DOCUMENTS / 4, 2 * DOCUMENTS as u64),
        ] {
            let selector_read = Selector::parse(&value(&selector)).unwrap();
            let (found, stats) = block_on(database.count(&selector_read)).unwrap();
            if found != count as u64 || stats.documents_read > 0 || stats.postings_read > postings {
                failed.push(format!("{selector}: counted {found}, {stats:?}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Selectors of many parts.
fn long_selectors() -> Vec<Value> {
    let each = |count: usize, part: &dyn Fn(usize) -> Value| Value::Array((0..count).map(part).collect());
    vec![
        json!({ "$nor": each(3000, &|i| json!({ "a": i + 1000 })) }),
        json!({ "$and": each(10_000, &|i| json!({ "a": { "$ne": i } })) }),
        json!({ "$not": { "$and": each(1000, &|i| json!({ "a": { "$gt": i } })) } }),
        json!({ "$or": each(1000, &|i| json!({ "a": { "$lt": i + 1 } })) }),
        json!({ "$or": each(1000, &|i| json!({ "$or": [{ "a": { "$gte": i } }, { "b": { "$gt": i } }] })) }),
        json!({ "$or": each(500, &|i| json!({ "a": { "$mod": [1000, i] } })) }),
        json!({ "$and": each(200, &|i| json!({ "$or": [{ "a": { "$gte": i } }, { "b": { "$gt": i } }] })) }),
        json!({ "$and": each(1000, &|i| json!({ "tags": { "$in": [i, "all"] } })) }),
        json!({ "a": { "$in": each(2000, &|i| json!(2 * i)) } }),
        json!({ "b": { "$nin": each(2000, &|i| json!(2 * i)) } }),
    ]
}

#[test]
fn long_selectors_read_no_more_than_a_scan_costs() {
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(1), Options::default())).unwrap();
    let documents: Vec<Value> = (0..3000)
        .map(|i| json!({ "_id": format!("d{i:04}"), "a": i, "b": (i * 7) % 3000, "tags": ["all", i] }))
        .collect();
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    let mut failed = Vec::new();
    for selector in long_selectors() {
        let query = FindQuery::new(Selector::parse(&value(&selector)).unwrap());
        let page = block_on(database.find(&query)).unwrap();
        let expected: Vec<&Value> = documents
            .iter()
            .filter(|document| query.selector.matches(&value(document)))
            .map(|doc| &doc["_id"])
            .collect();
        let found: Vec<Value> =
            page.docs.iter().map(|text| serde_json::from_slice::<Value>(text).unwrap()["_id"].clone()).collect();
        assert!(found.iter().eq(expected.iter().copied()), "{selector:.80}");
        let (count, counted) = block_on(database.count(&query.selector)).unwrap();
        assert_eq!(count, found.len() as u64, "{selector:.80}");
        for (what, stats) in [("find", page.stats), ("count", counted)] {
            if stats.postings_read > 64 * 3000 || stats.documents_read > 3000 {
                failed.push(format!("{what} {:.80}: {stats:?}", selector.to_string()));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
