//! The messages of the CouchDB replication protocol, as JSON.
//!
//! Answers come from outside, so nothing in them is trusted: what is not as the protocol has it is an error, or, where one
//! row among many is malformed, counted and passed over. Documents are not parsed here; they stay the bytes that came.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ReplicationError;
use super::documents::{Fetched, place_in, read_head};
use super::offer::Offered;
use crate::database::{SNAPSHOT_MEMBER, SNAPSHOT_VERSION};
use crate::json::{self, JsonError, Object, Reader, Value, write_string};
use crate::revision::Rev;

/// A longer id than this is malformed.
const ID_BYTES_MAX: usize = 64 << 10;
/// A longer sequence than this is malformed; those of a large cluster come to some hundred bytes.
pub(super) const SEQUENCE_BYTES_MAX: usize = 8 << 10;

/// Reads `text`, which must be one value, with `read`.
pub(super) fn read<'a, T>(
    text: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, JsonError>,
) -> Result<T, ReplicationError> {
    Ok(json::read(text, read)?)
}

/// The string of an object's member, if it is one.
pub(super) fn string<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// A place in the source's feed, as the JSON that the source wrote: a string, a number or, from old clusters, an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence(String);

impl Sequence {
    /// Before everything.
    pub(super) fn start() -> Self {
        Self("0".into())
    }

    /// Whether it is before everything.
    pub(super) fn is_start(&self) -> bool {
        self.0 == "0"
    }

    /// A sequence given as JSON, or as the plain text of one.
    pub(super) fn from_text(text: &str) -> Self {
        let is_json = json::read(text.as_bytes(), Reader::pass_over).is_ok();
        if is_json { Self(text.trim().into()) } else { Self::from_string(text) }
    }

    /// A sequence that is the string `text`.
    pub(super) fn from_string(text: &str) -> Self {
        let mut json = Vec::new();
        write_string(text, &mut json);
        Self(String::from_utf8(json).unwrap_or_default())
    }

    fn read(json: &str) -> Result<Self, ReplicationError> {
        if json.len() > SEQUENCE_BYTES_MAX || json == "null" {
            return Err(ReplicationError::Malformed("a sequence is missing or too long".into()));
        }
        Ok(Self(json.into()))
    }

    /// The JSON.
    pub(super) fn as_json(&self) -> &str {
        &self.0
    }

    /// The number with which a sequence of ours begins, 0 if there is none.
    pub(super) fn number(&self) -> u64 {
        let text = self.to_text();
        text.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// The text of a sequence that is a string, else the JSON: what the parameter `since` takes.
    pub(super) fn to_text(&self) -> String {
        match json::parse(self.0.as_bytes()) {
            Ok(Value::String(text)) => text,
            _ => self.0.clone(),
        }
    }
}

/// Percent-encodes `text` so that it may stand as a segment of a path or as a value in a query.
pub(super) fn percent_encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |value: u8| HEX.get(usize::from(value)).copied().map_or('0', char::from);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 0x0f)]);
        }
    }
    encoded
}

/// An error as CouchDB tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    pub(super) error: String,
    pub(super) reason: String,
}

impl ErrorAnswer {
    /// The error in the body of an answer, or what can be said without.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(answer)) = json::parse(body) else {
            return Self { error: "unknown".into(), reason: "the answer names no reason".into() };
        };
        let text = |name| String::from(string(&answer, name).unwrap_or_default());
        Self { error: text("error"), reason: text("reason") }
    }
}

/// What a database tells of itself.
#[derive(Debug, Default)]
pub(super) struct Info {
    /// What tells it from another at the same place, as far as the peer says: `uuid` and `instance_start_time`.
    pub(super) identity: String,
    /// Whether it has snapshots that can be read here.
    pub(super) has_snapshot: bool,
}

