//! Cutting a document into postings, and what an update changes of them.
//!
//! Every value has a posting at its path, containers too. The elements of an array are posted by position and once more
//! by membership, where position does not count; below a membership there are memberships only, so that nested arrays
//! multiply nothing. A posting's key holds path, value and document; what it cannot hold stands in the record's value:
//! whether the value was cut, and how many elements a container has.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::dictionary::{Interner, PathId, Segment};
use super::keyspace;
use crate::json::{Object, Value};
use crate::path::{Encoded, encode_value};
use crate::storage::{Batch, Snapshot, StorageError};

/// The flag of a posting whose value was cut.
const CUT: u8 = 1;

/// The postings of one document, sorted, without the document's id.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    arena: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Debug)]
struct Span {
    key: Range<usize>,
    note: Note,
}

/// What a posting says beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Note {
    cut: bool,
    size: Option<u32>,
}

/// Cuts the body of a document into its postings.
pub async fn post_document<S: Snapshot>(
    body: &Object,
    interner: &mut Interner<'_, S>,
) -> Result<Postings, StorageError> {
    let mut postings = Postings::default();
    // What is still to be visited: (path, value, whether the path holds a membership).
    let mut waiting: Vec<(PathId, &Value, bool)> = Vec::with_capacity(body.len());
    for (name, value) in body.iter() {
        waiting.push((interner.intern(0, Segment::Name(name)).await?, value, false));
    }
    while let Some((path, value, by_membership)) = waiting.pop() {
        postings.post(path, value, by_membership);
        match value {
            Value::Object(object) => {
                for (name, member) in object.iter() {
                    waiting.push((interner.intern(path, Segment::Name(name)).await?, member, by_membership));
                }
            }
            Value::Array(elements) if !elements.is_empty() => {
                let membership = interner.intern(path, Segment::Member).await?;
                for (element, position) in elements.iter().zip(0u32..) {
                    waiting.push((membership, element, true));
                    if !by_membership {
                        waiting.push((interner.intern(path, Segment::Position(position)).await?, element, false));
                    }
                }
            }
            _ => {}
        }
    }
    postings.sort();
    Ok(postings)
}

impl Postings {
    /// Adds to `batch` what turns the postings of `document` from `before` into `after`, and nothing else.
    pub fn stage_difference(before: &Self, after: &Self, document: &str, batch: &mut Batch) {
        let mut key = Vec::with_capacity(128);
        let (mut old, mut new) = (before.spans.iter().peekable(), after.spans.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => before.key(old).cmp(after.key(new)),
            };
            let gone = if order.is_le() { old.next() } else { None };
            let come = if order.is_ge() { new.next() } else { None };
            match (gone, come) {
                (_, Some(come)) if gone.is_none_or(|gone| gone.note != come.note) => {
                    after.full_key(come, document, &mut key);
                    batch.put(&key, &come.note.encode());
                }
                (Some(gone), None) => {
                    before.full_key(gone, document, &mut key);
                    batch.delete(&key);
                }
                _ => {}
            }
        }
    }

    fn post(&mut self, path: PathId, value: &Value, by_membership: bool) {
        let start = self.arena.len();
        self.arena.extend_from_slice(&path.to_be_bytes());
        let cut = encode_value(value, &mut self.arena) == Encoded::Cut;
        // Several elements can share one membership posting, so it cannot speak of the size of any.
        let size = if by_membership { None } else { container_size(value) };
        self.spans.push(Span { key: start..self.arena.len(), note: Note { cut, size } });
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        let bytes = |span: &Span| arena.get(span.key.clone()).unwrap_or_default();
        self.spans.sort_unstable_by(|left, right| bytes(left).cmp(bytes(right)));
        self.spans.dedup_by(|later, earlier| bytes(later) == bytes(earlier));
    }

    fn key(&self, span: &Span) -> &[u8] {
        self.arena.get(span.key.clone()).unwrap_or_default()
    }

    fn full_key(&self, span: &Span, document: &str, key: &mut Vec<u8>) {
        key.clear();
        key.push(keyspace::POSTING);
        key.extend_from_slice(self.key(span));
        key.extend_from_slice(document.as_bytes());
    }
}

impl Note {
    /// Nothing for a whole scalar, which is most of what there is.
    fn encode(self) -> Vec<u8> {
        match (self.cut, self.size) {
            (false, None) => Vec::new(),
            (cut, None) => [u8::from(cut)].to_vec(),
            (cut, Some(size)) => [[u8::from(cut)].as_slice(), &size.to_be_bytes()].concat(),
        }
    }
}

/// Whether a posting with this record value holds its value whole.
#[must_use]
pub fn is_whole(record: &[u8]) -> bool {
    record.first().is_none_or(|flags| flags & CUT == 0)
}

fn container_size(value: &Value) -> Option<u32> {
    let size = match value {
        Value::Array(elements) => elements.len(),
        Value::Object(object) => object.len(),
        _ => return None,
    };
    Some(u32::try_from(size).unwrap_or(u32::MAX))
}
