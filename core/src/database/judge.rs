//! Shows what is about to be written to the app's logic, and does as it says.
//!
//! Documents are judged before anything of them is hashed or staged, so that a document that is refused leaves no trace.
//! What is shown as the old document may have come earlier in the same write; so a batch is cut where a document follows
//! on one before it, and is asked about part by part. Most batches are one part.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::attached;
use super::commit::Edits;
use super::edit::{Edit, load_tree};
use super::text::{document_text, new_document_text};
use super::write::{parent_of, path_of};
use super::{Database, WriteError};
use crate::document::{Document, GivenAttachment, keys};
use crate::error::ErrorReport;
use crate::json::{self, Object, Value};
use crate::logic::{Logic, LogicError, Proposal, Verdict};
use crate::merge::{Policies, Sequences};
use crate::ordered::Map;
use crate::revision::{Rev, Revisions};
use crate::storage::{Kv, Snapshot, StorageError};

/// About how many bytes of documents are shown at a time.
const SHOWN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How the documents of a write are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As new edits; `force` takes the winner as the parent.
    Edits { force: bool },
    /// As revisions of a replica.
    Replicated,
}

/// A document of a write; refused, if an error.
pub(super) type Judged = Result<Document, WriteError>;

/// A document whose verdict is awaited.
struct Shown {
    place: usize,
    /// The `_rev` under which it was shown.
    rev: Option<Rev>,
}

impl<K: Kv> Database<K> {
    /// Has `logic` see what is written from now on.
    #[must_use]
    pub fn with_logic(mut self, logic: Rc<dyn Logic>) -> Self {
        self.logic = Some(logic);
        self
    }

    /// The same database, in which `policies` close reviews once all that a pull brings of a document is here.
    #[must_use]
    pub fn with_policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Has `sequences` merge texts and lists where a policy asks for it.
    #[must_use]
    pub fn with_sequences(mut self, sequences: Rc<dyn Sequences>) -> Self {
        self.sequences = Some(sequences);
        self
    }

    /// What becomes of documents with several branches.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The documents as they are to be written. None of them follows on another; see [`independent`].
    pub(super) async fn judge<S: Snapshot>(
        &self,
        edits: &mut Edits,
        snapshot: &S,
        documents: Vec<Document>,
        kind: Kind,
    ) -> Result<Vec<Judged>, WriteError> {
        let mut judged: Vec<Judged> = documents.into_iter().map(Ok).collect();
        let Some(logic) = &self.logic else { return Ok(judged) };
        let (mut shown, mut proposals, mut bytes) = (Vec::new(), Vec::new(), 0);
        for place in 0..judged.len() {
            let Some(Ok(document)) = judged.get(place) else { continue };
            match propose(edits.of(snapshot, &document.id).await?, snapshot, document, kind).await {
                Ok(Some((rev, proposal))) => {
                    bytes += proposal.new.len() + proposal.old.as_ref().map_or(0, Vec::len);
                    shown.push(Shown { place, rev });
                    proposals.push(proposal);
                }
                Ok(None) => {}
                Err(WriteError::Storage(error)) => return Err(error.into()),
                Err(error) => refuse(&mut judged, place, error),
            }
            if bytes > SHOWN_BYTES_MAX {
                let (shown, proposals) = (core::mem::take(&mut shown), core::mem::take(&mut proposals));
                self.decide(logic.as_ref(), kind, &mut judged, shown, proposals).await?;
                bytes = 0;
            }
        }
        self.decide(logic.as_ref(), kind, &mut judged, shown, proposals).await?;
        Ok(judged)
    }

    async fn decide(
        &self,
        logic: &dyn Logic,
        kind: Kind,
        judged: &mut [Judged],
        shown: Vec<Shown>,
        proposals: Vec<Proposal>,
    ) -> Result<(), WriteError> {
        if proposals.is_empty() {
            return Ok(());
        }
        let verdicts = logic.judge(proposals).await?;
        if verdicts.len() != shown.len() {
            return Err(LogicError::Failed(format!("{} verdicts on {}", verdicts.len(), shown.len())).into());
        }
        for (Shown { place, rev }, verdict) in shown.into_iter().zip(verdicts) {
            let refusal = match verdict {
                Verdict::Accept => continue,
                Verdict::Shape(_) if kind == Kind::Replicated => {
                    refusal(500, "logic_failed", String::from("a replica's revision is as it is"))
                }
                Verdict::Shape(text) => match judged.get_mut(place) {
                    Some(Ok(document)) => match self.shape(document, rev.as_ref(), &text) {
                        Ok(()) => continue,
                        Err(error) => error,
                    },
                    _ => continue,
                },
                Verdict::Forbidden(reason) => refusal(403, "forbidden", reason),
                Verdict::Unauthorized(reason) => refusal(401, "unauthorized", reason),
                Verdict::Faulty(reason) => refusal(500, "logic_failed", reason),
            };
            refuse(judged, place, refusal);
        }
        Ok(())
    }

    /// Puts what the logic made of the document in its place. Its attachments stay as they came.
    fn shape(&self, document: &mut Document, shown: Option<&Rev>, text: &[u8]) -> Result<(), WriteError> {
        // Whatever is wrong with it, it is not the writer's document.
        let shaped = Document::parse(text, self.options.document_bytes_max).map_err(|error| {
            refusal(500, "logic_failed", format!("onWrite returned what cannot be stored: {error}"))
        })?;
        if shaped.id != document.id || shaped.rev.as_ref() != shown {
            return Err(refusal(500, "logic_failed", String::from("onWrite must keep _id and _rev as they are")));
        }
        document.deleted = shaped.deleted;
        document.body = shaped.body;
        Ok(())
    }
}

