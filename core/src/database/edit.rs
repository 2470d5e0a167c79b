//! The edit of one document during a write: its revision tree before and after, and the records that make the difference.
//!
//! An edit on the only leaf of a document needs no more of its tree than that leaf, whatever the length of its history. Any
//! other edit loads the tree.

use alloc::vec::Vec;

use super::attached::{self, Attachment, Attachments};
use super::contents::ContentChanges;
use super::review::told;
use crate::document::{Head, Leaf, keys};
use crate::json::Object;
use crate::ordered::Set;
use crate::revision::{Merged, Node, Outcome, Rev, RevTree, Revisions};
use crate::storage::{Batch, Cursor, Direction, KeyRange, Snapshot, StorageError};

/// One document that is being edited.
pub(super) struct Edit {
    pub(super) id: alloc::string::String,
    /// The head as it is stored.
    pub(super) stored: Option<Head>,
    tree: Tree,
    /// The revisions that came in this write.
    pub(super) bodies: Vec<(Rev, Body)>,
    /// The stored leaves that a local edit of this write follows on.
    pub(super) replaced: Vec<Rev>,
    /// The revisions that this write purges.
    purged: Vec<Rev>,
}

/// A body that came in this write: as text, to be stored, and parsed, to be posted. The text shows the attachments.
pub(super) struct Body {
    pub(super) text: Vec<u8>,
    pub(super) members: Object,
    pub(super) attachments: Attachments,
}

/// What is held of a document's revision tree.
enum Tree {
    /// One branch: its leaf, and the nodes that this write has added to it.
    Branch { leaf: Leaf, added: Vec<(Rev, Node)> },
    /// All of it, and the revisions whose nodes differ from what is stored.
    Whole { tree: RevTree, changed: Vec<Rev> },
}

impl Edit {
    /// Begins the edit of the document called `id`.
    pub(super) async fn begin<S: Snapshot>(snapshot: &S, id: &str, head: Option<&[u8]>) -> Result<Self, StorageError> {
        let stored = head.map(Head::decode).transpose()?;
        let tree = match stored.as_ref().map(|head| head.leaves.as_slice()) {
            None => Tree::Whole { tree: RevTree::new(), changed: Vec::new() },
            Some([leaf]) => Tree::Branch { leaf: leaf.clone(), added: Vec::new() },
            Some(_) => Tree::Whole { tree: load_tree(snapshot, id).await?, changed: Vec::new() },
        };
        Ok(Self { id: id.into(), stored, tree, bodies: Vec::new(), replaced: Vec::new(), purged: Vec::new() })
    }

    /// The winning leaf as it is now: its revision, and whether it is deleted.
    pub(super) fn winner(&self) -> Option<(&Rev, bool)> {
        match &self.tree {
            Tree::Branch { leaf, .. } => Some((&leaf.rev, leaf.deleted)),
            Tree::Whole { tree, .. } => {
                let rev = tree.winner()?;
                Some((rev, tree.node(rev)?.deleted))
            }
        }
    }

    /// Whether `rev` is a leaf now.
    pub(super) fn is_leaf(&self, rev: &Rev) -> bool {
        match &self.tree {
            Tree::Branch { leaf, .. } => leaf.rev == *rev,
            Tree::Whole { tree, .. } => tree.is_leaf(rev),
        }
    }

    /// Whether `rev` is known to this write as a tombstone: as a leaf, or as what this write has added.
    pub(super) fn is_tombstone(&self, rev: &Rev) -> bool {
        match &self.tree {
            Tree::Branch { leaf, .. } if leaf.rev == *rev => leaf.deleted,
            Tree::Branch { added, .. } => added.iter().any(|(new, node)| new == rev && node.deleted),
            Tree::Whole { tree, .. } => tree.node(rev).is_some_and(|node| node.deleted),
        }
    }

    /// Whether `rev` is here, be it with its body or as an ancestor only.
    pub(super) async fn contains<S: Snapshot>(&self, snapshot: &S, rev: &Rev) -> Result<bool, StorageError> {
        Ok(snapshot.get(&keys::node(&self.id, rev)).await?.is_some())
    }

