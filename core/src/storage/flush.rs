//! Writes the memtable to a segment and makes it count.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::compaction::merged_count;
use super::frame::SEGMENTS_MAX;
use super::garbage::Garbage;
use super::manifest::Manifest;
use super::merge::{Merge, Value};
use super::run::{Memtable, Run};
use super::segment::Segment;
use super::segment_writer::SegmentWriter;
use super::store::LogStore;
use super::version::Version;
use super::{Direction, Durability, KeyRange, StorageError};

/// How many blocks of old segments a flush deletes.
const DELETES_PER_FLUSH: usize = 1024;

/// What only the one who writes needs to know.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) next_segment: u64,
    pub(super) first_log: u64,
    pub(super) next_log: u64,
    /// The bytes of the blocks between.
    pub(super) log_bytes: usize,
    pub(super) garbage: Garbage,
}

impl Writer {
    /// How many blocks the log has.
    pub(super) fn log_blocks(&self) -> usize {
        usize::try_from(self.next_log - self.first_log).unwrap_or(usize::MAX)
    }
}

impl<B: Blocks> LogStore<B> {
    /// Commits `run` by writing it and the memtable below it to a segment.
    pub(super) async fn flush(
        &self,
        writer: &mut Writer,
        version: Version,
        run: Run,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let version = Version { memtable: version.memtable.stacked(run), ..version };
        let number = writer.next_segment;
        if number >= SEGMENTS_MAX {
            return Err(StorageError::Failed("the store has used up its numbers for segments".into()));
        }
        writer.next_segment += 1;
        let mut segment = SegmentWriter::new(number);
        let result = self.write_segment(writer, &mut segment, version, durability).await;
        if result.is_err() {
            // Some of its blocks may stand already; the number is not used again.
            writer.garbage.retire(Rc::new(segment.abandoned()));
        }
        result
    }

    async fn write_segment(
        &self,
        writer: &mut Writer,
        segment: &mut SegmentWriter,
        version: Version,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let memtable_bytes = version.memtable.bytes() as u64;
        let count = merged_count(memtable_bytes, version.segments.iter().map(Rc::as_ref));
        let (merged, kept) = version.segments.split_at_checked(count).unwrap_or_default();
        let bytes = memtable_bytes + merged.iter().map(|segment| segment.bytes).sum::<u64>();
        // What was just written is likely to be read; a large merge would drive out everything else.
        let cached = bytes <= self.options.cache_bytes as u64 / 4;
        let sources = version.sources(&self.reader, count, KeyRange::all(), Direction::Forward, false);
        let mut merge = Merge::new(sources, Direction::Forward, !kept.is_empty());
        while merge.advance().await? {
            match merge.value() {
                Value::Tombstone => segment.add(merge.key(), None)?,
                Value::Inline(value) => segment.add(merge.key(), Some(value))?,
                Value::Large(value) => {
                    let value = self.reader.large_value(value).await?;
                    segment.add(merge.key(), Some(&value))?;
                }
            }
            self.write_ready(segment, cached).await?;
        }
        let written = segment.finish()?.map(Rc::new);
        self.write_ready(segment, cached).await?;
        let segments: Vec<Rc<Segment>> = written.into_iter().chain(kept.iter().cloned()).collect();
        self.publish(writer, segment.take_ready(usize::MAX), &segments, merged, cached, durability).await?;
        self.version.replace(Version { memtable: Memtable::default(), segments: segments.into() });
        Ok(())
    }

    /// Writes finished blocks of a segment that nothing refers to, and leaves what is little for the next step.
    async fn write_ready(&self, segment: &mut SegmentWriter, cached: bool) -> Result<(), StorageError> {
        while segment.ready_bytes() > self.options.step_bytes {
            let puts = segment.take_ready(self.options.step_bytes);
            self.remember(&puts, cached);
            // Steps are ordered: the last one, which makes the segment count, is as durable as was asked for.
            self.write(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed).await?;
        }
        Ok(())
    }

    /// The step that makes a segment count: its last blocks and the manifest, and away with the log.
    async fn publish(
        &self,
        writer: &mut Writer,
        mut puts: Vec<(BlockKey, Vec<u8>)>,
        segments: &[Rc<Segment>],
        merged: &[Rc<Segment>],
        cached: bool,
        durability: Durability,
    ) -> Result<(), StorageError> {
        self.remember(&puts, cached);
        let mut deletes = writer.garbage.next(DELETES_PER_FLUSH);
        let deleted = deletes.len();
        deletes.extend((writer.first_log..writer.next_log).map(BlockKey::log));
        let mut retired = writer.garbage.segments();
        retired.extend(merged.iter().map(|segment| segment.number));
        let manifest = Manifest {
            next_segment: writer.next_segment,
            first_log: writer.next_log,
            segments: segments.to_vec(),
            retired,
        };
        puts.push((BlockKey::MANIFEST, manifest.encode()?));
        self.write(BlockBatch { puts, deletes, guard: None }, durability).await?;
        writer.garbage.deleted(deleted);
        writer.first_log = writer.next_log;
        writer.log_bytes = 0;
        merged.iter().for_each(|segment| writer.garbage.retire(Rc::clone(segment)));
        Ok(())
    }

    fn remember(&self, puts: &[(BlockKey, Vec<u8>)], cached: bool) {
        for (key, block) in puts.iter().filter(|_| cached) {
            self.reader.remember(*key, block);
        }
    }
}
