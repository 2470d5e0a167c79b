//! Writes: CouchDB's own trees through the database, conflicts, bad input, and what a commit leaves behind.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{Seeded, golden};
use firkin_core::database::{
    AllDocsQuery, ChangesQuery, Database, GetOptions, OpenRev, OpenRevs, Options, ReadError, Since, Way, WriteError,
    WriteOptions,
};
use firkin_core::query::{FindQuery, Selector};
use firkin_core::storage::{Cursor, Direction, KeyRange, Kv, Snapshot, memory::MemoryKv};
use pollster::block_on;
use serde_json::{Value, json};

fn open(options: Options) -> Database<MemoryKv> {
    block_on(Database::open(MemoryKv::new(), &Seeded::new(7), options)).unwrap()
}

fn put(database: &Database<MemoryKv>, document: &Value) -> Result<String, WriteError> {
    block_on(database.put(document.to_string().as_bytes(), &WriteOptions::default())).map(|written| written.rev)
}

fn get(database: &Database<MemoryKv>, id: &str, options: &GetOptions) -> Result<Value, ReadError> {
    block_on(database.get(id, options)).map(|text| serde_json::from_slice(&text).unwrap())
}

fn replicate(database: &Database<MemoryKv>, documents: &[Value]) {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let rows = block_on(database.bulk_docs(&texts, false, &WriteOptions::default())).unwrap();
    assert!(rows.iter().all(Result::is_ok), "{rows:?}");
}

fn dump(database: &Database<MemoryKv>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut cursor = database.kv().snapshot().unwrap().range(KeyRange::all(), Direction::Forward).unwrap();
    let mut entries = BTreeMap::new();
    while block_on(cursor.advance()).unwrap() {
        entries.insert(cursor.key().to_vec(), cursor.value().to_vec());
    }
    entries
}

/// What holds of one document of the golden trees.
fn assert_golden(database: &Database<MemoryKv>, tree: &Value) {
    let id = tree["id"].as_str().unwrap();
    let everything = GetOptions { conflicts: true, deleted_conflicts: true, ..GetOptions::default() };
    match get(database, id, &everything) {
        Ok(document) => {
            assert_eq!(tree["status"], 200, "{id}");
            assert_eq!(document["_rev"], tree["winner"], "{id}");
            for (name, member) in [("conflicts", "_conflicts"), ("deleted_conflicts", "_deleted_conflicts")] {
                let listed = document.get(member).cloned().unwrap_or_else(|| json!([]));
                assert_eq!(listed, tree[name], "{id}");
            }
        }
        Err(error) => {
            assert_eq!(tree["status"], 404, "{id}: {error}");
            assert_eq!(error, ReadError::Deleted, "{id}");
        }
    }
    let leaves =
        block_on(database.open_revs(id, OpenRevs::All, &GetOptions { revs: true, ..GetOptions::default() })).unwrap();
    let leaves: Vec<Value> = leaves
        .iter()
        .map(|leaf| match leaf {
            OpenRev::Ok(text) => {
                let document: Value = serde_json::from_slice(text).unwrap();
                let deleted = document.get("_deleted").is_some();
                json!({ "rev": document["_rev"], "deleted": deleted, "revisions": document["_revisions"] })
            }
            OpenRev::Missing(rev) => panic!("{id}: the leaf {rev} has no body"),
        })
        .collect();
    assert_eq!(json!(leaves), tree["leaves"], "{id}");
}

#[test]
fn golden_trees_hold_when_edits_arrive_one_by_one() {
    let trees = golden("revision-trees.json");
    let database = open(Options::default());
    for tree in trees.as_array().unwrap() {
        for edit in tree["edits"].as_array().unwrap() {
            replicate(&database, std::slice::from_ref(edit));
        }
        assert_golden(&database, tree);
    }
    let page = block_on(database.changes(&ChangesQuery { all_leaves: true, ..ChangesQuery::default() })).unwrap();
    let told: BTreeMap<String, (Vec<String>, bool)> =
        page.rows.into_iter().map(|row| (row.id, (row.revs, row.deleted))).collect();
    for tree in trees.as_array().unwrap() {
        let (revs, deleted) = &told[tree["id"].as_str().unwrap()];
        assert_eq!(json!([{ "deleted": deleted, "revs": revs }]), tree["changes"], "{}", tree["id"]);
    }
}

