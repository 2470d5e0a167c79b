//! Answering a query.
//!
//! The planner names candidates; a look at each, as short as can be, tells which is the smallest. What it holds is taken in
//! the order of ids, or sorted; where it is more than the shortest look and the answer is limited, the index on the first
//! sort path is walked instead and left as soon as the answer is full. Without a candidate the documents themselves are scanned.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::Database;
use super::error::damaged_body;
use super::read::read_head;
use super::text::{document_text, document_value};
use super::walk::{PostingCursor, Walk, id_range};
use crate::document::{Head, keys};
use crate::json::{self, Object, Value};
use crate::path::Path;
use crate::query::{Candidate, FindQuery, QueryError, ValueRange, candidate_at, candidates, project};
use crate::revision::Rev;
use crate::storage::{Cursor, Direction, KeyRange, Kv, Snapshot, StorageError};

/// How many postings of each candidate are looked at, again and again, until one holds no more than that.
const LOOKS: [usize; 3] = [256, 2048, 16384];

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
    /// The path whose postings were walked; `None` if the documents were scanned by id.
    pub path: Option<String>,
    /// Whether the walk was in the order of the sort.
    pub in_sort_order: bool,
    /// How many postings were read.
    pub postings_read: u64,
    /// How many documents were read.
    pub documents_read: u64,
}

impl<K: Kv> Database<K> {
    /// Answers a query.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn find(&self, query: &FindQuery) -> Result<FindPage, QueryError> {
        let snapshot = self.kv.snapshot()?;
        let mut finder = Finder::new(&snapshot, query);
        let mut walks = Vec::new();
        for candidate in all_candidates(query) {
            walks.extend(Walk::resolve(&self.index.dictionary, &snapshot, candidate).await?);
        }
        let mut smallest = finder.smallest_of(&walks, LOOKS[0]).await?;
        if smallest.is_none()
            && query.limit.is_some()
            && !query.sort.is_empty()
            && let Some(walk) = self.sort_walk(&snapshot, query).await?
        {
            finder.walk_in_order(&walk).await?;
            return Ok(finder.finish());
        }
        for look in LOOKS.into_iter().skip(1) {
            if smallest.is_none() && walks.len() > 1 {
                smallest = finder.smallest_of(&walks, look).await?;
            }
        }
        match (smallest, walks.first()) {
            (Some(place), _) => finder.answer_from(walks.get(place)).await?,
            (None, first) => finder.answer_from(first).await?,
        }
        Ok(finder.finish())
    }

    /// How [`find`](Self::find) would answer a query, as JSON: it is answered, and told how.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn explain(&self, query: &FindQuery) -> Result<Vec<u8>, QueryError> {
        let page = self.find(query).await?;
        let mut plan = Object::new();
        let stats = &page.stats;
        plan.insert("plan", if stats.path.is_some() { "index" } else { "scan" }.into());
        plan.insert("path", stats.path.as_deref().map_or(Value::Null, Value::from));
        plan.insert("in_sort_order", stats.in_sort_order.into());
        for (name, count) in [
            ("postings_read", stats.postings_read),
            ("documents_read", stats.documents_read),
            ("results_returned", page.docs.len() as u64),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            plan.insert(name, Value::Number(count as f64));
        }
        let mut out = Vec::new();
        json::write_object(&plan, &mut out);
        Ok(out)
    }

    /// The walk in the order of the query's first sort path, if the index has that order.
    async fn sort_walk(&self, snapshot: &K::Snapshot, query: &FindQuery) -> Result<Option<Walk>, StorageError> {
        match query.sort.first() {
            Some(field) if is_posted(&field.path) => {
                let mut candidate = candidate_at(&query.selector, &field.path);
                if let Some(value) = query.bookmark.as_ref().and_then(|place| place.first()) {
                    let rest = ValueRange::from(value, field.direction);
                    candidate.ranges.iter_mut().for_each(|range| *range = range.intersect(&rest));
                    candidate.ranges.retain(|range| !range.is_empty());
                }
                let walk = Walk::resolve(&self.index.dictionary, snapshot, candidate).await?;
                Ok(walk.filter(|walk| walk.is_ordered))
            }
            _ => Ok(None),
        }
    }
}

