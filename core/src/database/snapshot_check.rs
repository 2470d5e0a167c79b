//! What is looked at of a snapshot before a database takes it over: nothing that a peer packed is believed.
//!
//! Documents are the peer's to tell, as in every pull; what follows from them is not. So each record that follows from others is
//! held against what they say: heads against revision trees, the feed and the counts against heads, the index against bodies, and
//! contents against their hashes. Entries come in the order of their keys, and not in that of the documents. Therefore each entry that
//! should be there is added to one sum, and each that is there is taken away from it, both by a hash under a key that the peer
//! does not know: **the sum is 0 at the end only if both are the same entries**, and no memory is needed for them.

#![expect(deprecated, reason = "the hasher that took its place is not in core; this one stays")]

use alloc::format;
use alloc::vec::Vec;
use core::hash::{Hasher, SipHasher};

use super::attached::stubs_in;
use super::commit::change_row;
use super::contents::{ContentRecord, Incoming, PART_BYTES, read_hashes};
use super::review::{open, told};
use super::snapshot_head::SnapshotHead;
use super::state::State;
use crate::document::{Head, Leaf, check_id, is_local, keys};
use crate::effects::Random;
use crate::index::{Cardinality, Exclusions, IndexUpdate, PathId, PathIndex, keyspace, read_name};
use crate::json::{self, Object, Value};
use crate::revision::{Node, Rev, RevTree};
use crate::storage::restore::{RestoreError, damaged, malformed};
use crate::storage::{Batch, Cursor, Direction, KeyRange, Snapshot, StorageError};

/// What is known of a snapshot that is being taken in.
pub(crate) struct Check {
    hasher: SipHasher,
    /// What should be there, less what is.
    missing: u64,
    /// The content whose parts come.
    content: Option<Incoming>,
    /// The path whose postings come, and how many of each type it has so far.
    counted: Option<(PathId, Cardinality)>,
    /// The greatest number of a path.
    path: PathId,
    /// How many revisions have attachments, less those whose attachments were looked at.
    attached: u64,
    /// Counts the documents.
    state: State,
}

impl Check {
    pub(crate) fn new(random: &impl Random) -> Self {
        let mut secret = [0; 16];
        random.fill(&mut secret);
        let (first, second) = secret.split_at(8);
        let half = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        Self {
            hasher: SipHasher::new_with_keys(half(first), half(second)),
            missing: 0,
            content: None,
            counted: None,
            path: 0,
            attached: 0,
            state: State::default(),
        }
    }

    /// The record that says which number the next path gets.
    pub(super) fn next_path(&self) -> [u8; 4] {
        self.path.saturating_add(1).to_be_bytes()
    }

    fn hash(&self, key: &[u8], value: &[u8]) -> u64 {
        let mut hasher = self.hasher.clone();
        hasher.write_usize(key.len());
        hasher.write(key);
        hasher.write(value);
        hasher.finish()
    }

    fn require(&mut self, key: &[u8], value: &[u8]) {
        self.missing = self.missing.wrapping_add(self.hash(key, value));
    }

    fn find(&mut self, key: &[u8], value: &[u8]) {
        self.missing = self.missing.wrapping_sub(self.hash(key, value));
    }

