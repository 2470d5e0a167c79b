//! Clashes on which a function of the app's logic decides.

use alloc::string::String;
use alloc::vec::Vec;

use super::close::set;
use crate::json::{Object, Value};
use crate::logic::{Contested, Logic, LogicError};
use crate::merge::{Clash, Merged, Policies, Policy};

/// Asks for each clash that a policy leaves to a function; what it decides is a clash no more.
///
/// # Errors
/// Why nothing was decided: all are clashes still.
pub(super) async fn decide(
    merged: &mut Merged,
    policies: &Policies,
    logic: Option<&dyn Logic>,
) -> Result<(), LogicError> {
    let function = |clash: &Clash| {
        let names: Vec<&str> = clash.path.names().iter().map(String::as_str).collect();
        match policies.at(&names) {
            Policy::Module(name) => Some(name.clone()),
            _ => None,
        }
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
    let mut members = Value::Object(core::mem::take(&mut merged.members));
    merged.clashes.retain(|clash| {
        let decision = function(clash).and_then(|_| decided.next().flatten());
        decision.is_none_or(|value| set(&mut members, &clash.path, Some(value)).is_none())
    });
    merged.members = match members {
        Value::Object(members) => members,
        _ => Object::new(),
    };
    Ok(())
}
