//! Writes a segment, block after block, from entries in ascending order.
//!
//! The blocks are handed out as they are finished, so that a segment of any size needs little memory.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::StorageError;
use super::block::BlockBuilder;
use super::blocks::BlockKey;
use super::bytes::{NewValue, shared_prefix, write_number};
use super::filter::FilterBuilder;
use super::frame::{self, BlockKind, CONTENT_BYTES_MAX, FRAME_BYTES, SEGMENT_BLOCKS_MAX, segment_block};
use super::segment::Segment;

/// A longer value stands in blocks of its own.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// Builds one segment.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    number: u64,
    blocks: u32,
    bytes: u64,
    /// The data block in work, and above it the index block in work of each level.
    levels: Vec<Level>,
    filter: FilterBuilder,
    ready: VecDeque<(BlockKey, Vec<u8>)>,
    ready_bytes: usize,
}

#[derive(Debug)]
struct Level {
    builder: BlockBuilder,
    /// The key under which the level above notes the block in work.
    separator: Vec<u8>,
}

impl Level {
    fn new(kind: BlockKind) -> Self {
        Self { builder: BlockBuilder::new(kind), separator: Vec::new() }
    }
}

impl SegmentWriter {
    /// A writer of the segment with this number, whose filter leaves out keys with these first bytes.
    pub(super) fn new(number: u64, unfiltered: &'static [u8]) -> Self {
        let levels = Vec::from([Level::new(BlockKind::Data)]);
        let filter = FilterBuilder::new(unfiltered);
        Self { number, blocks: 0, bytes: 0, levels, filter, ready: VecDeque::new(), ready_bytes: 0 }
    }

    /// The segment's number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Adds an entry; keys must ascend.
    pub(super) fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StorageError> {
        self.filter.add(key);
        match value {
            None => self.insert(0, key, NewValue::Tombstone),
            Some(value) if value.len() <= INLINE_BYTES_MAX => self.insert(0, key, NewValue::Inline(value)),
            Some(value) => {
                let first_block = self.blocks;
                for part in value.chunks(CONTENT_BYTES_MAX) {
                    let mut block = frame::begin(BlockKind::Value, part.len() + FRAME_BYTES);
                    block.extend_from_slice(part);
                    let (_, key) = self.take_number()?;
                    self.hand_out(key, frame::seal(key, block));
                }
                // The limit of values is far below 4 GiB.
                self.insert(0, key, NewValue::Large(first_block, value.len() as u32))
            }
        }
    }

    /// Finishes the blocks in work; `None` if the segment has no entries.
    pub(super) fn finish(&mut self) -> Result<Option<Segment>, StorageError> {
        if self.levels.first().is_none_or(|level| level.builder.is_empty()) {
            return Ok(None);
        }
        let mut depth = 0;
        loop {
            let root = self.close(depth)?;
            depth += 1;
            if depth == self.levels.len() {
                // A single block answers for itself.
                if depth > 1 {
                    self.write_filter()?;
                }
                let (blocks, bytes) = (self.blocks, self.bytes);
                return Ok(Some(Segment { number: self.number, root, height: depth as u32, blocks, bytes }));
            }
            self.note(depth, root)?;
        }
    }

    /// The filter's blocks stand behind the root.
    fn write_filter(&mut self) -> Result<(), StorageError> {
        for content in self.filter.finish() {
            let (_, key) = self.take_number()?;
            let mut block = frame::begin(BlockKind::Filter, content.len() + FRAME_BYTES);
            block.extend_from_slice(&content);
            self.hand_out(key, frame::seal(key, block));
        }
        Ok(())
    }

    /// The blocks that may have been written, if the segment is given up.
    pub(super) fn abandoned(&self) -> Segment {
        Segment { number: self.number, root: 0, height: 1, blocks: self.blocks, bytes: self.bytes }
    }

    /// How many bytes of finished blocks wait to be taken.
    pub(super) fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    /// Takes finished blocks: about `bytes`, at least one.
    pub(super) fn take_ready(&mut self, bytes: usize) -> Vec<(BlockKey, Vec<u8>)> {
        let (mut taken, mut taken_bytes) = (Vec::new(), 0);
        while taken_bytes < bytes
            && let Some((key, block)) = self.ready.pop_front()
        {
            taken_bytes += block.len();
            taken.push((key, block));
        }
        self.ready_bytes -= taken_bytes;
        taken
    }

    fn insert(&mut self, depth: usize, key: &[u8], value: NewValue<'_>) -> Result<(), StorageError> {
        let value_bytes = match value {
            NewValue::Inline(value) => value.len(),
            NewValue::Tombstone | NewValue::Large(..) => 0,
        };
        let is_full = |level: &Level| !level.builder.takes(key, value_bytes);
        if self.levels.get(depth).is_some_and(is_full) {
            let block = self.close(depth)?;
            if self.levels.len() == depth + 1 {
                self.levels.push(Level::new(BlockKind::Index));
            }
            self.note(depth + 1, block)?;
        }
        let Some(level) = self.levels.get_mut(depth) else { return Ok(()) };
        if level.builder.is_empty() {
            // The shortest key that tells this block from the one before is enough for the data blocks.
            let last = if depth == 0 { shared_prefix(level.builder.last_key(), key) + 1 } else { key.len() };
            level.separator = key.get(..last).unwrap_or(key).to_vec();
        }
        level.builder.add(key, value);
        Ok(())
    }

    /// Notes a finished block of the level below.
    fn note(&mut self, depth: usize, block: u32) -> Result<(), StorageError> {
        let below = depth.checked_sub(1).and_then(|below| self.levels.get_mut(below));
        let separator = below.map(|level| core::mem::take(&mut level.separator)).unwrap_or_default();
        let mut value = Vec::new();
        write_number(&mut value, u64::from(block));
        self.insert(depth, &separator, NewValue::Inline(&value))
    }

    /// Finishes the block in work at this level; its number.
    fn close(&mut self, depth: usize) -> Result<u32, StorageError> {
        let (number, key) = self.take_number()?;
        if let Some(level) = self.levels.get_mut(depth) {
            let block = level.builder.finish(key);
            self.hand_out(key, block);
        }
        Ok(number)
    }

    fn take_number(&mut self) -> Result<(u32, BlockKey), StorageError> {
        let number = self.blocks;
        if number >= SEGMENT_BLOCKS_MAX {
            return Err(StorageError::Failed("a segment has no room for more blocks".into()));
        }
        self.blocks += 1;
        Ok((number, segment_block(self.number, number)))
    }

    fn hand_out(&mut self, key: BlockKey, block: Vec<u8>) {
        self.bytes += block.len() as u64;
        self.ready_bytes += block.len();
        self.ready.push_back((key, block));
    }
}
