//! Reading one document.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::attached::with_data;
use super::edit::load_tree;
use super::text::{document_text, revs};
use super::{Database, ReadError};
use crate::document::{Head, is_local, keys};
use crate::json::{Object, Value};
use crate::revision::{Rev, RevTree};
use crate::sorting::sort_by;
use crate::storage::{Kv, Snapshot, StorageError};

/// Which revision of a document is read, and what is told with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// This revision instead of the winner.
    pub rev: Option<String>,
    /// If `rev` is no leaf, the greatest leaf below it.
    pub latest: bool,
    /// Adds `_revisions`: the path from the revision towards its root.
    pub revs: bool,
    /// Adds `_revs_info`: that path, with what is still known of each.
    pub revs_info: bool,
    /// Adds `_conflicts`: the leaves that lost and are not deleted, if any.
    pub conflicts: bool,
    /// Adds `_deleted_conflicts`: the leaves that lost and are deleted, if any.
    pub deleted_conflicts: bool,
    /// Shows attachments with their data in base64 rather than as stubs.
    pub attachments: bool,
}

/// Which revisions [`Database::open_revs`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenRevs {
    /// Every leaf.
    All,
    /// These.
    These(Vec<String>),
}

/// One answer of [`Database::open_revs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenRev {
    /// The document at that revision.
    Ok(Vec<u8>),
    /// The revision that is not here.
    Missing(String),
}

impl<K: Kv> Database<K> {
    /// The JSON text of a document.
    ///
    /// # Errors
    /// [`ReadError::Missing`] and [`ReadError::Deleted`]; a deleted revision that is asked for by name is read.
    pub async fn get(&self, id: &str, get: &GetOptions) -> Result<Vec<u8>, ReadError> {
        if is_local(id) {
            return self.read_local(id).await;
        }
        get_in(&self.kv.snapshot()?, id, get).await
    }

    /// Several revisions of a document: all its leaves, in ascending order, or those that are named. Of `get` these count:
    /// `latest`, for the leaves below those that are named; `revs`, for `_revisions` with each; and `attachments`.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is no such document and all leaves were asked for.
    pub async fn open_revs(&self, id: &str, asked: OpenRevs, get: &GetOptions) -> Result<Vec<OpenRev>, ReadError> {
        let snapshot = self.kv.snapshot()?;
        let tree = load_tree(&snapshot, id).await?;
        let mut found: Vec<Rev> = Vec::new();
        let mut answers = Vec::new();
        match asked {
            OpenRevs::All if tree.is_empty() => return Err(ReadError::Missing),
            OpenRevs::All => found.extend(tree.leaves().into_iter().cloned()),
            OpenRevs::These(asked) => {
                for text in asked {
                    let rev = Rev::parse(&text)?;
                    match (tree.contains(&rev), get.latest) {
                        (false, _) => answers.push(OpenRev::Missing(text)),
                        (true, false) => found.push(rev),
                        (true, true) => found.extend(tree.latest(&[rev]).into_iter().cloned()),
                    }
                }
            }
        }
        sort_by(&mut found, Rev::cmp);
        found.dedup();
        let mut read = Vec::with_capacity(found.len() + answers.len());
        for rev in found {
            read.push(match body_text(&snapshot, id, &rev, get.attachments).await? {
                Some(body) => {
                    let deleted = tree.node(&rev).is_some_and(|node| node.deleted);
                    let mut extras = Vec::new();
                    if get.revs {
                        extras.extend(tree.revisions_of(&rev).map(|path| ("_revisions", path.to_json())));
                    }
                    OpenRev::Ok(document_text(id, &rev.to_string(), deleted, &body, &extras))
                }
                None => OpenRev::Missing(rev.to_string()),
            });
        }
        read.append(&mut answers);
        Ok(read)
    }
}

impl<K: Kv> Database<K> {
    /// The leaves of a document, the winner first; none if it is not here.
    pub(crate) async fn leaves(&self, id: &str) -> Result<Vec<String>, StorageError> {
        let head = read_head(&self.kv.snapshot()?, id).await?;
        Ok(head.iter().flat_map(|head| &head.leaves).map(|leaf| leaf.rev.to_string()).collect())
    }
}

