//! Why a replication ended.

use alloc::format;
use alloc::string::{String, ToString};

use super::control::Cancelled;
use crate::effects::TransportError;
use crate::error::ErrorReport;
use crate::json::JsonError;
use crate::query::QueryError;

/// Why a replication ended before it was done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplicationError {
    /// It was cancelled.
    #[error("the replication was cancelled")]
    Cancelled,
    /// The network failed, and the options do not ask to wait and try again.
    #[error(transparent)]
    Network(#[from] TransportError),
    /// What answers at the URL does not speak the CouchDB protocol.
    #[error("there is no CouchDB database at this URL: {0}")]
    NoServer(String),
    /// The peer has no such database.
    #[error("Database does not exist.")]
    NoDatabase,
    /// The peer wants other credentials, and the app had none that it took.
    #[error("the peer does not accept the credentials: {0}")]
    Unauthorized(String),
    /// The peer forbids what was asked.
    #[error("the peer forbids this: {0}")]
    Forbidden(String),
    /// The peer refused a request for another reason.
    #[error("the peer answered {status} {error}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error's name, as the peer tells it.
        error: String,
        /// The peer's reason.
        reason: String,
    },
    /// An answer of the peer is not what the protocol says.
    #[error("the peer's answer makes no sense: {0}")]
    Malformed(String),
    /// An answer for a single document is greater than the options allow.
    #[error("an answer of the peer is longer than {limit} bytes")]
    AnswerTooLong {
        /// The greatest number of bytes that an answer may have.
        limit: usize,
    },
    /// The peer's snapshot cannot be taken; a pull goes on without it.
    #[error("the peer's snapshot cannot be taken: {0}")]
    Snapshot(String),
    /// The selector of the options is none.
    #[error(transparent)]
    Selector(#[from] QueryError),
    /// The database on this side failed.
    #[error("{}", .0.reason)]
    Local(ErrorReport),
}

impl ReplicationError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::Local(report) => return report.clone(),
            Self::Selector(error) => return error.report(),
            Self::Cancelled => (0, "aborted"),
            Self::Network(TransportError::BadUrl(_)) => (400, "bad_request"),
            Self::Network(TransportError::Unreadable(_)) => (500, "storage_failed"),
            Self::Network(_) => (0, "network_failed"),
            Self::NoServer(_) => (502, "no_server"),
            Self::NoDatabase => (404, "not_found"),
            Self::Unauthorized(_) => (401, "unauthorized"),
            Self::Forbidden(_) => (403, "forbidden"),
            Self::Refused { status, .. } => (*status, "refused"),
            Self::Malformed(_) => (502, "malformed_answer"),
            Self::Snapshot(_) => (502, "bad_snapshot"),
            Self::AnswerTooLong { .. } => (413, "too_large"),
        };
        ErrorReport::new(status, name, format!("{self}"))
    }
}

impl From<JsonError> for ReplicationError {
    fn from(error: JsonError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<Cancelled> for ReplicationError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
