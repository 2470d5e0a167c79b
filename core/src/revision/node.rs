//! What a revision tree knows of one revision, and how that is stored.
//!
//! Each revision is a record of its own, so that an update of a long tree writes the few records that changed. The stored
//! form: a byte of flags (1 deleted, 2 available, 4 superseded, 8 has a parent), then the parent's hash as
//! [`RevHash::encode`] writes it. The parent's generation is always the one before, so it is not stored.

use alloc::vec::Vec;

use super::{Rev, RevHash};

/// What a revision tree knows of one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The hash of the parent, which is of the generation before; `None` where no parent is known.
    pub parent: Option<RevHash>,
    /// Whether the revision is a tombstone. Known of what has been a leaf here; `false` for other ancestors.
    pub deleted: bool,
    /// Whether the body came here; of other ancestors only the name did, as part of a path.
    pub available: bool,
    /// Set on a revision that a peer named as the parent of one that has another parent now: it stays an inner one.
    pub superseded: bool,
}

const DELETED: u8 = 1;
const AVAILABLE: u8 = 2;
const SUPERSEDED: u8 = 4;
const HAS_PARENT: u8 = 8;

impl Node {
    /// The parent, given the revision that this node belongs to.
    #[must_use]
    pub fn parent_of(&self, rev: &Rev) -> Option<Rev> {
        rev.before(self.parent.clone()?)
    }

    /// Appends the stored form, which delimits itself.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(self.deleted, DELETED)
                | flag(self.available, AVAILABLE)
                | flag(self.superseded, SUPERSEDED)
                | flag(self.parent.is_some(), HAS_PARENT),
        );
        if let Some(parent) = &self.parent {
            parent.encode(out);
        }
    }

    /// Reads a stored form back and returns what follows it; `None` for bytes that [`encode`](Self::encode) never writes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (flags, mut rest) = bytes.split_first()?;
        if *flags > (DELETED | AVAILABLE | SUPERSEDED | HAS_PARENT) {
            return None;
        }
        let mut node = Self {
            parent: None,
            deleted: flags & DELETED != 0,
            available: flags & AVAILABLE != 0,
            superseded: flags & SUPERSEDED != 0,
        };
        if flags & HAS_PARENT != 0 {
            let (parent, after) = RevHash::decode(rest)?;
            node.parent = Some(parent);
            rest = after;
        }
        Some((node, rest))
    }
}
