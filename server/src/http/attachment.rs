//! Attachments one at a time: `/{database}/{id}/{attachment}`.
//!
//! Contents go in and out part by part, so that none is ever held whole; between two parts others get their turn.

use axum::body::Body;
use axum::extract::{Request, State};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firkin_core::database::{WriteOptions, Written};
use firkin_core::document::GivenContent;

use super::App;
use super::answer::{self, AsItIs, Failure};
use super::document::{attachment_path_of, named_rev, names_etag, told};
use super::query::Query;
use super::range::{self, Range};
use super::request::{AttachmentName, DocumentId, Target};
use super::stream::{Chunks, Gone, streamed};
use super::upload::Upload;
use crate::mailbox::Mailbox;

const CONTENT_TYPE_DEFAULT: &str = "application/octet-stream";

/// An attachment and the bytes at one position of it.
pub struct Part {
    /// Its content type.
    pub content_type: String,
    digest: String,
    md5: String,
    /// How many bytes the whole has.
    pub length: u64,
    rev: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What is asked for.
#[derive(Clone)]
pub struct Asked {
    /// The document's id.
    pub id: String,
    /// The attachment's name.
    pub name: String,
    /// Of this revision, else of the winner.
    pub rev: Option<String>,
}

/// Reads an attachment from a position on, as far as one part goes.
pub async fn read_part(mailbox: &Mailbox, asked: Asked, position: u64) -> Result<Part, Failure> {
    mailbox
        .run(async move |database| {
            let mut reader = database.get_attachment(&asked.id, &asked.name, asked.rev.as_deref()).await?;
            reader.seek(position);
            let bytes = reader.part().await?.unwrap_or_default();
            let (content_type, digest, md5) = (reader.content_type, reader.digest, reader.md5);
            Ok(Part { content_type, digest, md5, length: reader.length, rev: reader.rev, bytes })
        })
        .await?
}

/// `GET /{database}/{id}/{attachment}`
pub async fn get(
    target: Target,
    DocumentId(id): DocumentId,
    AttachmentName(name): AttachmentName,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asked = Asked { id, name, rev: query.text("rev").map(str::to_owned) };
    let mut part = read_part(&target.mailbox, asked.clone(), 0).await?;
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let etag = value(&format!("\"{}\"", part.digest.strip_prefix("md5-").unwrap_or(&part.digest)));
    if let Some(etag) = &etag
        && headers.get_all(header::IF_NONE_MATCH).iter().any(|given| names_etag(given, etag))
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag.clone())]).into_response());
    }
    let has_ranges = range::has_ranges(&part.content_type);
    let range = if has_ranges { range::asked_for(&headers, etag.as_ref(), part.length)? } else { None };
    let whole = Range { start: 0, end: part.length };
    let Range { start, end } = range.unwrap_or(whole);
    let told = [
        (header::CONTENT_TYPE, value(&part.content_type).or(value(CONTENT_TYPE_DEFAULT))),
        (header::CONTENT_LENGTH, value(&(end - start).to_string())),
        (header::CONTENT_RANGE, range.and_then(|range| value(&range.told(part.length)))),
        (header::HeaderName::from_static("content-md5"), value(&part.md5).filter(|_| range.is_none())),
        (header::ACCEPT_RANGES, value(if has_ranges { "bytes" } else { "none" })),
        (header::CACHE_CONTROL, value("must-revalidate")),
        // What a stranger attached must not run as a page of this origin.
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        (header::CONTENT_SECURITY_POLICY, value("sandbox")),
        (header::ETAG, etag),
    ];
    if start > 0 {
        // Whatever is written meanwhile: of this revision.
        part = read_part(&target.mailbox, Asked { rev: Some(part.rev), ..asked.clone() }, start).await?;
    }
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = (status, body_from(target.mailbox, asked, Range { start, end }, part)).into_response();
    response.headers_mut().extend(told.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response.extensions_mut().insert(AsItIs);
    Ok(response)
}

/// This range of the content, which begins with `part`.
fn body_from(mailbox: Mailbox, asked: Asked, range: Range, mut part: Part) -> Body {
    let first = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    if part.bytes.len() >= first {
        part.bytes.truncate(first);
        return Body::from(part.bytes);
    }
    let (chunks, body) = streamed();
    let asked = Asked { rev: Some(part.rev), ..asked };
    tokio::spawn(async move {
        let _ = send(&chunks, &mailbox, asked, range, part.bytes).await;
    });
    body
}

/// Sends the content up to byte `end`, of which the bytes from `start` on come first.
pub async fn send(
    chunks: &Chunks,
    mailbox: &Mailbox,
    asked: Asked,
    Range { start, end }: Range,
    first: Vec<u8>,
) -> Result<(), Gone> {
    let mut position = start + first.len() as u64;
    chunks.send(first).await?;
    while position < end {
        match read_part(mailbox, asked.clone(), position).await {
            Ok(mut part) if !part.bytes.is_empty() => {
                part.bytes.truncate(usize::try_from(end - position).unwrap_or(usize::MAX));
                position += part.bytes.len() as u64;
                chunks.send(part.bytes).await?;
            }
            Ok(_) => return Err(Gone),
            Err(failure) => {
                chunks.cut(&failure).await;
                return Err(Gone);
            }
        }
    }
    Ok(())
}

/// `PUT /{database}/{id}/{attachment}`
pub async fn put(
    State(app): State<Arc<App>>,
    target: Target,
    DocumentId(id): DocumentId,
    AttachmentName(name): AttachmentName,
    query: Query,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    target.may_write(&id)?;
    let rev = named_rev(&query, &headers, None)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or(CONTENT_TYPE_DEFAULT).to_owned();
    let mut upload = Upload::new(target.mailbox.clone(), app.limits.attachment_bytes_max);
    let location = attachment_path_of(&target.name, &id, &name);
    let content = upload.stage_body(request.into_body()).await?;
    let content = GivenContent::Staged(content.into_name());
    let written = target
        .mailbox
        .run(async move |database| {
            let options = WriteOptions::default();
            database.put_attachment(&id, &name, rev.as_deref(), &content_type, content, &options).await
        })
        .await??;
    Ok(([(header::LOCATION, location)], answer::json(StatusCode::CREATED, &told(&written))).into_response())
}

/// `DELETE /{database}/{id}/{attachment}`
pub async fn delete(
    target: Target,
    DocumentId(id): DocumentId,
    AttachmentName(name): AttachmentName,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    target.may_write(&id)?;
    let rev = named_rev(&query, &headers, None)?;
    let written: Written = target
        .mailbox
        .run(async move |database| {
            let Some(rev) = rev else {
                // Without a revision there is nothing to remove it from, or a conflict.
                database.get_attachment(&id, &name, None).await?;
                return Err(Failure::new(409, "conflict", "Document update conflict."));
            };
            database.remove_attachment(&id, &name, &rev, &WriteOptions::default()).await.map_err(Failure::from)
        })
        .await??;
    Ok(answer::json(StatusCode::OK, &told(&written)))
}
