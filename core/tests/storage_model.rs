//! The log-structured store against a `BTreeMap`: random batches, reads and walks, old snapshots, reopening; and what it
//! promises of space and of what it reads.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)]
mod file_simulation;
#[allow(dead_code, unused_macros)]
mod storage_conformance;
#[allow(dead_code)]
mod storage_simulation;

use std::cell::Cell;
use std::rc::Rc;

use file_simulation::FaultyFiles;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::files::Limits;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Durability, KEY_BYTES_MAX, KeyRange, Kv, Snapshot, StorageError, VALUE_BYTES_MAX};
use pollster::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use storage_conformance::{Model, assert_equals};

#[derive(Clone, Debug)]
enum Action {
    Commit(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Snapshot,
    Maintain(usize),
    Reopen,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(prop_oneof![Just(0), Just(b'a'), Just(b'b'), Just(0xff)], 0..5),
        4 => vec(any::<u8>(), 0..40),
        1 => (vec(any::<u8>(), 1..3), 100..KEY_BYTES_MAX).prop_map(|(unit, bytes)| unit.repeat(bytes / 2)),
    ]
}

fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    let of_bytes = |bytes: std::ops::Range<usize>| {
        (any::<u8>(), bytes).prop_map(|(byte, bytes): (u8, usize)| Some(vec![byte; bytes]))
    };
    prop_oneof![3 => Just(None), 6 => of_bytes(0..50), 2 => of_bytes(1000..17_000), 1 => of_bytes(17_000..140_000)]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        10 => vec((key(), value()), 0..20).prop_map(Action::Commit),
        2 => Just(Action::Snapshot),
        5 => (1..60_000_usize).prop_map(Action::Maintain),
        1 => Just(Action::Reopen),
    ]
}

fn options() -> impl Strategy<Value = StoreOptions> {
    (200..100_000_usize, 200..100_000_usize, 1..30_usize, 0..200_000_usize, 1..100_000_usize).prop_map(
        |(memtable_bytes_max, logged_batch_bytes_max, log_blocks_max, cache_bytes, step_bytes)| StoreOptions {
            memtable_bytes_max,
            logged_batch_bytes_max,
            log_blocks_max,
            cache_bytes,
            step_bytes,
            unfiltered: b"a",
            ..StoreOptions::new([0; 16])
        },
    )
}

fn to_batch(operations: &[(Vec<u8>, Option<Vec<u8>>)]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in operations {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    batch
}

/// `connect` opens the same blocks again and again.
async fn agrees_with_a_map<B: Blocks>(connect: impl Fn() -> B, mut options: StoreOptions, actions: Vec<Action>) {
    let mut store = LogStore::open(connect(), options.clone()).await.unwrap();
    let mut model = Model::new();
    let mut moments = Vec::new();
    for action in actions {
        match action {
            Action::Commit(operations) => {
                store.commit(to_batch(&operations), Durability::Relaxed).await.unwrap();
                for (key, value) in operations {
                    match value {
                        Some(value) => drop(model.insert(key, value)),
                        None => drop(model.remove(&key)),
                    }
                }
            }
            Action::Snapshot => moments.push((store.snapshot().unwrap(), model.clone())),
            Action::Maintain(bytes) => drop(store.maintain(bytes).await.unwrap()),
            Action::Reopen => {
                for (snapshot, model) in moments.drain(..) {
                    assert_equals(&snapshot, &model).await;
                }
                store.close().await;
                options.epoch[0] += 1;
                store = LogStore::open(connect(), options.clone()).await.unwrap();
            }
        }
    }
    moments.push((store.snapshot().unwrap(), model));
    for (snapshot, model) in moments {
        assert_equals(&snapshot, &model).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(120) })]
    #[test]
    fn the_store_agrees_with_a_map(options in options(), actions in vec(action(), 0..40)) {
        let blocks = MemoryBlocks::new();
        block_on(agrees_with_a_map(|| blocks.clone(), options, actions));
    }

    #[test]
    fn the_store_agrees_with_a_map_in_files_as_well(options in options(), actions in vec(action(), 0..40)) {
        let limits = Limits { unflushed_bytes: 50_000, journal_bytes: 20_000, tail_bytes: 10_000 };
        let disk = FaultyFiles::new(0, limits);
        block_on(agrees_with_a_map(|| disk.connect().unwrap(), options, actions));
    }
}

fn small() -> StoreOptions {
    StoreOptions { memtable_bytes_max: 20_000, ..StoreOptions::new([7; 16]) }
}

/// Merges and deletes all that can be.
async fn settle(store: &LogStore<impl Blocks>) {
    while store.maintain(100_000).await.unwrap() {}
}

async fn commit_numbers(store: &impl Kv, numbers: impl Iterator<Item = u32>, value: Option<&[u8]>) {
    let mut batch = Batch::new();
    for number in numbers {
        match value {
            Some(value) => batch.put(format!("document/{number:08}").as_bytes(), value),
            None => batch.delete(format!("document/{number:08}").as_bytes()),
        }
    }
    store.commit(batch, Durability::Relaxed).await.unwrap();
}