fn refusal(status: u16, name: &'static str, reason: String) -> WriteError {
    WriteError::Refused(ErrorReport::new(status, name, reason))
}

fn refuse(judged: &mut [Judged], place: usize, error: WriteError) {
    if let Some(document) = judged.get_mut(place) {
        *document = Err(error);
    }
}

/// How many of `documents`, from the first on, can be judged before any of them is written: up to one that follows on
/// another. A new edit may follow on any earlier one of its document.
pub(super) fn independent(documents: &[Document], kind: Kind) -> usize {
    let mut earlier: Map<&str, Vec<&Document>> = Map::new();
    for (place, document) in documents.iter().enumerate() {
        let same = earlier.get_or_default(&document.id);
        let is_on_path = |earlier: &&Document| {
            let mut path = document.revisions.iter().flat_map(Revisions::iter);
            earlier.rev == document.rev || path.any(|rev| earlier.rev.as_ref() == Some(&rev))
        };
        let follows = match kind {
            Kind::Edits { .. } => !same.is_empty(),
            Kind::Replicated => same.iter().any(is_on_path),
        };
        if follows {
            return place;
        }
        same.push(document);
    }
    documents.len()
}

/// What is shown of attachments that are about to be written: their names and types.
fn stubs(attachments: &[GivenAttachment]) -> Object {
    let mut stubs = Object::new();
    for attachment in attachments {
        let mut stub = Object::new();
        stub.insert("content_type", attachment.content_type.as_str().into());
        stub.insert("stub", true.into());
        stubs.insert(&attachment.name, Value::Object(stub));
    }
    stubs
}

/// What is shown of a document, and under which `_rev`; `None` if it is not shown: it is here already, or a design document.
///
/// # Errors
/// A conflict, or that the document is none: it is not shown then, either.
async fn propose<S: Snapshot>(
    edit: &Edit,
    snapshot: &S,
    document: &Document,
    kind: Kind,
) -> Result<Option<(Option<Rev>, Proposal)>, WriteError> {
    if document.id.starts_with('_') {
        return Ok(None);
    }
    let (rev, replaced) = match kind {
        Kind::Edits { force } => {
            let parent = parent_of(edit, document.rev.as_ref(), force)?;
            let replaced = parent.clone().map(|rev| Ancestor { is_tombstone: edit.is_tombstone(&rev), rev });
            (parent, replaced)
        }
        Kind::Replicated => match Arrival::of(edit, snapshot, &path_of(document)?).await? {
            Arrival::Known => return Ok(None),
            Arrival::New { replaces } => (document.rev.clone(), replaces),
        },
    };
    let old = match replaced {
        Some(ancestor) => ancestor.text(edit, snapshot).await?,
        None => None,
    };
    let mut body = Vec::new();
    match document.attachments.is_empty() {
        true => json::write_object(&document.body, &mut body),
        false => {
            let mut members = document.body.clone();
            members.insert(attached::MEMBER, Value::Object(stubs(&document.attachments)));
            json::write_object(&members, &mut body);
        }
    }
    let shown = rev.as_ref().map(ToString::to_string);
    let new = new_document_text(&document.id, shown.as_deref(), document.deleted, &body);
    Ok(Some((rev, Proposal { new, old, replicated: kind == Kind::Replicated })))
}

/// What a replica's revision is to the tree that is here.
enum Arrival {
    /// It is in it, with its body.
    Known,
    /// It is new.
    New {
        /// The nearest ancestor whose body is held here.
        replaces: Option<Ancestor>,
    },
}

/// A revision that another replaces.
struct Ancestor {
    rev: Rev,
    is_tombstone: bool,
}

impl Arrival {
    async fn of<S: Snapshot>(edit: &Edit, snapshot: &S, path: &Revisions) -> Result<Self, StorageError> {
        if edit.winner().is_none() {
            return Ok(Self::New { replaces: None });
        }
        // Nothing follows on a leaf, so nothing nearer is here, nor the revision itself.
        if let Some(rev) = path.iter().skip(1).find(|rev| edit.is_leaf(rev)) {
            return Ok(Self::New { replaces: Some(Ancestor { is_tombstone: edit.is_tombstone(&rev), rev }) });
        }
        let tree = load_tree(snapshot, &edit.id).await?;
        let is_held = |rev: &Rev| {
            edit.bodies.iter().any(|(held, _)| held == rev) || tree.node(rev).is_some_and(|node| node.available)
        };
        if path.iter().next().is_some_and(|rev| is_held(&rev)) {
            return Ok(Self::Known);
        }
        let is_tombstone = |rev: &Rev| edit.is_tombstone(rev) || tree.node(rev).is_some_and(|node| node.deleted);
        let nearest = path.iter().skip(1).find(is_held);
        Ok(Self::New { replaces: nearest.map(|rev| Ancestor { is_tombstone: is_tombstone(&rev), rev }) })
    }
}

impl Ancestor {
    /// The document at this revision as a read shows it, if its body is held, be it by this very write.
    async fn text<S: Snapshot>(&self, edit: &Edit, snapshot: &S) -> Result<Option<Vec<u8>>, StorageError> {
        let text = |body: &[u8]| document_text(&edit.id, &self.rev.to_string(), self.is_tombstone, body, &[]);
        if let Some((_, body)) = edit.bodies.iter().find(|(new, _)| *new == self.rev) {
            return Ok(Some(text(&body.text)));
        }
        let stored = snapshot.get(&keys::body(&edit.id, &self.rev)).await?;
        Ok(stored.map(|body| text(&body)))
    }
}
