//! Writes that wait for one another are joined: they cost few steps of the platform, each is told its own outcome, and none is
//! told what is not there.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use common::{Seeded, get, told};
use firkin_core::database::{Database, GetOptions, Options, WriteOptions, Written};
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Durability, Kv, Snapshot, StorageError};
use futures_util::future::join_all;
use pollster::block_on;
use serde_json::json;

/// Blocks whose steps take a while, as those of a browser do.
#[derive(Clone, Default)]
struct Slow {
    blocks: MemoryBlocks,
    steps: Rc<Cell<usize>>,
    strict: Rc<Cell<usize>>,
    /// How many of the next steps with more than so many bytes are refused.
    refused: Rc<Cell<usize>>,
    refused_from_bytes: Rc<Cell<usize>>,
    unknown: Rc<Cell<bool>>,
}

impl Blocks for Slow {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        let mut turns = 3;
        poll_fn(|context| {
            turns -= 1;
            context.waker().wake_by_ref();
            if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.steps.set(self.steps.get() + 1);
        self.strict.set(self.strict.get() + usize::from(durability == Durability::Strict));
        let bytes: usize = batch.puts.iter().map(|(_, block)| block.len()).sum();
        if self.refused.get() > 0 && bytes >= self.refused_from_bytes.get() {
            self.refused.set(self.refused.get() - 1);
            return Err(StorageError::QuotaExceeded);
        }
        if self.unknown.get() {
            return Err(StorageError::Closed);
        }
        self.blocks.commit(batch, durability).await
    }
}

type Replica = Database<LogStore<Slow>>;

fn open() -> (Replica, Slow) {
    let disk = Slow::default();
    let database = block_on(async {
        let store = LogStore::open(disk.clone(), StoreOptions::new([1; 16])).await.unwrap();
        Database::open(store, &Seeded::new(1), Options::default()).await.unwrap()
    });
    disk.steps.set(0);
    (database, disk)
}

/// Writes documents at once; what each caller is told.
fn put_at_once(
    database: &Replica,
    documents: &[serde_json::Value],
) -> Vec<Result<Written, (u16, &'static str, String)>> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let write = WriteOptions::default();
    let puts = block_on(join_all(texts.iter().map(|text| database.put(text.as_bytes(), &write))));
    puts.into_iter().map(|put| put.map_err(|error| told(error.report()))).collect()
}

#[test]
fn fifty_puts_at_once_cost_two_steps() {
    let (database, disk) = open();
    let documents: Vec<_> = (0..50).map(|number| json!({ "_id": format!("d{number}"), "n": number })).collect();
    let outcomes = put_at_once(&database, &documents);
    assert!(disk.steps.get() <= 3, "{} steps", disk.steps.get());
    for (document, outcome) in documents.iter().zip(outcomes) {
        let read = get(&database, document["_id"].as_str().unwrap(), &GetOptions::default()).unwrap();
        assert_eq!((&read["n"], read["_rev"].as_str()), (&document["n"], Some(outcome.unwrap().rev.as_str())));
    }
    assert_eq!(block_on(database.info()).unwrap().doc_count, 50);
}

#[test]
fn joined_writes_of_one_document_are_checked_against_each_other() {
    let (database, _) = open();
    let first = common::put(&database, &json!({ "_id": "a" })).unwrap();
    let outcomes = put_at_once(
        &database,
        &[
            json!({ "_id": "first" }),
            json!({ "_id": "a", "_rev": first, "n": 1 }),
            json!({ "_id": "a", "_rev": first, "n": 2 }),
        ],
    );
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok());
    assert_eq!(outcomes[2].as_ref().unwrap_err().0, 409);
    assert_eq!(get(&database, "a", &GetOptions::default()).unwrap()["n"], 1);
}

