//! A segment: sorted entries in immutable blocks, with a tree of index blocks over them.
//!
//! The writer fills data blocks; where one begins is noted in an index block, and where an index block begins in one of
//! the next level, until a single block, the root, stands over all. So a segment opens without reading anything, and a
//! search reads one block of each level; before that it asks the segment's filter.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::block::BlockCursor;
use super::blocks::{BlockKey, Blocks};
use super::bytes::StoredValue;
use super::filter::{self, KeyHash};
use super::frame::{self, BlockKind, segment_block};
use super::merge::{LargeValue, Source, Step, Value};
use super::reader::BlockReader;
use super::{Direction, KeyRange, StorageError};

/// How many data blocks a walk reads at once when it has been going on for a while.
const READ_AHEAD_MAX: usize = 16;

/// What the manifest says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its number; no two segments of a store ever have the same.
    pub(super) number: u64,
    /// The block that a search begins with.
    pub(super) root: u32,
    /// How many blocks a search reads; 1 if the root holds the entries.
    pub(super) height: u32,
    /// How many blocks it has, large values included.
    pub(super) blocks: u32,
    /// The bytes of all its blocks.
    pub(super) bytes: u64,
}

impl Segment {
    pub(super) fn block(&self, block: u32) -> BlockKey {
        segment_block(self.number, block)
    }

    /// The kind of the blocks at this depth; the root's depth is 0.
    pub(super) fn kind_at(&self, depth: usize) -> BlockKind {
        if depth + 1 == self.height as usize { BlockKind::Data } else { BlockKind::Index }
    }

    pub(super) fn large(&self, first_block: u32, bytes: u32) -> LargeValue {
        LargeValue { segment: self.number, first_block, bytes }
    }

    /// The block of the filter that tells of `key`, if one does. They stand behind the root.
    pub(super) fn filter_for<B: Blocks>(&self, reader: &BlockReader<B>, key: &[u8], hash: KeyHash) -> Option<BlockKey> {
        let count = self.blocks.saturating_sub(self.root).saturating_sub(1);
        let is_asked = count > 0 && !filter::is_left_out(reader.unfiltered, key);
        is_asked.then(|| self.block(self.root + 1 + filter::block_of(hash, count)))
    }

