//! A copy of the store as it stands: the blocks of its segments as they are, and the manifest last.
//!
//! The memtable is written to a segment first, so there is no log to copy. A copy under way holds its version: segments that are merged
//! meanwhile stay until it is dropped. So **whoever makes copies drops those that nobody reads any more**.
//!
//! ```text
//! each block    name: 8 bytes, lowest first · length: 4 bytes, lowest first · the block
//! ```

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::blocks::{BlockKey, Blocks};
use super::frame;
use super::manifest::Manifest;
use super::reader::BlockReader;
use super::run::Run;
use super::segment::Segment;
use super::store::LogStore;
use super::{Durability, StorageError};

/// What stands before each block.
pub(super) const HEADER_BYTES: usize = 8 + 4;
/// How many blocks are read at once.
const BLOCKS_AT_ONCE: u32 = 16;

/// A copy under way.
#[derive(Debug)]
pub struct Backup<B> {
    reader: Rc<BlockReader<B>>,
    /// Those that are still to be copied, the next one last.
    segments: Vec<Rc<Segment>>,
    /// The next block of that one.
    block: u32,
    /// How many bytes the copy has.
    pub bytes: u64,
    manifest: Option<Vec<u8>>,
}

impl<B: Blocks> LogStore<B> {
    /// Begins a copy of what the store holds now.
    ///
    /// # Errors
    /// What the platform reports.
    pub async fn backup(&self) -> Result<Backup<B>, StorageError> {
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        let version = self.version.borrow().clone();
        if version.memtable.bytes() > 0 {
            self.own(&mut writer).await?;
            self.is_unsettled.set(true);
            let result = self.flush(&mut writer, version, Rc::new(Run::default()), Durability::Relaxed).await;
            self.settle(&result);
            result?;
        }
        let mut segments = self.version.borrow().segments.to_vec();
        let manifest =
            Manifest { next_segment: writer.next_segment, segments: segments.clone(), ..Manifest::default() };
        let manifest = manifest.encode()?;
        let segment_bytes = |segment: &Rc<Segment>| segment.bytes + u64::from(segment.blocks) * HEADER_BYTES as u64;
        let bytes = segments.iter().map(segment_bytes).sum::<u64>() + (manifest.len() + HEADER_BYTES) as u64;
        segments.reverse();
        Ok(Backup { reader: Rc::clone(&self.reader), segments, block: 0, bytes, manifest: Some(manifest) })
    }
}

impl<B: Blocks> Backup<B> {
    /// The next blocks, of about `bytes`; none at the end.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where a block is damaged: a database is to be repaired before it is copied.
    pub async fn next(&mut self, bytes: usize) -> Result<Vec<u8>, StorageError> {
        let mut out = Vec::new();
        while out.len() < bytes
            && let Some(segment) = self.segments.last()
        {
            let end = segment.blocks.min(self.block + BLOCKS_AT_ONCE);
            let names: Vec<BlockKey> = (self.block..end).map(|block| segment.block(block)).collect();
            for (name, block) in names.iter().zip(self.reader.blocks.read(&names).await?) {
                let Some(block) = block else { return Err(self.reader.missing(*name).await) };
                frame::kind_of(*name, &block)?;
                append(*name, &block, &mut out);
            }
            self.block = end;
            if end == segment.blocks {
                self.segments.pop();
                self.block = 0;
            }
        }
        if self.segments.is_empty() && out.len() < bytes {
            self.manifest.take().into_iter().for_each(|manifest| append(BlockKey::MANIFEST, &manifest, &mut out));
        }
        Ok(out)
    }
}

pub(super) fn append(name: BlockKey, block: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&name.as_u64().to_le_bytes());
    out.extend_from_slice(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(block);
}
