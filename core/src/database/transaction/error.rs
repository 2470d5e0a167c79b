//! Why a transaction, or an operation of one, fails.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::database::{ReadError, WriteError};
use crate::error::ErrorReport;
use crate::json::PatchError;
use crate::query::QueryError;
use crate::storage::StorageError;

/// Why a transaction was not committed, or one of its operations was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TransactionError {
    /// What it has read has changed since: its body is to be run again.
    #[error("documents that the transaction has read were changed or purged meanwhile: {}", named(.ids))]
    Changed {
        /// The documents, in the order of their changes; the first twenty of them. None where documents were purged.
        ids: Vec<String>,
    },
    /// Local documents take no part in transactions.
    #[error("local documents take no part in transactions")]
    Local,
    /// There is nothing to read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The query has no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The document cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The patch cannot be applied.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl TransactionError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::Read(error) => return error.report(),
            Self::Query(error) => return error.report(),
            Self::Write(error) => return error.report(),
            Self::Patch(error) => return error.report(),
            Self::Storage(error) => return error.report(),
            Self::Changed { .. } => (409, "conflict"),
            Self::Local => (400, "illegal_docid"),
        };
        ErrorReport::new(status, name, format!("{self}"))
    }
}

fn named(ids: &[String]) -> String {
    ids.join(", ")
}