/// The JSON text of a document that a snapshot holds, local documents apart.
pub(super) async fn get_in<S: Snapshot>(snapshot: &S, id: &str, get: &GetOptions) -> Result<Vec<u8>, ReadError> {
    let head = read_head(snapshot, id).await?.ok_or(ReadError::Missing)?;
    let winner = head.winner().ok_or(ReadError::Missing)?;
    let tree = match get.rev.is_some() || get.revs || get.revs_info {
        true => Some(load_tree(snapshot, id).await?),
        false => None,
    };
    let rev = match (&get.rev, &tree) {
        (Some(rev), Some(tree)) => named_revision(tree, &Rev::parse(rev)?, get.latest)?,
        _ if winner.deleted => return Err(ReadError::Deleted),
        _ => winner.rev.clone(),
    };
    let mut extras = Vec::new();
    if let Some(tree) = &tree {
        add_history(tree, &rev, get, &mut extras);
    }
    add_conflicts(&head, get, &mut extras);
    let deleted = match &tree {
        Some(tree) => tree.node(&rev).is_some_and(|node| node.deleted),
        None => winner.deleted,
    };
    let body = body_text(snapshot, id, &rev, get.attachments).await?.ok_or(ReadError::Missing)?;
    Ok(document_text(id, &rev.to_string(), deleted, &body, &extras))
}

/// The head of a document, if there is one.
pub(super) async fn read_head<S: Snapshot>(snapshot: &S, id: &str) -> Result<Option<Head>, StorageError> {
    snapshot.get(&keys::head(id)).await?.map(|record| Head::decode(&record)).transpose()
}

/// The body of a revision, if it is here; with the data of its attachments if they are asked for, and if those are here.
pub(super) async fn body_text<S: Snapshot>(
    snapshot: &S,
    id: &str,
    rev: &Rev,
    attachments: bool,
) -> Result<Option<Vec<u8>>, StorageError> {
    match snapshot.get(&keys::body(id, rev)).await? {
        Some(body) if attachments => with_data(snapshot, id, rev, body).await,
        body => Ok(body),
    }
}

/// The revision that `rev` names, or the winner.
pub(super) async fn revision_of<S: Snapshot>(snapshot: &S, id: &str, rev: Option<&str>) -> Result<Rev, ReadError> {
    let head = read_head(snapshot, id).await?.ok_or(ReadError::Missing)?;
    let winner = head.winner().ok_or(ReadError::Missing)?;
    match rev {
        Some(rev) => Ok(Rev::parse(rev)?),
        None if winner.deleted => Err(ReadError::Deleted),
        None => Ok(winner.rev.clone()),
    }
}

fn named_revision(tree: &RevTree, rev: &Rev, latest: bool) -> Result<Rev, ReadError> {
    if !tree.contains(rev) {
        return Err(ReadError::Missing);
    }
    let newest = if latest { tree.latest(core::slice::from_ref(rev)).first().copied() } else { None };
    Ok(newest.unwrap_or(rev).clone())
}

fn add_history(tree: &RevTree, rev: &Rev, get: &GetOptions, extras: &mut Vec<(&str, Value)>) {
    if get.revs
        && let Some(path) = tree.revisions_of(rev)
    {
        extras.push(("_revisions", path.to_json()));
    }
    if get.revs_info {
        let info = tree.ancestry(rev).map(|ancestor| {
            let status = match tree.node(ancestor) {
                Some(node) if node.available && node.deleted => "deleted",
                Some(node) if node.available => "available",
                _ => "missing",
            };
            let mut row = Object::new();
            row.insert("rev", Value::String(ancestor.to_string()));
            row.insert("status", status.into());
            Value::Object(row)
        });
        extras.push(("_revs_info", Value::Array(info.collect())));
    }
}

fn add_conflicts(head: &Head, get: &GetOptions, extras: &mut Vec<(&str, Value)>) {
    let lists = [
        (get.conflicts, "_conflicts", revs(head.conflicts().map(|leaf| &leaf.rev))),
        (get.deleted_conflicts, "_deleted_conflicts", revs(head.deleted_conflicts().map(|leaf| &leaf.rev))),
    ];
    for (wanted, name, list) in lists {
        if wanted && list != Value::Array(vec![]) {
            extras.push((name, list));
        }
    }
}
