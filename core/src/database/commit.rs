//! Committing edits: what a write changed of each document, its index, the feed and the counters, as one batch.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::contents::ContentChanges;
use super::edit::Edit;
use super::text::read_body;
use super::{Database, WriteOptions};
use crate::document::{Head, keys};
use crate::index::IndexUpdate;
use crate::storage::{Batch, Kv, Snapshot, StorageError};

/// The documents of one write in the order in which they came first.
#[derive(Default)]
pub(super) struct Edits {
    edits: Vec<Edit>,
    places: HashMap<String, usize>,
}

impl Edits {
    /// The edit of the document called `id`, begun if this write has not touched it yet.
    pub(super) async fn of<S: Snapshot>(&mut self, snapshot: &S, id: &str) -> Result<&mut Edit, StorageError> {
        let place = match self.places.get(id) {
            Some(place) => *place,
            None => {
                self.edits.push(Edit::begin(snapshot, id).await?);
                self.places.insert(id.into(), self.edits.len() - 1);
                self.edits.len() - 1
            }
        };
        self.edits.get_mut(place).ok_or(StorageError::Closed)
    }
}

impl<K: Kv> Database<K> {
    /// Commits what `edits` changed; nothing if they changed nothing. The caller holds the writer's lock, and has read
    /// all that led to the edits from `snapshot`.
    pub(super) async fn commit_edits(
        &self,
        snapshot: &K::Snapshot,
        edits: Edits,
        write: &WriteOptions,
    ) -> Result<(), StorageError> {
        let mut state = self.state.borrow().clone();
        let first_seq = state.seq + 1;
        let mut batch = Batch::new();
        let mut index = self.index.update(snapshot);
        let mut contents = ContentChanges::default();
        for mut edit in edits.edits.into_iter().filter(Edit::is_changed) {
            state.seq += 1;
            let leaves = edit.stage(snapshot, self.options.revs_limit, &mut contents, &mut batch).await?;
            // A document that was purged whole has no head any more.
            let head = (!leaves.is_empty()).then_some(Head { seq: state.seq, leaves });
            stage_postings(snapshot, &edit, head.as_ref(), &mut index, &mut batch).await?;
            stage_head(&edit, head.as_ref(), &mut batch);
            match edit.stored.as_ref().map(Head::is_deleted) {
                Some(true) => state.doc_del_count = state.doc_del_count.saturating_sub(1),
                Some(false) => state.doc_count = state.doc_count.saturating_sub(1),
                None => {}
            }
            match head.as_ref().map(Head::is_deleted) {
                Some(true) => state.doc_del_count += 1,
                Some(false) => state.doc_count += 1,
                None => {}
            }
        }
        if state.seq < first_seq {
            return Ok(());
        }
        contents.settle(snapshot, &mut batch).await?;
        state.stage(first_seq, &mut batch);
        let updated = index.stage(&mut batch).await?;
        self.kv.commit(batch, write.durability.unwrap_or(self.options.durability)).await?;
        contents.committed(&self.staging);
        self.index.adopt(updated);
        self.state.replace(state);
        self.changed.notify(usize::MAX);
        Ok(())
    }
}

fn stage_head(edit: &Edit, head: Option<&Head>, batch: &mut Batch) {
    match head {
        Some(head) => {
            let mut record = Vec::with_capacity(48);
            head.encode(&mut record);
            batch.put(&keys::head(&edit.id), &record);
            let length = u32::try_from(edit.id.len()).unwrap_or(u32::MAX).to_be_bytes();
            batch.put(&keys::change(head.seq), &[length.as_slice(), edit.id.as_bytes(), &record].concat());
        }
        None => batch.delete(&keys::head(&edit.id)),
    }
    if let Some(stored) = &edit.stored {
        batch.delete(&keys::change(stored.seq));
    }
}

/// Adds to `batch` what the edit changes of the index.
async fn stage_postings<S: Snapshot>(
    snapshot: &S,
    edit: &Edit,
    head: Option<&Head>,
    index: &mut IndexUpdate<'_, S>,
    batch: &mut Batch,
) -> Result<(), StorageError> {
    // Design documents are not found by queries, as in CouchDB.
    if edit.id.starts_with('_') {
        return Ok(());
    }
    let alive = |head: &Head| head.winner().filter(|leaf| !leaf.deleted).map(|leaf| leaf.rev.clone());
    let (before, after) = (edit.stored.as_ref().and_then(alive), head.and_then(alive));
    if before == after {
        return Ok(());
    }
    let mut bodies = [None, None];
    for (rev, body) in [before, after].iter().zip(&mut bodies) {
        if let Some(rev) = rev {
            *body = Some(match edit.bodies.iter().find(|(new, _)| new == rev) {
                Some((_, body)) => Cow::Borrowed(&body.members),
                None => Cow::Owned(read_body(snapshot, &edit.id, rev).await?),
            });
        }
    }
    let [before, after] = &bodies;
    index.replace(&edit.id, before.as_deref(), after.as_deref(), batch).await
}
