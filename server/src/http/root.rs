//! The server itself: `/`, `/_up`, `/_uuids`, `/_all_dbs`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firkin_core::json::Value;
use serde_json::json;

use super::App;
use super::answer::{self, Failure};
use super::query::Query;
use crate::random::random_id;

/// The version of CouchDB whose API this server speaks.
const COUCHDB_VERSION: &str = "3.5.0";

/// CouchDB's bound on how many ids one request may ask for.
const UUIDS_MAX: u64 = 1000;

/// `GET /`
pub async fn welcome(State(app): State<Arc<App>>) -> Response {
    answer::json(
        StatusCode::OK,
        &json!({
            "couchdb": "Welcome",
            "version": COUCHDB_VERSION,
            "uuid": app.databases.identity(),
            "features": [],
            "vendor": {"name": "Firkin", "version": env!("CARGO_PKG_VERSION")},
        }),
    )
}

/// `GET /_up`
pub async fn up() -> Response {
    answer::json(StatusCode::OK, &json!({"status": "ok", "seeds": {}}))
}

/// `GET /_uuids`: `count` ids.
pub async fn uuids(query: Query) -> Result<Response, Failure> {
    let count = query.count("count")?.unwrap_or(1);
    if count > UUIDS_MAX {
        return Err(Failure::bad_request("count parameter too large"));
    }
    let uuids: Vec<String> = (0..count).map(|_| random_id()).collect();
    let mut response = answer::json(StatusCode::OK, &json!({"uuids": uuids}));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, must-revalidate"));
    Ok(response.into_response())
}

/// `GET /_all_dbs`: the names in order, in a range of `startkey` and `endkey`, cut by `skip` and `limit`.
pub async fn all_dbs(State(app): State<Arc<App>>, query: Query) -> Result<Response, Failure> {
    let descending = query.boolean("descending")?.unwrap_or(false);
    let skip = query.count("skip")?.unwrap_or(0);
    let limit = query.count("limit")?.unwrap_or(u64::MAX);
    let start = name_bound(&query, ["startkey", "start_key"])?;
    let end = name_bound(&query, ["endkey", "end_key"])?;
    let (low, high) = if descending { (end, start) } else { (start, end) };
    let mut names = app
        .databases
        .names()
        .map_err(|error| Failure::new(500, "storage_failed", format!("the data folder cannot be read: {error}")))?;
    names.retain(|name| low.as_ref().is_none_or(|low| name >= low) && high.as_ref().is_none_or(|high| name <= high));
    if descending {
        names.reverse();
    }
    let cut = names.into_iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
    let names: Vec<String> = cut.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    Ok(answer::json(StatusCode::OK, &names))
}

fn name_bound(query: &Query, names: [&str; 2]) -> Result<Option<String>, Failure> {
    for name in names {
        match query.json(name)? {
            Some(Value::String(bound)) => return Ok(Some(bound)),
            Some(_) => return Err(Failure::bad_request(format!("`{name}` must be a string."))),
            None => {}
        }
    }
    Ok(None)
}
