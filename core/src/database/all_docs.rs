//! All documents, by id.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::read::{body_text, read_head};
use super::text::{document_text, revs};
use super::{Database, ReadError};
use crate::document::{Head, keys};
use crate::json;
use crate::storage::{Cursor, Direction, KeyRange, Kv, Snapshot};

/// Which documents, and what of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllDocsQuery {
    /// The first id, in the direction of the walk.
    pub start_key: Option<String>,
    /// The last id, in the direction of the walk.
    pub end_key: Option<String>,
    /// Whether `end_key` itself belongs to the answer.
    pub inclusive_end: bool,
    /// These ids, in this order, whether or not they exist.
    pub keys: Option<Vec<String>>,
    /// How many rows at most.
    pub limit: Option<u64>,
    /// How many rows to pass over first.
    pub skip: u64,
    /// The last id first.
    pub descending: bool,
    /// Adds the documents.
    pub include_docs: bool,
    /// Adds `_conflicts` to the documents.
    pub conflicts: bool,
    /// Shows attachments of the documents with their data.
    pub attachments: bool,
}

impl Default for AllDocsQuery {
    fn default() -> Self {
        Self {
            start_key: None,
            end_key: None,
            inclusive_end: true,
            keys: None,
            limit: None,
            skip: 0,
            descending: false,
            include_docs: false,
            conflicts: false,
            attachments: false,
        }
    }
}

impl<K: Kv> Database<K> {
    /// The JSON answer: `total_rows`, `offset`, and a row for each document that is not deleted.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn all_docs(&self, query: &AllDocsQuery) -> Result<Vec<u8>, ReadError> {
        let snapshot = self.kv.snapshot()?;
        let total = self.state.borrow().doc_count;
        let mut rows = Rows { out: Vec::new(), count: 0, limit: query.limit.unwrap_or(u64::MAX), skip: query.skip };
        let offset = match &query.keys {
            Some(ids) => {
                self.list_keys(&snapshot, ids, query, &mut rows).await?;
                String::from("null")
            }
            None => (walk(&snapshot, query, &mut rows).await? + query.skip.min(total)).min(total).to_string(),
        };
        let mut answer = alloc::format!("{{\"total_rows\":{total},\"offset\":{offset},\"rows\":[").into_bytes();
        answer.append(&mut rows.out);
        answer.extend_from_slice(b"]}");
        Ok(answer)
    }

    async fn list_keys(
        &self,
        snapshot: &K::Snapshot,
        ids: &[String],
        query: &AllDocsQuery,
        rows: &mut Rows,
    ) -> Result<(), ReadError> {
        let ids: Vec<&String> = if query.descending { ids.iter().rev().collect() } else { ids.iter().collect() };
        for id in ids {
            let head = read_head(snapshot, id).await?;
            if !rows.take() {
                continue;
            }
            match head {
                Some(head) => write_row(snapshot, id, &head, query, &mut rows.out).await?,
                None => {
                    rows.out.extend_from_slice(b"{\"key\":");
                    json::write_string(id, &mut rows.out);
                    rows.out.extend_from_slice(b",\"error\":\"not_found\"}");
                }
            }
        }
        Ok(())
    }
}

/// Walks the range and returns how many documents stand before it.
async fn walk<S: Snapshot>(snapshot: &S, query: &AllDocsQuery, rows: &mut Rows) -> Result<u64, ReadError> {
    let range = range_of(query);
    let all = KeyRange::prefix(keys::heads());
    let (before, direction) = if query.descending {
        let start = range.end.clone().unwrap_or_default();
        (KeyRange { start, end: all.end }, Direction::Backward)
    } else {
        (KeyRange { start: all.start, end: Some(range.start.clone()) }, Direction::Forward)
    };
    let mut offset = 0;
    if query.start_key.is_some() {
        let mut cursor = snapshot.range(before, Direction::Forward)?;
        while cursor.advance().await? {
            offset += u64::from(Head::decode(cursor.value())?.alive().is_some());
        }
    }
    let mut cursor = snapshot.range(range, direction)?;
    while !rows.is_full() && cursor.advance().await? {
        let head = Head::decode(cursor.value())?;
        if head.alive().is_some() && rows.take() {
            let id = keys::head_id(cursor.key()).unwrap_or_default();
            write_row(snapshot, id, &head, query, &mut rows.out).await?;
        }
    }
    Ok(offset)
}

fn range_of(query: &AllDocsQuery) -> KeyRange {
    let all = KeyRange::prefix(keys::heads());
    // The key right after an id is that id and a zero.
    let after = |id: &String| [keys::head(id), [0].to_vec()].concat();
    let (low, high) = match query.descending {
        true => (&query.end_key, &query.start_key),
        false => (&query.start_key, &query.end_key),
    };
    let low_included = !query.descending || query.inclusive_end;
    let high_included = query.descending || query.inclusive_end;
    let start = low.as_ref().map(|id| if low_included { keys::head(id) } else { after(id) });
    let end = high.as_ref().map(|id| if high_included { after(id) } else { keys::head(id) });
    let start = start.unwrap_or(all.start);
    // A range whose ends are the wrong way round holds nothing.
    KeyRange { end: end.map(|end| end.max(start.clone())).or(all.end), start }
}

/// The rows of the answer as they are written.
struct Rows {
    out: Vec<u8>,
    count: u64,
    limit: u64,
    skip: u64,
}

impl Rows {
    /// Whether the next row belongs to the answer; if so, its separator is written.
    fn take(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.is_full() {
            return false;
        }
        if self.count > 0 {
            self.out.push(b',');
        }
        self.count += 1;
        true
    }

    fn is_full(&self) -> bool {
        self.count >= self.limit
    }
}

async fn write_row<S: Snapshot>(
    snapshot: &S,
    id: &str,
    head: &Head,
    query: &AllDocsQuery,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let Some(winner) = head.winner() else { return Ok(()) };
    let rev = winner.rev.to_string();
    for name in [b"{\"id\":".as_slice(), b",\"key\":"] {
        out.extend_from_slice(name);
        json::write_string(id, out);
    }
    out.extend_from_slice(b",\"value\":{\"rev\":");
    json::write_string(&rev, out);
    out.extend_from_slice(if winner.deleted { b",\"deleted\":true}".as_slice() } else { b"}" });
    let body = match query.include_docs && winner.is_alive() {
        true => body_text(snapshot, id, &winner.rev, query.attachments).await?,
        false => None,
    };
    if let Some(body) = body {
        let mut extras = Vec::new();
        if query.conflicts && head.conflicts().next().is_some() {
            extras.push(("_conflicts", revs(head.conflicts().map(|leaf| &leaf.rev))));
        }
        out.extend_from_slice(b",\"doc\":");
        out.extend_from_slice(&document_text(id, &rev, false, &body, &extras));
    } else if query.include_docs {
        out.extend_from_slice(b",\"doc\":null");
    }
    out.push(b'}');
    Ok(())
}
