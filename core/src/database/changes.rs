//! The changes feed: every document once, at the sequence of its latest change.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::attached::with_data;
use super::error::damaged_body;
use super::state::State;
use super::text::{document_text, document_value, revs};
use super::{Database, ReadError};
use crate::document::{Head, Leaf, keys};
use crate::json::{self, Object, Value};
use crate::query::Selector;
use crate::sorting::in_order;
use crate::storage::{Cursor, Direction, KeyRange, Kv, Snapshot, StorageError};

/// Where a reader of the feed goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// At the first change.
    #[default]
    Start,
    /// After the latest.
    Now,
    /// After this sequence.
    Token(String),
}

/// What is asked of the feed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangesQuery {
    /// Where to go on; not heeded by a descending read, as in CouchDB.
    pub since: Since,
    /// How many rows at most.
    pub limit: Option<u64>,
    /// The latest first.
    pub descending: bool,
    /// Adds the winning revision of each document.
    pub include_docs: bool,
    /// Lists all leaves of each document instead of the winner.
    pub all_leaves: bool,
    /// Adds `_conflicts` to the documents.
    pub conflicts: bool,
    /// Shows attachments of the documents with their data.
    pub attachments: bool,
    /// Only these documents.
    pub doc_ids: Option<Vec<String>>,
    /// Only documents whose winner matches. Tombstones are asked too; they show `_deleted`.
    pub selector: Option<Selector>,
}

/// A page of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesPage {
    /// The rows.
    pub rows: Vec<ChangesRow>,
    /// Where the next page goes on: the latest sequence that was looked at.
    pub last_seq: String,
    /// How many changes there are after that.
    pub pending: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesRow {
    /// The sequence.
    pub seq: String,
    /// The document's id.
    pub id: String,
    /// The winner, or all leaves in the order of winning.
    pub revs: Vec<String>,
    /// Whether the winner is deleted.
    pub deleted: bool,
    /// The JSON text of the winner, if it was asked for.
    pub doc: Option<Vec<u8>>,
}

impl ChangesRow {
    /// The row as CouchDB writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(b"{\"seq\":");
        json::write_string(&self.seq, &mut out);
        out.extend_from_slice(b",\"id\":");
        json::write_string(&self.id, &mut out);
        out.extend_from_slice(b",\"changes\":[");
        for (place, rev) in self.revs.iter().enumerate() {
            out.extend_from_slice(if place > 0 { b",{\"rev\":".as_slice() } else { b"{\"rev\":" });
            json::write_string(rev, &mut out);
            out.push(b'}');
        }
        out.push(b']');
        if self.deleted {
            out.extend_from_slice(b",\"deleted\":true");
        }
        if let Some(doc) = &self.doc {
            out.extend_from_slice(b",\"doc\":");
            out.extend_from_slice(doc);
        }
        out.push(b'}');
        out
    }
}

impl<K: Kv> Database<K> {
    /// Reads the feed.
    ///
    /// # Errors
    /// [`ReadError::BadSince`] for a sequence that is none.
    pub async fn changes(&self, query: &ChangesQuery) -> Result<ChangesPage, ReadError> {
        // The state is read first: a commit in between can only add rows that the next page will bring.
        let state = self.state.borrow().clone();
        let since = if query.descending { 0 } else { start(&query.since, &state)? };
        let snapshot = self.kv.snapshot()?;
        let wanted = query.doc_ids.as_deref().map(in_order);
        let direction = if query.descending { Direction::Backward } else { Direction::Forward };
        let end = KeyRange::prefix(keys::changes()).end;
        let range = KeyRange { start: keys::change(since.saturating_add(1)), end };
        let mut cursor = snapshot.range(range, direction)?;
        let (mut rows, mut last_seq) = (Vec::new(), since);
        let limit = query.limit.unwrap_or(u64::MAX);
        while (rows.len() as u64) < limit && cursor.advance().await? {
            let (seq, id, head) = read_change(cursor.key(), cursor.value())?;
            last_seq = seq;
            if wanted.as_ref().is_some_and(|wanted| wanted.binary_search(&id).is_err()) {
                continue;
            }
            if let Some(doc) = winner_if_wanted(&snapshot, id, &head, query).await? {
                rows.push(row(state.token(seq), id, &head, doc, query));
            }
        }
        let rest = if query.descending {
            KeyRange { start: keys::changes().to_vec(), end: Some(keys::change(last_seq)) }
        } else {
            KeyRange { start: keys::change(last_seq.saturating_add(1)), end: KeyRange::prefix(keys::changes()).end }
        };
        let pending = match (rows.len() as u64) < limit {
            true => 0,
            false => count(&snapshot, rest).await?,
        };
        Ok(ChangesPage { rows, last_seq: state.token(last_seq), pending })
    }
}

