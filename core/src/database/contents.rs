//! Contents of attachments: each is stored once, under its SHA-256, in parts of bounded size.
//!
//! A content may come in ahead of its document, chunk by chunk ([`Database::stage`]): its parts are stored under a number of
//! its own, and nothing refers to them until the document's commit names them. That commit also notes which revisions use
//! the content. **A content is there as long as a revision uses it**: a use comes with its revision's commit, and the commit
//! that takes the last use away takes the content along. What was staged and never used goes when it is given up
//! ([`Database::unstage`]) or, if whoever staged it died, with the next compaction.
//!
//! ```text
//! content    number: 12 bytes · length: 8 · MD5: 16
//! attached   the SHA-256 of each attachment's content: 32 bytes each
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::{Database, WriteError};
use crate::document::keys::{self, ContentHash, ContentNumber};
use crate::effects::Random;
use crate::ordered::{Map, Set};
use crate::revision::Rev;
use crate::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};

/// How many bytes each part of a content has but the last: a multiple of three, so that the base64 of parts is that of the
/// whole; and a little less than a power of two, which stores that give out pages in powers of two would double.
pub(super) const PART_BYTES: usize = 1_044_480;

/// A content whose document is still to be committed.
#[derive(Clone)]
pub(super) struct Incoming {
    number: ContentNumber,
    sha: Sha256,
    md5: Md5,
    length: u64,
    parts_stored: u32,
    /// What is not stored yet; never empty once there is anything.
    rest: Vec<u8>,
    /// The name under which it was staged, if it was.
    staged: Option<String>,
}

/// The contents that were staged, and the numbers of new ones.
pub(super) struct Staging {
    opening: [u8; 8],
    count: Cell<u32>,
    staged: RefCell<Map<String, Incoming>>,
}

/// The record of a content.
pub(super) struct ContentRecord {
    pub(super) number: ContentNumber,
    pub(super) length: u64,
    md5: [u8; 16],
}

impl<K: Kv> Database<K> {
    /// Takes in the bytes of a content from `position` on, ahead of the document that will name it; position 0 begins the
    /// content called `name`. Names are the caller's, and must be such that nobody guesses them: whoever knows one can
    /// attach the content.
    ///
    /// # Errors
    /// [`WriteError::ContentLost`] if the bytes before `position` are not here, as after the database was opened again: the
    /// content is to be sent from its beginning.
    pub async fn stage(&self, name: &str, position: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let _writer = self.writer.lock().await;
        if position == 0 {
            self.give_up(&|staged| staged == name).await?;
        }
        // Whoever drops this future midway loses the content.
        let mut incoming = match self.staging.staged.borrow_mut().remove(name) {
            None if position == 0 => self.staging.begin(Some(name.into())),
            Some(incoming) if incoming.length == position => incoming,
            _ => return Err(WriteError::ContentLost),
        };
        incoming.take_in(bytes);
        let mut batch = Batch::new();
        incoming.store_full_parts(&mut batch);
        if !batch.is_empty() {
            self.kv.commit(batch, Durability::Relaxed).await?;
        }
        self.staging.staged.borrow_mut().insert(name.into(), incoming);
        Ok(())
    }

    /// Gives up what is staged under names that start with `prefix`.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn unstage(&self, prefix: &str) -> Result<(), StorageError> {
        let _writer = self.writer.lock().await;
        self.give_up(&|staged| staged.starts_with(prefix)).await
    }

    async fn give_up(&self, which: &dyn Fn(&str) -> bool) -> Result<(), StorageError> {
        let mut batch = Batch::new();
        self.staging.staged.borrow_mut().retain(|name, incoming| {
            let given_up = which(name);
            if given_up {
                incoming.discard(&mut batch);
            }
            !given_up
        });
        if batch.is_empty() { Ok(()) } else { self.kv.commit(batch, Durability::Relaxed).await }
    }
}

impl Staging {
    pub(super) fn new(random: &impl Random) -> Self {
        let mut opening = [0; 8];
        random.fill(&mut opening);
        Self { opening, count: Cell::new(0), staged: RefCell::default() }
    }

    fn begin(&self, staged: Option<String>) -> Incoming {
        let count = self.count.get();
        self.count.set(count.wrapping_add(1));
        let mut number = [0; 12];
        let (opening, counted) = number.split_at_mut(8);
        opening.copy_from_slice(&self.opening);
        counted.copy_from_slice(&count.to_be_bytes());
        Incoming { staged, ..Incoming::numbered(number) }
    }

