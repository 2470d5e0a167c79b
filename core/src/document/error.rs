//! What can be wrong with a document.

use alloc::format;
use alloc::string::String;

use crate::error::ErrorReport;
use crate::json::{DEPTH_MAX, JsonError};
use crate::revision::RevError;

/// Why a document is refused before anything is looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The text is not JSON that Firkin takes.
    #[error("{}", not_json(.0))]
    Json(#[from] JsonError),
    /// The text is JSON, but not an object.
    #[error("Document must be a JSON object")]
    NotAnObject,
    /// The document, without the data of its attachments, is longer than the database allows.
    #[error("The document has {bytes} bytes; at most {bytes_max} are allowed")]
    TooLarge {
        /// The length of its text in bytes.
        bytes: usize,
        /// The most that the database takes.
        bytes_max: usize,
    },
    /// There is no `_id`.
    #[error("The document has no _id")]
    NoId,
    /// The `_id` is not a string.
    #[error("Document id must be a string")]
    IdNotAString,
    /// The `_id` is empty.
    #[error("Document id must not be empty")]
    EmptyId,
    /// The `_id` starts with an underscore and is neither a design nor a local document.
    #[error("Only reserved document ids may start with underscore.")]
    ReservedId,
    /// The `_id` is longer than [`super::ID_BYTES_MAX`].
    #[error("Document id is longer than {} bytes", super::ID_BYTES_MAX)]
    IdTooLong,
    /// The name of a member is longer than [`super::NAME_BYTES_MAX`].
    #[error("A member's name is longer than {} bytes", super::NAME_BYTES_MAX)]
    NameTooLong,
    /// A member starts with an underscore and is none that Firkin knows.
    #[error("Bad special document member: {0}")]
    UnknownMember(String),
    /// A member starts with an underscore, is known, and has a value that it cannot have.
    #[error("Bad special document member: {0}")]
    BadMember(&'static str),
    /// The name of an attachment starts with an underscore.
    #[error("Attachment name '{0}' starts with prohibited character '_'")]
    AttachmentName(String),
    /// The content of the attachment of this name is not given, or is no base64.
    #[error("Invalid attachment data for {0}")]
    AttachmentData(String),
    /// `_rev` or `_revisions` is no revision.
    #[error(transparent)]
    Revision(#[from] RevError),
}

/// As CouchDB says it, except of JSON that others take.
fn not_json(error: &JsonError) -> String {
    match error {
        JsonError::TooDeep(_) => format!("The document is nested too deep: at most {DEPTH_MAX} levels are taken"),
        JsonError::LoneSurrogate(_) => format!("The document is not Unicode: {error}"),
        _ => String::from("invalid UTF-8 JSON"),
    }
}

impl DocumentError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::Revision(error) => return error.report(),
            Self::TooLarge { .. } => (413, "too_large"),
            Self::NoId => (412, "missing_id"),
            Self::IdNotAString | Self::EmptyId | Self::ReservedId | Self::IdTooLong => (400, "illegal_docid"),
            Self::NameTooLong | Self::UnknownMember(_) | Self::BadMember(_) => (400, "doc_validation"),
            Self::Json(_) | Self::NotAnObject | Self::AttachmentName(_) | Self::AttachmentData(_) => {
                (400, "bad_request")
            }
        };
        ErrorReport::new(status, name, format!("{self}"))
    }
}
