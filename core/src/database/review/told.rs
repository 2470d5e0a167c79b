//! What merges tell of themselves in the `firkin` member: what they merged (`merged`), what they took back (`reverted`), and that
//! only a person may go on (`policy: "review"`).
//!
//! It is kept beside the body, which a compaction drops once the merge is edited on: **what was decided stays decided**.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::database::Database;
use crate::database::edit::load_tree;
use crate::document::keys;
use crate::json::{self, Object, Value};
use crate::merge::FIRKIN;
use crate::ordered::Map;
use crate::revision::{Rev, RevTree};
use crate::storage::{Batch, Cursor, Direction, KeyRange, Kv, Snapshot, StorageError};

/// What a revision tells of a merge. Others may have written anything there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The branches that it merged.
    pub(super) merged: Vec<Rev>,
    /// The merges that it took back.
    pub(super) reverted: Vec<Rev>,
    /// Whether no policy may go on from here.
    pub(super) is_pinned: bool,
}

impl Told {
    /// What a document tells.
    pub(super) fn of(members: &Object) -> Self {
        members.get(FIRKIN).and_then(Value::as_object).map(Self::read).unwrap_or_default()
    }

    fn read(firkin: &Object) -> Self {
        let revs = |name: &str| {
            let revs = firkin.get(name).and_then(Value::as_array).unwrap_or_default();
            revs.iter().filter_map(|rev| Rev::parse(rev.as_str()?).ok()).collect()
        };
        let is_pinned = firkin.get("policy").and_then(Value::as_str) == Some("review");
        Self { merged: revs("merged"), reverted: revs("reverted"), is_pinned }
    }
}

/// Keeps what a revision tells beside its body, if it tells anything.
pub(in crate::database) fn stage(id: &str, rev: &Rev, members: &Object, batch: &mut Batch) {
    if let Some(firkin) = members.get(FIRKIN).and_then(Value::as_object)
        && Told::read(firkin) != Told::default()
    {
        let mut record = Vec::new();
        json::write_object(firkin, &mut record);
        batch.put(&keys::told(id, rev), &record);
    }
}

/// What all revisions of a document tell, as far as they tell anything.
pub(super) async fn all<S: Snapshot>(snapshot: &S, id: &str) -> Result<Map<Rev, Told>, StorageError> {
    let prefix = keys::told_in(id);
    let mut records = snapshot.range(KeyRange::prefix(&prefix), Direction::Forward)?;
    let mut all = Map::new();
    while records.advance().await? {
        let rev = records.key().get(prefix.len()..).and_then(Rev::decode);
        let firkin = json::parse(records.value()).ok();
        if let (Some((rev, _)), Some(Value::Object(firkin))) = (rev, firkin) {
            all.insert(rev, Told::read(&firkin));
        }
    }
    Ok(all)
}

impl<K: Kv> Database<K> {
    /// The revisions of a document that tell of a merge and are no leaves, as far as their bodies are here. A peer that gets the leaves
    /// only would not know what was decided.
    pub(crate) async fn told_by(&self, id: &str) -> Result<Vec<String>, StorageError> {
        let snapshot = self.kv.snapshot()?;
        let told = all(&snapshot, id).await?;
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let tree = load_tree(&snapshot, id).await?;
        let is_here = |rev: &&Rev| tree.node(rev).is_some_and(|node| node.available) && !tree.is_leaf(rev);
        Ok(told.iter().map(|(rev, _)| rev).filter(is_here).map(ToString::to_string).collect())
    }
}

/// What a merge was made of: the branches that it merged, and its parent. Nothing if it is none.
pub(in crate::database) async fn merged_into<S: Snapshot>(
    snapshot: &S,
    id: &str,
    tree: &RevTree,
    merge: &Rev,
) -> Result<Vec<Rev>, StorageError> {
    let told = all(snapshot, id).await?;
    let mut sources = merged_at(&told, tree, merge).to_vec();
    if !sources.is_empty() {
        sources.extend(tree.parent(merge).cloned());
    }
    Ok(sources)
}

/// Whether the revision took a merge back. An edit that carries the member of such a one along took nothing back.
pub(super) fn is_pinned_at(told: &Map<Rev, Told>, tree: &RevTree, rev: &Rev) -> bool {
    let at = told.get(rev);
    at.is_some_and(|told| told.is_pinned) && tree.parent(rev).and_then(|parent| told.get(parent)) != at
}

/// What the revision merged. An edit that carries the member of the merge along which it replaces merged nothing.
pub(super) fn merged_at<'t>(told: &'t Map<Rev, Told>, tree: &RevTree, rev: &Rev) -> &'t [Rev] {
    let at = |rev: &Rev| told.get(rev).map(|told| told.merged.as_slice()).unwrap_or_default();
    let before = tree.parent(rev).map(at).unwrap_or_default();
    if at(rev) == before { &[] } else { at(rev) }
}
