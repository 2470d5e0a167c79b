//! Why a read or a write of the database fails.

use alloc::format;

use crate::document::DocumentError;
use crate::error::ErrorReport;
use crate::json::JsonError;
use crate::logic::LogicError;
use crate::query::QueryError;
use crate::revision::RevError;
use crate::storage::StorageError;

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The document is not one.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The parent is not a leaf, or the document exists and no parent was named.
    #[error("Document update conflict.")]
    Conflict,
    /// Why the only document of a write was refused, other than by a conflict.
    #[error("{}", .0.reason)]
    Refused(ErrorReport),
    /// There is no such document to remove.
    #[error("missing")]
    NotFound,
    /// A stub stands for an attachment that is not here.
    #[error("Invalid attachment stub in {id} for {name}")]
    MissingStub {
        /// The document's id.
        id: alloc::string::String,
        /// The attachment's name.
        name: alloc::string::String,
    },
    /// There is no such attachment to remove.
    #[error("Document is missing attachment")]
    NoAttachment,
    /// The content that was to be attached is not staged here: it is to be sent again, from its beginning.
    #[error("The content is not here any more; send it again.")]
    ContentLost,
    /// The revision that is to be purged is not a leaf.
    #[error("The requested revision is not a leaf")]
    NotALeaf,
    /// A document of a replica names no revision.
    #[error("Invalid rev format")]
    NoRev,
    /// The revision is stored already, with another body, which is kept.
    #[error("This revision is stored with another body; the first one is kept.")]
    OtherBody,
    /// The app's logic gave no verdict.
    #[error(transparent)]
    Logic(#[from] LogicError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WriteError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::Document(error) => return error.report(),
            Self::Storage(error) => return error.report(),
            Self::Logic(error) => return error.report(),
            Self::Refused(report) => return report.clone(),
            Self::Conflict | Self::OtherBody | Self::NotALeaf => (409, "conflict"),
            Self::NotFound | Self::NoAttachment => (404, "not_found"),
            Self::ContentLost => (404, "content_lost"),
            Self::MissingStub { .. } => (412, "missing_stub"),
            Self::NoRev => (400, "bad_request"),
        };
        ErrorReport::new(status, name, format!("{self}"))
    }
}

impl From<RevError> for WriteError {
    fn from(error: RevError) -> Self {
        Self::Document(error.into())
    }
}

/// Why there is nothing to read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// The document, or the revision, is not here.
    #[error("missing")]
    Missing,
    /// The document is deleted.
    #[error("deleted")]
    Deleted,
    /// The revision has no attachment of that name.
    #[error("Document is missing attachment")]
    NoAttachment,
    /// A revision that is none.
    #[error(transparent)]
    Revision(#[from] RevError),
    /// A sequence that is none.
    #[error("Malformed sequence supplied in 'since' parameter.")]
    BadSince,
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::Revision(error) => return error.report(),
            Self::Storage(error) => return error.report(),
            Self::Missing | Self::Deleted | Self::NoAttachment => (404, "not_found"),
            Self::BadSince => (400, "bad_request"),
        };
        ErrorReport::new(status, name, format!("{self}"))
    }
}

/// A body that was stored and is no JSON any more.
pub(super) fn damaged_body(id: &str, error: &JsonError) -> StorageError {
    StorageError::Corrupt(format!("the body of {id:?}: {error}"))
}

impl From<ReadError> for QueryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Storage(error) => Self::Storage(error),
            other => Self::Storage(StorageError::Corrupt(format!("{other}"))),
        }
    }
}
