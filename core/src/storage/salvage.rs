//! Salvage: opens a store that is damaged, and makes it one of which everything can be read.
//!
//! What is whole stays as it is. A segment of which a block cannot be read is written anew from its data blocks: they stand in the
//! order of their keys, whatever became of its index and its filter. A value of which a part is lost leaves a tombstone, lest
//! an older one be taken for it. Records of the log that cannot be read are passed over, and later ones taken. Without its
//! manifest a store is what its segments hold, the one with the greater number before the others: **which of two values is the
//! newer is then a guess**, and whoever knows what they mean must judge.
//!
//! One last step writes the manifest, and notes in the store what was lost. Until then the store is as damaged as it was, and
//! can be salvaged again.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::block::BlockCursor;
use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::bytes::StoredValue;
use super::flush::Writer;
use super::frame::{BlockKind, SEGMENT_BLOCKS_MAX, SEGMENTS_MAX, segment_block, segment_of};
use super::merge::LargeValue;
use super::reader::{BlockReader, reason};
use super::run::Run;
use super::segment::Segment;
use super::segment_writer::SegmentWriter;
use super::store::{LogStore, StoreOptions};
use super::version::Version;
use super::{Batch, Durability, StorageError, log, recovery};
use crate::progress::Task;

/// How many blocks are read at once.
const BLOCKS_AT_ONCE: usize = 16;

/// A segment as it was found.
struct Found {
    /// As the manifest tells it, if that can be read; then as it is written anew.
    segment: Option<Rc<Segment>>,
    names: Vec<BlockKey>,
    is_whole: bool,
}

/// A segment that is written anew.
struct Rewritten {
    segment: SegmentWriter,
    last_key: Option<Vec<u8>>,
}

struct Salvage<B> {
    reader: BlockReader<B>,
    step_bytes: usize,
    /// Why blocks cannot be read.
    lost: Vec<String>,
}

impl<B: Blocks> LogStore<B> {
    /// Opens the store in `blocks`, whatever of it is damaged, and says what is: each block by its name. That is also written
    /// under the key `noted_at`, a line for each, in the step that makes the salvaged store count.
    ///
    /// # Errors
    /// [`StorageError::FormatTooNew`], and what the platform reports other than damage; nothing is changed then.
    pub async fn salvage(
        blocks: B,
        options: StoreOptions,
        noted_at: &[u8],
    ) -> Result<(Self, Vec<String>), StorageError> {
        let reader = BlockReader::of(blocks, &options);
        // A store that this build cannot read is left to who can.
        if let Err(error) = recovery::read_manifest(&reader).await {
            reason(error)?;
        }
        recovery::take_over(&reader, &reader.epoch(), Vec::new(), None).await?;
        let mut salvage = Salvage { reader, step_bytes: options.step_bytes, lost: Vec::new() };
        let (version, mut writer, log) = salvage.open().await?;
        let Salvage { reader, lost, .. } = salvage;
        if lost.is_empty() {
            return Ok((Self::new(reader, options, version, writer), lost));
        }
        // The log is deleted once it does not count any more.
        writer.first_log = writer.next_log;
        let store = Self::new(reader, options, version, writer);
        let mut note = Batch::new();
        note.put(noted_at, lost.join("\n").as_bytes());
        let run = Rc::new(Run::from_batch(note)?);
        let mut writer = store.writer.lock().await;
        let version = store.version.borrow().clone();
        store.flush(&mut writer, version, run, Durability::Strict).await?;
        store.write(BlockBatch { deletes: log, ..BlockBatch::default() }, Durability::Relaxed).await?;
        drop(writer);
        Ok((store, lost))
    }
}