    /// Adds the newest revision of `path`, whose body came with it. The body comes back if the revision was here already.
    pub(super) async fn add<S: Snapshot>(
        &mut self,
        snapshot: &S,
        path: &Revisions,
        deleted: bool,
        body: Body,
    ) -> Result<Option<Body>, StorageError> {
        let mut revs = path.iter();
        let (Some(rev), parent) = (revs.next(), revs.next()) else { return Ok(Some(body)) };
        if let Tree::Branch { leaf, added } = &mut self.tree {
            // A longer path may tell of ancestors that are not known yet.
            if parent.as_ref() == Some(&leaf.rev) && path.ids().len() == 2 {
                let node = Node { parent: Some(leaf.rev.hash().clone()), deleted, available: true, superseded: false };
                added.push((rev.clone(), node));
                *leaf = Leaf { rev: rev.clone(), deleted, lost: false, oldest: leaf.oldest };
                self.bodies.push((rev, body));
                return Ok(None);
            }
            let mut tree = load_tree(snapshot, &self.id).await?;
            let changed = added.iter().map(|(rev, _)| rev.clone()).collect();
            for (rev, node) in added.drain(..) {
                tree.insert_stored(&rev, node);
            }
            self.tree = Tree::Whole { tree, changed };
        }
        let Tree::Whole { tree, changed } = &mut self.tree else { return Ok(Some(body)) };
        let Merged { outcome, changed: differing } = tree.merge_path(path, deleted);
        changed.extend(differing);
        if outcome == Outcome::Known {
            return Ok(Some(body));
        }
        self.bodies.push((rev, body));
        Ok(None)
    }

    /// Notes that a local edit follows on `parent`.
    pub(super) fn replace(&mut self, parent: &Rev) {
        if self.stored.as_ref().is_some_and(|head| head.leaves.iter().any(|leaf| leaf.rev == *parent)) {
            self.replaced.push(parent.clone());
        }
    }

    /// Whether this write changes the document.
    pub(super) fn is_changed(&self) -> bool {
        !self.bodies.is_empty() || !self.purged.is_empty()
    }

    /// The attachments of a revision that is here.
    pub(super) async fn attachments_of<S: Snapshot>(
        &self,
        snapshot: &S,
        rev: &Rev,
    ) -> Result<Vec<Attachment>, StorageError> {
        match self.bodies.iter().find(|(new, _)| new == rev) {
            Some((_, body)) => Ok(body.attachments.all.clone()),
            None => attached::attachments_of(snapshot, &self.id, rev).await,
        }
    }

    /// The attachments of all revisions that are here, the newest first.
    pub(super) async fn all_attachments<S: Snapshot>(&self, snapshot: &S) -> Result<Vec<Attachment>, StorageError> {
        let new = self.bodies.iter().rev().flat_map(|(_, body)| body.attachments.all.iter().cloned());
        let mut all: Vec<Attachment> = new.collect();
        all.append(&mut attached::attachments_of_all(snapshot, &self.id).await?);
        Ok(all)
    }

    /// Takes the leaf `rev` away, and those of its ancestors that no other leaf descends from; returns them, the leaf first.
    /// `None` if it is no leaf.
    pub(super) async fn purge<S: Snapshot>(
        &mut self,
        snapshot: &S,
        rev: &Rev,
    ) -> Result<Option<Vec<Rev>>, StorageError> {
        let mut tree = load_tree(snapshot, &self.id).await?;
        let Some(removed) = tree.prune(rev) else { return Ok(None) };
        self.purged.clone_from(&removed);
        self.tree = Tree::Whole { tree, changed: Vec::new() };
        Ok(Some(removed))
    }

