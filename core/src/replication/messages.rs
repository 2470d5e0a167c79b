//! The messages of the CouchDB replication protocol, as JSON.
//!
//! Answers come from outside, so nothing in them is trusted: what is not as the protocol has it is an error, or, where one
//! row among many is malformed, counted and passed over. Documents are not parsed here; they stay the bytes that came.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ReplicationError;
use crate::json::write_string;
use crate::revision::Rev;

/// A longer id than this is malformed.
const ID_BYTES_MAX: usize = 64 << 10;
/// A longer sequence than this is malformed; those of a large cluster come to some hundred bytes.
pub(super) const SEQUENCE_BYTES_MAX: usize = 8 << 10;

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, ReplicationError> {
    serde_json::from_slice(text).map_err(|error| ReplicationError::Malformed(error.to_string()))
}

/// A place in the source's feed, as the JSON that the source wrote: a string, a number or, from old clusters, an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence(String);

impl Sequence {
    /// Before everything.
    pub(super) fn start() -> Self {
        Self("0".into())
    }

    /// A sequence given as JSON, or as the plain text of one.
    pub(super) fn from_text(text: &str) -> Self {
        if serde_json::from_str::<&RawValue>(text).is_ok() { Self(text.trim().into()) } else { Self::from_string(text) }
    }

    /// A sequence that is the string `text`.
    pub(super) fn from_string(text: &str) -> Self {
        let mut json = Vec::new();
        write_string(text, &mut json);
        Self(String::from_utf8(json).unwrap_or_default())
    }

    fn read(raw: &RawValue) -> Result<Self, ReplicationError> {
        if raw.get().len() > SEQUENCE_BYTES_MAX || raw.get() == "null" {
            return Err(ReplicationError::Malformed("a sequence is missing or too long".into()));
        }
        Ok(Self(raw.get().into()))
    }

    /// The JSON.
    pub(super) fn as_json(&self) -> &str {
        &self.0
    }

    /// The text of a sequence that is a string, else the JSON: what the parameter `since` takes.
    pub(super) fn to_text(&self) -> String {
        serde_json::from_str::<String>(&self.0).unwrap_or_else(|_| self.0.clone())
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ErrorAnswer {
    pub(super) error: String,
    pub(super) reason: String,
}

impl ErrorAnswer {
    /// The error in the body of an answer, or what can be said without.
    pub(super) fn read(body: &[u8]) -> Self {
        read(body).unwrap_or_else(|_| Self { error: "unknown".into(), reason: "the answer names no reason".into() })
    }
}

/// Holds the answer of `GET /{db}` against what a database answers.
pub(super) fn read_info(body: &[u8]) -> Result<(), ReplicationError> {
    #[derive(Deserialize)]
    struct Info<'a> {
        #[serde(borrow)]
        #[expect(dead_code, reason = "it only must be there")]
        db_name: Cow<'a, str>,
    }
    match serde_json::from_slice::<Info<'_>>(body) {
        Ok(_) => Ok(()),
        // The answer may have been cut short on its way.
        Err(error) if error.is_eof() => Err(ReplicationError::Malformed(error.to_string())),
        Err(error) => Err(ReplicationError::NoServer(error.to_string())),
    }
}

/// A row of the source's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) seq: Sequence,
    pub(super) id: String,
    pub(super) revs: Vec<String>,
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
        #[derive(Deserialize)]
        struct Page<'a> {
            #[serde(borrow)]
            results: Vec<&'a RawValue>,
            #[serde(borrow)]
            last_seq: Option<&'a RawValue>,
            pending: Option<u64>,
        }
        let page: Page<'_> = read(body)?;
        let (mut changes, mut malformed) = (Vec::with_capacity(page.results.len()), Vec::new());
        for row in page.results {
            match read_change(row) {
                Ok(change) => changes.push(change),
                Err(error) => malformed.push(format!("a row of the changes feed: {error}")),
            }
        }
        let last_seq = match page.last_seq {
            Some(last_seq) => Sequence::read(last_seq)?,
            None => changes.last().map(|change| change.seq.clone()).ok_or_else(|| {
                ReplicationError::Malformed("a page of the changes feed has neither rows nor last_seq".into())
            })?,
        };
        Ok(Self { changes, malformed, last_seq, pending: page.pending })
    }
}

