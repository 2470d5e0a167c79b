//! Writing documents: local edits and revisions of replicas.
//!
//! A write reads what it needs, edits each document on its own, and commits everything as one batch. The postings of a
//! document change only by the difference between its winner before and after.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::attached::{self, Attachments};
use super::commit::Edits;
use super::contents::Staging;
use super::edit::{Body, Edit};
use super::judge::{Kind, independent};
use super::requests::Record;
use super::{Database, Ranges, Request, WriteError};
use crate::document::{Document, DocumentError, check_id, keys};
use crate::error::ErrorReport;
use crate::json::{self, Object, Value};
use crate::revision::{Rev, Revisions};
use crate::storage::{Durability, Kv, Snapshot, VALUE_BYTES_MAX};

/// How a write is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The durability; the database's own if there is none.
    pub durability: Option<Durability>,
    /// The winner is taken as the parent, whatever `_rev` says.
    pub force: bool,
    /// If a document of a batch is refused, none is written.
    pub atomic: bool,
    /// The request that asks for the write: what it did is recorded for [`Database::done`].
    pub request: Option<Request>,
}

/// A revision that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The document's id.
    pub id: String,
    /// The new revision.
    pub rev: String,
}

/// A document of a batch that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The document's id.
    pub id: String,
    /// The revision that the document named.
    pub rev: Option<String>,
    /// Why.
    pub error: ErrorReport,
}

/// What became of one document of a batch.
pub type BulkRow = Result<Written, Refused>;

impl<K: Kv> Database<K> {
    /// Writes a new revision of a document, a child of the leaf that its `_rev` names.
    ///
    /// # Errors
    /// A [`WriteError`]; nothing was written.
    pub async fn put(&self, document: &[u8], write: &WriteOptions) -> Result<Written, WriteError> {
        let document = Document::parse(document, self.options.document_bytes_max)?;
        if document.is_local() {
            return self.write_local(document, write).await;
        }
        self.write_one(document, write).await
    }

    /// Writes a tombstone as the child of the leaf `rev`.
    ///
    /// # Errors
    /// A [`WriteError`]; nothing was written.
    pub async fn remove(&self, id: &str, rev: &str, write: &WriteOptions) -> Result<Written, WriteError> {
        let tombstone = tombstone(&self.kv.snapshot()?, id, rev).await?;
        self.write_one(tombstone, write).await
    }

    pub(super) async fn write_one(&self, document: Document, write: &WriteOptions) -> Result<Written, WriteError> {
        match self.write_joined(document, write).await? {
            Ok(written) => Ok(written),
            Err(refused) if refused.error.status != 409 => Err(WriteError::Refused(refused.error)),
            Err(_) => Err(WriteError::Conflict),
        }
    }

    /// Writes documents; what became of each, and the changes of which all leaves came with this write. The caller holds the writer's
    /// lock since before `snapshot` was taken.
    pub(super) async fn write_in(
        &self,
        snapshot: &K::Snapshot,
        documents: Vec<Document>,
        kind: Kind,
        write: &WriteOptions,
    ) -> Result<(Vec<BulkRow>, Ranges), WriteError> {
        let mut edits = Edits::default();
        let rows = self.add_documents(&mut edits, snapshot, documents, kind).await?;
        if write.atomic && rows.iter().any(Result::is_err) {
            return Ok((refuse_together(rows), Ranges::default()));
        }
        let record = write.request.map(|request| Record::of_rows(request, &rows));
        let arrived = self.commit_edits(snapshot, edits, write, record.as_slice()).await?;
        Ok((rows, arrived))
    }

    /// Adds documents to what a write has done so far; what became of each.
    pub(super) async fn add_documents(
        &self,
        edits: &mut Edits,
        snapshot: &K::Snapshot,
        documents: Vec<Document>,
        kind: Kind,
    ) -> Result<Vec<BulkRow>, WriteError> {
        let mut rows = Vec::with_capacity(documents.len());
        let mut rest = documents;
        while !rest.is_empty() {
            let after = if self.logic.is_some() { rest.split_off(independent(&rest, kind)) } else { Vec::new() };
            let named = |document: &Document| (document.id.clone(), document.rev.as_ref().map(ToString::to_string));
            let named: Vec<(String, Option<String>)> = rest.iter().map(named).collect();
            edits.read_ahead(snapshot, rest.iter().map(|document| document.id.as_str())).await?;
            for ((id, named), judged) in named.into_iter().zip(self.judge(edits, snapshot, rest, kind).await?) {
                let edit = edits.of(snapshot, &id).await?;
                let added = match (judged, kind) {
                    (Err(error), _) => Err(error),
                    (Ok(document), Kind::Edits { force }) => {
                        add_new_edit(edit, snapshot, &self.staging, document, force).await
                    }
                    (Ok(document), Kind::Replicated) => add_replicated(edit, snapshot, &self.staging, document).await,
                };
                rows.push(match added {
                    Ok(rev) => Ok(Written { id, rev: rev.to_string() }),
                    Err(WriteError::Storage(error)) => return Err(error.into()),
                    Err(error) => Err(Refused { id, rev: named, error: error.report() }),
                });
            }
            rest = after;
        }
        Ok(rows)
    }
}

