//! Writing many documents as one commit.
//!
//! They are read, hashed and staged part by part: of a parsed document only what is to be stored outlives its part, so that the memory
//! that ten thousand of them would take is used over and over, and is still in the processor's caches.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;

use futures_util::future::LocalBoxFuture;
use hashbrown::HashSet;

use super::commit::{Edits, Stage};
use super::judge::Kind;
use super::requests::Record;
use super::write::refuse_together;
use super::{BulkRow, Database, Ranges, WriteError, WriteOptions};
use crate::document::{Document, DocumentError};
use crate::storage::Kv;

/// How many documents are a part.
const PART: usize = 1000;

/// What became of each document, and the changes of which all leaves came with the write.
type Outcome = (Vec<BulkRow>, Ranges);

impl<K: Kv> Database<K> {
    /// Writes several documents as one commit. With `new_edits` each is a new edit of its own; without, each is a
    /// revision of a replica, with its `_rev` and `_revisions`, and is added to its tree as it is.
    ///
    /// # Errors
    /// A document that is none fails the whole call, as in CouchDB; a conflict only its row.
    pub async fn bulk_docs(
        &self,
        documents: &[&[u8]],
        new_edits: bool,
        write: &WriteOptions,
    ) -> Result<Vec<BulkRow>, WriteError> {
        let (rows, _) = self.write_texts(documents, new_edits, write).await?;
        if !new_edits {
            self.unsettled.notify(usize::MAX);
        }
        Ok(rows)
    }

    /// Writes them; what became of each, and the changes of which all leaves came with this write.
    pub(super) async fn write_texts(
        &self,
        texts: &[&[u8]],
        new_edits: bool,
        write: &WriteOptions,
    ) -> Result<Outcome, WriteError> {
        let kind = if new_edits { Kind::Edits { force: write.force } } else { Kind::Replicated };
        // Logic is asked about as many as can be shown at once.
        if texts.len() > PART && self.logic.is_none() {
            let _writer = self.writer.lock().await;
            let snapshot = self.kv.snapshot()?;
            if let Some(done) = self.write_parts(&snapshot, texts, kind, write).await? {
                return Ok(done);
            }
        }
        let documents = texts.iter().map(|text| self.parse(text, kind)).collect::<Result<_, _>>()?;
        let _writer = self.writer.lock().await;
        self.write_in(&self.kv.snapshot()?, documents, kind, write).await
    }

    /// Writes them part by part, in one commit; `None`, and nothing is done, where a document occurs in several parts: it would follow
    /// on what is staged. Few calls write so many, and the others do not carry what that takes.
    fn write_parts<'call>(
        &'call self,
        snapshot: &'call K::Snapshot,
        texts: &'call [&'call [u8]],
        kind: Kind,
        write: &'call WriteOptions,
    ) -> LocalBoxFuture<'call, Result<Option<Outcome>, WriteError>> {
        Box::pin(self.write_each_part(snapshot, texts, kind, write))
    }

    async fn write_each_part(
        &self,
        snapshot: &K::Snapshot,
        texts: &[&[u8]],
        kind: Kind,
        write: &WriteOptions,
    ) -> Result<Option<Outcome>, WriteError> {
        let (state, changes) = (self.state.borrow().clone(), self.subscribers.gather());
        let mut stage = Stage::begin(snapshot, &self.index, state, changes, texts.len());
        let mut ids: HashSet<String> = HashSet::with_capacity(texts.len());
        let mut rows = Vec::with_capacity(texts.len());
        let mut parsed = texts.iter().map(|text| self.parse(text, kind)).peekable();
        while parsed.peek().is_some() {
            let documents = next_part(&mut parsed)?;
            if documents.iter().any(|document| ids.contains(&document.id)) {
                return Ok(None);
            }
            ids.extend(documents.iter().map(|document| document.id.clone()));
            let mut edits = Edits::default();
            rows.append(&mut self.add_documents(&mut edits, snapshot, documents, kind).await?);
            stage.add(edits, self.revs_limit.get(), &self.progress).await?;
        }
        if write.atomic && rows.iter().any(Result::is_err) {
            return Ok(Some((refuse_together(rows), Ranges::default())));
        }
        let record = write.request.map(|request| Record::of_rows(request, &rows));
        let staged = stage.finish().await?;
        let arrived = self.commit_if_any(staged, write, record.as_slice()).await?;
        Ok(Some((rows, arrived)))
    }

    fn parse(&self, text: &[u8], kind: Kind) -> Result<Document, WriteError> {
        let document = Document::parse(text, self.options.document_bytes_max)?;
        if document.is_local() {
            return Err(DocumentError::ReservedId.into());
        }
        if kind == Kind::Replicated && document.rev.is_none() {
            return Err(WriteError::NoRev);
        }
        Ok(document)
    }
}

/// The documents of the next part. Branches of one document that are neighbours, as in backups, stay together.
fn next_part(
    parsed: &mut Peekable<impl Iterator<Item = Result<Document, WriteError>>>,
) -> Result<Vec<Document>, WriteError> {
    let mut part: Vec<Document> = Vec::with_capacity(PART);
    while let Some(next) = parsed.next_if(|next| match (next, part.last()) {
        (Ok(next), Some(last)) => part.len() < PART || next.id == last.id,
        _ => true,
    }) {
        part.push(next?);
    }
    Ok(part)
}
