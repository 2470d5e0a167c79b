//! Revisions and the tree that they form for each document.
//!
//! A revision `N-hash` names one state of a document; an edit names its parent, so the revisions of a document form a tree
//! and concurrent edits are its branches. [`Rev`] is the name of a revision, [`Revisions`] a path from one revision towards
//! its root as the protocol carries it, [`RevTree`] the tree itself.
//!
//! **A tree merges like a set**: merging is commutative, associative and idempotent, so every replica that has seen the same
//! edits holds the same tree and picks the same winner, in whatever order they arrived (until a tree is stemmed: roots that
//! were cut apart stay apart). **Revisions of others are opaque**: any `N-text` within the bounds comes back byte for byte.

mod ancestry;
mod edit;
mod id;
mod node;
mod path;
mod tree;

pub use id::{GENERATION_MAX, HASH_BYTES_MAX, Rev, RevError, RevHash};
pub use node::Node;
pub use path::{REVISIONS_MAX, Revisions};
pub use tree::{Merged, Outcome, RevTree};
