//! What a posting alone says of the conditions on its value, without the document.
//!
//! A whole value is read back from its key and asked. Of a cut value the beginning is known: mostly it decides an order, and
//! the type always.

use core::cmp::Ordering;

use super::bounds::encoded;
use super::{Condition, PathScan, ValueRange};
use crate::index::Posting;
use crate::json::{TypeName, Value};
use crate::path::{decode_value, type_of_encoded};

impl PathScan {
    /// Whether the value of `posting`, which lies in the scan's ranges, meets the scan's conditions; `None` if the posting
    /// does not say.
    #[must_use]
    pub fn judge(&self, posting: &Posting<'_>) -> Option<bool> {
        if self.is_united {
            return posting.is_whole.then_some(true);
        }
        let mut verdict = Some(true);
        let mut value = None;
        for condition in &self.conditions {
            let holds = match (condition, posting.size) {
                (Condition::Size(size), Some(known)) => Some(is_array(posting) && u64::from(known) == *size),
                _ if posting.is_whole && ValueRange::decides(condition) => Some(true),
                _ if posting.is_whole => {
                    if value.is_none() {
                        value = decode_value(posting.value);
                    }
                    value.as_ref().map(|value| condition.holds(value))
                }
                _ => condition.holds_for_cut(posting.value),
            };
            match holds {
                Some(false) => return Some(false),
                Some(true) => {}
                None => verdict = None,
            }
        }
        verdict
    }
}

fn is_array(posting: &Posting<'_>) -> bool {
    type_of_encoded(posting.value) == Some(TypeName::Array)
}

impl Condition {
    /// Whether the condition holds for every value with this cut encoding (`true`), or for none (`false`).
    fn holds_for_cut(&self, cut: &[u8]) -> Option<bool> {
        let name = type_of_encoded(cut)?;
        let order = |other: &Value| compare_cut(cut, other);
        match self {
            Self::Exists(exists) => Some(*exists),
            Self::Type(asked) => Some(name == *asked),
            Self::Equal(value) => order(value).map(|_| false),
            Self::NotEqual(value) => order(value).map(|_| true),
            Self::Less(value) | Self::LessOrEqual(value) => order(value).map(Ordering::is_lt),
            Self::Greater(value) | Self::GreaterOrEqual(value) => order(value).map(Ordering::is_gt),
            Self::Not(condition) => condition.holds_for_cut(cut).map(|holds| !holds),
            Self::BeginsWith(prefix) if name == TypeName::String => begins_with(cut, prefix),
            Self::Regex(_) if name == TypeName::String => None,
            Self::Size(_) | Self::All(_) | Self::ElementMatch(_) | Self::AllMatch(_) if name == TypeName::Array => None,
            Self::KeyMatch(_) if name == TypeName::Object => None,
            Self::In(_) | Self::NotIn(_) => None,
            // These never hold for values of other types.
            Self::BeginsWith(_)
            | Self::Regex(_)
            | Self::Modulo(..)
            | Self::Size(_)
            | Self::All(_)
            | Self::ElementMatch(_)
            | Self::AllMatch(_)
            | Self::KeyMatch(_) => Some(false),
        }
    }
}

/// How every value with this cut encoding compares with `other`; `None` if that lies behind the cut.
fn compare_cut(cut: &[u8], other: &Value) -> Option<Ordering> {
    let (_, known) = cut.split_last()?;
    let (other, _) = encoded(other);
    let order = known.cmp(&other);
    (!other.starts_with(known)).then_some(order)
}

fn begins_with(cut: &[u8], prefix: &str) -> Option<bool> {
    let (_, known) = cut.split_last()?;
    let ValueRange { start: prefix, .. } = ValueRange::of_prefix(prefix);
    match (known.starts_with(&prefix), prefix.starts_with(known)) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    }
}
