//! Reading and writing documents.

use firkin_core::database::{
    AllDocsQuery, BulkRow, GetOptions, OpenRev, OpenRevs, ReadError, Refused, Request, WriteOptions, Written,
};
use firkin_core::json::Value;

use super::Asked;
use crate::answer::{ObjectWriter, array};
use crate::engine::Store;
use crate::failure::Failure;
use crate::payload::{self, Payload};

/// `{ durability, force, atomic }`
pub fn write_options(payload: &Payload<'_>, request: Option<Request>) -> Result<WriteOptions, Failure> {
    let asked = payload.object("options")?;
    let (durability, force, atomic) = (asked.durability("durability")?, asked.flag("force")?, asked.flag("atomic")?);
    Ok(WriteOptions { durability, force, atomic, request })
}

/// `{ doc, options }` → `{ ok, id, rev }`
pub async fn put(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let document = payload.required_json("doc")?.as_bytes();
    Ok(written(&database.put(document, &write_options(&payload, asked.request)?).await?))
}

/// `{ id, rev, options }` → `{ ok, id, rev }`
pub async fn remove(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let (id, rev) = (payload.required_text("id")?, payload.text("rev")?.unwrap_or_default());
    Ok(written(&database.remove(&id, &rev, &write_options(&payload, asked.request)?).await?))
}

/// `{ new_edits, options }` and, each on a line of its own behind it, documents → a row for each: `{ ok, id, rev }` or
/// `{ id, error, status, reason }`
pub async fn bulk_write(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let (head, documents) = payload::lines(asked.payload)?;
    write_all(database, &head, documents, asked.request).await
}

/// The same as the `{ docs, new_edits, options }` of a peer.
pub async fn bulk_docs(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let (payload, documents) = Payload::parse_with_list(asked.payload, "docs")?;
    write_all(database, &payload, documents, asked.request).await
}

async fn write_all(
    database: &Store,
    head: &Payload<'_>,
    documents: Vec<&str>,
    request: Option<Request>,
) -> Result<Vec<u8>, Failure> {
    let documents: Vec<&[u8]> = documents.into_iter().map(str::as_bytes).collect();
    let new_edits = head.flag_or("new_edits", true)?;
    let rows = database.bulk_docs(&documents, new_edits, &write_options(head, request)?).await?;
    Ok(array(rows.iter().map(bulk_row)))
}

fn bulk_row(row: &BulkRow) -> Vec<u8> {
    match row {
        Ok(row) => written(row),
        Err(Refused { id, rev, error }) => refused(id, rev.as_deref(), error.status, error.name, &error.reason),
    }
}

/// `{ ok, id, rev }`
pub fn written(row: &Written) -> Vec<u8> {
    ObjectWriter::new().boolean("ok", true).text("id", &row.id).text("rev", &row.rev).finish()
}

/// `{ id, rev, error, status, reason }`
pub fn refused(id: &str, rev: Option<&str>, status: u16, error: &str, reason: &str) -> Vec<u8> {
    let row = ObjectWriter::new().text("id", id);
    let row = match rev {
        Some(rev) => row.text("rev", rev),
        None => row,
    };
    row.text("error", error).number("status", status.into()).text("reason", reason).finish()
}

/// `{ id, options }` → the document
pub async fn get(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    Ok(database.get(&payload.required_text("id")?, &get_options(&payload)?).await?)
}

/// The `options` of a `get`.
pub fn get_options(payload: &Payload<'_>) -> Result<GetOptions, Failure> {
    let asked = payload.object("options")?;
    Ok(GetOptions {
        rev: asked.text("rev")?,
        revs: asked.flag("revs")?,
        revs_info: asked.flag("revs_info")?,
        conflicts: asked.flag("conflicts")?,
        deleted_conflicts: asked.flag("deleted_conflicts")?,
        latest: asked.flag("latest")?,
        attachments: asked.flag("attachments")?,
    })
}

/// `{ id, revs: 'all' | [...], latest, with_revisions, attachments }` → `[{ ok: doc } | { missing: rev }]`
pub async fn open_revs(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let revs = match payload.value("revs")? {
        Some(Value::String(word)) if word == "all" => OpenRevs::All,
        revs => {
            let revs = revs.and_then(payload::texts);
            OpenRevs::These(revs.ok_or_else(|| payload::wrong("revs", "\"all\" or a list of revisions"))?)
        }
    };
    let get = GetOptions {
        latest: payload.flag("latest")?,
        revs: payload.flag("with_revisions")?,
        attachments: payload.flag("attachments")?,
        ..GetOptions::default()
    };
    let found = database.open_revs(&payload.required_text("id")?, revs, &get).await?;
    Ok(array(found.into_iter().map(|revision| match revision {
        OpenRev::Ok(doc) => ObjectWriter::new().json("ok", &doc).finish(),
        OpenRev::Missing(rev) => ObjectWriter::new().text("missing", &rev).finish(),
    })))
}

/// `{ docs: [{ id, rev }], revs, latest, attachments }` → `{ results: [{ id, docs: [{ ok: doc } | { error }] }] }`
pub async fn bulk_get(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let (revs, latest) = (payload.flag("revs")?, payload.flag("latest")?);
    let attachments = payload.flag("attachments")?;
    let mut results = Vec::new();
    for asked in payload.elements("docs")? {
        let asked = Payload::parse(asked.as_bytes())?;
        let (id, rev) = (asked.required_text("id")?, asked.text("rev")?);
        let options = GetOptions { rev: rev.clone(), revs, latest, attachments, ..GetOptions::default() };
        let doc = match database.get(&id, &options).await {
            Ok(doc) => ObjectWriter::new().json("ok", &doc).finish(),
            Err(ReadError::Storage(error)) => return Err(error.into()),
            Err(error) => {
                let report = error.report();
                let error = refused(&id, rev.as_deref(), report.status, report.name, &report.reason);
                ObjectWriter::new().json("error", &error).finish()
            }
        };
        results.push(ObjectWriter::new().text("id", &id).json("docs", &array([doc])).finish());
    }
    Ok(ObjectWriter::new().json("results", &array(results)).finish())
}

/// `{ startkey, endkey, inclusive_end, keys, limit, skip, descending, include_docs, conflicts, attachments }` →
/// `{ total_rows, offset, rows }`
pub async fn all_docs(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let query = AllDocsQuery {
        start_key: payload.text("startkey")?,
        end_key: payload.text("endkey")?,
        inclusive_end: payload.flag_or("inclusive_end", true)?,
        keys: payload.texts("keys")?,
        limit: payload.number("limit")?,
        skip: payload.number("skip")?.unwrap_or(0),
        descending: payload.flag("descending")?,
        include_docs: payload.flag("include_docs")?,
        conflicts: payload.flag("conflicts")?,
        attachments: payload.flag("attachments")?,
    };
    Ok(database.all_docs(&query).await?)
}