    /// Takes an entry down. They come in the order of their keys.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), RestoreError> {
        let (kind, rest) = key.split_first().ok_or_else(|| wrong("an entry"))?;
        let kind = [*kind];
        if kind != keys::all_parts() {
            self.end_content();
        }
        if kind != [keyspace::POSTING] {
            self.end_path();
        }
        match kind.as_slice() {
            kind if kind == keys::all_parts() => return self.part(key, value).ok_or_else(|| wrong("a content")),
            kind if kind == keys::contents() => {
                let record = ContentRecord::decode(value).map_err(damaged)?;
                if record.length == 0 {
                    self.expect_content(Incoming::numbered(record.number));
                }
                self.find(key, value);
            }
            kind if kind == keys::all_attached() => {
                let mut hashes = read_hashes(value).map_err(damaged)?.to_vec();
                hashes.sort_unstable();
                hashes.dedup();
                for hash in hashes {
                    self.require(&[&keys::uses(&hash), rest].concat(), &[]);
                }
                self.attached = self.attached.wrapping_add(1);
            }
            kind if kind == keys::heads() => {
                let id = keys::head_id(key).filter(|id| check_id(id).is_ok() && !is_local(id));
                let id = id.ok_or_else(|| wrong("an id"))?;
                let head = Head::decode(value).map_err(damaged)?;
                self.require(&keys::change(head.seq), &change_row(id, value));
                if let Some(count) = self.state.count_of(&head) {
                    *count += 1;
                }
                self.state.seq = self.state.seq.max(head.seq);
            }
            [keyspace::PATH_NAME] => {
                let named = read_name(key, value).filter(|(path, parent, _)| parent < path);
                let (path, ..) = named.ok_or_else(|| wrong("a path"))?;
                self.path = path;
                self.require(&[&[keyspace::PATH], value].concat(), rest);
            }
            [keyspace::POSTING] => {
                let (path, posted) = rest.split_first_chunk().ok_or_else(|| wrong("a posting"))?;
                self.count(PathId::from_be_bytes(*path), posted);
                self.find(key, value);
            }
            [keyspace::CARDINALITY | keyspace::PATH] => self.find(key, value),
            kind if kind == keys::changes() || kind == keys::all_uses() => self.find(key, value),
            // They are looked at with their documents.
            kind if kind == keys::all_bodies() || kind == keys::all_nodes() => {}
            _ => return Err(malformed("has what is another's alone")),
        }
        Ok(())
    }

    fn count(&mut self, path: PathId, posted: &[u8]) {
        if self.counted.as_ref().is_some_and(|(counted, _)| *counted != path) {
            self.end_path();
        }
        let (_, cardinality) = self.counted.get_or_insert_with(|| (path, Cardinality::default()));
        cardinality.count(posted);
    }

    fn end_path(&mut self) {
        if let Some((path, cardinality)) = self.counted.take() {
            let (key, value) = cardinality.entry(path);
            self.require(&key, &value);
        }
    }

    /// Takes a part of a content down; `None` unless it is the next one.
    fn part(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let number = keys::part_number(key)?;
        if self.content.as_ref().is_some_and(|content| content.number() != number) {
            self.end_content();
        }
        let content = self.content.get_or_insert_with(|| Incoming::numbered(number));
        let place = content.length() / PART_BYTES as u64;
        let belongs = content.length().is_multiple_of(PART_BYTES as u64) && (1..=PART_BYTES).contains(&value.len());
        let key_there = keys::part(&number, u32::try_from(place).ok()?);
        (belongs && key == key_there).then(|| content.hash(value))
    }

    fn end_content(&mut self) {
        if let Some(content) = self.content.take() {
            self.expect_content(content);
        }
    }

    fn expect_content(&mut self, content: Incoming) {
        let hash = content.content_hash();
        self.require(&keys::content(&hash), &content.record());
    }

    /// Looks at all documents, once all entries have come, of which `snapshot` has nothing else; then all must agree. Returns what a
    /// database keeps of them beside: what merges tell, and the list of open reviews.
    pub(super) async fn documents<S: Snapshot>(
        &mut self,
        snapshot: &S,
        exclusions: &Exclusions,
        head_told: &SnapshotHead,
    ) -> Result<Batch, RestoreError> {
        self.end_content();
        self.end_path();
        let mut beside = Batch::new();
        // Of its own: should the snapshot not be taken, nothing may be known of it.
        let index = PathIndex::new(Exclusions::new(exclusions.paths().to_vec()));
        let mut index = index.update(snapshot);
        let mut heads = snapshot.range(KeyRange::prefix(keys::heads()), Direction::Forward)?;
        let mut nodes = Following::new(snapshot, keys::all_nodes()).await?;
        let mut bodies = Following::new(snapshot, keys::all_bodies()).await?;
        while heads.advance().await? {
            let id = keys::head_id(heads.key()).unwrap_or_default();
            let head = Head::decode(heads.value()).map_err(damaged)?;
            let tree = tree(id, &mut nodes).await?;
            let mut present = Vec::new();
            let prefix = keys::bodies(id);
            while let Some(rev) = bodies.rev(&prefix)? {
                let mut members = body(bodies.cursor.value()).ok_or_else(|| wrong("a body"))?;
                self.attachments(snapshot, id, &rev, &mut members).await?;
                if head.alive().is_some_and(|winner| winner.rev == rev) && !id.starts_with('_') {
                    self.post(&mut index, id, &members).await?;
                }
                told::stage(id, &rev, &members, &mut beside);
                present.push(rev);
                bodies.advance().await?;
            }
            if head.leaves != leaves(&tree, &present) {
                return Err(wrong(&format!("the head of {id:?}")));
            }
            open::stage(id, None, Some(&head), &mut beside);
        }
        let counted =
            (self.state.doc_count, self.state.doc_del_count) == (head_told.doc_count, head_told.doc_del_count);
        let all = !nodes.stands && !bodies.stands && self.attached == 0 && self.missing == 0;
        if all && counted && self.state.seq <= head_told.last {
            Ok(beside)
        } else {
            Err(malformed("does not agree with itself"))
        }
    }

    async fn post<S: Snapshot>(
        &mut self,
        index: &mut IndexUpdate<'_, S>,
        id: &str,
        members: &Object,
    ) -> Result<(), StorageError> {
        let postings = index.post(Some(members)).await?;
        postings.each(id, &mut |key, value| self.require(key, value));
        Ok(())
    }

    /// Takes the stubs of its attachments out of a body, and holds them against the contents that they stand for.
    async fn attachments<S: Snapshot>(
        &mut self,
        snapshot: &S,
        id: &str,
        rev: &Rev,
        members: &mut Object,
    ) -> Result<(), RestoreError> {
        let stubs = stubs_in(members);
        if members.iter().any(|(name, _)| name.starts_with('_')) {
            return Err(wrong("a body"));
        }
        if stubs.is_empty() {
            return Ok(());
        }
        let record = snapshot.get(&keys::attached(id, rev)).await?.unwrap_or_default();
        let hashes = read_hashes(&record).map_err(damaged)?;
        let mut agree = hashes.len() == stubs.len();
        for (stub, hash) in stubs.iter().zip(hashes) {
            let content = ContentRecord::read(snapshot, hash).await.map_err(damaged)?;
            agree &= content.is_some_and(|content| stub.may_stand_for(&content));
        }
        self.attached = self.attached.wrapping_sub(1);
        if agree { Ok(()) } else { Err(wrong(&format!("the attachments of {id:?}"))) }
    }
}

