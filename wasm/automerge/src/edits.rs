//! What one side changed of a sequence, and how that goes together with what the other side changed.

use std::hash::Hash;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

/// What stood at `at` has given way to what stands at `with` in the changed sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The place in the sequence before.
    pub at: Range<usize>,
    /// The place in the sequence after.
    pub with: Range<usize>,
}

impl Edit {
    /// Whether one element was changed into another.
    pub fn is_change(&self) -> bool {
        self.at.len() == 1 && self.with.len() == 1
    }

    fn is_removal(&self) -> bool {
        self.with.is_empty()
    }

    /// Whether both edit one place, so that either would undo what the other meant. What is removed twice is only gone.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = match (self.at.is_empty(), other.at.is_empty()) {
            (true, true) => false,
            (true, false) => other.at.start < self.at.start && self.at.start < other.at.end,
            (false, true) => self.at.start < other.at.start && other.at.start < self.at.end,
            (false, false) => self.at.start < other.at.end && other.at.start < self.at.end,
        };
        meet && !(self.is_removal() && other.is_removal())
    }
}

/// The edits that make `after` of `before`, in their order. Its time is bounded also where all is different.
fn between<T: Hash + Eq + Copy + Default>(before: &[T], after: &[T]) -> Vec<Edit> {
    let mut input = InternedInput::default();
    input.update_before(before.iter().copied());
    input.update_after(after.iter().copied());
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_no_heuristic(&input);
    diff.hunks().map(|hunk| Edit { at: range(hunk.before), with: range(hunk.after) }).collect()
}

/// The edits of a list, whose elements are told by their canonical text. As many elements as stood there before are changes of each.
pub fn of_list(before: &[Vec<u8>], after: &[Vec<u8>]) -> Vec<Edit> {
    fn slices(list: &[Vec<u8>]) -> Vec<&[u8]> {
        list.iter().map(Vec::as_slice).collect()
    }
    let one_by_one = |edit: Edit| {
        if edit.at.len() != edit.with.len() {
            return vec![edit];
        }
        edit.at.zip(edit.with).map(|(at, with)| Edit { at: at..at + 1, with: with..with + 1 }).collect()
    };
    between(&slices(before), &slices(after)).into_iter().flat_map(one_by_one).collect()
}

/// The edits of a text, as places among its characters. Words are compared first: by characters alone, a word that was
/// rewritten would share letters with the old one by chance.
pub fn of_text(before: &[char], after: &[char]) -> Vec<Edit> {
    let (words_before, words_after) = (words(before), words(after));
    let edits = between(&words_before, &words_after);
    let (starts_before, starts_after) = (starts(&words_before), starts(&words_after));
    let span = |starts: &[usize], words: &Range<usize>| -> Range<usize> {
        let place = |word: usize| starts.get(word).copied().unwrap_or_default();
        place(words.start)..place(words.end)
    };
    let trimmed = |edit: &Edit| {
        let (mut at, mut with) = (span(&starts_before, &edit.at), span(&starts_after, &edit.with));
        let (old, new) = (before.get(at.clone()).unwrap_or_default(), after.get(with.clone()).unwrap_or_default());
        let leading = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let rest = old.len().min(new.len()) - leading;
        let trailing = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
        at = at.start + leading..at.end - trailing;
        with = with.start + leading..with.end - trailing;
        Edit { at, with }
    };
    edits.iter().map(trimmed).filter(|edit| !edit.at.is_empty() || !edit.with.is_empty()).collect()
}

/// The runs of letters and digits, and all else one by one.
fn words(text: &[char]) -> Vec<&[char]> {
    text.chunk_by(|left, right| left.is_alphanumeric() && right.is_alphanumeric()).collect()
}

/// Where each word begins, and where the last one ends.
fn starts(words: &[&[char]]) -> Vec<usize> {
    let mut end = 0;
    let mut starts = vec![0];
    starts.extend(words.iter().map(|word| {
        end += word.len();
        end
    }));
    starts
}
