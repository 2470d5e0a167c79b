//! The selector language as a tree, normalised as CouchDB does it.
//!
//! Fields are flattened to whole paths, and negation is pushed down to the conditions: `$not` of `$gt` is `$lte`. Hence a
//! condition on a missing path is false even below `$not`, which is what CouchDB answers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::Pattern;
use crate::json::{TypeName, Value};
use crate::path::Path;

/// A selector.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// All of them hold; an empty list always does.
    And(Vec<Selector>),
    /// At least one of them holds; an empty list never does.
    Or(Vec<Selector>),
    /// What stands at the path meets the condition. The empty path is the value itself (inside `$elemMatch`).
    Field(Path, Condition),
}

/// What is asked of one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `$eq`
    Equal(Value),
    /// `$ne`
    NotEqual(Value),
    /// `$lt`, in the total order of all types
    Less(Value),
    /// `$lte`
    LessOrEqual(Value),
    /// `$gt`
    Greater(Value),
    /// `$gte`
    GreaterOrEqual(Value),
    /// `$in`: the value, or an element of it if it is an array, equals one of these, which are in their order
    In(Vec<Value>),
    /// `$nin` of these, which are in their order
    NotIn(Vec<Value>),
    /// `$exists`
    Exists(bool),
    /// `$type`
    Type(TypeName),
    /// `$size` of an array
    Size(u64),
    /// `$mod`: divisor and remainder
    Modulo(i64, i64),
    /// `$beginsWith`
    BeginsWith(String),
    /// `$regex`
    Regex(Box<Pattern>),
    /// `$all`: an array with all of these among its elements
    All(Vec<Value>),
    /// `$elemMatch`: an array with an element that matches
    ElementMatch(Box<Selector>),
    /// `$allMatch`: an array, not empty, of which all elements match
    AllMatch(Box<Selector>),
    /// `$keyMapMatch`: an object with a name that matches
    KeyMatch(Box<Selector>),
    /// `$not` of a condition that has no opposite of its own
    Not(Box<Condition>),
}

impl Selector {
    /// The selector that every document matches.
    #[must_use]
    pub fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// The selector that holds exactly where CouchDB's negation of this one does.
    #[must_use]
    pub(super) fn negated(self) -> Self {
        match self {
            Self::And(parts) => Self::Or(parts.into_iter().map(Self::negated).collect()),
            Self::Or(parts) => Self::And(parts.into_iter().map(Self::negated).collect()),
            Self::Field(path, condition) => Self::Field(path, condition.negated()),
        }
    }
}

impl Condition {
    fn negated(self) -> Self {
        match self {
            Self::Equal(value) => Self::NotEqual(value),
            Self::NotEqual(value) => Self::Equal(value),
            Self::Less(value) => Self::GreaterOrEqual(value),
            Self::LessOrEqual(value) => Self::Greater(value),
            Self::Greater(value) => Self::LessOrEqual(value),
            Self::GreaterOrEqual(value) => Self::Less(value),
            Self::In(values) => Self::NotIn(values),
            Self::NotIn(values) => Self::In(values),
            Self::Exists(exists) => Self::Exists(!exists),
            Self::Not(condition) => *condition,
            other => Self::Not(Box::new(other)),
        }
    }
}
