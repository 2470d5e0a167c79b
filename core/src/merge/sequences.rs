//! What merges texts by character and lists by element: more code than most databases need, so it lives elsewhere.

use alloc::string::String;
use alloc::vec::Vec;

use futures_util::future::LocalBoxFuture;

use crate::json::Value;

/// Merges texts and lists.
pub trait Sequences {
    /// What becomes of each of these places, in their order; `None` where a person is to decide. Whoever is asked the same answers the
    /// same, on every replica.
    ///
    /// # Errors
    /// Why it cannot be asked.
    fn merge(&self, places: Vec<Concurrent>) -> LocalBoxFuture<'_, Result<Vec<Option<Woven>>, String>>;
}

/// A place that both sides changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Concurrent {
    /// What stood there before, and what each side made of it: ours, then theirs.
    pub sides: [Value; 3],
    /// The revisions that ours and theirs are of; of a side that was put together, all of them.
    pub names: [String; 2],
}

/// A place put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Woven {
    /// What is to stand there.
    pub value: Value,
    /// Whether a person has to decide on a part of it, in which ours stands.
    pub is_clash: bool,
}
