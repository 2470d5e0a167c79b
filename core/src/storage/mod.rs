//! Storage: ordered bytes. It knows nothing of documents.
//!
//! [`Kv`] is what the database is written against: point reads and ordered ranges from a snapshot, and atomic commits. One
//! implementation keeps everything in memory ([`memory`]); the log-structured one ([`store`]) needs only a place for blocks
//! ([`blocks::Blocks`]: IndexedDB in a browser). An embedder may bring an ordered store of its own, as the server does.
//!
//! Commits take effect one after the other; those that are made at once may be joined. Readers work on snapshots and are never
//! blocked.

pub mod adoption;
pub mod backup;
mod batch;
mod block;
pub mod blocks;
pub mod blocks_memory;
mod bytes;
mod cache;
mod compaction;
pub mod files;
mod filter;
mod flush;
mod frame;
mod garbage;
mod joining;
mod log;
mod lookup;
mod manifest;
pub mod memory;
mod merge;
mod merging;
pub mod pack;
mod reader;
mod recovery;
pub mod restore;
mod run;
mod salvage;
mod segment;
mod segment_writer;
mod steps;
pub mod store;
mod version;

pub use batch::{Batch, Operation};
pub use manifest::FORMAT_VERSION;

use alloc::string::String;
use alloc::vec::Vec;

/// No key may be longer: an entry must fit into a block.
pub const KEY_BYTES_MAX: usize = 16 * 1024;
/// No value may be longer.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How much a commit must survive before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the tab, of the worker and of the browser's process.
    #[default]
    Relaxed,
    /// Loss of power as well.
    Strict,
}

/// Ordered bytes with snapshots and atomic commits.
pub trait Kv {
    /// A consistent view of one moment.
    type Snapshot: Snapshot;

    /// The state after the latest commit that completed.
    fn snapshot(&self) -> Result<Self::Snapshot, StorageError>;

    /// Applies all operations of `batch`, or none. Once this returns `Ok`, the batch is durable as `durability` says and
    /// every later snapshot shows it; after an error nothing has changed, except that after [`StorageError::Closed`] the
    /// store must be opened again to know.
    async fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StorageError>;
}

/// A consistent view of a [`Kv`].
pub trait Snapshot: Clone {
    /// Walks a range of this snapshot.
    type Cursor: Cursor;

    /// The value at `key`.
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The values at `keys`, in that order. Where a store reads several places at once for less than one after the other,
    /// this does.
    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.get(key).await?);
        }
        Ok(values)
    }

    /// A cursor before the first entry of `range` in `direction`.
    fn range(&self, range: KeyRange, direction: Direction) -> Result<Self::Cursor, StorageError>;
}

/// A snapshot that can be thought further.
pub trait Overlay: Snapshot {
    /// This snapshot as it would be after `batch`. Nothing is committed, and nobody else sees it.
    fn with(&self, batch: Batch) -> Result<Self, StorageError>;
}

/// Walks the entries of a range in order.
pub trait Cursor {
    /// Moves to the next entry; `false` when there is none left.
    async fn advance(&mut self) -> Result<bool, StorageError>;
    /// The key of the entry that the cursor stands on; empty before the first and after the last.
    fn key(&self) -> &[u8];
    /// The value of the entry that the cursor stands on; empty before the first and after the last.
    fn value(&self) -> &[u8];
}

/// The order in which a cursor walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending by key.
    Forward,
    /// Descending by key.
    Backward,
}

/// A half-open range of keys: from `start`, included, to `end`, excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key of the range.
    pub start: Vec<u8>,
    /// The first key past the range; `None` for a range without an upper end.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Vec::new(), end: None }
    }

    /// All keys that start with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { start: prefix.to_vec(), end: after_prefix(prefix) }
    }

    /// Whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_deref().is_none_or(|end| key < end)
    }
}

/// The first key after all keys that start with `prefix`; `None` where there is none (a prefix of 0xff only).
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// Why storage could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The origin's quota, or the disk, is full.
    #[error("there is no room left to store this")]
    QuotaExceeded,
    /// Stored bytes are not what was written; the text names the block.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// Written by a newer version of the library.
    #[error("the database has format {found}; this version reads formats up to {supported}")]
    FormatTooNew {
        /// The version of the stored format.
        found: u32,
        /// The newest version that this build reads.
        supported: u32,
    },
    /// Another tab took the database over; this one may no longer write.
    #[error("another tab has taken over this database")]
    Fenced,
    /// The database was closed, by the app or by the platform.
    #[error("the database is closed")]
    Closed,
    /// Anything else that the platform reports.
    #[error("storage failed: {0}")]
    Failed(String),
}
