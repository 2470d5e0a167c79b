//! Compaction: bodies of revisions that are no leaves go, and contents that nothing uses.
//!
//! The nodes of the revision tree stay, so that a replica still knows what it has seen; and so do the bodies that branches
//! grew from which are still open, for a review needs its base. What is walked is the feed, from the last change on that an
//! earlier compaction dealt with: a document that did not change since has nothing to drop.
//!
//! It works in slices, each of one bounded commit, and keeps writers out for one slice at a time. An engine that dies between
//! two leaves a consistent database, and the next compaction goes on.

use alloc::string::String;
use alloc::vec::Vec;

use super::Database;
use super::bases::{bases_of, peers_in};
use super::changes::read_change;
use super::contents::{ContentChanges, ContentRecord, delete_content, is_used};
use super::edit::{load_tree, put_node};
use super::read::read_head;
use super::review::told::merged_into;
use super::state::State;
use crate::document::{Head, keys};
use crate::ordered::Set;
use crate::revision::Rev;
use crate::storage::{Batch, Cursor, Direction, KeyRange, Kv, Snapshot, StorageError};

/// How many records a slice looks at.
const RECORDS_PER_SLICE: usize = 256;
/// How many operations the commit of a slice has before it looks at no more.
const OPERATIONS_PER_SLICE: usize = 2048;
/// How many parts of lost contents a slice deletes; it has to read them.
const LOST_PARTS_PER_SLICE: usize = 8;

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// How many documents it looked at.
    pub documents: u64,
    /// How many revisions lost their bodies.
    pub revisions: u64,
    /// How many contents of attachments went.
    pub contents_dropped: u64,
    /// How many contents of attachments stay, once it has come to their end.
    pub contents_kept: u64,
    /// How many bytes these have.
    pub contents_kept_bytes: u64,
    /// How many long contents are coming in, whose documents are not written yet.
    pub contents_incoming: u64,
}

/// A compaction under way.
#[derive(Debug)]
pub struct Compaction {
    /// What it did so far.
    pub done: Compacted,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Start,
    /// After the change of this number; changes from the second number on are left for the next time.
    Documents(u64, u64),
    /// Documents of which a base is taken down, from this key on.
    Bases(Vec<u8>),
    /// From this key on.
    Contents(Vec<u8>),
    Staged,
    End,
}

impl Default for Compaction {
    fn default() -> Self {
        Self { done: Compacted::default(), place: Place::Start }
    }
}

impl<K: Kv> Database<K> {
    /// Drops what is not needed any more, slice by slice.
    ///
    /// # Errors
    /// What the storage reports; what was dropped until then is gone.
    pub async fn compact(&self) -> Result<Compacted, StorageError> {
        let mut compaction = Compaction::default();
        while self.compact_slice(&mut compaction).await? {}
        Ok(compaction.done)
    }

    /// Goes on with a compaction for one commit; `false` once it is over. Between slices others can write.
    ///
    /// # Errors
    /// What the storage reports; the slice did nothing then.
    pub async fn compact_slice(&self, compaction: &mut Compaction) -> Result<bool, StorageError> {
        let _writer = self.writer.lock().await;
        let snapshot = self.kv.snapshot()?;
        let state = self.state.borrow().clone();
        let seq = state.seq;
        let mut slice = Slice { done: compaction.done.clone(), batch: Batch::new(), snapshot, state };
        let next = match &compaction.place {
            Place::Start => Place::Documents(slice.first().await?, seq.saturating_add(1)),
            Place::Documents(after, end) => slice.documents(*after, *end).await?,
            Place::Bases(from) => slice.bases(from.clone()).await?,
            Place::Contents(from) => slice.contents(from.clone()).await?,
            Place::Staged => slice.staged(|number| self.staging.holds(number)).await?,
            Place::End => return Ok(false),
        };
        if !slice.batch.is_empty() {
            self.kv.commit(slice.batch, self.options.durability).await?;
        }
        *compaction = Compaction { done: slice.done, place: next };
        Ok(!matches!(compaction.place, Place::End))
    }
}

/// One commit of a compaction.
struct Slice<S> {
    done: Compacted,
    batch: Batch,
    snapshot: S,
    /// What is known of peers.
    state: State,
}

