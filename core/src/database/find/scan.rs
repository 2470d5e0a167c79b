//! Scans of the index: from a path of the planner to ranges of keys, and the postings there.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::index::{Cardinality, POSITIONS_MAX, PathId, PathIndex, Posting, Segment, keyspace};
use crate::json::TypeName;
use crate::path::{IndexPath, Step, position, type_of_encoded};
use crate::query::{PathScan, Source, ValueRange};
use crate::sorting::sort_by;
use crate::storage::{Cursor, Direction, KeyRange, Snapshot, StorageError, after_prefix};

/// A path whose names could each be a position as well has this many readings at most; with more it is not walked.
const READINGS_MAX: usize = 16;

/// How many parts of an intersection are looked at, those with the smallest bounds. With more, looking costs as much as
/// reading documents, and finds little more.
const PARTS_MAX: usize = 16;

/// A part of the index, found on a snapshot.
#[derive(Debug)]
pub struct Part {
    pub kind: Kind,
    /// How many postings it has at most.
    pub bound: u64,
}

/// What a part is made of; see [`Source`].
#[derive(Debug)]
pub enum Kind {
    Scan(Scan),
    All(Vec<Part>),
    Any(Vec<Part>),
    Ids(Vec<alloc::string::String>),
}

/// A [`PathScan`], found on a snapshot.
#[derive(Debug)]
pub struct Scan {
    pub scan: PathScan,
    /// The paths as which it can be read.
    readings: Vec<Reading>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    path: PathId,
    /// The posting only says that there are elements which are not posted by position.
    is_later: bool,
}

/// A range of keys of one path.
#[derive(Clone, Debug)]
pub struct ScanRange {
    pub keys: KeyRange,
    /// See [`Reading`].
    pub is_later: bool,
}

impl Part {
    /// Finds `source` on `snapshot`; `None` if it cannot be walked, and whether something was left out of it, so that it
    /// finds more than the source does.
    pub async fn find<S: Snapshot>(
        index: &PathIndex,
        snapshot: &S,
        source: &Source,
    ) -> Result<(Option<Self>, bool), StorageError> {
        Ok(match source {
            Source::Ids(ids) => (Some(Self { bound: ids.len() as u64, kind: Kind::Ids(ids.clone()) }), false),
            Source::Scan(scan) => match Scan::find(index, snapshot, scan.clone()).await? {
                Some(scan) => (Some(Self { bound: scan.bound(snapshot).await?, kind: Kind::Scan(scan) }), false),
                None => (None, true),
            },
            Source::All(sources) => {
                let (mut parts, mut is_wider) = (Vec::with_capacity(sources.len()), false);
                for source in sources {
                    let (part, wider) = Box::pin(Self::find(index, snapshot, source)).await?;
                    is_wider |= wider;
                    parts.extend(part);
                }
                sort_by(&mut parts, |left, right| left.bound.cmp(&right.bound));
                is_wider |= parts.len() > PARTS_MAX;
                parts.truncate(PARTS_MAX);
                let bound = parts.first().map(|part| part.bound);
                (bound.map(|bound| Self { kind: Kind::All(parts), bound }), is_wider)
            }
            Source::Any(sources) => {
                let (mut parts, mut is_wider) = (Vec::with_capacity(sources.len()), false);
                for source in sources {
                    let (part, wider) = Box::pin(Self::find(index, snapshot, source)).await?;
                    is_wider |= wider;
                    let Some(part) = part else { return Ok((None, true)) };
                    parts.push(part);
                }
                let bound = parts.iter().map(|part| part.bound).sum();
                (Some(Self { kind: Kind::Any(parts), bound }), is_wider)
            }
        })
    }
}

impl Part {
    /// Whether it is a scan of the postings of one value.
    pub fn is_of_one_value(&self) -> bool {
        matches!(&self.kind, Kind::Scan(scan) if scan.is_of_one_value())
    }

    /// How many documents the part has, if that is kept.
    pub async fn count<S: Snapshot>(&self, snapshot: &S) -> Result<Option<u64>, StorageError> {
        match &self.kind {
            Kind::Scan(scan) => scan.count(snapshot).await,
            _ => Ok(None),
        }
    }
}

impl Scan {
    /// Finds the paths that `scan` means; `None` if it cannot be walked.
    pub async fn find<S: Snapshot>(
        index: &PathIndex,
        snapshot: &S,
        scan: PathScan,
    ) -> Result<Option<Self>, StorageError> {
        Ok(readings(index, snapshot, &scan.path).await?.map(|readings| Self { scan, readings }))
    }

    /// Whether the postings stand in the order of their values.
    pub fn is_ordered(&self) -> bool {
        matches!(self.readings.as_slice(), [] | [Reading { is_later: false, .. }])
    }

    /// Whether the postings stand in the order of their documents, since they are those of one value.
    pub fn is_of_one_value(&self) -> bool {
        let is_one = |range: &ValueRange| {
            let end = range.end.as_deref().unwrap_or_default();
            end.strip_prefix(range.start.as_slice()) == Some(&[0xff]) && type_of_encoded(&range.start).is_some()
        };
        self.is_ordered() && matches!(self.scan.ranges.as_slice(), [range] if is_one(range))
    }

