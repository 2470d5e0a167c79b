//! Takes in a segment that another store packed ([`super::pack`]), below all that this one holds.
//!
//! Each block is checked, sealed under the number that the segment has here, and written before anything refers to it. One last
//! step writes the manifest; until then the store is as it was, and goes on being used. **An adoption that does not come to its
//! end has changed nothing**: its blocks are deleted with the commits that follow, by the next adoption, or at the next open.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::backup::HEADER_BYTES;
use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::flush::Writer;
use super::frame::{self, SEGMENT_BLOCKS_MAX, segment_block};
use super::manifest::Manifest;
use super::restore::{RestoreError, damaged, malformed, next_block};
use super::run::Run;
use super::segment::Segment;
use super::store::{LogSnapshot, LogStore};
use super::version::Version;
use super::{Batch, Durability, StorageError, log};

/// A segment that is being taken in.
#[derive(Debug)]
pub struct Adoption {
    /// The number of the segment here.
    number: u64,
    /// What came of a block that is not whole.
    rest: Vec<u8>,
    ready: Vec<(BlockKey, Vec<u8>)>,
    ready_bytes: usize,
    blocks: u32,
    bytes: u64,
    /// Known at the end.
    segment: Option<Rc<Segment>>,
}

impl<B: Blocks> LogStore<B> {
    /// Begins to take in a segment; one that was begun before and not finished is given up.
    ///
    /// # Errors
    /// What the platform reports.
    pub async fn begin_adoption(&self) -> Result<Adoption, StorageError> {
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        if let Some(left) = writer.adopted.take() {
            let (first, last) = (segment_block(left, 0), segment_block(left, SEGMENT_BLOCKS_MAX - 1));
            let written = self.reader.blocks.keys(first, last).await?;
            writer.garbage.doom(written);
        }
        let number = writer.take_segment()?;
        writer.adopted = Some(number);
        let (rest, ready) = (Vec::new(), Vec::new());
        Ok(Adoption { number, rest, ready, ready_bytes: 0, blocks: 0, bytes: 0, segment: None })
    }

    /// Takes in the next bytes, wherever they were cut.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`]; what the platform reports.
    pub async fn adopt_next(&self, adoption: &mut Adoption, bytes: &[u8]) -> Result<(), RestoreError> {
        adoption.rest.extend_from_slice(bytes);
        let mut rest = core::mem::take(&mut adoption.rest);
        let mut taken = 0;
        while let Some((name, block)) = next_block(&rest, taken)? {
            taken += HEADER_BYTES + block.len();
            adoption.take(name, block)?;
            if adoption.ready_bytes >= self.options.step_bytes {
                self.write_adopted(adoption).await?;
            }
        }
        rest.drain(..taken);
        adoption.rest = rest;
        Ok(())
    }

    /// What the segment holds, once all of it has come.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`] where it has not; what the platform reports.
    pub async fn adopted(&self, adoption: &mut Adoption) -> Result<LogSnapshot<B>, RestoreError> {
        let segment = adoption.segment.clone().filter(|_| adoption.rest.is_empty());
        let segment = segment.ok_or_else(|| malformed("is cut off"))?;
        self.write_adopted(adoption).await?;
        let version = Version { segments: [segment].into(), ..Version::default() };
        Ok(LogSnapshot { reader: Rc::clone(&self.reader), version })
    }

    /// Makes the segment count, below all that is here, together with `batch`.
    ///
    /// # Errors
    /// As those of [`adopted`](Self::adopted); the store is as it was.
    pub async fn end_adoption(&self, adoption: &mut Adoption, batch: Batch) -> Result<(), RestoreError> {
        let adopted = self.adopted(adoption).await?;
        let run = Rc::new(Run::from_batch(batch)?);
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        let version = self.version.borrow().clone();
        let memtable = version.memtable.with(Rc::clone(&run), true)?;
        let segments: Vec<_> = version.segments.iter().chain(adopted.version.segments.iter()).cloned().collect();
        let mut puts = log::encode(&run, writer.next_log);
        let (blocks, bytes) = (puts.len() as u64, puts.iter().map(|(_, block)| block.len()).sum::<usize>());
        let mut retired = writer.garbage.segments();
        retired.extend(writer.merges.iter().map(|merging| merging.number));
        let (next_segment, first_log) = (writer.next_segment, writer.first_log);
        let manifest = Manifest { next_segment, first_log, segments: segments.clone(), retired };
        puts.push((BlockKey::MANIFEST, manifest.encode()?));
        self.is_unsettled.set(true);
        let result = self.write(BlockBatch { puts, ..BlockBatch::default() }, Durability::Strict).await;
        self.settle(&result);
        result?;
        let Writer { adopted, next_log, log_bytes, .. } = &mut *writer;
        *adopted = None;
        *next_log += blocks;
        *log_bytes += bytes;
        self.version.replace(Version { memtable, segments: segments.into() });
        Ok(())
    }

    /// Gives it up.
    pub async fn drop_adoption(&self, adoption: Adoption) {
        let mut writer = self.writer.lock().await;
        if writer.adopted == Some(adoption.number) {
            writer.adopted = None;
            let Adoption { number, blocks, bytes, .. } = adoption;
            writer.garbage.retire(Rc::new(Segment { number, root: 0, height: 1, blocks, bytes }));
            self.due.notify(usize::MAX);
        }
    }

    async fn write_adopted(&self, adoption: &mut Adoption) -> Result<(), StorageError> {
        let puts = core::mem::take(&mut adoption.ready);
        adoption.ready_bytes = 0;
        if puts.is_empty() {
            return Ok(());
        }
        self.write(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed).await
    }
}

impl Adoption {
    fn take(&mut self, name: BlockKey, block: &[u8]) -> Result<(), RestoreError> {
        if self.segment.is_some() {
            return Err(malformed("goes on behind its end"));
        }
        if name == BlockKey::MANIFEST {
            let manifest = Manifest::decode(block).map_err(damaged)?;
            let [segment] = manifest.segments.as_slice() else { return Err(malformed("is not one segment")) };
            if (segment.number, segment.blocks, segment.bytes) != (0, self.blocks, self.bytes) {
                return Err(malformed("has other blocks than its manifest tells of"));
            }
            self.segment = Some(Rc::new(Segment { number: self.number, ..**segment }));
            return Ok(());
        }
        frame::kind_of(name, block).map_err(damaged)?;
        if name != segment_block(0, self.blocks) || self.blocks >= SEGMENT_BLOCKS_MAX {
            return Err(malformed("has a block that does not belong where it stands"));
        }
        let here = segment_block(self.number, self.blocks);
        self.blocks += 1;
        self.bytes += block.len() as u64;
        self.ready_bytes += block.len();
        self.ready.push((here, frame::reseal(here, block)));
        Ok(())
    }
}