impl<B: Blocks> Salvage<B> {
    /// What can be read, and the names of the log's blocks.
    async fn open(&mut self) -> Result<(Version, Writer<B>, Vec<BlockKey>), StorageError> {
        let manifest = match recovery::read_manifest(&self.reader).await {
            Ok(None) => recovery::create(&self.reader).await,
            Ok(Some(manifest)) => Ok(manifest),
            Err(error) => Err(error),
        };
        let manifest = match manifest {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                self.lost.push(reason(error)?);
                None
            }
        };
        let first = manifest.as_ref().map(|manifest| manifest.first_log);
        let (from, to) = log::range(first.unwrap_or(0));
        let log = self.reader.blocks.keys(from, to).await?;
        let first = first.or_else(|| Some(log.first()?.number())).unwrap_or(0);
        let recovered = match log::recover(&self.reader, first, &log).await {
            Ok(recovered) => recovered,
            Err(error) => {
                reason(error)?;
                log::salvage(&self.reader, first, &log, &mut self.lost).await?
            }
        };
        let mut writer = recovery::begin_writing(&self.reader, first, &recovered).await?;
        let mut segments = match &manifest {
            Some(manifest) => {
                recovery::collect_orphans(&self.reader, manifest, &mut writer).await?;
                manifest.segments.iter().map(Found::known).collect()
            }
            None => self.find_segments(&mut writer).await?,
        };
        self.mend(&mut writer, &mut segments).await?;
        let segments = segments.into_iter().filter_map(|found| found.segment).collect();
        Ok((Version { memtable: recovered.memtable, segments }, writer, log))
    }

    /// All segments of which there are blocks, the greatest number first. They are all going to be written anew.
    async fn find_segments(&self, writer: &mut Writer<B>) -> Result<Vec<Found>, StorageError> {
        let last = segment_block(SEGMENTS_MAX - 1, SEGMENT_BLOCKS_MAX - 1);
        let names = self.reader.blocks.keys(segment_block(0, 0), last).await?;
        let mut segments: Vec<Found> = names
            .chunk_by(|one, other| segment_of(*one) == segment_of(*other))
            .map(|names| Found { segment: None, names: names.to_vec(), is_whole: false })
            .collect();
        segments.reverse();
        writer.next_segment = names.last().map_or(0, |last| segment_of(*last) + 1);
        writer.garbage.doom(names);
        Ok(segments)
    }

    /// Reads all blocks, and writes a segment anew that is not whole; nothing refers to that yet.
    async fn mend(&mut self, writer: &mut Writer<B>, segments: &mut [Found]) -> Result<(), StorageError> {
        let total = segments.iter().map(|segment| segment.names.len() as u64).sum();
        let mut done = 0;
        for found in segments {
            let mut written = None;
            // Once to see whether all is there, and where it is not, once to write what is.
            loop {
                for names in found.names.chunks(BLOCKS_AT_ONCE) {
                    for (name, block) in names.iter().zip(self.reader.each(names).await?) {
                        match (block, &mut written) {
                            (Err(what), None) => {
                                self.lost.push(what);
                                found.is_whole = false;
                            }
                            (Ok((kind, block)), Some(written)) if kind == BlockKind::Data as u8 => {
                                self.add(written, *name, block.into()).await?;
                            }
                            _ => {}
                        }
                    }
                    match &mut written {
                        Some(Rewritten { segment, .. }) => {
                            while segment.ready_bytes() > self.step_bytes {
                                self.write(segment.take_ready(self.step_bytes)).await?;
                            }
                        }
                        None => {
                            done += names.len() as u64;
                            self.reader.progress.tell(Task::Repair, done, Some(total));
                        }
                    }
                }
                match written {
                    Some(Rewritten { mut segment, .. }) => {
                        found.segment = segment.finish()?.map(Rc::new);
                        break self.write(segment.take_ready(usize::MAX)).await?;
                    }
                    None if found.is_whole => break,
                    None => {
                        found.segment.take().into_iter().for_each(|segment| writer.garbage.retire(segment));
                        let segment = SegmentWriter::new(writer.take_segment()?, self.reader.unfiltered);
                        written = Some(Rewritten { segment, last_key: None });
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the entries of a data block to a segment.
    async fn add(&mut self, written: &mut Rewritten, name: BlockKey, block: Rc<[u8]>) -> Result<(), StorageError> {
        let mut cursor = match BlockCursor::new(name, BlockKind::Data, block) {
            Ok(cursor) => cursor,
            Err(error) => return self.note(error),
        };
        loop {
            match cursor.next() {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return self.note(error),
            }
            if written.last_key.as_deref().is_some_and(|last| last >= cursor.key()) {
                continue;
            }
            written.last_key = Some(cursor.key().to_vec());
            let value = match *cursor.value() {
                StoredValue::Tombstone => None,
                StoredValue::Inline(_) => Some(cursor.inline().to_vec()),
                StoredValue::Large(first_block, bytes) => {
                    let value = LargeValue { segment: segment_of(name), first_block, bytes };
                    match self.reader.large_value(value).await {
                        Ok(value) => Some(value),
                        Err(error) => {
                            self.note(error)?;
                            None
                        }
                    }
                }
            };
            written.segment.add(cursor.key(), value.as_deref())?;
        }
    }

    fn note(&mut self, error: StorageError) -> Result<(), StorageError> {
        let what = reason(error)?;
        if !self.lost.contains(&what) {
            self.lost.push(what);
        }
        Ok(())
    }

    async fn write(&self, puts: Vec<(BlockKey, Vec<u8>)>) -> Result<(), StorageError> {
        recovery::write(&self.reader, BlockBatch { puts, ..BlockBatch::default() }).await
    }
}

impl Found {
    fn known(segment: &Rc<Segment>) -> Self {
        let names = (0..segment.blocks).map(|block| segment.block(block)).collect();
        Self { segment: Some(Rc::clone(segment)), names, is_whole: true }
    }
}
