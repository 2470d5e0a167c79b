//! Cutting a document into postings, and what an update changes of them.
//!
//! Every value has a posting at its path, containers too. The elements of an array are posted by position, the first
//! [`POSITIONS_MAX`] of them, and once more by membership, where position does not count; below a membership there are
//! memberships only, so that nested arrays multiply nothing. A posting's key holds path, value and document; what it cannot
//! hold stands in the record's value: whether the value was cut, and how many elements a container has.

use alloc::format;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::cardinality::Tally;
use super::dictionary::{Interner, POSITIONS_MAX, PathId, Segment};
use super::exclusion::{Exclusion, Exclusions};
use super::keyspace;
use crate::json::{Object, Value};
use crate::path::{Encoded, encode_value, value_length};
use crate::storage::{Batch, Snapshot, StorageError};

/// The flag of a posting whose value was cut.
const CUT: u8 = 1;

/// The postings of one document, sorted: path and value, without the document's id, and what a posting says beside them.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    entries: Batch,
    scratch: Vec<u8>,
}

/// What there is room for at first: the postings of most documents, which are forgotten with the next.
const POSTINGS: usize = 32;
const POSTINGS_BYTES: usize = 1024;

/// What is still to be visited of a document.
struct Visit<'body> {
    path: PathId,
    value: &'body Value,
    /// Whether the path leads through a membership.
    by_membership: bool,
    /// What is kept out of the index below the path.
    exclusion: Option<&'body Exclusion>,
}

/// Cuts the body of a document into its postings.
pub async fn post_document<S: Snapshot>(
    body: &Object,
    exclusions: &Exclusions,
    interner: &mut Interner<'_, S>,
) -> Result<Postings, StorageError> {
    let entries = Batch::with_capacity(POSTINGS, POSTINGS_BYTES);
    let mut postings = Postings { entries, scratch: Vec::with_capacity(128) };
    interner.begin_document();
    let mut waiting: Vec<Visit<'_>> = Vec::with_capacity(body.len());
    let mut members = Some((body, 0, false, Some(exclusions.root())));
    loop {
        if let Some((object, parent, by_membership, exclusion)) = members.take() {
            // A stored body shows its attachments, which are not posted.
            for (name, value) in object.iter().filter(|(name, _)| parent != 0 || !name.starts_with('_')) {
                let exclusion = exclusion.and_then(|exclusion| exclusion.below(name));
                if !exclusion.is_some_and(Exclusion::is_whole) {
                    let path = interner.intern(parent, Segment::Name(name)).await?;
                    waiting.push(Visit { path, value, by_membership, exclusion });
                }
            }
        }
        let Some(Visit { path, value, by_membership, exclusion }) = waiting.pop() else { break };
        postings.post(path, value, by_membership);
        match value {
            Value::Object(object) => members = Some((object, path, by_membership, exclusion)),
            Value::Array(elements) if !elements.is_empty() => {
                if !by_membership {
                    for (position, value) in (0..POSITIONS_MAX).zip(elements) {
                        let path = interner.intern(path, Segment::Position(position)).await?;
                        waiting.push(Visit { path, value, by_membership, exclusion: None });
                    }
                    if elements.len() > POSITIONS_MAX as usize {
                        postings.post(interner.intern(path, Segment::Later).await?, &Value::Null, true);
                    }
                }
                let path = interner.intern(path, Segment::Member).await?;
                let visit = |value| Visit { path, value, by_membership: true, exclusion: None };
                waiting.extend(elements.iter().map(visit));
            }
            _ => {}
        }
    }
    postings.entries.sort();
    Ok(postings)
}

