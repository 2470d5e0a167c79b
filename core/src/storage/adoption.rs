//! Takes in the entries that another store packed ([`super::pack`]), below all that this one holds.
//!
//! Each record is checked, and its entries go to a segment that is written as every other, before anything refers to it. So of
//! what comes nothing is believed but keys and values, and these are shown to whoever knows what they may be. One last step writes
//! the manifest; until then the store is as it was, and goes on being used. **An adoption that does not come to its end has changed
//! nothing**: its blocks are deleted with the commits that follow, or at the next open.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::backup::HEADER_BYTES;
use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::flush::Writer;
use super::log::Record;
use super::manifest::Manifest;
use super::restore::{RestoreError, damaged, malformed, next_block};
use super::run::Run;
use super::segment::Segment;
use super::segment_writer::SegmentWriter;
use super::store::{LogSnapshot, LogStore};
use super::version::Version;
use super::{Batch, Durability, KEY_BYTES_MAX, StorageError, VALUE_BYTES_MAX, log};

/// A record may be longer than the longest value by so much.
const RECORD_BYTES_MORE: usize = 1 << 20;

/// Is shown each entry before it is taken in.
pub type Shown<'s> = dyn FnMut(&[u8], &[u8]) -> Result<(), RestoreError> + 's;

/// A segment that is being taken in.
#[derive(Debug)]
pub struct Adoption {
    /// What came of a block that is not whole.
    rest: Vec<u8>,
    record: Record,
    /// How many blocks have come.
    blocks: u64,
    /// The key that came last.
    last: Vec<u8>,
    writer: SegmentWriter,
    /// Known at the end.
    segment: Option<Rc<Segment>>,
}

impl<B: Blocks> LogStore<B> {
    /// Begins to take in a segment; `None` while another is taken in.
    ///
    /// # Errors
    /// What the platform reports.
    pub async fn begin_adoption(&self) -> Result<Option<Adoption>, StorageError> {
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        if writer.adopted.is_some() {
            return Ok(None);
        }
        self.own(&mut writer).await?;
        let number = writer.take_segment()?;
        writer.adopted = Some(number);
        Ok(Some(Adoption {
            rest: Vec::new(),
            record: Record::default(),
            blocks: 0,
            last: Vec::new(),
            writer: SegmentWriter::new(number, self.options.unfiltered),
            segment: None,
        }))
    }

    /// Takes in the next bytes, wherever they were cut.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`]; what `shown` and the platform report.
    pub async fn adopt_next(
        &self,
        adoption: &mut Adoption,
        bytes: &[u8],
        shown: &mut Shown<'_>,
    ) -> Result<(), RestoreError> {
        adoption.rest.extend_from_slice(bytes);
        let rest = core::mem::take(&mut adoption.rest);
        let mut taken = 0;
        while let Some((name, block)) = next_block(&rest, taken)? {
            taken += HEADER_BYTES + block.len();
            if let Some(run) = adoption.take(name, block)? {
                adoption.add(&run, shown)?;
                self.write_adopted(adoption, self.options.step_bytes).await?;
            }
        }
        adoption.rest.extend_from_slice(rest.get(taken..).unwrap_or_default());
        Ok(())
    }

    /// What came, once all of it has; it is not part of the store yet.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`] where it has not; what the platform reports.
    pub async fn adopted(&self, adoption: &mut Adoption) -> Result<LogSnapshot<B>, RestoreError> {
        if !adoption.rest.is_empty() || !adoption.record.is_empty() {
            return Err(malformed("is cut off"));
        }
        let segment = adoption.writer.finish().map_err(too_large)?.map(Rc::new);
        let segment = segment.ok_or_else(|| malformed("is empty"))?;
        self.write_adopted(adoption, 0).await?;
        adoption.segment = Some(Rc::clone(&segment));
        let version = Version { segments: [segment].into(), ..Version::default() };
        Ok(LogSnapshot { reader: Rc::clone(&self.reader), version })
    }

    /// Makes the segment count, below all that is here, together with `batch`.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`] unless all of it was [`adopted`](Self::adopted); the store is as it was.
    pub async fn end_adoption(&self, adoption: &Adoption, batch: Batch) -> Result<(), RestoreError> {
        let adopted = adoption.segment.clone().ok_or_else(|| malformed("is cut off"))?;
        let run = Rc::new(Run::from_batch(batch)?);
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        let version = self.version.borrow().clone();
        let memtable = version.memtable.with(Rc::clone(&run), true)?;
        let segments: Vec<_> = version.segments.iter().cloned().chain([adopted]).collect();
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
        if writer.adopted == Some(adoption.writer.number()) {
            writer.adopted = None;
            writer.garbage.retire(Rc::new(adoption.writer.abandoned()));
            self.due.notify(usize::MAX);
        }
    }

    /// Writes finished blocks, if there are more than `bytes` of them.
    async fn write_adopted(&self, adoption: &mut Adoption, bytes: usize) -> Result<(), StorageError> {
        while adoption.writer.ready_bytes() > bytes {
            let puts = adoption.writer.take_ready(self.options.step_bytes);
            // It is read again before it counts; a large one would drive out everything else.
            let is_small = adoption.writer.abandoned().bytes <= self.options.cache_bytes as u64 / 4;
            self.remember(&puts, is_small);
            self.write(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed).await?;
        }
        Ok(())
    }
}

impl Adoption {
    /// Takes in a block; a record, once it is whole.
    fn take(&mut self, name: BlockKey, block: &[u8]) -> Result<Option<Run>, RestoreError> {
        if name != BlockKey::log(self.blocks) {
            return Err(malformed("has a block that does not belong where it stands"));
        }
        self.blocks += 1;
        self.record.add(name, block).map_err(damaged)?;
        if self.record.bytes() > VALUE_BYTES_MAX + RECORD_BYTES_MORE {
            return Err(malformed("has a record that is too long"));
        }
        if !self.record.is_whole() {
            return Ok(None);
        }
        core::mem::take(&mut self.record).decode(name).map(Some).map_err(damaged)
    }

    fn add(&mut self, run: &Run, shown: &mut Shown<'_>) -> Result<(), RestoreError> {
        for (key, value) in run.entries() {
            let value = value.filter(|value| value.len() <= VALUE_BYTES_MAX && key.len() <= KEY_BYTES_MAX);
            let value = value.ok_or_else(|| malformed("has an entry that nobody writes"))?;
            if key <= self.last.as_slice() {
                return Err(malformed("is not in order"));
            }
            shown(key, value)?;
            self.writer.add(key, Some(value)).map_err(too_large)?;
            self.last.clear();
            self.last.extend_from_slice(key);
        }
        Ok(())
    }
}

fn too_large(_: StorageError) -> RestoreError {
    malformed("is too large")
}
