//! Regular expressions, as `$regex` asks for them.
//!
//! The engine is a simulation of an automaton: its time is the product of the lengths of pattern and text, whatever the
//! pattern, so that no pattern of a stranger stalls a database. What needs more (back references, looking ahead or behind)
//! is refused. As in CouchDB, a match may lie anywhere in the string, and matching is by bytes: `\w`, `\d` and `(?i)` mean
//! ASCII.

use alloc::string::String;
use core::cell::RefCell;
use core::fmt;

use regex_automata::nfa::thompson::pikevm::{Cache, PikeVM};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;

/// How many bytes a pattern may have.
const PATTERN_BYTES_MAX: usize = 1000;

/// How much memory a pattern's automaton may take, in bytes. It bounds what each byte of a text costs.
const AUTOMATON_BYTES_MAX: usize = 256 * 1024;

/// How deep groups may be nested.
const DEPTH_MAX: u32 = 50;

/// A regular expression, ready to match.
pub struct Pattern {
    text: String,
    automaton: PikeVM,
    cache: RefCell<Cache>,
}

impl Pattern {
    /// Reads a pattern; `None` if it is none, is too large or asks for more than an automaton can do.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let limits = thompson::Config::new()
            .nfa_size_limit(Some(AUTOMATON_BYTES_MAX))
            .utf8(false)
            .which_captures(WhichCaptures::None);
        let syntax = syntax::Config::new().unicode(false).utf8(false).nest_limit(DEPTH_MAX);
        let automaton = PikeVM::builder().syntax(syntax).thompson(limits).build(text).ok()?;
        Some(Self::of(text, automaton))
    }

    /// Whether the pattern matches somewhere in `string`.
    #[must_use]
    pub fn matches(&self, string: &str) -> bool {
        match self.cache.try_borrow_mut() {
            Ok(mut cache) => self.automaton.is_match(&mut cache, string),
            Err(_) => self.automaton.is_match(&mut self.automaton.create_cache(), string),
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn of(text: &str, automaton: PikeVM) -> Self {
        let cache = RefCell::new(automaton.create_cache());
        Self { text: text.into(), automaton, cache }
    }
}

impl Clone for Pattern {
    fn clone(&self) -> Self {
        Self::of(&self.text, self.automaton.clone())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}
