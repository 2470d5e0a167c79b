//! Documents within the answers of a peer: they stay the bytes that came, and only what stands at their head is read.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::ReplicationError;
use super::messages::{count, read, string};
use super::status::Denied;
use crate::json::{JsonError, Object, Reader, Value};

/// A document within the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) id: String,
    pub(super) rev: String,
    pub(super) deleted: bool,
    /// The attachments that are named without their data.
    pub(super) stubs: Vec<Stub>,
    /// Where the document stands in the body.
    pub(super) at: Range<usize>,
}

/// An attachment that a document names without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stub {
    pub(super) name: String,
    pub(super) digest: String,
    /// How many bytes it has, if the peer tells.
    pub(super) length: Option<u64>,
    /// The generation of the revision that brought it, 0 where nobody tells.
    pub(super) revpos: u64,
}

impl Stub {
    /// Reads a member of `_attachments`; `None` if its data is there.
    fn read(name: &str, value: &Value) -> Option<Self> {
        let value = value.as_object()?;
        let is_stub = value.get("stub") == Some(&Value::Bool(true)) || value.get("follows") == Some(&Value::Bool(true));
        is_stub.then(|| Self {
            name: name.into(),
            digest: string(value, "digest").unwrap_or_default().into(),
            length: value.get("length").and_then(count),
            revpos: value.get("revpos").and_then(count).unwrap_or(0),
        })
    }
}

/// What a body that carries documents holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Documents {
    pub(super) found: Vec<Fetched>,
    /// What the peer does not have after all, or would not give.
    pub(super) missing: Vec<Denied>,
}

impl Documents {
    /// Reads an answer of `_bulk_get`.
    pub(super) fn read_bulk_get(body: &[u8]) -> Result<Self, ReplicationError> {
        let mut groups = None;
        read(body, |reader| {
            reader.members(&mut |member, reader| {
                match member {
                    "results" => groups = Some(read_groups(reader)?),
                    _ => reader.pass_over()?,
                }
                Ok(())
            })
        })?;
        let mut documents = Self::default();
        for (id, rows) in groups.ok_or(JsonError::Missing("results"))? {
            documents.add(body, &id, rows)?;
        }
        Ok(documents)
    }

    /// Reads an answer to `open_revs` of the document `id`.
    pub(super) fn read_open_revs(body: &[u8], id: &str) -> Result<Self, ReplicationError> {
        let mut documents = Self::default();
        documents.add(body, id, read(body, read_rows)?)?;
        Ok(documents)
    }

    fn add(&mut self, body: &[u8], id: &str, rows: Vec<DocumentRow<'_>>) -> Result<(), ReplicationError> {
        for row in rows {
            match row {
                DocumentRow::Found(text) => self.found.push(read_head(text, id, place_in(body, text))?),
                DocumentRow::Missing { rev, error, reason } => self.missing.push(Denied {
                    id: id.into(),
                    rev,
                    error: error.unwrap_or_else(|| "not_found".into()),
                    reason: reason.unwrap_or_else(|| "missing".into()),
                }),
            }
        }
        Ok(())
    }
}

/// One element of `docs` in an answer of `_bulk_get`, or of an answer to `open_revs`.
enum DocumentRow<'a> {
    /// The text of a document.
    Found(&'a str),
    Missing {
        rev: Option<String>,
        error: Option<String>,
        reason: Option<String>,
    },
}

fn read_groups<'a>(reader: &mut Reader<'a>) -> Result<Vec<(String, Vec<DocumentRow<'a>>)>, JsonError> {
    let mut groups = Vec::new();
    reader.elements(&mut |reader| {
        let (mut id, mut rows) = (None, None);
        reader.members(&mut |member, reader| {
            match member {
                "id" => id = Some(reader.string()?.into_owned()),
                "docs" => rows = Some(read_rows(reader)?),
                _ => reader.pass_over()?,
            }
            Ok(())
        })?;
        groups.push((id.ok_or(JsonError::Missing("id"))?, rows.ok_or(JsonError::Missing("docs"))?));
        Ok(())
    })?;
    Ok(groups)
}

fn read_rows<'a>(reader: &mut Reader<'a>) -> Result<Vec<DocumentRow<'a>>, JsonError> {
    let mut rows = Vec::new();
    reader.elements(&mut |reader| {
        let (mut found, mut missing, mut error) = (None, None, None);
        reader.members(&mut |member, reader| {
            match member {
                "ok" => found = Some(reader.cut()?).filter(|text| *text != "null"),
                "missing" => missing = Some(reader.value()?),
                "error" => error = Some(reader.value()?),
                _ => reader.pass_over()?,
            }
            Ok(())
        })?;
        let error = error.as_ref().and_then(Value::as_object);
        let of_error = |name| error.and_then(|error| string(error, name)).map(String::from);
        let rev = || missing.as_ref().and_then(Value::as_str).map(String::from);
        rows.push(match found {
            Some(text) => DocumentRow::Found(text),
            None => DocumentRow::Missing {
                rev: of_error("rev").or_else(rev),
                error: of_error("error"),
                reason: of_error("reason"),
            },
        });
        Ok(())
    })?;
    Ok(rows)
}

/// Reads the beginning of a document that was asked for as `id` and stands in the answer `at`.
pub(super) fn read_head(text: &str, id: &str, at: Range<usize>) -> Result<Fetched, ReplicationError> {
    let (mut own_id, mut rev, mut deleted, mut stubs) = (None, None, Value::Bool(false), Vec::new());
    read(text.as_bytes(), |reader| {
        reader.members(&mut |member, reader| {
            match member {
                "_id" => own_id = Some(reader.string()?.into_owned()),
                "_rev" => rev = Some(reader.string()?.into_owned()),
                "_deleted" => deleted = reader.value()?,
                "_attachments" => stubs = read_stubs(&reader.value()?),
                _ => reader.pass_over()?,
            }
            Ok(())
        })
    })?;
    let (own_id, rev) = (own_id.ok_or(JsonError::Missing("_id"))?, rev.ok_or(JsonError::Missing("_rev"))?);
    // A document under another id than was asked for could be anything, our own checkpoints included.
    if own_id != id {
        return Err(ReplicationError::Malformed(format!("{own_id:?} was answered for {id:?}")));
    }
    Ok(Fetched { id: own_id, rev, deleted: deleted == Value::Bool(true), stubs, at })
}

/// The attachments that `_attachments` names without their data.
pub(super) fn read_stubs(attachments: &Value) -> Vec<Stub> {
    let members = attachments.as_object().into_iter().flat_map(Object::iter);
    members.filter_map(|(name, value)| Stub::read(name, value)).collect()
}

/// Where `part`, which was read out of `whole`, stands in it.
pub(super) fn place_in(whole: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}
