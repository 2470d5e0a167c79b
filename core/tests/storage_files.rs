//! Blocks in files: what is promised beyond what every store promises. Whoever takes over, at whatever moment, loses nothing that
//! was acknowledged, and whoever was taken over does no harm; damage is told; room comes back.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
mod file_simulation;
#[allow(dead_code, unused_macros)]
mod storage_conformance;
#[allow(dead_code)]
mod storage_simulation;

use std::cell::RefCell;
use std::rc::Rc;

use file_simulation::{FaultyFile, FaultyFiles};
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::files::{FILES_VERSION, FileBlocks, Limits};
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use pollster::block_on;
use storage_conformance::{Model, assert_equals, entries};
use storage_simulation::Faults;

type Store = LogStore<FileBlocks<FaultyFile>>;

/// So small that every file is flushed, followed by another and cut off within a few commits.
const SMALL: Limits = Limits { unflushed_bytes: 2_000, journal_bytes: 1_500, tail_bytes: 2_000 };

async fn open(disk: &FaultyFiles, epoch: u8) -> Result<Store, StorageError> {
    let options =
        StoreOptions { memtable_bytes_max: 900, cache_bytes: 0, step_bytes: 1_000, ..StoreOptions::new([epoch; 16]) };
    LogStore::open(disk.connect()?, options).await
}

async fn content(store: &Store) -> Model {
    entries(&store.snapshot().unwrap(), KeyRange::all(), Direction::Forward).await.into_iter().collect()
}

/// The commit with this number, of documents that are written again and again; some are strict.
async fn commit(store: &Store, number: u8) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    change(number, |key, value| batch.put(key, value));
    let durability = if number.is_multiple_of(5) { Durability::Strict } else { Durability::Relaxed };
    let committed = store.commit(batch, durability).await;
    if committed.is_ok() && number.is_multiple_of(3) {
        // It may be taken over in the middle of this as well.
        let _ = store.maintain(3_000).await;
    }
    committed
}

fn change(number: u8, mut put: impl FnMut(&[u8], &[u8])) {
    for document in 0..3 {
        put(&[b'd', ((u32::from(number) * 7 + document) % 11) as u8], &[number; 200]);
    }
    put(b"last", &[number]);
}

fn model_after(commits: u8) -> Model {
    let mut model = Model::new();
    for number in 1..=commits {
        change(number, |key, value| drop(model.insert(key.to_vec(), value.to_vec())));
    }
    model
}

fn last_of(model: &Model) -> u8 {
    model.get(&b"last"[..]).map_or(0, |value| value[0])
}

/// The epoch of who takes over.
const SUCCESSOR: [u8; 16] = [200; 16];

/// What the one found who took over, and its store.
type Successor = Rc<RefCell<Option<(Store, Model)>>>;

/// Has another take over before the operation with this number, count from now.
fn interrupt(disk: &FaultyFiles, operation: u64) -> Successor {
    let successor = Successor::default();
    let (there, other) = (Rc::clone(&successor), disk.clone());
    disk.interrupt(disk.operations() + operation, move || {
        block_on(async {
            let store = open(&other, SUCCESSOR[0]).await.unwrap();
            let found = content(&store).await;
            let mut batch = Batch::new();
            batch.put(b"successor", b"wrote this");
            store.commit(batch, Durability::Strict).await.unwrap();
            there.replace(Some((store, found)));
        });
    });
    successor
}

/// What the successor found and wrote is there after the power was lost.
async fn assert_kept(disk: &FaultyFiles, successor: Successor, is_fenced: bool) -> Model {
    let (store, found) = successor.take().unwrap();
    assert_eq!(found, model_after(last_of(&found)), "a commit is there whole, and none before it is missing");
    let mut expected = found.clone();
    expected.insert(b"successor".to_vec(), b"wrote this".to_vec());
    if is_fenced {
        assert_eq!(store.snapshot().unwrap().get(b"last").await, Err(StorageError::Fenced));
    } else {
        assert_equals(&store.snapshot().unwrap(), &expected).await;
    }
    disk.restart(true);
    let store = open(disk, 201).await.unwrap();
    assert_equals(&store.snapshot().unwrap(), &expected).await;
    found
}

