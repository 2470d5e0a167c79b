//! A document as it arrives.

use alloc::string::String;
use alloc::vec::Vec;

use super::DocumentError;
use super::attachments::{self, GivenAttachment};
use crate::json::{self, Object, Value};
use crate::revision::{Rev, RevError, Revisions};

/// How many bytes an id may have.
pub const ID_BYTES_MAX: usize = 1024;

/// How many bytes the name of a member may have, at any depth: every name is a part of a key.
pub const NAME_BYTES_MAX: usize = 4096;

/// The prefix of documents that never leave this replica.
const LOCAL_PREFIX: &str = "_local/";
const DESIGN_PREFIX: &str = "_design/";

/// A document as it arrives, its special members taken out and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// `_id`
    pub id: String,
    /// `_rev`: the parent of a new edit, or the revision itself when it comes from a replica. A local document has none.
    pub rev: Option<Rev>,
    /// The `N` of a local document's `_rev`, which is `0-N` and only counts; 0 without one.
    pub local_count: u64,
    /// `_revisions`: the path from this revision towards its root.
    pub revisions: Option<Revisions>,
    /// `_deleted`
    pub deleted: bool,
    /// `_attachments`, in the order of their names.
    pub attachments: Vec<GivenAttachment>,
    /// All other members.
    pub body: Object,
}

impl Document {
    /// Reads a document of at most `bytes_max` bytes; the data of attachments does not count.
    ///
    /// # Errors
    /// A [`DocumentError`] that says what is wrong with it.
    pub fn parse(text: &[u8], bytes_max: usize) -> Result<Self, DocumentError> {
        if text.len() > bytes_max {
            let bytes = text.len().saturating_sub(attachments::data_bytes(text));
            if bytes > bytes_max {
                return Err(DocumentError::TooLarge { bytes, bytes_max });
            }
        }
        let value = json::parse(text)?;
        if has_long_name(&value) {
            return Err(DocumentError::NameTooLong);
        }
        match value {
            Value::Object(members) => Self::from_members(members),
            _ => Err(DocumentError::NotAnObject),
        }
    }

    /// Whether it never leaves this replica.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_local(&self.id)
    }

    fn from_members(mut members: Object) -> Result<Self, DocumentError> {
        let id = match members.get("_id") {
            None => return Err(DocumentError::NoId),
            Some(Value::String(id)) => id.clone(),
            Some(_) => return Err(DocumentError::IdNotAString),
        };
        check_id(&id)?;
        let given = members.remove("_attachments");
        let (rev, local_count, revisions) = (None, 0, None);
        let mut document =
            Self { id, rev, local_count, revisions, deleted: false, attachments: Vec::new(), body: members };
        document.take_special_members()?;
        if let Some(given) = given {
            document.attachments = attachments::read(given)?;
        }
        if document.is_local() && !document.attachments.is_empty() {
            return Err(DocumentError::BadMember("_attachments"));
        }
        Ok(document)
    }

    fn take_special_members(&mut self) -> Result<(), DocumentError> {
        let is_local = self.is_local();
        for (name, value) in self.body.iter().filter(|(name, _)| name.starts_with('_')) {
            match name {
                "_rev" if is_local => {
                    let count =
                        value.as_str().and_then(|rev| rev.strip_prefix("0-")).and_then(|count| count.parse().ok());
                    self.local_count = count.ok_or(DocumentError::Revision(RevError::Format))?;
                }
                "_rev" => {
                    let rev = value.as_str().ok_or(DocumentError::BadMember("_rev"))?;
                    self.rev = Some(Rev::parse(rev)?);
                }
                "_deleted" => match value {
                    Value::Bool(deleted) => self.deleted = *deleted,
                    _ => return Err(DocumentError::BadMember("_deleted")),
                },
                "_revisions" => self.revisions = Some(Revisions::from_json(value)?),
                // What a read adds may come back with the document; it says nothing.
                "_id" | "_conflicts" | "_deleted_conflicts" | "_revs_info" | "_local_seq" => {}
                unknown => return Err(DocumentError::UnknownMember(unknown.into())),
            }
        }
        self.body.retain(|name, _| !name.starts_with('_'));
        Ok(())
    }
}

/// Whether the document called `id` never leaves this replica.
#[must_use]
pub fn is_local(id: &str) -> bool {
    id.starts_with(LOCAL_PREFIX)
}

/// Depth is bounded by the parser.
fn has_long_name(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(has_long_name),
        Value::Object(object) => {
            object.iter().any(|(name, member)| name.len() > NAME_BYTES_MAX || has_long_name(member))
        }
        _ => false,
    }
}

/// Whether `id` may be a document's.
///
/// # Errors
/// Empty, too long, or starting with an underscore without being a design or a local document.
pub fn check_id(id: &str) -> Result<(), DocumentError> {
    if id.is_empty() {
        return Err(DocumentError::EmptyId);
    }
    if id.len() > ID_BYTES_MAX {
        return Err(DocumentError::IdTooLong);
    }
    let reserved = [LOCAL_PREFIX, DESIGN_PREFIX].iter().any(|prefix| id.len() > prefix.len() && id.starts_with(prefix));
    if id.starts_with('_') && !reserved {
        return Err(DocumentError::ReservedId);
    }
    Ok(())
}
