//! A batch: the operations of one commit, in one arena.
//!
//! Keys and values stand one after the other in a single buffer: an allocation for each key would cost many times what
//! sorting offsets over an arena does.

use alloc::vec::Vec;
use core::ops::Range;

/// Puts and deletes that are to be committed as one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    spans: Vec<Span>,
}

/// Where an operation's key and value stand in the arena.
#[derive(Clone, Debug)]
struct Span {
    key: Range<usize>,
    value: Option<Range<usize>>,
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
        let key = self.append(key);
        let value = Some(self.append(value));
        self.spans.push(Span { key, value });
    }

    /// Deletes `key`, whether or not it exists.
    pub fn delete(&mut self, key: &[u8]) {
        let key = self.append(key);
        self.spans.push(Span { key, value: None });
    }

    /// The operations in the order in which they were added.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> {
        self.spans.iter().map(|span| Operation {
            key: self.slice(&span.key),
            value: span.value.as_ref().map(|value| self.slice(value)),
        })
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

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.arena.get(range.clone()).unwrap_or_default()
    }
}
