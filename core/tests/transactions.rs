//! Transactions: each anomaly by its name, what a transaction sees of itself, and how it ends.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::Seeded;
use firkin_core::database::{
    CommitOptions, Database, FindPage, GetOptions, Options, Transaction, TransactionError, WriteOptions,
};
use firkin_core::path::Path;
use firkin_core::query::FindQuery;
use firkin_core::storage::memory::{MemoryKv, MemorySnapshot};
use pollster::block_on;
use serde_json::{Value, json};

type Tx = Transaction<MemorySnapshot>;

fn open() -> Database<MemoryKv> {
    let options = Options { document_bytes_max: 4096, ..Options::default() };
    block_on(Database::open(MemoryKv::new(), &Seeded::new(7), options)).unwrap()
}

fn with(documents: &[Value]) -> Database<MemoryKv> {
    let database = open();
    for document in documents {
        put(&database, document);
    }
    database
}

fn put(database: &Database<MemoryKv>, document: &Value) -> String {
    let options = WriteOptions { force: true, ..WriteOptions::default() };
    block_on(database.put(document.to_string().as_bytes(), &options)).unwrap().rev
}

fn read(database: &Database<MemoryKv>, id: &str) -> Value {
    serde_json::from_slice(&block_on(database.get(id, &GetOptions::default())).unwrap()).unwrap()
}

fn get(database: &Database<MemoryKv>, tx: &mut Tx, id: &str) -> Result<Value, TransactionError> {
    block_on(tx.get(database, id, &GetOptions::default())).map(|text| serde_json::from_slice(&text).unwrap())
}

fn write(database: &Database<MemoryKv>, tx: &mut Tx, document: &Value) -> Result<String, TransactionError> {
    block_on(tx.put(database, document.to_string().as_bytes())).map(|written| written.rev)
}

fn patch(database: &Database<MemoryKv>, tx: &mut Tx, id: &str, patch: &Value) -> Result<String, TransactionError> {
    block_on(tx.patch(database, id, patch.to_string().as_bytes())).map(|written| written.rev)
}

fn page(database: &Database<MemoryKv>, tx: &mut Tx, query: &Value) -> FindPage {
    block_on(tx.find(database, FindQuery::parse(query.to_string().as_bytes()).unwrap())).unwrap()
}

/// The ids that a query finds.
fn ids(database: &Database<MemoryKv>, tx: &mut Tx, query: &Value) -> Vec<String> {
    let docs = page(database, tx, query).docs;
    let id = |doc: &Vec<u8>| serde_json::from_slice::<Value>(doc).unwrap()["_id"].as_str().unwrap().to_owned();
    docs.iter().map(id).collect()
}

fn commit(database: &Database<MemoryKv>, tx: Tx) -> Result<(), TransactionError> {
    block_on(database.commit(tx, &CommitOptions::default())).map(|_| ())
}

fn changed(ids: &[&str]) -> Result<(), TransactionError> {
    Err(TransactionError::Changed { ids: ids.iter().map(ToString::to_string).collect() })
}

fn status(error: &TransactionError) -> (u16, &'static str) {
    (error.report().status, error.report().name)
}

#[test]
fn no_update_is_lost() {
    let database = with(&[json!({ "_id": "counter", "n": 0 })]);
    let (mut one, mut other) = (database.begin().unwrap(), database.begin().unwrap());
    for tx in [&mut one, &mut other] {
        let mut counter = get(&database, tx, "counter").unwrap();
        counter["n"] = (counter["n"].as_i64().unwrap() + 1).into();
        write(&database, tx, &counter).unwrap();
    }
    assert_eq!(commit(&database, one), Ok(()));
    // Both made the very same revision, and it still is no success: it would count one increment for two.
    assert_eq!(commit(&database, other), changed(&["counter"]));
    assert_eq!(read(&database, "counter")["n"], 1);
}

