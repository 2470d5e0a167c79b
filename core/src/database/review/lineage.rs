//! What branches grew from, merges counted: a merge descends from all that it merged.
//!
//! A merge says so in its body (`firkin.merged`), so that an edit of a branch that was merged away is held against that branch,
//! and what was decided stays so. A merge that was reverted (`firkin.reverted`) descends from its parent only, as if it had merged
//! nothing.

use alloc::vec::Vec;

use crate::database::attached::read_members;
use crate::document::keys;
use crate::json::{Object, Value};
use crate::merge::FIRKIN;
use crate::ordered::{Map, Set};
use crate::revision::{Rev, RevTree};
use crate::storage::{Snapshot, StorageError};

/// The tree of a document, with what its merges merged.
pub(super) struct Lineage<'t> {
    tree: &'t RevTree,
    merged: Map<Rev, Vec<Rev>>,
}

impl<'t> Lineage<'t> {
    /// Reads the bodies of the branches that end in `leaves`, as far as they are not of all of them.
    pub(super) async fn load<S: Snapshot>(
        snapshot: &S,
        id: &str,
        tree: &'t RevTree,
        leaves: &[Rev],
    ) -> Result<Self, StorageError> {
        let (mut merged, mut reverted) = (Map::new(), Set::new());
        let shared = Self { tree, merged: Map::new() }.base_of_all(leaves);
        let mut seen = Set::new();
        for leaf in leaves {
            let own = tree.ancestry(leaf).take_while(|rev| Some(*rev) != shared.as_ref());
            for rev in own.filter(|rev| tree.node(rev).is_some_and(|node| node.available)) {
                if !seen.insert(rev) {
                    break;
                }
                let Some(body) = snapshot.get(&keys::body(id, rev)).await? else { continue };
                let members = read_members(id, &body)?;
                merged.insert(rev.clone(), merged_by(&members));
                reverted.extend(revs_at(&members, "reverted"));
            }
        }
        for rev in reverted.iter() {
            merged.insert(rev.clone(), Vec::new());
        }
        Ok(Self { tree, merged })
    }

    /// The newest revision from which both `leaf` and any of `others` grew.
    pub(super) fn base(&self, others: &[Rev], leaf: &Rev) -> Option<Rev> {
        let (others, own) = (self.ancestors(others), self.ancestors(core::slice::from_ref(leaf)));
        own.iter().rev().find(|rev| others.contains(*rev)).cloned()
    }

    /// The newest revision from which all grew.
    pub(super) fn base_of_all(&self, leaves: &[Rev]) -> Option<Rev> {
        let all: Vec<Set<Rev>> = leaves.iter().map(|leaf| self.ancestors(core::slice::from_ref(leaf))).collect();
        let (first, others) = all.split_first()?;
        first.iter().rev().find(|rev| others.iter().all(|other| other.contains(*rev))).cloned()
    }

    fn ancestors(&self, of: &[Rev]) -> Set<Rev> {
        let mut all = Set::new();
        let mut pending = of.to_vec();
        while let Some(rev) = pending.pop() {
            if !self.tree.contains(&rev) || !all.insert(rev.clone()) {
                continue;
            }
            pending.extend(self.tree.parent(&rev).cloned());
            pending.extend(self.merged.get(&rev).into_iter().flatten().cloned());
        }
        all
    }
}

/// The revisions that the document says it merged.
pub(super) fn merged_by(members: &Object) -> Vec<Rev> {
    revs_at(members, "merged")
}

/// The revisions that a member of `firkin` names: what others wrote there may be anything.
fn revs_at(members: &Object, name: &str) -> Vec<Rev> {
    let told = members.get(FIRKIN).and_then(Value::as_object).and_then(|told| told.get(name));
    let revs = told.and_then(Value::as_array).unwrap_or_default();
    revs.iter().filter_map(|rev| Rev::parse(rev.as_str()?).ok()).collect()
}
