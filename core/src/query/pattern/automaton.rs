//! The program of a pattern, and how it is followed.
//!
//! The steps that a text has reached are a set of bits. Those that take a byte are passed sixty-four at a time; only splits,
//! jumps and assertions are followed one by one, each at most once for each byte of the text, loops without a byte included.

use alloc::vec;
use alloc::vec::Vec;

use super::byte_set::ByteSet;
use super::syntax::{Assertion, Node};

/// How many steps a program may have, repetitions written out.
pub(super) const STEPS_MAX: usize = 1_000;

/// How many of them may take no byte. These are what a byte of the text costs: the worst program of so many passes a megabyte
/// in about a second.
pub(super) const CONTROLS_MAX: usize = 300;

/// How many nodes are laid out. A repetition of nothing adds no steps, yet must come to an end.
const NODES_MAX: usize = 10 * STEPS_MAX;

/// How many steps a word of a set has.
const WORD: usize = u64::BITS as usize;

/// A pattern as steps; unless a step says otherwise, the next one follows.
#[derive(Clone, Debug)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// How many words a set of steps has.
    words: usize,
    /// The steps that take no byte.
    controls: Vec<u64>,
    /// For each byte the column of `takers` that is its own.
    columns: Vec<u8>,
    /// Sets of steps, one after the other: those that take a byte.
    takers: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes a byte.
    Byte,
    /// Goes on where the assertion holds.
    Assert(Assertion),
    /// Goes on at both the next step and this one.
    Split(usize),
    /// Goes on at this step.
    Jump(usize),
    /// The pattern has matched.
    Match,
}

/// A program that is being laid out.
#[derive(Default)]
struct Layout {
    steps: Vec<Step>,
    /// The steps that take a byte, and which bytes.
    sets: Vec<(usize, ByteSet)>,
    /// How often a node was laid out.
    nodes: usize,
}

impl Layout {
    fn push(&mut self, step: Step) -> Option<usize> {
        self.steps.push(step);
        let count = self.steps.len();
        (count <= STEPS_MAX && count - self.sets.len() <= CONTROLS_MAX).then_some(count - 1)
    }

    /// Lets the step at `place`, which was laid out as a split or a jump, lead to the next step to be laid out.
    fn lead_here(&mut self, place: usize) {
        let here = self.steps.len();
        if let Some(Step::Split(target) | Step::Jump(target)) = self.steps.get_mut(place) {
            *target = here;
        }
    }

    fn lay_out(&mut self, node: &Node) -> Option<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return None;
        }
        match node {
            Node::Byte(set) => {
                self.sets.push((self.steps.len(), *set));
                self.push(Step::Byte).map(drop)
            }
            Node::Assert(assertion) => self.push(Step::Assert(*assertion)).map(drop),
            Node::All(parts) => parts.iter().try_for_each(|part| self.lay_out(part)),
            Node::Either(parts) => self.lay_out_either(parts),
            Node::Repeat { node, least, most } => self.lay_out_repeat(node, *least, *most),
        }
    }

    fn lay_out_either(&mut self, parts: &[Node]) -> Option<()> {
        let Some((last, others)) = parts.split_last() else { return Some(()) };
        let mut ends = Vec::with_capacity(others.len());
        for part in others {
            let split = self.push(Step::Split(0))?;
            self.lay_out(part)?;
            ends.push(self.push(Step::Jump(0))?);
            self.lead_here(split);
        }
        self.lay_out(last)?;
        ends.into_iter().for_each(|end| self.lead_here(end));
        Some(())
    }

    fn lay_out_repeat(&mut self, node: &Node, least: u32, most: Option<u32>) -> Option<()> {
        for _ in 0..least {
            self.lay_out(node)?;
        }
        let mut splits = Vec::new();
        match most {
            None => {
                let split = self.push(Step::Split(0))?;
                self.lay_out(node)?;
                self.push(Step::Jump(split))?;
                splits.push(split);
            }
            Some(most) => {
                for _ in least..most {
                    splits.push(self.push(Step::Split(0))?);
                    self.lay_out(node)?;
                }
            }
        }
        splits.into_iter().for_each(|split| self.lead_here(split));
        Some(())
    }
}