#[test]
fn write_skew_is_impossible() {
    let doctor = |id| json!({ "_id": id, "on_call": true });
    let on_call = json!({ "selector": { "on_call": true } });
    for by_query in [true, false] {
        let database = with(&[doctor("alice"), doctor("bob")]);
        let (mut one, mut other) = (database.begin().unwrap(), database.begin().unwrap());
        // Each may leave while another stays, and writes a document that the other only reads.
        for (tx, leaves) in [(&mut one, "alice"), (&mut other, "bob")] {
            if by_query {
                assert_eq!(ids(&database, tx, &on_call).len(), 2);
            } else {
                get(&database, tx, "alice").unwrap();
                get(&database, tx, "bob").unwrap();
            }
            patch(&database, tx, leaves, &json!([{ "op": "replace", "path": "/on_call", "value": false }])).unwrap();
        }
        assert_eq!(commit(&database, one), Ok(()));
        assert_eq!(commit(&database, other), changed(&["alice"]));
        assert_eq!(read(&database, "bob")["on_call"], true);
    }
}

#[test]
fn phantom_rows_are_impossible() {
    let booked = json!({ "selector": { "room": 7, "hour": { "$gte": 9, "$lt": 11 } } });
    let cases = [
        ("one comes", json!({ "_id": "b2", "room": 7, "hour": 10 }), true),
        ("one goes", json!({ "_id": "b1", "_deleted": true }), true),
        ("one moves away", json!({ "_id": "b1", "room": 7, "hour": 15 }), true),
        ("one moves here", json!({ "_id": "b0", "room": 7, "hour": 9 }), true),
        ("one changes where it is", json!({ "_id": "b1", "room": 7, "hour": 9, "by": "Iko" }), true),
        ("one comes elsewhere", json!({ "_id": "b2", "room": 8, "hour": 10 }), false),
        ("one moves elsewhere", json!({ "_id": "b0", "room": 7, "hour": 11 }), false),
        ("one comes that queries do not find", json!({ "_id": "_design/d", "room": 7, "hour": 10 }), false),
    ];
    for (name, document, conflicts) in cases {
        let database =
            with(&[json!({ "_id": "b0", "room": 8, "hour": 9 }), json!({ "_id": "b1", "room": 7, "hour": 9 })]);
        let mut tx = database.begin().unwrap();
        assert_eq!(ids(&database, &mut tx, &booked), ["b1"]);
        write(&database, &mut tx, &json!({ "_id": "count", "bookings": 1 })).unwrap();
        put(&database, &document);
        let expected = if conflicts { changed(&[document["_id"].as_str().unwrap()]) } else { Ok(()) };
        assert_eq!(commit(&database, tx), expected, "{name}");
    }
}

#[test]
fn a_document_that_was_not_there_is_read_too() {
    let database = open();
    let mut tx = database.begin().unwrap();
    assert_eq!(status(&get(&database, &mut tx, "a").unwrap_err()), (404, "not_found"));
    write(&database, &mut tx, &json!({ "_id": "b" })).unwrap();
    put(&database, &json!({ "_id": "a" }));
    assert_eq!(commit(&database, tx), changed(&["a"]));
    let mut tx = database.begin().unwrap();
    assert_eq!(block_on(tx.get_value(&database, "a", &Path::parse("n"))), Ok(None));
    write(&database, &mut tx, &json!({ "_id": "c" })).unwrap();
    put(&database, &json!({ "_id": "a", "n": 1 }));
    assert_eq!(commit(&database, tx), changed(&["a"]));
}

