//! A set of bytes.

use core::ops::RangeInclusive;

/// A set of bytes, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet {
    low: u128,
    high: u128,
}

impl ByteSet {
    /// The bytes of these ranges.
    pub(super) fn of(ranges: &[RangeInclusive<u8>]) -> Self {
        let mut set = Self::default();
        ranges.iter().for_each(|range| set.insert(range.clone()));
        set
    }

    /// Adds the bytes of a range.
    pub(super) fn insert(&mut self, range: RangeInclusive<u8>) {
        for byte in range {
            let half = if byte < 128 { &mut self.low } else { &mut self.high };
            *half |= 1 << (byte & 127);
        }
    }

    /// Adds the bytes of another set.
    pub(super) fn unite(&mut self, other: Self) {
        self.low |= other.low;
        self.high |= other.high;
    }

    /// All other bytes.
    pub(super) fn negated(self) -> Self {
        Self { low: !self.low, high: !self.high }
    }

    /// This set and the other case of each of its ASCII letters.
    pub(super) fn in_any_case(self) -> Self {
        const UPPER: u128 = 0x07ff_fffe << 64;
        const LOWER: u128 = UPPER << 32;
        Self { low: self.low | (self.low & UPPER) << 32 | (self.low & LOWER) >> 32, high: self.high }
    }

    /// Whether `byte` is in the set.
    pub(super) fn contains(self, byte: u8) -> bool {
        let half = if byte < 128 { self.low } else { self.high };
        half >> (byte & 127) & 1 == 1
    }
}
