//! Regular expressions: a pattern that both take matches where `regex-automata` says so.
//!
//! The input is a pattern and, after the first line break, a text.

use firkin_core::query::Pattern;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Config, WhichCaptures};
use regex_automata::util::syntax;

/// Reads a pattern and matches a text.
pub fn run(input: &[u8]) {
    let Ok(input) = core::str::from_utf8(input) else { return };
    let (pattern, text) = input.split_once('\n').unwrap_or((input, ""));
    let Ok(ours) = Pattern::parse(pattern) else { return };
    let found = ours.matches(text);
    assert_eq!(ours.text(), pattern, "a pattern tells how it was written");
    if let Some(theirs) = automaton(pattern) {
        assert_eq!(found, theirs.is_match(&mut theirs.create_cache(), text), "{pattern:?} in {text:?}");
    }
}

/// The pattern as `regex-automata` reads it, with the same meaning: bytes, and classes of ASCII.
pub fn automaton(pattern: &str) -> Option<PikeVM> {
    let limits = Config::new().nfa_size_limit(Some(1 << 20)).utf8(false).which_captures(WhichCaptures::None);
    let syntax = syntax::Config::new().unicode(false).utf8(false).nest_limit(100);
    PikeVM::builder().syntax(syntax).thompson(limits).build(pattern).ok()
}