#[test]
fn what_stands_behind_a_limited_window_was_not_seen() {
    let people = [("a", 10), ("b", 20), ("c", 30), ("d", 40), ("e", 50)];
    let documents: Vec<Value> = people.iter().map(|(id, age)| json!({ "_id": id, "age": age })).collect();
    let youngest = json!({ "selector": { "age": { "$gt": 0 } }, "sort": ["age"], "limit": 2, "skip": 1 });
    let cases = [
        ("behind", json!({ "_id": "d", "age": 45 }), false),
        ("to the place after the last", json!({ "_id": "e", "age": 31 }), false),
        ("away from behind", json!({ "_id": "d", "_deleted": true }), false),
        ("a row of it", json!({ "_id": "b", "age": 21 }), true),
        ("its last row, backwards", json!({ "_id": "c", "age": 60 }), true),
        ("from behind into it", json!({ "_id": "e", "age": 25 }), true),
        ("among those passed over", json!({ "_id": "a", "age": 11 }), true),
        ("a new one before it", json!({ "_id": "f", "age": 1 }), true),
    ];
    for (name, document, conflicts) in cases {
        let database = with(&documents);
        let mut tx = database.begin().unwrap();
        assert_eq!(ids(&database, &mut tx, &youngest), ["b", "c"]);
        write(&database, &mut tx, &json!({ "_id": "seen" })).unwrap();
        put(&database, &document);
        assert_eq!(commit(&database, tx).is_err(), conflicts, "{name}");
    }
    // A page that is not full has seen the end; a page after a bookmark has not seen what came before.
    let database = with(&documents);
    let mut tx = database.begin().unwrap();
    let first = page(&database, &mut tx, &json!({ "selector": { "age": { "$gt": 10 } }, "sort": ["age"], "limit": 2 }));
    let mut tx = database.begin().unwrap();
    let rest = json!({ "selector": { "age": { "$gt": 10 } }, "sort": ["age"], "limit": 3, "bookmark": first.bookmark });
    assert_eq!(ids(&database, &mut tx, &rest), ["d", "e"]);
    write(&database, &mut tx, &json!({ "_id": "seen" })).unwrap();
    put(&database, &json!({ "_id": "b", "age": 22 }));
    assert_eq!(commit(&database, tx), Ok(()));
    let mut tx = database.begin().unwrap();
    assert_eq!(ids(&database, &mut tx, &rest), ["d", "e"]);
    write(&database, &mut tx, &json!({ "_id": "seen too" })).unwrap();
    put(&database, &json!({ "_id": "f", "age": 99 }));
    assert_eq!(commit(&database, tx), changed(&["f"]));
}

#[test]
fn a_query_that_asked_for_nothing_has_seen_nothing() {
    let database = with(&[json!({ "_id": "a" })]);
    let mut tx = database.begin().unwrap();
    assert!(ids(&database, &mut tx, &json!({ "selector": {}, "limit": 0 })).is_empty());
    write(&database, &mut tx, &json!({ "_id": "b" })).unwrap();
    put(&database, &json!({ "_id": "a", "n": 1 }));
    assert_eq!(commit(&database, tx), Ok(()));
}

#[test]
fn a_transaction_sees_its_own_writes_in_find_with_limit_and_sort() {
    let documents: Vec<Value> = (0..5).map(|n| json!({ "_id": format!("d{n}"), "n": n * 10 })).collect();
    let database = with(&documents);
    let mut tx = database.begin().unwrap();
    let sorted = json!({ "selector": { "n": { "$gte": 10 } }, "sort": [{ "n": "desc" }], "limit": 2 });
    assert_eq!(ids(&database, &mut tx, &sorted), ["d4", "d3"]);
    write(&database, &mut tx, &json!({ "_id": "new", "n": 35, "only here": { "deep": [1] } })).unwrap();
    assert_eq!(ids(&database, &mut tx, &sorted), ["d4", "new"]);
    let rev = get(&database, &mut tx, "d4").unwrap()["_rev"].as_str().unwrap().to_owned();
    block_on(tx.remove(&database, "d4", &rev)).unwrap();
    assert_eq!(ids(&database, &mut tx, &sorted), ["new", "d3"]);
    assert_eq!(status(&get(&database, &mut tx, "d4").unwrap_err()), (404, "not_found"));
    patch(&database, &mut tx, "d0", &json!([{ "op": "replace", "path": "/n", "value": 33 }])).unwrap();
    assert_eq!(ids(&database, &mut tx, &sorted), ["new", "d0"]);
    let first = page(&database, &mut tx, &sorted);
    let mut next = sorted.clone();
    next["bookmark"] = first.bookmark.into();
    assert_eq!(ids(&database, &mut tx, &next), ["d3", "d2"]);
    // A path that nobody had before, by the index.
    assert_eq!(ids(&database, &mut tx, &json!({ "selector": { "only here.deep.0": 1 } })), ["new"]);
    // Nobody else sees any of it.
    assert!(block_on(database.get("new", &GetOptions::default())).is_err());
    let other = &mut database.begin().unwrap();
    assert_eq!(ids(&database, other, &sorted), ["d4", "d3"]);
    assert!(ids(&database, other, &json!({ "selector": { "only here.deep.0": 1 } })).is_empty());
    // Numbers that paths had in the transaction are nobody's: another document may have given them away meanwhile.
    put(&database, &json!({ "_id": "beside", "other path": { "deep": [2] } }));
    assert_eq!(commit(&database, tx), Ok(()));
    let tx = &mut database.begin().unwrap();
    assert_eq!(ids(&database, tx, &sorted), ["new", "d0"]);
    assert_eq!(ids(&database, tx, &json!({ "selector": { "only here.deep.0": 1 } })), ["new"]);
    assert_eq!(ids(&database, tx, &json!({ "selector": { "other path.deep.0": 2 } })), ["beside"]);
}

