//! The store of blocks over files: reading, and steps.

use alloc::vec::Vec;
use core::cell::RefCell;

use super::directory::Directory;
use super::opening::Found;
use super::owner::Owner;
use super::{File, Files, damaged, read_whole};
use crate::storage::blocks::{BlockBatch, BlockKey, Blocks};
use crate::storage::{Durability, StorageError};

/// When a store over files does what nobody asks it for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many bytes of blocks are written before they are flushed: the next open checks what was not.
    pub unflushed_bytes: usize,
    /// A journal that has become so much longer than it was when begun, and twice that, is followed by another. If that makes
    /// it short, a quarter will do.
    pub journal_bytes: u64,
    /// Fewer bytes that are of no use are not cut off a file.
    pub tail_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unflushed_bytes: 8 << 20, journal_bytes: 2 << 20, tail_bytes: 4 << 20 }
    }
}

/// Blocks in files.
#[derive(Debug)]
pub struct FileBlocks<F> {
    files: Files<F>,
    limits: Limits,
    /// What the files held when they were read last, for as long as this opening has not taken the store over.
    seen: RefCell<Option<Found>>,
    /// What this opening writes to, once it has.
    owner: RefCell<Option<Owner>>,
}

impl<F: File> FileBlocks<F> {
    /// Opens the store that the files hold. Nothing is written until it is taken over, by a step that writes the epoch.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where the files are no such store, or damaged; [`StorageError::FormatTooNew`].
    pub fn open(files: Files<F>, limits: Limits) -> Result<Self, StorageError> {
        let seen = RefCell::new(Some(Found::read(&files)?));
        Ok(Self { files, limits, seen, owner: RefCell::new(None) })
    }

    fn read_all(
        &self,
        keys: &[BlockKey],
        directory: &Directory,
        journal: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let mut blocks = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(place) = directory.get(*key) else {
                blocks.push(None);
                continue;
            };
            let file = self.files.home(place, journal)?;
            let block = read_whole(file, place.offset(), place.bytes())?;
            blocks.push(Some(block.ok_or_else(|| damaged("a file is shorter than it was"))?));
        }
        Ok(blocks)
    }

    /// What the files hold, for as long as the store is another's, or nobody's.
    fn found(&self) -> Result<Found, StorageError> {
        match self.seen.take() {
            Some(found) => Ok(found),
            None => Found::read(&self.files),
        }
    }

    /// Reads before the store is taken over: whoever has it may write on meanwhile, and over what was there.
    fn look(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        loop {
            let found = self.found()?;
            let blocks = self.read_all(keys, &found.directory, found.journal.map_or(0, |(journal, _)| journal));
            if found.is_intact(&self.files)? {
                self.seen.replace(Some(found));
                return blocks;
            }
        }
    }

    /// Takes the store over from whoever had it.
    fn take_over(&self, epoch: &[u8]) -> Result<Owner, StorageError> {
        let epoch = *epoch.as_array().ok_or_else(|| damaged("an epoch has 16 bytes"))?;
        self.files.fence_off(&epoch)?;
        // What was acknowledged until now is in the journals; what is written from now on will not be.
        let mut found = self.found()?;
        if !found.is_current(&self.files)? {
            found = Found::read(&self.files)?;
        }
        Owner::begin(&self.files, found, epoch, self.limits)
    }
}

impl<F: File> Blocks for FileBlocks<F> {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let owner = self.owner.borrow();
        let Some(owner) = owner.as_ref() else { return self.look(keys) };
        let blocks = self.read_all(keys, &owner.directory, owner.journal);
        // Who took the store over may have written over what this one still knows of.
        if self.files.are_held_by(&owner.epoch)? { blocks } else { Err(StorageError::Fenced) }
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        let (owner, seen) = (self.owner.borrow(), self.seen.borrow());
        let directory = match (owner.as_ref(), seen.as_ref()) {
            (Some(owner), _) => &owner.directory,
            (None, Some(found)) => &found.directory,
            (None, None) => return Err(StorageError::Closed),
        };
        let mut keys = Vec::new();
        directory.walk(first, last, &mut |key, _| keys.push(key));
        Ok(keys)
    }

    /// They are kept out by the fence.
    fn has_rivals(&self) -> bool {
        false
    }

    /// Whoever had them is fenced off first.
    fn are_left_alone(&self) -> bool {
        false
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        if let Some((_, epoch)) = batch.puts.iter().find(|(key, _)| *key == BlockKey::epoch()) {
            let owner = self.take_over(epoch)?;
            self.owner.replace(Some(owner));
        }
        let mut owner = self.owner.borrow_mut();
        let owner = owner.as_mut().ok_or(StorageError::Fenced)?;
        if batch.guard.as_ref().is_some_and(|(_, expected)| expected.as_slice() != owner.epoch) {
            return Err(StorageError::Fenced);
        }
        if batch.are_new
            && batch.deletes.is_empty()
            && batch.puts.iter().any(|(key, _)| owner.directory.get(*key).is_some())
        {
            return Err(StorageError::Fenced);
        }
        owner.step(&self.files, batch, durability)
    }
}
