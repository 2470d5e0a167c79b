//! How an error is told to those outside: one shape for JavaScript and HTTP, in CouchDB's words.

use alloc::string::String;

use crate::storage::StorageError;

/// What a caller is told of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    /// The HTTP status; 0 where no HTTP status fits (the network failed, the work was aborted).
    pub status: u16,
    /// The stable name: `not_found`, `conflict`, ….
    pub name: &'static str,
    /// What happened, for people.
    pub reason: String,
}

impl ErrorReport {
    /// A report.
    #[must_use]
    pub fn new(status: u16, name: &'static str, reason: impl Into<String>) -> Self {
        Self { status, name, reason: reason.into() }
    }
}

impl StorageError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::QuotaExceeded => (507, "quota_exceeded"),
            Self::Corrupt(_) | Self::Failed(_) => (500, "storage_failed"),
            Self::FormatTooNew { .. } => (500, "format_too_new"),
            Self::Fenced => (503, "fenced"),
            Self::Closed => (503, "closed"),
        };
        ErrorReport::new(status, name, alloc::format!("{self}"))
    }
}
