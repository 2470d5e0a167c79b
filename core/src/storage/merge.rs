//! Merges sorted sources into one ordered walk, in either direction.
//!
//! Sources stand in a list, newest first. The merge keeps those that stand on an entry ordered by key; of several on one
//! key the newest counts and the others are passed over. Stepping is synchronous for as long as the sources have their
//! bytes at hand: only a source that needs a block makes the walk wait.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::bytes::compare;
use super::{Direction, StorageError};

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is an entry.
    Entry,
    /// There is no entry left.
    End,
    /// A block has to be loaded; then the step is to be tried again.
    Load,
}

/// What stands at a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// The key is deleted.
    Tombstone,
    /// The value.
    Inline(&'a [u8]),
    /// The value stands in blocks of its own.
    Large(LargeValue),
}

/// A value that stands in blocks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LargeValue {
    /// The segment that holds it.
    pub(super) segment: u64,
    /// Its first block within the segment; the others follow.
    pub(super) first_block: u32,
    /// Its length in bytes.
    pub(super) bytes: u32,
}

/// A sorted source of entries with distinct keys, bounded to a range.
pub(super) trait Source {
    /// Moves to the next entry.
    fn step(&mut self) -> Result<Step, StorageError>;
    /// Fetches what [`Step::Load`] asked for.
    async fn load(&mut self) -> Result<(), StorageError>;
    /// The key of the entry that the source stands on.
    fn key(&self) -> &[u8];
    /// The value of the entry that the source stands on.
    fn value(&self) -> Value<'_>;
}

/// An ordered walk over several sources.
#[derive(Debug)]
pub(super) struct Merge<S> {
    /// Newest first.
    sources: Vec<S>,
    direction: Direction,
    tombstones_kept: bool,
    /// The sources that stand on an entry yet to come; the next one last.
    waiting: Vec<usize>,
    /// The sources that must step before the next entry is known.
    behind: Vec<usize>,
    current: Option<usize>,
}

impl<S: Source> Merge<S> {
    /// A merge of `sources`, newest first. Unless `tombstones_kept`, deleted keys are passed over.
    pub(super) fn new(sources: Vec<S>, direction: Direction, tombstones_kept: bool) -> Self {
        let behind = (0..sources.len()).collect();
        let waiting = Vec::with_capacity(sources.len());
        Self { sources, direction, tombstones_kept, waiting, behind, current: None }
    }

    /// Moves to the next entry, unless a block must be loaded first.
    pub(super) fn step(&mut self) -> Result<Step, StorageError> {
        loop {
            self.current = None;
            // Mostly the source that was served last has the next entry as well: then nothing else has to move.
            if let [index] = *self.behind.as_slice() {
                let Some(source) = self.sources.get_mut(index) else { return Ok(Step::End) };
                match source.step()? {
                    Step::Load => return Ok(Step::Load),
                    Step::Entry if self.is_alone_next(index) => {
                        self.current = Some(index);
                        if self.tombstones_kept || !matches!(self.value(), Value::Tombstone) {
                            return Ok(Step::Entry);
                        }
                        continue;
                    }
                    Step::Entry => self.enqueue(index),
                    Step::End => {}
                }
                self.behind.clear();
            }
            while let Some(&index) = self.behind.last() {
                let Some(source) = self.sources.get_mut(index) else { return Ok(Step::End) };
                match source.step()? {
                    Step::Load => return Ok(Step::Load),
                    Step::Entry => self.enqueue(index),
                    Step::End => {}
                }
                self.behind.pop();
            }
            let Some(newest) = self.waiting.pop() else { return Ok(Step::End) };
            self.behind.push(newest);
            while let Some(&older) = self.waiting.last() {
                if self.key_of(older) != self.key_of(newest) {
                    break;
                }
                self.waiting.pop();
                self.behind.push(older);
            }
            self.current = Some(newest);
            if self.tombstones_kept || !matches!(self.value(), Value::Tombstone) {
                return Ok(Step::Entry);
            }
        }
    }

    /// Moves to the next entry; `false` when there is none left.
    pub(super) async fn advance(&mut self) -> Result<bool, StorageError> {
        loop {
            match self.step()? {
                Step::Entry => return Ok(true),
                Step::End => return Ok(false),
                Step::Load => {
                    if let Some(source) = self.behind.last().and_then(|index| self.sources.get_mut(*index)) {
                        source.load().await?;
                    }
                }
            }
        }
    }

    /// The key of the entry that the merge stands on; empty before the first and after the last.
    pub(super) fn key(&self) -> &[u8] {
        match self.current {
            Some(index) => self.key_of(index),
            None => &[],
        }
    }

    /// The value of the entry that the merge stands on.
    pub(super) fn value(&self) -> Value<'_> {
        let Some(index) = self.current else { return Value::Tombstone };
        match self.sources.get(index) {
            Some(source) => source.value(),
            None => Value::Tombstone,
        }
    }

    #[inline(always)]
    fn key_of(&self, index: usize) -> &[u8] {
        match self.sources.get(index) {
            Some(source) => source.key(),
            None => &[],
        }
    }

    /// Whether the entry of a source comes before those of all that wait, and no other stands on its key.
    fn is_alone_next(&self, index: usize) -> bool {
        let Some(other) = self.waiting.last() else { return true };
        let keys = compare(self.key_of(index), self.key_of(*other));
        match self.direction {
            Direction::Forward => keys.is_lt(),
            Direction::Backward => keys.is_gt(),
        }
    }

    /// Puts a source that stands on an entry among the waiting ones. Most often it is the next again: the search starts
    /// there.
    fn enqueue(&mut self, index: usize) {
        let before = self.waiting.iter().rposition(|other| self.comes_before(*other, index) == Ordering::Greater);
        self.waiting.insert(before.map_or(0, |position| position + 1), index);
    }

    /// `Less` if source `one` is to be served before source `other`.
    #[inline(always)]
    fn comes_before(&self, one: usize, other: usize) -> Ordering {
        let keys = compare(self.key_of(one), self.key_of(other));
        let keys = match self.direction {
            Direction::Forward => keys,
            Direction::Backward => keys.reverse(),
        };
        keys.then(one.cmp(&other))
    }
}