#[test]
fn space_of_superseded_and_deleted_data_comes_back() {
    block_on(async {
        let store = LogStore::open(MemoryBlocks::new(), small()).await.unwrap();
        let value = [b'v'; 1000];
        for round in 0..400_u32 {
            commit_numbers(&store, (0..100).skip(round as usize % 7), Some(&value)).await;
            settle(&store).await;
            assert!(
                store.blocks().bytes() < 2_000_000,
                "{} bytes for 100,000 in round {round}",
                store.blocks().bytes()
            );
        }
        for round in 0..500 {
            commit_numbers(&store, (0..100).skip(round % 2), None).await;
            settle(&store).await;
        }
        commit_numbers(&store, 0..100, None).await;
        let snapshot = store.snapshot().unwrap();
        assert_equals(&snapshot, &Model::new()).await;
        drop(snapshot);
        settle(&store).await;
        assert!(store.blocks().bytes() < 100_000, "{} bytes for nothing", store.blocks().bytes());
    });
}

#[test]
fn blocks_of_an_old_snapshot_go_only_when_it_goes() {
    block_on(async {
        let store = LogStore::open(MemoryBlocks::new(), small()).await.unwrap();
        commit_numbers(&store, 0..1000, Some(&[b'1'; 500])).await;
        let old = store.snapshot().unwrap();
        let expected =
            (0..1000).map(|number| (format!("document/{number:08}").into_bytes(), vec![b'1'; 500])).collect();
        for round in 0..30_u8 {
            commit_numbers(&store, 0..1000, Some(&[round; 500])).await;
            settle(&store).await;
        }
        assert_equals(&old, &expected).await;
        let held = store.blocks().bytes();
        drop(old);
        settle(&store).await;
        assert!(store.blocks().bytes() + 400_000 < held, "{} of {held} bytes are left", store.blocks().bytes());
    });
}

#[test]
fn entries_beyond_the_limits_are_refused_and_those_at_the_limits_are_kept() {
    block_on(async {
        let store = LogStore::open(MemoryBlocks::new(), small()).await.unwrap();
        for (key_bytes, value_bytes) in [(KEY_BYTES_MAX + 1, 0), (1, VALUE_BYTES_MAX + 1)] {
            let mut batch = Batch::new();
            batch.put(b"beside", b"it");
            batch.put(&vec![b'k'; key_bytes], &vec![0; value_bytes]);
            let refused = store.commit(batch, Durability::Relaxed).await;
            assert!(matches!(refused, Err(StorageError::Failed(_))), "{refused:?}");
        }
        // Long keys that share nothing: an index block takes only three of them.
        let mut model = Model::new();
        let mut batch = Batch::new();
        for number in 0..100_u8 {
            let (key, value) = (vec![number; KEY_BYTES_MAX], vec![number; 16 * 1024]);
            batch.put(&key, &value);
            model.insert(key, value);
        }
        store.commit(batch, Durability::Relaxed).await.unwrap();
        assert_equals(&store.snapshot().unwrap(), &model).await;
    });
}

#[test]
fn long_keys_that_differ_only_at_the_end_make_a_deep_index() {
    block_on(async {
        let store = LogStore::open(MemoryBlocks::new(), small()).await.unwrap();
        let mut model = Model::new();
        for first in 0..4_u8 {
            let mut batch = Batch::new();
            for number in 0..60_u8 {
                let mut key = vec![b'k'; KEY_BYTES_MAX];
                key[100] = number % 7;
                key[KEY_BYTES_MAX - 1] = number;
                key[KEY_BYTES_MAX - 2] = first;
                batch.put(&key, b"value");
                model.insert(key, b"value".to_vec());
            }
            store.commit(batch, Durability::Relaxed).await.unwrap();
        }
        assert_equals(&store.snapshot().unwrap(), &model).await;
        let store = LogStore::open(store.blocks().clone(), small()).await.unwrap();
        assert_equals(&store.snapshot().unwrap(), &model).await;
    });
}

/// Counts what is read.
#[derive(Clone, Default)]
struct Counting {
    blocks: MemoryBlocks,
    reads: Rc<Cell<usize>>,
    written: Rc<Cell<usize>>,
    steps: Rc<Cell<usize>>,
}

impl Blocks for Counting {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.reads.set(self.reads.get() + keys.len());
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        let keys = self.blocks.keys(first, last).await?;
        self.reads.set(self.reads.get() + keys.len());
        Ok(keys)
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        self.written.set(self.written.get() + batch.puts.iter().map(|(_, block)| block.len()).sum::<usize>());
        self.steps.set(self.steps.get() + 1);
        self.blocks.commit(batch, durability).await
    }
}

