//! Merging segments in the background, slice by slice.
//!
//! A merge is a job that somebody advances: whoever has idle time ([`LogStore::maintain`]), and, where segments pile up
//! because nobody does, the commits. A slice reads entries of the old segments and writes blocks of the new one, to which
//! nothing refers yet; so it holds no lock that a commit needs, and a commit waits for one step of the platform at most. Only
//! the last slice, which writes the manifest, keeps commits out. Smaller merges of newer segments go before larger ones that
//! have begun, lest small segments pile up meanwhile.
//!
//! **A merge that does not come to its end has changed nothing**: the manifest names its segment among those whose blocks are
//! to be deleted, or does not know its number yet.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::blocks::{BlockBatch, Blocks};
use super::compaction::next_merge;
use super::flush::{Work, Writer};
use super::frame::{SEGMENT_BLOCKS_MAX, segment_block};
use super::merge::Merge;
use super::segment::Segment;
use super::segment_writer::SegmentWriter;
use super::store::LogStore;
use super::version::Version;
use super::{Direction, Durability, KeyRange, StorageError};

/// About how many bytes of entries a commit merges by itself at a time.
const SLICE_BYTES: usize = 256 * 1024;
/// From how many segments on commits merge by themselves.
const SEGMENTS_BEFORE_PRESSURE: usize = 12;
/// How many bytes a commit merges for each of its own and each segment too many. A byte is merged three or four times in all.
const MERGED_PER_COMMITTED: usize = 2;
/// How many blocks of old segments are deleted at a time.
pub(super) const DELETES_PER_SLICE: usize = 256;

/// A merge under way.
#[derive(Debug)]
pub(super) struct Merging<B> {
    /// The number of the segment that it writes.
    pub(super) number: u64,
    /// What it merges, newest first.
    inputs: Vec<Rc<Segment>>,
    /// Taken by the slice that is at work; where that was dropped midway it stays away.
    work: Option<Work<B>>,
}

impl<B> Writer<B> {
    /// Whether the segment with this number is part of a merge, or cannot be.
    fn is_taken(&self, number: u64) -> bool {
        self.unreadable.contains(&number)
            || self.merges.iter().any(|merging| merging.inputs.iter().any(|segment| segment.number == number))
    }

    /// Takes the merge out whose segment has this number.
    fn remove_merge(&mut self, number: u64) -> Option<Merging<B>> {
        let place = self.merges.iter().position(|merging| merging.number == number)?;
        Some(self.merges.remove(place))
    }
}

impl<B: Blocks> LogStore<B> {
    /// Does a slice of what there is to do beside commits: merges entries of about `bytes`, or deletes blocks that do not
    /// count any more. `false` if there is nothing left to do; see [`Self::maintenance_due`].
    ///
    /// # Errors
    /// What the platform reports, and [`StorageError::Corrupt`] where a segment cannot be read, which is then left as it
    /// is. No entry is lost by that.
    pub async fn maintain(&self, bytes: usize) -> Result<bool, StorageError> {
        let _slice = self.slice.lock().await;
        // Space comes back before more is taken.
        if self.delete_garbage(DELETES_PER_SLICE).await? {
            return Ok(true);
        }
        let Some((number, mut work)) = self.begin_slice().await? else { return self.delete_garbage(1).await };
        let result = match self.fill(&mut work, bytes).await {
            // It is tried again from where it stands.
            Err(StorageError::Failed(error)) => {
                self.put_back(number, work).await;
                return Err(StorageError::Failed(error));
            }
            Ok(false) => self.write_ready(&mut work, self.merge_step_bytes()).await,
            Ok(true) => self.finish_merge(number, &mut work).await,
            Err(error) => Err(error),
        };
        if result.is_ok() {
            self.put_back(number, work).await;
        } else {
            let mut writer = self.writer.lock().await;
            let merging = writer.remove_merge(number);
            if let (Err(StorageError::Corrupt(_)), Some(newest)) =
                (&result, merging.and_then(|merging| merging.inputs.into_iter().next()))
            {
                writer.unreadable.push(newest.number);
            }
            writer.garbage.retire(Rc::new(work.segment.abandoned()));
            drop(writer);
            if result == Err(StorageError::QuotaExceeded) {
                // There may be more room then.
                let _ = self.delete_garbage(1).await;
            }
        }
        result.map(|()| true)
    }

    /// Completes once there may be something to do for [`Self::maintain`]. Take it before calling that.
    pub fn maintenance_due(&self) -> event_listener::EventListener {
        self.due.listen()
    }

    /// A snapshot that was held for long is held no more: what it kept from being deleted may be.
    pub fn look_for_garbage(&self) {
        self.due.notify(usize::MAX);
    }