impl Postings {
    /// Adds to `batch` what turns the postings of `document` from `before` into `after`, and nothing else, and counts it
    /// in `tally`.
    pub fn stage_difference(before: &Self, after: &Self, document: &str, tally: &mut Tally, batch: &mut Batch) {
        let (mut old, mut new) = (before.entries.operations().peekable(), after.entries.operations().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.key.cmp(new.key),
            };
            let gone = if order.is_le() { old.next() } else { None };
            let come = if order.is_ge() { new.next() } else { None };
            match (gone, come) {
                (_, Some(come)) if gone.is_none_or(|gone| gone.value != come.value) => {
                    batch.add(|key| append_full_key(come.key, document, key), Some(come.value.unwrap_or_default()));
                    if gone.is_none() {
                        count(come.key, 1, tally);
                    }
                }
                (Some(gone), None) => {
                    batch.add(|key| append_full_key(gone.key, document, key), None);
                    count(gone.key, -1, tally);
                }
                _ => {}
            }
        }
    }

    /// Shows `of` the entries of the index that these are for `document`.
    pub(crate) fn each(&self, document: &str, of: &mut dyn FnMut(&[u8], &[u8])) {
        let mut key = Vec::with_capacity(128);
        for entry in self.entries.operations() {
            key.clear();
            append_full_key(entry.key, document, &mut key);
            of(&key, entry.value.unwrap_or_default());
        }
    }

    fn post(&mut self, path: PathId, value: &Value, by_membership: bool) {
        let key = &mut self.scratch;
        key.clear();
        key.extend_from_slice(&path.to_be_bytes());
        let cut = encode_value(value, key) == Encoded::Cut;
        // Several elements can share one membership posting, so it cannot speak of the size of any.
        let size = if by_membership { None } else { container_size(value) };
        // Nothing for a whole scalar, which is most of what there is.
        match size {
            None if cut => self.entries.put(key, &[CUT]),
            None => self.entries.put(key, &[]),
            Some(size) => {
                let [one, two, three, four] = size.to_be_bytes();
                self.entries.put(key, &[u8::from(cut), one, two, three, four]);
            }
        }
    }
}

/// Counts a posting that came or went.
fn count(key: &[u8], change: i64, tally: &mut Tally) {
    if let Some((path, value)) = key.split_first_chunk() {
        tally.count(PathId::from_be_bytes(*path), value, change);
    }
}

fn append_full_key(posting: &[u8], document: &str, key: &mut Vec<u8>) {
    key.push(keyspace::POSTING);
    key.extend_from_slice(posting);
    key.extend_from_slice(document.as_bytes());
}

/// A posting as it is read: the document, and the value by which it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting<'entry> {
    /// The document's id.
    pub id: &'entry str,
    /// The encoded value.
    pub value: &'entry [u8],
    /// Whether the value was not cut.
    pub is_whole: bool,
    /// How many elements or members the value has; `None` of scalars and below memberships.
    pub size: Option<u32>,
}

impl<'entry> Posting<'entry> {
    /// Reads an entry of the index.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if it is none.
    pub fn read(key: &'entry [u8], record: &[u8]) -> Result<Self, StorageError> {
        let parts = || {
            let (value, id) = Self::split(key)?;
            Some((value, core::str::from_utf8(id).ok()?))
        };
        let (value, id) = parts().ok_or_else(|| StorageError::Corrupt(format!("the posting {key:02x?}")))?;
        let size = record.get(1..).and_then(|size| size.try_into().ok()).map(u32::from_be_bytes);
        Ok(Self { id, value, is_whole: record.first().is_none_or(|flags| flags & CUT == 0), size })
    }

    /// The value and the id in the key of an entry.
    fn split(key: &'entry [u8]) -> Option<(&'entry [u8], &'entry [u8])> {
        let rest = key.get(1 + size_of::<PathId>()..)?;
        rest.split_at_checked(value_length(rest)?)
    }
}

fn container_size(value: &Value) -> Option<u32> {
    let size = match value {
        Value::Array(elements) => elements.len(),
        Value::Object(object) => object.len(),
        _ => return None,
    };
    Some(u32::try_from(size).unwrap_or(u32::MAX))
}
