//! What policies do by themselves, on any replica alike.
//!
//! A policy closes a review if it decides on all of it, and the base of each of its steps is held. Such a merge tells neither author nor
//! time, but which policies made it, so that replicas with the same policies make the same revision. Replicas with others make another
//! one of the same branches: then that of the greater version stands, else the greater revision, and **nobody makes a third one of
//! the two**. So there are no merge wars.

use alloc::vec::Vec;

use super::told::Told;
use super::{Branch, review_in};
use crate::database::write::tombstone;
use crate::database::{Database, WriteError, WriteOptions, Written};
use crate::json::{Object, Value};
use crate::merge::{FIRKIN, Policies};
use crate::revision::Rev;
use crate::storage::Kv;

impl<K: Kv> Database<K> {
    /// Does for a document what `policies` decide on; what was written first, or `None` if a person has to decide, or nothing is open. Call
    /// it once all that a peer has of the document is here, and again until there is nothing to do.
    ///
    /// # Errors
    /// Those of [`merge_review`](Self::merge_review). Nothing was written then.
    pub async fn settle_review(
        &self,
        id: &str,
        policies: &Policies,
        write: &WriteOptions,
    ) -> Result<Option<Written>, WriteError> {
        let _writer = self.writer.lock().await;
        let snapshot = self.kv.snapshot()?;
        let review = review_in(&snapshot, id, policies, self.deciders()).await.map_err(WriteError::from_read)?;
        let Some((winner, losers)) = review.branches.split_first().filter(|(_, losers)| !losers.is_empty()) else {
            return Ok(None);
        };
        let merges: Vec<Merge<'_>> = review.branches.iter().filter_map(Merge::of).collect();
        let mut ends = Vec::new();
        for merge in merges.iter().filter(|merge| merges.iter().any(|other| merge.yields_to(other))) {
            ends.push(tombstone(&snapshot, id, &merge.branch.rev).await?);
        }
        if !ends.is_empty() {
            return Ok(Some(self.write_whole(&snapshot, ends, write).await?));
        }
        if !review.proposal.is_decided || review.is_pinned {
            return Ok(None);
        }
        let mut told = Object::new();
        told.insert("policy", policies.told());
        let members = review.proposal.members.clone();
        Ok(Some(self.close(&snapshot, id, (winner, losers), members, &told, write).await?))
    }
}

/// A branch that a policy made of others.
struct Merge<'b> {
    branch: &'b Branch,
    rev: Rev,
    merged: Vec<Rev>,
    policy: &'b Object,
    version: u32,
}

impl<'b> Merge<'b> {
    fn of(branch: &'b Branch) -> Option<Self> {
        let merged = Told::of(&branch.members).merged;
        let policy = branch.members.get(FIRKIN)?.as_object()?.get("policy")?.as_object()?;
        let version = policy.get("version").and_then(Value::as_number)?;
        let version = u32::try_from(version as i64).ok().filter(|whole| f64::from(*whole) == version)?;
        let rev = Rev::parse(&branch.rev).ok()?;
        (!merged.is_empty()).then_some(Self { branch, rev, merged, policy, version })
    }

    /// Whether `other` was made of the same branches and stands rather than this. The same policies make one revision: where two tell
    /// of the same, they are edits of a merge that carry its member along, and neither may end the other.
    fn yields_to(&self, other: &Self) -> bool {
        let parent = |merge: &Self| merge.branch.history.get(1).cloned();
        self.merged == other.merged
            && parent(self) == parent(other)
            && self.policy != other.policy
            && self.version.cmp(&other.version).then_with(|| self.rev.cmp(&other.rev)).is_lt()
    }
}
