//! What a policy makes of a place that both sides changed; nothing where the values are not of its kind.
//!
//! A rule sees values only, and takes ours and theirs alike, but for the order of what is in a set.

use alloc::vec::Vec;

use super::policy::Policy;
use crate::json::{Object, Value, collate};
use crate::path::Found;
use crate::sorting::sort_by;

/// A place as it is in base, ours and theirs; `None` where nothing stands.
pub(super) type Sides<'v> = [Option<&'v Value>; 3];

/// What the policy decides on; `documents` are those of ours and theirs, for fields that say who wrote last.
pub(super) fn decide(policy: &Policy, sides: Sides<'_>, documents: [&Value; 2]) -> Option<Option<Value>> {
    let [base, ours, theirs] = sides;
    match policy {
        Policy::Review | Policy::ThreeWay | Policy::Automerge | Policy::Module(_) => None,
        Policy::Max => Some(extreme(ours, theirs, true)),
        Policy::Min => Some(extreme(ours, theirs, false)),
        Policy::Union => {
            let [base, ours, theirs] = [base, ours, theirs].map(|side| side.map_or(Some(&[][..]), Value::as_array));
            Some(Some(Value::Array(union(base?, ours?, theirs?))))
        }
        Policy::Counter => {
            let (ours, theirs) = (ours?.as_object()?, theirs?.as_object()?);
            Some(Some(Value::Object(counts(base.and_then(Value::as_object), ours, theirs)?)))
        }
        Policy::LastWriter(path) => {
            let [mine, other] = documents.map(|document| match path.find(document) {
                Found::Value(value) => Some(value),
                Found::Missing | Found::Blocked => None,
            });
            let is_theirs = match (mine, other) {
                (Some(mine), Some(other)) => collate(mine, other).is_lt(),
                (mine, other) => mine.is_none() && other.is_some(),
            };
            Some(if is_theirs { theirs } else { ours }.cloned())
        }
    }
}

/// The greater or the smaller of two; a value rather than none.
fn extreme(ours: Option<&Value>, theirs: Option<&Value>, greater: bool) -> Option<Value> {
    let (Some(mine), Some(other)) = (ours, theirs) else { return ours.or(theirs).cloned() };
    let is_theirs = if greater { collate(mine, other).is_lt() } else { collate(mine, other).is_gt() };
    Some(if is_theirs { other } else { mine }.clone())
}

/// The set that two sides made of `base`, in the order of ours, then of theirs.
fn union(base: &[Value], ours: &[Value], theirs: &[Value]) -> Vec<Value> {
    let [before, mine, other] = [base, ours, theirs].map(|set| in_order(set.iter()));
    let has =
        |set: &[(usize, &Value)], element: &Value| set.binary_search_by(|(_, other)| collate(other, element)).is_ok();
    // Of those that are equal the first one counts.
    let mut all = in_order(ours.iter().chain(theirs));
    all.dedup_by(|(_, later), (_, first)| collate(later, first).is_eq());
    all.retain(|(_, element)| !has(&before, element) || (has(&mine, element) && has(&other, element)));
    sort_by(&mut all, |(left, _), (right, _)| left.cmp(right));
    all.into_iter().map(|(_, element)| element.clone()).collect()
}

/// Elements with their places, by their values and then their places.
fn in_order<'v>(elements: impl Iterator<Item = &'v Value>) -> Vec<(usize, &'v Value)> {
    let mut elements: Vec<(usize, &Value)> = elements.enumerate().collect();
    sort_by(&mut elements, |(place, left), (other, right)| collate(left, right).then(place.cmp(other)));
    elements
}

/// The counts of each replica: what one side changed, else the greater.
fn counts(base: Option<&Object>, ours: &Object, theirs: &Object) -> Option<Object> {
    let mut all = Object::new();
    let names = ours.iter().map(|(name, _)| name);
    let others = theirs.iter().map(|(name, _)| name).filter(|name| ours.get(name).is_none());
    for name in names.chain(others) {
        let sides = [base.and_then(|base| base.get(name)), ours.get(name), theirs.get(name)];
        if sides.iter().flatten().any(|count| count.as_number().is_none()) {
            return None;
        }
        // A count never goes: a replica that does not know it yet has none.
        if let Some(count) = extreme(sides[1], sides[2], true) {
            all.insert(name, count);
        }
    }
    Some(all)
}
