//! Attachments: their contents come in and go out part by part, as bytes.

use firkin_core::document::GivenContent;

use super::Asked;
use super::documents::{write_options, written};
use crate::answer::ObjectWriter;
use crate::engine::Store;
use crate::failure::Failure;
use crate::frame;
use crate::payload::{self, Payload};

/// `{ name, position }` and bytes →
pub async fn stage(database: &Store, frame: &[u8]) -> Result<Vec<u8>, Failure> {
    let (head, bytes) = frame::split(frame)?;
    let head = Payload::parse(head)?;
    let position = head.number("position")?.ok_or_else(|| payload::wrong("position", "a number"))?;
    database.stage(&head.required_text("name")?, position, bytes).await?;
    Ok(Vec::new())
}

/// `{ prefix }` →
pub async fn unstage(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    database.unstage(&payload.required_text("prefix")?).await?;
    Ok(Vec::new())
}

/// `{ id, name, rev, content_type, staged, options }` → `{ ok, id, rev }`
pub async fn put(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let (id, name, rev) = (payload.required_text("id")?, payload.required_text("name")?, payload.text("rev")?);
    let content = GivenContent::Staged(payload.required_text("staged")?);
    let (kind, write) = (payload.required_text("content_type")?, write_options(&payload, asked.request)?);
    Ok(written(&database.put_attachment(&id, &name, rev.as_deref(), &kind, content, &write).await?))
}

/// `{ id, name, rev, position }` → `{ content_type, digest, length, rev }` and the next bytes
pub async fn get(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let (id, name, rev) = (payload.required_text("id")?, payload.required_text("name")?, payload.text("rev")?);
    let mut reader = database.get_attachment(&id, &name, rev.as_deref()).await?;
    reader.seek(payload.number("position")?.unwrap_or(0));
    let part = reader.part().await?.unwrap_or_default();
    let head = ObjectWriter::new()
        .text("content_type", &reader.content_type)
        .text("digest", &reader.digest)
        .number("length", reader.length)
        .text("rev", &reader.rev);
    Ok(frame::join(&head.finish(), &part))
}

/// `{ id, name, rev, options }` → `{ ok, id, rev }`
pub async fn remove(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let (id, name) = (payload.required_text("id")?, payload.required_text("name")?);
    let rev = payload.text("rev")?.unwrap_or_default();
    Ok(written(&database.remove_attachment(&id, &name, &rev, &write_options(&payload, asked.request)?).await?))
}
