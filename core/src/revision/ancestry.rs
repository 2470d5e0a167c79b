//! What a revision tree is asked: leaves, winner, branches and who descends from whom.

use alloc::vec::Vec;

use super::{Node, Rev, RevTree, Revisions};
use crate::ordered::{Map, Set};

impl RevTree {
    /// What is known of `rev`.
    #[must_use]
    pub fn node(&self, rev: &Rev) -> Option<&Node> {
        self.nodes.get(rev)
    }

    /// All revisions, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Rev, &Node)> + ExactSizeIterator {
        self.nodes.iter().map(|(rev, node)| (rev, node))
    }

    /// How many revisions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no revision.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether `rev` is here, be it with its body or as an ancestor only.
    #[must_use]
    pub fn contains(&self, rev: &Rev) -> bool {
        self.nodes.contains(rev)
    }

    /// Whether `rev` is here and nothing follows it.
    #[must_use]
    pub fn is_leaf(&self, rev: &Rev) -> bool {
        self.leaves.contains(rev)
    }

    /// Whether `rev` is here and a tombstone.
    fn is_deleted(&self, rev: &Rev) -> bool {
        self.nodes.get(rev).is_some_and(|node| node.deleted)
    }

    /// The revision that every replica with this tree picks: not deleted before deleted, then the greatest.
    #[must_use]
    pub fn winner(&self) -> Option<&Rev> {
        self.leaves.iter().rev().find(|leaf| !self.is_deleted(leaf)).or_else(|| self.leaves.iter().next_back())
    }

    /// The leaves in winner order: the winner first, those not deleted before tombstones, each descending.
    #[must_use]
    pub fn leaves(&self) -> Vec<&Rev> {
        let (deleted, mut leaves): (Vec<&Rev>, Vec<&Rev>) =
            self.leaves.iter().rev().partition(|leaf| self.is_deleted(leaf));
        leaves.extend(deleted);
        leaves
    }

    /// The leaves that lost and are not deleted (`_conflicts`), in winner order.
    #[must_use]
    pub fn conflicts(&self) -> Vec<&Rev> {
        self.leaves.iter().rev().filter(|leaf| !self.is_deleted(leaf)).skip(1).collect()
    }

    /// The tombstones among the leaves that lost (`_deleted_conflicts`), in winner order.
    #[must_use]
    pub fn deleted_conflicts(&self) -> Vec<&Rev> {
        let winner = self.winner();
        self.leaves.iter().rev().filter(|leaf| self.is_deleted(leaf) && Some(*leaf) != winner).collect()
    }

    /// The parent of `rev`, if that is here.
    #[must_use]
    pub fn parent(&self, rev: &Rev) -> Option<&Rev> {
        let parent = self.nodes.get(rev)?.parent_of(rev)?;
        self.nodes.get_entry(&parent).map(|(parent, _)| parent)
    }

    /// The revisions that name `rev` as their parent, ascending.
    pub fn children<'a>(&'a self, rev: &Rev) -> impl Iterator<Item = &'a Rev> + use<'a> {
        let parent = rev.clone();
        let from = (parent.clone(), rev.below_next_generation());
        self.edges.iter_from(&from).take_while(move |(of, _)| *of == parent).map(|(_, child)| child)
    }

    /// `rev` and its ancestors as far as they are here, newest first; nothing if `rev` is not here.
    pub fn ancestry(&self, rev: &Rev) -> impl Iterator<Item = &Rev> {
        let first = self.nodes.get_entry(rev).map(|(rev, _)| rev);
        core::iter::successors(first, |rev| self.parent(rev))
    }

    /// The path from `rev` to the oldest of its ancestors that is here.
    #[must_use]
    pub fn revisions_of(&self, rev: &Rev) -> Option<Revisions> {
        let ids: Vec<_> = self.ancestry(rev).map(|rev| rev.hash().clone()).collect();
        (!ids.is_empty()).then(|| Revisions::from_valid(rev.generation(), ids))
    }

    /// The newest revision that both descend from or are; `None` when either is not here or their branches do not meet here.
    #[must_use]
    pub fn common_ancestor(&self, left: &Rev, right: &Rev) -> Option<&Rev> {
        let (mut left_path, mut right_path) = (self.ancestry(left).peekable(), self.ancestry(right).peekable());
        loop {
            let (left, right) = (*left_path.peek()?, *right_path.peek()?);
            if left == right {
                return Some(left);
            }
            // An ancestor is of a lower generation, so the greater of two that differ is above any that they share.
            if left > right {
                left_path.next();
            } else {
                right_path.next();
            }
        }
    }

    /// The revisions that more than one branch grew from which ends in a leaf that is not deleted: what a merge of these
    /// branches needs as its base.
    #[must_use]
    pub fn bases(&self) -> Set<Rev> {
        let mut alive: Map<&Rev, u32> = Map::new();
        let mut bases = Set::new();
        // Descending order meets every child before its parent.
        for (rev, node) in self.nodes.iter().rev() {
            let branches = alive.remove(rev).unwrap_or(0);
            if branches > 1 {
                bases.insert(rev.clone());
            }
            let is_alive = branches > 0 || (!node.deleted && self.is_leaf(rev));
            if let Some((parent, _)) = node.parent_of(rev).and_then(|parent| self.nodes.get_entry(&parent))
                && is_alive
            {
                *alive.get_or_default(parent) += 1;
            }
        }
        bases
    }

    /// Whether a leaf that is not deleted descends from `rev`, and is another.
    #[must_use]
    pub fn has_live_edit_of(&self, rev: &Rev) -> bool {
        self.latest(core::slice::from_ref(rev)).into_iter().any(|leaf| leaf != rev && !self.is_deleted(leaf))
    }

    /// The leaves that descend from, or are, any of `revs`, in winner order. The cost is that of the branches walked, once.
    #[must_use]
    pub fn latest(&self, revs: &[Rev]) -> Vec<&Rev> {
        let mut pending: Vec<&Rev> =
            revs.iter().filter_map(|rev| self.nodes.get_entry(rev)).map(|(rev, _)| rev).collect();
        let mut seen: Set<&Rev> = Set::new();
        while let Some(rev) = pending.pop() {
            if seen.insert(rev) {
                pending.extend(self.children(rev));
            }
        }
        self.leaves().into_iter().filter(|leaf| seen.contains(leaf)).collect()
    }

    /// Those of `asked` that are not here, in their order. A leaf without its body is not: it was lost, and whoever has it may
    /// bring it back.
    #[must_use]
    pub fn missing<'a>(&self, asked: &'a [Rev]) -> Vec<&'a Rev> {
        let is_here = |rev: &Rev| self.node(rev).is_some_and(|node| node.available || !self.is_leaf(rev));
        asked.iter().filter(|rev| !is_here(rev)).collect()
    }

    /// The leaves that a missing revision may descend from, as `_revs_diff` names them: those of a lower generation than any
    /// of `missing`, descending.
    #[must_use]
    pub fn possible_ancestors(&self, missing: &[&Rev]) -> Vec<&Rev> {
        let newest = missing.iter().map(|rev| rev.generation()).max().unwrap_or(0);
        self.leaves.iter().rev().filter(|leaf| leaf.generation() < newest).collect()
    }
}