    /// The ranges of keys, ascending and apart if the scan is ordered.
    pub fn ranges(&self) -> Vec<ScanRange> {
        let everything = [ValueRange::all()];
        let mut ranges = Vec::new();
        for Reading { path, is_later } in &self.readings {
            let prefix = [[keyspace::POSTING].as_slice(), &path.to_be_bytes()].concat();
            for range in if *is_later { everything.as_slice() } else { &self.scan.ranges } {
                let start = [prefix.as_slice(), &range.start].concat();
                let end = match &range.end {
                    Some(end) => Some([prefix.as_slice(), end].concat()),
                    None => after_prefix(&prefix),
                };
                ranges.push(ScanRange { keys: KeyRange { start, end }, is_later: *is_later });
            }
        }
        ranges
    }

    /// Whether every value of the path has its posting here.
    pub fn is_complete(&self) -> bool {
        self.readings.iter().all(|reading| !reading.is_later)
    }

    /// How many postings there are, if the scan asks for types only.
    async fn count<S: Snapshot>(&self, snapshot: &S) -> Result<Option<u64>, StorageError> {
        let Some(types) = self.scan.types().filter(|_| self.is_complete() && !self.scan.path.has_elements()) else {
            return Ok(None);
        };
        let mut count = 0;
        for reading in &self.readings {
            let cardinality = Cardinality::read(snapshot, reading.path).await?;
            count += types.iter().map(|name| cardinality.of(*name)).sum::<u64>();
        }
        Ok(Some(count))
    }

    /// How many postings there are at most: those of the path whose types the ranges touch.
    pub async fn bound<S: Snapshot>(&self, snapshot: &S) -> Result<u64, StorageError> {
        let meets = |name: &TypeName| {
            let values = ValueRange::of_type(*name);
            self.scan.ranges.iter().any(|range| !range.intersect(&values).is_empty())
        };
        let mut bound = 0;
        for Reading { path, is_later } in &self.readings {
            let cardinality = Cardinality::read(snapshot, *path).await?;
            bound += match is_later {
                true => cardinality.total(),
                false => TypeName::ALL.iter().filter(|name| meets(name)).map(|name| cardinality.of(*name)).sum(),
            };
        }
        Ok(bound)
    }
}

/// The paths as which `path` can be read: a name of digits is a member of an object or a position of an array.
async fn readings<S: Snapshot>(
    index: &PathIndex,
    snapshot: &S,
    path: &IndexPath,
) -> Result<Option<Vec<Reading>>, StorageError> {
    let find = |parent: PathId, segment| index.dictionary.find(snapshot, parent, segment);
    let mut readings = vec![Reading { path: 0, is_later: false }];
    for step in path.steps() {
        let mut longer = Vec::new();
        for Reading { path: parent, is_later } in readings {
            // Below elements that are not posted by position nothing is.
            if is_later {
                longer.push(Reading { path: parent, is_later });
                continue;
            }
            let plain = |path| Reading { path, is_later: false };
            match step {
                Step::Elements => longer.extend(find(parent, Segment::Member).await?.map(plain)),
                Step::Name(name) => {
                    longer.extend(find(parent, Segment::Name(name)).await?.map(plain));
                    match position(name).map(|position| u32::try_from(position).unwrap_or(u32::MAX)) {
                        Some(position @ 0..POSITIONS_MAX) => {
                            longer.extend(find(parent, Segment::Position(position)).await?.map(plain));
                        }
                        Some(_) => {
                            let later = |path| Reading { path, is_later: true };
                            longer.extend(find(parent, Segment::Later).await?.map(later));
                        }
                        None => {}
                    }
                }
            }
        }
        if longer.len() > READINGS_MAX {
            return Ok(None);
        }
        readings = longer;
    }
    Ok(Some(readings))
}

/// Reads the postings of several ranges, one after the other.
pub struct PostingCursor<'snapshot, S: Snapshot> {
    snapshot: &'snapshot S,
    /// What is still to be walked, the next range last.
    ranges: Vec<ScanRange>,
    direction: Direction,
    cursor: Option<S::Cursor>,
    is_later: bool,
}

impl<'snapshot, S: Snapshot> PostingCursor<'snapshot, S> {
    pub fn new(snapshot: &'snapshot S, mut ranges: Vec<ScanRange>, direction: Direction) -> Self {
        if direction == Direction::Forward {
            ranges.reverse();
        }
        Self { snapshot, ranges, direction, cursor: None, is_later: false }
    }

    /// Moves to the next posting; `false` when there is none left.
    pub async fn advance(&mut self) -> Result<bool, StorageError> {
        loop {
            if let Some(cursor) = &mut self.cursor
                && cursor.advance().await?
            {
                return Ok(true);
            }
            match self.ranges.pop() {
                Some(range) => {
                    self.is_later = range.is_later;
                    self.cursor = Some(self.snapshot.range(range.keys, self.direction)?);
                }
                None => return Ok(false),
            }
        }
    }

    /// The posting that the cursor stands on.
    pub fn posting(&self) -> Result<Posting<'_>, StorageError> {
        let cursor = self.cursor.as_ref().ok_or(StorageError::Closed)?;
        Posting::read(cursor.key(), cursor.value())
    }

    /// The key after all postings of the same value, which was not cut.
    pub fn after_value(&self) -> Option<Vec<u8>> {
        let key = self.cursor.as_ref()?.key();
        let id = Posting::read(key, &[]).ok()?.id.len();
        Some([key.get(..key.len().checked_sub(id)?)?, &[0xff]].concat())
    }

    /// The posting that the cursor stands on, and what it says of `scan`'s conditions.
    pub fn judged(&self, scan: &PathScan) -> Result<(Posting<'_>, Option<bool>), StorageError> {
        let posting = self.posting()?;
        let verdict = if self.is_later { None } else { scan.judge(&posting) };
        Ok((posting, verdict))
    }
}
