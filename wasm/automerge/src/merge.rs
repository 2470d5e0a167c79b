//! The walk over base, ours and theirs, which makes edits of what each side changed.

use std::collections::BTreeSet;

use automerge::{AutomergeError, ObjId, Prop};
use firkin_core::json::{Object, Value, canonical, collate};

use crate::edits::{self, Edit};
use crate::replica::Replica;

/// Places whose three values are longer than this together, in bytes of canonical JSON, are not merged: it would take too long.
pub const BYTES_MAX: usize = 1 << 20;

/// A place put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// What is to stand there.
    pub value: Value,
    /// Whether a person has to decide on a part of it, in which ours stands.
    pub is_clash: bool,
}

/// Puts two texts or two lists together that grew from `base`. `names` are those of the revisions that ours and theirs are of.
///
/// `None` if the values are not all texts or all lists, or longer than [`BYTES_MAX`], or the names are the same.
#[must_use]
pub fn merge(base: &Value, ours: &Value, theirs: &Value, names: [&str; 2]) -> Option<Merged> {
    let is_sequence = matches!(
        (base, ours, theirs),
        (Value::String(_), Value::String(_), Value::String(_)) | (Value::Array(_), Value::Array(_), Value::Array(_))
    );
    let bytes: usize = [base, ours, theirs].map(|value| canonical_text(value).len()).iter().sum();
    if !is_sequence || bytes > BYTES_MAX || names[0] == names[1] {
        return None;
    }
    merge_replicas(base, ours, theirs, names).ok().flatten()
}

fn merge_replicas(
    base: &Value,
    ours: &Value,
    theirs: &Value,
    names: [&str; 2],
) -> Result<Option<Merged>, AutomergeError> {
    let ([mine, other], place) = Replica::pair(base, names)?;
    let mut walk = Walk { ours: mine, theirs: other, ours_is_first: names[0] < names[1], is_clash: false };
    match (base, ours, theirs) {
        (Value::String(base), Value::String(ours), Value::String(theirs)) => {
            walk.text(&place, [base, ours, theirs])?;
        }
        (Value::Array(base), Value::Array(ours), Value::Array(theirs)) => {
            walk.list(&place, [base, ours, theirs])?;
        }
        _ => return Ok(None),
    }
    let is_clash = walk.is_clash;
    Ok(walk.ours.merge(walk.theirs)?.map(|value| Merged { value, is_clash }))
}

fn canonical_text(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    canonical(value, &mut text);
    text
}

fn is_same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => collate(left, right).is_eq(),
        (left, right) => left.is_none() && right.is_none(),
    }
}

/// The edits of both sides, from the end to the beginning: so the places of those that are still to come stay what they were.
enum Step {
    Ours(Edit),
    Theirs(Edit),
    /// Both changed one element.
    Both(Edit, Edit),
}

impl Step {
    fn place(&self) -> (usize, usize) {
        let (Self::Ours(edit) | Self::Theirs(edit) | Self::Both(edit, _)) = self;
        (edit.at.start, edit.at.end)
    }
}

struct Walk {
    ours: Replica,
    theirs: Replica,
    /// Whether ours makes the edits that both made: by the names, so that both sides say the same of that.
    ours_is_first: bool,
    is_clash: bool,
}

impl Walk {
    /// Puts a place together that is a member of an object or an element of a list. No deeper than documents are.
    fn place(&mut self, parent: &ObjId, prop: Prop, sides: [Option<&Value>; 3]) -> Result<(), AutomergeError> {
        if let [Some(base), Some(ours), Some(theirs)] = sides
            && let Some(place) = self.ours.object(parent, &prop)
        {
            match (base, ours, theirs) {
                (Value::String(base), Value::String(ours), Value::String(theirs)) => {
                    return self.text(&place, [base, ours, theirs]);
                }
                (Value::Array(base), Value::Array(ours), Value::Array(theirs)) => {
                    return self.list(&place, [base, ours, theirs]);
                }
                (Value::Object(base), Value::Object(ours), Value::Object(theirs)) => {
                    return self.members(&place, [base, ours, theirs]);
                }
                _ => {}
            }
        }
        let [base, ours, theirs] = sides;
        match (is_same(base, ours), is_same(base, theirs)) {
            (true, true) => Ok(()),
            (true, false) => self.theirs.set(parent, prop, theirs),
            (false, false) if is_same(ours, theirs) && !self.ours_is_first => self.theirs.set(parent, prop, theirs),
            (false, is_ours_alone) => {
                self.is_clash |= !is_ours_alone && !is_same(ours, theirs);
                self.ours.set(parent, prop, ours)
            }
        }
    }

