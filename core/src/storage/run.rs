//! A sorted run: the entries of one commit, or of several merged ones, in memory and never changed again.
//!
//! A run is one arena of bytes and a sorted list of places in it, so that there is no allocation for each key. Runs stand
//! in a [`Memtable`], newest first, each heavy or more than twice as heavy as the next newer one: a commit adds a run and
//! merges it with those that are not much heavier. So an entry is copied a few times, there are few runs to search, and a
//! snapshot is a clone of a pointer to the list.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::batch::{Batch, Span};
use super::bytes::compare;
use super::merge::{Merge, Source, Step, Value};
use super::{Direction, KEY_BYTES_MAX, KeyRange, StorageError, VALUE_BYTES_MAX};

/// A heavier run is merged with no newer one: a memtable has few of them, and copying them again would be most of what
/// commits of many documents cost.
const MERGED_BYTES_MAX: usize = 128 * 1024;

/// Sorted entries with distinct keys.
#[derive(Debug, Default)]
pub(super) struct Run {
    arena: Vec<u8>,
    spans: Vec<Span>,
}

impl Run {
    /// Sorts a batch; of several operations on one key the last stays. Fails if a key or a value is beyond its limit.
    pub(super) fn from_batch(mut batch: Batch) -> Result<Self, StorageError> {
        check_limits(&batch)?;
        batch.sort();
        let (arena, spans) = batch.into_parts();
        Ok(Self { arena, spans })
    }

    /// Sorts what several commits changed, one after the other; of several operations on one key the last stays, and nothing is kept of
    /// the others.
    pub(super) fn sorted(mut batch: Batch) -> Self {
        batch.sort();
        let mut sorted = Self { arena: Vec::new(), spans: Vec::with_capacity(batch.len()) };
        for operation in batch.operations() {
            let span = Span::append(&mut sorted.arena, operation.key, operation.value);
            sorted.spans.push(span);
        }
        sorted
    }

    /// Merges runs, newest first, into one.
    pub(super) fn merged(runs: &[Rc<Self>], tombstones_kept: bool) -> Result<Self, StorageError> {
        let mut merged = Self {
            arena: Vec::with_capacity(runs.iter().map(|run| run.arena.len()).sum()),
            spans: Vec::with_capacity(runs.iter().map(|run| run.spans.len()).sum()),
        };
        let everything = KeyRange::all();
        let sources = runs.iter().map(|run| RunCursor::new(Rc::clone(run), &everything, Direction::Forward)).collect();
        let mut merge = Merge::new(sources, Direction::Forward, tombstones_kept);
        while let Step::Entry = merge.step()? {
            let value = match merge.value() {
                Value::Inline(value) => Some(value),
                Value::Tombstone | Value::Large(_) => None,
            };
            let span = Span::append(&mut merged.arena, merge.key(), value);
            merged.spans.push(span);
        }
        Ok(merged)
    }

    /// Adds an entry at the end; `false`, and nothing is added, if its key is not greater than the last.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        let ascends = self.spans.last().is_none_or(|last| last.key(&self.arena) < key);
        if ascends {
            self.spans.push(Span::append(&mut self.arena, key, value));
        }
        ascends
    }

    /// All entries in order; `None` for a deletion.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.spans.iter().map(|span| (span.key(&self.arena), span.value(&self.arena)))
    }

    /// What the run says of `key`: nothing, that it is deleted (`Some(None)`), or its value.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let (found, value) = self.entry(self.lower_bound(key))?;
        (found == key).then_some(value)
    }

    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many bytes the run holds in memory.
    pub(super) fn bytes(&self) -> usize {
        self.arena.len() + self.spans.len() * size_of::<Span>()
    }

    fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.spans.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.spans.get(middle).is_some_and(|span| compare(span.key(&self.arena), key).is_lt()) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    #[inline(always)]
    fn entry(&self, position: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let span = self.spans.get(position)?;
        Some((span.key(&self.arena), span.value(&self.arena)))
    }
}

