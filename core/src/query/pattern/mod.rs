//! Regular expressions, as `$regex` asks for them.
//!
//! A pattern is read into a tree ([`syntax`]), the tree is laid out as a program, and matching follows all ways through the
//! program at once ([`automaton`]): its time is the product of the lengths of pattern and text, whatever the pattern, so that
//! **no pattern of a stranger stalls a database**. What needs more (back references, looking ahead or behind) is refused. As
//! in CouchDB, a match may lie anywhere in the string, and matching is by bytes: `\w`, `\d` and `(?i)` mean ASCII.
//!
//! This is a tenth of what a general library weighs in a browser. Tests hold it to one.

mod automaton;
mod byte_set;
mod classes;
mod syntax;

use alloc::string::String;

use automaton::Program;

/// How many bytes a pattern may have.
const PATTERN_BYTES_MAX: usize = 1000;

/// A regular expression, ready to match.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    program: Program,
}

impl Pattern {
    /// Reads a pattern; `None` if it is none, is too large or asks for more than an automaton can do.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let program = Program::of(&syntax::parse(text)?)?;
        Some(Self { text: text.into(), program })
    }

    /// Whether the pattern matches somewhere in `string`.
    #[must_use]
    pub fn matches(&self, string: &str) -> bool {
        self.program.matches(string.as_bytes())
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