#[test]
fn a_conflict_with_a_write_that_failed_is_not_told() {
    let (database, disk) = open();
    // The first step is that of "first"; then the two others together, and the first of them alone, are refused.
    disk.refused_from_bytes.set(0);
    let texts = [json!({ "_id": "a", "n": 1 }).to_string(), json!({ "_id": "a", "n": 2 }).to_string()];
    let write = WriteOptions::default();
    let outcomes = block_on(async {
        let first = database.put(br#"{"_id":"first"}"#, &write);
        let arm = async {
            disk.refused.set(0);
            while disk.steps.get() == 0 {
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    Poll::Ready(())
                })
                .await;
                futures_util::future::ready(()).await;
                pending_once().await;
            }
            disk.refused.set(2);
        };
        let ((), first, one, other) =
            join4(arm, first, database.put(texts[0].as_bytes(), &write), database.put(texts[1].as_bytes(), &write))
                .await;
        first.unwrap();
        [one, other]
    });
    let [one, other] = outcomes;
    assert_eq!(told(one.unwrap_err().report()).0, 507);
    // Alone it is no conflict: what it would have clashed with is not there.
    other.unwrap();
    assert_eq!(get(&database, "a", &GetOptions::default()).unwrap()["n"], 2);
}

async fn pending_once() {
    let mut is_first = true;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

async fn join4<A, B, C, D>(
    a: impl Future<Output = A>,
    b: impl Future<Output = B>,
    c: impl Future<Output = C>,
    d: impl Future<Output = D>,
) -> (A, B, C, D) {
    let ((a, b), (c, d)) =
        futures_util::future::join(futures_util::future::join(a, b), futures_util::future::join(c, d)).await;
    (a, b, c, d)
}

#[test]
fn one_strict_write_makes_the_step_strict_for_all() {
    let (database, disk) = open();
    let strict = WriteOptions { durability: Some(Durability::Strict), ..WriteOptions::default() };
    let relaxed = WriteOptions::default();
    block_on(async {
        let (first, one, other, third) = join4(
            database.put(br#"{"_id":"first"}"#, &relaxed),
            database.put(br#"{"_id":"a"}"#, &relaxed),
            database.put(br#"{"_id":"b"}"#, &strict),
            database.put(br#"{"_id":"c"}"#, &relaxed),
        )
        .await;
        assert!([first, one, other, third].iter().all(Result::is_ok));
    });
    assert_eq!((disk.steps.get(), disk.strict.get()), (2, 1));
}

#[test]
fn an_outcome_that_nobody_knows_is_told_to_all() {
    let (database, disk) = open();
    disk.unknown.set(true);
    let outcomes = put_at_once(&database, &[json!({ "_id": "a" }), json!({ "_id": "a" }), json!({ "_id": "b" })]);
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().0 == 503), "{outcomes:?}");
}

#[test]
fn commits_of_the_store_that_wait_are_one_record_in_order() {
    let disk = Slow::default();
    block_on(async {
        let store = LogStore::open(disk.clone(), StoreOptions::new([1; 16])).await.unwrap();
        disk.steps.set(0);
        let commits = (0..20_u8).map(|number| {
            let mut batch = Batch::new();
            batch.put(b"last", &[number]);
            batch.put(&[number], b"");
            store.commit(batch, Durability::Relaxed)
        });
        assert!(join_all(commits).await.iter().all(Result::is_ok));
        assert_eq!(disk.steps.get(), 2);
        for store in [&store, &LogStore::open(disk.clone(), StoreOptions::new([2; 16])).await.unwrap()] {
            let snapshot = store.snapshot().unwrap();
            assert_eq!(snapshot.get(b"last").await.unwrap(), Some(vec![19]));
            assert_eq!(snapshot.get(&[7]).await.unwrap(), Some(Vec::new()));
        }
    });
}

#[test]
fn a_commit_that_has_no_room_does_not_take_the_others_with_it() {
    let disk = Slow::default();
    block_on(async {
        let store = LogStore::open(disk.clone(), StoreOptions::new([1; 16])).await.unwrap();
        disk.refused.set(100);
        disk.refused_from_bytes.set(50_000);
        let commits = (0..5_u8).map(|number| {
            let mut batch = Batch::new();
            batch.put(&[number], &vec![0; if number == 3 { 60_000 } else { 10 }]);
            store.commit(batch, Durability::Relaxed)
        });
        let outcomes = join_all(commits).await;
        let refused: Vec<bool> = outcomes.iter().map(|outcome| *outcome == Err(StorageError::QuotaExceeded)).collect();
        assert_eq!(refused, [false, false, false, true, false]);
        assert_eq!(store.snapshot().unwrap().get(&[4]).await.unwrap(), Some(vec![0; 10]));
        assert_eq!(store.snapshot().unwrap().get(&[3]).await.unwrap(), None);
    });
}