fn read_change(row: &RawValue) -> Result<Change, ReplicationError> {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        seq: &'a RawValue,
        id: String,
        #[serde(borrow)]
        changes: Vec<RowRev<'a>>,
    }
    #[derive(Deserialize)]
    struct RowRev<'a> {
        #[serde(borrow)]
        rev: Cow<'a, str>,
    }
    let row: Row<'_> = read(row.get().as_bytes())?;
    // A document of the peer's must never land among our own checkpoints.
    if row.id.is_empty() || row.id.len() > ID_BYTES_MAX || row.id.starts_with("_local/") {
        return Err(ReplicationError::Malformed(format!("the id {:?}", row.id.chars().take(64).collect::<String>())));
    }
    let rev = |rev: RowRev<'_>| match Rev::parse(&rev.rev) {
        Ok(rev) => Ok(rev.to_string()),
        Err(error) => Err(ReplicationError::Malformed(format!("{error} for {:?}", row.id))),
    };
    let revs = row.changes.into_iter().map(rev).collect::<Result<_, _>>()?;
    Ok(Change { seq: Sequence::read(row.seq)?, id: row.id, revs })
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
pub(super) fn read_revs_diff(body: &[u8]) -> Result<BTreeMap<String, Vec<String>>, ReplicationError> {
    #[derive(Deserialize)]
    struct Missing {
        missing: Vec<String>,
    }
    let answer: BTreeMap<String, Missing> = read(body)?;
    Ok(answer.into_iter().map(|(id, missing)| (id, missing.missing)).collect())
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
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Row {
        id: String,
        rev: Option<String>,
        error: Option<String>,
        reason: Option<String>,
    }
    let rows: Vec<Row> = read(body)?;
    let refused = |row: Row| {
        let error = row.error?;
        Some(RefusedRow { id: row.id, rev: row.rev, error, reason: row.reason.unwrap_or_default() })
    };
    Ok(rows.into_iter().filter_map(refused).collect())
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

/// A document within the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) id: String,
    pub(super) rev: String,
    pub(super) deleted: bool,
    /// Where the document stands in the body.
    pub(super) at: Range<usize>,
}

/// What a body that carries documents holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Documents {
    pub(super) found: Vec<Fetched>,
    /// (id, revision, reason) of each that the peer does not have after all, or could not give.
    pub(super) missing: Vec<(String, String, String)>,
}

/// One element of `docs` in an answer of `_bulk_get`, or of an answer to `open_revs`.
#[derive(Deserialize)]
struct DocumentRow<'a> {
    #[serde(borrow)]
    ok: Option<&'a RawValue>,
    error: Option<DocumentError>,
    missing: Option<String>,
}

#[derive(Deserialize)]
struct DocumentError {
    rev: Option<String>,
    reason: Option<String>,
}

impl Documents {
    /// Reads an answer of `_bulk_get`.
    pub(super) fn read_bulk_get(body: &[u8]) -> Result<Self, ReplicationError> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            results: Vec<Group<'a>>,
        }
        #[derive(Deserialize)]
        struct Group<'a> {
            id: String,
            #[serde(borrow)]
            docs: Vec<DocumentRow<'a>>,
        }
        let answer: Answer<'_> = read(body)?;
        let mut documents = Self::default();
        for group in answer.results {
            for row in group.docs {
                documents.add(body, &group.id, row)?;
            }
        }
        Ok(documents)
    }

    /// Reads an answer to `open_revs` of the document `id`.
    pub(super) fn read_open_revs(body: &[u8], id: &str) -> Result<Self, ReplicationError> {
        let rows: Vec<DocumentRow<'_>> = read(body)?;
        let mut documents = Self::default();
        for row in rows {
            documents.add(body, id, row)?;
        }
        Ok(documents)
    }

    fn add(&mut self, body: &[u8], id: &str, row: DocumentRow<'_>) -> Result<(), ReplicationError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "_id")]
            id: String,
            #[serde(rename = "_rev")]
            rev: String,
            #[serde(rename = "_deleted", default)]
            deleted: bool,
        }
        if let Some(text) = row.ok {
            // A document under another id than was asked for could be anything, our own checkpoints included.
            let head: Head = read(text.get().as_bytes())?;
            if head.id != id {
                return Err(ReplicationError::Malformed(format!("{:?} was answered for {id:?}", head.id)));
            }
            let at = place_in(body, text.get());
            self.found.push(Fetched { id: head.id, rev: head.rev, deleted: head.deleted, at });
            return Ok(());
        }
        let (rev, reason) = match (row.error, row.missing) {
            (Some(error), _) => (error.rev, error.reason),
            (None, rev) => (rev, None),
        };
        self.missing.push((id.into(), rev.unwrap_or_default(), reason.unwrap_or_else(|| "missing".into())));
        Ok(())
    }
}

/// Where `part`, which was read out of `whole`, stands in it.
fn place_in(whole: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}