    /// What the segment says of `key`: nothing, that it is deleted (`Some(None)`), or its value. `fits` is whether the cache has room for
    /// all of the store.
    pub(super) async fn get<B: Blocks>(
        &self,
        reader: &BlockReader<B>,
        key: &[u8],
        hash: KeyHash,
        fits: bool,
    ) -> Result<Option<Option<Vec<u8>>>, StorageError> {
        if let Some(name) = self.filter_for(reader, key, hash) {
            let root = (self.block(self.root), self.kind_at(0));
            // The root is going to be needed with every key that is here.
            match reader.block_and_more(&[(name, BlockKind::Filter), root], true).await {
                Ok(blocks) => {
                    if let Some(block) = blocks.first()
                        && !filter::may_hold(frame::content(name, BlockKind::Filter, block)?, key, hash)
                    {
                        return Ok(None);
                    }
                }
                // It only spares reading: without it the entries tell.
                Err(StorageError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut block = self.root;
        let mut parent = None;
        for depth in 0..self.height as usize {
            let (name, kind) = (self.block(block), self.kind_at(depth));
            let found = match reader.at_hand(name) {
                Some(found) => found,
                None => self.read_with_neighbours(reader, name, kind, parent.as_ref().filter(|_| fits)).await?,
            };
            let mut cursor = BlockCursor::new(name, kind, found)?;
            if kind == BlockKind::Index {
                if !cursor.seek_before(key, true)? {
                    return Ok(None);
                }
                block = cursor.child()?;
                parent = Some(cursor);
            } else if cursor.seek(key)? && cursor.key() == key {
                return Ok(Some(match *cursor.value() {
                    StoredValue::Tombstone => None,
                    StoredValue::Inline(_) => Some(cursor.inline().to_vec()),
                    StoredValue::Large(first, bytes) => Some(reader.large_value(self.large(first, bytes)).await?),
                }));
            }
        }
        Ok(None)
    }
}

impl Segment {
    /// The block; with a parent, those beside it that are not at hand as well: that costs little more than the block alone, and before
    /// long they are asked for.
    async fn read_with_neighbours<B: Blocks>(
        &self,
        reader: &BlockReader<B>,
        name: BlockKey,
        kind: BlockKind,
        parent: Option<&BlockCursor>,
    ) -> Result<Rc<[u8]>, StorageError> {
        let mut wanted = Vec::from([(name, kind)]);
        let reach = parent.and_then(|parent| Some((parent, reader.reach()?)));
        if let Some((parent, reach)) = &reach {
            for direction in [Direction::Forward, Direction::Backward] {
                let (mut beside, first) = ((*parent).clone(), wanted.len());
                for _ in 0..2 * reach.blocks() {
                    let is_there = wanted.len() < reach.blocks()
                        && match direction {
                            Direction::Forward => beside.next()?,
                            Direction::Backward => beside.previous()?,
                        };
                    if !is_there {
                        break;
                    }
                    let name = self.block(beside.child()?);
                    if !reader.holds(name) {
                        wanted.push((name, kind));
                    }
                }
                if direction == Direction::Backward {
                    // Ascending names are read as one.
                    wanted.get_mut(first..).unwrap_or_default().reverse();
                }
            }
        }
        let block = reader.block_and_more(&wanted, true).await?.into_iter().next().ok_or(StorageError::Closed)?;
        if let Some((_, reach)) = &reach {
            reach.grow();
        }
        Ok(block)
    }
}

/// Walks a range of a segment.
#[derive(Debug)]
pub(super) struct SegmentCursor<B> {
    reader: Rc<BlockReader<B>>,
    segment: Rc<Segment>,
    range: Rc<KeyRange>,
    direction: Direction,
    /// Whether the blocks that it reads stay in the cache.
    cached: bool,
    /// From the root down to the data block.
    path: Vec<BlockCursor>,
    /// The block to go on with.
    wanted: Option<u32>,
    /// Whether the last block of the path already stands on the entry to go on with.
    arrived: bool,
    /// Whether the way still leads down to the beginning of the range.
    seeking: bool,
    /// How many data blocks are read next time.
    read_ahead: usize,
    /// Data blocks that were read with the one before them, in the order of the walk.
    ahead: VecDeque<(u32, Rc<[u8]>)>,
}

impl<B: Blocks> SegmentCursor<B> {
    /// A cursor before the first entry of `range` in `direction`.
    pub(super) fn new(
        reader: Rc<BlockReader<B>>,
        segment: Rc<Segment>,
        range: Rc<KeyRange>,
        direction: Direction,
        cached: bool,
    ) -> Self {
        let wanted = Some(segment.root);
        let (path, ahead) = (Vec::new(), VecDeque::new());
        Self {
            reader,
            segment,
            range,
            direction,
            cached,
            path,
            wanted,
            arrived: false,
            seeking: true,
            read_ahead: 1,
            ahead,
        }
    }

    /// The block, from what was read ahead or from the reader, with those that the walk comes to next if it has been going on.
    async fn fetch(&mut self, block: u32, kind: BlockKind) -> Result<Rc<[u8]>, StorageError> {
        let name = self.segment.block(block);
        if kind != BlockKind::Data {
            return self.reader.block(name, kind, self.cached).await;
        }
        if let Some((_, found)) = self.ahead.pop_front().filter(|(ahead, _)| *ahead == block) {
            return Ok(found);
        }
        let wanted = self.next_blocks(block)?;
        let names: Vec<_> = wanted.iter().map(|block| (self.segment.block(*block), kind)).collect();
        let found = self.reader.block_and_more(&names, self.cached).await?;
        self.read_ahead = (self.read_ahead * 2).min(READ_AHEAD_MAX);
        self.ahead = wanted.into_iter().zip(found).collect();
        self.ahead.pop_front().map(|(_, block)| block).ok_or(StorageError::Closed)
    }

    /// `block` and the data blocks after it in the walk, as far as their parent knows them, the range goes, and it is worth it.
    fn next_blocks(&self, block: u32) -> Result<Vec<u32>, StorageError> {
        let mut blocks = Vec::from([block]);
        let Some(mut parent) = self.path.last().filter(|_| self.read_ahead > 1).cloned() else { return Ok(blocks) };
        while blocks.len() < self.read_ahead {
            // A key of the parent is not greater than any key of its block.
            let goes_on = match self.direction {
                Direction::Forward => parent.next()? && !self.is_past_range(parent.key()),
                Direction::Backward => !self.is_past_range(parent.key()) && parent.previous()?,
            };
            if !goes_on {
                break;
            }
            blocks.push(parent.child()?);
        }
        Ok(blocks)
    }

    /// Puts a block that was just loaded on its first entry in the walk.
    fn place(&self, cursor: &mut BlockCursor, kind: BlockKind) -> Result<bool, StorageError> {
        let start = self.range.start.as_slice();
        match (self.direction, self.range.end.as_deref()) {
            (Direction::Forward, _) if !self.seeking => cursor.first(),
            (Direction::Forward, _) if kind == BlockKind::Data => cursor.seek(start),
            // The range may begin before the first block does.
            (Direction::Forward, _) => Ok(cursor.seek_before(start, true)? || cursor.first()?),
            (Direction::Backward, Some(end)) if self.seeking => cursor.seek_before(end, false),
            (Direction::Backward, _) => cursor.last(),
        }
    }

    fn is_past_range(&self, key: &[u8]) -> bool {
        match self.direction {
            Direction::Forward => self.range.end.as_deref().is_some_and(|end| key >= end),
            Direction::Backward => key < self.range.start.as_slice(),
        }
    }
}

impl<B: Blocks> Source for SegmentCursor<B> {
    fn step(&mut self) -> Result<Step, StorageError> {
        loop {
            if self.wanted.is_some() {
                return Ok(Step::Load);
            }
            let is_data = self.path.len() == self.segment.height as usize;
            let Some(block) = self.path.last_mut() else { return Ok(Step::End) };
            let found = core::mem::take(&mut self.arrived)
                || match self.direction {
                    Direction::Forward => block.next()?,
                    Direction::Backward => block.previous()?,
                };
            if !found {
                self.path.pop();
                self.seeking = false;
            } else if !is_data {
                self.wanted = Some(block.child()?);
            } else if self.path.last().is_some_and(|block| self.is_past_range(block.key())) {
                self.path.clear();
            } else {
                return Ok(Step::Entry);
            }
        }
    }

    async fn load(&mut self) -> Result<(), StorageError> {
        let Some(block) = self.wanted else { return Ok(()) };
        let (name, kind) = (self.segment.block(block), self.segment.kind_at(self.path.len()));
        let block = self.fetch(block, kind).await?;
        let mut cursor = BlockCursor::new(name, kind, block)?;
        self.arrived = self.place(&mut cursor, kind)?;
        self.path.push(cursor);
        self.wanted = None;
        Ok(())
    }

    #[inline(always)]
    fn key(&self) -> &[u8] {
        self.path.last().map_or(&[], BlockCursor::key)
    }

    #[inline(always)]
    fn value(&self) -> Value<'_> {
        let Some(block) = self.path.last() else { return Value::Tombstone };
        match *block.value() {
            StoredValue::Tombstone => Value::Tombstone,
            StoredValue::Inline(_) => Value::Inline(block.inline()),
            StoredValue::Large(first, bytes) => Value::Large(self.segment.large(first, bytes)),
        }
    }
}
