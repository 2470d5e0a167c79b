//! The ways through the index that a selector leaves open.

use alloc::vec;
use alloc::vec::Vec;

use super::{Condition, Selector, ValueRange};
use crate::path::Path;

/// A path whose postings hold every document that matches, and the ranges of values in which they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The path.
    pub path: Path,
    /// The ranges, ascending and apart from each other.
    pub ranges: Vec<ValueRange>,
    /// Whether a document matches the whole selector if its value lies in the ranges and was not cut.
    pub decides: bool,
}

/// All candidates for `selector`, one for each path that a conjunct narrows.
#[must_use]
pub fn candidates(selector: &Selector) -> Vec<Candidate> {
    let mut conjuncts = Vec::new();
    let complete = collect(selector, &mut conjuncts);
    let mut found: Vec<(&Path, Vec<ValueRange>, usize)> = Vec::new();
    for (path, condition) in &conjuncts {
        let Some(ranges) = ValueRange::of(condition) else { continue };
        let served = usize::from(ValueRange::is_exact(condition));
        match found.iter_mut().find(|(known, ..)| known == path) {
            Some((_, known, count)) => {
                *known = intersect(known, &ranges);
                *count += served;
            }
            None => found.push((*path, ranges, served)),
        }
    }
    let of_path = |(path, ranges, served): (&Path, _, usize)| Candidate {
        path: path.clone(),
        ranges,
        decides: complete && served == conjuncts.len(),
    };
    found.into_iter().map(of_path).collect()
}

/// The candidate that walks all values at `path`, narrowed by `selector` where it can be.
#[must_use]
pub fn candidate_at(selector: &Selector, path: &Path) -> Candidate {
    let narrowed = candidates(selector).into_iter().find(|candidate| candidate.path == *path);
    narrowed.unwrap_or_else(|| Candidate {
        path: path.clone(),
        ranges: vec![ValueRange::all()],
        decides: matches!(selector, Selector::And(parts) if parts.is_empty()),
    })
}

/// Gathers the conditions that all must hold; `false` if the selector asks for more than these.
fn collect<'selector>(
    selector: &'selector Selector,
    conjuncts: &mut Vec<(&'selector Path, &'selector Condition)>,
) -> bool {
    match selector {
        // No short cut: the conjuncts after one that is no plain condition count too.
        Selector::And(parts) => {
            let incomplete = parts.iter().filter(|part| !collect(part, conjuncts)).count();
            incomplete == 0
        }
        Selector::Field(path, condition) if !path.is_empty() => {
            conjuncts.push((path, condition));
            true
        }
        Selector::Or(_) | Selector::Field(..) => false,
    }
}

fn intersect(left: &[ValueRange], right: &[ValueRange]) -> Vec<ValueRange> {
    let pairs = left.iter().flat_map(|left| right.iter().map(|right| left.intersect(right)));
    ValueRange::disjoint(pairs.collect())
}
