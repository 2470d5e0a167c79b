//! Gathering the documents of a part of the index, the smallest part of an intersection first.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::FindStats;
use super::hits::Hits;
use super::scan::{Kind, Part, PostingCursor, Scan};
use crate::document::{Head, keys};
use crate::index::Posting;
use crate::storage::{Direction, Snapshot, StorageError};

/// How many postings of the parts of an intersection are looked at, again and again, until one has no more than that.
pub const LOOKS: [usize; 3] = [256, 2048, 16384];

/// Reading a document costs as much as about this many postings.
pub const POSTINGS_A_DOCUMENT: usize = 16;

/// Gathers on one snapshot.
pub struct Gatherer<'find, S> {
    pub snapshot: &'find S,
    pub stats: &'find mut FindStats,
    /// Every part of an intersection is gathered, as no document is to be read.
    pub is_exhaustive: bool,
}

impl<S: Snapshot> Gatherer<'_, S> {
    /// The documents of `part`, in the order of their ids; `None` if more than `enough` postings would have to be read of
    /// one of its scans, or of all parts of a union.
    pub async fn gather(&mut self, part: &Part, enough: usize) -> Result<Option<Hits>, StorageError> {
        match &part.kind {
            Kind::Scan(scan) => self.scan(scan, enough).await,
            Kind::Ids(ids) => self.ids(ids).await.map(Some),
            Kind::Any(parts) => {
                let mut all = Hits::default();
                let before = self.stats.postings_read;
                for part in parts {
                    let read = usize::try_from(self.stats.postings_read - before).unwrap_or(usize::MAX);
                    let left = enough.saturating_sub(read);
                    match Box::pin(self.gather(part, left)).await? {
                        Some(hits) => all.extend(&hits),
                        None => return Ok(None),
                    }
                }
                all.sort();
                Ok(Some(all))
            }
            Kind::All(parts) => self.all(parts, enough).await,
        }
    }

    async fn scan(&mut self, scan: &Scan, enough: usize) -> Result<Option<Hits>, StorageError> {
        let mut cursor = PostingCursor::new(self.snapshot, scan.ranges(), Direction::Forward);
        let mut hits = Hits::default();
        let mut read = 0;
        while cursor.advance().await? {
            read += 1;
            self.stats.postings_read += 1;
            if read > enough {
                return Ok(None);
            }
            let (posting, verdict) = cursor.judged(&scan.scan)?;
            if verdict != Some(false) {
                hits.push(posting.id, verdict == Some(true));
            }
        }
        hits.sort();
        Ok(Some(hits))
    }

    async fn ids(&mut self, ids: &[alloc::string::String]) -> Result<Hits, StorageError> {
        let mut hits = Hits::default();
        for id in ids.iter().filter(|id| !id.starts_with('_')) {
            if let Some(record) = self.snapshot.get(&keys::head(id)).await?
                && Head::decode(&record)?.alive().is_some()
            {
                hits.push(id, true);
            }
        }
        hits.sort();
        Ok(hits)
    }

    /// The smallest part, found by looks, and of the others what costs less than reading the documents in vain.
    async fn all(&mut self, parts: &[Part], enough: usize) -> Result<Option<Hits>, StorageError> {
        let mut gathered: Vec<Option<Hits>> = parts.iter().map(|_| None).collect();
        let mut smallest = None;
        for look in LOOKS.into_iter().filter(|look| *look < enough) {
            let mut fewest = look;
            for (place, (part, slot)) in parts.iter().zip(&mut gathered).enumerate() {
                *slot = Box::pin(self.gather(part, fewest)).await?;
                if let Some(hits) = slot {
                    fewest = fewest.min(hits.len());
                    smallest = Some(place);
                }
            }
            if smallest.is_some() {
                break;
            }
        }
        if smallest.is_none()
            && let (Some(part), Some(slot)) = (parts.first(), gathered.first_mut())
        {
            *slot = Box::pin(self.gather(part, enough)).await?;
            smallest = Some(0);
        }
        let Some(mut hits) = smallest.and_then(|place| gathered.get_mut(place)?.take()) else { return Ok(None) };
        for (_, (part, slot)) in parts.iter().zip(gathered).enumerate().filter(|(place, _)| Some(*place) != smallest) {
            if hits.len() == 0 {
                break;
            }
            let enough = if self.is_exhaustive { usize::MAX } else { hits.len() * POSTINGS_A_DOCUMENT };
            let other = match slot {
                Some(other) => Some(other),
                None if part.bound <= enough as u64 || !part.is_of_one_value() => {
                    Box::pin(self.gather(part, enough)).await?
                }
                None => None,
            };
            match (other, &part.kind) {
                (Some(other), _) => hits.intersect(&other),
                (None, Kind::Scan(scan)) if part.is_of_one_value() => hits = self.probe(scan, &hits).await?,
                (None, _) => hits.doubt(),
            }
        }
        Ok(Some(hits))
    }

    /// Those of `hits` that have a posting in the scan of one value, each looked up.
    async fn probe(&mut self, scan: &Scan, hits: &Hits) -> Result<Hits, StorageError> {
        let mut found = Hits::default();
        let Some(value) = scan.ranges().pop().map(|range| range.keys.start) else { return Ok(found) };
        for (id, is_decided) in hits.iter() {
            self.stats.postings_read += 1;
            let key = [value.as_slice(), id.as_bytes()].concat();
            if let Some(record) = self.snapshot.get(&key).await? {
                let verdict = scan.scan.judge(&Posting::read(&key, &record)?);
                if verdict != Some(false) {
                    found.push(id, is_decided && verdict == Some(true));
                }
            }
        }
        Ok(found)
    }
}
