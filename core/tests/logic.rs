//! Logic beside the data: what is shown of a write, what is refused leaves no trace, and what is shaped is what is hashed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod logic_support;

use std::collections::BTreeMap;
use std::rc::Rc;

use common::Seeded;
use firkin_core::database::{BulkRow, GetOptions, WriteError, WriteOptions};
use firkin_core::logic::{LogicError, Verdict};
use firkin_core::storage::{Cursor, Direction, KeyRange, Kv, Snapshot};
use logic_support::{Memory, Rules, Seen, judge, open, open_plain};
use pollster::block_on;
use serde_json::{Value, json};

fn put(database: &Memory, document: &Value) -> Result<String, WriteError> {
    block_on(database.put(document.to_string().as_bytes(), &WriteOptions::default())).map(|written| written.rev)
}

fn bulk(database: &Memory, documents: &[Value], new_edits: bool, write: &WriteOptions) -> Vec<BulkRow> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, new_edits, write)).unwrap()
}

fn replicate(database: &Memory, documents: &[Value]) -> Vec<BulkRow> {
    bulk(database, documents, false, &WriteOptions::default())
}

fn get(database: &Memory, id: &str) -> Option<Value> {
    let text = block_on(database.get(id, &GetOptions::default())).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

fn dump(database: &Memory) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut cursor = database.kv().snapshot().unwrap().range(KeyRange::all(), Direction::Forward).unwrap();
    let mut entries = BTreeMap::new();
    while block_on(cursor.advance()).unwrap() {
        entries.insert(cursor.key().to_vec(), cursor.value().to_vec());
    }
    entries
}

/// `ok`, or the error's status, name and reason.
fn told(row: &BulkRow) -> (u16, &'static str, &str) {
    row.as_ref().map_or_else(
        |refused| (refused.error.status, refused.error.name, refused.error.reason.as_str()),
        |_| (201, "ok", ""),
    )
}

#[test]
fn refused_edit_is_a_403_with_its_reason_and_leaves_no_trace() {
    let (database, rules) = open();
    let rev = put(&database, &json!({ "_id": "a", "n": 1 })).unwrap();
    rules.take();
    let before = dump(&database);
    let refused = put(&database, &json!({ "_id": "a", "_rev": rev, "no": "only on Mondays" })).unwrap_err().report();
    assert_eq!((refused.status, refused.name, refused.reason.as_str()), (403, "forbidden", "only on Mondays"));
    let refused = put(&database, &json!({ "_id": "b", "no": "log in", "who": "?" })).unwrap_err().report();
    assert_eq!((refused.status, refused.name, refused.reason.as_str()), (401, "unauthorized", "log in"));
    assert_eq!(dump(&database), before);
    let old = json!({ "_id": "a", "_rev": rev, "n": 1 });
    let new = json!({ "_id": "a", "_rev": rev, "no": "only on Mondays" });
    assert_eq!(
        rules.take(),
        [[(new, old.clone(), false)], [(json!({ "_id": "b", "no": "log in", "who": "?" }), Value::Null, false)]]
    );
    // A removal is an edit, too.
    block_on(database.remove("a", &rev, &WriteOptions::default())).unwrap();
    assert_eq!(rules.only(), [(json!({ "_id": "a", "_rev": rev, "_deleted": true }), old, false)]);
}