    /// A content that came with its document.
    pub(super) fn of_data(&self, data: Vec<u8>) -> Incoming {
        let mut incoming = self.begin(None);
        incoming.hash(&data);
        incoming.rest = data;
        incoming
    }

    /// The content that is staged under `name`.
    pub(super) fn get(&self, name: &str) -> Option<Incoming> {
        self.staged.borrow().get(name).cloned()
    }

    /// Whether a content that is staged has this number.
    pub(super) fn holds(&self, number: &ContentNumber) -> bool {
        self.staged.borrow().iter().any(|(_, incoming)| incoming.number == *number)
    }
}

impl Incoming {
    /// One of which nothing has come.
    pub(super) fn numbered(number: ContentNumber) -> Self {
        let (sha, md5) = (Sha256::new(), Md5::new());
        Self { number, sha, md5, length: 0, parts_stored: 0, rest: Vec::new(), staged: None }
    }

    pub(super) fn number(&self) -> ContentNumber {
        self.number
    }

    pub(super) fn content_hash(&self) -> ContentHash {
        self.sha.clone().finalize().into()
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The digest as CouchDB writes it.
    pub(super) fn digest(&self) -> String {
        let mut digest = String::from("md5-");
        STANDARD.encode_string(self.md5.clone().finalize(), &mut digest);
        digest
    }

    /// Counts and hashes the next bytes, which somebody else stores.
    pub(super) fn hash(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.md5.update(bytes);
        self.length += bytes.len() as u64;
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.hash(bytes);
        self.rest.extend_from_slice(bytes);
    }

    /// Stores all parts but the last, so that a content of one part is stored with its document only.
    fn store_full_parts(&mut self, batch: &mut Batch) {
        let full = self.rest.len().saturating_sub(1) / PART_BYTES;
        if full == 0 {
            return;
        }
        batch.put(&keys::staged(&self.number), &[]);
        let rest = self.rest.split_off(full * PART_BYTES);
        let parts = core::mem::replace(&mut self.rest, rest);
        self.store_parts(&parts, batch);
    }

    fn store_parts(&mut self, bytes: &[u8], batch: &mut Batch) {
        for part in bytes.chunks(PART_BYTES) {
            batch.put(&keys::part(&self.number, self.parts_stored), part);
            self.parts_stored += 1;
        }
    }

    /// Stores what is left of it, and its record.
    fn store(mut self, hash: &ContentHash, batch: &mut Batch) {
        if self.parts_stored > 0 {
            batch.delete(&keys::staged(&self.number));
        }
        let rest = core::mem::take(&mut self.rest);
        self.store_parts(&rest, batch);
        batch.put(&keys::content(hash), &self.record());
    }

    /// The record of the content.
    pub(super) fn record(&self) -> Vec<u8> {
        let md5: [u8; 16] = self.md5.clone().finalize().into();
        [self.number.as_slice(), &self.length.to_be_bytes(), &md5].concat()
    }

    /// Deletes what is stored of it.
    fn discard(&self, batch: &mut Batch) {
        if self.parts_stored > 0 {
            batch.delete(&keys::staged(&self.number));
        }
        (0..self.parts_stored).for_each(|part| batch.delete(&keys::part(&self.number, part)));
    }
}

impl ContentRecord {
    /// What is stored of a content.
    pub(super) async fn read<S: Snapshot>(snapshot: &S, hash: &ContentHash) -> Result<Option<Self>, StorageError> {
        match snapshot.get(&keys::content(hash)).await? {
            Some(record) => Ok(Some(Self::decode(&record)?)),
            None => Ok(None),
        }
    }

    pub(super) fn decode(record: &[u8]) -> Result<Self, StorageError> {
        let parts = || {
            let (number, rest) = record.split_first_chunk()?;
            let (length, md5) = rest.split_first_chunk()?;
            Some(Self { number: *number, length: u64::from_be_bytes(*length), md5: md5.try_into().ok()? })
        };
        parts().ok_or_else(|| StorageError::Corrupt("the record of a content".into()))
    }

    /// The MD5 of the content in base64.
    pub(super) fn md5_base64(&self) -> String {
        STANDARD.encode(self.md5)
    }

