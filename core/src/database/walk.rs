//! Walking the path index: from a candidate of the planner to documents.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::document::keys;
use crate::index::{self, Dictionary, POSITIONS_MAX, PathId, Segment, keyspace};
use crate::path::{Path, position};
use crate::query::{Candidate, Condition, Selector};
use crate::storage::{Cursor, Direction, KeyRange, Snapshot, StorageError, after_prefix};

/// A path whose names could each be a position as well has this many readings at most; with more it is not walked.
const READINGS_MAX: usize = 16;

/// A part of the path index, as ranges of its keys.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) path: Path,
    /// Ascending and apart, if the path has one reading.
    pub(super) ranges: Vec<KeyRange>,
    /// Whether the path can be read in one way only, so that its postings stand in the order of their values.
    pub(super) is_ordered: bool,
    /// [`Candidate::decides`]
    pub(super) decides: bool,
}

/// A posting: a document, and the value by which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) id: String,
    /// The encoded value.
    pub(super) value: Vec<u8>,
    /// Whether the value was not cut.
    pub(super) whole: bool,
}

impl Walk {
    /// The part of the index that `candidate` means; `None` if its path cannot be walked.
    pub(super) async fn resolve<S: Snapshot>(
        dictionary: &Dictionary,
        snapshot: &S,
        candidate: Candidate,
    ) -> Result<Option<Self>, StorageError> {
        let mut paths: Vec<PathId> = vec![0];
        for name in candidate.path.names() {
            // A name of digits is a member of an object or a position of an array: the documents hold either.
            let as_position = position(name).and_then(|position| u32::try_from(position).ok());
            let mut longer = Vec::new();
            for parent in paths {
                longer.extend(dictionary.find(snapshot, parent, Segment::Name(name)).await?);
                if as_position.is_some_and(|position| position >= POSITIONS_MAX) {
                    // Later elements are not posted by position: where there are any, the documents are read.
                    if dictionary.find(snapshot, parent, Segment::Later).await?.is_some() {
                        return Ok(None);
                    }
                } else if let Some(position) = as_position {
                    longer.extend(dictionary.find(snapshot, parent, Segment::Position(position)).await?);
                }
            }
            if longer.len() > READINGS_MAX {
                return Ok(None);
            }
            paths = longer;
        }
        let ranges = paths.iter().flat_map(|path| {
            let prefix = [[keyspace::POSTING].as_slice(), &path.to_be_bytes()].concat();
            candidate.ranges.iter().map(move |range| KeyRange {
                start: [prefix.as_slice(), &range.start].concat(),
                end: match &range.end {
                    Some(end) => Some([prefix.as_slice(), end].concat()),
                    None => after_prefix(&prefix),
                },
            })
        });
        let ranges = ranges.collect();
        Ok(Some(Self { path: candidate.path, ranges, is_ordered: paths.len() <= 1, decides: candidate.decides }))
    }

    /// The postings of the walk in `direction`, no more than `enough`, and whether it is known that these are all.
    pub(super) async fn postings<S: Snapshot>(
        &self,
        snapshot: &S,
        direction: Direction,
        enough: usize,
    ) -> Result<(Vec<Posting>, bool), StorageError> {
        let mut cursor = PostingCursor::new(snapshot, self.ranges.clone(), direction);
        let mut postings = Vec::new();
        while postings.len() < enough {
            match cursor.next().await? {
                Some(posting) => postings.push(posting),
                None => return Ok((postings, true)),
            }
        }
        Ok((postings, false))
    }
}

/// Reads the postings of several ranges, one after the other.
pub(super) struct PostingCursor<'snapshot, S: Snapshot> {
    snapshot: &'snapshot S,
    /// What is still to be walked, the next range last.
    ranges: Vec<KeyRange>,
    direction: Direction,
    cursor: Option<S::Cursor>,
}

impl<'snapshot, S: Snapshot> PostingCursor<'snapshot, S> {
    pub(super) fn new(snapshot: &'snapshot S, mut ranges: Vec<KeyRange>, direction: Direction) -> Self {
        if direction == Direction::Forward {
            ranges.reverse();
        }
        Self { snapshot, ranges, direction, cursor: None }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Posting>, StorageError> {
        loop {
            if let Some(cursor) = &mut self.cursor
                && cursor.advance().await?
            {
                return read_posting(cursor.key(), cursor.value()).map(Some);
            }
            match self.ranges.pop() {
                Some(range) => self.cursor = Some(self.snapshot.range(range, self.direction)?),
                None => return Ok(None),
            }
        }
    }
}

fn read_posting(key: &[u8], record: &[u8]) -> Result<Posting, StorageError> {
    let index::Posting { id, value, is_whole, .. } = index::Posting::read(key, record)?;
    Ok(Posting { id: id.into(), value: value.to_vec(), whole: is_whole })
}

/// The heads of the documents whose `_id` can meet `selector`.
pub(super) fn id_range(selector: &Selector) -> KeyRange {
    let mut range = KeyRange::prefix(keys::heads());
    narrow(selector, &mut range);
    if let Some(end) = &mut range.end {
        *end = core::mem::take(end).max(range.start.clone());
    }
    range
}

fn narrow(selector: &Selector, range: &mut KeyRange) {
    match selector {
        Selector::And(parts) => parts.iter().for_each(|part| narrow(part, range)),
        Selector::Field(path, condition) if path.is_member("_id") => narrow_by(condition, range),
        Selector::Or(_) | Selector::Field(..) => {}
    }
}

fn narrow_by(condition: &Condition, range: &mut KeyRange) {
    let after = |id: &str| [keys::head(id), vec![0]].concat();
    let (start, end) = match condition {
        Condition::Equal(id) => (id.as_str().map(keys::head), id.as_str().map(after)),
        Condition::Greater(id) | Condition::GreaterOrEqual(id) => (id.as_str().map(keys::head), None),
        Condition::Less(id) | Condition::LessOrEqual(id) => (None, id.as_str().map(after)),
        Condition::BeginsWith(prefix) => (Some(keys::head(prefix)), after_prefix(&keys::head(prefix))),
        Condition::In(ids) => {
            let ids = || ids.iter().filter_map(|id| id.as_str());
            (ids().min().map(keys::head), ids().max().map(after))
        }
        _ => (None, None),
    };
    if let Some(start) = start.filter(|start| *start > range.start) {
        range.start = start;
    }
    if let Some(end) = end.filter(|end| range.end.as_ref().is_none_or(|known| end < known)) {
        range.end = Some(end);
    }
}
