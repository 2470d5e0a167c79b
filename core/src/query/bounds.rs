//! The part of an index that a condition asks for.

use alloc::vec;
use alloc::vec::Vec;

use super::Condition;
use crate::json::{TypeName, Value};
use crate::path::{Encoded, encode_value, type_prefix};
use crate::sorting::sort_by;
use crate::storage::{Direction, after_prefix};

/// A range of encoded values at one path, from `start`, included, to `end`, excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueRange {
    /// The first encoded value.
    pub start: Vec<u8>,
    /// The first encoded value past the range; `None` for no upper end.
    pub end: Option<Vec<u8>>,
}

impl ValueRange {
    /// Every value.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Vec::new(), end: None }
    }

    /// The values with this very encoding.
    fn equal(value: &Value) -> Self {
        let (start, whole) = encoded(value);
        Self { end: after(&start, whole), start }
    }

    /// The values that do not stand before `value` in `direction`.
    #[must_use]
    pub fn from(value: &Value, direction: Direction) -> Self {
        let Self { start, end } = Self::equal(value);
        match direction {
            Direction::Forward => Self { start, end: None },
            Direction::Backward => Self { start: Vec::new(), end },
        }
    }

    /// The values that lie in both ranges.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let end = match (&self.end, &other.end) {
            (Some(left), Some(right)) => Some(left.min(right).clone()),
            (end, None) | (None, end) => end.clone(),
        };
        Self { start: self.start.as_slice().max(&other.start).to_vec(), end }
    }

    /// Whether no value lies in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// The ranges in which every value lies for which `condition` holds at the path itself; `None` where the index
    /// cannot narrow the search. Of `$in`, arrays that match by an element are left out.
    #[must_use]
    pub fn of(condition: &Condition) -> Option<Vec<Self>> {
        let range = match condition {
            Condition::Equal(value) => Self::equal(value),
            // A cut value may lie on either side of another that begins alike.
            Condition::Less(value) => {
                let (bound, whole) = encoded(value);
                Self { start: Vec::new(), end: if whole { Some(bound) } else { after(&bound, false) } }
            }
            Condition::LessOrEqual(value) => Self { start: Vec::new(), end: Self::equal(value).end },
            Condition::Greater(value) => {
                let (bound, whole) = encoded(value);
                Self { start: if whole { after(&bound, true)? } else { bound }, end: None }
            }
            Condition::GreaterOrEqual(value) => Self { start: encoded(value).0, end: None },
            Condition::BeginsWith(prefix) => Self::of_prefix(prefix),
            Condition::Exists(true) => Self::all(),
            Condition::Type(name) => Self::of_type(*name),
            Condition::Size(_) => Self::of_type(TypeName::Array),
            Condition::Regex(_) => Self::of_type(TypeName::String),
            Condition::Modulo(..) => Self::of_type(TypeName::Number),
            // An array matches by its elements.
            Condition::In(values) => {
                let values = values.iter().filter(|value| !is_array(value));
                return Some(Self::disjoint(values.map(Self::equal).collect()));
            }
            // What has the encoding of a cut value can be another.
            Condition::NotEqual(value) if encoded(value).1 => {
                let Self { start, end } = Self::equal(value);
                let below = Self { start: Vec::new(), end: Some(start) };
                let above = Self { start: end.unwrap_or_default(), end: None };
                return Some(vec![below, above]);
            }
            Condition::All(_) | Condition::ElementMatch(_) | Condition::AllMatch(_) => Self::of_type(TypeName::Array),
            Condition::KeyMatch(_) => Self::of_type(TypeName::Object),
            // A negation holds for no document that lacks the path.
            Condition::NotEqual(_) | Condition::NotIn(_) | Condition::Not(_) => Self::all(),
            Condition::Exists(false) => return None,
        };
        Some(vec![range])
    }

    /// Whether every value in the ranges of `condition` that was not cut meets it.
    pub(super) fn decides(condition: &Condition) -> bool {
        matches!(
            condition,
            Condition::Equal(_)
                | Condition::NotEqual(_)
                | Condition::Less(_)
                | Condition::LessOrEqual(_)
                | Condition::Greater(_)
                | Condition::GreaterOrEqual(_)
                | Condition::In(_)
                | Condition::BeginsWith(_)
                | Condition::Exists(true)
                | Condition::Type(_)
        )
    }

    /// The values that lie in a range of both lists, whose ranges are ascending and apart from each other.
    #[must_use]
    pub fn intersection(left: &[Self], right: &[Self]) -> Vec<Self> {
        let (mut lefts, mut rights) = (left.iter().peekable(), right.iter().peekable());
        let mut common = Vec::new();
        while let (Some(left), Some(right)) = (lefts.peek(), rights.peek()) {
            let both = left.intersect(right);
            // What ends first meets nothing more.
            match (&left.end, &right.end) {
                (Some(end), other) if other.as_ref().is_none_or(|other| end <= other) => drop(lefts.next()),
                _ => drop(rights.next()),
            }
            if !both.is_empty() {
                common.push(both);
            }
        }
        common
    }

    /// The values that lie in a range of each list. Pairs of lists, then pairs of what these have in common: so that no range
    /// is walked once for each of many lists.
    pub(super) fn intersection_of(mut lists: Vec<Vec<Self>>) -> Vec<Self> {
        while lists.len() > 1 {
            let pair = |pair: &[Vec<Self>]| match pair {
                [left, right] => Self::intersection(left, right),
                rest => rest.concat(),
            };
            lists = lists.chunks(2).map(pair).collect();
        }
        lists.pop().unwrap_or_default()
    }

    /// The same values in ranges that do not overlap, in ascending order.
    #[must_use]
    pub fn disjoint(mut ranges: Vec<Self>) -> Vec<Self> {
        ranges.retain(|range| !range.is_empty());
        sort_by(&mut ranges, |left, right| left.start.cmp(&right.start));
        let mut merged: Vec<Self> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| *end >= range.start) => {
                    last.end = match (last.end.take(), range.end) {
                        (Some(left), Some(right)) => Some(left.max(right)),
                        _ => None,
                    };
                }
                _ => merged.push(range),
            }
        }
        merged
    }

    /// All values of a type.
    #[must_use]
    pub fn of_type(name: TypeName) -> Self {
        let (first, last) = type_prefix(name);
        Self { start: vec![first], end: after_prefix(&[last]) }
    }

    /// The strings that begin with `prefix`, and those of which the key does not say whether they do.
    pub(super) fn of_prefix(prefix: &str) -> Self {
        let (mut start, whole) = encoded(&Value::from(prefix));
        if whole {
            // Without the byte that closes the string, whatever continues it lies in the range.
            start.pop();
        }
        Self { end: after_prefix(&start), start }
    }
}

fn is_array(value: &Value) -> bool {
    matches!(value, Value::Array(_))
}

/// What follows all postings of a value. Those of a longer string that goes on with a zero begin with the whole of it and
/// ff, which no id begins with; a cut value is followed by ids alone.
fn after(encoded: &[u8], whole: bool) -> Option<Vec<u8>> {
    if whole { Some([encoded, &[0xff]].concat()) } else { after_prefix(encoded) }
}

pub(super) fn encoded(value: &Value) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let whole = encode_value(value, &mut bytes) == Encoded::Whole;
    (bytes, whole)
}