/// Holds the answer of `GET /{db}` against what a database answers.
pub(super) fn read_info(body: &[u8]) -> Result<Info, ReplicationError> {
    let info = json::read(body, |reader| {
        let (mut name, mut info) = (None, Info::default());
        reader.members(&mut |member, reader| {
            match member {
                "db_name" => name = Some(reader.string()?),
                "uuid" | "instance_start_time" => info.identity.push_str(reader.cut()?),
                SNAPSHOT_MEMBER => info.has_snapshot = reader.cut()?.parse() == Ok(SNAPSHOT_VERSION),
                _ => reader.pass_over()?,
            }
            Ok(())
        })?;
        name.map(|_| info).ok_or(JsonError::Missing("db_name"))
    });
    match info {
        Ok(info) => Ok(info),
        // The answer may have been cut short on its way.
        Err(error @ JsonError::CutShort) => Err(error.into()),
        Err(error) => Err(ReplicationError::NoServer(error.to_string())),
    }
}

/// A row of the source's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) seq: Sequence,
    pub(super) id: String,
    pub(super) revs: Vec<String>,
    /// The document, if it came along and is its only revision ever: then there is no more to know of it.
    pub(super) document: Option<Fetched>,
}

/// A page of the source's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChangesAnswer {
    pub(super) changes: Vec<Change>,
    /// How many rows were malformed, and why the first was.
    pub(super) malformed: Vec<String>,
    pub(super) last_seq: Sequence,
    pub(super) pending: Option<u64>,
}

impl ChangesAnswer {
    /// How many rows the page had.
    pub(super) fn rows(&self) -> u64 {
        (self.changes.len() + self.malformed.len()) as u64
    }

    pub(super) fn read(body: &[u8]) -> Result<Self, ReplicationError> {
        let (mut rows, mut last_seq, mut pending) = (None, None, None);
        read(body, |reader| {
            reader.members(&mut |member, reader| {
                match member {
                    "results" => rows = Some(reader.cut_elements()?),
                    "last_seq" => last_seq = Some(reader.cut()?),
                    "pending" => pending = count(&reader.value()?),
                    _ => reader.pass_over()?,
                }
                Ok(())
            })
        })?;
        let rows = rows.ok_or(JsonError::Missing("results"))?;
        let (mut changes, mut malformed) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match Change::read(row, body) {
                Ok(change) => changes.push(change),
                Err(error) => malformed.push(format!("a row of the changes feed: {error}")),
            }
        }
        let last_seq = match last_seq.filter(|last_seq| *last_seq != "null") {
            Some(last_seq) => Sequence::read(last_seq)?,
            None => changes.last().map(|change| change.seq.clone()).ok_or_else(|| {
                ReplicationError::Malformed("a page of the changes feed has neither rows nor last_seq".into())
            })?,
        };
        Ok(Self { changes, malformed, last_seq, pending })
    }
}

impl Change {
    /// Reads `row` of the page `body`.
    fn read(row: &str, body: &[u8]) -> Result<Self, ReplicationError> {
        let (mut seq, mut id, mut changes, mut document) = (None, None, None, None);
        read(row.as_bytes(), |reader| {
            reader.members(&mut |member, reader| {
                match member {
                    "seq" => seq = Some(reader.cut()?),
                    "id" => id = Some(reader.string()?.into_owned()),
                    "changes" => changes = Some(reader.value()?),
                    "doc" => document = Some(reader.cut()?),
                    _ => reader.pass_over()?,
                }
                Ok(())
            })
        })?;
        let id = id.ok_or(JsonError::Missing("id"))?;
        // A document of the peer's must never land among our own checkpoints.
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.starts_with("_local/") {
            return Err(ReplicationError::Malformed(format!("the id {:?}", id.chars().take(64).collect::<String>())));
        }
        let rev = |change: &Value| {
            let rev = change.as_object().and_then(|change| string(change, "rev")).ok_or(JsonError::Missing("rev"))?;
            match Rev::parse(rev) {
                Ok(rev) => Ok(rev.to_string()),
                Err(error) => Err(ReplicationError::Malformed(format!("{error} for {id:?}"))),
            }
        };
        let changes = changes.as_ref().and_then(Value::as_array).ok_or(JsonError::Missing("changes"))?;
        let revs: Vec<String> = changes.iter().map(rev).collect::<Result<_, _>>()?;
        let document = match (revs.as_slice(), document) {
            // What cannot be read is asked for.
            ([rev], Some(text)) if rev.starts_with("1-") => read_head(text, &id, place_in(body, text)).ok(),
            _ => None,
        };
        let document = document.filter(|document| revs.first() == Some(&document.rev));
        Ok(Self { seq: Sequence::read(seq.ok_or(JsonError::Missing("seq"))?)?, id, revs, document })
    }
}

