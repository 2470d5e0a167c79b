//! Reading and writing documents.

use firkin_core::database::{
    AllDocsQuery, BulkRow, GetOptions, OpenRev, OpenRevs, ReadError, Refused, WriteOptions, Written,
};
use firkin_core::error::ErrorReport;
use firkin_core::storage::Durability;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{ObjectWriter, array};
use crate::engine::Store;
use crate::failure::Failure;

/// The options of a write.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Writing {
    durability: Option<DurabilityName>,
    force: bool,
    atomic: bool,
}

/// A durability as JavaScript writes it.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityName {
    /// [`Durability::Relaxed`]
    Relaxed,
    /// [`Durability::Strict`]
    Strict,
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Self {
        match name {
            DurabilityName::Relaxed => Self::Relaxed,
            DurabilityName::Strict => Self::Strict,
        }
    }
}

impl From<Writing> for WriteOptions {
    fn from(writing: Writing) -> Self {
        Self { durability: writing.durability.map(Durability::from), force: writing.force, atomic: writing.atomic }
    }
}

#[derive(Deserialize)]
struct Put<'payload> {
    #[serde(borrow)]
    doc: &'payload RawValue,
    #[serde(default)]
    options: Writing,
}

/// `{ doc, options }` → `{ ok, id, rev }`
pub async fn put(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let Put { doc, options } = serde_json::from_slice(payload)?;
    Ok(written(&database.put(doc.get().as_bytes(), &options.into()).await?))
}

#[derive(Deserialize)]
struct Remove {
    id: String,
    #[serde(default)]
    rev: String,
    #[serde(default)]
    options: Writing,
}

/// `{ id, rev, options }` → `{ ok, id, rev }`
pub async fn remove(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let Remove { id, rev, options } = serde_json::from_slice(payload)?;
    Ok(written(&database.remove(&id, &rev, &options.into()).await?))
}

#[derive(Deserialize)]
struct BulkDocs<'payload> {
    #[serde(borrow)]
    docs: Vec<&'payload RawValue>,
    new_edits: Option<bool>,
    #[serde(default)]
    options: Writing,
}

/// `{ docs, new_edits, options }` → a row for each document: `{ ok, id, rev }` or `{ id, error, status, reason }`
pub async fn bulk_docs(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let BulkDocs { docs, new_edits, options } = serde_json::from_slice(payload)?;
    let docs: Vec<&[u8]> = docs.iter().map(|doc| doc.get().as_bytes()).collect();
    let rows = database.bulk_docs(&docs, new_edits.unwrap_or(true), &options.into()).await?;
    Ok(array(rows.iter().map(bulk_row)))
}

fn bulk_row(row: &BulkRow) -> Vec<u8> {
    match row {
        Ok(row) => written(row),
        Err(Refused { id, rev, error }) => refused(id, rev.as_deref(), error),
    }
}

fn written(row: &Written) -> Vec<u8> {
    ObjectWriter::new().boolean("ok", true).text("id", &row.id).text("rev", &row.rev).finish()
}

fn refused(id: &str, rev: Option<&str>, error: &ErrorReport) -> Vec<u8> {
    let row = ObjectWriter::new().text("id", id);
    let row = match rev {
        Some(rev) => row.text("rev", rev),
        None => row,
    };
    row.text("error", error.name).number("status", error.status.into()).text("reason", &error.reason).finish()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reading {
    rev: Option<String>,
    revs: bool,
    revs_info: bool,
    conflicts: bool,
    deleted_conflicts: bool,
    latest: bool,
}

impl From<Reading> for GetOptions {
    fn from(reading: Reading) -> Self {
        let Reading { rev, revs, revs_info, conflicts, deleted_conflicts, latest } = reading;
        Self { rev, revs, revs_info, conflicts, deleted_conflicts, latest }
    }
}

#[derive(Deserialize)]
struct Get {
    id: String,
    #[serde(default)]
    options: Reading,
}

/// `{ id, options }` → the document
pub async fn get(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let Get { id, options } = serde_json::from_slice(payload)?;
    Ok(database.get(&id, &options.into()).await?)
}

#[derive(Deserialize)]
struct OpenRevsRequest {
    id: String,
    revs: RevsAsked,
    #[serde(default)]
    latest: bool,
    /// Whether each document comes with its `_revisions`.
    #[serde(default, alias = "revs_")]
    with_revisions: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RevsAsked {
    These(Vec<String>),
    Word(String),
}

/// `{ id, revs: 'all' | [...], latest, with_revisions }` → `[{ ok: doc } | { missing: rev }]`
pub async fn open_revs(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: OpenRevsRequest = serde_json::from_slice(payload)?;
    let revs = match request.revs {
        RevsAsked::These(revs) => OpenRevs::These(revs),
        RevsAsked::Word(word) if word == "all" => OpenRevs::All,
        RevsAsked::Word(_) => return Err(Failure::bad_request("revs must be \"all\" or a list of revisions")),
    };
    let found = database.open_revs(&request.id, revs, request.latest, request.with_revisions).await?;
    Ok(array(found.into_iter().map(|revision| match revision {
        OpenRev::Ok(doc) => ObjectWriter::new().json("ok", &doc).finish(),
        OpenRev::Missing(rev) => ObjectWriter::new().text("missing", &rev).finish(),
    })))
}

#[derive(Deserialize)]
struct BulkGet {
    docs: Vec<BulkGetItem>,
    #[serde(default)]
    revs: bool,
    #[serde(default)]
    latest: bool,
}

#[derive(Deserialize)]
struct BulkGetItem {
    id: String,
    rev: Option<String>,
}

/// `{ docs: [{ id, rev }], revs, latest }` → `{ results: [{ id, docs: [{ ok: doc } | { error }] }] }`
pub async fn bulk_get(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let BulkGet { docs, revs, latest } = serde_json::from_slice(payload)?;
    let mut results = Vec::with_capacity(docs.len());
    for BulkGetItem { id, rev } in docs {
        let options = GetOptions { rev: rev.clone(), revs, latest, ..GetOptions::default() };
        let doc = match database.get(&id, &options).await {
            Ok(doc) => ObjectWriter::new().json("ok", &doc).finish(),
            Err(ReadError::Storage(error)) => return Err(error.into()),
            Err(error) => {
                let error = refused(&id, rev.as_deref(), &error.report());
                ObjectWriter::new().json("error", &error).finish()
            }
        };
        results.push(ObjectWriter::new().text("id", &id).json("docs", &array([doc])).finish());
    }
    Ok(ObjectWriter::new().json("results", &array(results)).finish())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AllDocs {
    startkey: Option<String>,
    endkey: Option<String>,
    inclusive_end: Option<bool>,
    keys: Option<Vec<String>>,
    limit: Option<u64>,
    skip: u64,
    descending: bool,
    include_docs: bool,
    conflicts: bool,
}

/// `{ startkey, endkey, inclusive_end, keys, limit, skip, descending, include_docs, conflicts }` →
/// `{ total_rows, offset, rows }`
pub async fn all_docs(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let asked: AllDocs = serde_json::from_slice(payload)?;
    let query = AllDocsQuery {
        start_key: asked.startkey,
        end_key: asked.endkey,
        inclusive_end: asked.inclusive_end.unwrap_or(true),
        keys: asked.keys,
        limit: asked.limit,
        skip: asked.skip,
        descending: asked.descending,
        include_docs: asked.include_docs,
        conflicts: asked.conflicts,
    };
    Ok(database.all_docs(&query).await?)
}