/// The document that removes another.
pub(super) async fn tombstone<S: Snapshot>(snapshot: &S, id: &str, rev: &str) -> Result<Document, WriteError> {
    check_id(id)?;
    if snapshot.get(&keys::head(id)).await?.is_none() {
        return Err(WriteError::NotFound);
    }
    let rev = Some(Rev::parse(rev)?);
    let (id, body) = (String::from(id), Object::new());
    Ok(Document { id, rev, local_count: 0, revisions: None, deleted: true, attachments: Vec::new(), body })
}

/// The rows of a batch of which none is written, since some of it was refused.
pub(super) fn refuse_together(rows: Vec<BulkRow>) -> Vec<BulkRow> {
    let refuse = |row| {
        let Written { id, .. } = row?;
        let error = ErrorReport::new(409, "conflict", "Another document of this batch was refused.");
        Err(Refused { id, rev: None, error })
    };
    rows.into_iter().map(refuse).collect()
}

/// Adds a new edit of a document to what this write has done to it so far.
pub(super) async fn add_new_edit<S: Snapshot>(
    edit: &mut Edit,
    snapshot: &S,
    staging: &Staging,
    document: Document,
    force: bool,
) -> Result<Rev, WriteError> {
    let parent = parent_of(edit, document.rev.as_ref(), force)?;
    let given = document.attachments;
    let attachments = attached::of_new_edit(staging, snapshot, edit, given, parent.as_ref()).await?;
    let rev = Rev::of_edit(parent.as_ref(), document.deleted, &document.body, &attachments.to_hashed())?;
    let path = Revisions::of_edit(&rev, parent.as_ref());
    parent.iter().for_each(|parent| edit.replace(parent));
    edit.add(snapshot, &path, document.deleted, stored_body(document.body, attachments)?).await?;
    Ok(rev)
}

/// The revision that a new edit follows on, of one that names `rev`.
pub(super) fn parent_of(edit: &Edit, rev: Option<&Rev>, force: bool) -> Result<Option<Rev>, WriteError> {
    match (rev, edit.winner()) {
        (_, Some((winner, _))) if force => Ok(Some(winner.clone())),
        (_, None) if force => Ok(None),
        (Some(parent), _) if edit.is_leaf(parent) => Ok(Some(parent.clone())),
        (None, None) => Ok(None),
        // A deleted document may be written anew: as the child of its tombstone, so that the new one wins everywhere.
        (None, Some((tombstone, true))) => Ok(Some(tombstone.clone())),
        _ => Err(WriteError::Conflict),
    }
}

/// The path of a replica's revision towards its root.
pub(super) fn path_of(document: &Document) -> Result<Revisions, WriteError> {
    let rev = document.rev.as_ref().ok_or(WriteError::NoRev)?;
    match &document.revisions {
        Some(path) if path.iter().next().as_ref() == Some(rev) => Ok(path.clone()),
        Some(_) => Err(DocumentError::BadMember("_revisions").into()),
        None => Ok(Revisions::of_edit(rev, None)),
    }
}

async fn add_replicated<S: Snapshot>(
    edit: &mut Edit,
    snapshot: &S,
    staging: &Staging,
    document: Document,
) -> Result<Rev, WriteError> {
    let rev = document.rev.clone().ok_or(WriteError::NoRev)?;
    let path = path_of(&document)?;
    let attachments = attached::of_replicated(staging, snapshot, edit, document.attachments, &rev).await?;
    let body = stored_body(document.body, attachments)?;
    if let Some(Body { text, .. }) = edit.add(snapshot, &path, document.deleted, body).await? {
        let here = snapshot.get(&keys::body(&edit.id, &rev)).await?;
        if here.is_some_and(|here| !is_same_body(&here, &text)) {
            return Err(WriteError::OtherBody);
        }
    }
    Ok(rev)
}

/// The body as it is stored: numbers may be written longer there than they came, and attachments are shown.
fn stored_body(mut members: Object, attachments: Attachments) -> Result<Body, DocumentError> {
    if !attachments.all.is_empty() {
        members.insert(attached::MEMBER, Value::Object(attachments.to_stubs()));
    }
    let mut text = Vec::new();
    json::write_object(&members, &mut text);
    if text.len() > VALUE_BYTES_MAX {
        return Err(DocumentError::TooLarge { bytes: text.len(), bytes_max: VALUE_BYTES_MAX });
    }
    Ok(Body { text, members, attachments })
}

/// Whether two texts are one value: the order of members says nothing, and each server digests attachments in its own way.
fn is_same_body(left: &[u8], right: &[u8]) -> bool {
    let canonical = |text: &[u8]| {
        let mut body = json::parse(text).ok()?;
        if let Value::Object(members) = &mut body {
            members.remove(attached::MEMBER);
        }
        let mut out = Vec::new();
        json::canonical(&body, &mut out);
        Some(out)
    };
    left == right || canonical(left) == canonical(right)
}
