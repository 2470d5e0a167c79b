//! What a transaction has read, and whether it has changed since.
//!
//! A document that was read by its id has changed when it has a row in the feed, whatever the row says. A query would
//! be answered otherwise when a document that has changed belonged to its answer, or does now. Where the answer was cut
//! by a limit, only what stands up to its last document counts: what comes behind that was not seen. So it is the
//! predicate itself that is validated, not ranges of an index that lie around it, and the cost is that of the changes.

use alloc::string::String;
use alloc::vec::Vec;

use crate::database::FindPage;
use crate::database::changes::read_change;
use crate::database::read::read_head;
use crate::database::text::winner_value;
use crate::document::{Head, keys};
use crate::json::Value;
use crate::query::FindQuery;
use crate::sorting::in_order;
use crate::storage::{Cursor, Direction, KeyRange, Snapshot, StorageError};

/// How many of the documents that have changed are named.
const NAMED_MAX: usize = 20;

/// What was read.
#[derive(Default)]
pub(super) struct Reads {
    /// By id, whether or not there was such a document; those that were written among them. An id may stand here again.
    documents: Vec<String>,
    windows: Vec<Window>,
}

/// The part of a query's order that was seen.
struct Window {
    query: FindQuery,
    /// The place of the last document, if that is where the answer was cut.
    end: Option<Vec<Value>>,
}

impl Reads {
    /// The document called `id` was read.
    pub(super) fn add_document(&mut self, id: &str) {
        self.documents.push(id.into());
    }

    /// A query was answered by `page`.
    pub(super) fn add_query(&mut self, query: FindQuery, page: &FindPage) {
        if query.limit == Some(0) {
            return;
        }
        let is_cut = query.limit.is_some_and(|limit| page.docs.len() as u64 >= limit);
        let end = if is_cut { query.place_at(&page.bookmark) } else { None };
        self.windows.push(Window { query, end });
    }

    /// Which documents have changed in a way that changes what was read: `before` is the snapshot that it was read from,
    /// all changes after `seq` in `now` are looked at. No more than twenty are named.
    pub(super) async fn changed<S: Snapshot>(
        &self,
        before: &S,
        seq: u64,
        now: &S,
    ) -> Result<Vec<String>, StorageError> {
        let range = KeyRange { start: keys::change(seq.saturating_add(1)), end: KeyRange::prefix(keys::changes()).end };
        let documents = in_order(&self.documents);
        let mut rows = now.range(range, Direction::Forward)?;
        let mut changed = Vec::new();
        while changed.len() < NAMED_MAX && rows.advance().await? {
            let (_, id, head) = read_change(rows.key(), rows.value())?;
            if documents.binary_search(&id).is_ok() || self.is_seen(before, now, id, &head).await? {
                changed.push(id.into());
            }
        }
        Ok(changed)
    }

    /// Whether a query saw the document as it was before, or would see it as it is now.
    async fn is_seen<S: Snapshot>(&self, before: &S, now: &S, id: &str, head: &Head) -> Result<bool, StorageError> {
        // Queries do not find design documents.
        if self.windows.is_empty() || id.starts_with('_') {
            return Ok(false);
        }
        let head_before = read_head(before, id).await?;
        let (was, is) = (head_before.as_ref().and_then(Head::alive), head.alive());
        if was.map(|leaf| &leaf.rev) == is.map(|leaf| &leaf.rev) {
            return Ok(false);
        }
        for (snapshot, head) in [(before, head_before.as_ref()), (now, Some(head))] {
            if let Some(head) = head
                && let Some(document) = winner_value(snapshot, id, head).await?
                && self.windows.iter().any(|window| window.shows(&document))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Window {
    fn shows(&self, document: &Value) -> bool {
        let Self { query, end } = self;
        if !query.selector.matches(document) {
            return false;
        }
        query.place_of(document).is_some_and(|place| {
            query.bookmark.as_ref().is_none_or(|start| query.compare(&place, start).is_gt())
                && end.as_ref().is_none_or(|end| query.compare(&place, end).is_le())
        })
    }
}