    fn members(&mut self, place: &ObjId, sides: [&Object; 3]) -> Result<(), AutomergeError> {
        let names: BTreeSet<&str> = sides.iter().flat_map(|side| side.iter()).map(|(name, _)| name).collect();
        names.into_iter().try_for_each(|name| self.place(place, name.into(), sides.map(|side| side.get(name))))
    }

    fn text(&mut self, place: &ObjId, sides: [&str; 3]) -> Result<(), AutomergeError> {
        let [base, ours, theirs] = sides.map(|side| side.chars().collect::<Vec<char>>());
        let content = |text: &[char], edit: &Edit| text.get(edit.with.clone()).unwrap_or_default().to_vec();
        let is_equal = |mine: &Edit, other: &Edit| content(&ours, mine) == content(&theirs, other);
        let steps = self.steps(edits::of_text(&base, &ours), edits::of_text(&base, &theirs), is_equal, false);
        for step in steps {
            match step {
                Step::Ours(edit) | Step::Both(edit, _) => {
                    self.ours.splice_text(place, &edit.at, &content(&ours, &edit))?;
                }
                Step::Theirs(edit) => self.theirs.splice_text(place, &edit.at, &content(&theirs, &edit))?,
            }
        }
        Ok(())
    }

    fn list(&mut self, place: &ObjId, sides: [&[Value]; 3]) -> Result<(), AutomergeError> {
        let texts = sides.map(|side| side.iter().map(canonical_text).collect::<Vec<_>>());
        let [base_text, our_text, their_text] = &texts;
        let [base, ours, theirs] = sides;
        let is_equal =
            |mine: &Edit, other: &Edit| our_text.get(mine.with.clone()) == their_text.get(other.with.clone());
        let (mine, other) = (edits::of_list(base_text, our_text), edits::of_list(base_text, their_text));
        for step in self.steps(mine, other, is_equal, true) {
            let old = base.get(step.place().0);
            let element = |side: &'_ [Value], edit: &Edit| side.get(edit.with.start).cloned();
            match step {
                Step::Both(mine, other) => {
                    let (mine_now, other_now) = (element(ours, &mine), element(theirs, &other));
                    self.place(place, mine.at.start.into(), [old, mine_now.as_ref(), other_now.as_ref()])?;
                }
                Step::Ours(edit) if edit.is_change() => {
                    self.place(place, edit.at.start.into(), [old, element(ours, &edit).as_ref(), old])?;
                }
                Step::Theirs(edit) if edit.is_change() => {
                    self.place(place, edit.at.start.into(), [old, old, element(theirs, &edit).as_ref()])?;
                }
                Step::Ours(edit) => {
                    self.ours.splice(place, &edit.at, ours.get(edit.with.clone()).unwrap_or_default())?;
                }
                Step::Theirs(edit) => {
                    self.theirs.splice(place, &edit.at, theirs.get(edit.with.clone()).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    /// What is to be done: equal edits once; of two that overlap ours, unless both change one element and `pairs` says that
    /// such are put together.
    fn steps(
        &mut self,
        mine: Vec<Edit>,
        other: Vec<Edit>,
        is_equal: impl Fn(&Edit, &Edit) -> bool,
        pairs: bool,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        // Edits of ours that are part of another step.
        let mut taken = BTreeSet::new();
        // Both are in order, and edits of one side are apart: those of ours that end before are not met again.
        let mut first = 0;
        for theirs in other {
            while mine.get(first).is_some_and(|edit| edit.at.end < theirs.at.start) {
                first += 1;
            }
            let near = || mine.iter().enumerate().skip(first).take_while(|(_, edit)| edit.at.start <= theirs.at.end);
            if let Some((place, _)) = near().find(|(_, edit)| edit.at == theirs.at && is_equal(edit, &theirs)) {
                if !self.ours_is_first {
                    taken.insert(place);
                    steps.push(Step::Theirs(theirs));
                }
                continue;
            }
            let both_change = |edit: &Edit| edit.at == theirs.at && edit.is_change() && theirs.is_change();
            if let Some((place, edit)) = near().find(|(_, edit)| pairs && both_change(edit)) {
                taken.insert(place);
                steps.push(Step::Both(edit.clone(), theirs));
            } else if near().any(|(_, edit)| edit.overlaps(&theirs)) {
                self.is_clash = true;
            } else {
                steps.push(Step::Theirs(theirs));
            }
        }
        let alone = mine.into_iter().enumerate().filter(|(place, _)| !taken.contains(place));
        steps.extend(alone.map(|(_, edit)| Step::Ours(edit)));
        steps.sort_by_key(|step| std::cmp::Reverse(step.place()));
        steps
    }
}
