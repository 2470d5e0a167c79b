//! The steps that the store takes on its platform: how many at once, and what each has to do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Durability, Kv, Snapshot, StorageError};
use futures_util::FutureExt;
use pollster::block_on;

/// A platform that takes its time for each step.
#[derive(Clone, Debug, Default)]
struct SlowBlocks {
    blocks: MemoryBlocks,
    under_way: Rc<Cell<usize>>,
    /// The most steps that were under way at once.
    most: Rc<Cell<usize>>,
    /// How many blocks each step wrote and deleted.
    steps: Rc<RefCell<Vec<(usize, usize)>>>,
    /// The step that there is no room for, counted down.
    refused: Rc<Cell<Option<usize>>>,
}

impl SlowBlocks {
    /// How many blocks of segments there are.
    fn count(&self) -> usize {
        block_on(self.keys(BlockKey::segment(0), BlockKey::from_u64(u64::MAX >> 11))).unwrap().len()
    }
}

impl Blocks for SlowBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        self.steps.borrow_mut().push((batch.puts.len(), batch.deletes.len()));
        self.under_way.set(self.under_way.get() + 1);
        self.most.set(self.most.get().max(self.under_way.get()));
        let refused = self.refused.get();
        self.refused.set(refused.and_then(|left| left.checked_sub(1)));
        let mut waits = 10;
        poll_fn(|context| {
            waits -= 1;
            context.waker().wake_by_ref();
            if waits == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let done = match refused {
            Some(0) => Err(StorageError::QuotaExceeded),
            _ => self.blocks.commit(batch, durability).await,
        };
        self.under_way.set(self.under_way.get() - 1);
        done
    }
}

const VALUE: [u8; 1000] = [7; 1000];

fn batch(keys: std::ops::Range<usize>) -> Batch {
    let mut batch = Batch::new();
    keys.for_each(|place| batch.put(format!("key {place:06}").as_bytes(), &VALUE));
    batch
}

/// A store of which each step writes about 16 KiB.
fn open(blocks: &SlowBlocks) -> LogStore<SlowBlocks> {
    let options = StoreOptions { step_bytes: 16 * 1024, ..StoreOptions::new([1; 16]) };
    block_on(LogStore::open(blocks.clone(), options)).unwrap()
}

fn held(store: &LogStore<SlowBlocks>, place: usize) -> bool {
    let key = format!("key {place:06}");
    block_on(store.snapshot().unwrap().get(key.as_bytes())).unwrap().is_some()
}

#[test]
fn a_large_commit_has_a_few_steps_under_way_at_once() {
    let blocks = SlowBlocks::default();
    let store = open(&blocks);
    block_on(store.commit(batch(0..1000), Durability::Relaxed)).unwrap();
    assert!(blocks.steps.borrow().len() > 20, "{:?}", blocks.steps);
    assert!((2..=4).contains(&blocks.most.get()), "{:?}", blocks.most);
    assert_eq!(blocks.under_way.get(), 0);
    let again = open(&blocks);
    assert!((0..1000).all(|place| held(&again, place)));
}

#[test]
fn a_large_commit_that_fails_leaves_no_step_under_way_and_nothing_that_counts() {
    for refused in 0..40 {
        let blocks = SlowBlocks::default();
        let store = open(&blocks);
        block_on(store.commit(batch(0..10), Durability::Relaxed)).unwrap();
        blocks.refused.set(Some(refused));
        let done = block_on(store.commit(batch(10..500), Durability::Relaxed));
        assert_eq!(blocks.under_way.get(), 0);
        assert_eq!(done.is_err(), blocks.refused.get().is_none(), "{refused}");
        assert_eq!(held(&store, 300), done.is_ok());
        // There is room again.
        blocks.refused.set(None);
        block_on(store.commit(batch(500..600), Durability::Relaxed)).unwrap();
        let again = open(&blocks);
        let all = |keys: std::ops::Range<usize>| keys.filter(|place| held(&again, *place)).count();
        assert_eq!((all(0..10), all(10..500), all(500..600)), (10, if done.is_ok() { 490 } else { 0 }, 100));
    }
}

#[test]
fn a_small_commit_writes_its_record_and_no_more_while_there_are_blocks_to_delete() {
    let blocks = SlowBlocks::default();
    let store = open(&blocks);
    for _ in 0..4 {
        block_on(store.commit(batch(0..1000), Durability::Relaxed)).unwrap();
    }
    // Four segments become one, and three quarters of the blocks are there to be deleted.
    while blocks.steps.borrow().last().is_none_or(|(_, deleted)| *deleted == 0) {
        assert!(block_on(store.maintain(64 * 1024)).unwrap());
    }
    blocks.steps.borrow_mut().clear();
    for place in 2000..2010 {
        block_on(store.commit(batch(place..place + 1), Durability::Relaxed)).unwrap();
    }
    assert_eq!(*blocks.steps.borrow(), [(1, 0); 10]);
    let before = blocks.count();
    while block_on(store.maintain(64 * 1024)).unwrap() {}
    assert!(blocks.count() * 2 < before, "{before}");
}

#[test]
fn what_a_reader_held_is_deleted_once_it_has_ended_and_something_is_written() {
    let blocks = SlowBlocks::default();
    let store = open(&blocks);
    for _ in 0..4 {
        block_on(store.commit(batch(0..1000), Durability::Relaxed)).unwrap();
    }
    let reader = store.snapshot().unwrap();
    let due = store.maintenance_due();
    while block_on(store.maintain(64 * 1024)).unwrap() {}
    assert!(due.now_or_never().is_some(), "the merge has come to its end");
    let due = store.maintenance_due();
    let held = blocks.count();
    block_on(store.commit(batch(2000..2001), Durability::Relaxed)).unwrap();
    drop(reader);
    let mut due = due.fuse();
    assert!((&mut due).now_or_never().is_none(), "there was nothing to do yet");
    block_on(store.commit(batch(2001..2002), Durability::Relaxed)).unwrap();
    assert!(due.now_or_never().is_some());
    while block_on(store.maintain(64 * 1024)).unwrap() {}
    assert!(blocks.count() * 2 < held, "{held}");
}

#[test]
fn what_a_large_commit_left_that_failed_is_deleted_without_another_write() {
    let blocks = SlowBlocks::default();
    let store = open(&blocks);
    block_on(store.commit(batch(0..10), Durability::Relaxed)).unwrap();
    while block_on(store.maintain(64 * 1024)).unwrap() {}
    let (before, due) = (blocks.count(), store.maintenance_due());
    blocks.refused.set(Some(20));
    assert_eq!(block_on(store.commit(batch(10..500), Durability::Relaxed)), Err(StorageError::QuotaExceeded));
    assert!(blocks.count() > before);
    assert!(due.now_or_never().is_some());
    while block_on(store.maintain(64 * 1024)).unwrap() {}
    assert_eq!(blocks.count(), before);
}
