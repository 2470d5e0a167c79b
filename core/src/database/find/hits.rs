//! The documents that a part of the index names, in the order of their ids.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::sorting::sort_by;

/// Ids in one arena, in order and without repetition once [`Hits::sort`] has run. Of each it is known whether the postings
/// alone decide that it belongs to the part.
#[derive(Debug, Default)]
pub struct Hits {
    arena: Vec<u8>,
    hits: Vec<Hit>,
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    start: usize,
    bytes: usize,
    is_decided: bool,
}

impl Hits {
    /// Adds a document.
    pub fn push(&mut self, id: &str, is_decided: bool) {
        self.hits.push(Hit { start: self.arena.len(), bytes: id.len(), is_decided });
        self.arena.extend_from_slice(id.as_bytes());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hits.len()
    }

    /// The ids, and whether each is decided.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, bool)> {
        self.hits.iter().map(|hit| (core::str::from_utf8(self.id(*hit)).unwrap_or_default(), hit.is_decided))
    }

    /// Puts the ids in order. Of one that was added several times, one decided addition is enough.
    pub fn sort(&mut self) {
        let arena = &self.arena;
        let id = |hit: &Hit| arena.get(hit.start..hit.start + hit.bytes).unwrap_or_default();
        // What comes from one value is in order already.
        if !self.hits.is_sorted_by(|left, right| id(left) < id(right)) {
            sort_by(&mut self.hits, |left, right| id(left).cmp(id(right)));
            self.hits.dedup_by(|later, earlier| {
                let is_same = id(later) == id(earlier);
                earlier.is_decided |= is_same && later.is_decided;
                is_same
            });
        }
    }

    /// Adds those of `other`; to be sorted again.
    pub fn extend(&mut self, other: &Self) {
        let shift = self.arena.len();
        self.arena.extend_from_slice(&other.arena);
        self.hits.extend(other.hits.iter().map(|hit| Hit { start: hit.start + shift, ..*hit }));
    }

    /// Keeps what is in `other` too. Both are sorted.
    pub fn intersect(&mut self, other: &Self) {
        let mut place = 0;
        let arena = &self.arena;
        self.hits.retain_mut(|hit| {
            let id = arena.get(hit.start..hit.start + hit.bytes).unwrap_or_default();
            loop {
                let Some(candidate) = other.hits.get(place) else { return false };
                match other.id(*candidate).cmp(id) {
                    Ordering::Less => place += 1,
                    Ordering::Equal => {
                        hit.is_decided &= candidate.is_decided;
                        return true;
                    }
                    Ordering::Greater => return false,
                }
            }
        });
    }

    /// Keeps the ids for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let arena = &self.arena;
        self.hits.retain(|hit| keep(arena.get(hit.start..hit.start + hit.bytes).unwrap_or_default()));
    }

    /// Nothing is decided any more: the documents have to be looked at.
    pub fn doubt(&mut self) {
        self.hits.iter_mut().for_each(|hit| hit.is_decided = false);
    }

    /// Whether the document is here, and decided. They are sorted.
    pub fn decision(&self, id: &str) -> Option<bool> {
        let place = self.hits.binary_search_by(|hit| self.id(*hit).cmp(id.as_bytes())).ok()?;
        self.hits.get(place).map(|hit| hit.is_decided)
    }

    fn id(&self, hit: Hit) -> &[u8] {
        self.arena.get(hit.start..hit.start + hit.bytes).unwrap_or_default()
    }
}
