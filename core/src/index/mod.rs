//! The path index: every path of every winning document, posted under (path, typed value, document).
//!
//! [`Dictionary`] gives each path a small number, kept on disk. A document is cut into its postings, and an [`IndexUpdate`]
//! finds what a write must add and take away, and counts it ([`Cardinality`]). The index is changed in the same commit as its document, so it never
//! says anything else than the documents do.

mod cardinality;
mod dictionary;
mod exclusion;
mod postings;
mod update;

pub use cardinality::{Cardinality, counted_path};
pub use dictionary::{Dictionary, POSITIONS_MAX, PathId, Segment, read_name};
pub use exclusion::Exclusions;
pub use postings::Posting;
pub use update::{IndexUpdate, PathIndex, Updated};

/// The first byte of each of the index's keys.
pub mod keyspace {
    /// path, value, document -> what the key cannot hold
    pub const POSTING: u8 = b'i';
    /// path -> how many postings it has
    pub const CARDINALITY: u8 = b'n';
    /// parent path, segment -> path
    pub const PATH: u8 = b'p';
    /// path -> parent path, segment
    pub const PATH_NAME: u8 = b'P';
    /// the number of the next path
    pub const NEXT_PATH: &[u8] = b"mpath";
    /// the paths that are kept out of the index
    pub const EXCLUDED: &[u8] = b"mexcluded";
}
