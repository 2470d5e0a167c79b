//! How many postings each path has, by the type of their values.
//!
//! The planner drives from the path that promises the fewest, some counts are answered from here alone, and the paths that
//! exist are listed from here. A count changes in the same commit as its postings, so it is exact. What was read or written
//! last is kept in memory, up to a bound: only the writer asks for it, and it would ask for every path of every document.
//!
//! ```text
//! n path  -> for each type that occurs: its name's place in the order of types: 1 byte · count: 8 bytes
//! ```

use alloc::vec::Vec;
use core::cell::RefCell;

use hashbrown::HashMap;

use super::dictionary::PathId;
use super::keyspace;
use crate::json::TypeName;
use crate::path::type_of_encoded;
use crate::storage::{Batch, Snapshot, StorageError};

/// How many paths are kept in memory before the cache starts anew.
const CACHED_PATHS_MAX: usize = 1 << 16;

/// There are never more postings of one path. A count beyond it is damaged, and cut, so that sums of counts stay sums.
const COUNT_MAX: u64 = 1 << 48;

/// The number of types.
const TYPES: usize = TypeName::ALL.len();

/// The postings of one path, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    counts: [u64; TYPES],
}

impl Cardinality {
    /// The counts of `path`.
    pub async fn read<S: Snapshot>(snapshot: &S, path: PathId) -> Result<Self, StorageError> {
        let record = snapshot.get(&key(path)).await?;
        Ok(record.map_or_else(Self::default, |record| Self::decode(&record)))
    }

    /// How many values of this type there are.
    #[must_use]
    pub fn of(&self, name: TypeName) -> u64 {
        self.counts.get(name as usize).copied().unwrap_or_default()
    }

    /// How many values there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Reads a stored form; what is no count counts nothing.
    #[must_use]
    pub fn decode(record: &[u8]) -> Self {
        let mut cardinality = Self::default();
        for [place, count @ ..] in record.as_chunks::<9>().0 {
            if let Some(slot) = cardinality.counts.get_mut(usize::from(*place)) {
                *slot = u64::from_be_bytes(*count).min(COUNT_MAX);
            }
        }
        cardinality
    }

    /// Counts one more posting, of this encoded value and whatever follows it.
    pub(crate) fn count(&mut self, value: &[u8]) {
        if let Some(count) = type_of_encoded(value).and_then(|name| self.counts.get_mut(name as usize)) {
            *count += 1;
        }
    }

    /// What is stored of the counts of `path`.
    pub(crate) fn entry(&self, path: PathId) -> (Vec<u8>, Vec<u8>) {
        (key(path), self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(9);
        for (place, count) in (0u8..).zip(self.counts).filter(|(_, count)| *count > 0) {
            record.push(place);
            record.extend_from_slice(&count.to_be_bytes());
        }
        record
    }
}

/// The counts that the latest commit left, as far as they are kept in memory.
#[derive(Debug, Default)]
pub struct Cardinalities {
    known: RefCell<HashMap<PathId, Cardinality>>,
}

impl Cardinalities {
    /// Adds what `tally` changed to `batch`, and hands it out for [`Cardinalities::adopt`].
    pub async fn stage<S: Snapshot>(
        &self,
        snapshot: &S,
        tally: Tally,
        batch: &mut Batch,
    ) -> Result<Vec<(PathId, Cardinality)>, StorageError> {
        let mut changed = Vec::new();
        for (path, changes) in tally.into_changes() {
            let known = self.known.borrow().get(&path).copied();
            let mut cardinality = match known {
                Some(cardinality) => cardinality,
                None => Cardinality::read(snapshot, path).await?,
            };
            for (count, change) in cardinality.counts.iter_mut().zip(changes) {
                *count = count.saturating_add_signed(change).min(COUNT_MAX);
            }
            match cardinality.total() {
                0 => batch.delete(&key(path)),
                _ => batch.put(&key(path), &cardinality.encode()),
            }
            changed.push((path, cardinality));
        }
        Ok(changed)
    }

    /// Takes over the counts that a committed write left.
    pub fn adopt(&self, changed: Vec<(PathId, Cardinality)>) {
        let mut known = self.known.borrow_mut();
        if known.len() + changed.len() > CACHED_PATHS_MAX {
            known.clear();
        }
        known.extend(changed.into_iter().take(CACHED_PATHS_MAX));
    }
}

/// What changes of the counts of one path, by the type.
type Changes = [i64; TYPES];

/// What one write changes of the counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Of the paths with small numbers, by their numbers: those of most databases.
    near: Vec<Changes>,
    far: HashMap<PathId, Changes>,
}

/// The paths that are counted without looking their numbers up.
const NEAR_PATHS: usize = 1024;

impl Tally {
    /// Counts a posting that came (1) or went (-1); `value` is encoded.
    pub fn count(&mut self, path: PathId, value: &[u8], change: i64) {
        let Some(name) = type_of_encoded(value) else { return };
        if let Some(count) = self.changes_of(path).get_mut(name as usize) {
            *count += change;
        }
    }

    fn changes_of(&mut self, path: PathId) -> &mut Changes {
        let place = path as usize;
        if place < NEAR_PATHS {
            if place >= self.near.len() {
                self.near.resize(place + 1, Changes::default());
            }
            if let Some(changes) = self.near.get_mut(place) {
                return changes;
            }
        }
        self.far.entry(path).or_default()
    }

    /// The paths whose counts change, and how.
    fn into_changes(self) -> impl Iterator<Item = (PathId, Changes)> {
        (0..).zip(self.near).chain(self.far).filter(|(_, changes)| *changes != Changes::default())
    }
}

fn key(path: PathId) -> Vec<u8> {
    [[keyspace::CARDINALITY].as_slice(), &path.to_be_bytes()].concat()
}

/// The path in the key of a count.
#[must_use]
pub fn counted_path(key: &[u8]) -> Option<PathId> {
    Some(PathId::from_be_bytes(key.strip_prefix(&[keyspace::CARDINALITY])?.try_into().ok()?))
}
