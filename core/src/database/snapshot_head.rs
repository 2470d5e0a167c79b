//! The line of JSON that a snapshot begins with.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::json::{self, Value, write_string};

/// The version of the line. A database that has snapshots says so by a member of what it tells of itself, which has this name and
/// this number.
pub const SNAPSHOT_VERSION: u64 = 1;
/// The name of that member.
pub const SNAPSHOT_MEMBER: &str = "firkin_snapshot";

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The version of this line.
    pub version: u64,
    /// The format of the blocks.
    pub format: u64,
    /// The sequence after which the feed goes on.
    pub seq: String,
    /// The number in it.
    pub last: u64,
    /// How many documents there are.
    pub doc_count: u64,
    /// How many documents are deleted.
    pub doc_del_count: u64,
    /// The paths that are kept out of the index, as a JSON array.
    pub exclude: String,
}

/// A snapshot's line as it was read.
#[derive(Debug)]
pub(crate) struct SnapshotLine {
    pub(crate) head: SnapshotHead,
    /// What tells the snapshot from others.
    pub(crate) tag: String,
    /// How many bytes follow the line.
    pub(crate) bytes: u64,
}

impl SnapshotHead {
    /// The line, its end included, of a snapshot that `tag` tells from others, and of which `bytes` follow.
    #[must_use]
    pub fn line(&self, tag: &str, bytes: u64) -> Vec<u8> {
        let Self { version, format, last, doc_count, doc_del_count, exclude, .. } = self;
        let mut line = format!(
            "{{\"{SNAPSHOT_MEMBER}\":{version},\"format\":{format},\"bytes\":{bytes},\"last\":{last},\"doc_count\":{doc_count},\
             \"doc_del_count\":{doc_del_count},\"exclude\":{exclude},\"tag\":"
        )
        .into_bytes();
        write_string(tag, &mut line);
        line.extend_from_slice(b",\"seq\":");
        write_string(&self.seq, &mut line);
        line.extend_from_slice(b"}\n");
        line
    }
}

impl SnapshotLine {
    /// Reads the line; `None` for one that is none.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let line = json::parse(line).ok()?;
        let line = line.as_object()?;
        let number = |name| line.get(name).and_then(count);
        let text = |name| line.get(name).and_then(Value::as_str).map(String::from);
        let mut exclude = Vec::new();
        json::write(line.get("exclude")?, &mut exclude);
        let head = SnapshotHead {
            version: number(SNAPSHOT_MEMBER)?,
            format: number("format")?,
            seq: text("seq")?,
            last: number("last")?,
            doc_count: number("doc_count")?,
            doc_del_count: number("doc_del_count")?,
            exclude: String::from_utf8(exclude).ok()?,
        };
        Some(Self { head, tag: text("tag")?, bytes: number("bytes")? })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is no count becomes the nearest")]
fn count(value: &Value) -> Option<u64> {
    value.as_number().map(|number| number as u64)
}
