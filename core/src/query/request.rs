//! One `find` request: selector, order, window and fields.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::selector_parse::{text, whole};
use super::{QueryError, Selector};
use crate::json::{self, Object, Value, collate};
use crate::path::{Found, Path};
use crate::storage::Direction;

/// A query over the winning revisions of all documents.
#[derive(Clone, Debug, PartialEq)]
pub struct FindQuery {
    /// Which documents.
    pub selector: Selector,
    /// The order; documents without one of these paths are left out. Without any the order is by `_id`.
    pub sort: Vec<SortField>,
    /// How many documents at most.
    pub limit: Option<u64>,
    /// How many documents to pass over first.
    pub skip: u64,
    /// What of each document; all of it when there is none.
    pub fields: Option<Vec<Path>>,
    /// Where an earlier page ended: the sort values of its last document, then its id.
    pub bookmark: Option<Vec<Value>>,
}

/// One path of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortField {
    /// The path.
    pub path: Path,
    /// The direction.
    pub direction: Direction,
}

impl FindQuery {
    /// A query for all that `selector` matches.
    #[must_use]
    pub fn new(selector: Selector) -> Self {
        Self { selector, sort: Vec::new(), limit: None, skip: 0, fields: None, bookmark: None }
    }

    /// Reads `{ selector, fields, sort, limit, skip, bookmark }`; other members are passed over, as CouchDB does.
    ///
    /// # Errors
    /// A [`QueryError`] that names what is wrong.
    pub fn parse(request: &[u8]) -> Result<Self, QueryError> {
        let request = json::parse(request)?;
        let member =
            |name| request.as_object().and_then(|object| object.get(name)).filter(|value| **value != Value::Null);
        let selector = Selector::parse(member("selector").ok_or(QueryError::NoSelector)?)?;
        let mut query = Self::new(selector);
        if let Some(sort) = member("sort") {
            query.sort = parse_sort(sort).ok_or_else(|| bad("sort", sort))?;
        }
        if let Some(limit) = member("limit") {
            query.limit = Some(count(limit).ok_or_else(|| bad("limit", limit))?);
        }
        if let Some(skip) = member("skip") {
            query.skip = count(skip).ok_or_else(|| bad("skip", skip))?;
        }
        if let Some(fields) = member("fields") {
            query.fields = parse_fields(fields).ok_or_else(|| bad("fields", fields))?;
        }
        if let Some(bookmark) = member("bookmark").filter(|value| !matches!(value.as_str(), Some("" | "nil"))) {
            let place =
                bookmark.as_str().and_then(|text| query.place_at(text)).ok_or_else(|| bad("bookmark", bookmark))?;
            query.bookmark = Some(place);
        }
        Ok(query)
    }

    /// Where `document` stands in this query's order: its sort values, then its id; `None` if it lacks a sort path.
    #[must_use]
    pub fn place_of(&self, document: &Value) -> Option<Vec<Value>> {
        let id = Path::parse("_id");
        let paths = self.sort.iter().map(|field| &field.path).chain(core::iter::once(&id));
        paths
            .map(|path| if let Found::Value(value) = path.find(document) { Some(value.clone()) } else { None })
            .collect()
    }

    /// Compares two places of [`FindQuery::place_of`] in this query's order; equal sort values are ordered by id, in the
    /// direction of the first sort path.
    #[must_use]
    pub fn compare(&self, left: &[Value], right: &[Value]) -> Ordering {
        let last = self.direction();
        let directions = self.sort.iter().map(|field| field.direction).chain(core::iter::once(last));
        let orders = left.iter().zip(right).zip(directions).map(|((left, right), direction)| match direction {
            Direction::Forward => collate(left, right),
            Direction::Backward => collate(right, left),
        });
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The direction of the first sort path; forward without any.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.sort.first().map_or(Direction::Forward, |field| field.direction)
    }

    /// The place that a page's bookmark tells; `None` if it is none of this query's.
    #[must_use]
    pub fn place_at(&self, bookmark: &str) -> Option<Vec<Value>> {
        match json::parse(bookmark.as_bytes()).ok()? {
            Value::Array(place) if place.len() == self.sort.len() + 1 => Some(place),
            _ => None,
        }
    }
}

/// What `fields` keep of a document, at the paths where it stood.
#[must_use]
pub fn project(document: &Value, fields: &[Path]) -> Value {
    let mut kept = Object::new();
    for path in fields {
        if let Found::Value(value) = path.find(document) {
            set(&mut kept, path.names(), value);
        }
    }
    Value::Object(kept)
}

fn set(object: &mut Object, names: &[String], value: &Value) {
    match names {
        [] => {}
        [last] => object.insert(last, value.clone()),
        [first, rest @ ..] => {
            let mut inner = match object.remove(first) {
                Some(Value::Object(inner)) => inner,
                _ => Object::new(),
            };
            set(&mut inner, rest, value);
            object.insert(first, Value::Object(inner));
        }
    }
}

fn parse_sort(sort: &Value) -> Option<Vec<SortField>> {
    sort.as_array()?.iter().map(parse_sort_field).collect()
}

fn parse_sort_field(field: &Value) -> Option<SortField> {
    if let Some(path) = field.as_str() {
        return Some(SortField { path: Path::parse(path), direction: Direction::Forward });
    }
    let mut members = field.as_object()?.iter();
    let (path, direction) = members.next()?;
    let direction = match (direction.as_str()?, members.len()) {
        ("asc", 0) => Direction::Forward,
        ("desc", 0) => Direction::Backward,
        _ => return None,
    };
    Some(SortField { path: Path::parse(path), direction })
}

/// An empty list keeps all, as CouchDB has it.
fn parse_fields(fields: &Value) -> Option<Option<Vec<Path>>> {
    let fields: Vec<Path> =
        fields.as_array()?.iter().map(|field| field.as_str().map(Path::parse)).collect::<Option<_>>()?;
    Some((!fields.is_empty()).then_some(fields))
}

fn count(value: &Value) -> Option<u64> {
    whole(value)?.try_into().ok()
}

fn bad(member: &'static str, value: &Value) -> QueryError {
    QueryError::BadMember { member, value: text(value) }
}
