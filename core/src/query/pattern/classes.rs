//! The sets of bytes that have names.

use core::ops::RangeInclusive;

use super::byte_set::ByteSet;

const DIGITS: RangeInclusive<u8> = b'0'..=b'9';
const LOWER: RangeInclusive<u8> = b'a'..=b'z';
const UPPER: RangeInclusive<u8> = b'A'..=b'Z';
const SPACE: [RangeInclusive<u8>; 2] = [b'\t'..=b'\r', b' '..=b' '];
const WORD: [RangeInclusive<u8>; 4] = [DIGITS, UPPER, b'_'..=b'_', LOWER];

/// `d`, `s`, `w` and their opposites `D`, `S`, `W`.
pub(super) fn perl(name: char) -> Option<ByteSet> {
    let set = match name.to_ascii_lowercase() {
        'd' => ByteSet::of(&[DIGITS]),
        's' => ByteSet::of(&SPACE),
        'w' => ByteSet::of(&WORD),
        _ => return None,
    };
    Some(if name.is_ascii_uppercase() { set.negated() } else { set })
}

/// The classes that POSIX names.
pub(super) fn named(name: &str) -> Option<ByteSet> {
    Some(match name {
        "alnum" => ByteSet::of(&[DIGITS, UPPER, LOWER]),
        "alpha" => ByteSet::of(&[UPPER, LOWER]),
        "ascii" => ByteSet::of(&[0..=0x7f]),
        "blank" => ByteSet::of(&[b'\t'..=b'\t', b' '..=b' ']),
        "cntrl" => ByteSet::of(&[0..=0x1f, 0x7f..=0x7f]),
        "digit" => ByteSet::of(&[DIGITS]),
        "graph" => ByteSet::of(&[b'!'..=b'~']),
        "lower" => ByteSet::of(&[LOWER]),
        "print" => ByteSet::of(&[b' '..=b'~']),
        "punct" => ByteSet::of(&[b'!'..=b'/', b':'..=b'@', b'['..=b'`', b'{'..=b'~']),
        "space" => ByteSet::of(&SPACE),
        "upper" => ByteSet::of(&[UPPER]),
        "word" => ByteSet::of(&WORD),
        "xdigit" => ByteSet::of(&[DIGITS, b'A'..=b'F', b'a'..=b'f']),
        _ => return None,
    })
}
