//! A batch: the operations of one commit, in one arena.
//!
//! Keys and values stand one after the other in a single buffer: an allocation for each key would cost many times what
//! sorting offsets over an arena does.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::bytes::compare;

/// Puts and deletes that are to be committed as one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    spans: Vec<Span>,
}

/// Where an operation's key and value stand in an arena: the value right behind its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: usize,
    key_bytes: u32,
    value_bytes: u32,
}

/// A part of a key, to be compared with others.
type Part = (u64, u64);
const PART_BYTES: usize = size_of::<Part>();

/// More than this is not made room for before it is needed.
const EXPECTED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The length that marks a deletion.
const TOMBSTONE: u32 = u32::MAX;

impl Span {
    /// Appends key and value to `arena`. A length that does not fit is cut to one that is far beyond every limit of the
    /// store, so that no such batch is ever committed.
    pub(super) fn append(arena: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) -> Self {
        let start = arena.len();
        arena.extend_from_slice(key);
        Self::end(arena, start, value)
    }

    /// Appends the value of the key that stands in `arena` from `start` on.
    fn end(arena: &mut Vec<u8>, start: usize, value: Option<&[u8]>) -> Self {
        let bytes = |count: usize| u32::try_from(count).unwrap_or(TOMBSTONE).min(TOMBSTONE - 1);
        let key_bytes = bytes(arena.len() - start);
        arena.extend_from_slice(value.unwrap_or_default());
        Self { start, key_bytes, value_bytes: value.map_or(TOMBSTONE, |value| bytes(value.len())) }
    }

    /// The key.
    #[inline(always)]
    pub(super) fn key(self, arena: &[u8]) -> &[u8] {
        slice(arena, self.start, self.key_bytes)
    }

    /// Bytes of the key from `depth` on, as numbers that are ordered as they are; what a shorter key lacks is zero.
    #[inline(always)]
    fn key_part(self, arena: &[u8], depth: usize) -> Part {
        let bytes = (self.key_bytes as usize).saturating_sub(depth);
        let behind = arena.get(self.start.saturating_add(depth)..).unwrap_or_default();
        let (one, two) = match behind.first_chunk::<PART_BYTES>() {
            Some(part) => halves(*part),
            None => {
                let mut part = [0; PART_BYTES];
                part.iter_mut().zip(behind).for_each(|(to, from)| *to = *from);
                halves(part)
            }
        };
        (first_bytes(one, bytes), first_bytes(two, bytes.saturating_sub(8)))
    }

    /// The value; `None` for a deletion.
    #[inline(always)]
    pub(super) fn value(self, arena: &[u8]) -> Option<&[u8]> {
        let start = self.start.saturating_add(self.key_bytes as usize);
        if self.value_bytes == TOMBSTONE { None } else { Some(slice(arena, start, self.value_bytes)) }
    }
}

#[inline(always)]
fn halves(part: [u8; PART_BYTES]) -> Part {
    let number = u128::from_be_bytes(part);
    ((number >> 64) as u64, number as u64)
}

/// What a number has of its first bytes, with zeros behind.
#[inline(always)]
fn first_bytes(number: u64, bytes: usize) -> u64 {
    if bytes >= 8 { number } else { number & !(u64::MAX >> (8 * bytes)) }
}

#[inline(always)]
fn slice(arena: &[u8], start: usize, bytes: u32) -> &[u8] {
    arena.get(start..start.saturating_add(bytes as usize)).unwrap_or_default()
}

/// One operation of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value to put, or `None` to delete the key.
    pub value: Option<&'a [u8]>,
}

impl Batch {
    /// A batch without operations.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch with room for so many operations, and for the bytes of their keys and values.
    pub(crate) fn with_capacity(operations: usize, bytes: usize) -> Self {
        Self { arena: Vec::with_capacity(bytes), spans: Vec::with_capacity(operations) }
    }

    /// What stands here is for so many of `total` things, of which the others are likely to take as much: room for them is made at once,
    /// rather than over and over by moving all.
    pub(crate) fn make_room(&mut self, things: usize, total: usize) {
        if things > 0 && total > things {
            let rest =
                |now: usize, unit: usize| (now.saturating_mul(total - things) / things).min(EXPECTED_BYTES_MAX / unit);
            // Where there is no room for that, it will be seen how much there is.
            let _ = self.arena.try_reserve(rest(self.arena.len(), 1));
            let _ = self.spans.try_reserve(rest(self.spans.len(), size_of::<Span>()));
        }
    }

    /// Adds an operation, as [`Self::put`] and [`Self::delete`] do, whose key `append_key` appends to what it is given.
    pub(crate) fn add(&mut self, append_key: impl FnOnce(&mut Vec<u8>), value: Option<&[u8]>) {
        let start = self.arena.len();
        append_key(&mut self.arena);
        self.spans.push(Span::end(&mut self.arena, start, value));
    }

    /// Puts `value` at `key`. Of several operations on one key the last counts.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let span = Span::append(&mut self.arena, key, Some(value));
        self.spans.push(span);
    }

    /// Deletes `key`, whether or not it exists.
    pub fn delete(&mut self, key: &[u8]) {
        let span = Span::append(&mut self.arena, key, None);
        self.spans.push(span);
    }

    /// The operations in the order in which they were added.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> {
        self.spans.iter().map(|span| Operation { key: span.key(&self.arena), value: span.value(&self.arena) })
    }

    /// Puts the operations in the order of their keys; of several on one key the last stays.
    pub(crate) fn sort(&mut self) {
        let arena = &self.arena;
        let mut items: Vec<Item> = self.spans.iter().map(|span| ((0, 0), *span)).collect();
        if sort_from(&mut items, &mut Vec::new(), arena, 0) {
            items.dedup_by(|(_, later), (_, earlier)| {
                let is_same = later.key(arena) == earlier.key(arena);
                if is_same {
                    *earlier = *later;
                }
                is_same
            });
        }
        self.spans.clear();
        self.spans.extend(items.into_iter().map(|(_, span)| span));
    }

    /// How many operations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no operation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes of all keys and values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The arena and the operations in it.
    pub(super) fn into_parts(self) -> (Vec<u8>, Vec<Span>) {
        (self.arena, self.spans)
    }
}

