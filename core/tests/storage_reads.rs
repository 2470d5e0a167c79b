//! How often the store asks the platform for blocks: once for many, since each step of IndexedDB has its price.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogSnapshot, LogStore, StoreOptions};
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use futures_util::future::join_all;
use pollster::block_on;

/// Counts the steps in which blocks are read, and the blocks.
#[derive(Clone, Debug, Default)]
struct CountedBlocks {
    blocks: MemoryBlocks,
    steps: Rc<Cell<usize>>,
    read: Rc<Cell<usize>>,
}

impl Blocks for CountedBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.steps.set(self.steps.get() + 1);
        self.read.set(self.read.get() + keys.len());
        // Others ask meanwhile.
        let mut asked = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if core::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        self.blocks.commit(batch, durability).await
    }
}

const ENTRIES: usize = 6000;

fn key(place: usize) -> Vec<u8> {
    format!("key {place:06}").into_bytes()
}

fn value(place: usize) -> Vec<u8> {
    // Every thousandth stands in blocks of its own.
    format!("value {place} ").repeat(if place.is_multiple_of(1000) { 9000 } else { 50 }).into_bytes()
}

/// About 6,000 entries in some 100 blocks of a segment, and a few of them newer in a second one; nothing is at hand.
fn cold_store(cache_bytes: usize) -> (CountedBlocks, LogStore<CountedBlocks>) {
    let blocks = CountedBlocks::default();
    let options = StoreOptions { logged_batch_bytes_max: 0, cache_bytes, ..StoreOptions::new([1; 16]) };
    let store = block_on(LogStore::open(blocks.clone(), options.clone())).unwrap();
    let mut batch = Batch::new();
    (0..ENTRIES).for_each(|place| batch.put(&key(place), &value(place)));
    block_on(store.commit(batch, Durability::Relaxed)).unwrap();
    let mut newer = Batch::new();
    (0..ENTRIES).step_by(500).for_each(|place| newer.put(&key(place), b"newer"));
    (1..ENTRIES).step_by(500).for_each(|place| newer.delete(&key(place)));
    block_on(store.commit(newer, Durability::Relaxed)).unwrap();
    block_on(store.close());
    let store = block_on(LogStore::open(blocks.clone(), options)).unwrap();
    blocks.steps.set(0);
    blocks.read.set(0);
    (blocks, store)
}

fn expected(place: usize) -> Option<Vec<u8>> {
    match place % 500 {
        _ if place >= ENTRIES => None,
        0 => Some(b"newer".to_vec()),
        1 => None,
        _ => Some(value(place)),
    }
}

fn compare(snapshot: &LogSnapshot<CountedBlocks>, places: &[usize]) {
    let keys: Vec<Vec<u8>> = places.iter().map(|place| key(*place)).collect();
    let found = block_on(snapshot.get_many(&keys)).unwrap();
    for (place, found) in places.iter().zip(found) {
        assert!(found == expected(*place), "the value at {place}");
    }
}

#[test]
fn many_keys_are_read_level_by_level_and_not_one_by_one() {
    let (blocks, store) = cold_store(32 * 1024 * 1024);
    let places: Vec<usize> =
        (0..200).map(|n| n * 37 % 7000).filter(|place: &usize| !place.is_multiple_of(1000)).collect();
    compare(&store.snapshot().unwrap(), &places);
    let (steps, read) = (blocks.steps.get(), blocks.read.get());
    assert!(steps <= 7 && read > 60, "{read} blocks in {steps} steps");
    compare(&store.snapshot().unwrap(), &places);
    assert_eq!(blocks.steps.get(), steps, "what was read is at hand");
}

#[test]
fn many_keys_are_found_without_a_cache() {
    let (blocks, store) = cold_store(0);
    let places: Vec<usize> = (0..500).map(|n| n * 61 % 7000).collect();
    compare(&store.snapshot().unwrap(), &places);
    assert!(blocks.steps.get() < 30, "{} steps", blocks.steps.get());
}

#[test]
fn a_long_walk_reads_ahead_and_a_short_one_does_not() {
    for direction in [Direction::Forward, Direction::Backward] {
        let (blocks, store) = cold_store(32 * 1024 * 1024);
        let mut cursor = store.snapshot().unwrap().range(KeyRange::all(), direction).unwrap();
        for _ in 0..20 {
            assert!(block_on(cursor.advance()).unwrap());
        }
        assert!(blocks.read.get() <= 6, "{} blocks for 20 entries", blocks.read.get());
        let mut walked = 20;
        while block_on(cursor.advance()).unwrap() {
            walked += 1;
        }
        assert_eq!(walked, ENTRIES - ENTRIES / 500);
        let (steps, read) = (blocks.steps.get(), blocks.read.get());
        assert!(read > 90 && steps < read / 4, "{direction:?}: {read} blocks in {steps} steps");
    }
}

#[test]
fn a_walk_reads_nothing_ahead_beyond_its_range() {
    for direction in [Direction::Forward, Direction::Backward] {
        let (blocks, store) = cold_store(32 * 1024 * 1024);
        let range = KeyRange { start: key(2500), end: Some(key(2740)) };
        let mut cursor = store.snapshot().unwrap().range(range, direction).unwrap();
        let mut walked = 0;
        while block_on(cursor.advance()).unwrap() {
            walked += 1;
        }
        assert_eq!(walked, 239);
        // The entries fill some 18 blocks; each segment has its index, and the newer one a block.
        assert!(blocks.read.get() <= 22, "{} blocks for 239 entries of 600 bytes", blocks.read.get());
    }
}

