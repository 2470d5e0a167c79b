//! What policies do by themselves, on any replica alike.
//!
//! A policy closes a review if it decides on all of it, and the base of each of its steps is held. Such a merge tells neither author nor
//! time, but which policies made it, so that replicas with the same policies make the same revision. Replicas with others make another
//! one of the same branches: then that of the greater version stands, else the greater revision, and **nobody makes a third one of
//! the two**. So there are no merge wars.

use alloc::string::String;
use alloc::vec::Vec;

use super::told::Told;
use super::{Branch, review_in};
use crate::database::write::tombstone;
use crate::database::{Database, WriteError, WriteOptions, Written};
use crate::json::{Object, Value};
use crate::merge::{FIRKIN, Policies};
use crate::revision::Rev;
use crate::storage::{Kv, StorageError};

/// What policies did for a document.
pub(super) enum Settled {
    /// They wrote, this first. The review may be open still.
    Wrote { written: Written, is_open: bool },
    /// Nothing: a person has to decide, or nothing is open. These revisions are not here that they have to know before they can.
    Nothing { lacking: Vec<String> },
}

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
        Ok(match self.settle_once(id, policies, write).await? {
            Settled::Wrote { written, .. } => Some(written),
            Settled::Nothing { .. } => None,
        })
    }

    /// Has the policies of this database do for a document all that they can: what they cannot close, be it that the app's logic refuses it,
    /// waits for a person. What comes back has to be known before they can, and is not here: a peer may have it.
    pub(crate) async fn settle(&self, id: &str) -> Result<Vec<String>, StorageError> {
        loop {
            match self.settle_once(id, &self.policies, &WriteOptions::default()).await {
                Ok(Settled::Wrote { is_open: true, .. }) => {}
                Ok(Settled::Nothing { lacking }) => return Ok(lacking),
                Err(WriteError::Storage(error)) => return Err(error),
                Ok(Settled::Wrote { .. }) | Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn settle_once(&self, id: &str, policies: &Policies, write: &WriteOptions) -> Result<Settled, WriteError> {
        let _writer = self.writer.lock().await;
        let snapshot = self.kv.snapshot()?;
        let review = review_in(&snapshot, id, policies, self.deciders()).await.map_err(WriteError::from_read)?;
        let Some((winner, losers)) = review.branches.split_first().filter(|(_, losers)| !losers.is_empty()) else {
            return Ok(Settled::Nothing { lacking: Vec::new() });
        };
        // A merge may arrive before the tombstones of what it merged. They are the same wherever they are written, and as if they were here,
        // nothing yields to what they end: whatever merges tell of each other, one branch stays.
        let is_merged_away = |branch: &&Branch| review.merged_away.contains(&branch.rev);
        let merges: Vec<Merge<'_>> =
            review.branches.iter().filter(|branch| !is_merged_away(branch)).filter_map(Merge::of).collect();
        let yielding = merges.iter().filter(|merge| merges.iter().any(|other| merge.yields_to(other)));
        let ended = yielding.map(|merge| &merge.branch.rev).chain(&review.merged_away);
        let mut ends = Vec::new();
        for rev in ended {
            ends.push(tombstone(&snapshot, id, rev).await?);
        }
        if !ends.is_empty() {
            let is_open = ends.len() < losers.len();
            let written = self.write_whole(&snapshot, ends, write).await?;
            return Ok(Settled::Wrote { written, is_open });
        }
        if !review.proposal.is_decided || review.is_pinned {
            let lacking = [review.missing_bases, review.missing_merges].concat();
            return Ok(Settled::Nothing { lacking });
        }
        let mut told = Object::new();
        told.insert("policy", policies.told());
        let members = review.proposal.members.clone();
        let written = self.close(&snapshot, id, (winner, losers), members, &told, write).await?;
        Ok(Settled::Wrote { written, is_open: false })
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
