//! The distinct values of a path, from the index.
//!
//! The postings of a path stand in the order of their values, so the next value is a step, or a jump over the postings of
//! this one. Cut values are read from their documents.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::Database;
use super::find::{PostingCursor, Scan, ScanRange};
use super::read::read_head;
use super::text::winner_value;
use crate::document::{Head, keys};
use crate::json::{Value, collate};
use crate::path::{Encoded, IndexPath, decode_value, encode_value};
use crate::query::PathScan;
use crate::sorting::sort_by;
use crate::storage::{Cursor, Direction, KeyRange, Kv, Snapshot, StorageError};

/// How many postings of one value are passed over before it is jumped over.
const STEPS_MAX: usize = 32;

/// A value, and how many documents have it at the path.
#[derive(Clone, Debug, PartialEq)]
pub struct DistinctValue {
    /// The value.
    pub value: Value,
    /// How many documents have it; 0 where counts were not asked for.
    pub count: u64,
}

impl<K: Kv> Database<K> {
    /// The values that stand at `path` in any document, in order, each once. `[]` in the path means the elements of an
    /// array. With `with_counts` all postings of the path are read; without, only some of each value.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn distinct(&self, path: &IndexPath, with_counts: bool) -> Result<Vec<DistinctValue>, StorageError> {
        let snapshot = self.kv.snapshot()?;
        let is_posted = !path.is_unposted()
            && !path.names().next().is_none_or(|name| name.starts_with('_'))
            && !self.index.exclusions.cover(path.names());
        let scan = match is_posted {
            true => Scan::find(&self.index, &snapshot, PathScan::everything(path.clone())).await?,
            false => None,
        };
        let mut values = match scan.filter(Scan::is_complete) {
            Some(scan) => {
                let mut values = Vec::new();
                for range in scan.ranges() {
                    Reader { snapshot: &snapshot, path, with_counts, values: &mut values }.read(range).await?;
                }
                values
            }
            None => by_scan(&snapshot, path).await?,
        };
        sort_by(&mut values, |left, right| collate(&left.value, &right.value));
        values.dedup_by(|later, earlier| {
            let is_same = collate(&later.value, &earlier.value) == Ordering::Equal;
            earlier.count += if is_same { later.count } else { 0 };
            is_same
        });
        if !with_counts {
            values.iter_mut().for_each(|value| value.count = 0);
        }
        Ok(values)
    }
}

/// Reads the values of one range of postings.
struct Reader<'read, S> {
    snapshot: &'read S,
    path: &'read IndexPath,
    with_counts: bool,
    values: &'read mut Vec<DistinctValue>,
}

impl<S: Snapshot> Reader<'_, S> {
    async fn read(&mut self, mut range: ScanRange) -> Result<(), StorageError> {
        loop {
            let mut cursor = PostingCursor::new(self.snapshot, [range.clone()].into(), Direction::Forward);
            let mut current: Vec<u8> = Vec::new();
            let mut steps = 0;
            let jump = loop {
                if !cursor.advance().await? {
                    return Ok(());
                }
                let posting = cursor.posting()?;
                if posting.value == current && posting.is_whole {
                    steps += 1;
                    if let Some(last) = self.values.last_mut() {
                        last.count += 1;
                    }
                    if steps > STEPS_MAX && !self.with_counts {
                        break cursor.after_value();
                    }
                    continue;
                }
                match decode_value(posting.value).filter(|_| posting.is_whole) {
                    Some(value) => {
                        current.clear();
                        current.extend_from_slice(posting.value);
                        steps = 0;
                        self.values.push(DistinctValue { value, count: 1 });
                    }
                    None => {
                        let (id, encoded) = (String::from(posting.id), posting.value.to_vec());
                        self.read_cut(&id, &encoded).await?;
                    }
                }
            };
            match jump {
                Some(start) => range.keys.start = start,
                None => return Ok(()),
            }
        }
    }

    /// The values of one document that have this cut encoding.
    async fn read_cut(&mut self, id: &str, encoded: &[u8]) -> Result<(), StorageError> {
        let Some(head) = read_head(self.snapshot, id).await? else { return Ok(()) };
        let Some(document) = winner_value(self.snapshot, id, &head).await? else { return Ok(()) };
        let has_encoding = |value: &&Value| {
            let mut bytes = Vec::new();
            encode_value(value, &mut bytes) == Encoded::Cut && bytes == encoded
        };
        self.values.extend(values_of(&document, self.path).into_iter().filter(has_encoding).map(once));
        Ok(())
    }
}

/// The values at `path` in one document, each once.
fn values_of<'document>(document: &'document Value, path: &IndexPath) -> Vec<&'document Value> {
    let mut values = path.find(document);
    sort_by(&mut values, |left, right| collate(left, right));
    values.dedup_by(|later, earlier| collate(later, earlier).is_eq());
    values
}

fn once(value: &Value) -> DistinctValue {
    DistinctValue { value: value.clone(), count: 1 }
}

async fn by_scan<S: Snapshot>(snapshot: &S, path: &IndexPath) -> Result<Vec<DistinctValue>, StorageError> {
    let mut heads = snapshot.range(KeyRange::prefix(keys::heads()), Direction::Forward)?;
    let mut values = Vec::new();
    while heads.advance().await? {
        let Some(id) = keys::head_id(heads.key()).filter(|id| !id.starts_with('_')) else { continue };
        if let Some(document) = winner_value(snapshot, id, &Head::decode(heads.value())?).await? {
            values.extend(values_of(&document, path).into_iter().map(once));
        }
    }
    Ok(values)
}
