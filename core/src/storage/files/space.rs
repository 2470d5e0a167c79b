//! The room in a data file: which of it is free.
//!
//! Blocks that are written together lie side by side from the beginning of a page on, and share no page with a block
//! that was there before: should the power fail while a page is written, nothing else stands in it.

use alloc::vec::Vec;

use crate::sorting::sort_by;

/// What is written at once, as the platform and its disk do.
const PAGE_BYTES: u64 = 4096;
/// A smaller hole is passed over by blocks that need more: they would be written bit by bit.
const RUN_BYTES_MIN: u64 = 128 * 1024;

/// The free room in a data file.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// From where to where, in order; they do not touch.
    holes: Vec<(u64, u64)>,
    /// From here on nothing is used.
    end: u64,
}

/// Blocks that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) offset: u64,
    /// How many blocks.
    pub(super) blocks: usize,
    /// How many bytes they have together.
    pub(super) bytes: u64,
}

fn page_up(offset: u64) -> u64 {
    offset.next_multiple_of(PAGE_BYTES)
}

impl Space {
    /// The room between what is used, each from an offset on so many bytes.
    pub(super) fn between(mut used: Vec<(u64, u64)>) -> Self {
        sort_by(&mut used, |(one, _), (other, _)| one.cmp(other));
        let mut space = Self::default();
        for (offset, bytes) in used {
            if offset > space.end {
                space.holes.push((space.end, offset));
            }
            space.end = space.end.max(offset.saturating_add(bytes));
        }
        space
    }

    /// From here on nothing is used.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Takes room for blocks of these lengths, for as many of them, from the first on, as lie side by side.
    pub(super) fn take(&mut self, lengths: impl Iterator<Item = u64> + Clone) -> Run {
        let wanted: u64 = lengths.clone().sum();
        let least = page_up(wanted.min(RUN_BYTES_MIN));
        let hole = self.holes.iter().copied().find(|(begin, end)| page_up(*begin) + least <= *end);
        let (begin, end) = hole.unwrap_or((self.end, u64::MAX));
        let mut run = Run { offset: page_up(begin), blocks: 0, bytes: 0 };
        for bytes in lengths {
            let more = run.bytes + bytes;
            if page_up(more) > end - run.offset {
                break;
            }
            (run.bytes, run.blocks) = (more, run.blocks + 1);
        }
        self.cut(begin, run.offset, run.offset + run.bytes);
        run
    }

    /// Takes `from..to` out of the hole that begins at `hole`, or out of what is behind the end.
    fn cut(&mut self, hole: u64, from: u64, to: u64) {
        let end = match self.holes.binary_search_by_key(&hole, |(begin, _)| *begin) {
            Ok(position) => self.holes.remove(position).1,
            Err(_) => {
                self.end = to;
                to
            }
        };
        self.add(hole, from);
        self.add(to, end);
    }

    /// Gives room back.
    pub(super) fn give(&mut self, offset: u64, bytes: u64) {
        self.add(offset, offset.saturating_add(bytes));
    }

    fn add(&mut self, mut begin: u64, mut end: u64) {
        if begin >= end {
            return;
        }
        let position = self.holes.partition_point(|(_, hole_end)| *hole_end < begin);
        // All that it touches becomes one with it.
        while let Some((hole_begin, hole_end)) = self.holes.get(position).copied().filter(|(other, _)| *other <= end) {
            (begin, end) = (begin.min(hole_begin), end.max(hole_end));
            self.holes.remove(position);
        }
        if end >= self.end {
            self.end = self.end.min(begin);
        } else {
            self.holes.insert(position, (begin, end));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    impl Space {
        fn take_all(&mut self, mut lengths: &[usize]) -> Vec<Run> {
            let mut runs = Vec::new();
            while !lengths.is_empty() {
                let run = self.take(lengths.iter().map(|bytes| *bytes as u64));
                lengths = &lengths[run.blocks..];
                runs.push(run);
            }
            runs
        }
    }

    #[test]
    fn room_that_is_given_back_is_used_again_and_pages_are_not_shared() {
        let mut space = Space::between(vec![(0, 5000), (20_000, 100)]);
        assert_eq!(space.take_all(&[8000]), [Run { offset: 8192, blocks: 1, bytes: 8000 }]);
        // Of what is left not one whole page is free before 20,000.
        assert_eq!(space.take_all(&[100]), [Run { offset: 20_480, blocks: 1, bytes: 100 }]);
        space.give(0, 5000);
        space.give(8192, 8000);
        assert_eq!(space.take_all(&[4096, 4000]), [Run { offset: 0, blocks: 2, bytes: 8096 }]);
        space.give(20_480, 100);
        space.give(20_000, 100);
        assert_eq!((space.end(), space.holes), (8096, vec![]));
    }

    #[test]
    fn blocks_that_no_hole_holds_are_spread_over_large_holes_only() {
        let mib = 1 << 20;
        let mut space = Space::between(vec![(16_384, 1), (16_384 + mib, 1)]);
        let runs = space.take_all(&[60_000; 40]);
        assert_eq!(runs.iter().map(|run| run.blocks).sum::<usize>(), 40);
        assert_eq!(runs.iter().map(|run| run.offset).collect::<Vec<_>>(), [20_480, 16_384 + mib + 4096]);
    }

    #[test]
    fn what_is_taken_is_never_taken_twice() {
        let mut state = 3_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let (mut space, mut taken) = (Space::default(), Vec::<(u64, u64)>::new());
        let (mut used, mut most) = (0, 0);
        for _ in 0..5_000 {
            if below(2) == 0 {
                let lengths: Vec<usize> = (0..1 + below(20)).map(|_| below(61_440) as usize).collect();
                let mut lengths_left = lengths.iter();
                for run in space.take_all(&lengths) {
                    let mut offset = run.offset;
                    for bytes in lengths_left.by_ref().take(run.blocks).map(|bytes| *bytes as u64) {
                        let overlaps =
                            |(other, others): &(u64, u64)| offset < other + others && *other < offset + bytes;
                        assert!(!taken.iter().any(overlaps));
                        taken.push((offset, bytes));
                        (offset, used) = (offset + bytes, used + bytes);
                    }
                    assert_eq!(offset, run.offset + run.bytes);
                }
                assert_eq!(lengths_left.len(), 0);
            } else {
                for _ in 0..below(20).min(taken.len() as u64) {
                    let (offset, bytes) = taken.swap_remove(below(taken.len() as u64) as usize);
                    space.give(offset, bytes);
                    used -= bytes;
                }
            }
            most = most.max(used);
            let again = Space::between(taken.clone());
            let holes = |space: &Space| space.holes.iter().map(|(begin, end)| end - begin).sum::<u64>();
            assert_eq!(holes(&space) + used, space.end());
            assert!(again.end() <= space.end());
        }
        assert!(space.end() < most * 2, "{} bytes of file for {most}", space.end());
    }
}
