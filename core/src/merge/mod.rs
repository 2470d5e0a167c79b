//! Merging documents: what two branches changed since the revision that both grew from, put together.
//!
//! [`three_way`] walks base, ours and theirs side by side. Equal changes agree, and a change of one side wins; where both
//! changed one place differently, the place's [`Policy`] decides, or it is a [`Clash`], in which ours stands until a person says
//! otherwise. Ours is the branch that wins, so that **every replica puts the same documents together alike**; more branches than two are
//! folded from the left, in the order of winning.
//!
//! Objects are walked into; arrays are changed as a whole, unless their policy says that they are sets. Members may come in any
//! order. The `firkin` member is the library's own, and no part of it.

mod policy;
mod rules;
mod sequences;
mod three_way;

pub(crate) use policy::is_mergeable;
pub use policy::{Policies, Policy, PolicyError};
pub use sequences::{Concurrent, Sequences, Woven};
pub use three_way::{Clash, FIRKIN, Merged, three_way};
