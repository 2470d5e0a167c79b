//! What is known of a document without its bodies.
//!
//! ```text
//! head    seq: 8 bytes, big-endian · count of leaves: 4 bytes · leaves, winner first
//! leaf    flags: 1 deleted, 2 lost · the first generation known of its branch: 8 bytes · rev
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use crate::revision::Rev;
use crate::storage::StorageError;

/// The leaves of a document, and when it changed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence number of the latest change.
    pub seq: u64,
    /// The leaves in the order of winning; never empty.
    pub leaves: Vec<Leaf>,
}

/// A leaf of the revision tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The revision.
    pub rev: Rev,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Whether its body is lost: it was stored, could not be read any more, and no replica has brought it back yet.
    pub lost: bool,
    /// The generation of the oldest revision that is known on its branch.
    pub oldest: u64,
}

const DELETED: u8 = 1;
const LOST: u8 = 2;

impl Leaf {
    /// Whether there is a document at this revision: it is no tombstone, and its body is here.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.deleted && !self.lost
    }
}

impl Head {
    /// The winning leaf.
    #[must_use]
    pub fn winner(&self) -> Option<&Leaf> {
        self.leaves.first()
    }

    /// Whether the document counts as deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.winner().is_none_or(|leaf| leaf.deleted)
    }

    /// The winning leaf, if there is a document at it: what lists and queries show.
    #[must_use]
    pub fn alive(&self) -> Option<&Leaf> {
        self.winner().filter(|leaf| leaf.is_alive())
    }

    /// The leaves that lost and are not deleted.
    pub fn conflicts(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.iter().skip(1).filter(|leaf| !leaf.deleted)
    }

    /// The leaves that lost and are deleted.
    pub fn deleted_conflicts(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.iter().skip(1).filter(|leaf| leaf.deleted)
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&u32::try_from(self.leaves.len()).unwrap_or(u32::MAX).to_be_bytes());
        for leaf in &self.leaves {
            out.push((u8::from(leaf.deleted) * DELETED) | (u8::from(leaf.lost) * LOST));
            out.extend_from_slice(&leaf.oldest.to_be_bytes());
            leaf.rev.encode(out);
        }
    }

    /// Reads a stored form.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if these bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        Self::read(bytes).ok_or_else(|| StorageError::Corrupt(String::from("the head of a document")))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk()?;
        let (count, mut rest) = rest.split_first_chunk()?;
        let mut leaves = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (flags, after) = rest.split_first()?;
            let (oldest, after) = after.split_first_chunk()?;
            let (rev, after) = Rev::decode(after)?;
            if *flags > (DELETED | LOST) {
                return None;
            }
            let (deleted, lost) = (flags & DELETED != 0, flags & LOST != 0);
            leaves.push(Leaf { rev, deleted, lost, oldest: u64::from_be_bytes(*oldest) });
            rest = after;
        }
        (rest.is_empty() && !leaves.is_empty()).then_some(Self { seq: u64::from_be_bytes(*seq), leaves })
    }
}