    /// Where segments pile up, a commit of `bytes` does its share: the more, the more there are. A small one owes less than a
    /// slice, which the one does that comes when a whole slice is owed.
    pub(super) async fn relieve(&self, bytes: usize) {
        let segments = self.version.borrow().segments.len();
        let Some(excess) = segments.checked_sub(SEGMENTS_BEFORE_PRESSURE).filter(|excess| *excess > 0) else {
            self.owed_bytes.set(0);
            return;
        };
        let share = bytes.saturating_mul(excess).saturating_mul(MERGED_PER_COMMITTED);
        self.owed_bytes.set(self.owed_bytes.get().saturating_add(share));
        while let Some(rest) = self.owed_bytes.get().checked_sub(SLICE_BYTES) {
            self.owed_bytes.set(rest);
            // The commit does not depend on it.
            if !matches!(self.maintain(SLICE_BYTES).await, Ok(true)) {
                self.owed_bytes.set(0);
                return;
            }
        }
    }

    /// The merge to go on with, or a new one; `None` if there is none.
    async fn begin_slice(&self) -> Result<Option<(u64, Work<B>)>, StorageError> {
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        while let Some(number) =
            writer.merges.iter().find(|merging| merging.work.is_none()).map(|merging| merging.number)
        {
            let (first, last) = (segment_block(number, 0), segment_block(number, SEGMENT_BLOCKS_MAX - 1));
            let written = self.reader.blocks.keys(first, last).await?;
            writer.garbage.doom(written);
            writer.remove_merge(number);
        }
        let version = self.version.borrow().clone();
        if let Some(places) = next_merge(&version.segments, &|number| writer.is_taken(number)) {
            self.own(&mut writer).await?;
            let is_oldest = places.end == version.segments.len();
            let inputs = version.segments.get(places).unwrap_or_default().to_vec();
            let number = writer.take_segment()?;
            writer.merges.push(Merging { number, work: Some(self.begin_merge(number, &inputs, is_oldest)), inputs });
        }
        let Some(merging) = writer.merges.last_mut() else { return Ok(None) };
        Ok(merging.work.take().map(|work| (merging.number, work)))
    }

    fn begin_merge(&self, number: u64, inputs: &[Rc<Segment>], is_oldest: bool) -> Work<B> {
        let bytes: u64 = inputs.iter().map(|segment| segment.bytes).sum();
        let version = Version { segments: inputs.into(), ..Version::default() };
        let sources = version.sources(&self.reader, KeyRange::all(), Direction::Forward, false);
        let merge = Merge::new(sources, Direction::Forward, !is_oldest);
        // What was just written is likely to be read; a large merge would drive out everything else.
        let cached = bytes <= self.options.cache_bytes as u64 / 4;
        Work { merge, segment: SegmentWriter::new(number, self.options.unfiltered), is_standing: false, cached }
    }

    async fn put_back(&self, number: u64, work: Work<B>) {
        let mut writer = self.writer.lock().await;
        if let Some(merging) = writer.merges.iter_mut().find(|merging| merging.number == number) {
            merging.work = Some(work);
        }
    }

    /// Puts the new segment in the place of those that it was merged from.
    async fn finish_merge(&self, number: u64, work: &mut Work<B>) -> Result<(), StorageError> {
        let written = work.segment.finish()?.map(Rc::new);
        self.write_ready(work, self.merge_step_bytes()).await?;
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        let version = self.version.borrow().clone();
        let inputs =
            writer.merges.iter().find(|merging| merging.number == number).map(|merging| merging.inputs.clone());
        let inputs = inputs.unwrap_or_default();
        let is_input = |segment: &&Rc<Segment>| inputs.iter().any(|input| input.number == segment.number);
        let newer = version.segments.iter().take_while(|segment| !is_input(segment));
        let older = version.segments.iter().skip_while(|segment| !is_input(segment)).skip_while(is_input);
        let segments: Vec<Rc<Segment>> = newer.cloned().chain(written).chain(older.cloned()).collect();
        let first_log = writer.first_log;
        self.is_unsettled.set(true);
        let result = self.publish(&mut writer, work, &segments, &inputs, first_log, Durability::Relaxed).await;
        self.settle(&result);
        result?;
        writer.remove_merge(number);
        self.version.replace(Version { memtable: version.memtable, segments: segments.into() });
        self.due.notify(usize::MAX);
        Ok(())
    }

    /// What a merge writes in one step: less than a flush, as reads and commits wait for a step that is under way.
    fn merge_step_bytes(&self) -> usize {
        self.options.step_bytes.div_ceil(4)
    }

    /// Deletes some of the blocks that do not count any more; `false`, and nothing is done, if there are not as many as `count`.
    async fn delete_garbage(&self, count: usize) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock().await;
        self.check_open()?;
        let deletes = writer.garbage.next(DELETES_PER_SLICE);
        let deleted = deletes.len();
        if deleted < count {
            return Ok(false);
        }
        self.write(BlockBatch { deletes, ..BlockBatch::default() }, Durability::Relaxed).await?;
        writer.garbage.deleted(deleted);
        Ok(true)
    }
}
