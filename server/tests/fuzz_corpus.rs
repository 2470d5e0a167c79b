//! Every input that fuzzing began with or stumbled over goes through its target again: `tests/vectors/fuzz/parts/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use firkin_server::parts as splitter;

#[path = "../../fuzz/src/parts.rs"]
mod parts;

#[test]
fn parts_are_the_same_however_a_body_is_cut() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/fuzz/parts");
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty(), "{folder} holds inputs");
    for input in inputs {
        println!("{}", input.display());
        let bytes = std::fs::read(&input).unwrap();
        // Cut at every place that a byte can name.
        for size in 1..=u8::MAX {
            let rest = bytes.get(1..).unwrap_or_default();
            parts::run(&[&[size], rest].concat());
        }
    }
}
