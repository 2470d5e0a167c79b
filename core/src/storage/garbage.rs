//! Segments that no longer count, until their blocks are deleted.
//!
//! A segment that was merged away is deleted only when no snapshot reads it any more, many blocks at a time. The
//! manifest names those that are left, so that the next one to open the store goes on with it.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::blocks::BlockKey;
use super::frame::{segment_block, segment_of};
use super::segment::Segment;
use crate::sorting::sort_by;

/// What is to be deleted.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    /// Segments that a snapshot may still read.
    retired: Vec<Rc<Segment>>,
    /// Blocks that nobody reads.
    doomed: VecDeque<BlockKey>,
}

impl Garbage {
    /// Deletes a segment as soon as this is the last to hold it.
    pub(super) fn retire(&mut self, segment: Rc<Segment>) {
        self.retired.push(segment);
    }

    /// Deletes blocks that nobody reads: of segments, or of the log before its mark.
    pub(super) fn doom(&mut self, blocks: impl IntoIterator<Item = BlockKey>) {
        self.doomed.extend(blocks);
    }

    /// How many blocks could be deleted now.
    pub(super) fn free_blocks(&self) -> usize {
        let free = self.retired.iter().filter(|segment| Rc::strong_count(segment) == 1);
        free.map(|segment| segment.blocks as usize).sum::<usize>() + self.doomed.len()
    }

    /// Up to `count` blocks to delete in the next step.
    pub(super) fn next(&mut self, count: usize) -> Vec<BlockKey> {
        let Self { retired, doomed } = self;
        retired.retain(|segment| {
            let is_held = Rc::strong_count(segment) > 1;
            if !is_held {
                doomed.extend((0..segment.blocks).map(|block| segment_block(segment.number, block)));
            }
            is_held
        });
        doomed.iter().take(count).copied().collect()
    }

    /// The first `count` of the blocks that [`Self::next`] gave out are deleted.
    pub(super) fn deleted(&mut self, count: usize) {
        self.doomed.drain(..count.min(self.doomed.len()));
    }

    /// The numbers of all segments that are not wholly deleted.
    pub(super) fn segments(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> =
            (self.doomed.iter()).filter(|key| **key >= BlockKey::segment(0)).map(|key| segment_of(*key)).collect();
        numbers.extend(self.retired.iter().map(|segment| segment.number));
        sort_by(&mut numbers, u64::cmp);
        numbers.dedup();
        numbers
    }
}
