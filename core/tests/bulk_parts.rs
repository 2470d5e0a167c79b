//! Batches of so many documents that they are read and staged part by part: they come out as if they were not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::rc::Rc;

use common::{Seeded, put, stored};
use firkin_core::database::{BulkRow, Database, Done, Options, Request, WriteError, WriteOptions};
use firkin_core::logic::{Logic, LogicError, Proposal, Verdict};
use firkin_core::storage::memory::MemoryKv;
use futures_util::future::{LocalBoxFuture, ready};
use pollster::block_on;
use serde_json::{Value, json};

/// More than two parts.
const DOCUMENTS: usize = 2345;

/// Lets all pass. A database that has logic writes each batch as a whole.
struct AllPasses;

impl Logic for AllPasses {
    fn judge(&self, proposals: Vec<Proposal>) -> LocalBoxFuture<'_, Result<Vec<Verdict>, LogicError>> {
        Box::pin(ready(Ok(vec![Verdict::Accept; proposals.len()])))
    }
}

type Memory = Database<MemoryKv>;

/// A database that writes such batches part by part, and one that does not, with the same documents in them.
fn both() -> [Memory; 2] {
    let open = || block_on(Database::open(MemoryKv::new(), &Seeded::new(7), Options::default())).unwrap();
    let both = [open(), open().with_logic(Rc::new(AllPasses))];
    for database in &both {
        put(database, &json!({ "_id": document(2100)["_id"], "kind": "older" })).unwrap();
        put(database, &json!({ "_id": "apart", "kind": 3 })).unwrap();
    }
    both
}

fn document(number: usize) -> Value {
    let id = format!("d{:05}", number * 7919 % 10_007);
    json!({ "_id": id, "kind": number % 5, "tags": [number % 3, "all"], "at": { "n": number } })
}

fn documents() -> Vec<Value> {
    (0..DOCUMENTS).map(document).collect()
}

fn write(database: &Memory, documents: &[Value], options: &WriteOptions) -> Result<Vec<BulkRow>, WriteError> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, true, options))
}

/// Writes the batch to both, which answer and hold the same then; the answer.
fn assert_alike(both: &[Memory; 2], documents: &[Value], options: &WriteOptions) -> Result<Vec<BulkRow>, WriteError> {
    let [in_parts, whole] = both.each_ref().map(|database| write(database, documents, options));
    assert_eq!(in_parts, whole);
    let [in_parts_holds, whole_holds] = both.each_ref().map(|database| stored(database, b""));
    assert!(in_parts_holds == whole_holds, "what is stored differs");
    in_parts
}

#[test]
fn many_documents_leave_what_they_would_leave_as_a_whole() {
    let both = both();
    let request = Request { client: 1, slot: 2, number: 3 };
    let options = WriteOptions { request: Some(request), ..WriteOptions::default() };
    let rows = assert_alike(&both, &documents(), &options).unwrap();
    // The one that is there already is a conflict.
    let refused: Vec<usize> = (0..DOCUMENTS).filter(|place| rows[*place].is_err()).collect();
    assert_eq!(refused, [2100]);
    let done = block_on(both[0].done(&request)).unwrap().unwrap();
    assert_eq!(done.len(), DOCUMENTS);
    let rev = |row: &BulkRow| row.as_ref().ok().map(|written| Done::Rev(written.rev.clone()));
    assert!(done.iter().zip(&rows).all(|(done, row)| rev(row).is_none_or(|rev| *done == rev)));

    // Each is edited, and every tenth removed.
    let edit = |(row, place): (&BulkRow, usize)| {
        let written = row.as_ref().ok()?;
        let removed = place.is_multiple_of(10);
        Some(json!({ "_id": written.id, "_rev": written.rev, "_deleted": removed, "kind": "newer" }))
    };
    let edits: Vec<Value> = rows.iter().zip(0..).filter_map(edit).collect();
    assert!(assert_alike(&both, &edits, &WriteOptions::default()).unwrap().iter().all(Result::is_ok));
}

#[test]
fn a_document_that_occurs_in_two_parts_follows_on_itself() {
    let both = both();
    let first = write(&both[0], &[document(3)], &WriteOptions::default()).unwrap().pop().unwrap().unwrap();
    write(&both[1], &[document(3)], &WriteOptions::default()).unwrap();
    let edit = |kind: &str| json!({ "_id": first.id, "_rev": first.rev, "kind": kind });
    let mut documents: Vec<Value> = documents().into_iter().filter(|document| document["_id"] != first.id).collect();
    documents.insert(5, edit("in the first part"));
    documents.insert(1500, edit("in the second part"));
    let rows = assert_alike(&both, &documents, &WriteOptions::default()).unwrap();
    assert!(rows[5].is_ok());
    assert_eq!(rows[1500].as_ref().unwrap_err().error.status, 409);
}

#[test]
fn what_is_no_document_in_a_later_part_keeps_all_from_being_written() {
    let both = both();
    let before = stored(&both[0], b"");
    let mut documents = documents();
    documents[2200] = json!({ "_id": "_reserved" });
    assert!(assert_alike(&both, &documents, &WriteOptions::default()).is_err());
    assert!(stored(&both[0], b"") == before);
    documents.remove(2200);
    assert_alike(&both, &documents, &WriteOptions::default()).unwrap();
}

#[test]
fn a_conflict_in_a_later_part_refuses_a_batch_that_is_atomic() {
    let both = both();
    let before = stored(&both[0], b"");
    let rows = assert_alike(&both, &documents(), &WriteOptions { atomic: true, ..WriteOptions::default() }).unwrap();
    assert!(rows.iter().all(Result::is_err));
    assert!(stored(&both[0], b"") == before);
}
