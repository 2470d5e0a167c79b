//! What a revision has for attachments: where stubs and contents come from when it is written, what its body shows of them,
//! and how they are read back.
//!
//! The body of a revision that has attachments ends in `_attachments` with a stub for each, so that whoever writes a body out
//! shows them. Which content each stands for is kept in a record beside it, in the same order.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::WriteError;
use super::contents::{ContentRecord, Incoming, PART_BYTES, Staging, read_hashes};
use super::edit::Edit;
use super::error::damaged_body;
use crate::document::keys::{self, ContentHash};
use crate::document::{GivenAttachment, GivenContent};
use crate::json::{self, Object, Value};
use crate::revision::Rev;
use crate::storage::{Cursor, Direction, KeyRange, Snapshot, StorageError};

/// The member of a stored body that shows the attachments.
pub(super) const MEMBER: &str = "_attachments";

/// An attachment of a revision.
#[derive(Clone)]
pub(super) struct Attachment {
    pub(super) name: String,
    pub(super) content_type: String,
    /// As CouchDB writes it, or as it came.
    pub(super) digest: String,
    pub(super) length: u64,
    /// The generation of the revision that brought the content.
    revpos: u64,
    pub(super) hash: ContentHash,
}

/// The attachments of a revision that is being written.
#[derive(Default)]
pub(super) struct Attachments {
    pub(super) all: Vec<Attachment>,
    /// Their contents, as far as they came with the revision.
    pub(super) incoming: Vec<Incoming>,
}

/// What a new edit has for attachments: what it brings, and for each stub what `parent` has under that name. A stub that tells
/// a digest may also stand for what another revision of the document has under that name: a merge takes over attachments of
/// any branch.
pub(super) async fn of_new_edit<S: Snapshot>(
    staging: &Staging,
    snapshot: &S,
    edit: &Edit,
    given: Vec<GivenAttachment>,
    parent: Option<&Rev>,
) -> Result<Attachments, WriteError> {
    let revpos = parent.map_or(0, Rev::generation) + 1;
    let has_stubs = given.iter().any(GivenAttachment::is_stub);
    let inherited = match parent {
        Some(parent) if has_stubs => edit.attachments_of(snapshot, parent).await?,
        _ => Vec::new(),
    };
    let mut attachments = Attachments::default();
    // What all revisions have, read when the first stub asks for it.
    let mut here = None;
    for given in given {
        if !given.is_stub() {
            attachments.take_in(staging, GivenAttachment { digest: None, ..given }, revpos)?;
        } else if let Some(same) = inherited.iter().find(|attachment| given.may_mean(attachment)) {
            attachments.all.push(same.clone());
        } else {
            if given.digest.is_some() && here.is_none() {
                here = Some(edit.all_attachments(snapshot).await?);
            }
            let mut known = here.iter().flatten().filter(|_| given.digest.is_some());
            let same = known.find(|attachment| given.may_mean(attachment));
            let same = same.ok_or_else(|| missing_stub(&edit.id, &given.name))?;
            attachments.all.push(Attachment { revpos, ..same.clone() });
        }
    }
    Ok(attachments)
}

/// What a revision of a replica has for attachments. A stub stands for what any revision of the document has under that name
/// with that digest.
pub(super) async fn of_replicated<S: Snapshot>(
    staging: &Staging,
    snapshot: &S,
    edit: &Edit,
    given: Vec<GivenAttachment>,
    rev: &Rev,
) -> Result<Attachments, WriteError> {
    let here = match given.iter().any(GivenAttachment::is_stub) {
        true => edit.all_attachments(snapshot).await?,
        false => Vec::new(),
    };
    let mut attachments = Attachments::default();
    for given in given {
        let revpos = given.revpos.unwrap_or(u64::MAX).clamp(1, rev.generation());
        if given.is_stub() {
            let same = here.iter().find(|attachment| given.digest.is_some() && given.may_mean(attachment));
            let same = same.ok_or_else(|| missing_stub(&edit.id, &given.name))?;
            attachments.all.push(Attachment { revpos, content_type: given.content_type, ..same.clone() });
        } else {
            attachments.take_in(staging, given, revpos)?;
        }
    }
    Ok(attachments)
}

