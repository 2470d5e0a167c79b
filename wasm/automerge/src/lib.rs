//! Merging two texts by character, and two lists by element, with [Automerge](https://automerge.org): what a policy asks for
//! that names `automerge`. It is a module of its own, since no page should load it in vain.
//!
//! What both sides changed since `base` becomes the edits of two actors of an Automerge document, whose names derive from the
//! revisions. So **every replica computes the same**, whichever side it calls ours, but where the two clash: there ours stands.
//!
//! Equal edits are made once. Two edits clash that overlap: one word rewritten in two ways, an element changed on one side
//! and taken out on the other. Insertions at one place are both kept.

mod edits;
mod merge;
mod replica;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use merge::{BYTES_MAX, Merged, merge};
