//! Where a database's blocks are kept: one type for all kinds of storage, so that the engine is compiled once.

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::{Durability, StorageError};

use crate::indexeddb::IndexedDbBlocks;
use crate::opfs::OpfsBlocks;

/// The blocks of a database.
pub enum PlatformBlocks {
    /// In IndexedDB.
    IndexedDb(IndexedDbBlocks),
    /// In files of the origin's private file system.
    Opfs(Box<OpfsBlocks>),
    /// In memory: gone with the engine.
    Memory(MemoryBlocks),
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

    fn has_rivals(&self) -> bool {
        match self {
            Self::IndexedDb(blocks) => blocks.has_rivals(),
            Self::Opfs(_) | Self::Memory(_) => false,
        }
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        match self {
            Self::IndexedDb(blocks) => blocks.commit(batch, durability).await,
            Self::Opfs(blocks) => blocks.commit(batch, durability).await,
            Self::Memory(blocks) => blocks.commit(batch, durability).await,
        }
    }
}
