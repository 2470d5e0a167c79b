//! The list of open reviews: which documents have more than one branch.
//!
//! A commit keeps it with the heads, so that an inbox of reviews costs what is in it, however many documents there are.

use alloc::string::String;
use alloc::vec::Vec;

use crate::database::Database;
use crate::database::reindex::delete_all;
use crate::document::{Head, keys};
use crate::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};

/// How many heads are looked at in one commit.
const HEADS_AT_ONCE: usize = 2_000;

/// A document with more than one branch, and the number of its latest change.
pub(crate) type Listed = (String, u64);

/// Adds to `batch` what becomes of the document's place in the list.
pub(in crate::database) fn stage(id: &str, before: Option<&Head>, after: Option<&Head>, batch: &mut Batch) {
    match after.filter(|head| is_open(head)) {
        Some(head) => batch.put(&keys::open_review(id), &head.seq.to_be_bytes()),
        None if before.is_some_and(is_open) => {
            batch.delete(&keys::open_review(id));
            batch.delete(&keys::asked_review(id));
        }
        None => {}
    }
}

/// Whether more than one branch is here.
fn is_open(head: &Head) -> bool {
    head.leaves.iter().filter(|leaf| leaf.is_alive()).count() > 1
}

/// Makes the list where there is none, or it is not to be trusted any more.
pub(in crate::database) async fn fit<K: Kv>(kv: &K) -> Result<(), StorageError> {
    if kv.snapshot()?.get(keys::OPEN_LISTED).await?.is_some() {
        return Ok(());
    }
    delete_all(kv, keys::open_reviews()).await?;
    let mut range = KeyRange::prefix(keys::heads());
    let mut is_over = false;
    while !is_over {
        let (snapshot, mut batch) = (kv.snapshot()?, Batch::new());
        let mut heads = snapshot.range(range.clone(), Direction::Forward)?;
        for _ in 0..HEADS_AT_ONCE {
            is_over = !heads.advance().await?;
            if is_over {
                batch.put(keys::OPEN_LISTED, &[]);
                break;
            }
            let id = keys::head_id(heads.key()).unwrap_or_default();
            stage(id, None, Some(&Head::decode(heads.value())?), &mut batch);
        }
        // The key right after the last.
        range.start = [heads.key(), &[0]].concat();
        kv.commit(batch, Durability::Relaxed).await?;
    }
    Ok(())
}

impl<K: Kv> Database<K> {
    /// The documents with more than one branch, by their ids, and the number of the latest change of each.
    pub(super) async fn listed(&self, snapshot: &K::Snapshot) -> Result<Vec<Listed>, StorageError> {
        let mut records = snapshot.range(KeyRange::prefix(keys::open_reviews()), Direction::Forward)?;
        let mut listed = Vec::new();
        while records.advance().await? {
            let id = keys::open_review_id(records.key()).ok_or_else(damaged)?;
            listed.push((id.into(), changed(records.value())?));
        }
        Ok(listed)
    }

    /// The ids of all documents with more than one branch.
    pub(crate) async fn all_open(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.listed(&self.kv.snapshot()?).await?.into_iter().map(|(id, _)| id).collect())
    }

    /// Which of these documents have more than one branch, and the number of the latest change of each.
    pub(crate) async fn open_among(&self, ids: &[&str]) -> Result<Vec<Listed>, StorageError> {
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| keys::open_review(id)).collect();
        let found = self.kv.snapshot()?.get_many(&keys).await?;
        let open = ids.iter().zip(found).filter_map(|(id, found)| Some((String::from(*id), changed(&found?))));
        open.map(|(id, seq)| Ok((id, seq?))).collect()
    }
}

fn changed(record: &[u8]) -> Result<u64, StorageError> {
    record.try_into().map(u64::from_be_bytes).map_err(|_| damaged())
}

fn damaged() -> StorageError {
    StorageError::Corrupt(String::from("the list of open reviews"))
}