fn missing_stub(id: &str, name: &str) -> WriteError {
    WriteError::MissingStub { id: id.into(), name: name.into() }
}

impl GivenAttachment {
    fn is_stub(&self) -> bool {
        self.content == GivenContent::Stub
    }

    /// Whether a stub can stand for `attachment`.
    fn may_mean(&self, attachment: &Attachment) -> bool {
        attachment.name == self.name && self.digest.as_ref().is_none_or(|digest| *digest == attachment.digest)
    }
}

impl Attachments {
    /// Adds an attachment that brings its content.
    fn take_in(&mut self, staging: &Staging, given: GivenAttachment, revpos: u64) -> Result<(), WriteError> {
        let incoming = match given.content {
            GivenContent::Data(data) => staging.of_data(data),
            GivenContent::Staged(name) => staging.get(&name).ok_or(WriteError::ContentLost)?,
            GivenContent::Stub => return Err(WriteError::ContentLost),
        };
        self.all.push(Attachment {
            name: given.name,
            content_type: given.content_type,
            digest: given.digest.unwrap_or_else(|| incoming.digest()),
            length: incoming.length(),
            revpos,
            hash: incoming.content_hash(),
        });
        self.incoming.push(incoming);
        Ok(())
    }

    /// The hashes of their contents, in their order.
    pub(super) fn hashes(&self) -> Vec<ContentHash> {
        self.all.iter().map(|attachment| attachment.hash).collect()
    }

    /// What a revision's hash says of them: the content type and digest of each.
    pub(super) fn to_hashed(&self) -> Object {
        let mut hashed = Object::new();
        for attachment in &self.all {
            let told = [attachment.content_type.as_str(), &attachment.digest].map(Value::from);
            hashed.insert(&attachment.name, Value::Array(told.into()));
        }
        hashed
    }

    /// The member of the stored body that shows them.
    pub(super) fn to_stubs(&self) -> Object {
        let mut stubs = Object::new();
        for attachment in &self.all {
            let mut stub = attachment.told();
            stub.insert("length", number(attachment.length));
            stub.insert("stub", true.into());
            stubs.insert(&attachment.name, Value::Object(stub));
        }
        stubs
    }
}

impl Attachment {
    /// The members that a stub and an attachment with its data have in common.
    fn told(&self) -> Object {
        let mut told = Object::new();
        told.insert("content_type", self.content_type.as_str().into());
        told.insert("revpos", number(self.revpos));
        told.insert("digest", self.digest.as_str().into());
        told
    }
}

#[expect(clippy::cast_precision_loss, reason = "lengths and generations stay below 2^53")]
fn number(count: u64) -> Value {
    Value::Number(count as f64)
}

/// What a stored stub says.
pub(super) struct Stub {
    name: String,
    content_type: String,
    digest: String,
    length: u64,
    revpos: u64,
}

impl Stub {
    /// Whether it may tell of this content. (The digest is that of the bytes that a peer sent, which it may have compressed.)
    pub(super) fn may_stand_for(&self, content: &ContentRecord) -> bool {
        self.length == content.length
    }

    fn standing_for(self, hash: ContentHash) -> Attachment {
        let Self { name, content_type, digest, length, revpos } = self;
        Attachment { name, content_type, digest, length, revpos, hash }
    }

    pub(super) fn given(self) -> GivenAttachment {
        let Self { name, content_type, digest, .. } = self;
        GivenAttachment { name, content_type, digest: Some(digest), revpos: None, content: GivenContent::Stub }
    }
}

/// Takes the stubs out of a stored body.
pub(super) fn stubs_in(body: &mut Object) -> Vec<Stub> {
    let Some(Value::Object(stubs)) = body.remove(MEMBER) else { return Vec::new() };
    let stub = |(name, stub): (String, Value)| {
        let stub = stub.as_object().cloned().unwrap_or_default();
        let text = |member| stub.get(member).and_then(Value::as_str).map(String::from).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "this library wrote whole numbers")]
        let count = |member| stub.get(member).and_then(Value::as_number).unwrap_or_default() as u64;
        let (content_type, digest) = (text("content_type"), text("digest"));
        Stub { name, content_type, digest, length: count("length"), revpos: count("revpos") }
    };
    stubs.into_iter().map(stub).collect()
}