#[test]
fn of_small_commits_beside_many_segments_few_merge() {
    block_on(async {
        let blocks = Counting::default();
        let store = LogStore::open(blocks.clone(), StoreOptions::new([1; 16])).await.unwrap();
        // Each goes to a segment of its own, and their merge is a long one.
        for round in 0..12 {
            commit_numbers(&store, (0..4000).map(|number| number * 7919 + round), Some(&[b'v'; 1000])).await;
        }
        let mut heavy = 0;
        for number in 0..4000 {
            blocks.written.set(0);
            commit_numbers(&store, core::iter::once(number), Some(&[b's'; 1000])).await;
            heavy += u32::from(blocks.written.get() > 100_000);
        }
        // A memtable of 1 MiB was full a few times.
        assert!(heavy > 8, "nobody merges: {heavy} of 4000 small commits wrote much");
        assert!(heavy < 50, "{heavy} of 4000 small commits wrote much");
    });
}

#[test]
fn a_commit_never_waits_for_a_whole_merge() {
    block_on(async {
        let blocks = Counting::default();
        let store = LogStore::open(blocks.clone(), StoreOptions::new([1; 16])).await.unwrap();
        let (mut most, mut segments) = (0, 0);
        for round in 0..800_u32 {
            blocks.written.set(0);
            // Nobody else merges: the commits do it, slice by slice.
            commit_numbers(&store, (0..200).map(|number| number * 7919 + round), Some(&[b'v'; 1000])).await;
            most = most.max(blocks.written.get());
            let found = blocks.keys(BlockKey::segment(0), BlockKey::segment((1 << 48) - 1)).await.unwrap();
            let mut numbers: Vec<u64> = found.iter().map(|key| key.number() >> 20).collect();
            numbers.dedup();
            segments = segments.max(numbers.len());
        }
        // Its own flush, of a memtable of 1 MiB, and the slices that fall to a commit.
        assert!(most < 5 << 20, "a commit wrote {most} bytes");
        assert!(segments < 40, "{segments} segments piled up");
        settle(&store).await;
        blocks.written.set(0);
        while blocks.written.get() == 0 {
            commit_numbers(&store, 0..200, Some(&[b'w'; 1000])).await;
        }
        assert!(blocks.written.get() < 2 << 20);
    });
}

#[test]
fn slices_of_a_merge_are_bounded_and_commits_go_on_between_them() {
    block_on(async {
        let blocks = Counting::default();
        let store = LogStore::open(blocks.clone(), StoreOptions::new([1; 16])).await.unwrap();
        let mut model = Model::new();
        for round in 0..4_u32 {
            commit_numbers(&store, (0..4_000).map(|number| number * 4 + round), Some(&[round as u8; 1000])).await;
        }
        let (mut slices, mut most) = (0, 0);
        loop {
            blocks.written.set(0);
            let goes_on = store.maintain(64 * 1024).await.unwrap();
            most = most.max(blocks.written.get());
            if !goes_on {
                break;
            }
            slices += 1;
            commit_numbers(&store, slices..slices + 1, Some(b"meanwhile")).await;
        }
        for number in 0..16_000_u32 {
            let value =
                if (1..=slices).contains(&number) { b"meanwhile".to_vec() } else { vec![number as u8 % 4; 1000] };
            model.insert(format!("document/{number:08}").into_bytes(), value);
        }
        assert_equals(&store.snapshot().unwrap(), &model).await;
        assert!(slices > 200, "{slices} slices for 16 MB");
        assert!(most < 700_000, "a slice wrote {most} bytes");
    });
}

#[test]
fn opening_reads_the_manifest_and_the_log_tail_only() {
    block_on(async {
        let blocks = Counting::default();
        let store = LogStore::open(blocks.clone(), StoreOptions::new([1; 16])).await.unwrap();
        for round in 0..10 {
            commit_numbers(&store, round * 10_000..(round + 1) * 10_000, Some(&[b'v'; 100])).await;
        }
        settle(&store).await;
        for number in 0..5 {
            commit_numbers(&store, number..number + 1, Some(b"new")).await;
        }
        blocks.reads.set(0);
        let store = LogStore::open(blocks.clone(), StoreOptions::new([2; 16])).await.unwrap();
        // The manifest before and after the takeover, five names and five records of the log, and few leftovers' names.
        assert!(blocks.reads.get() < 20, "{} blocks or names", blocks.reads.get());
        blocks.reads.set(0);
        let found = store.snapshot().unwrap().get(b"document/00054321").await.unwrap();
        assert_eq!(found, Some(vec![b'v'; 100]));
        assert!(blocks.reads.get() <= 9, "{} blocks for a get", blocks.reads.get());
    });
}

#[test]
fn what_was_read_is_not_read_again() {
    block_on(async {
        let blocks = Counting::default();
        let store = LogStore::open(blocks.clone(), StoreOptions::new([1; 16])).await.unwrap();
        commit_numbers(&store, 0..30_000, Some(&[b'v'; 100])).await;
        let store = LogStore::open(blocks.clone(), StoreOptions::new([2; 16])).await.unwrap();
        let snapshot = store.snapshot().unwrap();
        let walk = async || {
            blocks.reads.set(0);
            storage_conformance::entries(&snapshot, KeyRange::all(), firkin_core::storage::Direction::Backward).await;
            blocks.reads.get()
        };
        assert!(walk().await > 50);
        assert_eq!(walk().await, 0);
    });
}
