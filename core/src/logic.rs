//! Logic beside the data: an app's own rules for what is written.
//!
//! A [`Database`](crate::database::Database) that was given a [`Logic`] shows it every revision that is about to be written:
//! local edits, which it may shape, and those of replicas, which it may not; both it may refuse. It is asked while the
//! writer's lock is held, once for each batch, so **whoever implements it bounds the time that it takes**. Local and design
//! documents are not shown.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use futures_util::future::LocalBoxFuture;

use crate::error::ErrorReport;
use crate::json::Value;
use crate::merge::Clash;

/// What an app wants to hold of every revision that is written.
pub trait Logic {
    /// A verdict for each of `proposals`, in their order. None of them follows on another one, though they may be of the
    /// same document.
    ///
    /// # Errors
    /// A [`LogicError`]: then nothing of the whole write is written.
    fn judge(&self, proposals: Vec<Proposal>) -> LocalBoxFuture<'_, Result<Vec<Verdict>, LogicError>>;

    /// What becomes of each of these places, in their order; `None` where a person is to decide. Whoever is asked the same answers
    /// the same, on every replica.
    ///
    /// # Errors
    /// A [`LogicError`]: then nothing of what was asked is decided.
    fn merge(&self, clashes: Vec<Contested>) -> LocalBoxFuture<'_, Result<Vec<Option<Value>>, LogicError>> {
        drop(clashes);
        let none = LogicError::Failed(String::from("it has no functions that merge"));
        Box::pin(core::future::ready(Err(none)))
    }
}

/// A place that two branches changed, and on which a function of the app decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Contested {
    /// The function's name.
    pub function: String,
    /// The place.
    pub clash: Clash,
}

/// A revision that is about to be written. Documents are JSON text, as a read shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The new document. The `_rev` of a replica's revision is its own; that of a local edit, which has none yet, is the
    /// one that it replaces.
    pub new: Vec<u8>,
    /// The document at the revision that is replaced: the nearest ancestor that is held here, be it a tombstone. `None`
    /// where there is none.
    pub old: Option<Vec<u8>>,
    /// Whether a replica made the revision.
    pub replicated: bool,
}

/// What becomes of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is written as it is.
    Accept,
    /// This document is written in its place: of a local edit only, and with its `_id` and `_rev`.
    Shape(Vec<u8>),
    /// It is refused with 403 `forbidden`, for this reason.
    Forbidden(String),
    /// It is refused with 401 `unauthorized`, for this reason.
    Unauthorized(String),
    /// It is refused with 500 `logic_failed`, as the rules did what they must not.
    Faulty(String),
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogicError {
    /// It took longer than it may. One of the documents may be the cause.
    #[error("the logic took too long: {0}")]
    TooSlow(String),
    /// It cannot be asked at all, or gave no answer that can be read.
    #[error("the logic failed: {0}")]
    Failed(String),
    /// What merges texts and lists cannot be asked.
    #[error("texts and lists could not be merged: {0}")]
    Unmerged(String),
}

impl LogicError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        ErrorReport::new(500, "logic_failed", format!("{self}"))
    }
}
