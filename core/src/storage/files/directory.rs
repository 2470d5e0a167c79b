//! Where each block lies: eight bytes for a block.
//!
//! Blocks that have the upper bits of their keys in common make a row: those of a segment, or a stretch of the log. Their numbers
//! are dense, so a row is a vector of places, from the first number that is there to the last.

use alloc::vec::Vec;

use crate::ordered::Map;
use crate::storage::blocks::BlockKey;

/// Where a block lies: bits 56 to 63 tell the lane of the data file, or [`IN_JOURNAL`]; 16 to 55 the offset; 0 to 15 the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

/// In place of a lane: the block lies in the journal.
const IN_JOURNAL: u64 = 0xff;
/// No data file may be longer, 1 TiB.
const OFFSET_MAX: u64 = (1 << 40) - 1;
/// No block is as long as this one's length says.
const ABSENT: Place = Place(u64::MAX);

impl Place {
    /// A place in a lane's data file, or in the journal. `None` where there can be no such place.
    pub(super) fn new(lane: Option<usize>, offset: u64, bytes: usize) -> Option<Self> {
        let home = lane.map_or(IN_JOURNAL, |lane| lane as u64);
        let is_valid = lane.is_none_or(|lane| lane < IN_JOURNAL as usize) && offset <= OFFSET_MAX && bytes < 0xffff;
        is_valid.then_some(Self((home << 56) | (offset << 16) | bytes as u64))
    }

    /// The lane of the data file; `None` where the block lies in the journal.
    pub(super) fn lane(self) -> Option<usize> {
        let home = self.0 >> 56;
        (home != IN_JOURNAL).then_some(home as usize)
    }

    pub(super) fn offset(self) -> u64 {
        (self.0 >> 16) & OFFSET_MAX
    }

    pub(super) fn bytes(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// How many bits of a key count within a row.
const ROW_SHIFT: u32 = 20;

/// The places of blocks with consecutive keys.
#[derive(Debug, Default)]
struct Row {
    first: usize,
    places: Vec<Place>,
    present: usize,
}

impl Row {
    fn insert(&mut self, number: usize, place: Place) -> Option<Place> {
        if self.places.is_empty() {
            self.first = number;
        }
        while number < self.first {
            self.places.insert(0, ABSENT);
            self.first -= 1;
        }
        let position = number - self.first;
        if position >= self.places.len() {
            self.places.resize(position + 1, ABSENT);
        }
        let earlier = self.places.get_mut(position).map(|there| core::mem::replace(there, place));
        let earlier = earlier.filter(|earlier| *earlier != ABSENT);
        self.present += usize::from(earlier.is_none());
        earlier
    }

    fn remove(&mut self, number: usize) -> Option<Place> {
        let there = self.places.get_mut(number.checked_sub(self.first)?)?;
        let earlier = core::mem::replace(there, ABSENT);
        if earlier == ABSENT {
            return None;
        }
        self.present -= 1;
        if self.present * 2 < self.places.len() {
            let is_present = |place: &Place| *place != ABSENT;
            self.places.truncate(self.places.iter().rposition(is_present).map_or(0, |last| last + 1));
            let gone = self.places.iter().position(is_present).unwrap_or(0);
            self.places.drain(..gone);
            self.first += gone;
        }
        Some(earlier)
    }
}

/// The places of all blocks.
#[derive(Debug, Default)]
pub(super) struct Directory {
    rows: Map<u64, Row>,
}

impl Directory {
    pub(super) fn get(&self, key: BlockKey) -> Option<Place> {
        let (row, number) = split(key);
        let row = self.rows.get(&row)?;
        row.places.get(number.checked_sub(row.first)?).copied().filter(|place| *place != ABSENT)
    }

    /// Puts a block at a place; where it was before.
    pub(super) fn insert(&mut self, key: BlockKey, place: Place) -> Option<Place> {
        let (row, number) = split(key);
        self.rows.get_or_default(row).insert(number, place)
    }

    /// Takes a block away; where it was.
    pub(super) fn remove(&mut self, key: BlockKey) -> Option<Place> {
        let (row, number) = split(key);
        let found = self.rows.get_mut(&row)?;
        let earlier = found.remove(number);
        if found.present == 0 {
            self.rows.remove(&row);
        }
        earlier
    }

    /// Tells of all blocks from `first` to `last`, both included, in the order of their keys.
    pub(super) fn walk(&self, first: BlockKey, last: BlockKey, tell: &mut dyn FnMut(BlockKey, Place)) {
        for (number, row) in self.rows.iter_from(&split(first).0) {
            let begin = (number << ROW_SHIFT) + row.first as u64;
            for (position, place) in row.places.iter().enumerate() {
                let key = BlockKey::from_u64(begin + position as u64);
                if key > last {
                    return;
                }
                if *place != ABSENT && key >= first {
                    tell(key, *place);
                }
            }
        }
    }
}

fn split(key: BlockKey) -> (u64, usize) {
    let key = key.as_u64();
    (key >> ROW_SHIFT, (key & ((1 << ROW_SHIFT) - 1)) as usize)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    #[test]
    fn places_come_back_and_impossible_ones_are_refused() {
        for (lane, offset, bytes) in
            [(None, 0, 0), (Some(0), 0, 0), (Some(7), 4096, 61_440), (None, OFFSET_MAX, 61_440)]
        {
            let place = Place::new(lane, offset, bytes).unwrap();
            assert_eq!((place.lane(), place.offset(), place.bytes()), (lane, offset, bytes));
            assert_ne!(place, ABSENT);
        }
        assert_eq!(Place::new(Some(255), 0, 0), None);
        assert_eq!(Place::new(Some(0), OFFSET_MAX + 1, 0), None);
        assert_eq!(Place::new(None, OFFSET_MAX, 0xffff), None);
    }

    #[test]
    fn a_directory_agrees_with_a_map() {
        let (mut directory, mut model) = (Directory::default(), BTreeMap::new());
        let mut state = 7_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        for round in 0..20_000_u64 {
            let key = match below(4) {
                0 => BlockKey::log(round / 3 + below(40)),
                1 => BlockKey::segment((below(3) << 20) | below(50)),
                2 => BlockKey::segment(((round / 500) << 20) | below(300)),
                _ => BlockKey::MANIFEST,
            };
            let place = Place::new(Some(0), round, 1).unwrap();
            if below(5) < 2 {
                assert_eq!(directory.insert(key, place), model.insert(key, place));
            } else {
                assert_eq!(directory.remove(key), model.remove(&key));
            }
            assert_eq!(directory.get(key), model.get(&key).copied());
        }
        for first in [BlockKey::MANIFEST, BlockKey::log(3000), BlockKey::segment(7 << 20), BlockKey::epoch()] {
            let expected: Vec<_> = model.range(first..).map(|(key, place)| (*key, *place)).collect();
            let mut found = Vec::new();
            directory.walk(first, BlockKey::epoch(), &mut |key, place| found.push((key, place)));
            assert_eq!(found, expected);
        }
        for key in model.into_keys() {
            directory.remove(key);
        }
        assert!(directory.rows.is_empty(), "what is not there takes no room");
    }

    #[test]
    fn a_row_forgets_what_is_long_gone() {
        let mut directory = Directory::default();
        for number in 0..100_000 {
            directory.insert(BlockKey::log(number), Place::new(None, number, 1).unwrap());
            directory.remove(BlockKey::log(number.wrapping_sub(50)));
        }
        assert!(directory.rows.iter().map(|(_, row)| row.places.len()).sum::<usize>() < 200);
    }
}
