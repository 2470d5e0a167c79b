//! Attachments of documents, one at a time: writing, reading, removing.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::attached::{MEMBER, Stub, attachments_of, attachments_of_all, read_members, stubs_in};
use super::contents::{ContentRecord, PART_BYTES};
use super::read::{read_head, revision_of};
use super::{Database, ReadError, WriteError, WriteOptions, Written};
use crate::document::keys::{self, ContentNumber};
use crate::document::{Document, DocumentError, GivenAttachment, GivenContent, check_id};
use crate::json::Object;
use crate::revision::Rev;
use crate::storage::{Kv, Snapshot, StorageError};

/// An attachment, to be read part by part. What it reads is of one moment, whatever is written meanwhile.
#[derive(Debug)]
pub struct AttachmentReader<S> {
    /// The attachment's name.
    pub name: String,
    /// The content type.
    pub content_type: String,
    /// `md5-` and base64, or what a peer sent as the digest.
    pub digest: String,
    /// The MD5 of the content in base64, whatever the digest says.
    pub md5: String,
    /// How many bytes the content has.
    pub length: u64,
    /// The revision that it was read from.
    pub rev: String,
    number: ContentNumber,
    position: u64,
    snapshot: S,
}

impl<S: Snapshot> AttachmentReader<S> {
    /// Goes on at byte `position`.
    pub fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// The next bytes, at most about a million, or `None` at the end.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn part(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        if self.position >= self.length {
            return Ok(None);
        }
        let size = PART_BYTES as u64;
        let number = u32::try_from(self.position / size).unwrap_or(u32::MAX);
        let missing = || StorageError::Corrupt(format!("part {number} of an attachment's content"));
        let mut part = self.snapshot.get(&keys::part(&self.number, number)).await?.ok_or_else(missing)?;
        let passed_over = usize::try_from(self.position % size).unwrap_or(usize::MAX);
        if part.len() <= passed_over {
            return Err(missing());
        }
        part.drain(..passed_over);
        self.position += part.len() as u64;
        Ok(Some(part))
    }
}

impl<K: Kv> Database<K> {
    /// Writes a revision on top of the leaf `rev` that has one more attachment, or another under that name; without `rev` it
    /// is the first revision of a new document.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] if `rev` is no leaf, or the document exists and no `rev` was given.
    pub async fn put_attachment(
        &self,
        id: &str,
        name: &str,
        rev: Option<&str>,
        content_type: &str,
        content: GivenContent,
        write: &WriteOptions,
    ) -> Result<Written, WriteError> {
        let mut document = self.with_stubs(id, rev).await?.ok_or(WriteError::Conflict)?;
        document.attachments.retain(|attachment| attachment.name != name);
        let (name, content_type) = (name.into(), content_type.into());
        document.attachments.push(GivenAttachment { name, content_type, digest: None, revpos: None, content });
        self.write_one(document, write).await
    }

    /// Writes a revision on top of the leaf `rev` that lacks the attachment.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] if `rev` is no leaf, [`WriteError::NoAttachment`] if it has no such attachment.
    pub async fn remove_attachment(
        &self,
        id: &str,
        name: &str,
        rev: &str,
        write: &WriteOptions,
    ) -> Result<Written, WriteError> {
        let mut document = self.with_stubs(id, Some(rev)).await?.ok_or(WriteError::Conflict)?;
        let count = document.attachments.len();
        document.attachments.retain(|attachment| attachment.name != name);
        if document.attachments.len() == count {
            return Err(WriteError::NoAttachment);
        }
        self.write_one(document, write).await
    }

    /// The attachment called `name` of the winner, or of the revision `rev`.
    ///
    /// # Errors
    /// [`ReadError::Missing`], [`ReadError::Deleted`], and [`ReadError::NoAttachment`].
    pub async fn get_attachment(
        &self,
        id: &str,
        name: &str,
        rev: Option<&str>,
    ) -> Result<AttachmentReader<K::Snapshot>, ReadError> {
        let snapshot = self.kv.snapshot()?;
        let rev = revision_of(&snapshot, id, rev).await?;
        if snapshot.get(&keys::body(id, &rev)).await?.is_none() {
            return Err(ReadError::Missing);
        }
        let all = attachments_of(&snapshot, id, &rev).await?;
        let found = all.into_iter().find(|attachment| attachment.name == name).ok_or(ReadError::NoAttachment)?;
        let record = ContentRecord::read(&snapshot, &found.hash).await?.ok_or(ReadError::Missing)?;
        Ok(AttachmentReader {
            name: found.name,
            content_type: found.content_type,
            digest: found.digest,
            md5: record.md5_base64(),
            length: record.length,
            rev: format!("{rev}"),
            number: record.number,
            position: 0,
            snapshot,
        })
    }

    /// Name and digest of each attachment that any revision of the document has here. One whose content was lost is not here.
    pub(crate) async fn attachments_known(&self, id: &str) -> Result<Vec<(String, String)>, StorageError> {
        let snapshot = self.kv.snapshot()?;
        let mut known = Vec::new();
        for attachment in attachments_of_all(&snapshot, id).await? {
            if ContentRecord::read(&snapshot, &attachment.hash).await?.is_some() {
                known.push((attachment.name, attachment.digest));
            }
        }
        Ok(known)
    }

    /// The next edit of a leaf, with the same body and a stub for each attachment; `None` if the revision is no leaf.
    async fn with_stubs(&self, id: &str, rev: Option<&str>) -> Result<Option<Document>, WriteError> {
        check_id(id)?;
        if id.starts_with("_local/") {
            return Err(DocumentError::BadMember(MEMBER).into());
        }
        let rev = rev.map(Rev::parse).transpose()?;
        let (mut body, mut attachments) = (Object::new(), Vec::new());
        if let Some(rev) = &rev {
            let snapshot = self.kv.snapshot()?;
            let head = read_head(&snapshot, id).await?;
            if !head.is_some_and(|head| head.leaves.iter().any(|leaf| leaf.rev == *rev)) {
                return Ok(None);
            }
            let Some(text) = snapshot.get(&keys::body(id, rev)).await? else { return Ok(None) };
            body = read_members(id, &text)?;
            attachments = stubs_in(&mut body).into_iter().map(Stub::given).collect();
        }
        Ok(Some(Document { id: id.into(), rev, local_count: 0, revisions: None, deleted: false, attachments, body }))
    }
}
