//! Writes a copy of a store ([`super::backup`]) into a place that holds nothing.
//!
//! Each block is checked by its checksum, and written before anything refers to it. The last step writes the manifest; until then
//! the store is as it was, and what was written is found and deleted by whoever opens it next.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::backup::HEADER_BYTES;
use super::blocks::{BLOCK_BYTES_MAX, BlockBatch, BlockKey, Blocks};
use super::bytes::Reader;
use super::frame::{self, SEGMENT_BLOCKS_MAX, SEGMENTS_MAX, segment_block, segment_of};
use super::manifest::Manifest;
use super::reader::{BlockReader, reason};
use super::run::Run;
use super::store::LogStore;
use super::{Batch, Durability, FORMAT_VERSION, StorageError, log};
use crate::ordered::Map;

/// Why a copy was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There is something already.
    #[error("The database is not empty.")]
    NotEmpty,
    /// It is no copy of a store, or not a whole one.
    #[error("the backup {0}")]
    Malformed(String),
    /// The storage failed, or the copy is of a newer format.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A copy that is being written.
#[derive(Debug)]
pub struct Restore<B> {
    reader: Rc<BlockReader<B>>,
    step_bytes: usize,
    /// The log of the empty store, which goes.
    log: Vec<BlockKey>,
    next_log: u64,
    /// What came of a block that is not whole.
    rest: Vec<u8>,
    ready: Vec<(BlockKey, Vec<u8>)>,
    ready_bytes: usize,
    /// Of each segment, how many blocks have come, and their bytes.
    received: Map<u64, (u32, u64)>,
    manifest: Option<Manifest>,
}

impl<B: Blocks> LogStore<B> {
    /// Has a copy in `format` take the place of what this store holds, which should be nothing of worth.
    ///
    /// # Errors
    /// [`RestoreError::NotEmpty`] if there is more than a log; [`StorageError::FormatTooNew`].
    pub async fn into_restore(self, format: u32) -> Result<Restore<B>, RestoreError> {
        if format > FORMAT_VERSION {
            return Err(StorageError::FormatTooNew { found: format, supported: FORMAT_VERSION }.into());
        }
        if !self.version.borrow().segments.is_empty() {
            return Err(RestoreError::NotEmpty);
        }
        let mut writer = self.writer.lock().await;
        self.own(&mut writer).await?;
        let log: Vec<BlockKey> = (writer.first_log..writer.next_log).map(BlockKey::log).collect();
        // What is left of a copy that did not come to its end.
        let last = segment_block(SEGMENTS_MAX - 1, SEGMENT_BLOCKS_MAX - 1);
        let deletes = self.reader.blocks.keys(segment_block(0, 0), last).await?;
        self.write(BlockBatch { deletes, ..BlockBatch::default() }, Durability::Relaxed).await?;
        Ok(Restore {
            reader: Rc::clone(&self.reader),
            step_bytes: self.options.step_bytes,
            log,
            next_log: writer.next_log,
            rest: Vec::new(),
            ready: Vec::new(),
            ready_bytes: 0,
            received: Map::new(),
            manifest: None,
        })
    }
}

impl<B: Blocks> Restore<B> {
    /// Takes in the next bytes of the copy, wherever they were cut.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`]; the store is as it was.
    pub async fn add(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.rest.extend_from_slice(bytes);
        let mut rest = core::mem::take(&mut self.rest);
        let mut taken = 0;
        while let Some((name, block)) = next_block(&rest, taken)? {
            taken += HEADER_BYTES + block.len();
            self.take(name, block)?;
            if self.ready_bytes >= self.step_bytes {
                self.write(Vec::new(), Vec::new(), Durability::Relaxed).await?;
            }
        }
        rest.drain(..taken);
        self.rest = rest;
        Ok(())
    }

    fn take(&mut self, name: BlockKey, block: &[u8]) -> Result<(), RestoreError> {
        if self.manifest.is_some() {
            return Err(malformed("goes on behind its end"));
        }
        if name == BlockKey::MANIFEST {
            self.manifest = Some(Manifest::decode(block).map_err(damaged)?);
            return Ok(());
        }
        frame::kind_of(name, block).map_err(damaged)?;
        let number = segment_of(name);
        let (blocks, bytes) = self.received.get_or_default(number);
        // This also refuses names that are none of a segment's.
        if name != segment_block(number, *blocks) || *blocks >= SEGMENT_BLOCKS_MAX {
            return Err(malformed("has a block that does not belong where it stands"));
        }
        *blocks += 1;
        *bytes += block.len() as u64;
        self.ready_bytes += block.len();
        self.ready.push((name, block.to_vec()));
        Ok(())
    }

    /// Makes the copy count, with `batch` as its first commit.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`] for a copy that is cut off; the store is as it was.
    pub async fn finish(mut self, batch: Batch) -> Result<(), RestoreError> {
        let manifest = self.manifest.take().filter(|_| self.rest.is_empty());
        let manifest = manifest.ok_or_else(|| malformed("is cut off"))?;
        let is_here = |segment: &super::segment::Segment| {
            self.received.get(&segment.number) == Some(&(segment.blocks, segment.bytes))
        };
        let are_here = manifest.segments.iter().all(|segment| is_here(segment));
        if !are_here || self.received.iter().count() != manifest.segments.len() {
            return Err(malformed("has other blocks than its manifest tells of"));
        }
        let manifest = Manifest { first_log: self.next_log, retired: Vec::new(), ..manifest };
        let mut puts = log::encode(&Run::from_batch(batch)?, self.next_log);
        puts.push((BlockKey::MANIFEST, manifest.encode()?));
        let log = core::mem::take(&mut self.log);
        Ok(self.write(puts, log, Durability::Strict).await?)
    }

    async fn write(
        &mut self,
        more: Vec<(BlockKey, Vec<u8>)>,
        deletes: Vec<BlockKey>,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let mut puts = core::mem::take(&mut self.ready);
        puts.extend(more);
        self.ready_bytes = 0;
        let guard = Some((BlockKey::epoch(), self.reader.epoch()));
        self.reader.blocks.commit(BlockBatch { puts, deletes, guard, are_new: false }, durability).await
    }
}

/// The block at `position`, if all of it is there.
pub(super) fn next_block(bytes: &[u8], position: usize) -> Result<Option<(BlockKey, &[u8])>, RestoreError> {
    let mut reader = Reader::new(bytes, position);
    let name = reader.take(8).and_then(|name| name.first_chunk());
    let (Some(name), Some(length)) = (name, reader.take(4).and_then(|length| length.first_chunk())) else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > BLOCK_BYTES_MAX {
        return Err(malformed("has a block that is too long"));
    }
    Ok(reader.take(length).map(|block| (BlockKey::from_u64(u64::from_le_bytes(*name)), block)))
}

pub(crate) fn malformed(what: &str) -> RestoreError {
    RestoreError::Malformed(what.into())
}

pub(crate) fn damaged(error: StorageError) -> RestoreError {
    match reason(error) {
        Ok(what) => RestoreError::Malformed(format!("is damaged: {what}")),
        Err(error) => error.into(),
    }
}