#[test]
fn shaped_edit_is_stored_and_hashed_as_it_was_shaped() {
    let (database, rules) = open();
    let rev = put(&database, &json!({ "_id": "a", "stamp": 1 })).unwrap();
    let plain = open_plain(1);
    assert_eq!(put(&plain, &json!({ "_id": "a", "stamp": 1, "stamped": 2 })).unwrap(), rev);
    assert_eq!(get(&database, "a"), get(&plain, "a"));
    let next = put(&database, &json!({ "_id": "a", "_rev": rev, "stamp": 5 })).unwrap();
    assert_eq!(get(&database, "a").unwrap()["stamped"], 6);
    assert_eq!(rules.take()[1][0].1["stamped"], 2);
    // A replica's revision is never shaped.
    replicate(&database, &[json!({ "_id": "r", "_rev": "1-a", "stamp": 1 })]);
    assert_eq!(get(&database, "r"), Some(json!({ "_id": "r", "_rev": "1-a", "stamp": 1 })));
    let rows = replicate(&database, &[json!({ "_id": "q", "_rev": "1-a", "break": r#"{"_id":"q","_rev":"1-a"}"# })]);
    assert_eq!(told(&rows[0]), (500, "logic_failed", "a replica's revision is as it is"));
    // Whatever the edit was forced on is what it names.
    let force = WriteOptions { force: true, ..WriteOptions::default() };
    rules.take();
    bulk(&database, &[json!({ "_id": "a", "_rev": rev, "stamp": 8 })], true, &force);
    assert_eq!(rules.only()[0].0["_rev"], next);
    assert_eq!(get(&database, "a").unwrap()["stamped"], 9);
}

#[test]
fn shapes_that_cannot_be_are_refused_with_an_error_of_their_own() {
    let (database, _) = open();
    let rev = put(&database, &json!({ "_id": "a" })).unwrap();
    let before = dump(&database);
    let keep = (500, "logic_failed", "onWrite must keep _id and _rev as they are");
    let cases = [
        (json!({ "_id": "b", "rename": "c" }), keep),
        (json!({ "_id": "b", "break": r#"{"_id":"b","_rev":"1-a"}"# }), keep),
        (json!({ "_id": "a", "_rev": rev, "break": r#"{"_id":"a"}"# }), keep),
        (
            json!({ "_id": "b", "break": r#"{"n":1}"# }),
            (500, "logic_failed", "onWrite returned what cannot be stored: The document has no _id"),
        ),
        (
            json!({ "_id": "b", "break": "[1]" }),
            (500, "logic_failed", "onWrite returned what cannot be stored: Document must be a JSON object"),
        ),
        (
            json!({ "_id": "b", "break": r#"{"_id":"b","_odd":1}"# }),
            (500, "logic_failed", "onWrite returned what cannot be stored: Bad special document member: _odd"),
        ),
        (
            json!({ "_id": "b", "break": r#"{"_id":"b","n":"\ud800"}"# }),
            (
                500,
                "logic_failed",
                "onWrite returned what cannot be stored: The document is not Unicode: \
                 half of a surrogate pair stands alone before byte 22",
            ),
        ),
    ];
    for (document, expected) in cases {
        let rows = bulk(&database, &[document], true, &WriteOptions::default());
        assert_eq!(told(&rows[0]), expected);
    }
    assert_eq!(dump(&database), before);
}

#[test]
fn refusal_is_its_rows_own_unless_the_batch_is_atomic() {
    let (database, rules) = open();
    let documents = [json!({ "_id": "a" }), json!({ "_id": "b", "no": "not b" }), json!({ "_id": "c", "stamp": 1 })];
    let empty = dump(&database);
    let atomic = WriteOptions { atomic: true, ..WriteOptions::default() };
    let rows = bulk(&database, &documents, true, &atomic);
    let others = (409, "conflict", "Another document of this batch was refused.");
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), [others, (403, "forbidden", "not b"), others]);
    assert_eq!(dump(&database), empty);
    assert_eq!(rules.only().len(), 3);

    let rows = bulk(&database, &documents, true, &WriteOptions::default());
    let expected = [(201, "ok", ""), (403, "forbidden", "not b"), (201, "ok", "")];
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(rows[1].as_ref().unwrap_err().id, "b");
    assert_eq!(block_on(database.info()).unwrap().doc_count, 2);
    assert_eq!(rules.only().len(), 3, "a batch is one question");
}

#[test]
fn old_document_is_the_one_that_is_replaced_on_its_branch() {
    let (database, rules) = open();
    let old_of = |document: Value| {
        replicate(&database, &[document]);
        rules.only().pop().unwrap().1
    };
    let path = |start: u64, ids: &[&str]| json!({ "start": start, "ids": ids });
    assert_eq!(old_of(json!({ "_id": "a", "_rev": "2-b", "_revisions": path(2, &["b", "a"]), "n": 2 })), Value::Null);
    let second = json!({ "_id": "a", "_rev": "2-b", "n": 2 });
    // The parent is not here; what is here of the branch is.
    assert_eq!(old_of(json!({ "_id": "a", "_rev": "4-d", "_revisions": path(4, &["d", "c", "b", "a"]) })), second);
    // Another branch from the same revision, which is no leaf any more.
    assert_eq!(old_of(json!({ "_id": "a", "_rev": "3-x", "_revisions": path(3, &["x", "b", "a"]), "n": 3 })), second);
    assert_eq!(old_of(json!({ "_id": "a", "_rev": "1-z", "n": 1 })), Value::Null);
    let branch = json!({ "_id": "a", "_rev": "3-x", "n": 3 });
    assert_eq!(
        old_of(json!({ "_id": "a", "_rev": "4-y", "_revisions": path(4, &["y", "x", "b"]), "_deleted": true })),
        branch
    );
    let tombstone = json!({ "_id": "a", "_rev": "4-y", "_deleted": true });
    assert_eq!(old_of(json!({ "_id": "a", "_rev": "5-w", "_revisions": path(5, &["w", "y", "x"]) })), tombstone);

    // A local edit of a branch that loses, and of a document that was deleted.
    put(&database, &json!({ "_id": "a", "_rev": "1-z", "n": 9 })).unwrap();
    assert_eq!(rules.only()[0].1, json!({ "_id": "a", "_rev": "1-z", "n": 1 }));
    let first = put(&database, &json!({ "_id": "b" })).unwrap();
    let gone = block_on(database.remove("b", &first, &WriteOptions::default())).unwrap().rev;
    rules.take();
    put(&database, &json!({ "_id": "b", "n": 2 })).unwrap();
    let old = json!({ "_id": "b", "_rev": gone, "_deleted": true });
    assert_eq!(rules.only(), [(json!({ "_id": "b", "_rev": gone, "n": 2 }), old, false)]);
}

#[test]
fn old_document_may_have_come_earlier_in_the_batch() {
    let (database, rules) = open();
    let force = WriteOptions { force: true, ..WriteOptions::default() };
    let documents = [
        json!({ "_id": "a", "stamp": 1 }),
        json!({ "_id": "b" }),
        json!({ "_id": "a", "n": 2 }),
        json!({ "_id": "a", "no": "no third" }),
        json!({ "_id": "a", "n": 4 }),
    ];
    let rows = bulk(&database, &documents, true, &force);
    assert_eq!(rows.iter().map(|row| told(row).0).collect::<Vec<_>>(), [201, 201, 201, 403, 201]);
    let calls = rules.take();
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert_eq!(calls[1][0].1["stamped"], 2, "as it was shaped");
    assert_eq!((&calls[2][0].1["n"], &calls[3][0].1["n"]), (&json!(2), &json!(2)), "what was refused is not there");

    // A replica's revisions of one document: siblings are shown together, a child after its parent.
    let path = |start: u64, ids: &[&str]| json!({ "start": start, "ids": ids });
    let documents = [
        json!({ "_id": "r", "_rev": "1-a", "n": 1 }),
        json!({ "_id": "r", "_rev": "1-b", "n": 2 }),
        json!({ "_id": "s", "_rev": "2-b", "_revisions": path(2, &["b", "a"]) }),
        json!({ "_id": "r", "_rev": "2-c", "_revisions": path(2, &["c", "a"]), "_deleted": true }),
        json!({ "_id": "r", "_rev": "3-d", "_revisions": path(3, &["d", "c", "a"]) }),
    ];
    assert!(replicate(&database, &documents).iter().all(Result::is_ok));
    let calls = rules.take();
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 1]);
    assert_eq!(calls[1][0].1, json!({ "_id": "r", "_rev": "1-a", "n": 1 }));
    assert_eq!(calls[2][0].1, json!({ "_id": "r", "_rev": "2-c", "_deleted": true }));
    assert_eq!(calls[0][0], (json!({ "_id": "r", "_rev": "1-a", "n": 1 }), Value::Null, true));
    // What is here but no leaf any more, and a revision that comes twice.
    let documents = [
        json!({ "_id": "u", "_rev": "1-a", "n": 1 }),
        json!({ "_id": "u", "_rev": "2-b", "_revisions": path(2, &["b", "a"]) }),
        json!({ "_id": "u", "_rev": "2-c", "_revisions": path(2, &["c", "a"]) }),
        json!({ "_id": "u", "_rev": "2-c" }),
    ];
    assert!(replicate(&database, &documents).iter().all(Result::is_ok));
    let calls = rules.take();
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(calls[1][1].1, json!({ "_id": "u", "_rev": "1-a", "n": 1 }));
}

#[test]
fn what_is_not_written_and_what_is_the_databases_own_is_not_shown() {
    let (database, rules) = open();
    let rev = put(&database, &json!({ "_id": "a" })).unwrap();
    replicate(&database, &[json!({ "_id": "r", "_rev": "1-a" })]);
    rules.take();
    assert_eq!(put(&database, &json!({ "_id": "a" })), Err(WriteError::Conflict));
    put(&database, &json!({ "_id": "_local/checkpoint", "no": "never" })).unwrap();
    put(&database, &json!({ "_id": "_design/views", "no": "never" })).unwrap();
    replicate(&database, &[json!({ "_id": "_design/more", "_rev": "1-a", "no": "never" })]);
    // Revisions that are here already, one of them not a leaf any more.
    let next = put(&database, &json!({ "_id": "a", "_rev": rev, "n": 2 })).unwrap();
    rules.take();
    let rows = replicate(
        &database,
        &[
            json!({ "_id": "a", "_rev": rev }),
            json!({ "_id": "a", "_rev": next, "n": 2 }),
            json!({ "_id": "r", "_rev": "1-a" }),
        ],
    );
    assert!(rows.iter().all(Result::is_ok), "{rows:?}");
    assert_eq!(rules.take(), Vec::<Vec<Seen>>::new());
    // The name of an ancestor is not its body: that is new.
    replicate(
        &database,
        &[
            json!({ "_id": "t", "_rev": "2-b", "_revisions": { "start": 2, "ids": ["b", "a"] } }),
            json!({ "_id": "t", "_rev": "1-a", "no": "not this one" }),
        ],
    );
    assert_eq!(rules.take().concat().len(), 2);
}

#[test]
fn without_a_verdict_nothing_of_the_batch_is_written() {
    let (database, rules) = open();
    put(&database, &json!({ "_id": "a" })).unwrap();
    let before = dump(&database);
    for failure in [LogicError::TooSlow("for 1 ms".into()), LogicError::Failed("the worker is gone".into())] {
        rules.failure.replace(Some(failure.clone()));
        let texts = [br#"{"_id":"b"}"#.as_slice(), br#"{"_id":"c"}"#];
        let error = block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap_err();
        assert_eq!(error, WriteError::Logic(failure.clone()));
        assert_eq!((error.report().status, error.report().name), (500, "logic_failed"));
        assert_eq!(put(&database, &json!({ "_id": "b" })), Err(WriteError::Logic(failure)));
    }
    assert_eq!(dump(&database), before);
    rules.failure.replace(None);
    put(&database, &json!({ "_id": "b" })).unwrap();
}

#[test]
fn many_large_documents_are_shown_a_few_megabytes_at_a_time() {
    let (database, rules) = open();
    let documents: Vec<Value> =
        (0..12).map(|n| json!({ "_id": format!("d{n:02}"), "text": "x".repeat(1 << 20) })).collect();
    let rows = bulk(&database, &documents, true, &WriteOptions::default());
    assert!(rows.iter().all(Result::is_ok));
    let calls = rules.take();
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4]);
    assert_eq!(
        calls.concat().iter().map(|seen| &seen.0["_id"]).collect::<Vec<_>>(),
        documents.iter().map(|doc| &doc["_id"]).collect::<Vec<_>>()
    );
}

/// Random batches, local and replicated, in a database with rules; and in one without, which is given only what the rules
/// let through, as they shape it. Both hold the same records then: bodies, trees, feed, index and counts.
#[test]
fn refused_documents_leave_no_trace_in_any_record() {
    let (mut refused, mut written) = (0, 0);
    for seed in 0..150 {
        let (random, rules) = (Seeded::new(seed), Rc::new(Rules::default()));
        let (plain, ruled) = (open_plain(seed), open_plain(seed).with_logic(rules));
        for step in 0..12 {
            let replicated = random.below(2) == 0;
            let (force, atomic) = (random.below(2) == 0, random.below(4) == 0);
            let write = WriteOptions { force, atomic, ..WriteOptions::default() };
            let document =
                |n| if replicated { any_revision(&random) } else { any_edit(&random, &ruled, step * 10 + n) };
            let mut documents: Vec<Value> = (0..1 + random.below(5)).map(document).collect();
            // A document has its place in the feed by the first that a batch says of it, refused or not.
            let is_refused = |document: &Value| document["no"].is_string();
            let first = |id: &Value, all: &[Value]| all.iter().find(|other| other["_id"] == *id).unwrap().clone();
            let all = documents.clone();
            documents.retain(|document| is_refused(document) || !is_refused(&first(&document["_id"], &all)));
            let rows = bulk(&ruled, &documents, !replicated, &write);
            let judged = documents.iter().map(|document| judge(document, replicated));
            let let_through: Vec<Value> = documents
                .iter()
                .zip(judged)
                .filter_map(|(document, verdict)| match verdict {
                    Verdict::Accept => Some(document.clone()),
                    Verdict::Shape(text) => Some(serde_json::from_slice(&text).unwrap()),
                    _ => None,
                })
                .collect();
            if !write.atomic || let_through.len() == documents.len() {
                bulk(&plain, &let_through, !replicated, &write);
            }
            refused += rows.iter().filter(|row| matches!(told(row).0, 401 | 403)).count();
            written += rows.iter().filter(|row| row.is_ok()).count();
            assert_eq!(dump(&ruled), dump(&plain), "seed {seed}, step {step}: {documents:?}");
        }
    }
    assert!(refused > 500 && written > 500, "{refused} refused, {written} written");
}

/// An edit of one of a few documents, on its winner, on none or on one that may not be there.
fn any_edit(random: &Seeded, database: &Memory, n: usize) -> Value {
    let id = format!("e{}", random.below(4));
    let mut document = json!({ "_id": id, "n": n, "deep": { "tags": ["x", n % 3] } });
    match random.below(4) {
        0 => document["_rev"] = json!("1-00000000000000000000000000000000"),
        1 => {}
        _ => {
            if let Some(here) = get(database, &id) {
                document["_rev"] = here["_rev"].clone();
            }
        }
    }
    match random.below(6) {
        0 | 1 => document["no"] = json!("no"),
        2 => document["stamp"] = json!(n),
        3 => document["_deleted"] = json!(true),
        _ => {}
    }
    document
}

/// A revision of a small tree; its name decides its body and whether it is refused.
fn any_revision(random: &Seeded) -> Value {
    let start = 1 + random.below(3);
    let ids: Vec<String> = (0..start).map(|_| ["a", "b", "c", "d"][random.below(4)].to_owned()).collect();
    let known = 1 + random.below(start);
    let rev = format!("{start}-{}", ids[0]);
    let mut document = json!({
        "_id": format!("r{}", random.below(3)), "_rev": rev, "_revisions": { "start": start, "ids": ids[..known] },
        "n": start, "letter": ids[0],
    });
    if ids[0] == "c" {
        document["_deleted"] = json!(true);
    }
    if ids[0] == "d" {
        document["no"] = json!("no");
    }
    document
}
