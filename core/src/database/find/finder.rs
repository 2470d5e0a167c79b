//! Taking documents into an answer: matching where postings did not decide, ordering, cutting to the window.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::gather::LOOKS;
use super::hits::Hits;
use super::id_range::IdRange;
use super::scan::{PostingCursor, Scan, ScanRange};
use super::{FindPage, FindStats, Way};
use crate::database::error::damaged_body;
use crate::database::text::{document_text, document_value};
use crate::document::{Head, Leaf, keys};
use crate::json::{self, Object, Value};
use crate::path::Path;
use crate::query::{FindQuery, project};
use crate::revision::Rev;
use crate::sorting::sort_by;
use crate::storage::{Cursor, Direction, Snapshot, StorageError};

/// How many documents are read at once.
const BATCH: usize = 128;

/// A document that belongs to the answer: its place in the order, and its text.
struct Found {
    place: Vec<Value>,
    text: Vec<u8>,
}

/// One query on its way.
pub struct Finder<'query, S> {
    snapshot: &'query S,
    query: &'query FindQuery,
    pub stats: FindStats,
    /// Whether a document matches if the postings by which it was found were decided.
    pub is_exact: bool,
    /// How many documents of the answer, skipped ones included, are enough.
    pub enough: usize,
    /// Whether the order is that of ids alone.
    pub by_id: bool,
    found: Vec<Found>,
}

impl<'query, S: Snapshot> Finder<'query, S> {
    pub fn new(snapshot: &'query S, query: &'query FindQuery, is_exact: bool) -> Self {
        let enough = query.limit.map_or(u64::MAX, |limit| limit.saturating_add(query.skip));
        Self {
            snapshot,
            query,
            stats: FindStats::default(),
            is_exact,
            enough: usize::try_from(enough).unwrap_or(usize::MAX),
            by_id: query.sort.iter().all(|field| field.path.is_member("_id")),
            found: Vec::new(),
        }
    }

    /// Answers from documents that the index names.
    pub async fn answer_from(&mut self, mut hits: Hits) -> Result<(), StorageError> {
        self.stats.way = Way::Index;
        let ids = self.id_range();
        hits.retain(|id| ids.contains(id));
        let is_backward = self.query.direction() == Direction::Backward;
        let (mut forward, mut backward) = (hits.iter(), hits.iter().rev());
        while !(self.by_id && self.is_full()) {
            let mut batch = Hits::default();
            while batch.len() < self.batch_size()
                && let Some((id, is_decided)) = if is_backward { backward.next() } else { forward.next() }
            {
                batch.push(id, is_decided && self.is_exact);
            }
            if batch.len() == 0 {
                break;
            }
            self.take(&batch).await?;
        }
        Ok(())
    }

    /// How many documents may be read at once: in the order of ids no more than can be in the answer.
    fn batch_size(&self) -> usize {
        if self.by_id { BATCH.min(self.enough.saturating_sub(self.found.len())) } else { BATCH }
    }

    /// Walks the postings of one value, which stand in the order of ids.
    pub async fn walk_in_id_order(&mut self, scan: &Scan) -> Result<(), StorageError> {
        self.stats.way = Way::IdOrder;
        let ids = self.id_range();
        let mut ranges = scan.ranges();
        for ScanRange { keys, .. } in &mut ranges {
            // All keys of the range start with the value, and the ids follow.
            *keys = ids.keys(&keys.start, keys.end.take());
        }
        let mut postings = PostingCursor::new(self.snapshot, ranges, self.query.direction());
        while !self.is_full() {
            let mut batch = Hits::default();
            while batch.len() < self.batch_size() && postings.advance().await? {
                self.stats.postings_read += 1;
                let (posting, verdict) = postings.judged(&scan.scan)?;
                if verdict != Some(false) {
                    batch.push(posting.id, verdict == Some(true) && self.is_exact);
                }
            }
            if batch.len() == 0 {
                break;
            }
            self.take(&batch).await?;
        }
        Ok(())
    }

