//! Numbers and entries as bytes: what blocks, log records and the manifest are made of.
//!
//! Everything that reads returns `None` where the bytes are not what a writer would have written; nothing reads past its
//! slice or trusts a length.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::VALUE_BYTES_MAX;

/// Appends `number` seven bits at a time, the lowest first; the high bit says that more follow.
pub(super) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads bytes from front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes` that starts at `position`.
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// Where the next byte stands.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// The next `count` bytes.
    #[inline(always)]
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.position.checked_add(count)?;
        let taken = self.bytes.get(self.position..end)?;
        self.position = end;
        Some(taken)
    }

    /// A number as [`write_number`] wrote it.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.bytes.get(self.position)?;
            self.position += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A number that fits into 32 bits.
    #[inline(always)]
    pub(super) fn small_number(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// 32 bits of fixed width, the lowest byte first.
    pub(super) fn fixed(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    /// A length or a position.
    #[inline(always)]
    pub(super) fn length(&mut self) -> Option<usize> {
        self.number()?.try_into().ok()
    }
}

/// The value of an entry as it stands in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredValue {
    /// The key is deleted.
    Tombstone,
    /// The value stands here, in the bytes that were read.
    Inline(Range<usize>),
    /// The value stands in blocks of its own: the number of the first, and the length in bytes.
    Large(u32, u32),
}

/// A value to write.
#[derive(Clone, Copy, Debug)]
pub(super) enum NewValue<'a> {
    /// Deletes the key.
    Tombstone,
    /// A value to stand in the entry.
    Inline(&'a [u8]),
    /// A value that stands in blocks of its own: the number of the first, and the length in bytes.
    Large(u32, u32),
}

const TAG_TOMBSTONE: u64 = 0;
const TAG_LARGE: u64 = 1;
const TAG_INLINE: u64 = 2;

/// Appends an entry, its key without the first `shared` bytes, which stand in the entry before.
pub(super) fn write_entry(out: &mut Vec<u8>, shared: usize, key: &[u8], value: NewValue<'_>) {
    let suffix = key.get(shared..).unwrap_or_default();
    let tag = match value {
        NewValue::Tombstone => TAG_TOMBSTONE,
        NewValue::Large(..) => TAG_LARGE,
        NewValue::Inline(value) => TAG_INLINE + value.len() as u64,
    };
    let header = [shared as u64, suffix.len() as u64, tag];
    // Most numbers are a byte, and bytes are cheaper to append together.
    if header.iter().all(|number| *number < 0x80) {
        out.extend_from_slice(&header.map(|number| number as u8));
    } else {
        header.iter().for_each(|number| write_number(out, *number));
    }
    out.extend_from_slice(suffix);
    match value {
        NewValue::Tombstone => {}
        NewValue::Inline(value) => out.extend_from_slice(value),
        NewValue::Large(first_block, bytes) => {
            write_number(out, u64::from(first_block));
            write_number(out, u64::from(bytes));
        }
    }
}

/// An entry before its value, as it stands in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryKey<'a> {
    /// How many bytes of the key stand in the entry before.
    pub(super) shared: usize,
    /// The others.
    pub(super) suffix: &'a [u8],
    tag: u64,
}

impl<'a> EntryKey<'a> {
    /// Reads what stands before the value.
    #[inline(always)]
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let shared = reader.length()?;
        let suffix_bytes = reader.length()?;
        let tag = reader.number()?;
        Some(Self { shared, suffix: reader.take(suffix_bytes)?, tag })
    }

    /// Makes `key`, which begins as the key of the entry before, this entry's.
    #[inline(always)]
    pub(super) fn complete(&self, key: &mut Vec<u8>) -> Option<()> {
        if self.shared > key.len() {
            return None;
        }
        key.truncate(self.shared);
        key.extend_from_slice(self.suffix);
        Some(())
    }

    /// Reads the value behind it.
    #[inline(always)]
    pub(super) fn value(&self, reader: &mut Reader<'_>) -> Option<StoredValue> {
        match self.tag {
            TAG_TOMBSTONE => Some(StoredValue::Tombstone),
            TAG_LARGE => {
                let (first_block, bytes) = (reader.small_number()?, reader.small_number()?);
                (bytes as usize <= VALUE_BYTES_MAX).then_some(StoredValue::Large(first_block, bytes))
            }
            inline => {
                let start = reader.position();
                reader.take(usize::try_from(inline - TAG_INLINE).ok()?)?;
                Some(StoredValue::Inline(start..reader.position()))
            }
        }
    }
}

/// Reads an entry; `key` holds the key of the entry before and then this one's.
pub(super) fn read_entry(reader: &mut Reader<'_>, key: &mut Vec<u8>) -> Option<StoredValue> {
    let entry = EntryKey::read(reader)?;
    entry.complete(key)?;
    entry.value(reader)
}

/// How many bytes `one` and `other` have in common at their beginning.
pub(super) fn shared_prefix(one: &[u8], other: &[u8]) -> usize {
    let (words, _) = one.as_chunks::<8>();
    let (other_words, _) = other.as_chunks::<8>();
    let mut shared = 0;
    for (word, other_word) in words.iter().zip(other_words) {
        let difference = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other_word);
        if difference != 0 {
            return shared + (difference.trailing_zeros() / u8::BITS) as usize;
        }
        shared += 8;
    }
    // The last eight bytes that both have overlap with what is known to be equal.
    let end = one.len().min(other.len());
    let last = |bytes: &[u8]| bytes.get(..end)?.last_chunk().map(|word| u64::from_le_bytes(*word));
    if let (Some(word), Some(other_word)) = (last(one), last(other)) {
        let difference = word ^ other_word;
        return if difference == 0 { end } else { end - 8 + (difference.trailing_zeros() / u8::BITS) as usize };
    }
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// The order of keys, byte by byte. Keys have much in common: where there is no instruction for it, comparing words is several times
/// as fast as what a comparison of slices is compiled to.
#[inline(always)]
pub(super) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let shared = shared_prefix(one, other);
    one.get(shared).cmp(&other.get(shared))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn numbers_come_back_and_too_long_ones_are_refused() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            let mut reader = Reader::new(&bytes, 0);
            assert_eq!(reader.number(), Some(number));
            assert!(reader.is_at_end());
            assert_eq!(reader.number(), None);
        }
        assert_eq!(Reader::new(&[0x80; 11], 0).number(), None);
    }

    #[test]
    fn keys_are_ordered_as_slices_are_and_share_what_is_equal_at_their_beginning() {
        let texts =
            ["", "a", "abcdefgh", "abcdefgi", "abcdefghi", "abcdefghabcdefgh", "abcdefghabcdefgi", "b", "\u{ff}"];
        for one in texts {
            for other in texts {
                assert_eq!(compare(one.as_bytes(), other.as_bytes()), one.as_bytes().cmp(other.as_bytes()));
                let shared = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
                assert_eq!(shared_prefix(one.as_bytes(), other.as_bytes()), shared, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn entries_with_lying_lengths_are_refused() {
        // More shared than there is, a suffix beyond the end, a value beyond the end, a large value beyond the limit.
        for bytes in
            [vec![2, 0, 0], vec![0, 9, 0, b'a'], vec![0, 1, 200, b'a'], vec![0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 1]]
        {
            let mut key = vec![b'k'];
            assert_eq!(read_entry(&mut Reader::new(&bytes, 0), &mut key), None, "{bytes:?}");
        }
    }
}