#[test]
fn point_reads_of_a_store_that_fits_the_cache_read_neighbours_too() {
    let steps = |cache_bytes| {
        let (blocks, store) = cold_store(cache_bytes);
        let snapshot = store.snapshot().unwrap();
        for place in (0..ENTRIES).filter(|place| place % 13 == 5) {
            assert!(block_on(snapshot.get(&key(place))).unwrap() == expected(place), "the value at {place}");
        }
        blocks.steps.get()
    };
    let (roomy, narrow) = (steps(64 * 1024 * 1024), steps(2 * 1024 * 1024));
    assert!(roomy * 3 < narrow, "{roomy} steps with room for all, {narrow} without");
}

#[test]
fn scattered_point_reads_begin_with_little_and_soon_have_all_at_hand() {
    let (blocks, store) = cold_store(64 * 1024 * 1024);
    let snapshot = store.snapshot().unwrap();
    let get = |place: usize| assert!(block_on(snapshot.get(&key(place))).unwrap() == expected(place), "at {place}");
    let at = |step: usize| step * 3_583 % ENTRIES;
    get(at(1));
    assert!(blocks.read.get() <= 10, "{} blocks for one value", blocks.read.get());
    (2..ENTRIES).map(at).filter(|place| !place.is_multiple_of(1000)).for_each(get);
    let (steps, read) = (blocks.steps.get(), blocks.read.get());
    assert!(steps <= 20, "{steps} steps for {read} blocks");
    (1..ENTRIES).map(at).filter(|place| !place.is_multiple_of(1000)).for_each(get);
    assert_eq!((blocks.steps.get(), blocks.read.get()), (steps, read));
    let there = block_on(blocks.keys(BlockKey::segment(0), BlockKey::epoch())).unwrap().len();
    assert!(read <= there, "{read} blocks read of {there}");
}

/// A store in which every sixth entry stands in the same of six segments.
fn six_segments(cache_bytes: usize) -> (CountedBlocks, StoreOptions) {
    let blocks = CountedBlocks::default();
    let options = StoreOptions { logged_batch_bytes_max: 0, cache_bytes, ..StoreOptions::new([1; 16]) };
    let store = block_on(LogStore::open(blocks.clone(), options.clone())).unwrap();
    for segment in 0..6 {
        let mut batch = Batch::new();
        (segment..ENTRIES).step_by(6).for_each(|place| batch.put(&key(place), &value(place)));
        block_on(store.commit(batch, Durability::Relaxed)).unwrap();
    }
    block_on(store.close());
    (blocks, options)
}

#[test]
fn a_value_costs_one_step_for_the_filters_of_all_segments_and_one_for_each_level() {
    let (blocks, options) = six_segments(64 * 1024 * 1024);
    for place in [601, 602, 603, 604, 605, 606] {
        let store = block_on(LogStore::open(blocks.clone(), options.clone())).unwrap();
        blocks.steps.set(0);
        assert!(block_on(store.snapshot().unwrap().get(&key(place))).unwrap() == Some(value(place)));
        assert_eq!(blocks.steps.get(), 2, "steps for the value at {place}");
        block_on(store.close());
    }
}

#[test]
fn values_of_all_segments_cost_one_step_for_the_filters_and_one_for_each_level() {
    let (blocks, options) = six_segments(64 * 1024 * 1024);
    let store = block_on(LogStore::open(blocks.clone(), options)).unwrap();
    blocks.steps.set(0);
    compare(&store.snapshot().unwrap(), &[601, 1202, 1803, 2404, 3005, 3606]);
    assert_eq!(blocks.steps.get(), 2);
}

#[test]
fn of_values_that_are_asked_for_at_once_one_at_a_time_has_neighbours_read() {
    let (blocks, store) = cold_store(64 * 1024 * 1024);
    let snapshot = store.snapshot().unwrap();
    let keys: Vec<Vec<u8>> = (2..ENTRIES).step_by(30).map(key).collect();
    let found = block_on(join_all(keys.iter().map(|key| snapshot.get(key))));
    assert!(found.into_iter().all(|found| found.unwrap().is_some()));
    let there = block_on(blocks.keys(BlockKey::segment(0), BlockKey::epoch())).unwrap().len();
    // Of each value what it takes alone, whoever else is reading that: of two segments the filter, the root and a block with entries.
    assert!(blocks.read.get() < 6 * keys.len() + there, "{} blocks read of {there}", blocks.read.get());
}

#[test]
fn segments_that_fit_the_cache_each_and_not_all_are_read_block_by_block() {
    let (blocks, options) = six_segments(2 * 1024 * 1024);
    let store = block_on(LogStore::open(blocks.clone(), options)).unwrap();
    let snapshot = store.snapshot().unwrap();
    blocks.steps.set(0);
    blocks.read.set(0);
    for place in (1..ENTRIES).map(|step| step * 3_583 % ENTRIES).filter(|place| !place.is_multiple_of(1000)) {
        assert!(block_on(snapshot.get(&key(place))).unwrap() == Some(value(place)));
    }
    let (steps, read) = (blocks.steps.get(), blocks.read.get());
    assert!(steps > 1_000 && read < 2 * steps, "{read} blocks in {steps} steps");
}
