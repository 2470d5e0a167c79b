//! How answers are written: JSON, with CouchDB's headers, and errors as `{"error", "reason"}`.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firkin_core::database::{ReadError, WriteError};
use firkin_core::error::ErrorReport;
use firkin_core::query::QueryError;
use firkin_core::storage::StorageError;
use serde::Serialize;

use crate::databases::DatabaseError;
use crate::mailbox::Closed;

/// An answer of JSON text, which ends in a line feed as CouchDB's do.
pub fn json_text(status: StatusCode, mut text: Vec<u8>) -> Response {
    text.push(b'\n');
    json_body(status, Body::from(text))
}

/// An answer whose body is JSON.
pub fn json_body(status: StatusCode, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("must-revalidate")),
    ];
    (status, headers, body).into_response()
}

/// An answer of `value` as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => json_text(status, text),
        Err(error) => Failure::new(500, "internal_server_error", error.to_string()).into_response(),
    }
}

/// `{"ok": true}`
pub fn ok(status: StatusCode) -> Response {
    json_text(status, br#"{"ok":true}"#.to_vec())
}

/// Marks an answer that trickles: it must reach the client line by line, so nothing may hold it back to compress it.
#[derive(Clone, Copy, Debug)]
pub struct Trickles;

/// Marks an answer whose head tells the length and the digest of its very bytes.
#[derive(Clone, Copy, Debug)]
pub struct AsItIs;

/// A request that is answered with an error.
#[derive(Clone, Debug)]
pub struct Failure(pub ErrorReport);

impl Failure {
    /// An error with CouchDB's status, name and reason.
    pub fn new(status: u16, name: &'static str, reason: impl Into<String>) -> Self {
        Self(ErrorReport::new(status, name, reason))
    }

    /// `400 bad_request`
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(400, "bad_request", reason)
    }

    /// The body is not JSON.
    pub fn bad_json() -> Self {
        Self::bad_request("invalid UTF-8 JSON")
    }

    /// `404 not_found`
    pub fn not_found(reason: &str) -> Self {
        Self::new(404, "not_found", reason)
    }

    /// `501 not_implemented`: CouchDB has it, this server does not.
    pub fn not_implemented(what: &str) -> Self {
        Self::new(501, "not_implemented", format!("{what} is not there yet."))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Told<'a> {
            error: &'a str,
            reason: &'a str,
        }
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json(status, &Told { error: self.0.name, reason: &self.0.reason })
    }
}

impl From<Closed> for Failure {
    fn from(Closed(why): Closed) -> Self {
        match why {
            Some(error) => error.into(),
            None => Self::new(503, "closed", "The database was closed while this was waiting."),
        }
    }
}

/// Answers a method that the resource does not have; `allowed` as CouchDB lists them.
pub async fn method_not_allowed(allowed: &'static str) -> Response {
    let failure = Failure::new(405, "method_not_allowed", format!("Only {allowed} allowed"));
    ([(header::ALLOW, HeaderValue::from_static(allowed))], failure).into_response()
}

/// Errors that know how they are told.
macro_rules! failure_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(error.report())
            }
        })*
    };
}

failure_from!(ReadError, WriteError, QueryError, StorageError, DatabaseError);
