//! Long integers, no more of them than reading a number takes.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// A long integer: 32 bits in each part, the lowest first, no part of it a leading zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Long {
    parts: Vec<u32>,
}

impl From<u32> for Long {
    fn from(number: u32) -> Self {
        Self { parts: if number == 0 { Vec::new() } else { Vec::from([number]) } }
    }
}

impl Long {
    /// Makes it `self * factor + summand`.
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is carried")]
    pub(super) fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for part in &mut self.parts {
            carry += u64::from(*part) * u64::from(factor);
            *part = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.parts.push(carry as u32);
        }
    }

    /// Makes it `self * 10^power`.
    pub(super) fn raise(&mut self, power: u64) {
        for _ in 0..power / 9 {
            self.multiply_add(1_000_000_000, 0);
        }
        for _ in 0..power % 9 {
            self.multiply_add(10, 0);
        }
    }

    /// The 64 highest bits of `self / divisor`, the power of two that belongs to the lowest of them, and whether there is
    /// more. Neither may be 0.
    pub(super) fn divide(mut self, mut divisor: Self) -> (u64, i64, bool) {
        // Both get the same number of bits, so that the first bit of the quotient stands at a known place.
        let shift = self.bits() - divisor.bits();
        match shift {
            ..0 => self.shift_left(shift.unsigned_abs()),
            0.. => divisor.shift_left(shift.unsigned_abs()),
        }
        let mut power = shift - 63;
        if self.compare(&divisor).is_lt() {
            self.shift_left(1);
            power -= 1;
        }
        let mut quotient = 0;
        for _ in 0..64 {
            quotient <<= 1;
            if self.compare(&divisor).is_ge() {
                self.subtract(&divisor);
                quotient |= 1;
            }
            self.shift_left(1);
        }
        (quotient, power, !self.parts.is_empty())
    }

    fn bits(&self) -> i64 {
        let highest = self.parts.last().map_or(0, |part| i64::from(u32::BITS - part.leading_zeros()));
        self.parts.len().saturating_sub(1) as i64 * 32 + highest
    }

    fn shift_left(&mut self, bits: u64) {
        if !self.parts.is_empty() {
            self.multiply_add(1 << (bits % 32), 0);
            self.parts.splice(0..0, core::iter::repeat_n(0, (bits / 32) as usize));
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let length = self.parts.len().cmp(&other.parts.len());
        length.then_with(|| self.parts.iter().rev().cmp(other.parts.iter().rev()))
    }

    /// Takes `other` away, which is not greater.
    fn subtract(&mut self, other: &Self) {
        let mut borrows = false;
        for (place, part) in self.parts.iter_mut().enumerate() {
            let (less, first) = part.overflowing_sub(other.parts.get(place).copied().unwrap_or_default());
            let (less, second) = less.overflowing_sub(u32::from(borrows));
            (*part, borrows) = (less, first || second);
        }
        while self.parts.last() == Some(&0) {
            self.parts.pop();
        }
    }
}
