//! Whether a value matches a selector: the meaning of the language, whatever the index does.

use super::selector_parse::whole;
use super::{Condition, Selector};
use crate::json::{TypeName, Value, collate};
use crate::path::Found;

impl Selector {
    /// Whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &Value) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(value)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(value)),
            Self::Field(path, condition) => match path.find(value) {
                Found::Value(found) => condition.holds(found),
                Found::Missing => matches!(condition, Condition::Exists(false)),
                Found::Blocked => false,
            },
        }
    }
}

impl Condition {
    /// Whether the condition holds for a value that is there.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        let order = |other: &Value| collate(value, other);
        match self {
            Self::Equal(other) => order(other).is_eq(),
            Self::NotEqual(other) => order(other).is_ne(),
            Self::Less(other) => order(other).is_lt(),
            Self::LessOrEqual(other) => order(other).is_le(),
            Self::Greater(other) => order(other).is_gt(),
            Self::GreaterOrEqual(other) => order(other).is_ge(),
            Self::In(values) => is_in(value, values),
            Self::NotIn(values) => !is_in(value, values),
            Self::Exists(exists) => *exists,
            Self::Type(name) => TypeName::of(value) == *name,
            Self::Size(size) => value.as_array().is_some_and(|elements| elements.len() as u64 == *size),
            Self::Modulo(divisor, remainder) => {
                whole(value).and_then(|number| number.checked_rem(*divisor)) == Some(*remainder)
            }
            Self::BeginsWith(prefix) => value.as_str().is_some_and(|string| string.starts_with(prefix.as_str())),
            Self::Regex(pattern) => value.as_str().is_some_and(|string| pattern.matches(string)),
            Self::All(values) => has_all(value, values),
            Self::ElementMatch(selector) => {
                value.as_array().is_some_and(|elements| elements.iter().any(|element| selector.matches(element)))
            }
            Self::AllMatch(selector) => value.as_array().is_some_and(|elements| {
                !elements.is_empty() && elements.iter().all(|element| selector.matches(element))
            }),
            Self::KeyMatch(selector) => value
                .as_object()
                .is_some_and(|object| object.iter().any(|(name, _)| selector.matches(&Value::from(name)))),
            Self::Not(condition) => !condition.holds(value),
        }
    }
}

/// `values` are in their order.
fn is_in(value: &Value, values: &[Value]) -> bool {
    let among = |candidate: &Value| values.binary_search_by(|other| collate(other, candidate)).is_ok();
    match value {
        Value::Array(elements) => elements.iter().any(among),
        other => among(other),
    }
}

/// `$all` of one array also holds for that array itself; `$all` of nothing never holds.
fn has_all(value: &Value, values: &[Value]) -> bool {
    let Value::Array(elements) = value else { return false };
    let among = |wanted: &Value| elements.iter().any(|element| collate(element, wanted).is_eq());
    let is_itself = matches!(values, [only @ Value::Array(_)] if collate(value, only).is_eq());
    !values.is_empty() && (values.iter().all(among) || is_itself)
}