/// The candidates of the selector, and the paths of the sort, for documents without one of these are left out.
fn all_candidates(query: &FindQuery) -> Vec<Candidate> {
    let mut all = candidates(&query.selector);
    for field in &query.sort {
        if !all.iter().any(|candidate| candidate.path == field.path) {
            all.push(candidate_at(&query.selector, &field.path));
        }
    }
    all.retain(|candidate| is_posted(&candidate.path));
    all
}

/// What stands at the top under a name with an underscore is not posted; `_id` narrows the scan instead.
fn is_posted(path: &Path) -> bool {
    !path.names().first().is_some_and(|name| name.starts_with('_'))
}

/// A document that belongs to the answer: its place in the order, and its text.
struct Found {
    place: Vec<Value>,
    text: Vec<u8>,
}

/// One query on its way.
struct Finder<'query, S> {
    snapshot: &'query S,
    query: &'query FindQuery,
    stats: FindStats,
    /// How many documents of the answer, skipped ones included, are enough.
    enough: usize,
    /// Whether the order is that of ids alone.
    by_id: bool,
    found: Vec<Found>,
}

impl<'query, S: Snapshot> Finder<'query, S> {
    fn new(snapshot: &'query S, query: &'query FindQuery) -> Self {
        let enough = query.limit.map_or(u64::MAX, |limit| limit.saturating_add(query.skip));
        Self {
            snapshot,
            query,
            stats: FindStats::default(),
            enough: usize::try_from(enough).unwrap_or(usize::MAX),
            by_id: query.sort.iter().all(|field| field.path.is_member("_id")),
            found: Vec::new(),
        }
    }

    /// The place of the walk with the fewest postings, if one has fewer than `look`.
    async fn smallest_of(&mut self, walks: &[Walk], look: usize) -> Result<Option<usize>, StorageError> {
        let mut smallest = None;
        let mut fewest = look;
        for (place, walk) in walks.iter().enumerate() {
            let (postings, complete) = walk.postings(self.snapshot, Direction::Forward, fewest).await?;
            self.stats.postings_read += postings.len() as u64;
            if complete {
                fewest = postings.len();
                smallest = Some(place);
            }
        }
        Ok(smallest)
    }

    /// Answers from a walk, or by scanning.
    async fn answer_from(&mut self, walk: Option<&Walk>) -> Result<(), StorageError> {
        let Some(walk) = walk else { return self.scan().await };
        let (mut postings, _) = walk.postings(self.snapshot, Direction::Forward, usize::MAX).await?;
        self.stats.postings_read += postings.len() as u64;
        self.stats.path = Some(walk.path.to_string());
        let ids = id_range(&self.query.selector);
        postings.retain(|posting| ids.contains(&keys::head(&posting.id)));
        postings.sort_unstable_by(|left, right| left.id.cmp(&right.id));
        if self.query.direction() == Direction::Backward {
            postings.reverse();
        }
        for posting in postings {
            if self.by_id && self.is_full() {
                break;
            }
            self.take(&posting.id, walk.decides && posting.whole).await?;
        }
        Ok(())
    }

    /// Looks at every document whose id can match.
    async fn scan(&mut self) -> Result<(), StorageError> {
        let KeyRange { mut start, mut end } = id_range(&self.query.selector);
        let direction = if self.by_id { self.query.direction() } else { Direction::Forward };
        if let Some(id) = self.query.bookmark.as_ref().filter(|_| self.by_id).and_then(|place| place.last()?.as_str()) {
            match direction {
                Direction::Forward => start = start.max(keys::head(id)),
                Direction::Backward => end = end.map(|end| end.min([keys::head(id), vec![0]].concat())),
            }
        }
        end = end.map(|end| end.max(start.clone()));
        let mut heads = self.snapshot.range(KeyRange { start, end }, direction)?;
        while !(self.by_id && self.is_full()) && heads.advance().await? {
            let Some(id) = keys::head_id(heads.key()).filter(|id| !id.starts_with('_')) else { continue };
            let head = Head::decode(heads.value())?;
            self.take_head(id, &head, false).await?;
        }
        Ok(())
    }

