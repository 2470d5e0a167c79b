//! Where a database's blocks are kept: one type for all kinds of storage, so that the engine is compiled once.

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks, Looked};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::{Durability, StorageError};

use js_sys::Array;

use crate::failure::Failure;
use crate::indexeddb::IndexedDbBlocks;
use crate::opfs::{self, OpfsBlocks};
use crate::payload::{self, Payload};

/// The blocks of a database.
pub enum PlatformBlocks {
    /// In IndexedDB.
    IndexedDb(IndexedDbBlocks),
    /// In files of the origin's private file system.
    Opfs(Box<OpfsBlocks>),
    /// In memory: gone with the engine.
    Memory(MemoryBlocks),
}

impl PlatformBlocks {
    /// Opens the blocks of the database `name` in the `storage` that is `asked` for, and creates them where there are none; those that
    /// are `known` to be there are not created, and this fails as `gone`. Those in OPFS are opened with their `files`, as
    /// [`opfs::open`] takes them. For `on_event` and `living` see [`IndexedDbBlocks::open`].
    ///
    /// # Errors
    /// `bad_request` where there is no such storage; those of the storage.
    pub async fn open(
        name: &str,
        asked: &Payload<'_>,
        known: bool,
        files: Option<Array>,
        on_event: impl Fn(&str, &str) + 'static,
    ) -> Result<Self, Failure> {
        match asked.text("storage")?.as_deref() {
            None | Some("indexeddb") => {
                let blocks = IndexedDbBlocks::open(name, known, asked.texts("living")?, on_event).await?;
                blocks.map(Self::IndexedDb).ok_or_else(Failure::gone)
            }
            Some("opfs") => Ok(Self::Opfs(Box::new(opfs::open(&files.unwrap_or_default())?))),
            Some("memory") => Ok(Self::Memory(MemoryBlocks::new())),
            Some(_) => Err(payload::wrong("storage", "\"indexeddb\", \"opfs\" or \"memory\"")),
        }
    }

    /// The name of the storage.
    pub fn storage(&self) -> &'static str {
        match self {
            Self::IndexedDb(_) => "indexeddb",
            Self::Opfs(_) => "opfs",
            Self::Memory(_) => "memory",
        }
    }
}

impl Blocks for PlatformBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        match self {
            Self::IndexedDb(blocks) => blocks.read(keys).await,
            Self::Opfs(blocks) => blocks.read(keys).await,
            Self::Memory(blocks) => blocks.read(keys).await,
        }
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        match self {
            Self::IndexedDb(blocks) => blocks.keys(first, last).await,
            Self::Opfs(blocks) => blocks.keys(first, last).await,
            Self::Memory(blocks) => blocks.keys(first, last).await,
        }
    }

    async fn look(&self, keys: &[BlockKey], ranges: &[(BlockKey, BlockKey)]) -> Result<Looked, StorageError> {
        match self {
            Self::IndexedDb(blocks) => blocks.look(keys, ranges).await,
            Self::Opfs(blocks) => blocks.look(keys, ranges).await,
            Self::Memory(blocks) => blocks.look(keys, ranges).await,
        }
    }

    fn has_rivals(&self) -> bool {
        match self {
            Self::IndexedDb(blocks) => blocks.has_rivals(),
            Self::Opfs(_) | Self::Memory(_) => false,
        }
    }

    fn is_undisputed(&self) -> bool {
        match self {
            Self::IndexedDb(blocks) => blocks.is_undisputed(),
            Self::Opfs(_) | Self::Memory(_) => false,
        }
    }

    fn are_left_alone(&self) -> bool {
        !matches!(self, Self::Opfs(_))
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        match self {
            Self::IndexedDb(blocks) => blocks.commit(batch, durability).await,
            Self::Opfs(blocks) => blocks.commit(batch, durability).await,
            Self::Memory(blocks) => blocks.commit(batch, durability).await,
        }
    }
}
