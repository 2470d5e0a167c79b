//! Closing a review, and taking that back.
//!
//! A merge is one revision on the winning branch and an empty tombstone on each of the others, in one commit. It names what it
//! merged, and holds no more than what the caller gives: **who merges the same branches in the same way makes the same revisions**.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::told;
use super::{Branch, Review, review_in};
use crate::database::attached::read_members;
use crate::database::edit::load_tree;
use crate::database::judge::Kind;
use crate::database::read::read_head;
use crate::database::text::new_document_text;
use crate::database::write::tombstone;
use crate::database::{Database, ReadError, WriteError, WriteOptions, Written};
use crate::document::{Document, DocumentError, keys};
use crate::error::ErrorReport;
use crate::json::{self, Object, Value};
use crate::merge::{FIRKIN, Policies, is_mergeable};
use crate::path::{Found, Path};
use crate::revision::Rev;
use crate::storage::{Kv, Snapshot};

/// What the merged document is.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// That of the branch with this revision.
    Branch(String),
    /// What the policies propose; at a clash that of the winning branch.
    Proposal,
    /// The proposal, with these places as they are said.
    Paths(Vec<(Path, Pick)>),
    /// This one. Its special members but `_attachments` say nothing.
    Document(Object),
}

/// What stands at one place of a merged document.
#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    /// What stands there in the base, if anything does.
    Base,
    /// What stands there in this branch.
    Branch(String),
    /// This.
    Value(Value),
}

impl<K: Kv> Database<K> {
    /// Closes the review of a document whose branches are `leaves`, in any order. `told` is what `firkin` tells of the merge beside what it
    /// merged: author, message and time, if they are given.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] if the document has other branches by now; [`WriteError::NotFound`] if there is no such document or
    /// branch, or only one; and those of [`put`](Self::put). Nothing was written then.
    pub async fn merge_review(
        &self,
        id: &str,
        leaves: &[String],
        choice: &Choice,
        told: &Object,
        policies: &Policies,
        write: &WriteOptions,
    ) -> Result<Written, WriteError> {
        let _writer = self.writer.lock().await;
        let snapshot = self.kv.snapshot()?;
        let review = review_in(&snapshot, id, policies, self.deciders()).await.map_err(WriteError::from_read)?;
        let is_same =
            leaves.len() == review.branches.len() && review.branches.iter().all(|branch| leaves.contains(&branch.rev));
        if !is_same {
            return Err(WriteError::Conflict);
        }
        let Some((winner, losers)) = review.branches.split_first().filter(|(_, losers)| !losers.is_empty()) else {
            return Err(WriteError::NotFound);
        };
        let members = chosen(&review, choice)?;
        self.close(&snapshot, id, (winner, losers), members, told, write).await
    }

    /// Writes the merge of branches as which `members` stand.
    pub(super) async fn close(
        &self,
        snapshot: &K::Snapshot,
        id: &str,
        (winner, losers): (&Branch, &[Branch]),
        mut members: Object,
        told: &Object,
        write: &WriteOptions,
    ) -> Result<Written, WriteError> {
        members.retain(|name, _| name != FIRKIN && (!name.starts_with('_') || name == "_attachments"));
        let mut merged: Vec<&str> = losers.iter().map(|branch| branch.rev.as_str()).collect();
        merged.sort_unstable();
        let mut told = told.clone();
        told.insert("merged", Value::Array(merged.into_iter().map(Value::from).collect()));
        members.insert(FIRKIN, Value::Object(told));
        let mut documents = Vec::from([self.edit_of(id, &winner.rev, &members)?]);
        for loser in losers {
            documents.push(tombstone(snapshot, id, &loser.rev).await?);
        }
        self.write_whole(snapshot, documents, write).await
    }

    /// Takes a merge back that is the winner: the document becomes what the winning branch was before, the other branches are open
    /// again as they were, and no policy closes them any more.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if the winner is no merge, or a branch is not held any more; [`WriteError::Conflict`] if the winner is not
    /// `rev`, or a branch went on after the merge. Nothing was written then.
    pub async fn revert_merge(
        &self,
        id: &str,
        rev: &str,
        told: &Object,
        write: &WriteOptions,
    ) -> Result<Written, WriteError> {
        let _writer = self.writer.lock().await;
        let snapshot = self.kv.snapshot()?;
        let head = read_head(&snapshot, id).await?.ok_or(WriteError::NotFound)?;
        let merge = head.alive().map(|leaf| leaf.rev.clone()).ok_or(WriteError::NotFound)?;
        if merge != Rev::parse(rev)? {
            return Err(WriteError::Conflict);
        }
        let tree = load_tree(&snapshot, id).await?;
        let body = async |rev: &Rev| -> Result<Object, WriteError> {
            let body = snapshot.get(&keys::body(id, rev)).await?.ok_or(WriteError::NotFound)?;
            Ok(read_members(id, &body)?)
        };
        let told_here = told::all(&snapshot, id).await?;
        let merged = told::merged_at(&told_here, &tree, &merge);
        // A branch that is open again may have been a merge before it was ended, and carries what that told along: it merged nothing.
        let is_alive = |rev: &&Rev| tree.node(rev).is_some_and(|node| !node.deleted);
        let parent = tree.parent(&merge).filter(|_| !merged.is_empty()).filter(is_alive).ok_or(WriteError::NotFound)?;
        let mut members = body(parent).await?;
        let mut told = told.clone();
        told.insert("reverted", Value::Array([Value::String(merge.to_string())].into()));
        members.insert(FIRKIN, Value::Object(told));
        pin(&mut members);
        let mut documents = Vec::from([self.edit_of(id, &merge.to_string(), &members)?]);
        for branch in merged {
            let mut ends = tree.children(branch).filter(|child| tree.node(child).is_some_and(|node| node.deleted));
            let end = ends.find(|end| tree.is_leaf(end)).ok_or(WriteError::Conflict)?;
            let mut members = body(branch).await?;
            pin(&mut members);
            documents.push(self.edit_of(id, &end.to_string(), &members)?);
        }
        self.write_whole(&snapshot, documents, write).await
    }

