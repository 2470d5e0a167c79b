//! Counting the documents that match, from the index alone where it decides.

use super::Database;
use super::find::{FindStats, Gatherer, Part};
use super::read::read_head;
use super::state::State;
use super::text::winner_value;
use crate::document::{Head, keys};
use crate::query::{Plan, QueryError, Selector};
use crate::storage::{Cursor, Direction, KeyRange, Kv, Snapshot, StorageError};

/// What the ids of design documents start with. They are counted in the state, and not found by queries.
const DESIGN: &str = "_";

impl<K: Kv> Database<K> {
    /// How many documents match, and what it took. Documents are read only where their postings do not decide.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn count(&self, selector: &Selector) -> Result<(u64, FindStats), QueryError> {
        let snapshot = self.kv.snapshot()?;
        let plan = Plan::of(selector, &self.index.exclusions);
        let mut stats = FindStats::default();
        let Some(source) = &plan.source else {
            let count = match plan.is_exact {
                true => count_all(&snapshot).await?,
                false => count_by_scan(&snapshot, selector, &mut stats).await?,
            };
            return Ok((count, stats));
        };
        let (part, is_wider) = Part::find(&self.index, &snapshot, source).await?;
        let Some(part) = part else { return Ok((count_by_scan(&snapshot, selector, &mut stats).await?, stats)) };
        let is_exact = plan.is_exact && !is_wider;
        if let Some(count) = part.count(&snapshot).await?.filter(|_| is_exact) {
            return Ok((count, stats));
        }
        let mut gatherer = Gatherer { snapshot: &snapshot, stats: &mut stats, is_exhaustive: true };
        let Some(hits) = gatherer.gather(&part, self.postings_worth_reading()).await? else {
            return Ok((count_by_scan(&snapshot, selector, &mut stats).await?, stats));
        };
        let mut count = 0;
        for (id, is_decided) in hits.iter() {
            let matches = match is_decided && is_exact {
                true => true,
                false => match read_head(&snapshot, id).await? {
                    Some(head) => matches(&snapshot, id, &head, selector, &mut stats).await?,
                    None => false,
                },
            };
            count += u64::from(matches);
        }
        Ok((count, stats))
    }
}

/// Every document that a query can find.
async fn count_all<S: Snapshot>(snapshot: &S) -> Result<u64, StorageError> {
    let all = State::read_doc_count(snapshot).await?;
    let mut heads = snapshot.range(KeyRange::prefix(&keys::head(DESIGN)), Direction::Forward)?;
    let mut design = 0;
    while heads.advance().await? {
        design += u64::from(Head::decode(heads.value())?.alive().is_some());
    }
    Ok(all.saturating_sub(design))
}

async fn count_by_scan<S: Snapshot>(
    snapshot: &S,
    selector: &Selector,
    stats: &mut FindStats,
) -> Result<u64, StorageError> {
    let mut heads = snapshot.range(KeyRange::prefix(keys::heads()), Direction::Forward)?;
    let mut count = 0;
    while heads.advance().await? {
        let Some(id) = keys::head_id(heads.key()).filter(|id| !id.starts_with(DESIGN)) else { continue };
        let head = Head::decode(heads.value())?;
        count += u64::from(matches(snapshot, id, &head, selector, stats).await?);
    }
    Ok(count)
}

async fn matches<S: Snapshot>(
    snapshot: &S,
    id: &str,
    head: &Head,
    selector: &Selector,
    stats: &mut FindStats,
) -> Result<bool, StorageError> {
    stats.documents_read += 1;
    let document = winner_value(snapshot, id, head).await?;
    Ok(document.is_some_and(|document| selector.matches(&document)))
}
