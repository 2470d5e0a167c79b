//! What a document says of its attachments as it arrives.
//!
//! Each is given in one of three ways: with its data in base64; as a stub, which stands for what the parent has under that
//! name; or by the name under which its content was staged before. What is said beside that counts for revisions of replicas
//! only: of a new edit, digest, length and position are found out.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::DocumentError;
use crate::json::{self, Object, Value};
use crate::sorting::sort_by;

/// How many bytes a digest or a content type may have.
pub const DIGEST_BYTES_MAX: usize = 1024;

/// What an attachment is if nobody says so.
const CONTENT_TYPE_DEFAULT: &str = "application/octet-stream";

/// An attachment as a document gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenAttachment {
    /// Its name.
    pub name: String,
    /// Its content type, `application/octet-stream` where none was given.
    pub content_type: String,
    /// The digest that came with it.
    pub digest: Option<String>,
    /// The generation of the revision that brought it, as it came.
    pub revpos: Option<u64>,
    /// Its content.
    pub content: GivenContent,
}

/// The content of an attachment as a document gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum GivenContent {
    /// These bytes.
    Data(Vec<u8>),
    /// What the parent has under the same name.
    Stub,
    /// What was staged under this name.
    Staged(String),
}

/// Reads `_attachments`.
pub(super) fn read(value: Value) -> Result<Vec<GivenAttachment>, DocumentError> {
    let Value::Object(members) = value else { return Err(DocumentError::BadMember("_attachments")) };
    let mut attachments = Vec::with_capacity(members.len());
    for (name, value) in members {
        let Value::Object(members) = value else { return Err(DocumentError::BadMember("_attachments")) };
        attachments.push(read_one(name, &members)?);
    }
    sort_by(&mut attachments, |left, right| left.name.cmp(&right.name));
    Ok(attachments)
}

fn read_one(name: String, members: &Object) -> Result<GivenAttachment, DocumentError> {
    if name.starts_with('_') {
        return Err(DocumentError::AttachmentName(name));
    }
    let content = if members.get("stub") == Some(&Value::Bool(true)) {
        GivenContent::Stub
    } else if let Some(staged) = members.get("staged").and_then(Value::as_str) {
        GivenContent::Staged(staged.into())
    } else {
        let data = members.get("data").and_then(Value::as_str).and_then(|data| STANDARD.decode(data).ok());
        match data {
            Some(data) => GivenContent::Data(data),
            None => return Err(DocumentError::AttachmentData(name)),
        }
    };
    let text = |member| match members.get(member) {
        Some(Value::String(text)) if text.len() <= DIGEST_BYTES_MAX => Ok(Some(text.clone())),
        None => Ok(None),
        Some(_) => Err(DocumentError::BadMember("_attachments")),
    };
    Ok(GivenAttachment {
        content_type: text("content_type")?.unwrap_or_else(|| CONTENT_TYPE_DEFAULT.into()),
        digest: text("digest")?,
        revpos: members.get("revpos").and_then(Value::as_number).and_then(generation),
        name,
        content,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "only a value that is unchanged is returned"
)]
#[expect(clippy::cast_precision_loss, reason = "the comparison is what finds a loss")]
fn generation(number: f64) -> Option<u64> {
    let integer = number as u64;
    (integer as f64 == number).then_some(integer)
}

/// How many bytes of a document's text are data of attachments; 0 for a text that is no document.
///
/// The text is not parsed for that, only cut: what is not data may be more than memory has room for as values.
pub(super) fn data_bytes(text: &[u8]) -> usize {
    let mut bytes = 0;
    let outcome = json::read(text, |reader| {
        reader.members(&mut |name, reader| match name {
            "_attachments" => reader.members(&mut |_, reader| {
                reader.members(&mut |name, reader| {
                    let value = reader.cut()?;
                    bytes += if name == "data" && value.starts_with('"') { value.len() } else { 0 };
                    Ok(())
                })
            }),
            _ => reader.cut().map(drop),
        })
    });
    // A text that is no document is refused by whoever parses it.
    outcome.map_or(0, |()| bytes)
}
