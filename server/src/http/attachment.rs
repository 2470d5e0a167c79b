//! Attachments one at a time: `/{database}/{id}/{attachment}`.
//!
//! Contents go in and out part by part, so that none is ever held whole; between two parts others get their turn.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use firkin_core::database::{WriteOptions, Written};
use firkin_core::document::GivenContent;
use futures_util::StreamExt;

use super::answer::{self, AsItIs, Failure};
use super::document::{attachment_path_of, named_rev, names_etag, told};
use super::query::Query;
use super::request::{AttachmentName, DocumentId, Target, unreadable};
use super::stream::{Chunks, Gone, streamed};
use crate::mailbox::Mailbox;
use crate::random::random_id;

const CONTENT_TYPE_DEFAULT: &str = "application/octet-stream";

/// An attachment and the bytes at one position of it.
struct Part {
    content_type: String,
    digest: String,
    md5: String,
    length: u64,
    rev: String,
    bytes: Vec<u8>,
}

/// What is asked for.
#[derive(Clone)]
struct Asked {
    id: String,
    name: String,
    rev: Option<String>,
}

async fn read_part(mailbox: &Mailbox, asked: Asked, position: u64) -> Result<Part, Failure> {
    mailbox
        .read(async move |database| {
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
    let part = read_part(&target.mailbox, asked.clone(), 0).await?;
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let etag = value(&format!("\"{}\"", part.digest.strip_prefix("md5-").unwrap_or(&part.digest)));
    let told = [
        (header::CONTENT_TYPE, value(&part.content_type).or(value(CONTENT_TYPE_DEFAULT))),
        (header::CONTENT_LENGTH, value(&part.length.to_string())),
        (header::HeaderName::from_static("content-md5"), value(&part.md5)),
        (header::ACCEPT_RANGES, value("none")),
        (header::CACHE_CONTROL, value("must-revalidate")),
        // What a stranger attached must not run as a page of this origin.
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        (header::CONTENT_SECURITY_POLICY, value("sandbox")),
        (header::ETAG, etag.clone()),
    ];
    if let Some(etag) = etag
        && headers.get_all(header::IF_NONE_MATCH).iter().any(|given| names_etag(given, &etag))
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let mut response = body_from(target.mailbox, asked, part).into_response();
    response.headers_mut().extend(told.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response.extensions_mut().insert(AsItIs);
    Ok(response)
}

/// The whole content, of which `part` is the first part.
fn body_from(mailbox: Mailbox, asked: Asked, part: Part) -> Body {
    let position = part.bytes.len() as u64;
    if position >= part.length {
        return Body::from(part.bytes);
    }
    let (chunks, body) = streamed();
    // Whatever is written meanwhile: of this revision.
    let asked = Asked { rev: Some(part.rev), ..asked };
    tokio::spawn(async move {
        let _ = send(&chunks, &mailbox, asked, part.bytes, part.length).await;
    });
    body
}

async fn send(chunks: &Chunks, mailbox: &Mailbox, asked: Asked, first: Vec<u8>, length: u64) -> Result<(), Gone> {
    let mut position = first.len() as u64;
    chunks.send(first).await?;
    while position < length {
        match read_part(mailbox, asked.clone(), position).await {
            Ok(part) if !part.bytes.is_empty() => {
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
    target: Target,
    DocumentId(id): DocumentId,
    AttachmentName(name): AttachmentName,
    query: Query,
    headers: HeaderMap,
    StreamedBody(body): StreamedBody,
) -> Result<Response, Failure> {
    let rev = named_rev(&query, &headers, None)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or(CONTENT_TYPE_DEFAULT).to_owned();
    let upload = Upload { mailbox: target.mailbox.clone(), name: random_id() };
    let location = attachment_path_of(&target.name, &id, &name);
    upload.stage(body).await?;
    let content = GivenContent::Staged(upload.name.clone());
    let written = target
        .mailbox
        .write(async move |database| {
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
    let rev = named_rev(&query, &headers, None)?;
    let written: Written = target
        .mailbox
        .write(async move |database| {
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

/// A body that is read as it arrives, up to the limit for bodies.
pub struct StreamedBody(Body);

impl<S: Send + Sync> FromRequest<S> for StreamedBody {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        use axum::RequestExt;
        Ok(Self(request.into_limited_body()))
    }
}

/// A content on its way in. What no document took is given up when this is dropped.
struct Upload {
    mailbox: Mailbox,
    name: String,
}

impl Upload {
    async fn stage(&self, body: Body) -> Result<(), Failure> {
        let mut position = 0;
        self.stage_at(position, Bytes::new()).await?;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| unreadable(&error))?;
            let length = chunk.len() as u64;
            self.stage_at(position, chunk).await?;
            position += length;
        }
        Ok(())
    }

    async fn stage_at(&self, position: u64, bytes: Bytes) -> Result<(), Failure> {
        let name = self.name.clone();
        Ok(self.mailbox.read(async move |database| database.stage(&name, position, &bytes).await).await??)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (mailbox, name) = (self.mailbox.clone(), std::mem::take(&mut self.name));
        tokio::spawn(async move {
            let _ = mailbox.read(async move |database| database.unstage(&name).await).await;
        });
    }
}
