//! What stands around every request: the length of its URL, the place of its client, its line in the log, its count.
//!
//! **No secret reaches the log**: neither headers nor the query, only method, path, status and time.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::answer::Failure;
use crate::clients::Kind;
use crate::connections::Peer;
use crate::metrics::{Replication, Seen};

/// Who asks for too much at one time may ask again after so long.
const RETRY_AFTER_SECONDS: &str = "1";

/// Counts a request and its answer, and bounds both.
pub async fn watch(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    app.metrics.began();
    let response = admit(&app, request, next).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    app.metrics.answered(method.as_str(), status, took);
    tracing::debug!(%method, path, status, ms = took.as_secs_f64() * 1000.0, "answered");
    response
}

async fn admit(app: &App, request: Request, next: Next) -> Response {
    let url_bytes = request.uri().path_and_query().map_or(0, |url| url.as_str().len());
    if url_bytes > app.limits.url_bytes_max {
        return Failure::new(414, "uri_too_long", "The URL is too long.").into_response();
    }
    let peer = request.extensions().get::<Peer>().copied();
    let place = peer.map(|Peer(address)| app.clients.place(address, Kind::Request));
    if matches!(place, Some(None)) {
        return too_many("Too many requests at one time; ask again later.");
    }
    next.run(request).await
}

/// `429 too_many_requests`
pub fn too_many(reason: &str) -> Response {
    let failure = Failure::new(429, "too_many_requests", reason);
    ([(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS))], failure).into_response()
}

/// `GET /_metrics`
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let names = app.databases.names().unwrap_or_default();
    let file_bytes = names.into_iter().filter_map(|name| {
        let bytes = app.databases.file_bytes(&name).ok()?;
        Some((name, bytes))
    });
    let replications = app.replications.list().into_iter().map(|(_, under_way)| Replication {
        source: under_way.source,
        target: under_way.target,
        read: under_way.status.docs_read,
        written: under_way.status.docs_written,
        refused: under_way.status.doc_write_failures,
        pending: under_way.status.pending,
    });
    let seen = Seen {
        feeds: app.limits.feeds_max.saturating_sub(app.feeds.available_permits()),
        open_databases: app.databases.open_count(),
        file_bytes: file_bytes.collect(),
        replications: replications.collect(),
    };
    let text = app.metrics.to_text(&seen);
    let text = text.map_err(|error| Failure::new(500, "internal_server_error", error.to_string()))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], text).into_response())
}
