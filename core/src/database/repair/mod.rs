//! Repair: makes a database that agrees with itself of what is left of a damaged one.
//!
//! The store below is salvaged first ([`LogStore::salvage`]); what cannot be read of it is gone. Documents are then put together
//! from their nodes, bodies and heads (`mend.rs`), and what derives from them is made anew: heads, the feed, counts, uses of
//! contents, the index. **Nothing is invented**: a revision whose body is lost stays what it is, a leaf that is not here, and no older
//! one is shown in its place. Such a leaf counts as missing, so a replication with a peer that has it brings it back.
//!
//! The repaired database is another replica: its identity is new, and so are its sequences' epochs. So no checkpoint, here or at a
//! peer, passes over what was lost, and consumers are shown all changes again.
//!
//! A record says that a repair is under way, from the step on that makes the salvaged store count. Until it is over the database
//! does not open, and repairing it again goes on.

mod contents;
mod mend;
mod report;

pub use report::{Loss, LostRevision, Repaired};

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::attached::{attachments_shown, read_members};
use super::changes::read_change;
use super::commit::change_row;
use super::edit::put_node;
use super::reindex;
use super::review::{open, told};
use super::state::State;
use super::{Database, Options};
use crate::document::{Head, Leaf, keys};
use crate::effects::Random;
use crate::index::{Exclusions, PathIndex};
use crate::json::Object;
use crate::ordered::{Map, Set};
use crate::progress::{Listener, Task};
use crate::revision::{Node, Rev, RevTree};
use crate::storage::blocks::Blocks;
use crate::storage::store::{LogStore, StoreOptions};
use crate::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use contents::Contents;

/// How many operations a commit has before the next is begun.
const OPERATIONS: usize = 2_000;
/// As [`OPERATIONS`], in bytes.
const BYTES: usize = 1024 * 1024;

impl<B: Blocks> Database<LogStore<B>> {
    /// Mends the database in `blocks`, whatever of it is damaged, and says what is lost. The store that it returns is to be opened.
    ///
    /// # Errors
    /// What the storage reports other than damage. The database is as it was then, or is to be repaired again.
    pub async fn repair(
        blocks: B,
        store: StoreOptions,
        random: &impl Random,
        options: &Options,
    ) -> Result<(LogStore<B>, Repaired), StorageError> {
        let progress = store.progress.clone();
        let (kv, blocks) = LogStore::salvage(blocks, store, keys::REPAIR).await?;
        let mut repair = Repair::default();
        repair.repaired.blocks = blocks;
        let mut batch = Batch::new();
        match kv.snapshot()?.get(keys::REPAIR).await? {
            // What an earlier repair noted that did not come to its end.
            Some(note) if repair.repaired.blocks.is_empty() => {
                let note = String::from_utf8_lossy(&note);
                repair.repaired.blocks = note.lines().map(String::from).collect();
            }
            Some(_) => {}
            None => batch.put(keys::REPAIR, &[]),
        }
        kv.commit(batch, Durability::Relaxed).await?;
        repair.state = State::anew(&kv, random).await?;
        let index = PathIndex::new(Exclusions::new(options.exclude.clone()));
        reindex::drop_index(&kv).await?;
        repair.run(&kv, &progress).await?;
        reindex::post_all(&kv, &index, Task::Repair, repair.repaired.documents, &progress).await?;
        let mut batch = Batch::new();
        repair.state.stage_anew(&mut batch);
        reindex::note(&index, &mut batch);
        batch.delete(keys::COMPACTED);
        batch.put(keys::OPEN_LISTED, &[]);
        batch.delete(keys::REPAIR);
        kv.commit(batch, Durability::Strict).await?;
        Ok((kv, repair.repaired))
    }
}

/// A stored record.
type Entry = (Vec<u8>, Vec<u8>);

