//! Regular expressions, as `$regex` asks for them.
//!
//! A pattern is read into a tree ([`syntax`]), the tree is laid out as a program, and matching follows all ways through the
//! program at once ([`automaton`]). Its time is at most the product of the lengths of the program and the text, whatever the
//! pattern, and the program's length is limited: **the worst pattern that is taken passes a megabyte in about a second**; nested
//! counts, which are what makes a short pattern long, are refused beyond that. What needs more than an automaton (back
//! references, looking ahead or behind) is refused too. As in CouchDB, a match may lie anywhere in the string, and matching is
//! by bytes: `\w`, `\d` and `(?i)` mean ASCII.
//!
//! This is a tenth of what a general library weighs in a browser. Tests hold it to one.

mod automaton;
mod byte_set;
mod classes;
mod syntax;

use alloc::string::String;

use automaton::{CONTROLS_MAX, Program, STEPS_MAX};

/// How many bytes a pattern may have.
const PATTERN_BYTES_MAX: usize = 1000;

/// Why a text is no pattern that can be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no pattern, or asks for more than an automaton can do.
    #[error("no regular expression that is known here")]
    Malformed,
    /// It has too many bytes, or too many steps once its repetitions are written out.
    #[error(
        "a pattern may have {PATTERN_BYTES_MAX} bytes, and with its repetitions written out {STEPS_MAX} steps, {CONTROLS_MAX} \
         of them choices or conditions"
    )]
    TooLarge,
}

/// A regular expression, ready to match.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    program: Program,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`], if it is none, asks for more than an automaton can do, or is too large.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLarge);
        }
        let node = syntax::parse(text).ok_or(PatternError::Malformed)?;
        let program = Program::of(&node).ok_or(PatternError::TooLarge)?;
        Ok(Self { text: text.into(), program })
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
