//! Blocks in memory, for tests and for stores that need not outlive their page.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::{Durability, StorageError};
use crate::ordered::Map;

/// Blocks in memory. Clones share their content, so that a store can be opened over them again.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlocks {
    blocks: Rc<RefCell<Map<BlockKey, Vec<u8>>>>,
}

impl MemoryBlocks {
    /// An empty place.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes all blocks hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.borrow().iter().map(|(_, block)| block.len()).sum()
    }
}

impl Blocks for MemoryBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let blocks = self.blocks.borrow();
        Ok(keys.iter().map(|key| blocks.get(key).cloned()).collect())
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        Ok(self.blocks.borrow().iter_from(&first).map(|(key, _)| *key).take_while(|key| *key <= last).collect())
    }

    async fn commit(&self, batch: BlockBatch, _durability: Durability) -> Result<(), StorageError> {
        let mut blocks = self.blocks.borrow_mut();
        if let Some((key, expected)) = &batch.guard
            && blocks.get(key) != Some(expected)
        {
            return Err(StorageError::Fenced);
        }
        if batch.are_new && batch.deletes.is_empty() && batch.puts.iter().any(|(key, _)| blocks.contains(key)) {
            return Err(StorageError::Fenced);
        }
        for key in &batch.deletes {
            blocks.remove(key);
        }
        blocks.extend(batch.puts);
        Ok(())
    }
}
