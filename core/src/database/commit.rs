//! Committing edits: what a write changed of each document, its index, the feed and the counters, as one batch.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use futures_util::future::LocalBoxFuture;
use hashbrown::HashMap;

use super::bases;
use super::contents::ContentChanges;
use super::edit::Edit;
use super::live::{Change, Changes};
use super::requests::Record;
use super::review::open;
use super::state::State;
use super::text::{document_value, read_body};
use super::{Database, Ranges, WriteOptions};
use crate::document::{Head, keys};
use crate::index::{IndexUpdate, PathIndex, Updated};
use crate::json::Object;
use crate::progress::{Listener, Task};
use crate::revision::Rev;
use crate::storage::{Batch, Durability, Kv, Snapshot, StorageError};

/// From so many documents on a write tells how far it is, each time that it is through with so many.
const MANY: usize = 500;

/// The documents of one write in the order in which they came first.
#[derive(Default)]
pub(super) struct Edits {
    edits: Vec<Edit>,
    places: HashMap<String, usize>,
    /// Heads that were read ahead, with the ids of their documents, the next one last.
    ahead: Vec<(String, Option<Vec<u8>>)>,
}

impl Edits {
    /// The edit of the document called `id`, begun if this write has not touched it yet.
    pub(super) async fn of<S: Snapshot>(&mut self, snapshot: &S, id: &str) -> Result<&mut Edit, StorageError> {
        let ahead = self.ahead.pop_if(|(next, _)| next == id);
        let place = match self.places.get(id) {
            Some(place) => *place,
            None => {
                let head = match ahead {
                    Some((_, head)) => head,
                    None => snapshot.get(&keys::head(id)).await?,
                };
                self.edits.push(Edit::begin(snapshot, id, head.as_deref()).await?);
                self.places.insert(id.into(), self.edits.len() - 1);
                self.edits.len() - 1
            }
        };
        self.edits.get_mut(place).ok_or(StorageError::Closed)
    }

    /// Reads what [`Self::of`] will be asked for, in this order, at once.
    pub(super) async fn read_ahead<S: Snapshot>(
        &mut self,
        snapshot: &S,
        ids: impl Iterator<Item = &str>,
    ) -> Result<(), StorageError> {
        let ids: Vec<&str> = ids.filter(|id| !self.places.contains_key(*id)).collect();
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| keys::head(id)).collect();
        let heads = snapshot.get_many(&keys).await?;
        self.ahead = ids.into_iter().map(String::from).zip(heads).rev().collect();
        Ok(())
    }

    /// Whether the document called `id` was touched.
    pub(super) fn has(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// Whether nothing was touched.
    pub(super) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The batch that makes the difference in what `snapshot`, `index` and `state` show; `None` if there is none. What
    /// changes is added to `changes`, if anybody is to be told. Callers do not carry what it takes.
    pub(super) fn stage<'call, S: Snapshot>(
        self,
        snapshot: &'call S,
        index: &'call PathIndex,
        state: State,
        revs_limit: u32,
        changes: Option<Changes>,
        progress: &'call Listener,
    ) -> LocalBoxFuture<'call, Result<Option<Staged>, StorageError>> {
        Box::pin(async move {
            let mut stage = Stage::begin(snapshot, index, state, changes, self.edits.len());
            stage.add(self, revs_limit, progress).await?;
            stage.finish().await
        })
    }
}

/// The batch of a write, while edits are added to it.
pub(super) struct Stage<'base, S> {
    snapshot: &'base S,
    batch: Batch,
    index: IndexUpdate<'base, S>,
    /// What holds of the database after the edits so far.
    state: State,
    first_seq: u64,
    contents: ContentChanges,
    has_purged: bool,
    arrived: Ranges,
    changes: Option<Changes>,
    /// How many documents have been added, and how many there are to be.
    done: usize,
    total: usize,
}

