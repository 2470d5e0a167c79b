//! The keys of the database's records.
//!
//! ```text
//! d id                   -> head: the leaves, winner first
//! r id 0 rev             -> node of the revision tree
//! b id 0 rev             -> body, as JSON; what `_attachments` tells of a revision is its last member
//! a id 0 rev             -> the hash of each attachment's content, in the order of that member
//! c hash                 -> content: where its parts stand, its length and its MD5
//! C number part          -> a part of a content
//! t number               -> a content whose document is not written yet has parts
//! u hash id 0 rev        -> the revision uses the content
//! s seq                  -> id and head: what the changes feed tells
//! k id 0 rev             -> the peers that had the revision when a local edit replaced it (database/bases.rs)
//! g id 0 rev             -> what the revision told of a merge, as JSON; it stays when its body goes (database/review/told.rs)
//! v id                   -> the number of the latest change of a document with an open review
//! w id                   -> that number when policies were asked about the review, and which they were (database/review/settling.rs)
//! l id                   -> local document
//! q client slot          -> what a request of a client did (database/requests.rs)
//! m name                 -> what concerns the whole database: counters, epochs, consumers
//! ```
//! An id that other bytes follow is escaped: 00 is written 00 ff, and 00 closes it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::revision::Rev;

/// The SHA-256 of a content.
pub type ContentHash = [u8; 32];
/// Names the parts of a content; never used twice.
pub type ContentNumber = [u8; 12];

const HEAD: u8 = b'd';
const NODE: u8 = b'r';
const BODY: u8 = b'b';
const CHANGE: u8 = b's';
const LOCAL: u8 = b'l';
const REQUEST: u8 = b'q';
const ATTACHED: u8 = b'a';
const CONTENT: u8 = b'c';
const PART: u8 = b'C';
const STAGED: u8 = b't';
const USE: u8 = b'u';
const BASE: u8 = b'k';
const TOLD: u8 = b'g';
const OPEN: u8 = b'v';
const ASKED: u8 = b'w';

/// The record of counters, identity and epochs.
pub const STATE: &[u8] = b"mstate";
/// The record of the latest change that compaction has dealt with: its sequence number, 8 bytes.
pub const COMPACTED: &[u8] = b"mcompacted";

/// The first bytes of keys that are walked over, and not looked up one by one: rows of the feed, uses of contents, and postings.
pub const WALKED: &[u8] = &[CHANGE, USE, crate::index::keyspace::POSTING];

/// The record of how far the peers are that have changes from here: of each 8 bytes that name it, then the number of the last
/// change that it has, 8 bytes.
pub const PEERS: &[u8] = b"mpeers";

/// The record that says that all open reviews are listed: an earlier version listed none.
pub const OPEN_LISTED: &[u8] = b"mopen";

/// The record that says that a repair is under way: what was lost of the store, a line for each block.
pub const REPAIR: &[u8] = b"mrepair";

/// The record that says that the store is a copy of another replica's, which has no identity of its own yet.
pub const RESTORED: &[u8] = b"mrestored";

const CONSUMERS: &[u8] = b"mconsumer ";

/// The key of a document's head.
#[must_use]
pub fn head(id: &str) -> Vec<u8> {
    [&[HEAD], id.as_bytes()].concat()
}

/// The id in the key of a head.
#[must_use]
pub fn head_id(key: &[u8]) -> Option<&str> {
    core::str::from_utf8(key.strip_prefix(&[HEAD])?).ok()
}

/// What the keys of all heads start with.
#[must_use]
pub const fn heads() -> &'static [u8] {
    &[HEAD]
}

/// What the keys of all nodes of one document's tree start with.
#[must_use]
pub fn nodes(id: &str) -> Vec<u8> {
    of_document(NODE, id)
}

/// The key of a node.
#[must_use]
pub fn node(id: &str, rev: &Rev) -> Vec<u8> {
    let mut key = nodes(id);
    rev.encode(&mut key);
    key
}