#[test]
fn who_takes_over_between_any_two_operations_loses_nothing_and_the_one_before_does_no_harm() {
    let mut operations = 0;
    while take_over_in_the_middle_of_commits(operations) {
        operations += 1;
    }
    assert!(operations > 100, "{operations} moments");
}

/// `false` if there is no operation with this number.
fn take_over_in_the_middle_of_commits(operation: u64) -> bool {
    block_on(async {
        let disk = FaultyFiles::new(operation, SMALL);
        let store = open(&disk, 1).await.unwrap();
        for number in 1..=10 {
            commit(&store, number).await.unwrap();
        }
        let successor = interrupt(&disk, operation);
        let mut acknowledged = 10;
        for number in 11..=30 {
            let was_taken_over = successor.borrow().is_some();
            match commit(&store, number).await {
                Ok(()) => {
                    assert!(!was_taken_over, "operation {operation}: acknowledged after another took over");
                    acknowledged = number;
                }
                Err(error) => assert_eq!(error, StorageError::Fenced, "operation {operation}"),
            }
        }
        if successor.borrow().is_none() {
            return false;
        }
        let taken_over = assert_kept(&disk, successor, false).await;
        assert!(last_of(&taken_over) >= acknowledged, "operation {operation}: lost what was acknowledged");
        true
    })
}

#[test]
fn who_is_overtaken_in_the_middle_of_opening_does_no_harm() {
    let mut operations = 0;
    while overtake_in_the_middle_of_opening(operations) {
        operations += 1;
    }
    assert!(operations > 20, "{operations} moments");
}

fn overtake_in_the_middle_of_opening(operation: u64) -> bool {
    block_on(async {
        let disk = FaultyFiles::new(operation, SMALL);
        let first = open(&disk, 1).await.unwrap();
        for number in 1..=12 {
            commit(&first, number).await.unwrap();
        }
        // Some are overtaken while the one before is gone, and some while it is stopped.
        let first = operation.is_multiple_of(2).then_some(first);
        let successor = interrupt(&disk, operation / 2);
        let second = open(&disk, 2).await;
        if successor.borrow().is_none() {
            return false;
        }
        if let Some(store) = &first {
            assert_eq!(commit(store, 13).await, Err(StorageError::Fenced), "operation {operation}");
        }
        let committed = match &second {
            Ok(store) => commit(store, 13).await,
            Err(error) => Err(error.clone()),
        };
        if committed.is_ok() {
            // It had not begun to take over, and has taken over from the other now.
            let mut expected = model_after(13);
            expected.insert(b"successor".to_vec(), b"wrote this".to_vec());
            assert_equals(&second.unwrap().snapshot().unwrap(), &expected).await;
            return true;
        }
        assert_eq!(committed, Err(StorageError::Fenced), "operation {operation}");
        // The second may have written to the fence after the other, and is to open the files again.
        let is_fenced = disk.content("fence")[..16] != SUCCESSOR;
        assert_eq!(last_of(&assert_kept(&disk, successor, is_fenced).await), 12, "operation {operation}");
        true
    })
}