/// What is done with each record of a kind.
#[derive(Clone, Copy)]
enum Pass {
    /// Rows of the feed: documents get back the heads of which the feed has a newer copy.
    HealHeads,
    CountParts,
    Staged,
    Contents,
    Delete,
    /// Documents of which there are other records get a head, if only an empty one, so that all are found by their heads.
    Name,
    Mend,
    /// Rows of the feed that are not those of a document's latest change go.
    DropStaleRows,
    DropUnused,
    DropUnclaimed,
}

const PASSES: [(Pass, &[u8]); 14] = [
    (Pass::HealHeads, keys::changes()),
    (Pass::CountParts, keys::all_parts()),
    (Pass::Staged, keys::all_staged()),
    (Pass::Contents, keys::contents()),
    // The uses that still hold are noted again with their revisions.
    (Pass::Delete, keys::all_uses()),
    (Pass::Delete, keys::open_reviews()),
    (Pass::Delete, keys::asked_reviews()),
    (Pass::Name, keys::all_nodes()),
    (Pass::Name, keys::all_bodies()),
    (Pass::Name, keys::all_attached()),
    (Pass::Mend, keys::heads()),
    (Pass::DropStaleRows, keys::changes()),
    (Pass::DropUnused, keys::contents()),
    (Pass::DropUnclaimed, keys::all_parts()),
];

/// A repair under way.
#[derive(Default)]
struct Repair {
    state: State,
    contents: Contents,
    /// The document that was named last.
    named: String,
    repaired: Repaired,
}

impl Repair {
    /// Walks over all records, in commits of bounded size. (Only here anything is waited for: it is a fifth of the code that way.)
    async fn run<K: Kv>(&mut self, kv: &K, progress: &Listener) -> Result<(), StorageError> {
        for (pass, prefix) in PASSES {
            let mut range = KeyRange::prefix(prefix);
            let mut is_over = false;
            while !is_over {
                let (snapshot, mut batch) = (kv.snapshot()?, Batch::new());
                let mut records = snapshot.range(range.clone(), Direction::Forward)?;
                while batch.len() < OPERATIONS && batch.bytes() < BYTES {
                    is_over = !records.advance().await?;
                    if is_over {
                        break;
                    }
                    let mut beside = Vec::new();
                    for wanted in self.wanted(pass, records.key(), records.value()) {
                        let mut found = Vec::new();
                        let mut others = snapshot.range(wanted, Direction::Forward)?;
                        while others.advance().await? {
                            found.push((others.key().to_vec(), others.value().to_vec()));
                        }
                        beside.push(found);
                    }
                    self.take(pass, records.key(), records.value(), &beside, &mut batch);
                }
                // The key right after the last.
                range.start = [records.key(), &[0]].concat();
                kv.commit(batch, Durability::Relaxed).await?;
                if self.repaired.documents > 0 {
                    progress.tell(Task::Repair, self.repaired.documents, None);
                }
            }
        }
        Ok(())
    }

    /// What has to be known beside a record.
    fn wanted(&self, pass: Pass, key: &[u8], value: &[u8]) -> Vec<KeyRange> {
        let exactly = |key: Vec<u8>| KeyRange { end: Some([key.as_slice(), &[0]].concat()), start: key };
        match pass {
            Pass::HealHeads | Pass::DropStaleRows => {
                read_change(key, value).into_iter().map(|(_, id, _)| exactly(keys::head(id))).collect()
            }
            Pass::Name => {
                let id = keys::revision_id(key).filter(|id| *id != self.named);
                id.into_iter().map(|id| exactly(keys::head(&id))).collect()
            }
            Pass::Mend => {
                let id = keys::head_id(key).unwrap_or_default();
                let row = Head::decode(value).map_or(0, |head| head.seq);
                let mut wanted = Vec::from([keys::nodes(id), keys::bodies(id), keys::attached_to_document(id)])
                    .iter()
                    .map(|prefix| KeyRange::prefix(prefix))
                    .collect::<Vec<_>>();
                wanted.push(exactly(keys::change(row)));
                wanted
            }
            _ => Vec::new(),
        }
    }