impl Program {
    /// The program of `node`; `None` if it is too long.
    pub(super) fn of(node: &Node) -> Option<Self> {
        let mut layout = Layout::default();
        layout.lay_out(node)?;
        layout.push(Step::Match)?;
        let Layout { steps, sets, .. } = layout;
        let words = steps.len().div_ceil(WORD);
        let mut controls = vec![0; words];
        for (step, _) in steps.iter().enumerate().filter(|(_, step)| !matches!(step, Step::Byte)) {
            add(&mut controls, step);
        }
        // Bytes that the same steps take share a column.
        let (mut columns, mut takers): (Vec<u8>, Vec<u64>) = (Vec::with_capacity(256), Vec::new());
        for byte in 0..=u8::MAX {
            let mut column = vec![0; words];
            for (step, _) in sets.iter().filter(|(_, set)| set.contains(byte)) {
                add(&mut column, *step);
            }
            let known = takers.chunks_exact(words).position(|known| known == column);
            let place = known.unwrap_or_else(|| {
                takers.extend_from_slice(&column);
                takers.len() / words - 1
            });
            columns.push(u8::try_from(place).ok()?);
        }
        Some(Self { steps, words, controls, columns, takers })
    }

    /// Whether the program matches somewhere in `text`.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let is_anchored = matches!(self.steps.first(), Some(Step::Assert(Assertion::TextStart)));
        let (mut reached, mut open) = (vec![0; self.words], Vec::with_capacity(self.steps.len()));
        let mut before = None;
        for place in 0..=text.len() {
            let after = text.get(place).copied();
            // A match may begin anywhere.
            add(&mut reached, 0);
            if self.follow(&mut reached, &mut open, before, after) {
                return true;
            }
            let Some(byte) = after else { break };
            let column = self.columns.get(usize::from(byte)).map_or(0, |column| usize::from(*column));
            let takers = self.takers.get(column * self.words..).unwrap_or_default();
            // What takes the byte goes on behind it.
            let (mut carried, mut any) = (0, 0);
            for (word, takers) in reached.iter_mut().zip(takers) {
                let taken = *word & takers;
                *word = taken << 1 | carried;
                carried = taken >> (WORD - 1);
                any |= taken;
            }
            if is_anchored && any == 0 {
                break;
            }
            before = after;
        }
        false
    }

    /// Goes from what is reached as far as it goes without taking a byte; whether the pattern has matched. `open` is empty
    /// before and after.
    fn follow(&self, reached: &mut [u64], open: &mut Vec<usize>, before: Option<u8>, after: Option<u8>) -> bool {
        for (place, (word, controls)) in reached.iter().zip(&self.controls).enumerate() {
            let mut left = word & controls;
            while left != 0 {
                open.push(place * WORD + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
        while let Some(at) = open.pop() {
            let mut go_on = |to: usize| {
                if add(reached, to) && has(&self.controls, to) {
                    open.push(to);
                }
            };
            match self.steps.get(at) {
                Some(Step::Assert(assertion)) if assertion.holds(before, after) => go_on(at + 1),
                Some(Step::Split(other)) => {
                    go_on(*other);
                    go_on(at + 1);
                }
                Some(Step::Jump(target)) => go_on(*target),
                Some(Step::Match) => return true,
                Some(Step::Byte | Step::Assert(_)) | None => {}
            }
        }
        false
    }
}

/// Adds a step to a set; whether it was not there.
fn add(set: &mut [u64], step: usize) -> bool {
    let Some(word) = set.get_mut(step / WORD) else { return false };
    let earlier = *word;
    *word |= 1 << (step % WORD);
    *word != earlier
}

fn has(set: &[u64], step: usize) -> bool {
    set.get(step / WORD).is_some_and(|word| word >> (step % WORD) & 1 == 1)
}
