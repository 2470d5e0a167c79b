//! Purging: a revision is taken out of this replica as if it had never been here. Other replicas keep theirs, and may bring
//! it back.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::commit::Edits;
use super::requests::Record;
use super::{Database, WriteError, WriteOptions};
use crate::document::check_id;
use crate::revision::Rev;
use crate::storage::Kv;

/// What was purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    /// The leaf, and those of its ancestors that no other leaf descends from, in this order.
    pub deleted_revs: Vec<String>,
    /// Whether nothing of the document is left.
    pub document_was_removed: bool,
}

impl<K: Kv> Database<K> {
    /// Takes the leaf `rev` out of this replica, with those of its ancestors that no other leaf descends from, their bodies,
    /// and contents of attachments that nothing else uses. The winner, the index, the counts and the feed follow in the same
    /// commit; a document of which nothing is left is no longer in the feed.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if there is no such revision, [`WriteError::NotALeaf`] if another descends from it; nothing
    /// was changed.
    pub async fn purge(&self, id: &str, rev: &str, write: &WriteOptions) -> Result<Purged, WriteError> {
        check_id(id)?;
        let rev = Rev::parse(rev)?;
        let _writer = self.writer.lock().await;
        let snapshot = self.kv.snapshot()?;
        let mut edits = Edits::default();
        let edit = edits.of(&snapshot, id).await?;
        if !edit.contains(&snapshot, &rev).await? {
            return Err(WriteError::NotFound);
        }
        let removed = edit.purge(&snapshot, &rev).await?.ok_or(WriteError::NotALeaf)?;
        let document_was_removed = edit.winner().is_none();
        let purged = Purged { deleted_revs: removed.iter().map(ToString::to_string).collect(), document_was_removed };
        let record = write.request.map(|request| Record::of_purged(request, &purged));
        self.commit_edits(&snapshot, edits, write, record.as_slice()).await?;
        Ok(purged)
    }
}