    /// The edit that makes `members` of the leaf `rev`.
    fn edit_of(&self, id: &str, rev: &str, members: &Object) -> Result<Document, WriteError> {
        let mut body = Vec::new();
        json::write_object(members, &mut body);
        let text = new_document_text(id, Some(rev), false, &body);
        Ok(Document::parse(&text, self.options.document_bytes_max)?)
    }

    /// Writes all of `documents`, or none; what became of the first.
    pub(super) async fn write_whole(
        &self,
        snapshot: &K::Snapshot,
        documents: Vec<Document>,
        write: &WriteOptions,
    ) -> Result<Written, WriteError> {
        let write = WriteOptions { atomic: true, force: false, ..write.clone() };
        let (rows, _) = self.write_in(snapshot, documents, Kind::Edits { force: false }, &write).await?;
        // Those that were refused only because another was say 409.
        let refused =
            rows.iter().filter_map(|row| row.as_ref().err()).max_by_key(|refused| refused.error.status != 409);
        if let Some(refused) = refused {
            return Err(WriteError::Refused(refused.error.clone()));
        }
        rows.into_iter().find_map(Result::ok).ok_or(WriteError::NotFound)
    }
}

/// Has the document say that only a person may go on from it. Every branch that is open again does: which of them a replica gets, and
/// which is edited before it does, nobody knows.
fn pin(members: &mut Object) {
    let mut told = match members.remove(FIRKIN) {
        Some(Value::Object(told)) => told,
        _ => Object::new(),
    };
    told.insert("policy", "review".into());
    members.insert(FIRKIN, Value::Object(told));
}

impl WriteError {
    /// Why a document cannot be read that was to be written.
    pub(super) fn from_read(error: ReadError) -> Self {
        match error {
            ReadError::Storage(error) => error.into(),
            ReadError::Missing | ReadError::Deleted => Self::NotFound,
            other => Self::Refused(other.report()),
        }
    }
}

fn chosen(review: &Review, choice: &Choice) -> Result<Object, WriteError> {
    let branch = |rev: &str| -> Result<&Branch, WriteError> {
        review.branches.iter().find(|branch| branch.rev == rev).ok_or(WriteError::NotFound)
    };
    let picks = match choice {
        Choice::Branch(rev) => return Ok(branch(rev)?.members.clone()),
        Choice::Document(members) => return Ok(members.clone()),
        Choice::Proposal => {
            return review
                .failure
                .clone()
                .map_or_else(|| Ok(review.proposal.members.clone()), |failure| Err(failure.into()));
        }
        Choice::Paths(picks) => picks,
    };
    let mut merged = Value::Object(review.proposal.members.clone());
    let sources = || review.branches.iter().chain(&review.base);
    for (path, pick) in picks {
        let is_there = |source: &Branch| matches!(path.find(&Value::Object(source.members.clone())), Found::Value(_));
        if !is_mergeable(path) || (!matches!(pick, Pick::Value(_)) && !sources().any(is_there)) {
            return Err(no_place(path));
        }
        let source = match pick {
            Pick::Base => review.base.as_ref(),
            Pick::Branch(rev) => Some(branch(rev)?),
            Pick::Value(_) => None,
        };
        let document = source.map(|source| Value::Object(source.members.clone()));
        let value = match (pick, document.as_ref().map(|document| path.find(document))) {
            (Pick::Value(value), _) => Some(value.clone()),
            (_, Some(Found::Value(value))) => Some(value.clone()),
            _ => None,
        };
        set(&mut merged, path, value).ok_or_else(|| no_place(path))?;
    }
    match merged {
        Value::Object(members) => Ok(members),
        _ => Err(DocumentError::NotAnObject.into()),
    }
}

/// Puts something at a place in objects, or takes away what is there; `None` if the place is not within objects.
pub(super) fn set(root: &mut Value, path: &Path, value: Option<Value>) -> Option<()> {
    let (last, parents) = path.names().split_last()?;
    let mut place = root;
    for name in parents {
        let Value::Object(members) = place else { return None };
        if members.get(name).is_none() {
            members.insert(name, Value::Object(Object::new()));
        }
        place = members.get_mut(name)?;
    }
    let Value::Object(members) = place else { return None };
    match value {
        Some(value) => members.insert(last, value),
        None => drop(members.remove(last)),
    }
    Some(())
}

fn no_place(path: &Path) -> WriteError {
    let reason = alloc::format!("the merged document has no place {path}");
    WriteError::Refused(ErrorReport::new(400, "bad_request", reason))
}