    /// Cuts histories to `revs_limit` revisions a branch, adds nodes and bodies to `batch` and returns the leaves in
    /// the order of winning.
    pub(super) async fn stage<S: Snapshot>(
        &mut self,
        snapshot: &S,
        revs_limit: u32,
        contents: &mut ContentChanges,
        batch: &mut Batch,
    ) -> Result<Vec<Leaf>, StorageError> {
        let id = self.id.as_str();
        let mut removed = Set::new();
        removed.extend(self.purged.iter().cloned());
        let leaves = match &mut self.tree {
            Tree::Branch { leaf, added } => {
                for (rev, node) in added.iter() {
                    put_node(id, rev, node, batch);
                }
                let oldest = (leaf.rev.generation() + 1).saturating_sub(u64::from(revs_limit).max(1));
                if leaf.oldest < oldest {
                    removed.extend(revisions_before(snapshot, id, oldest).await?);
                    removed.extend(added.iter().map(|(rev, _)| rev).filter(|rev| rev.generation() < oldest).cloned());
                    leaf.oldest = oldest;
                }
                [leaf.clone()].into()
            }
            Tree::Whole { tree, changed } => {
                removed.extend(tree.stem(revs_limit.max(1)));
                for rev in changed.iter() {
                    if let Some(node) = tree.node(rev) {
                        put_node(id, rev, node, batch);
                    }
                }
                leaves_of(tree, self.stored.as_ref())
            }
        };
        for rev in removed.iter() {
            batch.delete(&keys::node(id, rev));
            batch.delete(&keys::body(id, rev));
            batch.delete(&keys::base(id, rev));
            batch.delete(&keys::told(id, rev));
            contents.detach(snapshot, id, rev, batch).await?;
        }
        for (rev, body) in &mut self.bodies {
            let incoming = core::mem::take(&mut body.attachments.incoming);
            incoming.into_iter().for_each(|incoming| contents.add(incoming));
            if !removed.contains(rev) {
                batch.put(&keys::body(id, rev), &body.text);
                told::stage(id, rev, &body.members, batch);
                contents.attach(id, rev, &body.attachments.hashes(), batch);
            }
        }
        Ok(leaves)
    }
}

/// The leaves of a tree, of which the `stored` head tells which are lost: those that are as unavailable as they were.
fn leaves_of(tree: &RevTree, stored: Option<&Head>) -> Vec<Leaf> {
    let was_lost = |rev: &Rev| stored.is_some_and(|head| head.leaves.iter().any(|leaf| leaf.lost && leaf.rev == *rev));
    let leaf = |rev: &Rev| Leaf {
        rev: rev.clone(),
        deleted: tree.node(rev).is_some_and(|node| node.deleted),
        lost: tree.node(rev).is_some_and(|node| !node.available) && was_lost(rev),
        oldest: tree.ancestry(rev).last().unwrap_or(rev).generation(),
    };
    tree.leaves().into_iter().map(leaf).collect()
}

pub(super) fn put_node(id: &str, rev: &Rev, node: &Node, batch: &mut Batch) {
    let mut record = Vec::with_capacity(24);
    node.encode(&mut record);
    batch.put(&keys::node(id, rev), &record);
}

/// The stored revisions of the generations before `oldest`. Nodes stand in the order of their generations.
async fn revisions_before<S: Snapshot>(snapshot: &S, id: &str, oldest: u64) -> Result<Vec<Rev>, StorageError> {
    let mut revs = Vec::new();
    let prefix = keys::nodes(id);
    let mut nodes = snapshot.range(KeyRange::prefix(&prefix), Direction::Forward)?;
    while nodes.advance().await? {
        let Some((rev, _)) = nodes.key().get(prefix.len()..).and_then(Rev::decode) else {
            return Err(damaged_tree(id));
        };
        if rev.generation() >= oldest {
            break;
        }
        revs.push(rev);
    }
    Ok(revs)
}

/// The whole revision tree of a document.
pub(super) async fn load_tree<S: Snapshot>(snapshot: &S, id: &str) -> Result<RevTree, StorageError> {
    let prefix = keys::nodes(id);
    let mut tree = RevTree::new();
    let mut nodes = snapshot.range(KeyRange::prefix(&prefix), Direction::Forward)?;
    while nodes.advance().await? {
        let rev = nodes.key().get(prefix.len()..).and_then(Rev::decode);
        let (Some((rev, _)), Some((node, _))) = (rev, Node::decode(nodes.value())) else {
            return Err(damaged_tree(id));
        };
        tree.insert_stored(&rev, node);
    }
    Ok(tree)
}

fn damaged_tree(id: &str) -> StorageError {
    StorageError::Corrupt(alloc::format!("the revision tree of {id:?}"))
}
