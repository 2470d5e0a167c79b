//! A store that nobody else can write is taken over with its first write: who only reads leaves it as it is.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use pollster::block_on;

/// Blocks that nobody else can write, unless it is said otherwise.
#[derive(Clone, Default)]
struct Alone {
    blocks: MemoryBlocks,
    has_others: Rc<Cell<bool>>,
    /// What becomes of the next steps; all is well with others.
    fate: Rc<RefCell<VecDeque<Option<Fate>>>>,
    steps: Rc<Cell<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// There is no room for it.
    Full,
    /// It is done, and nobody hears of it.
    Unheard,
}

impl Blocks for Alone {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    fn is_undisputed(&self) -> bool {
        !self.has_others.get()
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        let fate = self.fate.borrow_mut().pop_front().flatten();
        if fate == Some(Fate::Full) {
            return Err(StorageError::QuotaExceeded);
        }
        self.steps.set(self.steps.get() + 1);
        let done = self.blocks.commit(batch, durability).await;
        if fate == Some(Fate::Unheard) {
            pending::<()>().await;
        }
        done
    }
}

type Store = LogStore<Alone>;

/// Each opening has an epoch of its own.
fn open(blocks: &Alone, epoch: u8) -> Store {
    let options = StoreOptions { memtable_bytes_max: 4_000, step_bytes: 1, ..StoreOptions::new([epoch; 16]) };
    block_on(LogStore::open(blocks.clone(), options)).unwrap()
}

fn batch(key: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key.as_bytes(), key.repeat(50).as_bytes());
    batch
}

fn put(store: &Store, key: &str) -> Result<(), StorageError> {
    block_on(store.commit(batch(key), Durability::Relaxed))
}

fn keys_of(store: &Store) -> Vec<String> {
    let mut cursor = store.snapshot().unwrap().range(KeyRange::all(), Direction::Forward).unwrap();
    let mut keys = Vec::new();
    while block_on(cursor.advance()).unwrap() {
        let key = String::from_utf8(cursor.key().to_vec()).unwrap();
        assert_eq!(cursor.value(), key.repeat(50).as_bytes());
        keys.push(key);
    }
    keys
}

/// Begins the work, and drops it where it waits.
fn drop_midway(work: impl Future) {
    let _ = pin!(work).poll(&mut Context::from_waker(Waker::noop()));
}

/// Blocks that hold `a` and `b`, and nobody has open.
fn stored() -> Alone {
    let blocks = Alone::default();
    let store = open(&blocks, 1);
    put(&store, "a").unwrap();
    put(&store, "b").unwrap();
    block_on(store.close());
    blocks.steps.set(0);
    blocks
}

#[test]
fn who_only_reads_writes_nothing() {
    let blocks = stored();
    let store = open(&blocks, 2);
    assert_eq!(keys_of(&store), ["a", "b"]);
    assert!(!block_on(store.maintain(1 << 20)).unwrap());
    block_on(store.close());
    assert_eq!(blocks.steps.get(), 0);
    assert_eq!(keys_of(&open(&blocks, 3)), ["a", "b"]);
}

#[test]
fn a_store_that_others_may_write_is_taken_over_before_it_is_read() {
    let blocks = stored();
    let asleep = open(&blocks, 2);
    blocks.has_others.set(true);
    let owner = open(&blocks, 3);
    assert!(blocks.steps.get() > 0);
    assert_eq!(put(&asleep, "late"), Err(StorageError::Fenced));
    put(&owner, "c").unwrap();
    assert_eq!(put(&asleep, "late"), Err(StorageError::Fenced));
    assert_eq!(keys_of(&owner), ["a", "b", "c"]);
    assert_eq!(keys_of(&open(&blocks, 4)), ["a", "b", "c"]);
}

#[test]
fn the_first_write_keeps_out_who_had_the_store_before() {
    let blocks = Alone::default();
    let before = open(&blocks, 1);
    put(&before, "a").unwrap();
    let store = open(&blocks, 2);
    put(&store, "b").unwrap();
    assert_eq!(put(&before, "late"), Err(StorageError::Fenced));
    put(&store, "c").unwrap();
    assert_eq!(keys_of(&open(&blocks, 3)), ["a", "b", "c"]);
}

#[test]
fn of_two_who_have_only_read_one_comes_to_write() {
    let blocks = stored();
    let (one, other) = (open(&blocks, 2), open(&blocks, 3));
    put(&other, "c").unwrap();
    assert_eq!(put(&one, "late"), Err(StorageError::Fenced));
    assert_eq!(block_on(one.maintain(1 << 20)), Ok(false));
    assert_eq!(keys_of(&open(&blocks, 4)), ["a", "b", "c"]);
}