#[test]
fn the_revisions_that_a_transaction_tells_are_those_that_it_commits() {
    let database = open();
    let mut tx = database.begin().unwrap();
    let first = write(&database, &mut tx, &json!({ "_id": "a", "n": 1 })).unwrap();
    let second = write(&database, &mut tx, &json!({ "_id": "a", "_rev": first, "n": 2 })).unwrap();
    assert_eq!(get(&database, &mut tx, "a").unwrap(), json!({ "_id": "a", "_rev": second, "n": 2 }));
    assert_eq!(block_on(tx.get_value(&database, "a", &Path::parse("n"))), Ok(Some(b"2".to_vec())));
    let third = patch(&database, &mut tx, "a", &json!([{ "op": "add", "path": "/m", "value": 3 }])).unwrap();
    assert_eq!(
        status(&write(&database, &mut tx, &json!({ "_id": "a", "_rev": first })).unwrap_err()),
        (409, "conflict")
    );
    let history = GetOptions { revs: true, ..GetOptions::default() };
    let seen: Value = serde_json::from_slice(&block_on(tx.get(&database, "a", &history)).unwrap()).unwrap();
    let written = block_on(database.commit(tx, &CommitOptions::default())).unwrap();
    assert_eq!(written.iter().map(|row| &row.rev).collect::<Vec<_>>(), [&first, &second, &third]);
    let stored: Value = serde_json::from_slice(&block_on(database.get("a", &history)).unwrap()).unwrap();
    assert_eq!((&stored, &stored["_rev"]), (&seen, &json!(third)));
    assert_eq!(stored["_revisions"]["ids"].as_array().unwrap().len(), 3);
    assert_eq!(block_on(database.info()).unwrap().doc_count, 1);
}

#[test]
fn all_reads_show_one_moment() {
    let database = with(&[json!({ "_id": "a", "n": 1 }), json!({ "_id": "b", "n": 1 })]);
    let mut tx = database.begin().unwrap();
    assert_eq!(get(&database, &mut tx, "a").unwrap()["n"], 1);
    put(&database, &json!({ "_id": "b", "n": 2 }));
    put(&database, &json!({ "_id": "c", "n": 1 }));
    assert_eq!(get(&database, &mut tx, "b").unwrap()["n"], 1);
    assert_eq!(ids(&database, &mut tx, &json!({ "selector": { "n": 1 } })), ["a", "b"]);
    // Who only reads has read it all at the beginning, whatever came since.
    assert_eq!(commit(&database, tx), Ok(()));
}

#[test]
fn what_nobody_read_disturbs_nobody() {
    let database = with(&[json!({ "_id": "a" }), json!({ "_id": "b" })]);
    let mut tx = database.begin().unwrap();
    patch(&database, &mut tx, "a", &json!([{ "op": "add", "path": "/n", "value": 1 }])).unwrap();
    put(&database, &json!({ "_id": "b", "n": 1 }));
    assert_eq!(commit(&database, tx), Ok(()));
}

