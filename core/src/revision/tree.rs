//! The revision tree of one document, and how two of them merge.
//!
//! The tree is a set of nodes, each under its revision and naming its parent. Merging joins the sets node by node: a known
//! parent beats none, of two parents (which only a broken or hostile peer names) the greater one stays, a body beats none.
//! Each of these takes the greater of two values, so trees form a join semilattice. What a body says, `deleted` included,
//! is kept as it came first.
//!
//! A parent is always of the generation before its child, so no input makes a cycle. Nodes are held in sorted vectors
//! and walked in loops: a tree of many thousand nodes, however deep or wide, costs O(log n) and at worst a move of memory for
//! each node touched, and no stack. (They are stored in their order, so that loading a tree moves nothing.)

use alloc::vec::Vec;

use super::{Node, Rev, Revisions};
use crate::ordered::{Map, Set};

/// The revisions of one document.
#[derive(Clone, Debug, Default)]
pub struct RevTree {
    pub(super) nodes: Map<Rev, Node>,
    /// (parent, child) for each node that names a parent, be that parent here or cut off.
    pub(super) edges: Set<(Rev, Rev)>,
    /// Derived: the nodes that nothing names as a parent.
    pub(super) leaves: Set<Rev>,
}

/// Two trees are equal when they hold the same nodes; all else is derived.
impl PartialEq for RevTree {
    fn eq(&self, other: &Self) -> bool {
        self.nodes == other.nodes
    }
}

impl Eq for RevTree {}

/// What became of a path that was merged into a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It extends a leaf, or is the first path of the tree.
    NewLeaf,
    /// Its newest revision is a leaf beside those that were there.
    NewBranch,
    /// Its newest revision is an ancestor of a leaf; its body was not here yet.
    Internal,
    /// Its newest revision was here with its body. Older revisions may still be new.
    Known,
}

/// The result of merging a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What became of the newest revision of the path.
    pub outcome: Outcome,
    /// The revisions whose nodes are new or changed and must be stored, ascending.
    pub changed: Vec<Rev>,
}

impl RevTree {
    /// A tree without revisions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Merges a path whose newest revision comes with its body, a tombstone if `deleted`.
    pub fn merge_path(&mut self, path: &Revisions, deleted: bool) -> Merged {
        let was_empty = self.nodes.is_empty();
        let extends_leaf = path.iter().find(|rev| self.nodes.contains(rev)).is_some_and(|rev| self.is_leaf(&rev));
        let path: Vec<Rev> = path.iter().collect();
        let known = path.first().and_then(|newest| self.nodes.get(newest)).is_some_and(|node| node.available);

        let mut changed = Set::new();
        let mut parent = None;
        for (position, rev) in path.iter().enumerate().rev() {
            let newest = position == 0;
            let node = Node { parent, deleted: newest && deleted, available: newest, superseded: false };
            self.join(rev, node, &mut changed);
            parent = Some(rev.hash().clone());
        }

        let outcome = if known {
            Outcome::Known
        } else if !path.first().is_some_and(|newest| self.is_leaf(newest)) {
            Outcome::Internal
        } else if was_empty || extends_leaf {
            Outcome::NewLeaf
        } else {
            Outcome::NewBranch
        };
        Merged { outcome, changed: changed.into_keys() }
    }

    /// Merges all of `other` and returns the revisions whose nodes are new or changed, ascending.
    pub fn merge(&mut self, other: &Self) -> Vec<Rev> {
        let mut changed = Set::new();
        for (rev, node) in &other.nodes {
            self.join(rev, node.clone(), &mut changed);
        }
        changed.into_keys()
    }

    /// Takes a node back from storage. Nodes may come in any order.
    pub fn insert_stored(&mut self, rev: &Rev, node: Node) {
        self.join(rev, node, &mut Set::new());
    }

    /// Joins one node into the set.
    fn join(&mut self, rev: &Rev, mut incoming: Node, changed: &mut Set<Rev>) {
        let parent = incoming.parent_of(rev);
        if parent.is_none() {
            // A first generation has no parent, whatever was said.
            incoming.parent = None;
        }
        let Some(node) = self.nodes.get_mut(rev) else {
            self.nodes.insert(rev.clone(), incoming);
            changed.insert(rev.clone());
            self.link(rev, parent);
            return;
        };
        let before = node.clone();
        if incoming.available && !node.available {
            node.deleted = incoming.deleted;
        } else if !node.available {
            node.deleted |= incoming.deleted;
        }
        node.available |= incoming.available;
        node.superseded |= incoming.superseded;
        let displaced = if incoming.parent > node.parent {
            core::mem::replace(&mut node.parent, incoming.parent)
        } else {
            incoming.parent.filter(|parent| node.parent.as_ref() != Some(parent))
        };
        if *node == before && displaced.is_none() {
            return;
        }
        if *node != before {
            changed.insert(rev.clone());
        }
        if node.parent != before.parent {
            if let Some(old) = before.parent_of(rev) {
                self.edges.remove(&(old, rev.clone()));
            }
            self.link(rev, parent);
        } else {
            self.refresh_leaf(rev);
        }
        if let Some(displaced) = displaced.and_then(|hash| rev.before(hash)) {
            self.supersede(&displaced, changed);
        }
    }

