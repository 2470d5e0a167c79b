//! Answering a query.
//!
//! The planner says which parts of the index hold what matches; here the shortest way through them is chosen:
//!
//! - the documents of the parts, gathered in the order of their ids (`gather`), smallest part first;
//! - for an answer with a limit in the order of a sort path, that path's postings in their order, left as soon as the answer
//!   is full, and asked whether they are among the gathered where these are known;
//! - for an answer with a limit in the order of ids, the postings of one value, which stand in that order;
//! - where the index does not narrow the search, or reading it would cost more, the documents themselves.
//!
//! A document is read only where its text belongs to the answer, or where postings do not decide that it matches.

mod explain;
mod finder;
mod gather;
mod hits;
mod id_range;
mod scan;

use alloc::string::String;
use alloc::vec::Vec;

use super::Database;
use crate::index::PathIndex;
use crate::query::{FindQuery, Plan, QueryError, ValueRange};
use crate::storage::{Kv, Snapshot, StorageError};
use finder::Finder;
use gather::{LOOKS, POSTINGS_A_DOCUMENT};
use hits::Hits;
use scan::Kind;

pub(super) use gather::Gatherer;
pub(super) use scan::{Part, PostingCursor, Scan, ScanRange};

/// A page of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct FindPage {
    /// The documents as JSON texts.
    pub docs: Vec<Vec<u8>>,
    /// Where the next page goes on; `nil` after an empty page.
    pub bookmark: String,
    /// What it took.
    pub stats: FindStats,
}

/// How an answer was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindStats {
    /// The way that was taken.
    pub way: Way,
    /// How many postings were read.
    pub postings_read: u64,
    /// How many documents were read.
    pub documents_read: u64,
}

/// A way to an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// All documents were looked at.
    #[default]
    Scan,
    /// The documents in a range of ids were looked at.
    IdRange,
    /// The documents that the plan's parts of the index name.
    Index,
    /// The postings of the first sort path, in their order.
    SortOrder,
    /// The postings of one value, in the order of ids.
    IdOrder,
}

impl<K: Kv> Database<K> {
    /// Answers a query.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn find(&self, query: &FindQuery) -> Result<FindPage, QueryError> {
        let snapshot = self.kv.snapshot()?;
        self.find_in(&self.index, &snapshot, query).await
    }

    /// Answers a query as of `snapshot`, whose index is `index`.
    pub(super) async fn find_in(
        &self,
        index: &PathIndex,
        snapshot: &K::Snapshot,
        query: &FindQuery,
    ) -> Result<FindPage, QueryError> {
        let plan = Plan::of(&query.selector, &index.exclusions);
        let mut finder = Finder::new(snapshot, query, plan.is_exact);
        self.take_the_shortest_way(index, snapshot, query, &plan, &mut finder).await?;
        Ok(finder.finish())
    }

    async fn take_the_shortest_way(
        &self,
        index: &PathIndex,
        snapshot: &K::Snapshot,
        query: &FindQuery,
        plan: &Plan,
        finder: &mut Finder<'_, K::Snapshot>,
    ) -> Result<(), StorageError> {
        let part = match &plan.source {
            Some(source) => {
                let (part, is_wider) = Part::find(index, snapshot, source).await?;
                finder.is_exact &= !is_wider;
                part
            }
            None => None,
        };
        let sort = sort_scan(index, snapshot, query, plan).await?;
        let in_order = sort.as_ref().filter(|(scan, _)| query.limit.is_some() && scan.is_ordered());
        if let Some(part) = &part {
            match (&part.kind, in_order) {
                (Kind::Scan(scan), _) if query.limit.is_some() && finder.by_id && scan.is_of_one_value() => {
                    return finder.walk_in_id_order(scan).await;
                }
                // The postings in the order of the sort are all that the plan asks for.
                (Kind::Scan(whole), Some((scan, _))) if whole.scan.path == scan.scan.path => {
                    return finder.walk_in_order(scan, None, true).await;
                }
                _ => {}
            }
            if let Some(hits) = gather(snapshot, finder, part, LOOKS[0]).await? {
                return finder.answer_from(hits).await;
            }
        }
        if let Some((scan, postings)) = in_order {
            let hits = match &part {
                Some(part) => gather(snapshot, finder, part, LOOKS[2]).await?,
                None => None,
            };
            return match hits {
                Some(hits) if is_long_walk(*postings, &hits, finder.enough) => finder.answer_from(hits).await,
                hits => finder.walk_in_order(scan, hits.as_ref(), part.is_none()).await,
            };
        }
        // Documents without the sort path are left out, so that its postings name all that can be in the answer.
        let sort = sort.filter(|(_, postings)| *postings < self.document_count() / 2);
        let part = part.or(sort.map(|(scan, bound)| {
            finder.is_exact = false;
            Part { kind: Kind::Scan(scan), bound }
        }));
        match part {
            Some(part) => match gather(snapshot, finder, &part, self.postings_worth_reading()).await? {
                Some(hits) => finder.answer_from(hits).await,
                None => {
                    finder.is_exact = false;
                    finder.scan().await
                }
            },
            None => finder.scan().await,
        }
    }

    /// How many postings cost as much as looking at every document.
    pub(super) fn postings_worth_reading(&self) -> usize {
        let documents = usize::try_from(self.document_count()).unwrap_or(usize::MAX);
        documents.saturating_mul(POSTINGS_A_DOCUMENT).max(LOOKS[2])
    }

    fn document_count(&self) -> u64 {
        self.state.borrow().doc_count
    }
}

/// The postings of the first sort path that the answer can hold, and how many there are, if the index has them.
async fn sort_scan<S: Snapshot>(
    index: &PathIndex,
    snapshot: &S,
    query: &FindQuery,
    plan: &Plan,
) -> Result<Option<(Scan, u64)>, StorageError> {
    let Some(field) = query.sort.first() else { return Ok(None) };
    let Some(mut scan) = plan.scan_of(&field.path, &index.exclusions) else { return Ok(None) };
    if let Some(value) = query.bookmark.as_ref().and_then(|place| place.first()) {
        scan.ranges = ValueRange::intersection(&scan.ranges, &[ValueRange::from(value, field.direction)]);
    }
    let Some(scan) = Scan::find(index, snapshot, scan).await? else { return Ok(None) };
    let bound = scan.bound(snapshot).await?;
    Ok(Some((scan, bound)))
}

/// The documents of a part; `None` if more than `enough` postings would have to be read.
async fn gather<S: Snapshot>(
    snapshot: &S,
    finder: &mut Finder<'_, S>,
    part: &Part,
    enough: usize,
) -> Result<Option<Hits>, StorageError> {
    Gatherer { snapshot, stats: &mut finder.stats, is_exhaustive: false }.gather(part, enough).await
}

/// Whether a walk over `postings` that ends once `enough` of `hits` were met is longer than reading all of `hits`.
fn is_long_walk(postings: u64, hits: &Hits, enough: usize) -> bool {
    let met = hits.len().max(1) as u64;
    let length = (enough as u64).saturating_mul(postings) / met;
    length.min(postings) > met.saturating_mul(POSTINGS_A_DOCUMENT as u64)
}