/// The number of the change after which a reader goes on.
pub(super) fn start(since: &Since, state: &State) -> Result<u64, ReadError> {
    match since {
        Since::Start => Ok(0),
        Since::Now => Ok(state.seq),
        Since::Token(token) => state.resolve(token).ok_or(ReadError::BadSince),
    }
}

/// `None` if the selector leaves the document out; else its text, if that was asked for.
async fn winner_if_wanted<S: Snapshot>(
    snapshot: &S,
    id: &str,
    head: &Head,
    query: &ChangesQuery,
) -> Result<Option<Option<Vec<u8>>>, ReadError> {
    let Some(winner) = head.winner() else { return Ok(None) };
    if query.selector.is_none() && !query.include_docs {
        return Ok(Some(None));
    }
    let Some(body) = snapshot.get(&keys::body(id, &winner.rev)).await? else {
        // What is lost is told, and not shown; whether a selector would match it nobody knows.
        return Ok(query.selector.is_none().then_some(None));
    };
    if let Some(selector) = &query.selector {
        let body = match json::parse(&body).map_err(|error| damaged_body(id, &error))? {
            Value::Object(body) => body,
            _ => Object::new(),
        };
        if !selector.matches(&document_value(id, &winner.rev, winner.deleted, body)) {
            return Ok(None);
        }
    }
    if !query.include_docs {
        return Ok(Some(None));
    }
    let body = match query.attachments {
        true => with_data(snapshot, id, &winner.rev, body).await?,
        false => Some(body),
    };
    let Some(body) = body else { return Ok(Some(None)) };
    let mut extras = Vec::new();
    if query.conflicts && head.conflicts().next().is_some() {
        extras.push(("_conflicts", revs(head.conflicts().map(|leaf| &leaf.rev))));
    }
    Ok(Some(Some(document_text(id, &winner.rev.to_string(), winner.deleted, &body, &extras))))
}

fn row(seq: String, id: &str, head: &Head, doc: Option<Vec<u8>>, query: &ChangesQuery) -> ChangesRow {
    let leaves: &[Leaf] = if query.all_leaves { &head.leaves } else { head.leaves.get(..1).unwrap_or_default() };
    let revs = leaves.iter().map(|leaf| leaf.rev.to_string()).collect();
    ChangesRow { seq, id: id.into(), revs, deleted: head.is_deleted(), doc }
}

/// A row of the feed as it is stored: its number, the document's id and its head.
pub(super) fn read_change<'record>(
    key: &[u8],
    value: &'record [u8],
) -> Result<(u64, &'record str, Head), StorageError> {
    let parts = || {
        let seq = keys::change_seq(key)?;
        let (length, rest) = value.split_first_chunk()?;
        let (id, head) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        Some((seq, core::str::from_utf8(id).ok()?, head))
    };
    let (seq, id, head) = parts().ok_or_else(|| StorageError::Corrupt(format!("the change {key:02x?}")))?;
    Ok((seq, id, Head::decode(head)?))
}

async fn count<S: Snapshot>(snapshot: &S, range: KeyRange) -> Result<u64, StorageError> {
    let mut cursor = snapshot.range(range, Direction::Forward)?;
    let mut count = 0;
    while cursor.advance().await? {
        count += 1;
    }
    Ok(count)
}
