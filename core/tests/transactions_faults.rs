//! Transactions on a disk that fails on purpose.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
#[allow(dead_code)]
mod storage_simulation;

use common::Seeded;
use firkin_core::database::{
    AllDocsQuery, CommitOptions, Database, GetOptions, Options, Request, TransactionError, WriteOptions,
};
use firkin_core::query::FindQuery;
use firkin_core::storage::StorageError;
use firkin_core::storage::store::{LogStore, StoreOptions};
use pollster::block_on;
use serde_json::{Value, json};
use storage_simulation::{Faults, FaultyBlocks};

type Subject = Database<LogStore<FaultyBlocks>>;

fn open(disk: &FaultyBlocks, opening: u8) -> Subject {
    let options = StoreOptions {
        cache_bytes: 0,
        memtable_bytes_max: 3_000,
        logged_batch_bytes_max: 2_000,
        step_bytes: 1_000,
        ..StoreOptions::new([opening; 16])
    };
    let store = block_on(LogStore::open(disk.clone(), options)).unwrap();
    block_on(Database::open(store, &Seeded::new(u64::from(opening)), Options::default())).unwrap()
}

fn members(database: &Subject) -> Vec<Value> {
    let query = AllDocsQuery { include_docs: true, ..AllDocsQuery::default() };
    let answer: Value = serde_json::from_slice(&block_on(database.all_docs(&query)).unwrap()).unwrap();
    answer["rows"].as_array().unwrap().iter().map(|row| row["doc"]["n"].clone()).collect()
}

/// Writes `n` to all documents, as one transaction that a request asks for.
async fn write_all(database: &Subject, n: usize, request: Request) -> Result<(), TransactionError> {
    let mut tx = database.begin()?;
    for place in 0..6 {
        let patch = json!([
            { "op": "add", "path": "/n", "value": n },
            { "op": "add", "path": "/filler", "value": "x".repeat(100 * (n % 7)) },
        ]);
        let id = format!("d{place}");
        tx.patch(database, &id, patch.to_string().as_bytes()).await?;
    }
    let options = CommitOptions { request: Some(request), ..CommitOptions::default() };
    database.commit(tx, &options).await.map(|_| ())
}

/// A crash in the middle of commits, again and again: a transaction is there whole or not at all, an acknowledged one always, and
/// the next to open the store can tell of each which it is.
#[test]
fn a_transaction_is_all_or_nothing_and_the_next_engine_knows_which_after_a_crash() {
    let (mut lost, mut landed) = (0, 0);
    for seed in 0..150 {
        let disk = FaultyBlocks::new(seed);
        let mut database = open(&disk, 0);
        for place in 0..6 {
            let document = json!({ "_id": format!("d{place}"), "n": 0 }).to_string();
            block_on(database.put(document.as_bytes(), &WriteOptions::default())).unwrap();
        }
        let mut current = 0;
        for n in 1..12 {
            disk.set_faults(Faults { crash: 6, ..Faults::default() });
            let request = Request { client: seed, slot: n as u32 % 2, number: n as u32 };
            let outcome = disk.drive(false, write_all(&database, n, request));
            disk.set_faults(Faults::default());
            match outcome {
                Some(Ok(_)) => current = n,
                Some(Err(error)) => panic!("seed {seed}: {error}"),
                None => {
                    disk.restart(false);
                    database = open(&disk, n as u8);
                    match block_on(database.done(&request)).unwrap() {
                        Some(_) => (current, landed) = (n, landed + 1),
                        None => lost += 1,
                    }
                }
            }
            assert_eq!(members(&database), vec![json!(current); 6], "seed {seed}");
        }
    }
    assert!(lost > 20 && landed > 20, "{lost} lost, {landed} landed");
}

#[test]
fn a_commit_that_the_disk_refuses_writes_nothing_and_is_told() {
    let disk = FaultyBlocks::new(1);
    let database = open(&disk, 0);
    let document = json!({ "_id": "d0", "n": 0 }).to_string();
    block_on(database.put(document.as_bytes(), &WriteOptions::default())).unwrap();
    let mut tx = database.begin().unwrap();
    block_on(tx.patch(&database, "d0", br#"[{"op":"add","path":"/n","value":1}]"#)).unwrap();
    disk.set_faults(Faults { refused_step: 1, ..Faults::default() });
    let refused = block_on(database.commit(tx, &CommitOptions::default())).unwrap_err();
    assert_eq!((refused.report().status, refused.report().name), (507, "quota_exceeded"));
    disk.set_faults(Faults::default());
    assert_eq!(members(&database), [json!(0)]);
}

#[test]
fn a_transaction_whose_writes_could_not_be_read_does_not_go_on() {
    let disk = FaultyBlocks::new(1);
    let database = open(&disk, 0);
    // So much that it stands in segments, and must be read again.
    for place in 0..40 {
        let document = json!({ "_id": format!("d{place:02}"), "n": place, "filler": "x".repeat(300) }).to_string();
        block_on(database.put(document.as_bytes(), &WriteOptions::default())).unwrap();
    }
    let query = || FindQuery::parse(br#"{"selector":{"n":7}}"#).unwrap();
    let mut failed = 0;
    for seed in 0..200 {
        disk.set_faults(Faults::default());
        let mut tx = database.begin().unwrap();
        block_on(tx.patch(&database, "d03", br#"[{"op":"replace","path":"/n","value":7}]"#)).unwrap();
        disk.set_faults(Faults { failed_read: 2 + seed % 9, ..Faults::default() });
        let found = block_on(tx.find(&database, query()));
        disk.set_faults(Faults::default());
        let again = block_on(tx.find(&database, query()));
        // Either it is answered as it should be, or never again.
        match &again {
            Ok(page) => assert_eq!(page.docs.len(), 2),
            Err(_) => {
                failed += 1;
                assert!(found.is_err());
                assert!(block_on(tx.get(&database, "d03", &GetOptions::default())).is_err());
                assert!(block_on(tx.put(&database, br#"{"_id":"new"}"#)).is_err());
                let refused = block_on(database.commit(tx, &CommitOptions::default()));
                assert!(matches!(refused, Err(TransactionError::Storage(StorageError::Failed(_)))), "{refused:?}");
            }
        }
    }
    assert!(failed > 20, "only {failed} failed");
    assert!(block_on(database.get("new", &GetOptions::default())).is_err());
}
