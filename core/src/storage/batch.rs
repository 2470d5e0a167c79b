//! A batch: the operations of one commit, in one arena.
//!
//! Keys and values stand one after the other in a single buffer: an allocation for each key would cost many times what
//! sorting offsets over an arena does.

use alloc::vec::Vec;

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
type Part = [u64; 2];
const PART_BYTES: usize = size_of::<Part>();

/// The length that marks a deletion.
const TOMBSTONE: u32 = u32::MAX;

impl Span {
    /// Appends key and value to `arena`. A length that does not fit is cut to one that is far beyond every limit of the
    /// store, so that no such batch is ever committed.
    pub(super) fn append(arena: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) -> Self {
        let start = arena.len();
        arena.extend_from_slice(key);
        arena.extend_from_slice(value.unwrap_or_default());
        let bytes = |part: &[u8]| u32::try_from(part.len()).unwrap_or(TOMBSTONE).min(TOMBSTONE - 1);
        Self { start, key_bytes: bytes(key), value_bytes: value.map_or(TOMBSTONE, bytes) }
    }

    /// The key.
    #[inline(always)]
    pub(super) fn key(self, arena: &[u8]) -> &[u8] {
        slice(arena, self.start, self.key_bytes)
    }

    /// Bytes of the key from `depth` on, as numbers that are ordered as they are; what a shorter key lacks is zero.
    #[inline(always)]
    fn key_part(self, arena: &[u8], depth: usize) -> Part {
        let rest = self.key(arena).get(depth..).unwrap_or_default();
        [number(rest), number(rest.get(8..).unwrap_or_default())]
    }

    /// The value; `None` for a deletion.
    #[inline(always)]
    pub(super) fn value(self, arena: &[u8]) -> Option<&[u8]> {
        let start = self.start.saturating_add(self.key_bytes as usize);
        (self.value_bytes != TOMBSTONE).then(|| slice(arena, start, self.value_bytes))
    }
}

/// The first eight bytes as a number.
#[inline(always)]
fn number(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(part) => u64::from_be_bytes(*part),
        None => bytes.iter().zip((0..8).rev()).fold(0, |part, (byte, place)| part | u64::from(*byte) << (8 * place)),
    }
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
        let mut spans: Vec<(Part, Span)> = self.spans.iter().map(|span| ([0; 2], *span)).collect();
        sort_from(&mut spans, arena, 0);
        spans.dedup_by(|(_, later), (_, earlier)| {
            let is_same = later.key(arena) == earlier.key(arena);
            if is_same {
                *earlier = *later;
            }
            is_same
        });
        self.spans.clear();
        self.spans.extend(spans.into_iter().map(|(_, span)| span));
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

/// So many operations or fewer are put in order by comparing their keys whole.
const FEW: usize = 32;
/// Keys that agree in so many bytes are compared whole.
const PARTS_END: usize = 32;

/// Puts operations in order whose keys agree in their first `depth` bytes; those on one key stay as they are.
///
/// A bulk write has a hundred thousand keys, which agree in their beginnings: comparing whole keys jumps to and fro in the arena.
/// So sixteen bytes of all are fetched and put in order as numbers; what agrees in these goes by the next.
fn sort_from(spans: &mut [(Part, Span)], arena: &[u8], depth: usize) {
    for (part, span) in spans.iter_mut() {
        *part = span.key_part(arena, depth);
    }
    let is_whole = spans.len() <= FEW || depth >= PARTS_END;
    // The one sort that a bulk write spends its time in, so it is compiled for its items, and once.
    spans.sort_by(|(part, span), (other_part, other)| {
        let parts = part.cmp(other_part);
        if parts.is_eq() && is_whole { span.key(arena).cmp(other.key(arena)) } else { parts }
    });
    if !is_whole {
        for alike in spans.chunk_by_mut(|(part, _), (other, _)| part == other).filter(|alike| alike.len() > 1) {
            sort_from(alike, arena, depth + PART_BYTES);
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
            keys in vec((0..3_usize, vec(0..2_u8, 0..44)), 0..400),
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