    /// Marks a revision that lost a child to a greater parent, lest it become a leaf without a body.
    fn supersede(&mut self, rev: &Rev, changed: &mut Set<Rev>) {
        if let Some(node) = self.nodes.get_mut(rev).filter(|node| !node.superseded) {
            node.superseded = true;
            changed.insert(rev.clone());
            self.refresh_leaf(rev);
        }
    }

    /// Enters the edge from `parent` to `rev`, and brings the leaves up to date.
    fn link(&mut self, rev: &Rev, parent: Option<Rev>) {
        if let Some(parent) = parent {
            self.edges.insert((parent.clone(), rev.clone()));
            self.refresh_leaf(&parent);
        }
        self.refresh_leaf(rev);
    }

    fn refresh_leaf(&mut self, rev: &Rev) {
        let inner = self.nodes.get(rev).is_none_or(|node| node.superseded) || self.children(rev).next().is_some();
        if inner {
            self.leaves.remove(rev);
        } else if !self.leaves.contains(rev) {
            self.leaves.insert(rev.clone());
        }
    }

    /// Takes the leaf away, and those of its ancestors that no other leaf descends from; returns them, the leaf first. `None` if
    /// it is no leaf. What is left without a leaf goes as well: nothing but a broken peer leaves any.
    pub fn prune(&mut self, leaf: &Rev) -> Option<Vec<Rev>> {
        if !self.is_leaf(leaf) {
            return None;
        }
        let (mut removed, mut next) = (Vec::new(), Some(leaf.clone()));
        while let Some(rev) = next {
            let parent = self.parent(&rev).cloned();
            self.remove(&rev);
            removed.push(rev);
            next = parent.filter(|parent| self.children(parent).next().is_none());
        }
        if self.leaves.is_empty() {
            removed.extend(core::mem::take(self).nodes.into_iter().rev().map(|(rev, _)| rev));
        }
        Some(removed)
    }

    /// Takes one node away. The leaves are brought up to date by whoever knows that its parent is none now.
    fn remove(&mut self, rev: &Rev) {
        self.leaves.remove(rev);
        if let Some(parent) = self.nodes.remove(rev).and_then(|node| node.parent_of(rev)) {
            self.edges.remove(&(parent, rev.clone()));
        }
    }

    /// Marks what compaction dropped the body of; the node as it is then, unless it had none.
    pub fn drop_body(&mut self, rev: &Rev) -> Option<&Node> {
        let node = self.nodes.get_mut(rev).filter(|node| node.available)?;
        node.available = false;
        Some(node)
    }

    /// Cuts each branch to its newest `limit` revisions (at least one) and returns the revisions that fell off, ascending.
    ///
    /// The oldest revision that stays still names its parent, so a revision that was cut off does not come back as a leaf.
    pub fn stem(&mut self, limit: u32) -> Vec<Rev> {
        // No branch is longer than the tree.
        if self.nodes.len() <= limit as usize {
            return Vec::new();
        }
        let mut distances: Map<&Rev, u32> = Map::new();
        let mut removed = Vec::new();
        // Descending order meets every child before its parent.
        for (rev, node) in self.nodes.iter().rev() {
            let distance = if self.leaves.contains(rev) { Some(0) } else { distances.get(rev).copied() };
            // An inner node without children (superseded) belongs to no leaf's branch.
            let Some(distance) = distance.filter(|distance| *distance < limit.max(1)) else {
                removed.push(rev.clone());
                continue;
            };
            if let Some((parent, _)) = node.parent_of(rev).and_then(|parent| self.nodes.get_entry(&parent)) {
                let known = distances.get(parent).copied().unwrap_or(u32::MAX);
                distances.insert(parent, known.min(distance + 1));
            }
        }
        removed.reverse();
        let stays = |rev: &Rev| removed.binary_search(rev).is_err();
        self.nodes.retain(|rev, _| stays(rev));
        self.leaves.retain(stays);
        self.edges.retain(|(_, child)| stays(child));
        removed
    }
}
