//! The walk over base, ours and theirs.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::policy::{Policies, Policy};
use super::rules::{Sides, decide};
use crate::json::{Object, Value, collate};
use crate::ordered::Set;
use crate::path::Path;

/// The member of a document that is the library's own: who wrote it, and what it merged.
pub const FIRKIN: &str = "firkin";

/// The member that shows attachments.
pub(super) const ATTACHMENTS: &str = "_attachments";

/// A place that both sides changed, each in its own way, and on which no policy decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Clash {
    /// The names that lead there.
    pub path: Path,
    /// What stood there before, if anything did.
    pub base: Option<Value>,
    /// What stands there in the branch that wins.
    pub ours: Option<Value>,
    /// What stands there in the other one.
    pub theirs: Option<Value>,
}

/// Two documents put together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// The members; at a clash those of ours.
    pub members: Object,
    /// Where a person has to decide, in the order of the members.
    pub clashes: Vec<Clash>,
    /// Whether the policies decide on all of it: there was a base, there is no clash, and no change of a place on which a
    /// person decides.
    pub is_decided: bool,
    /// Whether it is so but for clashes on which others are to decide: functions of the app, or what merges texts and lists.
    pub is_for_others: bool,
}

/// Puts the members of two documents together that grew from `base`; `None` where that is not known: then all on which they
/// differ counts as changed by both, and what one of them has alone as added. Special members but `_attachments` take no part.
#[must_use]
pub fn three_way(base: Option<&Object>, ours: &Object, theirs: &Object, policies: &Policies) -> Merged {
    let document = |members: &Object| Value::Object(of_its_own(members));
    let (before, mine, other) = (base.map(document), document(ours), document(theirs));
    let mut walk = Walk {
        policies,
        documents: [&mine, &other],
        clashes: Vec::new(),
        is_decided: base.is_some() && !policies.are_none(),
    };
    let sides = [before.as_ref(), Some(&mine), Some(&other)];
    let members = match walk.merge(sides, &mut Vec::new()) {
        Some(Value::Object(members)) => members,
        _ => Object::new(),
    };
    let is_for_others = |clash: &Clash| {
        let names: Vec<&str> = clash.path.names().iter().map(String::as_str).collect();
        matches!(policies.at(&names), Policy::Module(_) | Policy::Automerge)
    };
    let is_for_others = walk.is_decided && walk.clashes.iter().all(is_for_others);
    let is_decided = walk.is_decided && walk.clashes.is_empty();
    Merged { members, clashes: walk.clashes, is_decided, is_for_others }
}

/// Whether two places hold the same: the order of members says nothing.
pub(super) fn is_same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => collate(left, right).is_eq(),
        (left, right) => left.is_none() && right.is_none(),
    }
}

/// The members that a merge is about. Of attachments it is the type and the digest: the rest says when and where each came.
fn of_its_own(members: &Object) -> Object {
    let mut own = members.clone();
    own.retain(|name, _| name != FIRKIN && (!name.starts_with('_') || name == ATTACHMENTS));
    if let Some(Value::Object(attachments)) = own.get_mut(ATTACHMENTS) {
        let names: Vec<String> = attachments.iter().map(|(name, _)| name.into()).collect();
        for name in names {
            if let Some(Value::Object(stub)) = attachments.get_mut(&name) {
                stub.retain(|member, _| matches!(member, "content_type" | "digest" | "stub"));
            }
        }
    }
    own
}

struct Walk<'w> {
    policies: &'w Policies,
    documents: [&'w Value; 2],
    clashes: Vec<Clash>,
    is_decided: bool,
}

impl Walk<'_> {
    /// Puts one place together. No deeper than documents are.
    fn merge<'v>(&mut self, sides: Sides<'v>, names: &mut Vec<&'v str>) -> Option<Value> {
        let [base, ours, theirs] = sides;
        let (is_agreed, is_theirs, is_ours) = (is_same(ours, theirs), is_same(base, ours), is_same(base, theirs));
        if is_agreed && is_ours {
            return ours.cloned();
        }
        let is_one_sided = is_agreed || is_theirs || is_ours;
        let is_whole = match names.as_slice() {
            [ATTACHMENTS, _] => true,
            names => *self.policies.at(names) == Policy::Counter && !names.is_empty(),
        };
        if let (Some(Value::Object(ours)), Some(Value::Object(theirs)), false) = (ours, theirs, is_whole)
            && (!is_one_sided || self.policies.has_below(names))
        {
            return Some(Value::Object(
                self.members([base.and_then(Value::as_object), Some(ours), Some(theirs)], names),
            ));
        }
        if self.policies.leaves_to_a_person(names) {
            self.is_decided = false;
        }
        if is_one_sided {
            return if is_theirs { theirs } else { ours }.cloned();
        }
        if let Some(decided) = decide(self.policies.at(names), sides, self.documents) {
            return decided;
        }
        self.clashes.push(Clash {
            path: Path::of_names(names.iter().map(ToString::to_string)),
            base: base.cloned(),
            ours: ours.cloned(),
            theirs: theirs.cloned(),
        });
        ours.cloned()
    }

    /// Puts the members together: ours in their order, then those that only theirs has.
    fn members<'v>(&mut self, sides: [Option<&'v Object>; 3], names: &mut Vec<&'v str>) -> Object {
        let [base, ours, theirs] = sides;
        let mut merged = Object::new();
        let mut seen: Set<&str> = Set::new();
        for (name, _) in [ours, theirs, base].into_iter().flatten().flat_map(Object::iter) {
            if !seen.insert(name) {
                continue;
            }
            names.push(name);
            let value = self.merge(sides.map(|side| side.and_then(|side| side.get(name))), names);
            names.pop();
            if let Some(value) = value {
                merged.insert(name, value);
            }
        }
        merged
    }
}