/// A number that counts something.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is no count becomes the nearest")]
pub(super) fn count(value: &Value) -> Option<u64> {
    value.as_number().map(|number| number as u64)
}

/// Appends a JSON array of strings.
fn write_strings<'a>(strings: impl IntoIterator<Item = &'a String>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, string) in strings.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_string(string, out);
    }
    out.push(b']');
}

/// A JSON array of strings, as text.
pub(super) fn strings_json<'a>(strings: impl IntoIterator<Item = &'a String>) -> String {
    let mut out = Vec::new();
    write_strings(strings, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The body of `_revs_diff`: `{"id": ["1-a", …], …}`.
pub(super) fn revs_diff_body<'a>(asked: impl IntoIterator<Item = (&'a String, &'a Vec<String>)>) -> Vec<u8> {
    let mut out = Vec::new();
    out.push(b'{');
    for (position, (id, revs)) in asked.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_string(id, &mut out);
        out.push(b':');
        write_strings(revs, &mut out);
    }
    out.push(b'}');
    out
}

/// The answer of `_revs_diff`: the missing revisions of each document that misses some.
pub(super) fn read_revs_diff(body: &[u8]) -> Result<Vec<Offered>, ReplicationError> {
    let Value::Object(answer) = json::parse(body)? else {
        return Err(JsonError::Missing("the missing revisions").into());
    };
    let row = |(id, row): (&str, &Value)| {
        let missing = row.as_object()?.get("missing")?.as_array()?;
        let revs = missing.iter().map(|rev| rev.as_str().map(String::from)).collect::<Option<_>>()?;
        let ancestors = row.as_object()?.get("possible_ancestors").and_then(Value::as_array).unwrap_or_default();
        let ancestors = ancestors.iter().filter_map(|rev| rev.as_str().map(String::from)).collect();
        Some(Offered { id: id.into(), revs, ancestors: Some(ancestors) })
    };
    answer.iter().map(|member| row(member).ok_or_else(|| JsonError::Missing("missing").into())).collect()
}

/// The body of `_bulk_docs` that writes `documents` with the revisions that they have.
pub(super) fn bulk_docs_body<'a>(documents: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = b"{\"new_edits\":false,\"docs\":[".to_vec();
    for (position, document) in documents.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        out.extend_from_slice(document);
    }
    out.extend_from_slice(b"]}");
    out
}

/// A row of the answer of `_bulk_docs` that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedRow {
    pub(super) id: String,
    pub(super) rev: Option<String>,
    pub(super) error: String,
    pub(super) reason: String,
}

/// The rows of the answer of `_bulk_docs` that are errors.
pub(super) fn read_refused(body: &[u8]) -> Result<Vec<RefusedRow>, ReplicationError> {
    let Value::Array(rows) = json::parse(body)? else { return Err(JsonError::Missing("a list of rows").into()) };
    let refused = |row: &Value| {
        let row = row.as_object()?;
        let text = |name| string(row, name).map(String::from);
        let (id, reason) = (text("id").unwrap_or_default(), text("reason").unwrap_or_default());
        Some(RefusedRow { id, rev: text("rev"), error: text("error")?, reason })
    };
    Ok(rows.iter().filter_map(refused).collect())
}

/// The body of `_bulk_get`: `{"docs": [{"id": …, "rev": …}, …]}`.
pub(super) fn bulk_get_body<'a>(asked: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<u8> {
    let mut out = b"{\"docs\":[".to_vec();
    for (position, (id, rev)) in asked.into_iter().enumerate() {
        out.extend_from_slice(if position > 0 { b",{\"id\":" } else { b"{\"id\":" });
        write_string(id, &mut out);
        out.extend_from_slice(b",\"rev\":");
        write_string(rev, &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}
