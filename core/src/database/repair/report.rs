//! What a repair tells.

use alloc::string::String;
use alloc::vec::Vec;

/// What a repair found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// The blocks that could not be read, by name, and what was wrong with each. What they held may be gone without a trace, and
    /// documents may be as they were before what they held.
    pub blocks: Vec<String>,
    /// What is known to be lost.
    pub lost: Vec<LostRevision>,
    /// How many documents there are now, deleted ones and lost ones included.
    pub documents: u64,
}

/// A revision of which something is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRevision {
    /// The document's id.
    pub id: String,
    /// The revision.
    pub rev: String,
    /// What of it.
    pub loss: Loss,
}

/// What is lost of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The body of a leaf. It reads as missing, and counts as missing for replications.
    Leaf,
    /// The body of a revision that others followed.
    Ancestor,
    /// Contents of attachments. The document is read without; for replications it counts as missing.
    Attachments,
}

impl Loss {
    /// Its name outside.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Ancestor => "ancestor",
            Self::Attachments => "attachments",
        }
    }
}
