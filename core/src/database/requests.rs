//! Requests that may be sent twice: what a write did is recorded with it, so that it takes effect once.
//!
//! Whoever loses an answer, because the engine went away with it, asks the next engine again. A write that names its
//! request leaves a record in its own batch: the request's number, and what became of each document. So **a request that
//! has a record was done, one that has none was not and never will be**: the engine that did not answer can write no more.
//!
//! Records are bounded by what is under way at once. A client numbers its requests, and gives each a slot that no other
//! request of its uses until this one is answered; the next in a slot takes the place of the last. What a client that is gone
//! leaves goes with the next commit.
//!
//! ```text
//! q client: 8 bytes · slot: 4    number: 4 · a row for each document:
//!                                0 · rev                                      written
//!                                1 · length: 1 · rev as text                  written, a local document
//!                                2 · status: 2 · length: 1 · name · length: 4 · reason    refused
//!                                3                                            purged, and nothing of it is left
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{BulkRow, Database, Purged, Written};
use crate::document::keys;
use crate::revision::Rev;
use crate::storage::{Batch, Cursor, Direction, KeyRange, Kv, Snapshot, StorageError, VALUE_BYTES_MAX};

/// Names a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks; random.
    pub client: u64,
    /// A place that the client gives to no other request before this one is answered.
    pub slot: u32,
    /// The client gives it to no other request.
    pub number: u32,
}

/// What a request did to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// This revision was written or, by a purge, taken out.
    Rev(String),
    /// The document was refused.
    Refused {
        /// As [`ErrorReport`](crate::error::ErrorReport) tells it.
        status: u16,
        /// The name.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A purge left nothing of it.
    Gone,
}

impl<K: Kv> Database<K> {
    /// What the request did, in the order of its documents; `None` if it did nothing. Of a transaction it tells only that it
    /// was committed.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn done(&self, request: &Request) -> Result<Option<Vec<Done>>, StorageError> {
        let key = keys::request(request.client, request.slot);
        let Some(record) = self.kv.snapshot()?.get(&key).await? else { return Ok(None) };
        let Some((number, rows)) = record.split_first_chunk() else { return Err(damaged()) };
        if u32::from_be_bytes(*number) != request.number {
            return Ok(None);
        }
        decode(rows).map(Some).ok_or_else(damaged)
    }

    /// The clients that have left records.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn clients(&self) -> Result<Vec<u64>, StorageError> {
        let mut records = self.kv.snapshot()?.range(KeyRange::prefix(keys::requests()), Direction::Forward)?;
        let mut clients = Vec::new();
        while records.advance().await? {
            let client = keys::request_client(records.key()).ok_or_else(damaged)?;
            if clients.last() != Some(&client) {
                clients.push(client);
            }
        }
        Ok(clients)
    }

    /// The client asks nothing any more: its records go with the next commit that changes documents.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn forget_client(&self, client: u64) -> Result<(), StorageError> {
        let of_client = keys::requests_of(client);
        let mut records = self.kv.snapshot()?.range(KeyRange::prefix(&of_client), Direction::Forward)?;
        while records.advance().await? {
            self.forgotten.borrow_mut().push(records.key().to_vec());
        }
        Ok(())
    }

    /// Adds to `batch` that records of clients that are gone go. If it is not committed, the next to open finds them again.
    pub(super) fn drop_forgotten(&self, batch: &mut Batch) {
        for key in self.forgotten.take() {
            batch.delete(&key);
        }
    }
}

/// The record of a request that is about to be committed.
pub(super) struct Record {
    request: Request,
    rows: Vec<u8>,
}

impl Record {
    /// Of a transaction that is committed.
    pub(super) fn of(request: Request) -> Self {
        Self { request, rows: Vec::new() }
    }

    /// Of a write that did `rows`.
    pub(super) fn of_rows(request: Request, rows: &[BulkRow]) -> Self {
        let mut record = Self::of(request);
        for row in rows {
            match row {
                Ok(written) => record.add_rev(&written.rev),
                Err(refused) => {
                    let (name, reason) = (refused.error.name.as_bytes(), refused.error.reason.as_bytes());
                    record.rows.push(2);
                    record.rows.extend_from_slice(&refused.error.status.to_be_bytes());
                    record.rows.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
                    record.rows.extend_from_slice(name);
                    record.rows.extend_from_slice(&u32::try_from(reason.len()).unwrap_or(u32::MAX).to_be_bytes());
                    record.rows.extend_from_slice(reason);
                }
            }
        }
        record
    }

    /// Of the write of a local document.
    pub(super) fn of_local(request: Request, written: &Written) -> Self {
        let mut record = Self::of(request);
        record.add_rev(&written.rev);
        record
    }

    /// Of a purge.
    pub(super) fn of_purged(request: Request, purged: &Purged) -> Self {
        let mut record = Self::of(request);
        for rev in &purged.deleted_revs {
            record.add_rev(rev);
        }
        if purged.document_was_removed {
            record.rows.push(3);
        }
        record
    }

    fn add_rev(&mut self, rev: &str) {
        match Rev::parse(rev) {
            Ok(rev) => {
                self.rows.push(0);
                rev.encode(&mut self.rows);
            }
            // Those of local documents are no revisions of a tree.
            Err(_) => {
                self.rows.extend_from_slice(&[1, u8::try_from(rev.len()).unwrap_or(u8::MAX)]);
                self.rows.extend_from_slice(rev.as_bytes());
            }
        }
    }

    /// Adds it to `batch`. (One of hundreds of thousands of documents is too long to be kept: it is done without.)
    pub(super) fn stage(&self, batch: &mut Batch) {
        let Request { client, slot, number } = self.request;
        let record = [number.to_be_bytes().as_slice(), &self.rows].concat();
        if record.len() <= VALUE_BYTES_MAX {
            batch.put(&keys::request(client, slot), &record);
        }
    }
}

fn decode(mut rows: &[u8]) -> Option<Vec<Done>> {
    let mut done = Vec::new();
    while let Some((kind, rest)) = rows.split_first() {
        let (row, rest) = match kind {
            0 => {
                let (rev, rest) = Rev::decode(rest)?;
                (Done::Rev(rev.to_string()), rest)
            }
            1 => {
                let (length, rest) = rest.split_first()?;
                let (rev, rest) = text(usize::from(*length), rest)?;
                (Done::Rev(rev), rest)
            }
            2 => {
                let (status, rest) = rest.split_first_chunk()?;
                let (length, rest) = rest.split_first()?;
                let (name, rest) = text(usize::from(*length), rest)?;
                let (length, rest) = rest.split_first_chunk()?;
                let (reason, rest) = text(u32::from_be_bytes(*length) as usize, rest)?;
                (Done::Refused { status: u16::from_be_bytes(*status), name, reason }, rest)
            }
            3 => (Done::Gone, rest),
            _ => return None,
        };
        done.push(row);
        rows = rest;
    }
    Some(done)
}

fn text(length: usize, bytes: &[u8]) -> Option<(String, &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((core::str::from_utf8(text).ok()?.into(), rest))
}

fn damaged() -> StorageError {
    StorageError::Corrupt("the record of a request".to_string())
}
