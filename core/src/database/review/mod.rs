//! Reviews: a document with more than one branch, what the branches grew from, and what would become of them.
//!
//! A branch is a leaf that is no tombstone. Branches are held against the nearest revision that they have in common
//! ([`lineage`]) if its body is here, else against each other; more than two are put together one after the other, in the order of
//! winning. Nothing of this is stored: **replicas with the same leaves and bases tell the same review**.

mod asked;
mod close;
mod follow;
mod lineage;
pub(super) mod open;
mod settle;
mod settling;
pub(super) mod told;

pub use close::{Choice, Pick};
pub use follow::{OpenReviews, ReviewsNews};
pub use settling::Settling;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::attached::read_members;
use super::edit::load_tree;
use super::read::read_head;
use super::text::document_text;
use super::{Database, ReadError};
use crate::document::keys;
use crate::json::{Object, Value, diff};
use crate::logic::LogicError;
use crate::merge::{Clash, FIRKIN, Merged, Policies, three_way};
use crate::ordered::Set;
use crate::revision::Rev;
use crate::storage::{Kv, Snapshot, StorageError};
use asked::Deciders;
use lineage::Lineage;

/// A document and its branches.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// The document's id.
    pub id: String,
    /// The nearest revision that all branches grew from; `None` if there is none, or its body is not here.
    pub base: Option<Branch>,
    /// The revisions that branches grew from whose bodies are not here: a peer may have them.
    pub missing_bases: Vec<String>,
    /// The revisions whose bodies are not here and of which any may be the merge that a tombstone tells of: a peer may have them. As long
    /// as there are any, no policy decides.
    pub missing_merges: Vec<String>,
    /// The branches, that which wins first.
    pub branches: Vec<Branch>,
    /// The branches that another one has merged: what ends them is still to come.
    pub merged_away: Vec<String>,
    /// What the policies make of the branches, and where they clash. Of one branch it is that branch.
    pub proposal: Merged,
    /// Whether no policy may close it: a person took a merge back.
    pub is_pinned: bool,
    /// Why a function of the app's logic decided nothing that was left to it. What it was asked for is among the clashes.
    pub failure: Option<LogicError>,
}

/// A revision of a document, with its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// The revision.
    pub rev: String,
    /// It and its ancestors as far as they are known, newest first.
    pub history: Vec<String>,
    /// The document as it is read.
    pub document: Vec<u8>,
    members: Object,
}

impl Review {
    /// The JSON Patch that makes the branch called `rev` of the base, or of the winner where there is no base; `None` if there is no such
    /// branch. It tells of the app's own members.
    #[must_use]
    pub fn diff(&self, rev: &str) -> Option<Value> {
        let branch = self.branches.iter().find(|branch| branch.rev == rev)?;
        let from = self.base.as_ref().or(self.branches.first())?;
        Some(diff(&from.own(), &branch.own()))
    }
}

impl Branch {
    fn own(&self) -> Value {
        let mut own = self.members.clone();
        own.retain(|name, _| name != FIRKIN && !name.starts_with('_'));
        Value::Object(own)
    }
}

impl<K: Kv> Database<K> {
    fn deciders(&self) -> Deciders<'_> {
        Deciders { logic: self.logic.as_deref(), sequences: self.sequences.as_deref() }
    }

    /// The review of a document, with what `policies` propose. One branch alone is told too: then nothing is open.
    ///
    /// # Errors
    /// [`ReadError::Missing`] and [`ReadError::Deleted`].
    pub async fn review(&self, id: &str, policies: &Policies) -> Result<Review, ReadError> {
        review_in(&self.kv.snapshot()?, id, policies, self.deciders()).await
    }
}

async fn review_in<S: Snapshot>(
    snapshot: &S,
    id: &str,
    policies: &Policies,
    deciders: Deciders<'_>,
) -> Result<Review, ReadError> {
    let head = read_head(snapshot, id).await?.ok_or(ReadError::Missing)?;
    let leaves: Vec<Rev> = head.leaves.iter().filter(|leaf| leaf.is_alive()).map(|leaf| leaf.rev.clone()).collect();
    if leaves.is_empty() {
        return Err(ReadError::Deleted);
    }
    let tree = load_tree(snapshot, id).await?;
    let lineage = Lineage::load(snapshot, id, &tree).await?;
    let read = async |rev: &Rev| -> Result<Option<Branch>, StorageError> {
        let Some(body) = snapshot.get(&keys::body(id, rev)).await? else { return Ok(None) };
        Ok(Some(Branch {
            rev: rev.to_string(),
            history: tree.ancestry(rev).map(ToString::to_string).collect(),
            document: document_text(id, &rev.to_string(), false, &body, &[]),
            members: read_members(id, &body)?,
        }))
    };
    let mut branches = Vec::with_capacity(leaves.len());
    for leaf in &leaves {
        branches.push(read(leaf).await?.ok_or_else(|| StorageError::Corrupt(String::from("the body of a leaf")))?);
    }
    let mut missing = Set::new();
    let mut base_at = async |rev: Option<&Rev>| -> Result<Option<Branch>, StorageError> {
        let Some(rev) = rev else { return Ok(None) };
        let found = read(rev).await?;
        if found.is_none() {
            missing.insert(rev.clone());
        }
        Ok(found)
    };
    let common = if leaves.len() > 1 { lineage.base_of_all(&leaves) } else { None };
    let base = base_at(common.as_ref()).await?;
    let mut failure = None;
    let mut proposal = Merged { members: first_of(&branches), is_decided: true, ..Merged::default() };
    for (place, (leaf, branch)) in leaves.iter().zip(&branches).enumerate().skip(1) {
        let nearest = lineage.base(leaves.get(..place).unwrap_or_default(), leaf);
        let before = base_at(nearest.as_ref()).await?;
        let before = before.as_ref().map(|before| &before.members);
        let mut next = three_way(before, &proposal.members, &branch.members, policies);
        let earlier: Vec<String> = leaves.iter().take(place).map(ToString::to_string).collect();
        let names = [&*earlier.join("+"), &*leaf.to_string()];
        failure = failure.or(asked::decide(&mut next, names, policies, deciders).await.err());
        next.is_decided = next.is_for_others && next.clashes.is_empty();
        let mut clashes: Vec<Clash> = core::mem::take(&mut proposal.clashes);
        clashes.append(&mut next.clashes);
        let is_decided = proposal.is_decided && next.is_decided;
        proposal = Merged { members: next.members, clashes, is_decided, ..Merged::default() };
    }
    let untold = if leaves.len() > 1 { lineage.untold(&leaves, common.as_ref()) } else { Vec::new() };
    // A branch whose body is lost has a say that is not known here, and what may have been decided is not decided again.
    proposal.is_decided &= untold.is_empty() && head.leaves.iter().all(|leaf| !leaf.lost);
    let is_pinned = lineage.is_pinned(&leaves, common.as_ref());
    let [missing_bases, missing_merges, merged_away] = [missing.into_keys(), untold, lineage.merged_away(&leaves)]
        .map(|revs| revs.iter().map(ToString::to_string).collect());
    Ok(Review {
        id: id.into(),
        base,
        missing_bases,
        missing_merges,
        branches,
        merged_away,
        proposal,
        is_pinned,
        failure,
    })
}

fn first_of(branches: &[Branch]) -> Object {
    branches.first().map(|branch| branch.members.clone()).unwrap_or_default()
}
