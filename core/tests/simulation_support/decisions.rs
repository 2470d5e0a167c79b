//! What was decided stays decided: an open review is held against the newest revision that its branches have in common, counting what
//! merges merged, be it that they were edited since, or that somebody went on from a branch that was merged away.
//!
//! The model knows what any of the replicas knows of merges; each of them has to come to the same base by itself, or to know that
//! it lacks something.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use firkin_core::database::ReadError;
use firkin_core::document::keys;
use firkin_core::merge::Policies;
use firkin_core::revision::Rev;
use firkin_core::storage::{Cursor, Direction, KeyRange, Kv, Snapshot};
use serde_json::Value;

use super::Engine;
use super::replica::Part;

/// How often runs came to what they are there for.
pub struct Met {
    /// Open reviews in which somebody went on from a branch that was merged away.
    pub late_edits: AtomicU64,
    /// Those on replicas that hold a part.
    pub late_edits_on_parts: AtomicU64,
    /// Those of three branches and more.
    pub late_edits_beside_others: AtomicU64,
    /// Documents that policies of two versions merged.
    pub two_versions: AtomicU64,
}

pub static MET: Met = Met {
    late_edits: AtomicU64::new(0),
    late_edits_on_parts: AtomicU64::new(0),
    late_edits_beside_others: AtomicU64::new(0),
    two_versions: AtomicU64::new(0),
};

impl Met {
    pub fn all(&self) -> [u64; 4] {
        [&self.late_edits, &self.late_edits_on_parts, &self.late_edits_beside_others, &self.two_versions]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

/// What merges tell, by document and revision.
#[derive(Default)]
pub struct Decisions(BTreeMap<String, BTreeMap<Rev, Value>>);

impl Decisions {
    /// Adds what a database knows of these documents.
    pub async fn add(&mut self, database: &Engine, ids: impl Iterator<Item = &String>) {
        for id in ids {
            let prefix = keys::told_in(id);
            let snapshot = database.kv().snapshot().unwrap();
            let mut records = snapshot.range(KeyRange::prefix(&prefix), Direction::Forward).unwrap();
            while records.advance().await.unwrap() {
                let (rev, _) = Rev::decode(&records.key()[prefix.len()..]).unwrap();
                let told = serde_json::from_slice(records.value()).unwrap();
                self.0.entry(id.clone()).or_default().insert(rev, told);
            }
        }
    }

    /// Counts the documents that policies of two versions merged.
    pub fn count_versions(&self) {
        for told in self.0.values() {
            let versions: BTreeSet<String> = told.values().map(|told| told["policy"]["version"].to_string()).collect();
            let both = versions.contains("0") && versions.contains("1");
            MET.two_versions.fetch_add(u64::from(both), Ordering::Relaxed);
        }
    }

    /// Checks the open reviews of a database that holds these leaves.
    pub async fn check(&self, seed: u64, part: &Part, database: &Engine, content: &BTreeMap<String, Vec<Value>>) {
        for (id, leaves) in content {
            let review = match database.review(id, &Policies::default()).await {
                Err(ReadError::Deleted) => continue,
                review => review.unwrap(),
            };
            if review.branches.len() < 2 {
                continue;
            }
            let lineage = Lineage::of(leaves, self.0.get(id).unwrap_or(&BTreeMap::new()));
            let revs: Vec<Rev> = review.branches.iter().map(|branch| Rev::parse(&branch.rev).unwrap()).collect();
            lineage.count_late_edits(&revs, part);
            if !review.missing_merges.is_empty() {
                continue;
            }
            let ancestors = revs.iter().map(|rev| lineage.ancestors(rev));
            let common = ancestors.reduce(|common, other| common.intersection(&other).cloned().collect()).unwrap();
            let expected = common.last().map(ToString::to_string);
            let base = review.base.map(|base| base.rev);
            let is_so = base == expected || expected.as_ref().is_some_and(|rev| review.missing_bases.contains(rev));
            assert!(is_so, "seed {seed}: {id} of {part:?}: the base is {base:?}, and should be {expected:?}");
        }
    }
}

/// A tree in which a merge descends from all that it merged.
struct Lineage {
    parents: BTreeMap<Rev, Option<Rev>>,
    merged: BTreeMap<Rev, Vec<Rev>>,
}

impl Lineage {
    fn of(leaves: &[Value], told: &BTreeMap<Rev, Value>) -> Self {
        let mut parents = BTreeMap::new();
        for leaf in leaves {
            let start = leaf["_revisions"]["start"].as_u64().unwrap();
            let ids = leaf["_revisions"]["ids"].as_array().unwrap();
            let name = |(place, id): (usize, &Value)| format!("{}-{}", start - place as u64, id.as_str().unwrap());
            let path: Vec<Rev> = ids.iter().enumerate().map(name).map(|rev| Rev::parse(&rev).unwrap()).collect();
            for (place, rev) in path.iter().enumerate() {
                parents.insert(rev.clone(), path.get(place + 1).cloned());
            }
        }
        let mut lineage = Self { parents, merged: BTreeMap::new() };
        let here = |rev: &&Rev| lineage.parents.contains_key(rev);
        let reverted: BTreeSet<Rev> = told.keys().filter(here).flat_map(|rev| revs(&told[rev], "reverted")).collect();
        let merges = told.keys().filter(here).filter(|rev| !reverted.contains(rev));
        let merged = merges.map(|rev| (rev.clone(), revs(&told[rev], "merged"))).collect();
        lineage.merged = merged;
        lineage
    }

    fn ancestors(&self, of: &Rev) -> BTreeSet<Rev> {
        let (mut all, mut pending) = (BTreeSet::new(), vec![of.clone()]);
        while let Some(rev) = pending.pop() {
            let Some(parent) = self.parents.get(&rev) else { continue };
            pending.extend(parent.clone());
            pending.extend(self.merged.get(&rev).cloned().unwrap_or_default());
            all.insert(rev);
        }
        all
    }

    /// Whether one of the branches descends from a revision that another one has merged, and not from the merge.
    fn count_late_edits(&self, branches: &[Rev], part: &Part) {
        let ancestors: Vec<BTreeSet<Rev>> = branches.iter().map(|branch| self.ancestors(branch)).collect();
        let is_late = self.merged.iter().any(|(merge, merged)| {
            let has_merge = ancestors.iter().any(|all| all.contains(merge));
            let goes_on = |all: &BTreeSet<Rev>| !all.contains(merge) && merged.iter().any(|rev| all.contains(rev));
            has_merge && ancestors.iter().any(goes_on)
        });
        let add = |count: &AtomicU64, is_so: bool| count.fetch_add(u64::from(is_so), Ordering::Relaxed);
        add(&MET.late_edits, is_late);
        add(&MET.late_edits_on_parts, is_late && *part != Part::All);
        add(&MET.late_edits_beside_others, is_late && branches.len() > 2);
    }
}

fn revs(told: &Value, name: &str) -> Vec<Rev> {
    let named = told[name].as_array().into_iter().flatten();
    named.map(|rev| Rev::parse(rev.as_str().unwrap()).unwrap()).collect()
}
