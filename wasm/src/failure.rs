//! What a caller is told of an error, in the shape that JavaScript gets.

use firkin_core::database::{ConsumerError, ReadError, TransactionError, WriteError};
use firkin_core::effects::TransportError;
use firkin_core::error::ErrorReport;
use firkin_core::json::JsonError;
use firkin_core::query::QueryError;
use firkin_core::replication::ReplicationError;
use firkin_core::storage::StorageError;
use firkin_core::storage::restore::RestoreError;
use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

/// An error that ends a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub ErrorReport);

impl Failure {
    /// The payload of the call is not what the method takes.
    #[must_use]
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self(ErrorReport::new(400, "bad_request", reason))
    }

    /// Nobody waits for the answer any more.
    #[must_use]
    pub fn aborted() -> Self {
        Self(ErrorReport::new(0, "aborted", "the call was aborted"))
    }

    /// The database was closed.
    #[must_use]
    pub fn closed() -> Self {
        Self(StorageError::Closed.report())
    }

    /// The database is not there any more. It was not destroyed by any of its tabs.
    #[must_use]
    pub fn gone() -> Self {
        Self(ErrorReport::new(
            503,
            "gone",
            "the browser has removed the data of the database, as it does when they are cleared",
        ))
    }

    /// The engine itself has a fault: it panicked, and nothing of it may be used any more.
    #[must_use]
    pub fn engine(reason: &str) -> Self {
        Self(ErrorReport::new(500, "engine_failed", reason))
    }

    /// The object that a promise is rejected with: `{ status, name, reason, code }`.
    #[must_use]
    pub fn to_js(&self) -> JsValue {
        let object = Object::new();
        let members: [(&str, JsValue); 4] = [
            ("status", self.0.status.into()),
            ("name", self.0.name.into()),
            ("reason", self.0.reason.as_str().into()),
            ("code", self.0.name.into()),
        ];
        for (name, value) in members {
            // A new object takes any member.
            let _ = Reflect::set(&object, &name.into(), &value);
        }
        object.into()
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self(error.report())
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match &error {
            RestoreError::NotEmpty => Self(ErrorReport::new(412, "file_exists", error.to_string())),
            RestoreError::Malformed(_) => Self::bad_request(error.to_string()),
            RestoreError::Storage(error) => error.clone().into(),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self(error.report())
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        ReplicationError::from(error).into()
    }
}

impl From<ReplicationError> for Failure {
    fn from(error: ReplicationError) -> Self {
        Self(error.report())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self(error.report())
    }
}

impl From<TransactionError> for Failure {
    fn from(error: TransactionError) -> Self {
        Self(error.report())
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self(error.report())
    }
}

impl From<ConsumerError> for Failure {
    fn from(error: ConsumerError) -> Self {
        Self(error.report())
    }
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        Self::bad_request(error.to_string())
    }
}