#[test]
fn the_lane_of_one_who_stood_in_for_another_is_emptied_when_that_is_gone() {
    block_on(async {
        let disk = FaultyFiles::new(1, SMALL);
        let frozen = open(&disk, 1).await.unwrap();
        commit(&frozen, 1).await.unwrap();
        let successor = open(&disk, 2).await.unwrap();
        for number in 2..=20 {
            commit(&successor, number).await.unwrap();
        }
        assert!(["1.one", "1.other", "1.data"].iter().all(|name| !disk.content(name).is_empty()));
        drop((frozen, successor));
        let store = open(&disk, 3).await.unwrap();
        assert_eq!(content(&store).await, model_after(20));
        // Merges rewrite what lies in it.
        for number in 21..=60 {
            commit(&store, number).await.unwrap();
            while store.maintain(10_000).await.unwrap() {}
        }
        drop(store);
        let store = open(&disk, 4).await.unwrap();
        commit(&store, 61).await.unwrap();
        let mut batch = Batch::new();
        batch.put(b"last", &[61]);
        store.commit(batch, Durability::Strict).await.unwrap();
        assert!(["1.one", "1.other", "1.data"].iter().all(|name| disk.content(name).is_empty()));
        assert_eq!(content(&store).await, model_after(61));
    });
}

#[test]
fn a_store_whose_making_was_broken_off_is_made_anew() {
    for power_lost in [false, true] {
        let mut operations = 0;
        while break_off_the_making(operations, power_lost) {
            operations += 1;
        }
        assert!(operations > 20, "{operations} moments");
    }
}

fn break_off_the_making(operation: u64, power_lost: bool) -> bool {
    block_on(async {
        let disk = FaultyFiles::new(operation, Limits::default());
        let other = disk.clone();
        disk.interrupt(operation, move || other.restart(power_lost));
        let is_broken_off = open(&disk, 1).await.is_err();
        if is_broken_off {
            let store = open(&disk, 2).await.unwrap();
            commit(&store, 1).await.unwrap();
            assert_eq!(content(&store).await, model_after(1), "operation {operation}");
        }
        is_broken_off
    })
}

#[test]
fn a_small_commit_is_one_write() {
    block_on(async {
        let disk = FaultyFiles::new(1, Limits::default());
        let store = LogStore::open(disk.connect().unwrap(), StoreOptions::new([1; 16])).await.unwrap();
        for durability in [Durability::Relaxed, Durability::Relaxed, Durability::Strict] {
            let (operations, writes) = (disk.operations(), disk.writes());
            let mut batch = Batch::new();
            batch.put(b"key", b"value");
            store.commit(batch, durability).await.unwrap();
            assert_eq!(disk.writes() - writes, 1);
            if durability == Durability::Relaxed {
                assert_eq!(disk.operations() - operations, 2, "the other is a look at the fence");
            }
        }
    });
}

#[test]
fn room_comes_back() {
    block_on(async {
        let disk = FaultyFiles::new(1, Limits { unflushed_bytes: 100_000, journal_bytes: 50_000, tail_bytes: 50_000 });
        let options = StoreOptions { memtable_bytes_max: 20_000, ..StoreOptions::new([1; 16]) };
        let store = LogStore::open(disk.connect().unwrap(), options).await.unwrap();
        let fill = async |round: u32, value: Option<&[u8]>| {
            let mut batch = Batch::new();
            for number in 0..100_u32 {
                let key = (number * 7919 + round % 3).to_be_bytes();
                match value {
                    Some(value) => batch.put(&key, value),
                    None => batch.delete(&key),
                }
            }
            store.commit(batch, Durability::Relaxed).await.unwrap();
            while store.maintain(100_000).await.unwrap() {}
        };
        for round in 0..600 {
            fill(round, Some(&[round as u8; 1000])).await;
            assert!(disk.bytes() < 3_000_000, "{} bytes for 300,000 in round {round}", disk.bytes());
        }
        for round in 0..600 {
            fill(round, None).await;
        }
        assert!(disk.bytes() < 600_000, "{} bytes for nothing", disk.bytes());
    });
}

