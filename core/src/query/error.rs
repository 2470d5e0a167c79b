//! What can be wrong with a query.

use alloc::format;
use alloc::string::String;

use super::PatternError;
use crate::error::ErrorReport;
use crate::json::JsonError;
use crate::storage::StorageError;

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The query is not JSON.
    #[error("the query is not JSON: {0}")]
    Json(#[from] JsonError),
    /// The query has no selector.
    #[error("Missing required key: selector")]
    NoSelector,
    /// An operator that does not exist.
    #[error("Invalid operator: {0}")]
    InvalidOperator(String),
    /// An operator's argument is not what the operator takes.
    #[error("Bad argument for operator {operator}: {argument}")]
    BadArgument {
        /// The operator.
        operator: String,
        /// The argument as JSON.
        argument: String,
    },
    /// The pattern of a `$regex` is too large.
    #[error("Bad argument for operator $regex: it is too large: {0}")]
    PatternTooLarge(PatternError),
    /// A member of the request is not what it must be.
    #[error("Invalid value for {member}: {value}")]
    BadMember {
        /// The member: `limit`, `sort`, ….
        member: &'static str,
        /// Its value as JSON.
        value: String,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl QueryError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let name = match self {
            Self::Storage(error) => return error.report(),
            Self::Json(_) => "bad_request",
            Self::NoSelector => "missing_required_key",
            Self::InvalidOperator(_) => "invalid_operator",
            Self::BadArgument { .. } | Self::PatternTooLarge(_) => "bad_arg",
            Self::BadMember { .. } => "query_parse_error",
        };
        ErrorReport::new(400, name, format!("{self}"))
    }
}