#[test]
fn golden_trees_hold_when_edits_arrive_in_one_batch_in_any_order() {
    let trees = golden("revision-trees.json");
    for seed in 0..20 {
        let database = open(Options::default());
        let mut edits: Vec<Value> =
            trees.as_array().unwrap().iter().flat_map(|tree| tree["edits"].as_array().unwrap().clone()).collect();
        let random = Seeded::new(seed);
        for place in (1..edits.len()).rev() {
            edits.swap(place, random.below(place + 1));
        }
        replicate(&database, &edits);
        for tree in trees.as_array().unwrap() {
            assert_golden(&database, tree);
        }
    }
}

#[test]
fn index_of_a_history_is_the_index_of_its_outcome() {
    let trees = golden("revision-trees.json");
    let edited = open(Options::default());
    let mut outcome = Vec::new();
    for tree in trees.as_array().unwrap() {
        for edit in tree["edits"].as_array().unwrap() {
            replicate(&edited, std::slice::from_ref(edit));
        }
        if tree["status"] == 200 {
            outcome.push(get(&edited, tree["id"].as_str().unwrap(), &GetOptions::default()).unwrap());
        }
    }
    let fresh = open(Options::default());
    replicate(&fresh, &outcome);
    let postings = |database: &Database<MemoryKv>| -> Vec<Vec<u8>> {
        dump(database).into_keys().filter(|key| key.starts_with(b"i")).collect()
    };
    assert!(!postings(&fresh).is_empty());
    assert_eq!(postings(&edited), postings(&fresh));
}

#[test]
fn history_of_one_branch_is_cut_and_ends_as_when_its_tree_is_loaded() {
    let limited = Options { revs_limit: 3, ..Options::default() };
    let database = open(limited);
    let mut rev = put(&database, &json!({ "_id": "a", "n": 0 })).unwrap();
    for n in 1..10 {
        rev = put(&database, &json!({ "_id": "a", "_rev": rev, "n": n })).unwrap();
    }
    let document = get(&database, "a", &GetOptions { revs: true, revs_info: true, ..GetOptions::default() }).unwrap();
    assert_eq!(document["_revisions"]["start"], 10);
    assert_eq!(document["_revs_info"].as_array().unwrap().len(), 3);
    let nodes = dump(&database).into_keys().filter(|key| key.starts_with(b"r") || key.starts_with(b"b")).count();
    assert_eq!(nodes, 6, "three nodes and three bodies");
    assert_eq!(
        get(&database, "a", &GetOptions { rev: Some("1-x".into()), ..GetOptions::default() }),
        Err(ReadError::Missing)
    );
}

#[test]
fn parent_that_is_no_leaf_is_a_conflict_even_for_the_same_body() {
    let database = open(Options::default());
    let first = put(&database, &json!({ "_id": "a", "n": 1 })).unwrap();
    put(&database, &json!({ "_id": "a", "_rev": first, "n": 2 })).unwrap();
    let before = dump(&database);
    assert_eq!(put(&database, &json!({ "_id": "a", "_rev": first, "n": 2 })), Err(WriteError::Conflict));
    assert_eq!(put(&database, &json!({ "_id": "a", "n": 2 })), Err(WriteError::Conflict));
    assert_eq!(put(&database, &json!({ "_id": "new", "_rev": "1-a" })), Err(WriteError::Conflict));
    assert_eq!(dump(&database), before);
}