    /// Looks at every document whose id can match.
    pub async fn scan(&mut self) -> Result<(), StorageError> {
        self.stats.way = if IdRange::of(&self.query.selector).is_everything() { Way::Scan } else { Way::IdRange };
        let direction = if self.by_id { self.query.direction() } else { Direction::Forward };
        let mut heads = self.snapshot.range(self.id_range().heads(), direction)?;
        let mut is_over = false;
        while !(is_over || self.by_id && self.is_full()) {
            let (mut ids, mut read) = (Vec::new(), Vec::new());
            while !is_over && ids.len() < self.batch_size() {
                is_over = !heads.advance().await?;
                if let Some(id) = keys::head_id(heads.key()).filter(|id| !id.starts_with('_')) {
                    ids.push(String::from(id));
                    read.push(Head::decode(heads.value())?);
                }
            }
            let is_exact = self.is_exact;
            self.take_heads(ids.iter().zip(read).map(|(id, head)| (id.as_str(), head, is_exact)).collect()).await?;
        }
        Ok(())
    }

    /// Walks postings in the order of the sort; only those of `hits`, where these are known. Without them the postings
    /// themselves decide, if `is_decisive`. Postings whose keys cannot tell their order, since their values were cut or more
    /// paths are sorted by, are gathered and ordered before the next value.
    pub async fn walk_in_order(
        &mut self,
        scan: &Scan,
        hits: Option<&Hits>,
        is_decisive: bool,
    ) -> Result<(), StorageError> {
        self.stats.way = Way::SortOrder;
        let mut postings = PostingCursor::new(self.snapshot, scan.ranges(), self.query.direction());
        let mut value: Vec<u8> = Vec::new();
        let mut ordered = 0;
        let (mut batch, mut was_in_order) = (Hits::default(), false);
        while postings.advance().await? {
            self.stats.postings_read += 1;
            let (posting, verdict) = postings.judged(&scan.scan)?;
            let in_order = self.query.sort.len() == 1 && posting.is_whole;
            if posting.value != value {
                if !(in_order && was_in_order) {
                    self.take(&core::mem::take(&mut batch)).await?;
                    self.order(ordered);
                    ordered = self.found.len();
                }
                value.clear();
                value.extend_from_slice(posting.value);
            }
            was_in_order = in_order;
            let settled = if in_order { self.found.len() } else { ordered };
            if settled >= self.enough {
                break;
            }
            let decision = match hits {
                Some(hits) => hits.decision(posting.id),
                None => Some(is_decisive),
            };
            if let Some(is_decided) = decision.filter(|_| verdict != Some(false)) {
                batch.push(posting.id, is_decided && verdict == Some(true) && self.is_exact);
            }
            if batch.len() >= BATCH || (in_order && self.found.len() + batch.len() >= self.enough) {
                self.take(&core::mem::take(&mut batch)).await?;
            }
        }
        self.take(&batch).await?;
        self.order(ordered);
        Ok(())
    }

    /// Orders what was found from `first` on.
    fn order(&mut self, first: usize) {
        let query = self.query;
        let tail = self.found.get_mut(first..).unwrap_or_default();
        sort_by(tail, |left, right| query.compare(&left.place, &right.place));
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.enough
    }

    /// The ids that can still come; where the order is another, a bookmark says nothing of them.
    fn id_range(&self) -> IdRange {
        let mut range = IdRange::of(&self.query.selector);
        if let Some(id) = self.query.bookmark.as_ref().filter(|_| self.by_id).and_then(|place| place.last()?.as_str()) {
            range.go_on_after(id, self.query.direction());
        }
        range
    }

    /// Takes the documents into the answer that belong there; of each the batch says whether it is decided that it matches.
    /// Their heads are read at once, and then their bodies.
    async fn take(&mut self, batch: &Hits) -> Result<(), StorageError> {
        let keys: Vec<Vec<u8>> = batch.iter().map(|(id, _)| keys::head(id)).collect();
        let records = self.snapshot.get_many(&keys).await?;
        let mut candidates = Vec::with_capacity(keys.len());
        for ((id, is_decided), record) in batch.iter().zip(records) {
            let missing = || StorageError::Corrupt(format!("the index: it names {id:?}, which does not exist"));
            candidates.push((id, Head::decode(&record.ok_or_else(missing)?)?, is_decided));
        }
        self.take_heads(candidates).await
    }