/// The attachments that a stored body shows. It does not tell which contents they stand for.
pub(super) fn attachments_shown(mut body: Object) -> Vec<Attachment> {
    stubs_in(&mut body).into_iter().map(|stub| stub.standing_for([0; 32])).collect()
}

pub(super) fn read_members(id: &str, text: &[u8]) -> Result<Object, StorageError> {
    match json::parse(text).map_err(|error| damaged_body(id, &error))? {
        Value::Object(members) => Ok(members),
        _ => Ok(Object::new()),
    }
}

/// The attachments of a revision that is stored.
pub(super) async fn attachments_of<S: Snapshot>(
    snapshot: &S,
    id: &str,
    rev: &Rev,
) -> Result<Vec<Attachment>, StorageError> {
    match snapshot.get(&keys::attached(id, rev)).await? {
        Some(record) => read_attachments(snapshot, id, rev, &record).await,
        None => Ok(Vec::new()),
    }
}

/// The attachments of all revisions of a document that are stored.
pub(super) async fn attachments_of_all<S: Snapshot>(snapshot: &S, id: &str) -> Result<Vec<Attachment>, StorageError> {
    let prefix = keys::attached_to_document(id);
    let mut records = snapshot.range(KeyRange::prefix(&prefix), Direction::Backward)?;
    let mut all = Vec::new();
    while records.advance().await? {
        let rev = records.key().get(prefix.len()..).and_then(Rev::decode);
        let (rev, _) = rev.ok_or_else(|| damaged_attachments(id))?;
        all.append(&mut read_attachments(snapshot, id, &rev, records.value()).await?);
    }
    Ok(all)
}

async fn read_attachments<S: Snapshot>(
    snapshot: &S,
    id: &str,
    rev: &Rev,
    record: &[u8],
) -> Result<Vec<Attachment>, StorageError> {
    let hashes = read_hashes(record)?;
    let text = snapshot.get(&keys::body(id, rev)).await?.unwrap_or_default();
    let stubs = stubs_in(&mut read_members(id, &text)?);
    if stubs.len() != hashes.len() {
        return Err(damaged_attachments(id));
    }
    Ok(stubs.into_iter().zip(hashes).map(|(stub, hash)| stub.standing_for(*hash)).collect())
}

fn damaged_attachments(id: &str) -> StorageError {
    StorageError::Corrupt(format!("the attachments of {id:?}"))
}

/// A stored body with the data of its attachments in place of their stubs; `None` if a content is lost.
pub(super) async fn with_data<S: Snapshot>(
    snapshot: &S,
    id: &str,
    rev: &Rev,
    body: Vec<u8>,
) -> Result<Option<Vec<u8>>, StorageError> {
    let attachments = attachments_of(snapshot, id, rev).await?;
    if attachments.is_empty() {
        return Ok(Some(body));
    }
    let mut members = read_members(id, &body)?;
    members.remove(MEMBER);
    let mut out = Vec::with_capacity(body.len());
    json::write_object(&members, &mut out);
    out.pop();
    out.extend_from_slice(if members.is_empty() { b"\"_attachments\":{" } else { b",\"_attachments\":{" });
    let mut base64 = String::new();
    for (place, attachment) in attachments.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        json::write_string(&attachment.name, &mut out);
        out.push(b':');
        json::write_object(&attachment.told(), &mut out);
        out.pop();
        out.extend_from_slice(b",\"data\":\"");
        let Some(content) = ContentRecord::read(snapshot, &attachment.hash).await? else { return Ok(None) };
        let ContentRecord { number, length, .. } = content;
        for part in 0..length.div_ceil(PART_BYTES as u64) {
            let part = u32::try_from(part).unwrap_or(u32::MAX);
            let bytes = snapshot.get(&keys::part(&number, part)).await?.ok_or_else(|| damaged_attachments(id))?;
            base64.clear();
            STANDARD.encode_string(&bytes, &mut base64);
            out.extend_from_slice(base64.as_bytes());
        }
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"}}");
    Ok(Some(out))
}