#[test]
fn atomic_batch_writes_nothing_if_one_document_is_refused() {
    let database = open(Options::default());
    put(&database, &json!({ "_id": "a" })).unwrap();
    let before = dump(&database);
    let documents = [br#"{"_id":"b"}"#.as_slice(), br#"{"_id":"a"}"#];
    let write = WriteOptions { atomic: true, ..WriteOptions::default() };
    let rows = block_on(database.bulk_docs(&documents, true, &write)).unwrap();
    assert!(rows.iter().all(Result::is_err), "{rows:?}");
    assert_eq!(dump(&database), before);
    assert!(block_on(database.bulk_docs(&documents[..1], true, &write)).unwrap()[0].is_ok());
}

#[test]
fn same_edit_made_apart_is_one_revision() {
    let (here, there) = (open(Options::default()), open(Options::default()));
    let left = put(&here, &json!({ "_id": "a", "x": 1.0, "y": [0] })).unwrap();
    let right = put(&there, &serde_json::from_str(r#"{"y":[-0.0],"_id":"a","x":1}"#).unwrap()).unwrap();
    assert_eq!(left, right);
}

#[test]
fn revision_with_another_body_keeps_the_first_and_is_reported() {
    let database = open(Options::default());
    replicate(&database, &[json!({ "_id": "a", "_rev": "1-a", "n": 1 })]);
    let other = json!({ "_id": "a", "_rev": "1-a", "n": 2 }).to_string();
    let rows = block_on(database.bulk_docs(&[other.as_bytes()], false, &WriteOptions::default())).unwrap();
    assert_eq!(rows[0].as_ref().unwrap_err().error.name, "conflict");
    assert_eq!(get(&database, "a", &GetOptions::default()).unwrap()["n"], 1);
}

#[test]
fn deleted_document_is_written_anew_on_top_of_its_tombstone() {
    let database = open(Options::default());
    let first = put(&database, &json!({ "_id": "a" })).unwrap();
    block_on(database.remove("a", &first, &WriteOptions::default())).unwrap();
    assert_eq!(get(&database, "a", &GetOptions::default()), Err(ReadError::Deleted));
    let info = block_on(database.info()).unwrap();
    assert_eq!((info.doc_count, info.doc_del_count), (0, 1));
    assert!(put(&database, &json!({ "_id": "a", "n": 2 })).unwrap().starts_with("3-"));
    let info = block_on(database.info()).unwrap();
    assert_eq!((info.doc_count, info.doc_del_count), (1, 0));
}

#[test]
fn bad_documents_are_refused_with_couchdbs_names_and_change_nothing() {
    let database = open(Options { document_bytes_max: 6000, ..Options::default() });
    put(&database, &json!({ "_id": "a" })).unwrap();
    let before = dump(&database);
    let long = format!("{{\"_id\":\"b\",\"s\":\"{}\"}}", "x".repeat(6000));
    let name = format!("{{\"_id\":\"b\",\"a\":[{{\"{}\":1}}]}}", "n".repeat(5000));
    let deep = format!("{{\"_id\":\"b\",\"s\":{}1{}}}", "[".repeat(80), "]".repeat(80));
    let cases: Vec<(&str, u16, &str)> = vec![
        ("{bad", 400, "bad_request"),
        ("[1]", 400, "bad_request"),
        ("{\"_id\":\"b\",\"a\":1,\"a\":2}", 400, "bad_request"),
        ("{\"_id\":\"b\",\"a\":\"\\ud800\"}", 400, "bad_request"),
        ("{\"_id\":\"b\",\"a\":1e999}", 400, "bad_request"),
        ("{\"n\":1}", 412, "missing_id"),
        ("{\"_id\":\"\"}", 400, "illegal_docid"),
        ("{\"_id\":5}", 400, "illegal_docid"),
        ("{\"_id\":\"_bad\"}", 400, "illegal_docid"),
        ("{\"_id\":\"_local/\"}", 400, "illegal_docid"),
        ("{\"_id\":\"b\",\"_nope\":1}", 400, "doc_validation"),
        ("{\"_id\":\"b\",\"_deleted\":1}", 400, "doc_validation"),
        ("{\"_id\":\"b\",\"_rev\":\"nonsense\"}", 400, "bad_request"),
        ("{\"_id\":\"b\",\"_attachments\":{\"x\":{}}}", 400, "bad_request"),
        (&long, 413, "too_large"),
        (&name, 400, "doc_validation"),
    ];
    for (text, status, name) in cases {
        let report = block_on(database.put(text.as_bytes(), &WriteOptions::default())).unwrap_err().report();
        assert_eq!((report.status, report.name), (status, name), "{text}");
        let good = b"{\"_id\":\"good\"}".as_slice();
        assert!(block_on(database.bulk_docs(&[good, text.as_bytes()], true, &WriteOptions::default())).is_err());
    }
    assert!(block_on(database.put(deep.as_bytes(), &WriteOptions::default())).is_ok(), "80 levels are not too deep");
    assert_eq!(dump(&database).keys().filter(|key| key.starts_with(b"dgood")).count(), 0);
    assert!(before.len() < dump(&database).len());
}

#[test]
fn all_docs_walks_ranges_in_both_directions() {
    let database = open(Options::default());
    for id in ["a", "b", "b\u{0}", "c", "d"] {
        put(&database, &json!({ "_id": id })).unwrap();
    }
    let gone = put(&database, &json!({ "_id": "bb" })).unwrap();
    block_on(database.remove("bb", &gone, &WriteOptions::default())).unwrap();
    let ids = |query: &AllDocsQuery| -> (Value, Vec<String>) {
        let answer: Value = serde_json::from_slice(&block_on(database.all_docs(query)).unwrap()).unwrap();
        let ids =
            answer["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap_or("-").to_owned()).collect();
        (answer["offset"].clone(), ids)
    };
    let range = |start: &str, end: &str| AllDocsQuery {
        start_key: Some(start.into()),
        end_key: Some(end.into()),
        ..AllDocsQuery::default()
    };
    assert_eq!(ids(&AllDocsQuery::default()).1, ["a", "b", "b\u{0}", "c", "d"]);
    assert_eq!(ids(&range("b", "c")), (json!(1), vec!["b".into(), "b\u{0}".into(), "c".into()]));
    assert_eq!(ids(&AllDocsQuery { inclusive_end: false, ..range("b", "c") }).1, ["b", "b\u{0}"]);
    assert_eq!(ids(&AllDocsQuery { descending: true, ..range("c", "b") }).1, ["c", "b\u{0}", "b"]);
    assert_eq!(ids(&AllDocsQuery { descending: true, inclusive_end: false, ..range("c", "b") }).1, ["c", "b\u{0}"]);
    assert_eq!(ids(&range("c", "b")).1, Vec::<String>::new());
    assert_eq!(
        ids(&AllDocsQuery { skip: 1, limit: Some(2), ..AllDocsQuery::default() }),
        (json!(1), vec!["b".into(), "b\u{0}".into()])
    );
    let keys = AllDocsQuery { keys: Some(vec!["d".into(), "no".into(), "a".into()]), ..AllDocsQuery::default() };
    assert_eq!(ids(&keys).1, ["d", "-", "a"]);
}

#[test]
fn changes_go_on_where_they_stopped() {
    let database = open(Options::default());
    for n in 0..5 {
        put(&database, &json!({ "_id": format!("d{n}"), "n": n })).unwrap();
    }
    let first = block_on(database.changes(&ChangesQuery { limit: Some(2), ..ChangesQuery::default() })).unwrap();
    assert_eq!((first.rows.len(), first.pending), (2, 3));
    let since = Since::Token(first.last_seq);
    let rest = block_on(database.changes(&ChangesQuery { since, ..ChangesQuery::default() })).unwrap();
    let ids: Vec<&str> = rest.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((ids, rest.pending), (vec!["d2", "d3", "d4"], 0));
    let selector = Selector::parse(&common::value(&json!({ "n": { "$gt": 3 } }))).unwrap();
    let selected = ChangesQuery { selector: Some(selector), ..ChangesQuery::default() };
    let page = block_on(database.changes(&selected)).unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.last_seq, rest.last_seq);
    let bad = ChangesQuery { since: Since::Token("nonsense".into()), ..ChangesQuery::default() };
    assert_eq!(block_on(database.changes(&bad)), Err(ReadError::BadSince));
}

/// A power cut takes the latest commits; the numbers that they had are used again for other edits.
#[test]
fn reader_misses_no_edit_whose_sequence_was_used_twice() {
    let kv = MemoryKv::new();
    let database = block_on(Database::open(kv.clone(), &Seeded::new(1), Options::default())).unwrap();
    put(&database, &json!({ "_id": "kept" })).unwrap();
    let survived = dump(&database);
    put(&database, &json!({ "_id": "lost" })).unwrap();
    let reader = block_on(database.changes(&ChangesQuery::default())).unwrap().last_seq;
    let restored = MemoryKv::new();
    let mut batch = firkin_core::storage::Batch::new();
    survived.iter().for_each(|(key, value)| batch.put(key, value));
    block_on(restored.commit(batch, firkin_core::storage::Durability::Strict)).unwrap();
    let database = block_on(Database::open(restored, &Seeded::new(2), Options::default())).unwrap();
    put(&database, &json!({ "_id": "after" })).unwrap();
    let page =
        block_on(database.changes(&ChangesQuery { since: Since::Token(reader), ..ChangesQuery::default() })).unwrap();
    assert_eq!(page.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["after"]);
}

#[test]
fn large_candidates_are_sorted_by_the_index_and_left_early() {
    let database = open(Options::default());
    let documents: Vec<String> = (0..1000)
        .map(|n| json!({ "_id": format!("d{n:04}"), "kind": n % 2, "rank": (n * 7919) % 1000, "text": format!("{}{n:04}", "x".repeat(80)) }).to_string())
        .collect();
    let texts: Vec<&[u8]> = documents.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    for (sort, limit, bound) in [("rank", 20, 80), ("text", 20, 1000), ("kind", 20, 40)] {
        let request = json!({ "selector": { "kind": { "$gte": 0 }, "rank": { "$gte": 0 } }, "sort": [{ sort: "desc" }], "limit": limit });
        let query = FindQuery::parse(request.to_string().as_bytes()).unwrap();
        let page = block_on(database.find(&query)).unwrap();
        let mut all: Vec<Value> = documents.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        all.sort_by_key(|document| {
            let sorted =
                document[sort].as_u64().map_or_else(|| document[sort].to_string(), |number| format!("{number:09}"));
            std::cmp::Reverse((sorted, document["_id"].to_string()))
        });
        let expected: Vec<&Value> = all.iter().take(limit).map(|document| &document["_id"]).collect();
        let found: Vec<Value> =
            page.docs.iter().map(|text| serde_json::from_slice::<Value>(text).unwrap()["_id"].clone()).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "by {sort}");
        assert!(page.stats.way == Way::SortOrder && page.stats.documents_read <= bound, "by {sort}: {:?}", page.stats);
    }
}

#[test]
fn strings_that_go_on_with_a_zero_are_other_strings() {
    let database = open(Options::default());
    for (id, text) in [("1", "a"), ("2", "a\u{0}b"), ("3", "b"), ("4", "a\u{0}")] {
        put(&database, &json!({ "_id": id, "t": text })).unwrap();
    }
    let ids = |condition: Value| -> Vec<String> {
        let query = FindQuery::parse(json!({ "selector": { "t": condition } }).to_string().as_bytes()).unwrap();
        let page = block_on(database.find(&query)).unwrap();
        assert_eq!(page.stats.way, Way::Index);
        page.docs
            .iter()
            .map(|doc| serde_json::from_slice::<Value>(doc).unwrap()["_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(json!({ "$eq": "a" })), ["1"]);
    assert_eq!(ids(json!({ "$gt": "a" })), ["2", "3", "4"]);
    assert_eq!(ids(json!({ "$lte": "a" })), ["1"]);
    assert_eq!(ids(json!({ "$gt": "a\u{0}" })), ["2", "3"]);
    assert_eq!(ids(json!({ "$in": ["a", "b"] })), ["1", "3"]);
}

#[test]
fn what_is_too_deep_or_not_unicode_is_told_so() {
    use firkin_core::document::Document;
    let reason = |text: &str| Document::parse(text.as_bytes(), 1 << 20).unwrap_err().report();
    let deep = format!("{{\"_id\":\"a\",\"n\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let told = reason(&deep);
    assert_eq!((told.status, told.name), (400, "bad_request"));
    assert_eq!(told.reason, "The document is nested too deep: at most 127 levels are taken");
    let told = reason("{\"_id\":\"a\",\"n\":\"\\udc00\"}");
    assert!(told.reason.contains("surrogate"), "{}", told.reason);
    assert_eq!(reason("{").reason, "invalid UTF-8 JSON");
}
