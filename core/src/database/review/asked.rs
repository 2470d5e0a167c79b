//! Clashes on which others decide: the functions of the app's logic, and what merges texts and lists.

use alloc::string::String;
use alloc::vec::Vec;

use super::close::set;
use crate::json::{Object, Value};
use crate::logic::{Contested, Logic, LogicError};
use crate::merge::{Clash, Concurrent, Merged, Policies, Policy, Sequences, Woven};

/// Who is asked.
#[derive(Clone, Copy)]
pub(super) struct Deciders<'d> {
    pub(super) logic: Option<&'d dyn Logic>,
    pub(super) sequences: Option<&'d dyn Sequences>,
}

/// Asks for each clash that a policy leaves to others; what they decide is a clash no more. `names` are the revisions of ours and
/// theirs.
///
/// # Errors
/// Why nothing was decided of what one of them was asked: that clashes still.
pub(super) async fn decide(
    merged: &mut Merged,
    names: [&str; 2],
    policies: &Policies,
    deciders: Deciders<'_>,
) -> Result<(), LogicError> {
    let woven = put_together(merged, names, policies, deciders.sequences).await;
    let decided = ask_functions(merged, policies, deciders.logic).await;
    woven.and(decided)
}

async fn put_together(
    merged: &mut Merged,
    names: [&str; 2],
    policies: &Policies,
    sequences: Option<&dyn Sequences>,
) -> Result<(), LogicError> {
    let concurrent = |clash: &Clash| {
        let Clash { base: Some(base), ours: Some(ours), theirs: Some(theirs), .. } = clash else { return None };
        let is_named = *policy_at(policies, clash) == Policy::Automerge;
        is_named
            .then(|| Concurrent { sides: [base.clone(), ours.clone(), theirs.clone()], names: names.map(String::from) })
    };
    let places: Vec<Concurrent> = merged.clashes.iter().filter_map(concurrent).collect();
    // Who cannot merge them leaves them to a person, as three-way does.
    let Some(sequences) = sequences.filter(|_| !places.is_empty()) else { return Ok(()) };
    let count = places.len();
    let woven = sequences.merge(places).await.map_err(LogicError::Unmerged)?;
    if woven.len() != count {
        return Err(LogicError::Unmerged(String::from("not all of them are there")));
    }
    let mut woven = woven.into_iter();
    settle(merged, |clash| concurrent(clash).and_then(|_| woven.next().flatten()));
    Ok(())
}

async fn ask_functions(merged: &mut Merged, policies: &Policies, logic: Option<&dyn Logic>) -> Result<(), LogicError> {
    let function = |clash: &Clash| match policy_at(policies, clash) {
        Policy::Module(name) => Some(name.clone()),
        _ => None,
    };
    let contested = |clash: &Clash| Some(Contested { function: function(clash)?, clash: clash.clone() });
    let contested: Vec<Contested> = merged.clashes.iter().filter_map(contested).collect();
    if contested.is_empty() {
        return Ok(());
    }
    let logic =
        logic.ok_or_else(|| LogicError::Failed(String::from("a policy names a function, and there is no logic")))?;
    let count = contested.len();
    let decided = logic.merge(contested).await?;
    if decided.len() != count {
        return Err(LogicError::Failed(String::from("it did not decide on what it was asked")));
    }
    let mut decided = decided.into_iter();
    settle(merged, |clash| {
        let value = function(clash).and_then(|_| decided.next().flatten())?;
        Some(Woven { value, is_clash: false })
    });
    Ok(())
}

fn policy_at<'p>(policies: &'p Policies, clash: &Clash) -> &'p Policy {
    let names: Vec<&str> = clash.path.names().iter().map(String::as_str).collect();
    policies.at(&names)
}

/// Puts what was decided of each clash in its place.
fn settle(merged: &mut Merged, mut decision: impl FnMut(&Clash) -> Option<Woven>) {
    let mut members = Value::Object(core::mem::take(&mut merged.members));
    merged.clashes.retain(|clash| match decision(clash) {
        Some(Woven { value, is_clash }) => set(&mut members, &clash.path, Some(value)).is_none() || is_clash,
        None => true,
    });
    merged.members = match members {
        Value::Object(members) => members,
        _ => Object::new(),
    };
}
