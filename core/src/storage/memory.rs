//! A store in memory: nothing but the memtable. For tests, and for databases that need not outlive their page.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::merge::{Merge, Value};
use super::run::{Memtable, Run, RunCursor};
use super::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Overlay, Snapshot, StorageError};

/// An ordered store in memory. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemoryKv {
    memtable: Rc<RefCell<Memtable>>,
}

impl MemoryKv {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Kv for MemoryKv {
    type Snapshot = MemorySnapshot;

    fn snapshot(&self) -> Result<MemorySnapshot, StorageError> {
        Ok(MemorySnapshot { memtable: self.memtable.borrow().clone() })
    }

    async fn commit(&self, batch: Batch, _durability: Durability) -> Result<(), StorageError> {
        let run = Rc::new(Run::from_batch(batch)?);
        let changed = self.memtable.borrow().with(run, false)?;
        self.memtable.replace(changed);
        Ok(())
    }
}

/// A view of a [`MemoryKv`].
#[derive(Clone, Debug)]
pub struct MemorySnapshot {
    memtable: Memtable,
}

impl Snapshot for MemorySnapshot {
    type Cursor = MemoryCursor;

    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.memtable.get(key).flatten().map(<[u8]>::to_vec))
    }

    fn range(&self, range: KeyRange, direction: Direction) -> Result<MemoryCursor, StorageError> {
        let sources = self.memtable.cursors(&range, direction).collect();
        Ok(MemoryCursor { merge: Merge::new(sources, direction, false) })
    }
}

impl Overlay for MemorySnapshot {
    fn with(&self, batch: Batch) -> Result<Self, StorageError> {
        Ok(Self { memtable: self.memtable.with(Rc::new(Run::from_batch(batch)?), false)? })
    }
}

/// Walks a range of a [`MemorySnapshot`].
#[derive(Debug)]
pub struct MemoryCursor {
    merge: Merge<RunCursor>,
}

impl Cursor for MemoryCursor {
    async fn advance(&mut self) -> Result<bool, StorageError> {
        self.merge.advance().await
    }

    fn key(&self) -> &[u8] {
        self.merge.key()
    }

    fn value(&self) -> &[u8] {
        match self.merge.value() {
            Value::Inline(value) => value,
            Value::Tombstone | Value::Large(_) => &[],
        }
    }
}
