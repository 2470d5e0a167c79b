//! Snapshots for fresh replicas: documents and index as sorted entries, packed by one replica and adopted by another.
//!
//! What concerns the replica alone stays where it is: its identity, counters and epochs, local documents (checkpoints among
//! them), requests of clients, consumers, contents whose documents are not written yet. Sequence numbers go along, so that the
//! feed of the fresh replica is the one of the other, up to the snapshot.

use alloc::vec::Vec;

use super::arrivals::Arrivals;
use super::snapshot_check::Check;
use super::snapshot_head::{SNAPSHOT_VERSION, SnapshotHead};
use super::state::State;
use super::{Database, reindex};
use crate::document::keys::{self, ContentNumber};
use crate::index::keyspace;
use crate::storage::adoption::Adoption;
use crate::storage::blocks::Blocks;
use crate::storage::pack::Pack;
use crate::storage::restore::{RestoreError, malformed};
use crate::storage::store::LogStore;
use crate::storage::{Cursor, Direction, FORMAT_VERSION, KeyRange, Kv, Snapshot, StorageError};

/// What the keys start with that travel, in order.
const TRAVELLING: [&[u8]; 12] = [
    keys::all_parts(),
    &[keyspace::PATH_NAME],
    keys::all_attached(),
    keys::all_bodies(),
    keys::contents(),
    keys::heads(),
    &[keyspace::POSTING],
    &[keyspace::CARDINALITY],
    &[keyspace::PATH],
    keys::all_nodes(),
    keys::changes(),
    keys::all_uses(),
];

/// A snapshot that is being made.
#[derive(Debug)]
pub struct Packing<S: Snapshot> {
    /// What it says of itself.
    pub head: SnapshotHead,
    snapshot: S,
    cursor: Option<S::Cursor>,
    /// How many of the prefixes were begun.
    begun: usize,
    /// Contents that have parts, and no document.
    staged: Vec<ContentNumber>,
    pack: Pack,
}

impl<K: Kv> Database<K> {
    /// Begins a snapshot of what the database holds now.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn pack(&self) -> Result<Packing<K::Snapshot>, StorageError> {
        let snapshot = self.kv.snapshot()?;
        let stored = State::counted_in(&snapshot).await?;
        let mut staged = Vec::new();
        let mut records = snapshot.range(KeyRange::prefix(keys::all_staged()), Direction::Forward)?;
        while records.advance().await? {
            staged.extend(keys::staged_number(records.key()));
        }
        let head = SnapshotHead {
            version: SNAPSHOT_VERSION,
            format: FORMAT_VERSION.into(),
            seq: self.state.borrow().token(stored.seq),
            last: stored.seq,
            doc_count: stored.doc_count,
            doc_del_count: stored.doc_del_count,
            exclude: reindex::excluded(&self.index),
        };
        Ok(Packing { head, snapshot, cursor: None, begun: 0, staged, pack: Pack::default() })
    }

    /// How many numbers the feed has given since this one; `None` if it does not tell all that happened: a document was purged.
    pub fn changes_since(&self, seq: u64) -> Option<u64> {
        if self.purge_seq.get() > seq { None } else { self.state.borrow().seq.checked_sub(seq) }
    }

    /// Whether a snapshot can take the place of pulling all: nothing was ever written, and nobody judges what is.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state.borrow().seq == 0 && self.logic.is_none()
    }

    /// Whether the snapshot is one that this database can take.
    pub(crate) fn fits(&self, head: &SnapshotHead) -> bool {
        head.version == SNAPSHOT_VERSION
            && head.format <= u64::from(FORMAT_VERSION)
            && head.last > 0
            && head.exclude == reindex::excluded(&self.index)
    }
}

impl<S: Snapshot> Packing<S> {
    /// The next bytes, made of entries of about `bytes`; none at the end.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn next(&mut self, bytes: usize) -> Result<Vec<u8>, StorageError> {
        loop {
            let is_more = self.fill(bytes).await?;
            let out = self.pack.take();
            if !out.is_empty() || !is_more {
                return Ok(out);
            }
        }
    }

    /// Adds entries of about `bytes`; `false` once there are no more.
    async fn fill(&mut self, bytes: usize) -> Result<bool, StorageError> {
        let mut added = 0;
        while added < bytes {
            let Some(cursor) = &mut self.cursor else {
                let Some(prefix) = TRAVELLING.get(self.begun) else { return Ok(false) };
                self.begun += 1;
                self.cursor = Some(self.snapshot.range(KeyRange::prefix(prefix), Direction::Forward)?);
                continue;
            };
            if !cursor.advance().await? {
                self.cursor = None;
                continue;
            }
            let (key, value) = (cursor.key(), cursor.value());
            added += key.len() + value.len();
            if !keys::part_number(key).is_some_and(|number| self.staged.contains(&number)) {
                self.pack.add(key, value);
            }
        }
        Ok(true)
    }
}

impl<B: Blocks> Database<LogStore<B>> {
    /// Makes a snapshot that has come whole what this database holds, and notes that it came from a peer.
    ///
    /// # Errors
    /// [`RestoreError::NotEmpty`] if something was written meanwhile; [`RestoreError::Malformed`] for one that is not what it
    /// says. The database is as it was.
    pub(crate) async fn adopt(
        &self,
        adoption: &mut Adoption,
        check: &mut Check,
        head: &SnapshotHead,
        arrivals: &Arrivals,
    ) -> Result<(), RestoreError> {
        let adopted = self.kv.adopted(adoption).await?;
        let mut batch = check.documents(&adopted, &self.index.exclusions, head).await?;
        let _writing = self.writer.lock().await;
        if !self.is_fresh() {
            return Err(RestoreError::NotEmpty);
        }
        let mut state = self.state.borrow().clone();
        let counted = state.count_as(head.last, head.doc_count, head.doc_del_count);
        counted.ok_or_else(|| malformed("counts what cannot be"))?;
        state.stage(1, &mut batch);
        reindex::note(&self.index, &mut batch);
        batch.put(keyspace::NEXT_PATH, &check.next_path());
        self.kv.end_adoption(adoption, batch).await?;
        // Before anybody can see it, or a push would offer it back.
        arrivals.ranges.borrow_mut().add(1, head.last);
        self.state.replace(state);
        self.changed.notify(usize::MAX);
        self.subscribers.publish(None);
        Ok(())
    }
}
