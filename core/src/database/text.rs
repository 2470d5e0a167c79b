//! Writing a document out: its stored body with the special members around it.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::json::{self, Object, Value};
use crate::revision::Rev;

/// The JSON text of a document: `_id`, `_rev`, `_deleted` if it is, the stored body, then `extras`.
pub(super) fn document_text(id: &str, rev: &str, deleted: bool, body: &[u8], extras: &[(&str, Value)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + id.len() + 64);
    out.extend_from_slice(b"{\"_id\":");
    json::write_string(id, &mut out);
    out.extend_from_slice(b",\"_rev\":");
    json::write_string(rev, &mut out);
    if deleted {
        out.extend_from_slice(b",\"_deleted\":true");
    }
    let members = body.strip_prefix(b"{").and_then(|body| body.strip_suffix(b"}")).unwrap_or_default();
    if !members.is_empty() {
        out.push(b',');
        out.extend_from_slice(members);
    }
    for (name, value) in extras {
        out.push(b',');
        json::write_string(name, &mut out);
        out.push(b':');
        json::write(value, &mut out);
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

/// A list of revisions as JSON.
pub(super) fn revs<'rev>(revs: impl Iterator<Item = &'rev Rev>) -> Value {
    Value::Array(revs.map(|rev| Value::String(rev.to_string())).collect())
}
