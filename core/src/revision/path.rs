//! A revision with its ancestors, as the protocol carries them in `_revisions`.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{GENERATION_MAX, Rev, RevError, RevHash};
use crate::json::{Object, Value};

/// How many revisions a path may have.
pub const REVISIONS_MAX: usize = 65_536;

/// A path of a revision tree: a revision, its parent, its parent's parent and so on; it need not reach the first generation.
///
/// It has at least one revision and no more than the generation of the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revisions {
    start: u64,
    ids: Vec<RevHash>,
}

impl Revisions {
    /// A path of which the newest revision has generation `start` and `ids` are the hashes, newest first.
    pub fn new(start: u64, ids: Vec<RevHash>) -> Result<Self, RevError> {
        if ids.is_empty() || ids.len() > REVISIONS_MAX {
            return Err(RevError::Ids);
        }
        if start > GENERATION_MAX || start < ids.len() as u64 {
            return Err(RevError::Start);
        }
        Ok(Self { start, ids })
    }

    /// The path of an edit: `rev`, and its parent where it has one. A parent that is not of the generation before is left
    /// out.
    #[must_use]
    pub fn of_edit(rev: &Rev, parent: Option<&Rev>) -> Self {
        let parent = parent.filter(|parent| parent.generation() + 1 == rev.generation());
        let ids = [rev].into_iter().chain(parent).map(|rev| rev.hash().clone()).collect();
        Self { start: rev.generation(), ids }
    }

    /// A path that the caller knows to be within the bounds.
    pub(super) fn from_valid(start: u64, ids: Vec<RevHash>) -> Self {
        Self { start, ids }
    }

    /// Reads the `_revisions` member of a document: `{"start": 2, "ids": ["b", "a"]}`.
    pub fn from_json(value: &Value) -> Result<Self, RevError> {
        let object = value.as_object().ok_or(RevError::Start)?;
        let start = object.get("start").and_then(Value::as_number).and_then(generation).ok_or(RevError::Start)?;
        let ids = object.get("ids").and_then(Value::as_array).ok_or(RevError::Ids)?;
        if ids.len() > REVISIONS_MAX {
            return Err(RevError::Ids);
        }
        let id = |id: &Value| id.as_str().and_then(|text| RevHash::parse(text).ok()).ok_or(RevError::Id);
        Self::new(start, ids.iter().map(id).collect::<Result<_, _>>()?)
    }

    /// The `_revisions` member of a document.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a generation never exceeds what a double holds exactly")]
    pub fn to_json(&self) -> Value {
        let mut object = Object::new();
        object.insert("start", Value::Number(self.start as f64));
        object.insert("ids", Value::Array(self.ids.iter().map(|id| Value::String(id.to_string())).collect()));
        Value::Object(object)
    }

    /// The generation of the newest revision.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The hashes, newest first.
    #[must_use]
    pub fn ids(&self) -> &[RevHash] {
        &self.ids
    }

    /// The revisions, newest first.
    pub fn iter(&self) -> impl Iterator<Item = Rev> {
        // A path never has more ids than its start counts, so no generation falls below 1.
        let generations = (1..=self.start).rev();
        self.ids.iter().zip(generations).map(|(hash, generation)| Rev::from_valid(generation, hash.clone()))
    }
}

/// `number` as a generation, if it is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "only a value that is unchanged is returned"
)]
#[expect(clippy::cast_precision_loss, reason = "the comparison is what finds a loss")]
fn generation(number: f64) -> Option<u64> {
    let integer = number as u64;
    (integer as f64 == number && integer <= GENERATION_MAX).then_some(integer)
}
