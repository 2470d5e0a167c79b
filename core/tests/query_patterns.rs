//! `$regex`: patterns match where another engine says so, and take no longer than their length allows.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use firkin_core::json;
use firkin_core::query::{Pattern, PatternError, QueryError, Selector};
use proptest::prelude::*;

#[path = "../../fuzz/src/pattern.rs"]
#[allow(dead_code, reason = "the fuzz target is not run here")]
mod other_engine;

/// Classes of all that a class may hold.
fn any_class() -> impl Strategy<Value = String> {
    let start = prop::sample::select(vec!["[", "[^", "[]", "[^]", "[-", "[^-"]);
    let items = vec!["a", "b", "A-B", "0", "_-b", "\\w", "\\D", "\\n", "[:alpha:]", "[:^space:]", "[a-b]", "[^_]", "]"];
    let items = prop::collection::vec(prop::sample::select(items), 1..4);
    (start, items, prop::sample::select(vec!["]", "-]"]))
        .prop_map(|(start, items, end)| format!("{start}{}{end}", items.concat()))
}

/// Patterns of all that the syntax has.
fn any_pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[abAB_ 0\n-]",
        1 => Just(".".to_owned()),
        1 => prop::sample::select(vec!["\\d", "\\W", "\\s", "\\S", "\\w", "\\.", "\\x41", "\\n", "\\u00e9", "é"]).prop_map(String::from),
        1 => prop::sample::select(vec!["^", "$", "\\b", "\\B", "\\A", "\\z", "\\<", "\\>"]).prop_map(String::from),
        1 => any_class(),
    ];
    part.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            1 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
            2 => (inner.clone(), "(\\*|\\+|\\?|\\{2\\}|\\{0,2\\}|\\{1,\\})\\??").prop_map(|(part, sign)| format!("(?:{part}){sign}")),
            1 => (prop::sample::select(vec!["i", "m", "s", "i-m", "U"]), inner.clone())
                .prop_map(|(flags, part)| format!("(?{flags}:{part})")),
            1 => (prop::sample::select(vec!["(?i)", "(?m)", "(?s)"]), inner).prop_map(|(flags, part)| format!("{flags}{part}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn patterns_match_where_another_engine_does(pattern in any_pattern(), text in "[abAB_ 0\né-]{0,12}") {
        let theirs = other_engine::automaton(&pattern);
        let ours = Pattern::parse(&pattern);
        prop_assert_eq!(ours.is_ok(), theirs.is_some(), "both take {:?}, or neither", pattern);
        if let (Ok(ours), Some(theirs)) = (ours, theirs) {
            let found = theirs.is_match(&mut theirs.create_cache(), &text);
            prop_assert_eq!(ours.matches(&text), found, "{:?} in {:?}", pattern, text);
        }
    }
}

#[test]
fn what_no_automaton_can_do_and_what_is_no_pattern_is_refused() {
    let beyond = ["(a)\\1", "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(?>a)", "(?R)", "(?#c)"];
    let malformed = [
        "(",
        ")",
        "a)",
        "(a",
        "[",
        "[a",
        "[]",
        "[b-a]",
        "[a-\\d]",
        "*",
        "a|*",
        "(?i)*",
        "a{",
        "a{2",
        "a{3,2}",
        "a{,2}",
        "a{x}",
        "\\",
        "\\q",
        "\\x1",
        "\\x{110000}",
        "\\ud800",
        "[\\b]",
        "(?z)",
        "(?i-)",
        "(?<1>a)",
        "(?<a>b)(?<a>c)",
        "[é]",
    ];
    for pattern in beyond.iter().chain(&malformed) {
        assert_eq!(Pattern::parse(pattern), Err(PatternError::Malformed), "{pattern}");
    }
}

#[test]
fn what_would_take_too_much_is_refused_and_what_is_taken_comes_to_an_end() {
    let (words, long) = (["(?:|||||||||)"; 30].concat(), "a".repeat(1001));
    let counted =
        ["a{6000}", "(a{100}){100}", "((a{50}){50}){50}", "(?:){9999}{9999}", "(a{0,60}){0,40}c", "(.{0,99}){9}"];
    for pattern in counted.into_iter().chain([words.as_str(), &long]) {
        assert_eq!(Pattern::parse(pattern), Err(PatternError::TooLarge), "{}", &pattern[..20.min(pattern.len())]);
    }
    let nested = format!("{}a{}", "(".repeat(60), ")".repeat(60));
    assert_eq!(Pattern::parse(&nested), Err(PatternError::Malformed));
    // An engine that tries one way after the other would not come to an end here.
    let text = "a".repeat(20_000) + "!";
    let loops =
        ["^(a*)*$", "^(a|a)*$", "^(a|aa)+$", "(a?){30}a{30}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(|a|)*(a*|b*)*?c"];
    for pattern in loops {
        assert!(!Pattern::parse(pattern).unwrap().matches(&text), "{pattern}");
    }
}

#[test]
fn a_pattern_that_is_too_large_is_told_from_one_that_is_none() {
    let refusal = |pattern: &str| {
        let selector = format!("{{\"a\":{{\"$regex\":{pattern:?}}}}}");
        Selector::parse(&json::parse(selector.as_bytes()).unwrap()).unwrap_err()
    };
    let too_large = refusal("(a{0,60}){0,40}c");
    assert_eq!(too_large, QueryError::PatternTooLarge(PatternError::TooLarge));
    assert_eq!((too_large.report().status, too_large.report().name), (400, "bad_arg"));
    assert!(too_large.to_string().contains("1000 steps, 300 of them"), "{too_large}");
    assert!(matches!(refusal("(a"), QueryError::BadArgument { .. }));
}

#[test]
fn patterns_in_use_are_taken() {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    let mail = format!("^[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{label}(?:\\.{label})*$");
    let words: Vec<String> = (0..90).map(|word| format!("word{word}")).collect();
    let number = "25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9]";
    let address = format!("^(?:(?:{number})\\.){{3}}(?:{number})$");
    for (pattern, text) in [
        (mail.as_str(), "ada@example.org"),
        (&words.join("|"), "the word77 of it"),
        (&address, "127.0.0.1"),
        ("^.{1,255}$", "a name"),
        ("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "c0ffee00-0000-4000-8000-00000000cafe"),
        ("^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?(Z|[+-]\\d{2}:\\d{2})$", "2026-11-28T13:09:34.5Z"),
        (&"é".repeat(450), &"é".repeat(500)),
    ] {
        assert!(Pattern::parse(pattern).unwrap().matches(text), "{pattern}");
    }
}
