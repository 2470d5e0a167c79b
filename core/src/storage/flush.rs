//! Writes the memtable to a segment and makes it count.
//!
//! A flush merges nothing: what it costs follows from the memtable, not from what is stored. See [`super::merging`].

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::frame::SEGMENTS_MAX;
use super::garbage::Garbage;
use super::manifest::Manifest;
use super::merge::{Merge, Value};
use super::merging::Merging;
use super::run::{Memtable, Run};
use super::segment::Segment;
use super::segment_writer::SegmentWriter;
use super::steps::Steps;
use super::store::LogStore;
use super::version::{StoreSource, Version};
use super::{Direction, Durability, KeyRange, StorageError};

/// How many blocks of old segments are deleted in the step that makes a segment count.
const DELETES_PER_SEGMENT: usize = 1024;

/// How many steps of a flush are under way at once, besides one that waits for its turn. A platform takes each in a time of which
/// much is waiting for other threads.
const STEPS_MAX: usize = 3;

/// What only the one who writes needs to know.
#[derive(Debug)]
pub(super) struct Writer<B> {
    pub(super) next_segment: u64,
    pub(super) first_log: u64,
    pub(super) next_log: u64,
    /// The bytes of the blocks between.
    pub(super) log_bytes: usize,
    pub(super) garbage: Garbage,
    /// The merges under way.
    pub(super) merges: Vec<Merging<B>>,
    /// The number of the segment that is being taken in from elsewhere.
    pub(super) adopted: Option<u64>,
    /// The numbers of segments that could not be read: they are merged no more.
    pub(super) unreadable: Vec<u64>,
}

impl<B> Writer<B> {
    /// The writer that goes on behind a log.
    pub(super) fn behind(first_log: u64, next_log: u64, log_bytes: usize) -> Self {
        Self {
            next_segment: 0,
            first_log,
            next_log,
            log_bytes,
            garbage: Garbage::default(),
            merges: Vec::new(),
            adopted: None,
            unreadable: Vec::new(),
        }
    }

    /// How many blocks the log has.
    pub(super) fn log_blocks(&self) -> usize {
        usize::try_from(self.next_log - self.first_log).unwrap_or(usize::MAX)
    }

    /// The number of a new segment.
    pub(super) fn take_segment(&mut self) -> Result<u64, StorageError> {
        let number = self.next_segment;
        if number >= SEGMENTS_MAX {
            return Err(StorageError::Failed("the store has used up its numbers for segments".into()));
        }
        self.next_segment += 1;
        Ok(number)
    }
}

/// A segment that is being written.
#[derive(Debug)]
pub(super) struct Work<B> {
    pub(super) merge: Merge<StoreSource<B>>,
    pub(super) segment: SegmentWriter,
    /// Whether the merge stands on an entry that is still to be added.
    pub(super) is_standing: bool,
    /// Whether its blocks are put into the cache.
    pub(super) cached: bool,
}

impl<B: Blocks> LogStore<B> {
    /// Commits `run` by writing it and the memtable below it to a segment.
    pub(super) async fn flush(
        &self,
        writer: &mut Writer<B>,
        version: Version,
        run: Rc<Run>,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let memtable = version.memtable.stacked(run);
        // What was just written is likely to be read; a large segment would drive out everything else.
        let cached = memtable.bytes() <= self.options.cache_bytes / 4;
        let everything = KeyRange::all();
        let sources = memtable.cursors(&everything, Direction::Forward).map(StoreSource::Run).collect();
        let merge = Merge::new(sources, Direction::Forward, !version.segments.is_empty());
        let segment = SegmentWriter::new(writer.take_segment()?, self.options.unfiltered);
        let mut work = Work { merge, segment, is_standing: false, cached };
        let result = self.flush_to(writer, &mut work, &version.segments, durability).await;
        if result.is_err() {
            // Some of its blocks may stand already; the number is not used again.
            writer.garbage.retire(Rc::new(work.segment.abandoned()));
            self.due.notify(usize::MAX);
        }
        result
    }

    async fn flush_to(
        &self,
        writer: &mut Writer<B>,
        work: &mut Work<B>,
        older: &[Rc<Segment>],
        durability: Durability,
    ) -> Result<(), StorageError> {
        let mut steps = Steps::new(STEPS_MAX);
        let packed = self.pack(work, &mut steps).await;
        // Also after a failure: what is under way is not left to itself.
        let written = steps.end().await;
        let segment = packed?;
        written?;
        let segments: Vec<Rc<Segment>> = segment.into_iter().map(Rc::new).chain(older.iter().cloned()).collect();
        let first_log = writer.next_log;
        self.publish(writer, work, &segments, &[], first_log, durability).await?;
        self.version.replace(Version { memtable: Memtable::default(), segments: segments.into() });
        self.due.notify(usize::MAX);
        Ok(())
    }

