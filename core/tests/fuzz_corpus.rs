//! Every input that fuzzing began with or stumbled over goes through its target again: `tests/vectors/fuzz/<target>/`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Runs a target over its inputs.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = format!("{}/../tests/vectors/fuzz/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut inputs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{folder} holds inputs");
    for input in inputs {
        // A panic tells what fails; this tells on which input.
        println!("{}", input.display());
        run(&std::fs::read(&input).unwrap());
    }
}

#[test]
fn json_reads_back_as_it_was_written() {
    replay("json", targets::json::run);
}

#[test]
fn queries_are_refused_or_answered_as_a_scan_would() {
    replay("query", targets::query::run);
}

#[test]
fn patterns_match_where_another_engine_does() {
    replay("pattern", targets::pattern::run);
}

#[test]
fn damaged_records_are_refused_or_served() {
    replay("records", targets::records::run);
}

#[test]
fn damaged_blocks_are_refused_or_served() {
    replay("blocks", targets::blocks::run);
}