impl<S: Snapshot> Slice<S> {
    /// The number of the last change that was dealt with before.
    async fn first(&self) -> Result<u64, StorageError> {
        let record = self.snapshot.get(keys::COMPACTED).await?;
        Ok(record.and_then(|record| record.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    async fn documents(&mut self, after: u64, end: u64) -> Result<Place, StorageError> {
        let range = KeyRange { start: keys::change(after.saturating_add(1)), end: Some(keys::change(end)) };
        let mut changes = self.snapshot.range(range, Direction::Forward)?;
        let mut contents = ContentChanges::default();
        let mut reached = after;
        let mut is_over = false;
        for _ in 0..RECORDS_PER_SLICE {
            is_over = !changes.advance().await?;
            if is_over {
                reached = end.saturating_sub(1);
                break;
            }
            let (seq, id, head) = read_change(changes.key(), changes.value())?;
            if !self.document(id, &head, &mut contents).await? {
                // The rest of the document is for the next slice.
                break;
            }
            self.done.documents += 1;
            reached = seq;
        }
        contents.settle(&self.snapshot, &mut self.batch).await?;
        self.done.contents_dropped += contents.dropped;
        if is_over || !self.batch.is_empty() {
            self.batch.put(keys::COMPACTED, &reached.to_be_bytes());
        }
        Ok(if is_over { Place::Bases(keys::bases().to_vec()) } else { Place::Documents(reached, end) })
    }

    /// Drops bodies of one document; whether it came to an end with it.
    async fn document(&mut self, id: &str, head: &Head, contents: &mut ContentChanges) -> Result<bool, StorageError> {
        if let [leaf] = head.leaves.as_slice()
            && leaf.rev.generation() == leaf.oldest
        {
            return Ok(true);
        }
        let mut tree = load_tree(&self.snapshot, id).await?;
        let mut kept = tree.bases();
        if let Some(winner) = head.alive().filter(|_| head.leaves.len() > 1) {
            // A merge can be taken back for as long as nobody went on from it.
            kept.extend(merged_into(&self.snapshot, id, &tree, &winner.rev).await?);
        }
        for (rev, peers) in bases_of(&self.snapshot, id).await? {
            let is_needed = tree.has_live_edit_of(&rev) && !self.state.know_all(&peers, head.seq);
            if is_needed {
                kept.insert(rev);
            } else {
                self.batch.delete(&keys::base(id, &rev));
            }
        }
        let dropped: Vec<Rev> = tree
            .iter()
            .filter(|(rev, node)| node.available && !tree.is_leaf(rev) && !kept.contains(rev))
            .map(|(rev, _)| rev.clone())
            .collect();
        for rev in dropped {
            if self.batch.len() >= OPERATIONS_PER_SLICE {
                return Ok(false);
            }
            if let Some(node) = tree.drop_body(&rev) {
                put_node(id, &rev, node, &mut self.batch);
                self.batch.delete(&keys::body(id, &rev));
                contents.detach(&self.snapshot, id, &rev, &mut self.batch).await?;
                self.done.revisions += 1;
            }
        }
        Ok(true)
    }

    /// Looks again at documents of which a base is taken down that may not be needed any more: what was synced since is no
    /// change.
    async fn bases(&mut self, from: Vec<u8>) -> Result<Place, StorageError> {
        let range = KeyRange { start: from, end: KeyRange::prefix(keys::bases()).end };
        let mut records = self.snapshot.range(range, Direction::Forward)?;
        let mut contents = ContentChanges::default();
        let (mut next, mut latest) = (Place::Contents(keys::contents().to_vec()), String::new());
        for looked in 0.. {
            if !records.advance().await? {
                break;
            }
            let damaged = || StorageError::Corrupt(String::from("the key of a base"));
            let id = keys::revision_id(records.key()).ok_or_else(damaged)?;
            if id == latest {
                continue;
            }
            if looked >= RECORDS_PER_SLICE {
                next = Place::Bases(records.key().to_vec());
                break;
            }
            let Some(head) = read_head(&self.snapshot, &id).await? else {
                // A repair may have left no document.
                self.batch.delete(records.key());
                continue;
            };
            if self.state.know_all(&peers_in(records.value()), head.seq) {
                if !self.document(&id, &head, &mut contents).await? {
                    next = Place::Bases(records.key().to_vec());
                    break;
                }
                latest = id;
            }
        }
        contents.settle(&self.snapshot, &mut self.batch).await?;
        self.done.contents_dropped += contents.dropped;
        Ok(next)
    }

    /// Deletes contents without a use: there are none, unless a store was damaged or written by other means.
    async fn contents(&mut self, from: Vec<u8>) -> Result<Place, StorageError> {
        let range = KeyRange { start: from, end: KeyRange::prefix(keys::contents()).end };
        let mut records = self.snapshot.range(range, Direction::Forward)?;
        for _ in 0..RECORDS_PER_SLICE {
            if !records.advance().await? {
                return Ok(Place::Staged);
            }
            let damaged = || StorageError::Corrupt(String::from("the key of a content"));
            let hash = keys::content_hash(records.key()).ok_or_else(damaged)?;
            if is_used(&self.snapshot, &hash, &Set::new()).await? {
                self.done.contents_kept += 1;
                // A damaged record may tell any length.
                let length = ContentRecord::decode(records.value())?.length;
                self.done.contents_kept_bytes = self.done.contents_kept_bytes.saturating_add(length);
            } else {
                delete_content(&self.snapshot, &hash, &mut self.batch).await?;
                self.done.contents_dropped += 1;
            }
        }
        // The key right after the last.
        Ok(Place::Contents([records.key(), &[0]].concat()))
    }

    /// Deletes what was staged by someone who died: no commit names it, and nobody holds it.
    async fn staged(&mut self, is_held: impl Fn(&keys::ContentNumber) -> bool) -> Result<Place, StorageError> {
        let mut records = self.snapshot.range(KeyRange::prefix(keys::all_staged()), Direction::Forward)?;
        let (mut parts_left, mut incoming) = (LOST_PARTS_PER_SLICE, 0);
        while records.advance().await? {
            let damaged = || StorageError::Corrupt(String::from("the key of a staged content"));
            let number = keys::staged_number(records.key()).ok_or_else(damaged)?;
            if is_held(&number) {
                incoming += 1;
                continue;
            }
            let mut parts = self.snapshot.range(KeyRange::prefix(&keys::parts(&number)), Direction::Forward)?;
            while parts.advance().await? {
                if parts_left == 0 {
                    return Ok(Place::Staged);
                }
                parts_left -= 1;
                self.batch.delete(parts.key());
            }
            self.batch.delete(records.key());
            self.done.contents_dropped += 1;
        }
        self.done.contents_incoming = incoming;
        Ok(Place::End)
    }
}