#[test]
fn a_conflict_that_is_there_from_the_beginning_is_told_at_once_and_the_transaction_goes_on() {
    let database = with(&[json!({ "_id": "a", "n": 1 }), json!({ "_id": "b" })]);
    let mut tx = database.begin().unwrap();
    assert_eq!(status(&write(&database, &mut tx, &json!({ "_id": "a", "n": 2 })).unwrap_err()), (409, "conflict"));
    let stale = json!({ "_id": "b", "_rev": "1-00000000000000000000000000000000" });
    assert_eq!(status(&write(&database, &mut tx, &stale).unwrap_err()), (409, "conflict"));
    assert_eq!(status(&block_on(tx.remove(&database, "gone", "1-a")).unwrap_err()), (404, "not_found"));
    write(&database, &mut tx, &json!({ "_id": "c" })).unwrap();
    assert_eq!(commit(&database, tx), Ok(()));
    assert_eq!((read(&database, "a")["n"].clone(), read(&database, "c")["_id"].clone()), (json!(1), json!("c")));
    // What it was refused for is what it has read.
    let mut tx = database.begin().unwrap();
    write(&database, &mut tx, &json!({ "_id": "a", "n": 2 })).unwrap_err();
    write(&database, &mut tx, &json!({ "_id": "d" })).unwrap();
    put(&database, &json!({ "_id": "a", "_deleted": true }));
    assert_eq!(commit(&database, tx), changed(&["a"]));
}

#[test]
fn a_transaction_that_is_dropped_leaves_nothing() {
    let database = open();
    let mut tx = database.begin().unwrap();
    write(&database, &mut tx, &json!({ "_id": "a" })).unwrap();
    get(&database, &mut tx, "a").unwrap();
    drop(tx);
    assert!(block_on(database.get("a", &GetOptions::default())).is_err());
    assert_eq!(block_on(database.info()).unwrap().update_seq, "0");
}

#[test]
fn a_revision_from_elsewhere_is_a_change_of_the_document_but_of_a_query_only_if_it_wins() {
    let replicate = |database: &Database<MemoryKv>, rev: &str, n: i64| {
        let document = json!({ "_id": "a", "_rev": rev, "n": n }).to_string();
        block_on(database.bulk_docs(&[document.as_bytes()], false, &WriteOptions::default())).unwrap()[0]
            .clone()
            .unwrap();
    };
    for (rev, wins) in [("9-a", true), ("1-00000000000000000000000000000000", false)] {
        for by_query in [true, false] {
            let database = with(&[json!({ "_id": "a", "n": 1 })]);
            let mut tx = database.begin().unwrap();
            if by_query {
                assert_eq!(ids(&database, &mut tx, &json!({ "selector": { "n": 1 } })), ["a"]);
            } else {
                get(&database, &mut tx, "a").unwrap();
            }
            write(&database, &mut tx, &json!({ "_id": "b" })).unwrap();
            replicate(&database, rev, 1);
            assert_eq!(commit(&database, tx).is_err(), wins || !by_query, "{rev} {by_query}");
        }
    }
}

#[test]
fn no_more_than_twenty_documents_are_named() {
    let database = open();
    let mut tx = database.begin().unwrap();
    assert!(ids(&database, &mut tx, &json!({ "selector": {} })).is_empty());
    write(&database, &mut tx, &json!({ "_id": "a" })).unwrap();
    let documents: Vec<String> = (0..50).map(|n| json!({ "_id": format!("n{n:02}") }).to_string()).collect();
    let texts: Vec<&[u8]> = documents.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    let error = commit(&database, tx).unwrap_err();
    let expected: Vec<String> = (0..20).map(|n| format!("n{n:02}")).collect();
    assert_eq!(error, TransactionError::Changed { ids: expected });
    assert_eq!(status(&error), (409, "conflict"));
    assert!(error.report().reason.contains("n00, n01"), "{}", error.report().reason);
}

#[test]
fn local_documents_take_no_part() {
    let database = with(&[json!({ "_id": "_local/a" })]);
    let mut tx = database.begin().unwrap();
    assert_eq!(status(&get(&database, &mut tx, "_local/a").unwrap_err()), (400, "illegal_docid"));
    assert_eq!(status(&write(&database, &mut tx, &json!({ "_id": "_local/b" })).unwrap_err()), (400, "illegal_docid"));
    assert_eq!(status(&patch(&database, &mut tx, "_local/a", &json!([])).unwrap_err()), (400, "illegal_docid"));
    assert_eq!(status(&block_on(tx.remove(&database, "_local/a", "0-1")).unwrap_err()), (400, "illegal_docid"));
}

