//! The list of cases.

mod bulk;
mod find;
mod live;
mod parts;
mod write;

use crate::Case;

/// All cases, in the order in which they are told.
#[must_use]
pub fn all() -> Vec<Case> {
    [write::CASES, find::CASES, live::CASES, parts::CASES, bulk::CASES].concat()
}
