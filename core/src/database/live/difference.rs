//! What an answer became: the difference of two lists of documents, found from what was touched.
//!
//! All rows that were not touched kept their order. So a row's *rank*, the number of untouched rows before it, says where
//! it stood and stands among them; which untouched rows came into the window or left it follows from the ranks at its two
//! ends. **The lists are never walked**: the cost follows the number of rows that were touched.

use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::rows::Window;
use crate::json;

/// What turns the list of documents that was told last into the one that the query answers now.
///
/// `removed` and the `from` of `moved` are indexes in the list as it was; all other indexes are those in the list as it is.
/// To make it: put what is `added` and what was `moved` to its index; the documents that are neither removed nor
/// moved fill the other places, in the order in which they stood; then replace what is `changed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Which documents are no longer there, ascending.
    pub removed: Vec<usize>,
    /// Which documents stand elsewhere among the others, ascending by where they are.
    pub moved: Vec<Moved>,
    /// The documents that are new, ascending.
    pub added: Vec<Added>,
    /// The documents that were there and show another text, ascending.
    pub changed: Vec<Changed>,
}

/// A document that stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its index before.
    pub from: usize,
    /// Its index.
    pub to: usize,
}

/// A document that is new in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its index.
    pub index: usize,
    /// Its id, which its text need not show.
    pub id: String,
    /// The JSON text, as `find` gives it.
    pub text: Vec<u8>,
}

/// A document that shows another text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its index.
    pub index: usize,
    /// The JSON text, as `find` gives it.
    pub text: Vec<u8>,
}

impl Difference {
    /// Whether both lists are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.moved.is_empty() && self.added.is_empty() && self.changed.is_empty()
    }

    /// `{ removed: [index], moved: [{ from, to }], added: [{ index, id, doc }], changed: [{ index, doc }] }`
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(b"{\"removed\":");
        list(&mut out, self.removed.iter(), |out, index| number(out, *index));
        out.extend_from_slice(b",\"moved\":");
        list(&mut out, self.moved.iter(), |out, moved| {
            out.extend_from_slice(b"{\"from\":");
            number(out, moved.from);
            out.extend_from_slice(b",\"to\":");
            number(out, moved.to);
            out.push(b'}');
        });
        out.extend_from_slice(b",\"added\":");
        list(&mut out, self.added.iter(), |out, added| {
            out.extend_from_slice(b"{\"id\":");
            json::write_string(&added.id, out);
            out.push(b',');
            document(out, added.index, &added.text);
        });
        out.extend_from_slice(b",\"changed\":");
        list(&mut out, self.changed.iter(), |out, changed| {
            out.push(b'{');
            document(out, changed.index, &changed.text);
        });
        out.push(b'}');
        out
    }
}

fn list<Item>(out: &mut Vec<u8>, items: impl Iterator<Item = Item>, write: impl Fn(&mut Vec<u8>, Item)) {
    out.push(b'[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn document(out: &mut Vec<u8>, index: usize, text: &[u8]) {
    out.extend_from_slice(b"\"index\":");
    number(out, index);
    out.extend_from_slice(b",\"doc\":");
    out.extend_from_slice(text);
    out.push(b'}');
}

#[expect(clippy::cast_precision_loss, reason = "no list in memory has 2^53 elements")]
fn number(out: &mut Vec<u8>, number: usize) {
    json::write(&json::Value::Number(number as f64), out);
}

/// Where a row that was touched stood and stands among all rows, shown or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touched {
    pub(super) before: Option<usize>,
    pub(super) after: Option<usize>,
}

/// What became of the rows that were not touched, and of the order of those that were. Indexes are those among all rows.
#[derive(Debug)]
pub(super) struct Shifts {
    /// The touched rows that there are now: index, and place in the list of the touched.
    pub(super) after: Pairs,
    /// Untouched rows that the window shows no more, by their index before.
    pub(super) left: Vec<usize>,
    /// Untouched rows that the window shows from now on.
    pub(super) entered: Vec<usize>,
    /// Touched rows that are shown as they were, elsewhere among the others: index, and index before.
    pub(super) moved: Pairs,
}