    /// Does with a record what the pass is for.
    fn take(&mut self, pass: Pass, key: &[u8], value: &[u8], beside: &[Vec<Entry>], batch: &mut Batch) {
        let first = beside.first().and_then(|found| found.first()).map(|(_, value)| value.as_slice());
        match pass {
            Pass::HealHeads => {
                let stored = first.and_then(|record| Head::decode(record).ok());
                if let Ok((_, id, head)) = read_change(key, value)
                    && stored.is_none_or(|stored| stored.seq < head.seq)
                {
                    batch.put(&keys::head(id), &encoded(&head));
                }
            }
            Pass::DropStaleRows => {
                let is_latest = read_change(key, value)
                    .is_ok_and(|(seq, _, head)| head.seq == seq && first == Some(encoded(&head).as_slice()));
                if !is_latest {
                    batch.delete(key);
                }
            }
            Pass::CountParts => self.contents.count_part(key, value),
            Pass::Staged => self.contents.staged(key),
            Pass::Contents => self.contents.record(key, value, batch),
            Pass::Delete => batch.delete(key),
            Pass::Name => {
                if let Some(id) = keys::revision_id(key).filter(|id| *id != self.named) {
                    if first.is_none() {
                        batch.put(&keys::head(&id), &[]);
                    }
                    self.named = id;
                }
            }
            Pass::Mend => match (keys::head_id(key), beside) {
                (Some(id), [nodes, bodies, attached, row]) => {
                    let document = Remains::read(id, [nodes, bodies, attached], &mut self.contents, batch);
                    self.mend(document, Head::decode(value).ok().as_ref(), row, batch);
                }
                _ => batch.delete(key),
            },
            Pass::DropUnused if !self.contents.is_used(key) => batch.delete(key),
            Pass::DropUnclaimed if !self.contents.is_claimed(key) => batch.delete(key),
            Pass::DropUnused | Pass::DropUnclaimed => {}
        }
    }

    fn mend(&mut self, document: Remains<'_>, stored: Option<&Head>, row: &[Entry], batch: &mut Batch) {
        let (id, key) = (document.id, keys::head(document.id));
        let leaves = document.mend(stored, batch, &mut self.repaired.lost);
        if leaves.is_empty() {
            return batch.delete(&key);
        }
        let mut head = Head { seq: stored.map_or(0, |head| head.seq), leaves };
        // One that is as it was keeps its place in the feed.
        let is_listed = row.first().is_some_and(|(_, row)| *row == change_row(id, &encoded(&head)));
        if stored != Some(&head) || !is_listed {
            self.state.seq += 1;
            head.seq = self.state.seq;
            let record = encoded(&head);
            batch.put(&key, &record);
            batch.put(&keys::change(head.seq), &change_row(id, &record));
        }
        open::stage(id, None, Some(&head), batch);
        if let Some(count) = self.state.count_of(&head) {
            *count += 1;
        }
        self.repaired.documents += 1;
    }
}

/// What is left of a document beside its head.
struct Remains<'id> {
    id: &'id str,
    nodes: Map<Rev, Node>,
    bodies: Set<Rev>,
    /// The bodies without members.
    empty: Set<Rev>,
    /// The revisions whose attachments are not all here.
    incomplete: Set<Rev>,
}

impl<'id> Remains<'id> {
    /// Takes in its nodes, bodies and records of attachments; what cannot be made sense of goes.
    fn read(id: &'id str, records: [&[Entry]; 3], contents: &mut Contents, batch: &mut Batch) -> Self {
        let mut remains = Self { id, nodes: Map::new(), bodies: Set::new(), empty: Set::new(), incomplete: Set::new() };
        let [nodes, bodies, attached] = records;
        let prefix = keys::nodes(id);
        for (key, record) in nodes {
            match (rev_in(key, &prefix), Node::decode(record)) {
                (Some(rev), Some((node, _))) => drop(remains.nodes.insert(rev, node)),
                _ => batch.delete(key),
            }
        }
        let prefix = keys::bodies(id);
        for (key, text) in bodies {
            let (Some(rev), Ok(members)) = (rev_in(key, &prefix), read_members(id, text)) else {
                batch.delete(key);
                continue;
            };
            if members.is_empty() {
                remains.empty.insert(rev.clone());
            }
            told::stage(id, &rev, &members, batch);
            let shown = attachments_shown(members);
            if !shown.is_empty() && !contents.attach(id, &rev, &shown, attached, batch) {
                remains.incomplete.insert(rev.clone());
            }
            remains.bodies.insert(rev);
        }
        contents::drop_orphans(id, attached, &remains.bodies, batch);
        remains
    }

