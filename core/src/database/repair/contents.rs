//! Contents of attachments after damage: one of which a part is gone goes whole, so that a replica can bring it back, and what
//! nothing refers to any more goes as well.

use alloc::vec::Vec;

use super::Entry;
use crate::database::attached::Attachment;
use crate::database::contents::{ContentRecord, PART_BYTES, read_hashes};
use crate::document::keys::{self, ContentHash, ContentNumber};
use crate::ordered::{Map, Set};
use crate::revision::Rev;
use crate::storage::Batch;

/// The hash of a content of which nothing is left: no content has it.
const LOST: ContentHash = [0; 32];

/// What is known of the contents that are whole.
#[derive(Default)]
pub(super) struct Contents {
    /// How many parts there are of each content, and how many bytes these have.
    parts: Map<ContentNumber, (u64, u64)>,
    whole: Map<ContentHash, ContentRecord>,
    used: Set<ContentHash>,
    /// The numbers of contents that are used, or still to come.
    claimed: Set<ContentNumber>,
}

impl Contents {
    pub(super) fn count_part(&mut self, key: &[u8], value: &[u8]) {
        if let Some(number) = keys::part_number(key) {
            let (parts, bytes) = self.parts.get_or_default(number);
            *parts += 1;
            *bytes += value.len() as u64;
        }
    }

    pub(super) fn staged(&mut self, key: &[u8]) {
        self.claimed.extend(keys::staged_number(key));
    }

    /// Takes a content down that is whole, and deletes the record of one that is not.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8], batch: &mut Batch) {
        if let (Some(hash), Ok(record)) = (keys::content_hash(key), ContentRecord::decode(value)) {
            let expected = (record.length.div_ceil(PART_BYTES as u64), record.length);
            if self.parts.get(&record.number).copied().unwrap_or_default() == expected {
                self.whole.insert(hash, record);
                return;
            }
        }
        batch.delete(key);
    }

    /// What is left of a revision's attachments, of which its body tells: notes which content each stands for, as far as that is
    /// known, and its use. Whether all contents are here.
    pub(super) fn attach(
        &mut self,
        id: &str,
        rev: &Rev,
        shown: &[Attachment],
        stored: &[Entry],
        batch: &mut Batch,
    ) -> bool {
        let key = keys::attached(id, rev);
        let stored = stored.iter().find(|(stored, _)| *stored == key).map(|(_, record)| record.as_slice());
        let mut hashes = read_hashes(stored.unwrap_or_default()).unwrap_or_default().to_vec();
        if hashes.len() != shown.len() {
            hashes = shown.iter().map(|attachment| self.find(attachment).unwrap_or(LOST)).collect();
            batch.put(&key, hashes.as_flattened());
        }
        let mut all = true;
        for hash in hashes {
            match self.whole.get(&hash) {
                Some(record) => {
                    batch.put(&keys::use_of(&hash, id, rev), &[]);
                    self.claimed.insert(record.number);
                    self.used.insert(hash);
                }
                None => all = false,
            }
        }
        all
    }

    /// The content that an attachment's digest and length tell of.
    fn find(&self, attachment: &Attachment) -> Option<ContentHash> {
        let digest = attachment.digest.strip_prefix("md5-")?;
        let is_it = |record: &ContentRecord| record.length == attachment.length && record.md5_base64() == digest;
        self.whole.iter().find(|(_, record)| is_it(record)).map(|(hash, _)| *hash)
    }

    pub(super) fn is_used(&self, key: &[u8]) -> bool {
        keys::content_hash(key).is_some_and(|hash| self.used.contains(&hash))
    }

    pub(super) fn is_claimed(&self, key: &[u8]) -> bool {
        keys::part_number(key).is_some_and(|number| self.claimed.contains(&number))
    }
}

/// The records that belong to bodies that are gone.
pub(super) fn drop_orphans(id: &str, stored: &[Entry], bodies: &Set<Rev>, batch: &mut Batch) {
    let kept: Vec<Vec<u8>> = bodies.iter().map(|rev| keys::attached(id, rev)).collect();
    for (key, _) in stored.iter().filter(|(key, _)| !kept.contains(key)) {
        batch.delete(key);
    }
}