/// Walks the records of revisions beside the heads of their documents.
struct Following<C> {
    cursor: C,
    stands: bool,
}

impl<C: Cursor> Following<C> {
    async fn new<S: Snapshot<Cursor = C>>(snapshot: &S, prefix: &[u8]) -> Result<Self, StorageError> {
        let cursor = snapshot.range(KeyRange::prefix(prefix), Direction::Forward)?;
        let mut following = Self { cursor, stands: false };
        following.advance().await?;
        Ok(following)
    }

    async fn advance(&mut self) -> Result<(), StorageError> {
        self.stands = self.cursor.advance().await?;
        Ok(())
    }

    /// The revision of the record, if its key starts with `prefix`.
    fn rev(&self, prefix: &[u8]) -> Result<Option<Rev>, RestoreError> {
        let Some(rest) = self.cursor.key().strip_prefix(prefix).filter(|_| self.stands) else { return Ok(None) };
        match Rev::decode(rest) {
            Some((rev, [])) => Ok(Some(rev)),
            _ => Err(wrong("a revision")),
        }
    }
}

/// The revision tree of the document called `id`, whose nodes come next.
async fn tree<C: Cursor>(id: &str, nodes: &mut Following<C>) -> Result<RevTree, RestoreError> {
    let mut tree = RevTree::new();
    let prefix = keys::nodes(id);
    while let Some(rev) = nodes.rev(&prefix)? {
        let Some((node, [])) = Node::decode(nodes.cursor.value()) else { return Err(wrong("a revision")) };
        tree.insert_stored(&rev, node);
        nodes.advance().await?;
    }
    Ok(tree)
}

/// The leaves of a document with these bodies, as its head should list them.
fn leaves(tree: &RevTree, present: &[Rev]) -> Vec<Leaf> {
    let leaf = |rev: &Rev| Leaf {
        rev: rev.clone(),
        deleted: tree.node(rev).is_some_and(|node| node.deleted),
        lost: !present.contains(rev),
        oldest: tree.ancestry(rev).last().unwrap_or(rev).generation(),
    };
    tree.leaves().into_iter().map(leaf).collect()
}

/// The members of a body as it is stored: whoever reads one puts other members before and behind them.
fn body(text: &[u8]) -> Option<Object> {
    let Ok(Value::Object(members)) = json::parse(text) else { return None };
    let is_bare = text.first() == Some(&b'{') && text.last() == Some(&b'}') && (!members.is_empty() || text.len() == 2);
    is_bare.then_some(members)
}

fn wrong(what: &str) -> RestoreError {
    malformed(&format!("has {what} that nobody writes"))
}