/// The key of a body.
#[must_use]
pub fn body(id: &str, rev: &Rev) -> Vec<u8> {
    let mut key = of_document(BODY, id);
    rev.encode(&mut key);
    key
}

/// The key of a change.
#[must_use]
pub fn change(seq: u64) -> Vec<u8> {
    [[CHANGE].as_slice(), &seq.to_be_bytes()].concat()
}

/// The sequence number in the key of a change.
#[must_use]
pub fn change_seq(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(&[CHANGE])?.try_into().ok()?))
}

/// What the keys of all changes start with.
#[must_use]
pub const fn changes() -> &'static [u8] {
    &[CHANGE]
}

/// The key of a local document.
#[must_use]
pub fn local(id: &str) -> Vec<u8> {
    [&[LOCAL], id.as_bytes()].concat()
}

/// What the keys of all that one document's revisions told of merges start with.
#[must_use]
pub fn told_in(id: &str) -> Vec<u8> {
    of_document(TOLD, id)
}

/// The key of what a revision told of a merge.
#[must_use]
pub fn told(id: &str, rev: &Rev) -> Vec<u8> {
    let mut key = told_in(id);
    rev.encode(&mut key);
    key
}

/// The key that lists a document whose review is open.
#[must_use]
pub fn open_review(id: &str) -> Vec<u8> {
    [&[OPEN], id.as_bytes()].concat()
}

/// The id in the key of an open review.
#[must_use]
pub fn open_review_id(key: &[u8]) -> Option<&str> {
    core::str::from_utf8(key.strip_prefix(&[OPEN])?).ok()
}

/// What the keys of all open reviews start with.
#[must_use]
pub const fn open_reviews() -> &'static [u8] {
    &[OPEN]
}

/// The key of what tells which policies were asked about a document's open review.
#[must_use]
pub fn asked_review(id: &str) -> Vec<u8> {
    [&[ASKED], id.as_bytes()].concat()
}

/// What the keys of all those start with.
#[must_use]
pub const fn asked_reviews() -> &'static [u8] {
    &[ASKED]
}

/// The key of the consumer called `name`.
#[must_use]
pub fn consumer(name: &str) -> Vec<u8> {
    [CONSUMERS, name.as_bytes()].concat()
}

/// The name in the key of a consumer.
#[must_use]
pub fn consumer_name(key: &[u8]) -> Option<&str> {
    core::str::from_utf8(key.strip_prefix(CONSUMERS)?).ok()
}

/// What the keys of all consumers start with.
#[must_use]
pub fn consumers() -> &'static [u8] {
    CONSUMERS
}

/// The key of what the latest request in a slot of a client did.
#[must_use]
pub fn request(client: u64, slot: u32) -> Vec<u8> {
    [requests_of(client).as_slice(), &slot.to_be_bytes()].concat()
}

/// What the keys of all requests of one client start with.
#[must_use]
pub fn requests_of(client: u64) -> Vec<u8> {
    [[REQUEST].as_slice(), &client.to_be_bytes()].concat()
}

/// The client in the key of a request.
#[must_use]
pub fn request_client(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.strip_prefix(&[REQUEST])?.first_chunk()?))
}

/// What the keys of all requests start with.
#[must_use]
pub fn requests() -> &'static [u8] {
    &[REQUEST]
}

/// What the keys of all records of a document's attachments start with.
#[must_use]
pub fn attached_to_document(id: &str) -> Vec<u8> {
    of_document(ATTACHED, id)
}

/// The key of the record of a revision's attachments.
#[must_use]
pub fn attached(id: &str, rev: &Rev) -> Vec<u8> {
    let mut key = attached_to_document(id);
    rev.encode(&mut key);
    key
}

/// The key of a content.
#[must_use]
pub fn content(hash: &ContentHash) -> Vec<u8> {
    [[CONTENT].as_slice(), hash].concat()
}

