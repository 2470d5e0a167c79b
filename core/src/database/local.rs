//! Local documents: they never leave this replica and have no history. Checkpoints of replications are kept in them.
//!
//! A record is the count of its `_rev` (`0-count`), 8 bytes, then the body as JSON.

use alloc::format;
use alloc::vec::Vec;

use super::bases::checkpoint_in;
use super::requests::Record;
use super::text::document_text;
use super::{Database, ReadError, WriteError, WriteOptions, Written};
use crate::document::{Document, keys};
use crate::json;
use crate::storage::{Batch, Kv, Snapshot, StorageError};

impl<K: Kv> Database<K> {
    /// Writes a local document over whatever is there: the last writer wins, as in CouchDB.
    ///
    /// # Errors
    /// A [`WriteError`]; nothing was written.
    pub async fn put_local(&self, document: &[u8]) -> Result<Written, WriteError> {
        let document = Document::parse(document, self.options.document_bytes_max)?;
        self.write_local(document, &WriteOptions::default()).await
    }

    /// Removes a local document.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if there is none.
    pub async fn remove_local(&self, id: &str) -> Result<Written, WriteError> {
        self.delete_local(id, &WriteOptions::default()).await
    }

    async fn delete_local(&self, id: &str, write: &WriteOptions) -> Result<Written, WriteError> {
        let _writer = self.writer.lock().await;
        if self.kv.snapshot()?.get(&keys::local(id)).await?.is_none() {
            return Err(WriteError::NotFound);
        }
        let mut batch = Batch::new();
        batch.delete(&keys::local(id));
        self.commit_local(batch, Written { id: id.into(), rev: "0-0".into() }, write).await
    }

    pub(super) async fn write_local(&self, document: Document, write: &WriteOptions) -> Result<Written, WriteError> {
        if document.deleted {
            return self.delete_local(&document.id, write).await;
        }
        let _writer = self.writer.lock().await;
        let count = document.local_count.saturating_add(1);
        let mut body = Vec::new();
        json::write_object(&document.body, &mut body);
        let mut batch = Batch::new();
        let mut state = self.state.borrow().clone();
        if let Some((peer, seq)) = checkpoint_in(&document.id, &document.body, &state) {
            state.stage_peer(peer, seq, &mut batch);
        }
        batch.put(&keys::local(&document.id), &[count.to_be_bytes().as_slice(), &body].concat());
        let written = self.commit_local(batch, Written { id: document.id, rev: format!("0-{count}") }, write).await?;
        self.state.replace(state);
        Ok(written)
    }

    async fn commit_local(
        &self,
        mut batch: Batch,
        written: Written,
        write: &WriteOptions,
    ) -> Result<Written, WriteError> {
        if let Some(request) = write.request {
            Record::of_local(request, &written).stage(&mut batch);
        }
        self.kv.commit(batch, write.durability.unwrap_or(self.options.durability)).await?;
        Ok(written)
    }

    pub(super) async fn read_local(&self, id: &str) -> Result<Vec<u8>, ReadError> {
        let record = self.kv.snapshot()?.get(&keys::local(id)).await?.ok_or(ReadError::Missing)?;
        let damaged = || StorageError::Corrupt(format!("the local document {id:?}"));
        let (count, body) = record.split_first_chunk().ok_or_else(damaged)?;
        Ok(document_text(id, &format!("0-{}", u64::from_be_bytes(*count)), false, body, &[]))
    }
}