/// A store whose last record, which is not flushed, tells that all before it was. It has had several journals.
async fn sample() -> (FaultyFiles, [Model; 2]) {
    let disk = FaultyFiles::new(1, SMALL);
    let store = open(&disk, 1).await.unwrap();
    for number in 1..=10 {
        commit(&store, number).await.unwrap();
    }
    let mut batch = Batch::new();
    batch.put(b"unflushed", b"value");
    store.commit(batch, Durability::Relaxed).await.unwrap();
    let mut with_last = model_after(10);
    with_last.insert(b"unflushed".to_vec(), b"value".to_vec());
    (disk, [model_after(10), with_last])
}

#[test]
fn a_changed_byte_of_a_journal_is_reported_unless_it_is_of_what_was_not_flushed() {
    let names = ["0.one", "0.other"];
    let (disk, _) = block_on(sample());
    let mut reported = 0;
    for name in names {
        let bytes = disk.content(name).len();
        for position in 0..bytes {
            block_on(async {
                let (disk, models) = sample().await;
                disk.damage(name, |content| content[position] ^= 0x10);
                match open(&disk, 2).await {
                    Ok(store) => {
                        let found = content(&store).await;
                        assert!(models.contains(&found), "byte {position} of {name}");
                    }
                    Err(StorageError::Corrupt(_)) => reported += 1,
                    Err(StorageError::FormatTooNew { .. }) if position < 12 => reported += 1,
                    Err(error) => panic!("byte {position} of {name}: {error}"),
                }
            });
        }
    }
    assert!(reported > 500, "{reported}");
}

#[test]
fn files_that_are_something_else_are_refused_and_left_alone() {
    for name in ["0.one", "0.other", "0.data"] {
        for garbage in [&b"something else altogether, and longer than an empty store would be"[..], &[7; 5_000]] {
            let disk = FaultyFiles::new(1, Limits::default());
            disk.damage(name, |content| *content = garbage.to_vec());
            let refused = block_on(open(&disk, 1)).map(drop);
            assert!(matches!(refused, Err(StorageError::Corrupt(_))), "{name}: {refused:?}");
            assert_eq!(disk.content(name), garbage);
        }
    }
}

#[test]
fn files_of_a_newer_format_are_refused_and_left_alone() {
    block_on(async {
        let (disk, _) = sample().await;
        disk.damage("0.one", |content| content[8..12].copy_from_slice(&(FILES_VERSION + 1).to_le_bytes()));
        let before = disk.content("0.one");
        let expected = StorageError::FormatTooNew { found: FILES_VERSION + 1, supported: FILES_VERSION };
        assert_eq!(open(&disk, 2).await.map(drop), Err(expected));
        assert_eq!(disk.content("0.one"), before);
    });
}

#[test]
fn a_step_that_was_refused_is_not_there_after_any_loss_of_power() {
    for seed in 0..300 {
        block_on(async {
            let disk = FaultyFiles::new(seed, Limits::default());
            let blocks = disk.connect().unwrap();
            let put = |key, block: &[u8]| BlockBatch { puts: vec![(key, block.to_vec())], ..BlockBatch::default() };
            blocks.commit(put(BlockKey::epoch(), &[1; 16]), Durability::Strict).await.unwrap();
            let mut expected = Vec::new();
            for number in 0..10 {
                disk.set_faults(Faults { refused_step: 2, ..Faults::default() });
                let committed = blocks.commit(put(BlockKey::log(number), &[7; 700]), Durability::Relaxed).await;
                match committed {
                    Ok(()) => expected.push(BlockKey::log(number)),
                    Err(StorageError::QuotaExceeded) => {}
                    // Whether it is there nobody knows, and nothing more is taken.
                    Err(error) => {
                        assert_eq!(error, StorageError::Closed);
                        return;
                    }
                }
            }
            disk.restart(true);
            disk.set_faults(Faults::default());
            let blocks = disk.connect().unwrap();
            let found = blocks.keys(BlockKey::log(0), BlockKey::log(100)).await.unwrap();
            assert!(expected.starts_with(&found), "seed {seed}: {found:?} of {expected:?}");
        });
    }
}
