//! The edit of one document during a write: its revision tree before and after, and the records that make the difference.
//!
//! An edit on the only leaf of a document needs no more of its tree than that leaf, whatever the length of its history. Any
//! other edit loads the tree.

use alloc::vec::Vec;

use crate::document::{Head, Leaf, keys};
use crate::json::Object;
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
}

/// A body that came in this write: as text, to be stored, and parsed, to be posted.
pub(super) struct Body {
    pub(super) text: Vec<u8>,
    pub(super) members: Object,
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
    pub(super) async fn begin<S: Snapshot>(snapshot: &S, id: &str) -> Result<Self, StorageError> {
        let stored = match snapshot.get(&keys::head(id)).await? {
            Some(record) => Some(Head::decode(&record)?),
            None => None,
        };
        let tree = match stored.as_ref().map(|head| head.leaves.as_slice()) {
            None => Tree::Whole { tree: RevTree::new(), changed: Vec::new() },
            Some([leaf]) => Tree::Branch { leaf: leaf.clone(), added: Vec::new() },
            Some(_) => Tree::Whole { tree: load_tree(snapshot, id).await?, changed: Vec::new() },
        };
        Ok(Self { id: id.into(), stored, tree, bodies: Vec::new() })
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
                *leaf = Leaf { rev: rev.clone(), deleted, oldest: leaf.oldest };
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

    /// Cuts histories to `revs_limit` revisions a branch, adds nodes and bodies to `batch` and returns the leaves in
    /// the order of winning.
    pub(super) async fn stage<S: Snapshot>(
        &mut self,
        snapshot: &S,
        revs_limit: u32,
        batch: &mut Batch,
    ) -> Result<Vec<Leaf>, StorageError> {
        for (rev, body) in &self.bodies {
            batch.put(&keys::body(&self.id, rev), &body.text);
        }
        let id = self.id.as_str();
        match &mut self.tree {
            Tree::Branch { leaf, added } => {
                for (rev, node) in added.iter() {
                    put_node(id, rev, node, batch);
                }
                let oldest = (leaf.rev.generation() + 1).saturating_sub(u64::from(revs_limit).max(1));
                if leaf.oldest < oldest {
                    cut_branch(snapshot, id, oldest, batch).await?;
                    for (rev, _) in added.iter().filter(|(rev, _)| rev.generation() < oldest) {
                        delete_revision(id, rev, batch);
                    }
                    leaf.oldest = oldest;
                }
                Ok([leaf.clone()].into())
            }
            Tree::Whole { tree, changed } => {
                let removed = tree.stem(revs_limit.max(1));
                for rev in changed.iter() {
                    if let Some(node) = tree.node(rev) {
                        put_node(id, rev, node, batch);
                    }
                }
                for rev in &removed {
                    delete_revision(id, rev, batch);
                }
                Ok(leaves_of(tree))
            }
        }
    }
}

fn leaves_of(tree: &RevTree) -> Vec<Leaf> {
    let leaf = |rev: &Rev| Leaf {
        rev: rev.clone(),
        deleted: tree.node(rev).is_some_and(|node| node.deleted),
        oldest: tree.ancestry(rev).last().unwrap_or(rev).generation(),
    };
    tree.leaves().into_iter().map(leaf).collect()
}

fn put_node(id: &str, rev: &Rev, node: &Node, batch: &mut Batch) {
    let mut record = Vec::with_capacity(24);
    node.encode(&mut record);
    batch.put(&keys::node(id, rev), &record);
}

fn delete_revision(id: &str, rev: &Rev, batch: &mut Batch) {
    batch.delete(&keys::node(id, rev));
    batch.delete(&keys::body(id, rev));
}

/// Deletes what is stored of the generations before `oldest`. Nodes stand in the order of their generations.
async fn cut_branch<S: Snapshot>(snapshot: &S, id: &str, oldest: u64, batch: &mut Batch) -> Result<(), StorageError> {
    let prefix = keys::nodes(id);
    let mut nodes = snapshot.range(KeyRange::prefix(&prefix), Direction::Forward)?;
    while nodes.advance().await? {
        let Some((rev, _)) = nodes.key().get(prefix.len()..).and_then(Rev::decode) else {
            return Err(damaged_tree(id));
        };
        if rev.generation() >= oldest {
            break;
        }
        delete_revision(id, &rev, batch);
    }
    Ok(())
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
