//! Replicas on failing disks, their users, and a server behind a failing network, in one thread and in simulated time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub mod decisions;
pub mod network;
pub mod replica;
pub mod user;

use firkin_core::database::{Database, Options};
use firkin_core::storage::store::{LogStore, StoreOptions};

use crate::replication_support::Seeded;
use crate::storage_simulation::FaultyBlocks;

/// A database on a disk that fails.
pub type Engine = Database<LogStore<FaultyBlocks>>;

/// Opens what is on the disk, which does not fail meanwhile. No two openings of one disk have the same number.
pub fn open(disk: &FaultyBlocks, opening: u128, options: Options) -> Engine {
    let store_options = StoreOptions { memtable_bytes_max: 20_000, ..StoreOptions::new(opening.to_le_bytes()) };
    let opened = disk.drive(false, async {
        let store = LogStore::open(disk.clone(), store_options).await?;
        Database::open(store, &Seeded::new(opening as u64), options).await
    });
    opened.unwrap().unwrap()
}
