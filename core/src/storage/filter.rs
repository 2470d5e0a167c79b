//! A segment's filter: tells for most keys that are not in the segment that they are not, without reading it.
//!
//! A blocked Bloom filter (Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters", WEA 2007): a key's six
//! bits lie in one line of 64 bytes, and lines of a key's block of the segment are chosen by its hash as well. So one block
//! answers, and about one key in a hundred that is not there is taken for one that may be. Keys that are only ever walked over
//! are left out, by their first byte: there are many of them, and nobody asks for one alone.

use alloc::vec;
use alloc::vec::Vec;

use twox_hash::XxHash32;

use super::bytes::{Reader, write_number};

/// How many bits there are for each key.
const BITS_PER_KEY: usize = 10;
const LINE_BYTES: usize = 64;
const LINE_BITS: u64 = 8 * LINE_BYTES as u64;
const PROBES: u32 = 6;
/// How many lines a block has at most: 32 KiB.
const LINES_PER_BLOCK: usize = 512;
/// A segment of more keys has no filter: collecting them would need too much memory.
const KEYS_MAX: usize = 1 << 23;
const SEED: u32 = 0x6669_726b;

/// A key's hash, which is the same for the filters of all segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyHash(u32);

impl KeyHash {
    /// The hash of `key`.
    pub(super) fn of(key: &[u8]) -> Self {
        Self(XxHash32::oneshot(SEED, key))
    }
}

/// Collects the keys of a segment.
#[derive(Debug, Default)]
pub(super) struct FilterBuilder {
    hashes: Vec<KeyHash>,
    /// The first bytes of keys that are left out.
    unfiltered: &'static [u8],
    is_too_long: bool,
}

impl FilterBuilder {
    /// A builder that leaves out keys that start with one of these bytes.
    pub(super) fn new(unfiltered: &'static [u8]) -> Self {
        Self { unfiltered, ..Self::default() }
    }

    /// Takes in a key.
    pub(super) fn add(&mut self, key: &[u8]) {
        if is_left_out(self.unfiltered, key) || self.is_too_long {
            return;
        }
        if self.hashes.len() == KEYS_MAX {
            *self = Self { is_too_long: true, ..Self::default() };
            return;
        }
        self.hashes.push(KeyHash::of(key));
    }

    /// The contents of the blocks; none if there is nothing to tell.
    pub(super) fn finish(&mut self) -> Vec<Vec<u8>> {
        let hashes = core::mem::take(&mut self.hashes);
        let lines = (hashes.len() * BITS_PER_KEY).div_ceil(LINE_BITS as usize);
        let count = lines.div_ceil(LINES_PER_BLOCK);
        let mut header = Vec::new();
        write_number(&mut header, self.unfiltered.len() as u64);
        header.extend_from_slice(self.unfiltered);
        let block = [header.as_slice(), &vec![0; lines.div_ceil(count.max(1)) * LINE_BYTES]].concat();
        let mut blocks = vec![block; count];
        for hash in hashes {
            let bits = blocks.get_mut(part(hash.0, count)).and_then(|block| block.get_mut(header.len()..));
            let Some(line) = bits.and_then(|bits| line_of(hash, bits.len()).and_then(|line| bits.get_mut(line))) else {
                continue;
            };
            for bit in bits_of(hash) {
                if let Some(byte) = line.get_mut(bit / 8) {
                    *byte |= 1 << (bit % 8);
                }
            }
        }
        blocks
    }
}

/// Whether a filter that leaves out `unfiltered` tells nothing of `key`.
pub(super) fn is_left_out(unfiltered: &[u8], key: &[u8]) -> bool {
    key.first().is_none_or(|first| unfiltered.contains(first))
}

/// Which of `count` blocks tells of the key with this hash.
pub(super) fn block_of(hash: KeyHash, count: u32) -> u32 {
    part(hash.0, count as usize) as u32
}

/// Whether the segment may hold `key`, by the content of the block that tells of it. A malformed filter tells nothing.
pub(super) fn may_hold(content: &[u8], key: &[u8], hash: KeyHash) -> bool {
    let mut reader = Reader::new(content, 0);
    let Some(unfiltered) = reader.length().and_then(|count| reader.take(count)) else { return true };
    let bits = content.get(reader.position()..).unwrap_or_default();
    let Some(line) = line_of(hash, bits.len()).and_then(|line| bits.get(line)) else { return true };
    is_left_out(unfiltered, key)
        || bits_of(hash).all(|bit| line.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
}

/// Spreads 32 bits over `count` places.
fn part(hash: u32, count: usize) -> usize {
    ((u64::from(hash) * count as u64) >> 32) as usize
}

/// The line of a key in a block with so many bytes of lines.
fn line_of(KeyHash(hash): KeyHash, bytes: usize) -> Option<core::ops::Range<usize>> {
    let lines = bytes / LINE_BYTES;
    let start = part(hash.wrapping_mul(0x9e37_79b1), lines) * LINE_BYTES;
    (lines > 0).then_some(start..start + LINE_BYTES)
}

/// The places of a key's bits in its line: nine bits each of a well mixed number (SplitMix64).
fn bits_of(KeyHash(hash): KeyHash) -> impl Iterator<Item = usize> {
    let mut mixed = u64::from(hash).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (0..PROBES).map(move |probe| ((mixed >> (9 * probe)) % LINE_BITS) as usize)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    fn key(number: usize) -> String {
        format!("d/document/{number}")
    }

    #[test]
    fn keys_that_are_there_may_be_and_most_others_are_not() {
        for count in [1, 100, 200_000] {
            let mut builder = FilterBuilder::new(b"iu");
            (0..count).for_each(|number| builder.add(key(number).as_bytes()));
            builder.add(b"i is left out");
            let blocks = builder.finish();
            let may_hold = |key: &[u8]| {
                let hash = KeyHash::of(key);
                may_hold(&blocks[block_of(hash, blocks.len() as u32) as usize], key, hash)
            };
            assert!((0..count).all(|number| may_hold(key(number).as_bytes())));
            assert!(may_hold(b"i") && may_hold(b"u/other") && may_hold(b""));
            let wrong = (count..count + 100_000).filter(|number| may_hold(key(*number).as_bytes())).count();
            assert!(wrong < 2_000, "{wrong} of 100,000, with {count} keys");
        }
        assert!(FilterBuilder::new(b"i").finish().is_empty());
    }

    #[test]
    fn a_malformed_filter_tells_nothing() {
        for content in [&b""[..], b"\x05ab", b"\x00", b"\x00too short for a line", &[0xff; 100]] {
            assert!(may_hold(content, b"key", KeyHash::of(b"key")));
        }
    }
}
