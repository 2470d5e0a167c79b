//! The program of a pattern, and how it is followed.

use alloc::vec;
use alloc::vec::Vec;

use super::byte_set::ByteSet;
use super::syntax::{Assertion, Node};

/// How many steps a program may have. It bounds what each byte of a text costs.
const STEPS_MAX: usize = 5_000;

/// A pattern as steps; unless a step says otherwise, the next one follows.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// How often a node was laid out. A repetition of nothing adds no steps, yet must come to an end.
    nodes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes a byte of the set.
    Byte(ByteSet),
    /// Goes on where the assertion holds.
    Assert(Assertion),
    /// Goes on at both the next step and this one.
    Split(usize),
    /// Goes on at this step.
    Jump(usize),
    /// The pattern has matched.
    Match,
}

impl Program {
    /// The program of `node`; `None` if it is too long.
    pub(super) fn of(node: &Node) -> Option<Self> {
        let mut program = Self::default();
        program.lay_out(node)?;
        program.push(Step::Match)?;
        Some(program)
    }

    fn push(&mut self, step: Step) -> Option<usize> {
        self.steps.push(step);
        (self.steps.len() <= STEPS_MAX).then_some(self.steps.len() - 1)
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
        if self.nodes > STEPS_MAX {
            return None;
        }
        match node {
            Node::Byte(set) => self.push(Step::Byte(*set)).map(drop),
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

    /// Whether the program matches somewhere in `text`.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let mut ways = Ways { reached: vec![0; self.steps.len()], round: 0, waiting: Vec::new(), open: Vec::new() };
        let mut before = None;
        for place in 0..=text.len() {
            let after = text.get(place).copied();
            ways.round = place + 1;
            // A match may begin anywhere.
            ways.open.push(0);
            if ways.follow(&self.steps, before, after) {
                return true;
            }
            let Some(byte) = after else { break };
            // What takes the byte goes on behind it.
            for step in &ways.waiting {
                if matches!(self.steps.get(*step), Some(Step::Byte(set)) if set.contains(byte)) {
                    ways.open.push(step + 1);
                }
            }
            ways.waiting.clear();
            before = after;
        }
        false
    }
}

/// The ways through a program at one place of a text.
struct Ways {
    /// The round in which each step was reached last.
    reached: Vec<usize>,
    round: usize,
    /// The steps that wait for a byte.
    waiting: Vec<usize>,
    /// The steps that are still to be followed.
    open: Vec<usize>,
}

impl Ways {
    /// Goes from what is open as far as it goes without taking a byte; whether the pattern has matched.
    fn follow(&mut self, steps: &[Step], before: Option<u8>, after: Option<u8>) -> bool {
        while let Some(at) = self.open.pop() {
            let (Some(step), Some(reached)) = (steps.get(at), self.reached.get_mut(at)) else { continue };
            if core::mem::replace(reached, self.round) == self.round {
                continue;
            }
            match *step {
                Step::Byte(_) => self.waiting.push(at),
                Step::Assert(assertion) => {
                    if assertion.holds(before, after) {
                        self.open.push(at + 1);
                    }
                }
                Step::Split(other) => {
                    self.open.push(other);
                    self.open.push(at + 1);
                }
                Step::Jump(target) => self.open.push(target),
                Step::Match => return true,
            }
        }
        false
    }
}