    /// The leaves, winner first, after the nodes were brought in line with them; what is lost is told.
    fn mend(mut self, head: Option<&Head>, batch: &mut Batch, lost: &mut Vec<LostRevision>) -> Vec<Leaf> {
        let nodes: Vec<(Rev, Node)> = self.nodes.iter().cloned().collect();
        for rev in proven_tombstones(&nodes, head, &self.bodies) {
            batch.put(&keys::body(self.id, &rev), b"{}");
            self.empty.insert(rev.clone());
            self.bodies.insert(rev);
        }
        let tree = mend::mend(nodes, &self.bodies, &self.empty, head);
        let mut leaves = Vec::new();
        for leaf in tree.leaves() {
            let is_lost = !self.bodies.contains(leaf);
            leaves.push(Leaf {
                rev: leaf.clone(),
                deleted: tree.node(leaf).is_some_and(|node| node.deleted),
                lost: is_lost,
                oldest: tree.ancestry(leaf).last().unwrap_or(leaf).generation(),
            });
        }
        for (rev, node) in tree.iter() {
            let loss = self.loss(&tree, rev);
            if let Some(loss) = loss {
                lost.push(LostRevision { id: self.id.into(), rev: rev.to_string(), loss });
            }
            // Peers are asked again for a leaf that is not whole.
            let available = node.available && !(tree.is_leaf(rev) && self.incomplete.contains(rev));
            let node = Node { available, ..node.clone() };
            if self.nodes.get(rev) != Some(&node) {
                put_node(self.id, rev, &node, batch);
            }
        }
        leaves
    }

    fn loss(&self, tree: &RevTree, rev: &Rev) -> Option<Loss> {
        let was_here = self.nodes.get(rev).is_some_and(|node| node.available);
        match self.bodies.contains(rev) {
            true => self.incomplete.contains(rev).then_some(Loss::Attachments),
            false if tree.is_leaf(rev) => Some(Loss::Leaf),
            false => was_here.then_some(Loss::Ancestor),
        }
    }
}

/// The tombstones among the leaves whose bodies are lost that have no members: their revisions, which are made of what they say,
/// prove it.
fn proven_tombstones(nodes: &[(Rev, Node)], head: Option<&Head>, bodies: &Set<Rev>) -> Vec<Rev> {
    let is_deleted = |rev: &Rev, node: &Node| {
        node.deleted || head.is_some_and(|head| head.leaves.iter().any(|leaf| leaf.deleted && leaf.rev == *rev))
    };
    let is_proven = |rev: &Rev, node: &Node| {
        Rev::of_edit(node.parent_of(rev).as_ref(), true, &Object::new(), &Object::new()).as_ref() == Ok(rev)
    };
    nodes
        .iter()
        .filter(|(rev, node)| !bodies.contains(rev) && is_deleted(rev, node) && is_proven(rev, node))
        .map(|(rev, _)| rev.clone())
        .collect()
}

fn rev_in(key: &[u8], prefix: &[u8]) -> Option<Rev> {
    let (rev, rest) = Rev::decode(key.strip_prefix(prefix)?)?;
    rest.is_empty().then_some(rev)
}

fn encoded(head: &Head) -> Vec<u8> {
    let mut record = Vec::new();
    head.encode(&mut record);
    record
}