    /// Packs a segment, of which the last blocks are left for the step that makes it count. The platform writes in `steps` what is
    /// packed while more of it follows.
    async fn pack<'store>(
        &'store self,
        work: &mut Work<B>,
        steps: &mut Steps<'store>,
    ) -> Result<Option<Segment>, StorageError> {
        loop {
            let is_whole = self.fill(work, self.options.step_bytes).await?;
            let segment = if is_whole { work.segment.finish()? } else { None };
            while let Some(part) = self.take_step(work, self.options.step_bytes) {
                // Steps are ordered: the last one, which makes the segment count, is as durable as was asked for.
                steps.begin(self.write(part, Durability::Relaxed)).await?;
            }
            if is_whole {
                return Ok(segment);
            }
        }
    }

    /// Adds entries of about `bytes` to a segment; `true` once there are no more. After an error of reading it can be
    /// called again.
    pub(super) async fn fill(&self, work: &mut Work<B>, bytes: usize) -> Result<bool, StorageError> {
        let mut added = 0;
        while added < bytes {
            if !work.is_standing && !work.merge.advance().await? {
                return Ok(true);
            }
            work.is_standing = true;
            let (merge, segment) = (&work.merge, &mut work.segment);
            let key = merge.key();
            added += key.len();
            match merge.value() {
                Value::Tombstone => segment.add(key, None)?,
                Value::Inline(value) => {
                    added += value.len();
                    segment.add(key, Some(value))?;
                }
                Value::Large(value) => {
                    let value = self.reader.large_value(value).await?;
                    added += value.len();
                    segment.add(key, Some(&value))?;
                }
            }
            work.is_standing = false;
        }
        Ok(false)
    }

    /// Writes finished blocks of a segment that nothing refers to, and leaves what is little for the next step.
    pub(super) async fn write_ready(&self, work: &mut Work<B>, step_bytes: usize) -> Result<(), StorageError> {
        while let Some(part) = self.take_step(work, step_bytes) {
            // Steps are ordered: the last one, which makes the segment count, is as durable as was asked for.
            self.write(part, Durability::Relaxed).await?;
        }
        Ok(())
    }

    /// Takes finished blocks of a segment, if there are enough of them for a step of about `step_bytes`.
    fn take_step(&self, work: &mut Work<B>, step_bytes: usize) -> Option<BlockBatch> {
        let is_enough = work.segment.ready_bytes() > step_bytes;
        is_enough.then(|| {
            let puts = work.segment.take_ready(step_bytes);
            self.remember(&puts, work.cached);
            BlockBatch { puts, ..BlockBatch::default() }
        })
    }

    /// The step that makes a segment count: its last blocks and the manifest, and away with the log before `first_log`.
    pub(super) async fn publish(
        &self,
        writer: &mut Writer<B>,
        work: &mut Work<B>,
        segments: &[Rc<Segment>],
        merged: &[Rc<Segment>],
        first_log: u64,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let mut puts = work.segment.take_ready(usize::MAX);
        self.remember(&puts, work.cached);
        let mut deletes = writer.garbage.next(DELETES_PER_SEGMENT);
        let deleted = deletes.len();
        deletes.extend((writer.first_log..first_log).map(BlockKey::log));
        let mut retired = writer.garbage.segments();
        retired.extend(merged.iter().map(|segment| segment.number));
        // Should the engine die, what is being merged comes to nothing, and goes with those that were.
        let unfinished = writer.merges.iter().map(|merging| merging.number).chain(writer.adopted);
        retired.extend(unfinished.filter(|number| *number != work.segment.number()));
        let segments = segments.to_vec();
        let manifest = Manifest { next_segment: writer.next_segment, first_log, segments, retired };
        puts.push((BlockKey::MANIFEST, manifest.encode()?));
        self.write(BlockBatch { puts, deletes, ..BlockBatch::default() }, durability).await?;
        writer.garbage.deleted(deleted);
        if first_log > writer.first_log {
            writer.first_log = first_log;
            writer.log_bytes = 0;
        }
        merged.iter().for_each(|segment| writer.garbage.retire(Rc::clone(segment)));
        Ok(())
    }

    pub(super) fn remember(&self, puts: &[(BlockKey, Vec<u8>)], cached: bool) {
        for (key, block) in puts.iter().filter(|_| cached) {
            self.reader.remember(*key, block);
        }
    }
}
