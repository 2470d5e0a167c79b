//! Filters of segments: keys that are not there are not looked for, one by one or many at once.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::Cell;
use std::rc::Rc;

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogSnapshot, LogStore, StoreOptions};
use firkin_core::storage::{Batch, Durability, Kv, Snapshot, StorageError};
use pollster::block_on;

#[derive(Clone, Default)]
struct Counting {
    blocks: MemoryBlocks,
    steps: Rc<Cell<usize>>,
    read: Rc<Cell<usize>>,
}

impl Counting {
    /// Steps and blocks that `work` read.
    async fn of(&self, work: impl Future<Output = ()>) -> (usize, usize) {
        self.steps.set(0);
        self.read.set(0);
        work.await;
        (self.steps.get(), self.read.get())
    }
}

impl Blocks for Counting {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.steps.set(self.steps.get() + 1);
        self.read.set(self.read.get() + keys.len());
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        self.blocks.commit(batch, durability).await
    }
}

/// The name of a document as a random id is: neighbours have nothing in common.
fn key(number: u32) -> Vec<u8> {
    let mixed = u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("d{:016x}", mixed ^ (mixed >> 29)).into_bytes()
}

fn body(number: u32) -> Vec<u8> {
    [b"b", &key(number)[1..]].concat()
}

/// A store of `count` documents, each with a head, a body and some postings, opened anew.
async fn store_of(count: u32, unfiltered: &'static [u8]) -> (LogStore<Counting>, Counting) {
    let blocks = Counting::default();
    let options = || StoreOptions { unfiltered, ..StoreOptions::new([1; 16]) };
    let store = LogStore::open(blocks.clone(), options()).await.unwrap();
    let numbers: Vec<u32> = (0..count).collect();
    for numbers in numbers.chunks(5_000) {
        let mut batch = Batch::new();
        for number in numbers {
            batch.put(&key(*number), &[b'h'; 30]);
            batch.put(&body(*number), &[b'v'; 300]);
            for posting in 0..4_u8 {
                batch.put(&[b"i", [posting].as_slice(), &key(*number)].concat(), b"");
            }
        }
        store.commit(batch, Durability::Relaxed).await.unwrap();
        while store.maintain(1 << 20).await.unwrap() {}
    }
    store.close().await;
    (LogStore::open(blocks.clone(), options()).await.unwrap(), blocks)
}

async fn get_all(snapshot: &LogSnapshot<Counting>, keys: &[Vec<u8>], expected: bool) {
    for key in keys {
        assert_eq!(snapshot.get(key).await.unwrap().is_some(), expected);
    }
}

#[test]
fn looking_for_keys_that_are_not_there_reads_filters_and_hardly_anything_else() {
    block_on(async {
        let absent: Vec<Vec<u8>> = (1_000_000..1_001_000).map(key).collect();
        let (store, blocks) = store_of(100_000, b"i").await;
        let (with_steps, with) = blocks.of(get_all(&store.snapshot().unwrap(), &absent, false)).await;
        // All keys are left out: no filter.
        let (store, blocks) = store_of(100_000, b"dbi").await;
        let (without_steps, without) = blocks.of(get_all(&store.snapshot().unwrap(), &absent, false)).await;
        println!(
            "1,000 absent keys: {with} blocks in {with_steps} steps, without filters {without} in {without_steps}"
        );
        assert!(with * 3 < without, "{with} blocks and not {without}");
        assert!(with_steps * 5 < without_steps, "{with_steps} steps and not {without_steps}");
    });
}

#[test]
fn a_damaged_filter_costs_reads_and_no_answer() {
    block_on(async {
        let (_, blocks) = store_of(20_000, b"i").await;
        let names = blocks.keys(BlockKey::segment(0), BlockKey::segment((1 << 48) - 1)).await.unwrap();
        let mut damaged = 0;
        for name in names {
            let mut block = blocks.read(&[name]).await.unwrap().remove(0).unwrap();
            // The kind of a filter.
            if block[0] == 6 {
                block[20] ^= 1;
                let puts = vec![(name, block)];
                blocks.commit(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed).await.unwrap();
                damaged += 1;
            }
        }
        assert!(damaged > 1);
        let store =
            LogStore::open(blocks, StoreOptions { unfiltered: b"i", ..StoreOptions::new([2; 16]) }).await.unwrap();
        let snapshot = store.snapshot().unwrap();
        let present: Vec<Vec<u8>> = (0..20_000).step_by(97).map(key).collect();
        let absent: Vec<Vec<u8>> = (1_000_000..1_000_200).map(key).collect();
        get_all(&snapshot, &present, true).await;
        get_all(&snapshot, &absent, false).await;
        assert!(snapshot.get_many(&present).await.unwrap().iter().all(Option::is_some));
        assert!(snapshot.get_many(&absent).await.unwrap().iter().all(Option::is_none));
    });
}

#[test]
fn filters_are_a_small_part_of_what_is_stored() {
    block_on(async {
        let (_, with) = store_of(20_000, b"i").await;
        let (_, without) = store_of(20_000, b"dbi").await;
        let (with, without) = (with.blocks.bytes(), without.blocks.bytes());
        assert!(with > without && with < without + without / 50, "{with} bytes, without filters {without}");
    });
}

#[test]
fn many_keys_at_once_ask_the_filters_too() {
    block_on(async {
        let mut keys: Vec<Vec<u8>> = (1_000_000..1_001_000).map(key).collect();
        let (store, blocks) = store_of(20_000, b"i").await;
        let snapshot = store.snapshot().unwrap();
        let (_, read) =
            blocks.of(async { assert!(snapshot.get_many(&keys).await.unwrap().iter().all(Option::is_none)) }).await;
        assert!(read < 40, "{read} blocks for keys that are not there");
        keys.extend((0..100).map(|number| key(number * 191)));
        let found = snapshot.get_many(&keys).await.unwrap();
        assert!(found.iter().take(1_000).all(Option::is_none) && found.iter().skip(1_000).all(Option::is_some));
    });
}