impl<'base, S: Snapshot> Stage<'base, S> {
    /// Begins a write of `total` documents to what `snapshot`, `index` and `state` show; what changes is added to `changes`, if anybody
    /// is to be told.
    pub(super) fn begin(
        snapshot: &'base S,
        index: &'base PathIndex,
        state: State,
        changes: Option<Changes>,
        total: usize,
    ) -> Self {
        Self {
            snapshot,
            batch: Batch::new(),
            index: index.update(snapshot),
            first_seq: state.seq + 1,
            state,
            contents: ContentChanges::default(),
            has_purged: false,
            arrived: Ranges::default(),
            changes,
            done: 0,
            total,
        }
    }

    /// Adds what `edits` change. None of their documents may have been added before.
    pub(super) async fn add(&mut self, edits: Edits, revs_limit: u32, progress: &Listener) -> Result<(), StorageError> {
        let count = edits.edits.len();
        for (place, edit) in edits.edits.into_iter().enumerate().filter(|(_, edit)| edit.is_changed()) {
            let done = self.done + place;
            if self.total >= MANY && done.is_multiple_of(MANY) {
                progress.tell(Task::Write, done as u64, Some(self.total as u64));
            }
            self.add_edit(edit, revs_limit).await?;
        }
        if self.done == 0 {
            self.batch.make_room(count, self.total);
        }
        self.done += count;
        Ok(())
    }

    async fn add_edit(&mut self, mut edit: Edit, revs_limit: u32) -> Result<(), StorageError> {
        let Self { snapshot, batch, index, state, contents, .. } = self;
        state.seq += 1;
        bases::stage(&edit, *snapshot, state, batch).await?;
        let leaves = edit.stage(*snapshot, revs_limit, contents, batch).await?;
        if leaves.iter().all(|leaf| edit.bodies.iter().any(|(rev, _)| *rev == leaf.rev)) {
            self.arrived.add(state.seq, state.seq);
        }
        // A document that was purged whole has no head any more, and no row in the feed.
        let head = (!leaves.is_empty()).then_some(Head { seq: state.seq, leaves });
        self.has_purged |= head.is_none();
        let winners = stage_postings(*snapshot, &mut edit, head.as_ref(), index, batch).await?;
        stage_head(&edit, head.as_ref(), batch);
        if let Some(count) = edit.stored.as_ref().and_then(|head| state.count_of(head)) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = head.as_ref().and_then(|head| state.count_of(head)) {
            *count += 1;
        }
        if let (Some(changes), Some(winners)) = (&mut self.changes, winners) {
            add_change(edit, winners, changes);
        }
        Ok(())
    }

    /// The batch; `None` if nothing differs.
    pub(super) async fn finish(self) -> Result<Option<Staged>, StorageError> {
        let Self {
            snapshot, mut batch, index, mut state, first_seq, mut contents, has_purged, arrived, changes, ..
        } = self;
        if state.seq < first_seq {
            return Ok(None);
        }
        contents.settle(snapshot, &mut batch).await?;
        state.stage(first_seq, &mut batch);
        let updated = index.stage(&mut batch).await?;
        Ok(Some(Staged { batch, documents: self.total, state, updated, contents, has_purged, arrived, changes }))
    }
}

/// What a write is about to commit.
pub(super) struct Staged {
    pub(super) batch: Batch,
    documents: usize,
    /// What holds of the database afterwards.
    state: State,
    updated: Updated,
    contents: ContentChanges,
    /// Whether a document is gone without a row in the feed.
    has_purged: bool,
    /// The changes of which all leaves came with this write.
    arrived: Ranges,
    changes: Option<Changes>,
}

impl<K: Kv> Database<K> {
    /// Commits what `edits` changed, and the records of the requests; nothing if they changed nothing. The caller holds the
    /// writer's lock, and has read all that led to the edits from `snapshot`. Returns the changes of which all leaves came with
    /// this write.
    pub(super) async fn commit_edits(
        &self,
        snapshot: &K::Snapshot,
        edits: Edits,
        write: &WriteOptions,
        records: &[Record],
    ) -> Result<Ranges, StorageError> {
        let state = self.state.borrow().clone();
        let (limit, changes) = (self.revs_limit.get(), self.subscribers.gather());
        let staged = edits.stage(snapshot, &self.index, state, limit, changes, &self.progress).await?;
        self.commit_if_any(staged, write, records).await
    }