/// Pairs of indexes: the one thing that has to be ordered here.
pub(super) type Pairs = Vec<(usize, usize)>;

/// The pairs, ascending. (A heap sorts in a twentieth of the code that `sort_unstable` is.)
pub(super) fn ascending(pairs: Pairs) -> Pairs {
    BinaryHeap::from(pairs).into_sorted_vec()
}

impl Shifts {
    /// Finds them from what was touched, and how many rows there were and are.
    pub(super) fn of(touched: &[Touched], count_before: usize, count_after: usize, window: Window) -> Self {
        let before = order(touched, |touched| touched.before);
        let after = order(touched, |touched| touched.after);
        let (shown_before, shown_after) = (window.of_rows(count_before), window.of_rows(count_after));
        let was = rank(&before, shown_before.start)..rank(&before, shown_before.end);
        let is = rank(&after, shown_after.start)..rank(&after, shown_after.end);
        let left = outside(&was, &is, &before);
        let entered = outside(&is, &was, &after);
        // Seen from the rows that are shown before and after, only those among them count.
        let (first, last) = (was.start.max(is.start), was.end.min(is.end));
        let among_shown = |rank: usize| rank.min(last).max(first);
        let (mut moved, mut waiting) = (Vec::new(), Vec::new());
        for (from, place) in &before {
            let Some(to) = touched.get(*place).and_then(|touched| touched.after) else { continue };
            if !shown_before.contains(from) || !shown_after.contains(&to) {
                continue;
            }
            let has_passed = among_shown(rank(&before, *from)) != among_shown(rank(&after, to));
            let into = if has_passed { &mut moved } else { &mut waiting };
            into.push((to, *from));
        }
        take_out_of_order(&waiting, &mut moved);
        Self { after, left, entered, moved: ascending(moved) }
    }
}

/// The indexes of touched rows with their places in the list of the touched, ascending.
fn order(touched: &[Touched], index: fn(&Touched) -> Option<usize>) -> Pairs {
    let mut pairs = Vec::with_capacity(touched.len());
    for (place, touched) in touched.iter().enumerate() {
        if let Some(index) = index(touched) {
            pairs.push((index, place));
        }
    }
    ascending(pairs)
}

/// How many untouched rows stand before `index`.
fn rank(touched: &[(usize, usize)], index: usize) -> usize {
    index - touched.partition_point(|(touched, _)| *touched < index)
}

/// The indexes of the untouched rows whose ranks lie in `all` and not in `other`.
fn outside(all: &Range<usize>, other: &Range<usize>, touched: &[(usize, usize)]) -> Vec<usize> {
    let mut indexes = Vec::new();
    for ranks in [all.start..all.end.min(other.start), all.start.max(other.end)..all.end] {
        for rank in ranks {
            let mut index = rank;
            for (touched, _) in touched {
                if *touched > index {
                    break;
                }
                index += 1;
            }
            indexes.push(index);
        }
    }
    indexes
}

/// Takes out the fewest so that the others, which come in the order in which they stood, stand in their order now.
/// (Patience sorting: `ends` holds, for each length, where the longest ascending rows so far can end lowest.)
fn take_out_of_order(rows: &[(usize, usize)], out: &mut Pairs) {
    let mut ends: Vec<usize> = Vec::new();
    let mut lengths = Vec::with_capacity(rows.len());
    for (to, _) in rows {
        let length = ends.partition_point(|end| end < to);
        match ends.get_mut(length) {
            Some(end) => *end = *to,
            None => ends.push(*to),
        }
        lengths.push(length);
    }
    // From the back: the last row of each length before the one taken for the next length stands lower than that.
    let mut length = ends.len();
    for (row, its_length) in rows.iter().zip(lengths).rev() {
        if its_length + 1 == length {
            length -= 1;
        } else {
            out.push(*row);
        }
    }
}