#[test]
fn a_patch_that_cannot_be_applied_changes_nothing() {
    let long = "x".repeat(3000);
    let database = with(&[json!({ "_id": "a", "n": 1, "long": long }), json!({ "_id": "gone", "_deleted": true })]);
    let add = |path: &str, value: Value| json!([{ "op": "add", "path": path, "value": value }]);
    let cases = [
        ("a", add("/_id", json!("b")), (400, "doc_validation")),
        ("a", add("/_rev", json!("9-a")), (400, "doc_validation")),
        ("a", json!([{ "op": "copy", "from": "/_id", "path": "/id" }]), (400, "doc_validation")),
        ("a", json!([{ "op": "test", "path": "/_rev/0", "value": 1 }]), (400, "doc_validation")),
        ("a", add("", json!({ "_deleted": true })), (400, "doc_validation")),
        ("a", add("", json!([1])), (400, "bad_request")),
        ("a", add("/~", json!(1)), (400, "bad_request")),
        ("a", json!({}), (400, "bad_request")),
        ("a", add("/other", json!("x".repeat(2000))), (413, "too_large")),
        ("a", json!([{ "op": "copy", "from": "/long", "path": "/other" }]), (413, "too_large")),
        ("a", add("/x/y", json!(1)), (409, "conflict")),
        ("a", json!([{ "op": "test", "path": "/n", "value": 2 }]), (409, "conflict")),
        ("gone", json!([]), (404, "not_found")),
        ("never", json!([]), (404, "not_found")),
    ];
    let mut tx = database.begin().unwrap();
    for (id, operations, expected) in cases {
        // What comes first in the patch is not done either.
        let operations = match operations {
            Value::Array(list) => {
                let first = json!({ "op": "add", "path": "/first", "value": 1 });
                Value::Array([first].into_iter().chain(list).collect())
            }
            other => other,
        };
        let error = patch(&database, &mut tx, id, &operations).unwrap_err();
        assert_eq!(status(&error), expected, "{operations}: {error}");
    }
    let error = block_on(tx.patch(&database, "a", b"no json")).unwrap_err();
    assert_eq!(status(&error), (400, "bad_request"));
    assert_eq!(get(&database, &mut tx, "a").unwrap(), read(&database, "a"));
    // Below the top, a name may start as it likes.
    patch(&database, &mut tx, "a", &add("/m", json!({ "_x": 1 }))).unwrap();
    patch(&database, &mut tx, "a", &add("/m/_y", json!(2))).unwrap();
    assert_eq!(commit(&database, tx), Ok(()));
    assert_eq!(read(&database, "a")["m"], json!({ "_x": 1, "_y": 2 }));
}

#[test]
fn commits_wait_for_a_transaction_in_its_turn_and_other_writes_do_not() {
    let database = with(&[json!({ "_id": "a", "n": 1 })]);
    let add = json!([{ "op": "add", "path": "/n", "value": 2 }]);
    let mut before = database.begin().unwrap();
    patch(&database, &mut before, "a", &add).unwrap();
    let mut in_turn = block_on(database.begin_in_turn()).unwrap();
    patch(&database, &mut in_turn, "a", &add).unwrap();
    let options = CommitOptions::default();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut waiting = Box::pin(database.commit(before, &options));
    let mut next = Box::pin(database.begin_in_turn());
    assert!(waiting.as_mut().poll(&mut context).is_pending() && next.as_mut().poll(&mut context).is_pending());
    put(&database, &json!({ "_id": "beside" }));
    let mut reader = database.begin().unwrap();
    get(&database, &mut reader, "a").unwrap();
    assert_eq!(commit(&database, reader), Ok(()));
    assert_eq!(commit(&database, in_turn), Ok(()));
    assert_eq!(block_on(waiting).map(|_| ()), changed(&["a"]));
    // A turn ends with its transaction, or before.
    let mut next = block_on(next).unwrap();
    next.end_turn();
    let mut other = database.begin().unwrap();
    patch(&database, &mut other, "a", &add).unwrap();
    assert_eq!(commit(&database, other), Ok(()));
    drop(block_on(database.begin_in_turn()).unwrap());
    drop(block_on(database.begin_in_turn()).unwrap());
}
