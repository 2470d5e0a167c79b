//! One state of the log-structured store: a memtable over segments. A clone is a snapshot.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::iter;

use super::blocks::{BLOCK_BYTES_MAX, Blocks};
use super::filter::KeyHash;
use super::frame::BlockKind;
use super::lookup::BLOCKS_AT_ONCE;
use super::merge::{Source, Step, Value};
use super::reader::BlockReader;
use super::run::{Memtable, RunCursor};
use super::segment::{Segment, SegmentCursor};
use super::{Direction, KeyRange, StorageError};
use crate::sorting::sort_by;

/// A memtable and, below it, the segments, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Version {
    pub(super) memtable: Memtable,
    pub(super) segments: Rc<[Rc<Segment>]>,
}

impl Version {
    /// The value at `key`.
    pub(super) async fn get<B: Blocks>(
        &self,
        reader: &BlockReader<B>,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(found) = self.memtable.get(key) {
            return Ok(found.map(<[u8]>::to_vec));
        }
        let hash = KeyHash::of(key);
        self.read_filters(reader, iter::once((key, hash))).await?;
        let fits = reader.fits(self.segments.iter().map(|segment| segment.bytes).sum());
        for segment in self.segments.iter() {
            if let Some(found) = segment.get(reader, key, hash, fits).await? {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reads what searches for these keys begin with, in one step: of each segment the filters, and the root. Not more than is worth it:
    /// up to [`BLOCKS_AT_ONCE`], if the cache has room for them; and of the keys none from the first one on for which all is at hand,
    /// as it is for the others most likely.
    pub(super) async fn read_filters<'k, B: Blocks>(
        &self,
        reader: &BlockReader<B>,
        keys: impl Iterator<Item = (&'k [u8], KeyHash)>,
    ) -> Result<(), StorageError> {
        let mut wanted = Vec::new();
        for (key, hash) in keys {
            for segment in self.segments.iter() {
                if let Some(filter) = segment.filter_for(reader, key, hash) {
                    let begins = [(segment.block(segment.root), segment.kind_at(0)), (filter, BlockKind::Filter)];
                    wanted.extend(begins.into_iter().filter(|(name, _)| !reader.holds(*name)));
                }
            }
            if wanted.is_empty() {
                return Ok(());
            }
        }
        sort_by(&mut wanted, |(left, _), (right, _)| left.cmp(right));
        wanted.dedup_by_key(|(name, _)| *name);
        wanted.truncate(BLOCKS_AT_ONCE);
        if wanted.len() < 2 || !reader.has_room_for((wanted.len() * BLOCK_BYTES_MAX) as u64) {
            return Ok(());
        }
        match reader.blocks(&wanted, true).await {
            // It is reported by whoever needs it.
            Err(StorageError::Corrupt(_)) => Ok(()),
            read => read.map(drop),
        }
    }

    /// Cursors over the memtable and the segments, newest first.
    pub(super) fn sources<B: Blocks>(
        &self,
        reader: &Rc<BlockReader<B>>,
        range: KeyRange,
        direction: Direction,
        cached: bool,
    ) -> Vec<StoreSource<B>> {
        let mut sources: Vec<StoreSource<B>> = self.memtable.cursors(&range, direction).map(StoreSource::Run).collect();
        let range = Rc::new(range);
        sources.extend(self.segments.iter().map(|segment| {
            let (reader, segment, range) = (Rc::clone(reader), Rc::clone(segment), Rc::clone(&range));
            StoreSource::Segment(SegmentCursor::new(reader, segment, range, direction, cached))
        }));
        sources
    }
}

/// A part of a [`Version`].
#[derive(Debug)]
pub(super) enum StoreSource<B> {
    Run(RunCursor),
    Segment(SegmentCursor<B>),
}

impl<B: Blocks> Source for StoreSource<B> {
    #[inline(always)]
    fn step(&mut self) -> Result<Step, StorageError> {
        match self {
            Self::Run(run) => run.step(),
            Self::Segment(segment) => segment.step(),
        }
    }

    async fn load(&mut self) -> Result<(), StorageError> {
        match self {
            Self::Run(run) => run.load().await,
            Self::Segment(segment) => segment.load().await,
        }
    }

    #[inline(always)]
    fn key(&self) -> &[u8] {
        match self {
            Self::Run(run) => run.key(),
            Self::Segment(segment) => segment.key(),
        }
    }

    #[inline(always)]
    fn value(&self) -> Value<'_> {
        match self {
            Self::Run(run) => run.value(),
            Self::Segment(segment) => segment.value(),
        }
    }
}