/// An operation that is put in order, and the part of its key that it is compared by.
type Item = (Part, Span);

/// So many operations or fewer are put in order by comparing their keys whole.
const FEW: usize = 32;
/// More operations than these are distributed before they are compared.
const MANY: usize = 256;
/// Keys that agree in so many bytes are compared whole.
const PARTS_END: usize = 32;
/// Parts that agree in so many bytes, which are those of their first number, are fetched anew.
const REFETCH: usize = 8;

/// Puts operations in order whose keys agree in their first `depth` bytes; those on one key stay as they are, and `true` says
/// that there are some.
///
/// A bulk write has a hundred thousand keys, which agree in their beginnings: comparing whole keys jumps to and fro in the arena.
/// So sixteen bytes of all are fetched as numbers. Many are distributed by the first byte in which they differ, which takes less
/// than comparing; fewer are put in order as numbers, and what agrees in these goes by the next.
///
/// No two items can stand side by side in the end that were not compared, so that whether two are on one key is known from that.
fn sort_from(items: &mut [Item], spare: &mut Vec<Item>, arena: &[u8], depth: usize) -> bool {
    for (part, span) in items.iter_mut() {
        *part = span.key_part(arena, depth);
    }
    sort_by_parts(items, spare, arena, depth)
}

/// As [`sort_from`], where the parts from `depth` on are there.
fn sort_by_parts(items: &mut [Item], spare: &mut Vec<Item>, arena: &[u8], depth: usize) -> bool {
    let is_whole = items.len() <= FEW || depth >= PARTS_END;
    let mut has_same = false;
    if items.len() > MANY && !is_whole {
        let place = shared_bytes(items);
        if place >= REFETCH {
            return sort_from(items, spare, arena, depth + place);
        }
        distribute(items, spare, place);
        for alike in items.chunk_by_mut(|(part, _), (other, _)| byte(*part, place) == byte(*other, place)) {
            has_same |= sort_by_parts(alike, spare, arena, depth);
        }
        return has_same;
    }
    // The one sort that a bulk write spends its time in, so it is compiled for its items, and once.
    items.sort_by(|(part, span), (other_part, other)| {
        let parts = part.cmp(other_part);
        if parts.is_ne() || !is_whole {
            return parts;
        }
        let keys = compare(span.key(arena), other.key(arena));
        has_same |= keys == Ordering::Equal;
        keys
    });
    if !is_whole {
        for alike in items.chunk_by_mut(|(part, _), (other, _)| part == other).filter(|alike| alike.len() > 1) {
            has_same |= sort_from(alike, spare, arena, depth + PART_BYTES);
        }
    }
    has_same
}

/// In how many bytes all parts agree at their beginning.
fn shared_bytes(items: &[Item]) -> usize {
    let Some(((one, two), _)) = items.first() else { return PART_BYTES };
    let differing =
        |(ones, twos): (u64, u64), ((other, another), _): &Item| (ones | (one ^ other), twos | (two ^ another));
    let (ones, twos) = items.iter().fold((0, 0), differing);
    let bits = if ones == 0 { 64 + twos.leading_zeros() } else { ones.leading_zeros() };
    bits as usize / 8
}

/// The byte of a part at `place`, which is before [`REFETCH`].
#[inline(always)]
fn byte((one, _): Part, place: usize) -> u8 {
    (one >> (56 - 8 * place)) as u8
}

/// Puts operations in the order of one byte of their parts; those that agree in it stay as they are.
fn distribute(items: &mut [Item], spare: &mut Vec<Item>, place: usize) {
    let mut starts = [0_usize; 256];
    for (part, _) in items.iter() {
        if let Some(count) = starts.get_mut(usize::from(byte(*part, place))) {
            *count += 1;
        }
    }
    let mut start = 0;
    for next in &mut starts {
        start += core::mem::replace(next, start);
    }
    spare.clear();
    spare.extend_from_slice(items);
    for item in spare.iter() {
        if let Some(next) = starts.get_mut(usize::from(byte(item.0, place))) {
            if let Some(to) = items.get_mut(*next) {
                *to = *item;
            }
            *next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Keys of few different bytes, zero among them, agree in long beginnings and are beginnings of each other.
        #[test]
        fn operations_stand_in_the_order_of_their_keys_and_the_last_on_a_key_stays(
            keys in vec((0..3_usize, vec(0..2_u8, 0..44)), 0..1200),
        ) {
            let (mut batch, mut expected) = (Batch::new(), BTreeMap::new());
            for (place, (parts, rest)) in keys.iter().enumerate() {
                let key = [alloc::vec![0; 8 * parts].as_slice(), rest].concat();
                batch.put(&key, &place.to_be_bytes());
                expected.insert(key, place.to_be_bytes().to_vec());
            }
            batch.sort();
            let sorted: Vec<(Vec<u8>, Vec<u8>)> = batch
                .operations()
                .map(|operation| (operation.key.to_vec(), operation.value.unwrap_or_default().to_vec()))
                .collect();
            prop_assert_eq!(sorted, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
