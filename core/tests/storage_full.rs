//! A store where the platform has no room left: what is stored is read, also by who opens it then, and nothing is changed.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::rc::Rc;

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Durability, Kv, Snapshot, StorageError};
use pollster::block_on;

/// A disk that takes nothing more while it is full, as IndexedDB: not even what is put in place of what is there. Deleting it allows.
#[derive(Clone, Default)]
struct Disk {
    blocks: MemoryBlocks,
    is_full: Rc<Cell<bool>>,
}

impl Blocks for Disk {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        if self.is_full.get() && !batch.puts.is_empty() {
            return Err(StorageError::QuotaExceeded);
        }
        self.blocks.commit(batch, durability).await
    }
}

type Store = LogStore<Disk>;

fn open(disk: &Disk, epoch: u8) -> Result<Store, StorageError> {
    block_on(LogStore::open(disk.clone(), StoreOptions::new([epoch; 16])))
}

fn put(store: &Store, key: &str) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    batch.put(key.as_bytes(), key.as_bytes());
    block_on(store.commit(batch, Durability::Relaxed))
}

fn has(store: &Store, key: &str) -> bool {
    let found = block_on(store.snapshot().unwrap().get(key.as_bytes())).unwrap();
    assert!(found.as_ref().is_none_or(|value| value == key.as_bytes()));
    found.is_some()
}

#[test]
fn a_full_store_is_opened_to_be_read_and_takes_no_writes() {
    let disk = Disk::default();
    let first = open(&disk, 1).unwrap();
    put(&first, "a").unwrap();
    disk.is_full.set(true);
    assert_eq!(put(&first, "b"), Err(StorageError::QuotaExceeded));
    assert!(has(&first, "a"));
    block_on(first.close());

    let second = open(&disk, 2).unwrap();
    assert!(!second.is_owner());
    assert!(has(&second, "a") && !has(&second, "b"));
    assert_eq!(put(&second, "b"), Err(StorageError::QuotaExceeded));
    assert!(!block_on(second.maintain(1 << 20)).unwrap());
    block_on(second.close());
}

#[test]
fn once_there_is_room_a_write_takes_the_store_over_and_has_it_opened_anew() {
    let disk = Disk::default();
    put(&open(&disk, 1).unwrap(), "a").unwrap();
    disk.is_full.set(true);
    let second = open(&disk, 2).unwrap();
    disk.is_full.set(false);
    assert_eq!(put(&second, "b"), Err(StorageError::Fenced));
    assert!(has(&second, "a"));

    let third = open(&disk, 3).unwrap();
    assert!(third.is_owner() && has(&third, "a") && !has(&third, "b"));
    put(&third, "b").unwrap();
    assert!(has(&third, "b"));
}

#[test]
fn who_only_reads_does_not_take_the_store_from_who_has_taken_it_over_since() {
    let disk = Disk::default();
    put(&open(&disk, 1).unwrap(), "a").unwrap();
    disk.is_full.set(true);
    let reader = open(&disk, 2).unwrap();
    disk.is_full.set(false);
    let owner = open(&disk, 3).unwrap();
    assert_eq!(put(&reader, "b"), Err(StorageError::Fenced));
    put(&owner, "c").unwrap();
    assert!(has(&owner, "c") && !has(&owner, "b"));
}

#[test]
fn a_new_store_is_refused_where_there_is_no_room_for_it() {
    let disk = Disk::default();
    disk.is_full.set(true);
    assert!(matches!(open(&disk, 1), Err(StorageError::QuotaExceeded)));
}