    /// Walks postings in the order of the sort. Postings whose keys cannot tell their order, since their values were cut or
    /// more paths are sorted by, are gathered and ordered before the next value.
    async fn walk_in_order(&mut self, walk: &Walk) -> Result<(), StorageError> {
        self.stats.path = Some(walk.path.to_string());
        self.stats.in_sort_order = true;
        let mut postings = PostingCursor::new(self.snapshot, walk.ranges.clone(), self.query.direction());
        let mut value: Vec<u8> = Vec::new();
        let mut ordered = 0;
        while let Some(posting) = postings.next().await? {
            self.stats.postings_read += 1;
            if posting.value != value {
                self.order(ordered);
                ordered = self.found.len();
                value.clone_from(&posting.value);
            }
            let in_order = self.query.sort.len() == 1 && posting.whole;
            let settled = if in_order { self.found.len() } else { ordered };
            if settled >= self.enough {
                break;
            }
            self.take(&posting.id, walk.decides && posting.whole).await?;
        }
        self.order(ordered);
        Ok(())
    }

    /// Orders what was found from `first` on.
    fn order(&mut self, first: usize) {
        let query = self.query;
        let tail = self.found.get_mut(first..).unwrap_or_default();
        tail.sort_by(|left, right| query.compare(&left.place, &right.place));
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.enough
    }

    /// Takes the document into the answer if it belongs there; `decided` says that it matches.
    async fn take(&mut self, id: &str, decided: bool) -> Result<(), StorageError> {
        match read_head(self.snapshot, id).await? {
            Some(head) => self.take_head(id, &head, decided).await,
            None => Err(StorageError::Corrupt(format!("the index: it names {id:?}, which does not exist"))),
        }
    }

    async fn take_head(&mut self, id: &str, head: &Head, decided: bool) -> Result<(), StorageError> {
        let Some(winner) = head.winner().filter(|leaf| !leaf.deleted) else { return Ok(()) };
        if let Some([.., last]) = self.query.bookmark.as_deref().filter(|_| self.by_id)
            && self.query.compare(&[id.into()], core::slice::from_ref(last)).is_le()
            && self.query.sort.is_empty()
        {
            return Ok(());
        }
        let body = self.snapshot.get(&keys::body(id, &winner.rev)).await?;
        let body = body.ok_or_else(|| StorageError::Corrupt(format!("the body of {id:?} is not there")))?;
        self.stats.documents_read += 1;
        if decided && self.query.fields.is_none() && self.query.sort.is_empty() {
            let text = document_text(id, &winner.rev.to_string(), false, &body, &[]);
            self.found.push(Found { place: vec![id.into()], text });
            return Ok(());
        }
        self.take_body(id, &winner.rev, &body, decided)
    }

    fn take_body(&mut self, id: &str, rev: &Rev, body: &[u8], decided: bool) -> Result<(), StorageError> {
        let members = match json::parse(body).map_err(|error| damaged_body(id, &error))? {
            Value::Object(members) => members,
            _ => Object::new(),
        };
        let document = document_value(id, rev, false, members);
        if !decided && !self.query.selector.matches(&document) {
            return Ok(());
        }
        let Some(place) = self.query.place_of(&document) else { return Ok(()) };
        if self.query.bookmark.as_ref().is_some_and(|last| self.query.compare(&place, last).is_le()) {
            return Ok(());
        }
        let text = match &self.query.fields {
            None => document_text(id, &rev.to_string(), false, body, &[]),
            Some(fields) => {
                let mut text = Vec::new();
                json::write(&project(&document, fields), &mut text);
                text
            }
        };
        self.found.push(Found { place, text });
        // A sorted answer with a limit keeps no more than twice what it needs.
        if !self.by_id && !self.stats.in_sort_order && self.found.len() >= self.enough.saturating_mul(2).max(LOOKS[0]) {
            self.order(0);
            self.found.truncate(self.enough);
        }
        Ok(())
    }

    fn finish(mut self) -> FindPage {
        if !self.stats.in_sort_order {
            self.order(0);
        }
        self.found.truncate(self.enough);
        let skip = usize::try_from(self.query.skip).unwrap_or(usize::MAX).min(self.found.len());
        self.found.drain(..skip);
        let bookmark = self.found.last().map_or_else(|| String::from("nil"), |last| bookmark(&last.place));
        FindPage { docs: self.found.into_iter().map(|found| found.text).collect(), bookmark, stats: self.stats }
    }
}

fn bookmark(place: &[Value]) -> String {
    let mut out = Vec::new();
    json::write(&Value::Array(place.to_vec()), &mut out);
    String::from_utf8(out).unwrap_or_default()
}