    async fn take_heads(&mut self, candidates: Vec<(&str, Head, bool)>) -> Result<(), StorageError> {
        let mut waiting = Vec::with_capacity(candidates.len());
        for (id, head, is_decided) in candidates {
            let Some(winner) = head.leaves.into_iter().next().filter(Leaf::is_alive) else { continue };
            if is_decided && self.query.sort.is_empty() && self.asks_for_head_only() {
                let document = document_value(id, &winner.rev, false, Object::new());
                let text = projected(&document, self.query.fields.as_deref().unwrap_or_default());
                self.found.push(Found { place: vec![id.into()], text });
            } else {
                waiting.push((id, winner.rev, is_decided));
            }
        }
        let keys: Vec<Vec<u8>> = waiting.iter().map(|(id, rev, _)| keys::body(id, rev)).collect();
        for ((id, rev, is_decided), body) in waiting.into_iter().zip(self.snapshot.get_many(&keys).await?) {
            let body = body.ok_or_else(|| StorageError::Corrupt(format!("the body of {id:?} is not there")))?;
            self.stats.documents_read += 1;
            if is_decided && self.query.fields.is_none() && self.query.sort.is_empty() {
                let text = document_text(id, &rev.to_string(), false, &body, &[]);
                self.found.push(Found { place: vec![id.into()], text });
            } else {
                self.take_body(id, &rev, &body, is_decided)?;
            }
        }
        Ok(())
    }

    fn take_body(&mut self, id: &str, rev: &Rev, body: &[u8], is_decided: bool) -> Result<(), StorageError> {
        let members = match json::parse(body).map_err(|error| damaged_body(id, &error))? {
            Value::Object(members) => members,
            _ => Object::new(),
        };
        let document = document_value(id, rev, false, members);
        if !is_decided && !self.query.selector.matches(&document) {
            return Ok(());
        }
        let Some(place) = self.query.place_of(&document) else { return Ok(()) };
        if self.query.bookmark.as_ref().is_some_and(|last| self.query.compare(&place, last).is_le()) {
            return Ok(());
        }
        let text = match &self.query.fields {
            None => document_text(id, &rev.to_string(), false, body, &[]),
            Some(fields) => projected(&document, fields),
        };
        self.found.push(Found { place, text });
        // A sorted answer with a limit keeps no more than twice what it needs.
        let is_gathered = !self.by_id && self.stats.way != Way::SortOrder;
        if is_gathered && self.found.len() >= self.enough.saturating_mul(2).max(LOOKS[0]) {
            self.order(0);
            self.found.truncate(self.enough);
        }
        Ok(())
    }

    /// Whether the answer shows nothing of a document but what its head tells.
    fn asks_for_head_only(&self) -> bool {
        let is_head = |path: &Path| path.is_member("_id") || path.is_member("_rev");
        self.query.fields.as_ref().is_some_and(|fields| fields.iter().all(is_head))
    }

    /// The page.
    pub fn finish(mut self) -> FindPage {
        if self.stats.way != Way::SortOrder {
            self.order(0);
        }
        self.found.truncate(self.enough);
        let skip = usize::try_from(self.query.skip).unwrap_or(usize::MAX).min(self.found.len());
        self.found.drain(..skip);
        let bookmark = self.found.last().map_or_else(|| String::from("nil"), |last| bookmark(&last.place));
        FindPage { docs: self.found.into_iter().map(|found| found.text).collect(), bookmark, stats: self.stats }
    }
}

fn projected(document: &Value, fields: &[Path]) -> Vec<u8> {
    let mut text = Vec::new();
    json::write(&project(document, fields), &mut text);
    text
}

fn bookmark(place: &[Value]) -> String {
    let mut out = Vec::new();
    json::write(&Value::Array(place.to_vec()), &mut out);
    String::from_utf8(out).unwrap_or_default()
}
