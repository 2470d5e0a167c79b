//! Where the time of a bulk write goes: the whole, and its steps, each on the same input and by itself.
//!
//! The steps are those of `bulk_docs` in their order. What the whole takes beyond their sum is what lies between them: looking
//! each document up, heads and nodes, the counts of the index, and that the bulk holds all of it at once.

use std::cell::RefCell;
use std::rc::Rc;

use firkin_core::database::Options;
use firkin_core::document::Document;
use firkin_core::index::{PathIndex, keyspace};
use firkin_core::json::{self, Object, Value, write_object};
use firkin_core::revision::Rev;
use firkin_core::storage::{Batch, Durability, Kv, Operation, Overlay, Snapshot, StorageError};

use crate::fixture::{Fixture, Store, empty_store, open, write_all};
use crate::{Case, Work, now};

pub(super) const CASES: &[Case] = &[
    Case { group: "bulk", name: "whole", what: "all documents as one commit to an empty database", set_up: whole },
    Case { group: "bulk", name: "parse", what: "read the JSON texts, check the documents", set_up: parse },
    Case { group: "bulk", name: "hash", what: "revisions: canonical JSON and SHA-256", set_up: hash },
    Case { group: "bulk", name: "bodies", what: "write the stored texts", set_up: bodies },
    Case { group: "bulk", name: "postings", what: "flatten, encode keys, count, one batch", set_up: postings },
    Case { group: "bulk", name: "sort", what: "put the batch in order", set_up: sort },
    Case { group: "bulk", name: "pack", what: "blocks of a batch that is in order, checksums, commit", set_up: pack },
];

fn whole(fixture: &Fixture) -> Work {
    let texts = fixture.texts().to_vec();
    let count = texts.len();
    Work::with_input(
        || open(empty_store()),
        move |database| (write_all(&database, &texts), database),
        move |(written, database)| {
            *written == count && now(database.info()).is_ok_and(|info| info.doc_count == count as u64)
        },
    )
}

fn parse(fixture: &Fixture) -> Work {
    let texts = fixture.texts().to_vec();
    let expected = documents(fixture);
    Work::new(move || texts.iter().map(|text| document(text)).collect(), move |parsed: &Vec<_>| *parsed == expected)
}

fn hash(fixture: &Fixture) -> Work {
    let documents = documents(fixture);
    let count = documents.len();
    let none = Object::new();
    let run = move || {
        let rev = |document: &Document| Rev::of_edit(None, false, &document.body, &none).unwrap();
        documents.iter().map(rev).collect()
    };
    Work::new(run, move |revs: &Vec<Rev>| revs.len() == count && revs.iter().all(|rev| rev.generation() == 1))
}

fn bodies(fixture: &Fixture) -> Work {
    let documents = documents(fixture);
    let expected: Vec<Value> = documents.iter().map(|document| Value::Object(document.body.clone())).collect();
    let run = move || {
        let text = |document: &Document| {
            let mut text = Vec::new();
            write_object(&document.body, &mut text);
            text
        };
        documents.iter().map(text).collect()
    };
    let is_right = move |bodies: &Vec<Vec<u8>>| {
        bodies.len() == expected.len()
            && bodies.iter().zip(&expected).all(|(body, expected)| json::parse(body).as_ref() == Ok(expected))
    };
    Work::new(run, is_right)
}

fn postings(fixture: &Fixture) -> Work {
    let documents = documents(fixture);
    let committed = committed(fixture);
    let snapshot = empty_store().snapshot().unwrap();
    let run = move || {
        let (index, mut batch) = (PathIndex::default(), Batch::new());
        let mut update = index.update(&snapshot);
        for document in &documents {
            now(update.replace(&document.id, None, Some(&document.body), &mut batch)).unwrap();
        }
        now(update.stage(&mut batch)).unwrap();
        batch
    };
    let count = |batch: &Batch| {
        batch.operations().filter(|operation| operation.key.first() == Some(&keyspace::POSTING)).count()
    };
    Work::new(run, move |batch| count(batch) == count(&committed))
}

fn sort(fixture: &Fixture) -> Work {
    let batch = committed(fixture);
    let sample: Vec<u8> = batch.operations().last().unwrap().key.to_vec();
    let snapshot = empty_store().snapshot().unwrap();
    // A snapshot that is thought further by a batch sorts it, and does no more where it holds nothing yet.
    Work::with_input(
        move || batch.clone(),
        move |batch| snapshot.with(batch).unwrap(),
        move |sorted| now(sorted.get(&sample)).is_ok_and(|value| value.is_some()),
    )
}

fn pack(fixture: &Fixture) -> Work {
    let unordered = committed(fixture);
    let mut operations: Vec<Operation<'_>> = unordered.operations().collect();
    operations.sort_by_key(|operation| operation.key);
    let mut batch = Batch::new();
    for Operation { key, value } in operations {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    let sample: Vec<u8> = unordered.operations().last().unwrap().key.to_vec();
    Work::with_input(
        move || (empty_store(), batch.clone()),
        |(store, batch)| {
            now(store.commit(batch, Durability::Relaxed)).unwrap();
            store
        },
        move |store| now(store.snapshot().unwrap().get(&sample)).is_ok_and(|value| value.is_some()),
    )
}

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes(), Options::default().document_bytes_max).unwrap()
}

fn documents(fixture: &Fixture) -> Vec<Document> {
    fixture.texts().iter().map(|text| document(text)).collect()
}

/// The batch that a bulk write of all documents commits, in the order in which it was made.
fn committed(fixture: &Fixture) -> Batch {
    let recorder = Recorder { store: empty_store(), latest: Rc::default() };
    let latest = Rc::clone(&recorder.latest);
    write_all(&open(recorder), fixture.texts());
    latest.take()
}

/// A store that keeps the latest batch.
struct Recorder {
    store: Store,
    latest: Rc<RefCell<Batch>>,
}

impl Kv for Recorder {
    type Snapshot = <Store as Kv>::Snapshot;

    fn snapshot(&self) -> Result<Self::Snapshot, StorageError> {
        self.store.snapshot()
    }

    async fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StorageError> {
        self.latest.replace(batch.clone());
        self.store.commit(batch, durability).await
    }
}