    /// Commits what was staged, if anything was, as [`commit_edits`](Self::commit_edits) does.
    pub(super) async fn commit_if_any(
        &self,
        staged: Option<Staged>,
        write: &WriteOptions,
        records: &[Record],
    ) -> Result<Ranges, StorageError> {
        let Some(mut staged) = staged else { return Ok(Ranges::default()) };
        let arrived = mem::take(&mut staged.arrived);
        self.commit_staged(staged, write.durability, records).await?;
        Ok(arrived)
    }

    /// Commits what was staged. The caller has held the writer's lock since before it was.
    pub(super) async fn commit_staged(
        &self,
        mut staged: Staged,
        durability: Option<Durability>,
        records: &[Record],
    ) -> Result<(), StorageError> {
        // A client's record may be put after it was thought gone: so what goes comes first.
        self.drop_forgotten(&mut staged.batch);
        for record in records {
            record.stage(&mut staged.batch);
        }
        self.kv.commit(staged.batch, durability.unwrap_or(self.options.durability)).await?;
        if staged.documents >= MANY {
            self.progress.tell(Task::Write, staged.documents as u64, Some(staged.documents as u64));
        }
        staged.contents.committed(&self.staging);
        self.index.adopt(staged.updated);
        if staged.has_purged {
            self.purge_seq.set(staged.state.seq);
        }
        self.state.replace(staged.state);
        self.changed.notify(usize::MAX);
        self.subscribers.publish(staged.changes);
        Ok(())
    }
}

/// The winner of a document before and after an edit; none if it is deleted.
type Winners = [Option<(Rev, Object)>; 2];

fn add_change(edit: Edit, winners: Winners, changes: &mut Changes) {
    let bytes = edit.bodies.iter().map(|(_, body)| body.text.len()).sum();
    let [before, after] =
        winners.map(|winner| winner.map(|(rev, members)| document_value(&edit.id, &rev, false, members)));
    changes.add(Change { id: edit.id, before, after }, bytes);
}

/// The row of the feed for a document with this head.
pub(super) fn change_row(id: &str, head: &[u8]) -> Vec<u8> {
    let length = u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes();
    [length.as_slice(), id.as_bytes(), head].concat()
}

fn stage_head(edit: &Edit, head: Option<&Head>, batch: &mut Batch) {
    match head {
        Some(head) => {
            let mut record = Vec::with_capacity(48);
            head.encode(&mut record);
            batch.put(&keys::head(&edit.id), &record);
            batch.put(&keys::change(head.seq), &change_row(&edit.id, &record));
        }
        None => batch.delete(&keys::head(&edit.id)),
    }
    open::stage(&edit.id, edit.stored.as_ref(), head, batch);
    if let Some(stored) = &edit.stored {
        batch.delete(&keys::change(stored.seq));
    }
}

/// Adds to `batch` what the edit changes of the index, and returns the winners if they differ.
async fn stage_postings<S: Snapshot>(
    snapshot: &S,
    edit: &mut Edit,
    head: Option<&Head>,
    index: &mut IndexUpdate<'_, S>,
    batch: &mut Batch,
) -> Result<Option<Winners>, StorageError> {
    let alive = |head: &Head| head.alive().map(|leaf| leaf.rev.clone());
    let (before, after) = (edit.stored.as_ref().and_then(alive), head.and_then(alive));
    if before == after {
        return Ok(None);
    }
    let mut winners = [None, None];
    for (rev, winner) in [before, after].into_iter().zip(&mut winners) {
        let Some(rev) = rev else { continue };
        let members = match edit.bodies.iter_mut().find(|(new, _)| *new == rev) {
            Some((_, body)) => mem::take(&mut body.members),
            None => read_body(snapshot, &edit.id, &rev).await?,
        };
        *winner = Some((rev, members));
    }
    // Design documents are not found by queries, as in CouchDB.
    if !edit.id.starts_with('_') {
        let [before, after] = winners.each_ref().map(|winner| winner.as_ref().map(|(_, members)| members));
        index.replace(&edit.id, before, after, batch).await?;
    }
    Ok(Some(winners))
}
