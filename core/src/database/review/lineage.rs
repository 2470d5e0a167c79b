//! What branches grew from, merges counted: a merge descends from all that it merged.
//!
//! A merge says so (`firkin.merged`), so that an edit of a branch that was merged away is held against that branch,
//! and what was decided stays so. A merge that was reverted (`firkin.reverted`) descends from its parent only, as if it had merged
//! nothing.

use alloc::vec::Vec;

use super::told::{self, Told};
use crate::json::Object;
use crate::ordered::{Map, Set};
use crate::revision::{Rev, RevTree};
use crate::storage::{Snapshot, StorageError};

/// How many revisions of a document are asked for at once that may be merges.
const UNTOLD_MAX: usize = 32;

/// The tree of a document, with what its merges merged.
pub(super) struct Lineage<'t> {
    tree: &'t RevTree,
    told: Map<Rev, Told>,
    reverted: Set<Rev>,
}

impl<'t> Lineage<'t> {
    /// Reads what merges of the document tell.
    pub(super) async fn load<S: Snapshot>(snapshot: &S, id: &str, tree: &'t RevTree) -> Result<Self, StorageError> {
        let told = told::all(snapshot, id).await?;
        let mut reverted = Set::new();
        for (rev, told) in told.iter().filter(|(rev, _)| tree.contains(rev)) {
            // A merge may be taken back by what followed on it, and by nothing else.
            let ancestors: Vec<&Rev> = tree.ancestry(rev).collect();
            reverted.extend(told.reverted.iter().filter(|merge| ancestors.contains(merge)).cloned());
        }
        Ok(Self { tree, told, reverted })
    }

    /// The newest revision from which both `leaf` and any of `others` grew.
    pub(super) fn base(&self, others: &[Rev], leaf: &Rev) -> Option<Rev> {
        let (others, own) = (self.ancestors(others), self.ancestors(core::slice::from_ref(leaf)));
        own.iter().rev().find(|rev| others.contains(*rev)).cloned()
    }

    /// The newest revision from which all grew.
    pub(super) fn base_of_all(&self, leaves: &[Rev]) -> Option<Rev> {
        let (first, others) = leaves.split_first()?;
        let others: Vec<Set<Rev>> = others.iter().map(|leaf| self.ancestors(core::slice::from_ref(leaf))).collect();
        let first = self.ancestors(core::slice::from_ref(first));
        first.iter().rev().find(|rev| others.iter().all(|other| other.contains(*rev))).cloned()
    }

    /// The leaves that merges of other leaves have merged already: their tombstones are still to come. Where two tell that they merged each
    /// other, neither did.
    pub(super) fn merged_away(&self, leaves: &[Rev]) -> Vec<Rev> {
        let ancestors: Vec<Set<Rev>> = leaves.iter().map(|leaf| self.ancestors(core::slice::from_ref(leaf))).collect();
        let lineages: Vec<(&Rev, &Set<Rev>)> = leaves.iter().zip(&ancestors).collect();
        let is_merged = |(leaf, own): &&(&Rev, &Set<Rev>)| {
            lineages.iter().any(|(other, of_other)| of_other.contains(*leaf) && !own.contains(*other))
        };
        lineages.iter().filter(is_merged).map(|(leaf, _)| (*leaf).clone()).collect()
    }

    /// Whether a person took a merge back on any of the branches since they parted from `base`.
    pub(super) fn is_pinned(&self, leaves: &[Rev], base: Option<&Rev>) -> bool {
        let own = |leaf: &Rev| {
            let own: Vec<&Rev> = self.tree.ancestry(leaf).take_while(|rev| Some(*rev) != base).collect();
            own.into_iter().any(|rev| told::is_pinned_at(&self.told, self.tree, rev))
        };
        leaves.iter().any(own)
    }

    /// Revisions since `base` that may have merged branches or taken that back, as far as it is not known here: their bodies never came, as
    /// replication brings those of leaves, and a tombstone tells that there was a merge, or that one was taken back. The oldest first.
    pub(super) fn untold(&self, leaves: &[Rev], base: Option<&Rev>) -> Vec<Rev> {
        let known = base.map(|base| self.ancestors(core::slice::from_ref(base))).unwrap_or_default();
        let mut since = self.ancestors(leaves);
        since.retain(|rev| !known.contains(rev));
        let is_merged =
            |branch: &Rev| since.iter().filter_map(|rev| self.told.get(rev)).any(|told| told.merged.contains(branch));
        let is_unexplained = |tombstone: &Rev| {
            let branch = self.tree.parent(tombstone);
            let is_near = since.contains(tombstone) || branch.is_some_and(|branch| since.contains(branch));
            is_near
                && match self.tree.is_leaf(tombstone) {
                    true => !branch.is_some_and(is_merged),
                    false => !branch.is_some_and(|branch| self.is_taken_back(branch)),
                }
        };
        let is_tombstone = |rev: &Rev, deleted: bool| deleted || self.is_proven_tombstone(rev);
        let tombstones = self.tree.iter().filter(|(rev, node)| is_unexplained(rev) && is_tombstone(rev, node.deleted));
        // A merge is of no lower generation than the tombstones that it made.
        let Some(first) = tombstones.map(|(rev, _)| rev.generation()).min() else { return Vec::new() };
        let is_untold = |rev: &Rev| {
            let is_here = self.tree.node(rev).is_none_or(|node| node.available);
            rev.generation() >= first && !is_here && !self.tree.is_leaf(rev) && self.told.get(rev).is_none()
        };
        since.iter().filter(|rev| is_untold(rev)).take(UNTOLD_MAX).cloned().collect()
    }

    /// Whether the revision is the tombstone of a merge: of one that was no leaf here it is known only by what it is made of.
    fn is_proven_tombstone(&self, rev: &Rev) -> bool {
        let none = Object::new();
        let is_here = self.tree.node(rev).is_none_or(|node| node.available);
        !is_here && Rev::of_edit(self.tree.parent(rev), true, &none, &none).as_ref() == Ok(rev)
    }

    /// Whether it is known that a merge of the branch was taken back.
    fn is_taken_back(&self, branch: &Rev) -> bool {
        self.reverted.iter().filter_map(|merge| self.told.get(merge)).any(|told| told.merged.contains(branch))
    }

    fn ancestors(&self, of: &[Rev]) -> Set<Rev> {
        let mut all = Set::new();
        let mut pending = of.to_vec();
        while let Some(rev) = pending.pop() {
            if !self.tree.contains(&rev) || !all.insert(rev.clone()) {
                continue;
            }
            pending.extend(self.tree.parent(&rev).cloned());
            if !self.reverted.contains(&rev) {
                pending.extend(self.told.get(&rev).into_iter().flat_map(|told| told.merged.iter().cloned()));
            }
        }
        all
    }
}
