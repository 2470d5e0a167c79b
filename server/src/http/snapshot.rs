//! `/{database}/_snapshot`: what a fresh replica begins with.
//!
//! The answer is the same bytes for as long as its tag is the same, so a download that broke goes on by a range with `If-Match`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firkin_core::storage::StorageError;

use super::App;
use super::answer::{AsItIs, Failure};
use super::document::names_etag;
use super::range::{self, Range};
use super::request::Target;
use super::stream::{Chunks, Gone, streamed};
use crate::databases::DatabaseError;
use crate::snapshots::Made;

/// So many bytes are read at once.
const PART_BYTES: usize = 256 << 10;

/// `GET /{database}/_snapshot`
pub async fn get(
    State(app): State<Arc<App>>,
    target: Target,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let made = match headers.get(header::IF_MATCH) {
        Some(wanted) => tagged(&target, wanted)
            .await
            .ok_or_else(|| Failure::new(412, "precondition_failed", "There is another snapshot by now."))?,
        None => {
            let path = app.databases.path_of(&target.name).ok_or(DatabaseError::Missing)?;
            target.mailbox.snapshots().get(&target.mailbox, &path).await??
        }
    };
    let etag = HeaderValue::from_str(&format!("\"{}\"", made.tag)).ok();
    if let Some(etag) = &etag
        && headers.get_all(header::IF_NONE_MATCH).iter().any(|given| names_etag(given, etag))
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag.clone())]).into_response());
    }
    let range = range::asked_for(&headers, etag.as_ref(), made.length)?;
    let whole = Range { start: 0, end: made.length };
    let Range { start, end } = range.unwrap_or(whole);
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let told = [
        (header::CONTENT_TYPE, value("application/octet-stream")),
        (header::CONTENT_LENGTH, value(&(end - start).to_string())),
        (header::CONTENT_RANGE, range.and_then(|range| value(&range.told(made.length)))),
        (header::ACCEPT_RANGES, value("bytes")),
        (header::CACHE_CONTROL, value("private, no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        (header::ETAG, etag),
    ];
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let (chunks, body) = streamed();
    if method != Method::HEAD {
        tokio::spawn(async move {
            let _ = send(&chunks, &made, Range { start, end }).await;
        });
    }
    let mut response = (status, body).into_response();
    response.headers_mut().extend(told.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response.extensions_mut().insert(AsItIs);
    Ok(response)
}

/// The snapshot that a client has a part of.
async fn tagged(target: &Target, wanted: &HeaderValue) -> Option<Arc<Made>> {
    let tag = wanted.to_str().ok()?.trim().trim_matches('"');
    target.mailbox.snapshots().tagged(tag).await
}

async fn send(chunks: &Chunks, made: &Arc<Made>, Range { start, end }: Range) -> Result<(), Gone> {
    let mut position = start;
    while position < end {
        let bytes = usize::try_from(end - position).unwrap_or(usize::MAX).min(PART_BYTES);
        let reader = made.clone();
        match tokio::task::spawn_blocking(move || reader.read(position, bytes)).await {
            Ok(Ok(part)) if !part.is_empty() => {
                position += part.len() as u64;
                chunks.send(part).await?;
            }
            Ok(Err(error)) => {
                chunks.cut(&StorageError::Failed(error.to_string()).into()).await;
                return Err(Gone);
            }
            Ok(Ok(_)) | Err(_) => return Err(Gone),
        }
    }
    Ok(())
}
