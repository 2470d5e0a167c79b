//! A document and its attachments in one body of type `multipart/related` (RFC 2387), as it is put.
//!
//! The document comes first and says of each attachment that it follows. The contents come behind it: each under its name,
//! where its part tells a file name, else in the order in which the document names them. They are stored as they arrive, so
//! that none is ever held whole, and only then is the document written.

use std::io::Write;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use firkin_core::json::{self, Object, Value};
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use mime::Mime;

use super::answer::Failure;
use super::request::{too_large, unreadable};
use super::upload::{Content, Upload};
use crate::parts::{Piece, Splitter, file_name};

/// The boundary of a `multipart/related` body; `None` for a body of another type.
pub fn boundary(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let told = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !told.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        return Ok(None);
    }
    let parsed = told.parse::<Mime>().ok().filter(|parsed| parsed.essence_str() == "multipart/related");
    let parsed =
        parsed.ok_or_else(|| bad_content_type("of the types of many parts, only multipart/related is taken"))?;
    let boundary = parsed.get_param(mime::BOUNDARY).map(|boundary| boundary.as_str().to_owned());
    boundary.filter(|boundary| !boundary.is_empty()).map(Some).ok_or_else(|| bad_content_type("it names no boundary"))
}

fn bad_content_type(why: &str) -> Failure {
    Failure::new(415, "bad_content_type", format!("Content-Type: {why}"))
}

/// An attachment that follows.
struct Awaited {
    name: String,
    /// It comes compressed by gzip, as CouchDB's replicator sends text.
    is_packed: bool,
    /// How many bytes come, where the document tells.
    length: Option<u64>,
}

/// Reads a body and stores its contents: the document, in which each attachment that follows names what was stored.
///
/// # Errors
/// The body is malformed or too large, or not all that should follow does, or more.
pub async fn read(body: Body, boundary: &str, document_bytes_max: u64, upload: &mut Upload) -> Result<Object, Failure> {
    let mut parts = Parts { splitter: Splitter::new(boundary), chunks: body.into_data_stream() };
    if parts.next_head().await?.is_none() {
        return Err(Failure::bad_request("The body has no part that is a document."));
    }
    let text = parts.whole(document_bytes_max).await?;
    let mut document = match json::parse(&text) {
        Ok(Value::Object(document)) => document,
        Ok(_) => return Err(Failure::bad_request("Document must be a JSON object")),
        Err(_) => return Err(Failure::bad_json()),
    };
    let mut awaited = awaited(&document);
    while let Some(head) = parts.next_head().await? {
        let named = file_name(&head).and_then(|name| awaited.iter().position(|awaited| awaited.name == name));
        if awaited.is_empty() {
            return Err(Failure::bad_request("More parts came than attachments that follow."));
        }
        let next = awaited.remove(named.unwrap_or(0));
        let content = store(&mut parts, &next, upload).await?;
        name_content(&mut document, &next.name, content);
    }
    match awaited.first() {
        Some(missing) => Err(Failure::bad_request(format!("The attachment {:?} did not follow.", missing.name))),
        None => Ok(document),
    }
}

/// The parts of a body as it arrives.
struct Parts {
    splitter: Splitter,
    chunks: BodyDataStream,
}

impl Parts {
    async fn piece(&mut self) -> Result<Piece, Failure> {
        loop {
            if let Some(piece) = self.splitter.pull().map_err(|error| malformed(&error.to_string()))? {
                return Ok(piece);
            }
            match self.chunks.next().await {
                Some(chunk) => self.splitter.push(&chunk.map_err(|error| unreadable(&error))?),
                None => return Err(malformed("it was cut short")),
            }
        }
    }

    /// The head of the next part, once the one before has been read; `None` at the end.
    async fn next_head(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.piece().await? {
            Piece::Head(head) => Ok(Some(head)),
            _ => Ok(None),
        }
    }

    /// The next bytes of this part; `None` at its end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.piece().await? {
            Piece::Content(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    async fn whole(&mut self, bytes_max: u64) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (text.len() + chunk.len()) as u64 > bytes_max {
                return Err(too_large());
            }
            text.extend_from_slice(&chunk);
        }
        Ok(text)
    }
}

fn malformed(why: &str) -> Failure {
    Failure::bad_request(format!("The body is not of type multipart/related: {why}."))
}

fn awaited(document: &Object) -> Vec<Awaited> {
    let Some(Value::Object(attachments)) = document.get("_attachments") else { return Vec::new() };
    let follows = attachments.iter().filter_map(|(name, attachment)| {
        let attachment = attachment.as_object()?;
        (attachment.get("follows") == Some(&Value::Bool(true))).then(|| {
            let is_packed = attachment.get("encoding").and_then(Value::as_str) == Some("gzip");
            let told = attachment.get(if is_packed { "encoded_length" } else { "length" });
            Awaited { name: name.to_owned(), is_packed, length: told.and_then(Value::as_number).and_then(count) }
        })
    });
    follows.collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number from 0 on")]
fn count(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}

async fn store(parts: &mut Parts, awaited: &Awaited, upload: &mut Upload) -> Result<Content, Failure> {
    let mut content = upload.begin().await?;
    let mut unpacker = awaited.is_packed.then(|| MultiGzDecoder::new(Vec::new()));
    let mut came = 0;
    while let Some(chunk) = parts.chunk().await? {
        came += chunk.len() as u64;
        match &mut unpacker {
            None => upload.stage(&mut content, chunk).await?,
            // In small steps: a few bytes may unpack to many.
            Some(unpacker) => {
                for packed in chunk.chunks(PACKED_STEP) {
                    unpacker.write_all(packed).map_err(|_| not_packed(awaited))?;
                    let unpacked = Bytes::from(std::mem::take(unpacker.get_mut()));
                    upload.stage(&mut content, unpacked).await?;
                }
            }
        }
    }
    if let Some(mut unpacker) = unpacker {
        unpacker.try_finish().map_err(|_| not_packed(awaited))?;
        let unpacked = Bytes::from(std::mem::take(unpacker.get_mut()));
        upload.stage(&mut content, unpacked).await?;
    }
    match awaited.length {
        Some(length) if length != came => Err(Failure::bad_request(format!(
            "The attachment {:?} should have {length} bytes, and {came} came.",
            awaited.name
        ))),
        _ => Ok(content),
    }
}

/// So many packed bytes are unpacked at a time: they come to a thousand times as many at most.
const PACKED_STEP: usize = 4096;

fn not_packed(awaited: &Awaited) -> Failure {
    Failure::bad_request(format!("The attachment {:?} is not compressed by gzip as it says.", awaited.name))
}

fn name_content(document: &mut Object, name: &str, content: Content) {
    let Some(Value::Object(attachments)) = document.get_mut("_attachments") else { return };
    let Some(Value::Object(attachment)) = attachments.get_mut(name) else { return };
    for told in ["follows", "encoding", "encoded_length", "length"] {
        attachment.remove(told);
    }
    attachment.insert("staged", content.into_name().as_str().into());
}