/// The hash in the key of a content.
#[must_use]
pub fn content_hash(key: &[u8]) -> Option<ContentHash> {
    key.strip_prefix(&[CONTENT])?.try_into().ok()
}

/// What the keys of all contents start with.
#[must_use]
pub const fn contents() -> &'static [u8] {
    &[CONTENT]
}

/// What the keys of all parts of one content start with.
#[must_use]
pub fn parts(number: &ContentNumber) -> Vec<u8> {
    [[PART].as_slice(), number].concat()
}

/// The key of a part of a content.
#[must_use]
pub fn part(number: &ContentNumber, part: u32) -> Vec<u8> {
    [[PART].as_slice(), number, &part.to_be_bytes()].concat()
}

/// The key that says that a content has parts, but no document yet.
#[must_use]
pub fn staged(number: &ContentNumber) -> Vec<u8> {
    [[STAGED].as_slice(), number].concat()
}

/// The number in such a key.
#[must_use]
pub fn staged_number(key: &[u8]) -> Option<ContentNumber> {
    key.strip_prefix(&[STAGED])?.try_into().ok()
}

/// What all such keys start with.
#[must_use]
pub const fn all_staged() -> &'static [u8] {
    &[STAGED]
}

/// What the keys of all uses of one content start with.
#[must_use]
pub fn uses(hash: &ContentHash) -> Vec<u8> {
    [[USE].as_slice(), hash].concat()
}

/// The key that says that a revision uses a content.
#[must_use]
pub fn use_of(hash: &ContentHash, id: &str, rev: &Rev) -> Vec<u8> {
    let mut key = uses(hash);
    append_id(id, &mut key);
    rev.encode(&mut key);
    key
}

/// The key that says which peers had a revision that a local edit replaced.
#[must_use]
pub fn base(id: &str, rev: &Rev) -> Vec<u8> {
    let mut key = bases_of(id);
    rev.encode(&mut key);
    key
}

/// What all such keys of one document start with.
#[must_use]
pub fn bases_of(id: &str) -> Vec<u8> {
    of_document(BASE, id)
}

/// What all such keys start with.
#[must_use]
pub const fn bases() -> &'static [u8] {
    &[BASE]
}

/// What the keys of all nodes start with.
#[must_use]
pub const fn all_nodes() -> &'static [u8] {
    &[NODE]
}

/// What the keys of all bodies start with.
#[must_use]
pub const fn all_bodies() -> &'static [u8] {
    &[BODY]
}

/// What the keys of all records of attachments start with.
#[must_use]
pub const fn all_attached() -> &'static [u8] {
    &[ATTACHED]
}

/// What the keys of all parts of contents start with.
#[must_use]
pub const fn all_parts() -> &'static [u8] {
    &[PART]
}

/// What the keys of all uses of contents start with.
#[must_use]
pub const fn all_uses() -> &'static [u8] {
    &[USE]
}

/// What the keys of all bodies of one document start with.
#[must_use]
pub fn bodies(id: &str) -> Vec<u8> {
    of_document(BODY, id)
}

/// The id in the key of a record of a revision.
#[must_use]
pub fn revision_id(key: &[u8]) -> Option<String> {
    let mut id = Vec::new();
    let mut rest = key.get(1..)?;
    loop {
        match rest {
            [0, 0xff, after @ ..] => {
                id.push(0);
                rest = after;
            }
            [0, ..] => return String::from_utf8(id).ok(),
            [byte, after @ ..] => {
                id.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// The number in the key of a part.
#[must_use]
pub fn part_number(key: &[u8]) -> Option<ContentNumber> {
    key.strip_prefix(&[PART])?.first_chunk().copied()
}

fn of_document(kind: u8, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(id.len() + 32);
    key.push(kind);
    append_id(id, &mut key);
    key
}

fn append_id(id: &str, key: &mut Vec<u8>) {
    for byte in id.bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(0xff);
        }
    }
    key.push(0);
}
