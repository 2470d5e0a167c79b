//! Writing a document out: its stored body with the special members around it.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::error::damaged_body;
use crate::document::{Head, keys};
use crate::json::{self, Object, Value};
use crate::revision::Rev;
use crate::storage::{Snapshot, StorageError};

/// The JSON text of a document: `_id`, `_rev`, `_deleted` if it is, the stored body, then `extras`.
pub(super) fn document_text(id: &str, rev: &str, deleted: bool, body: &[u8], extras: &[(&str, Value)]) -> Vec<u8> {
    let mut out = new_document_text(id, Some(rev), deleted, body);
    if !extras.is_empty() {
        out.pop();
    }
    for (name, value) in extras {
        out.push(b',');
        json::write_string(name, &mut out);
        out.push(b':');
        json::write(value, &mut out);
    }
    if !extras.is_empty() {
        out.push(b'}');
    }
    out
}

/// The JSON text of a document that may have no revision yet.
pub(super) fn new_document_text(id: &str, rev: Option<&str>, deleted: bool, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + id.len() + 64);
    out.extend_from_slice(b"{\"_id\":");
    json::write_string(id, &mut out);
    if let Some(rev) = rev {
        out.extend_from_slice(b",\"_rev\":");
        json::write_string(rev, &mut out);
    }
    if deleted {
        out.extend_from_slice(b",\"_deleted\":true");
    }
    let members = body.strip_prefix(b"{").and_then(|body| body.strip_suffix(b"}")).unwrap_or_default();
    if !members.is_empty() {
        out.push(b',');
        out.extend_from_slice(members);
    }
    out.push(b'}');
    out
}

/// A document as selectors see it: `_id` and `_rev`, `_deleted` if it is, then the body.
pub(super) fn document_value(id: &str, rev: &Rev, deleted: bool, body: Object) -> Value {
    let mut members = Object::new();
    members.insert("_id", id.into());
    members.insert("_rev", Value::String(rev.to_string()));
    if deleted {
        members.insert("_deleted", true.into());
    }
    members.append(body);
    Value::Object(members)
}

/// The winning revision as selectors see it; `None` if the document is deleted, or its body lost.
pub(super) async fn winner_value<S: Snapshot>(
    snapshot: &S,
    id: &str,
    head: &Head,
) -> Result<Option<Value>, StorageError> {
    let Some(winner) = head.alive() else { return Ok(None) };
    let body = read_body(snapshot, id, &winner.rev).await?;
    Ok(Some(document_value(id, &winner.rev, false, body)))
}

/// The members of a stored body.
pub(super) async fn read_body<S: Snapshot>(snapshot: &S, id: &str, rev: &Rev) -> Result<Object, StorageError> {
    let body = snapshot.get(&keys::body(id, rev)).await?;
    let body = body.ok_or_else(|| StorageError::Corrupt(format!("the body of {id:?} is not there")))?;
    match json::parse(&body).map_err(|error| damaged_body(id, &error))? {
        Value::Object(members) => Ok(members),
        _ => Ok(Object::new()),
    }
}

/// A list of revisions as JSON.
pub(super) fn revs<'rev>(revs: impl Iterator<Item = &'rev Rev>) -> Value {
    Value::Array(revs.map(|rev| Value::String(rev.to_string())).collect())
}