#[test]
fn what_was_written_between_the_opening_and_the_first_write_is_never_lost() {
    for commits in [1, 9] {
        let blocks = Alone::default();
        let before = open(&blocks, 1);
        put(&before, "a").unwrap();
        // Nobody was thought to be able to, and so it is not seen here.
        let store = open(&blocks, 2);
        let mut expected = vec![String::from("a")];
        for place in 0..commits {
            // Several of them fill a segment.
            let key = format!("b{place}").repeat(10);
            put(&before, &key).unwrap();
            expected.push(key);
        }
        for _ in 0..2 {
            assert_eq!(put(&store, "c"), Err(StorageError::Fenced));
        }
        assert_eq!(put(&before, "late"), Err(StorageError::Fenced));
        let again = open(&blocks, 3);
        assert_eq!(keys_of(&again), expected);
        put(&again, "c").unwrap();
        expected.push("c".into());
        assert_eq!(keys_of(&open(&blocks, 4)), expected);
    }
}

#[test]
fn a_copy_comes_into_a_store_that_is_taken_over_for_it() {
    let source = open(&stored(), 9);
    let mut backup = block_on(source.backup()).unwrap();
    let mut copy = Vec::new();
    loop {
        let bytes = block_on(backup.next(1 << 20)).unwrap();
        if bytes.is_empty() {
            break;
        }
        copy.extend(bytes);
    }
    let blocks = Alone::default();
    block_on(open(&blocks, 1).close());
    let mut restore = block_on(open(&blocks, 2).into_restore(1)).unwrap();
    block_on(restore.add(&copy)).unwrap();
    block_on(restore.finish(Batch::new())).unwrap();
    assert_eq!(keys_of(&open(&blocks, 3)), ["a", "b"]);
}

#[test]
fn where_there_is_no_room_to_take_it_over_nothing_is_changed_and_a_later_write_does() {
    let blocks = stored();
    let store = open(&blocks, 2);
    blocks.fate.borrow_mut().push_back(Some(Fate::Full));
    assert_eq!(put(&store, "c"), Err(StorageError::QuotaExceeded));
    assert_eq!((keys_of(&store), blocks.steps.get()), (vec!["a".into(), "b".into()], 0));
    put(&store, "c").unwrap();
    assert_eq!(keys_of(&open(&blocks, 3)), ["a", "b", "c"]);
}

#[test]
fn a_copy_takes_the_store_over_as_it_writes_what_is_in_memory() {
    let blocks = stored();
    let store = open(&blocks, 2);
    // The first attempt comes to an end that nobody hears of.
    blocks.fate.borrow_mut().push_back(Some(Fate::Unheard));
    drop_midway(store.backup());
    assert_eq!(blocks.steps.get(), 1);
    assert!(block_on(store.backup()).is_ok());
    put(&store, "c").unwrap();
    assert_eq!(keys_of(&open(&blocks, 3)), ["a", "b", "c"]);
}

fn block_keys(blocks: &Alone, first: BlockKey, last: BlockKey) -> Vec<BlockKey> {
    block_on(blocks.keys(first, last)).unwrap()
}

fn segments(blocks: &Alone) -> Vec<BlockKey> {
    block_keys(blocks, BlockKey::segment(0), BlockKey::segment((1 << 48) - 1))
}

#[test]
fn what_the_one_before_did_not_finish_is_deleted_and_its_numbers_are_not_used_again() {
    let blocks = stored();
    let before = open(&blocks, 2);
    let mut large = Batch::new();
    (0..100).for_each(|place| large.put(format!("lost {place}").as_bytes(), &[7; 3_000]));
    // It takes the store over, and dies with the first part of a segment.
    blocks.fate.borrow_mut().extend([None, Some(Fate::Unheard)]);
    drop_midway(before.commit(large, Durability::Relaxed));
    let unfinished = segments(&blocks);
    assert!(!unfinished.is_empty());

    let store = open(&blocks, 3);
    assert_eq!((keys_of(&store), segments(&blocks)), (vec!["a".into(), "b".into()], unfinished.clone()));
    block_on(store.backup()).map(drop).unwrap();
    while block_on(store.maintain(1 << 20)).unwrap() {}
    let written = segments(&blocks);
    assert!(!written.is_empty() && written.first() > unfinished.last(), "{written:?} behind {unfinished:?}");
    assert_eq!(keys_of(&open(&blocks, 4)), ["a", "b"]);
}

#[test]
fn a_record_that_is_not_whole_goes_when_its_number_is_used_again() {
    let options = |epoch| StoreOptions::new([epoch; 16]);
    let blocks = Alone::default();
    let before = block_on(LogStore::open(blocks.clone(), options(1))).unwrap();
    put(&before, "a").unwrap();
    let mut long = Batch::new();
    long.put(b"lost", &[7; 100_000]);
    block_on(before.commit(long, Durability::Relaxed)).unwrap();
    let log = block_keys(&blocks, BlockKey::log(0), BlockKey::log((1 << 48) - 1));
    let deletes = log.last().copied().into_iter().collect();
    block_on(blocks.blocks.commit(BlockBatch { deletes, ..BlockBatch::default() }, Durability::Relaxed)).unwrap();

    let store = block_on(LogStore::open(blocks.clone(), options(2))).unwrap();
    assert_eq!(keys_of(&store), ["a"]);
    put(&store, "b").unwrap();
    assert_eq!(keys_of(&open(&blocks, 3)), ["a", "b"]);
}