    /// Deletes it with its parts. A damaged record may tell any length: it is believed if the last part is there.
    async fn delete<S: Snapshot>(
        &self,
        snapshot: &S,
        hash: &ContentHash,
        batch: &mut Batch,
    ) -> Result<(), StorageError> {
        let parts = u32::try_from(self.length.div_ceil(PART_BYTES as u64)).unwrap_or(u32::MAX);
        if let Some(last) = parts.checked_sub(1)
            && snapshot.get(&keys::part(&self.number, last)).await?.is_none()
        {
            return Err(StorageError::Corrupt("the record of a content: it has fewer parts".into()));
        }
        batch.delete(&keys::content(hash));
        (0..parts).for_each(|part| batch.delete(&keys::part(&self.number, part)));
        Ok(())
    }
}

/// What one commit changes of contents and their uses.
#[derive(Default)]
pub(super) struct ContentChanges {
    incoming: Map<ContentHash, Incoming>,
    /// What came twice.
    surplus: Vec<Incoming>,
    /// The names under which contents of this commit are staged.
    staged: Vec<String>,
    used: Set<ContentHash>,
    /// The keys of the uses that end.
    unused: Map<ContentHash, Set<Vec<u8>>>,
    /// How many contents went.
    pub(super) dropped: u64,
}

impl ContentChanges {
    /// The revision uses these contents.
    pub(super) fn attach(&mut self, id: &str, rev: &Rev, hashes: &[ContentHash], batch: &mut Batch) {
        if hashes.is_empty() {
            return;
        }
        batch.put(&keys::attached(id, rev), hashes.as_flattened());
        for hash in hashes {
            batch.put(&keys::use_of(hash, id, rev), &[]);
            self.used.insert(*hash);
        }
    }

    /// A content came with a revision of this commit.
    pub(super) fn add(&mut self, incoming: Incoming) {
        self.staged.extend(incoming.staged.clone());
        let hash = incoming.content_hash();
        match self.incoming.get(&hash) {
            // Two attachments may name the same staged content.
            Some(same) if same.number == incoming.number => {}
            Some(_) => self.surplus.push(incoming),
            None => drop(self.incoming.insert(hash, incoming)),
        }
    }

    /// The revision goes, and with it its uses.
    pub(super) async fn detach<S: Snapshot>(
        &mut self,
        snapshot: &S,
        id: &str,
        rev: &Rev,
        batch: &mut Batch,
    ) -> Result<(), StorageError> {
        let key = keys::attached(id, rev);
        let Some(hashes) = snapshot.get(&key).await? else { return Ok(()) };
        batch.delete(&key);
        for hash in read_hashes(&hashes)? {
            let key = keys::use_of(hash, id, rev);
            batch.delete(&key);
            self.unused.get_or_default(*hash).insert(key);
        }
        Ok(())
    }

    /// Stores the contents that are new, and deletes those that nothing uses any more.
    pub(super) async fn settle<S: Snapshot>(&mut self, snapshot: &S, batch: &mut Batch) -> Result<(), StorageError> {
        for (hash, incoming) in core::mem::take(&mut self.incoming) {
            if self.used.contains(&hash) && snapshot.get(&keys::content(&hash)).await?.is_none() {
                incoming.store(&hash, batch);
            } else {
                incoming.discard(batch);
            }
        }
        self.surplus.iter().for_each(|incoming| incoming.discard(batch));
        for (hash, ended) in &self.unused {
            if !self.used.contains(hash) && !is_used(snapshot, hash, ended).await? {
                self.dropped += u64::from(delete_content(snapshot, hash, batch).await?);
            }
        }
        Ok(())
    }

    /// What was staged and is committed now is staged no more.
    pub(super) fn committed(&self, staging: &Staging) {
        let mut staged = staging.staged.borrow_mut();
        for name in &self.staged {
            staged.remove(name);
        }
    }
}

/// Whether a use of the content is stored that is not among those that end.
pub(super) async fn is_used<S: Snapshot>(
    snapshot: &S,
    hash: &ContentHash,
    ended: &Set<Vec<u8>>,
) -> Result<bool, StorageError> {
    let mut uses = snapshot.range(KeyRange::prefix(&keys::uses(hash)), Direction::Forward)?;
    while uses.advance().await? {
        if !ended.contains(uses.key()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes a content; whether there was one.
pub(super) async fn delete_content<S: Snapshot>(
    snapshot: &S,
    hash: &ContentHash,
    batch: &mut Batch,
) -> Result<bool, StorageError> {
    let record = ContentRecord::read(snapshot, hash).await?;
    if let Some(record) = &record {
        record.delete(snapshot, hash, batch).await?;
    }
    Ok(record.is_some())
}

/// The hashes in the record of a revision's attachments.
pub(super) fn read_hashes(record: &[u8]) -> Result<&[ContentHash], StorageError> {
    match record.as_chunks() {
        (hashes, []) => Ok(hashes),
        _ => Err(StorageError::Corrupt("the record of a revision's attachments".into())),
    }
}
