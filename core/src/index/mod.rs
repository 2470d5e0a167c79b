//! The path index: every path of every winning document, posted under (path, typed value, document).
//!
//! [`Dictionary`] gives each path a small number, kept on disk. [`post_document`] cuts a document into its [`Postings`],
//! which find what an update must add and take away. The index is changed in the same commit as its document, so it never
//! says anything else than the documents do.

mod dictionary;
mod postings;

pub use dictionary::{Dictionary, Interner, PathId, Segment};
pub use postings::{Postings, is_whole, post_document};

/// The first byte of each of the index's keys.
pub mod keyspace {
    /// path, value, document -> what the key cannot hold
    pub const POSTING: u8 = b'i';
    /// parent path, segment -> path
    pub const PATH: u8 = b'p';
    /// path -> parent path, segment
    pub const PATH_NAME: u8 = b'P';
    /// the number of the next path
    pub const NEXT_PATH: &[u8] = b"mpath";
}