/// Refuses what could not be stored in blocks.
fn check_limits(batch: &Batch) -> Result<(), StorageError> {
    for operation in batch.operations() {
        let (key_bytes, value_bytes) = (operation.key.len(), operation.value.unwrap_or_default().len());
        if key_bytes > KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
            return Err(StorageError::Failed(format!(
                "an entry has a key of {key_bytes} and a value of {value_bytes} bytes; \
                 at most {KEY_BYTES_MAX} and {VALUE_BYTES_MAX} can be stored"
            )));
        }
    }
    Ok(())
}

/// The runs that are in memory, newest first. A clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Memtable {
    runs: Rc<[Rc<Run>]>,
}

impl Memtable {
    /// The memtable after one more commit. Where nothing older stands below the memtable, `tombstones_kept` is `false`
    /// and a deletion vanishes once it reaches the oldest run.
    pub(super) fn with(&self, run: Rc<Run>, tombstones_kept: bool) -> Result<Self, StorageError> {
        let mut bytes = run.bytes();
        let mut merging = Vec::from([run]);
        let mut older = self.runs.iter();
        for run in older.as_slice().iter().take_while(|run| {
            let similar = run.bytes() <= bytes.saturating_mul(2).min(MERGED_BYTES_MAX);
            bytes += run.bytes();
            similar
        }) {
            merging.push(Rc::clone(run));
            older.next();
        }
        let merged = match merging.as_slice() {
            [single] => Rc::clone(single),
            several => Rc::new(Run::merged(several, tombstones_kept || !older.as_slice().is_empty())?),
        };
        Ok(Self { runs: core::iter::once(merged).chain(older.cloned()).collect() })
    }

    /// The memtable after one more commit, not merged: for one that is about to be written to a segment.
    pub(super) fn stacked(&self, run: Rc<Run>) -> Self {
        Self { runs: core::iter::once(run).chain(self.runs.iter().cloned()).collect() }
    }

    /// What the memtable says of `key`, as [`Run::get`].
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.runs.iter().find_map(|run| run.get(key))
    }

    /// How many bytes the memtable holds.
    pub(super) fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.bytes()).sum()
    }

    /// A cursor for each run, newest first.
    pub(super) fn cursors(&self, range: &KeyRange, direction: Direction) -> impl Iterator<Item = RunCursor> {
        self.runs.iter().map(move |run| RunCursor::new(Rc::clone(run), range, direction))
    }
}

/// Walks a range of a run.
#[derive(Debug)]
pub(super) struct RunCursor {
    run: Rc<Run>,
    direction: Direction,
    /// The positions that are still to come.
    first: usize,
    end: usize,
    position: usize,
}

impl RunCursor {
    /// A cursor before the first entry of `range` in `direction`.
    pub(super) fn new(run: Rc<Run>, range: &KeyRange, direction: Direction) -> Self {
        let first = run.lower_bound(&range.start);
        let end = range.end.as_deref().map_or(run.spans.len(), |end| run.lower_bound(end));
        Self { run, direction, first, end, position: usize::MAX }
    }
}

impl Source for RunCursor {
    #[inline(always)]
    fn step(&mut self) -> Result<Step, StorageError> {
        if self.first >= self.end {
            self.position = usize::MAX;
            return Ok(Step::End);
        }
        match self.direction {
            Direction::Forward => {
                self.position = self.first;
                self.first += 1;
            }
            Direction::Backward => {
                self.end -= 1;
                self.position = self.end;
            }
        }
        Ok(Step::Entry)
    }

    async fn load(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    #[inline(always)]
    fn key(&self) -> &[u8] {
        match self.run.entry(self.position) {
            Some((key, _)) => key,
            None => &[],
        }
    }

    #[inline(always)]
    fn value(&self) -> Value<'_> {
        match self.run.entry(self.position) {
            Some((_, Some(value))) => Value::Inline(value),
            Some((_, None)) | None => Value::Tombstone,
        }
    }
}
