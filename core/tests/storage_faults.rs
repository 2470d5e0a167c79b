//! The log-structured store on a disk that fails on purpose, against a list of the states that a map went through: over blocks, and
//! over blocks in files.
//!
//! What was acknowledged is there: after the death of the process all of it, after a loss of power at least what was
//! strict and then a prefix of the rest. A batch is there whole or not at all. Nothing wrong is ever served.
//! `FIRKIN_SEEDS=100000 cargo test --release --test storage_faults` runs more seeds; a failure names its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
mod file_simulation;
#[allow(dead_code, unused_macros)]
mod storage_conformance;
mod storage_simulation;
mod storage_world;

use file_simulation::FaultyFiles;
use firkin_core::storage::blocks::{BlockKey, Blocks};
use firkin_core::storage::files::Limits;
use firkin_core::storage::store::StoreOptions;
use firkin_core::storage::{Batch, Durability, Kv, StorageError};
use storage_simulation::{Dice, Faults, FaultyBlocks};
use storage_world::{Disk, open, run};

fn run_seeds(usual: u64, run: impl Fn(u64) + Sync) {
    let (first, seeds) = storage_simulation::seeds(usual);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let run = &run;
            scope.spawn(move || (first + thread as u64..first + seeds).step_by(threads).for_each(run));
        }
    });
}

#[test]
fn acknowledged_commits_survive_whole_and_in_order() {
    run_seeds(2_000, |seed| run(seed, FaultyBlocks::new(seed ^ 0x5eed)));
}

#[test]
fn acknowledged_commits_survive_in_files_as_well() {
    run_seeds(600, |seed| {
        let mut dice = Dice::new(seed ^ 0xf11e);
        let limits = Limits {
            unflushed_bytes: [1_000, 100_000, 8 << 20][dice.below(3) as usize],
            journal_bytes: [500, 20_000, 2 << 20][dice.below(3) as usize],
            tail_bytes: dice.below(100_000),
        };
        run(seed, FaultyFiles::new(seed ^ 0x5eed, limits));
    });
}

#[test]
fn what_a_refused_flush_left_behind_is_deleted() {
    assert_refused_flushes_leave_nothing(&FaultyBlocks::new(3));
    assert_refused_flushes_leave_nothing(&FaultyFiles::new(3, Limits::default()));
}

fn assert_refused_flushes_leave_nothing(disk: &impl Disk) {
    let mut options = StoreOptions { memtable_bytes_max: 2_000, step_bytes: 1, ..StoreOptions::new([0; 16]) };
    let store = open(disk, &mut options, Faults::default());
    let mut refused = 0;
    pollster::block_on(async {
        disk.set_faults(Faults { refused_step: 20, ..Faults::default() });
        for _ in 0..20 {
            let mut batch = Batch::new();
            batch.put(b"large", &[7; 1_000_000]);
            refused += usize::from(store.commit(batch, Durability::Relaxed).await == Err(StorageError::QuotaExceeded));
        }
        disk.set_faults(Faults::default());
        let mut batch = Batch::new();
        batch.delete(b"large");
        store.commit(batch, Durability::Relaxed).await.unwrap();
        for round in 0..200_u8 {
            let mut batch = Batch::new();
            batch.put(b"small", &[round; 300]);
            store.commit(batch, Durability::Relaxed).await.unwrap();
            while store.maintain(10_000).await.unwrap() {}
        }
        let keys = store.blocks().keys(BlockKey::segment(0), BlockKey::segment((1 << 48) - 1)).await.unwrap();
        assert!(refused > 5, "{refused}");
        assert!(keys.len() <= 6, "{} blocks for one small entry", keys.len());
    });
}
