//! The rows of an answer that is kept up to date: every document's place in the order, and no documents.
//!
//! With a limit only the beginning of the order is known, a little more of it than is shown, up to an *edge*: what lies
//! behind the edge is neither kept nor missed.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use crate::json::Value;
use crate::query::FindQuery;

/// How many rows behind a window are kept, so that a few documents can leave it before the query is asked again.
pub(super) const MARGIN: usize = 16;

/// A document of the answer.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it stands: [`FindQuery::place_of`].
    pub(super) place: Vec<Value>,
    /// Another one where other text is shown: its revision or, where `fields` are shown, a digest of them.
    pub(super) mark: Vec<u8>,
}

impl Row {
    /// The document's id.
    pub(super) fn id(&self) -> &str {
        self.place.last().and_then(Value::as_str).unwrap_or_default()
    }
}

/// Which rows are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    skip: usize,
    limit: Option<usize>,
}

impl Window {
    pub(super) fn of(query: &FindQuery) -> Self {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Self { skip: count(query.skip), limit: query.limit.map(count) }
    }

    /// How many rows, from the first one on, it takes to show the window; `None` for all.
    pub(super) fn rows_needed(self) -> Option<usize> {
        self.limit.map(|limit| self.skip.saturating_add(limit))
    }

    /// Whether all rows are shown.
    pub(super) fn shows_all(self) -> bool {
        self.skip == 0 && self.limit.is_none()
    }

    /// Which of `count` rows are shown.
    pub(super) fn of_rows(self, count: usize) -> Range<usize> {
        let end = self.rows_needed().map_or(count, |needed| needed.min(count));
        self.skip.min(end)..end
    }
}

/// Rows in the query's order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    list: Vec<Rc<Row>>,
    /// The place up to which all rows are known; `None` if these are all.
    edge: Option<Vec<Value>>,
}

impl Rows {
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Rc<Row>> {
        self.list.iter()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Rc<Row>> {
        self.list.get(index)
    }

    pub(super) fn edge(&self) -> Option<&[Value]> {
        self.edge.as_deref()
    }

    /// Whether a row at `place` would be known.
    pub(super) fn reach(&self, query: &FindQuery, place: &[Value]) -> bool {
        self.edge.as_ref().is_none_or(|edge| query.compare(place, edge).is_le())
    }

    /// The index of the row at `place`; where there is none, the index that it would have.
    pub(super) fn find(&self, query: &FindQuery, place: &[Value]) -> Result<usize, usize> {
        self.list.binary_search_by(|row| query.compare(&row.place, place))
    }

    pub(super) fn remove(&mut self, query: &FindQuery, place: &[Value]) {
        if let Ok(index) = self.find(query, place) {
            self.list.remove(index);
        }
    }

    pub(super) fn insert(&mut self, query: &FindQuery, row: Rc<Row>) {
        match self.find(query, &row.place) {
            Ok(index) => {
                if let Some(known) = self.list.get_mut(index) {
                    *known = row;
                }
            }
            Err(index) => self.list.insert(index, row),
        }
    }

    /// Adds the rows that follow, in their order; `are_all` says that there are none behind them.
    pub(super) fn append(&mut self, mut rows: Vec<Rc<Row>>, are_all: bool) {
        self.list.append(&mut rows);
        match self.list.last() {
            _ if are_all => self.edge = None,
            Some(last) => self.edge = Some(last.place.clone()),
            None => {}
        }
    }

    /// Gives up rows far behind the window, and returns them.
    pub(super) fn trim(&mut self, window: Window) -> Vec<Rc<Row>> {
        let Some(needed) = window.rows_needed() else { return Vec::new() };
        if self.list.len() <= needed.saturating_add(2 * MARGIN) {
            return Vec::new();
        }
        let surplus = self.list.split_off(needed.saturating_add(MARGIN));
        self.edge = self.list.last().map(|last| last.place.clone());
        surplus
    }

    /// How many more rows are worth reading, if there are too few for the window and more behind the edge.
    pub(super) fn shortage(&self, window: Window) -> Option<usize> {
        let needed = window.rows_needed().filter(|needed| self.edge.is_some() && self.list.len() < *needed)?;
        Some(needed.saturating_add(MARGIN).saturating_sub(self.list.len()))
    }
}

impl Row {
    /// Whether this row says nothing that `other` does not.
    pub(super) fn is_as(&self, other: &Self, query: &FindQuery) -> bool {
        self.mark == other.mark && query.compare(&self.place, &other.place) == Ordering::Equal
    }
}
