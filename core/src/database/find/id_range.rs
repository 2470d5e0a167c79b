//! The part of all documents that a selector's conditions on `_id` leave.

use alloc::vec::Vec;

use crate::document::keys;
use crate::query::{Condition, Selector};
use crate::storage::{Direction, KeyRange, after_prefix};

/// A range of ids: from `start`, included, to `end`, excluded.
#[derive(Debug, Default)]
pub struct IdRange {
    pub start: Vec<u8>,
    pub end: Option<Vec<u8>>,
}

impl IdRange {
    /// The ids that can meet `selector`.
    pub fn of(selector: &Selector) -> Self {
        let mut range = Self::default();
        range.narrow(selector);
        range
    }

    /// Whether every id lies in the range.
    pub fn is_everything(&self) -> bool {
        self.start.is_empty() && self.end.is_none()
    }

    /// Leaves out `id` and what comes before it in `direction`.
    pub fn go_on_after(&mut self, id: &str, direction: Direction) {
        match direction {
            Direction::Forward => self.cut(Some(after(id)), None),
            Direction::Backward => self.cut(None, Some(id.as_bytes().to_vec())),
        }
    }

    /// Whether `id` lies in the range.
    pub fn contains(&self, id: &[u8]) -> bool {
        id >= self.start.as_slice() && self.end.as_deref().is_none_or(|end| id < end)
    }

    /// The range of keys in which the ids of the range follow `prefix`; `end` is the key after all that start so.
    pub fn keys(&self, prefix: &[u8], end: Option<Vec<u8>>) -> KeyRange {
        let with = |id: &[u8]| [prefix, id].concat();
        let start = with(&self.start);
        let end = self.end.as_deref().map(with).or(end);
        KeyRange { end: end.map(|end| end.max(start.clone())), start }
    }

    /// The heads of the documents in the range.
    pub fn heads(&self) -> KeyRange {
        self.keys(keys::heads(), after_prefix(keys::heads()))
    }

    fn narrow(&mut self, selector: &Selector) {
        match selector {
            Selector::And(parts) => parts.iter().for_each(|part| self.narrow(part)),
            Selector::Field(path, condition) if path.is_member("_id") => self.narrow_by(condition),
            Selector::Or(_) | Selector::Field(..) => {}
        }
    }

    fn narrow_by(&mut self, condition: &Condition) {
        let bytes = |id: &str| id.as_bytes().to_vec();
        match condition {
            Condition::Equal(id) => self.cut(id.as_str().map(bytes), id.as_str().map(after)),
            Condition::Greater(id) => self.cut(id.as_str().map(after), None),
            Condition::GreaterOrEqual(id) => self.cut(id.as_str().map(bytes), None),
            Condition::Less(id) => self.cut(None, id.as_str().map(bytes)),
            Condition::LessOrEqual(id) => self.cut(None, id.as_str().map(after)),
            Condition::BeginsWith(prefix) => self.cut(Some(bytes(prefix)), after_prefix(prefix.as_bytes())),
            Condition::In(ids) => {
                let ids = || ids.iter().filter_map(|id| id.as_str());
                self.cut(ids().min().map(bytes), ids().max().map(after));
            }
            _ => {}
        }
    }

    fn cut(&mut self, start: Option<Vec<u8>>, end: Option<Vec<u8>>) {
        if let Some(start) = start.filter(|start| *start > self.start) {
            self.start = start;
        }
        if let Some(end) = end.filter(|end| self.end.as_ref().is_none_or(|known| end < known)) {
            self.end = Some(end);
        }
    }
}

/// The first key after `id`.
fn after(id: &str) -> Vec<u8> {
    [id.as_bytes(), &[0]].concat()
}
