#![no_main]

#[path = "../src/parts.rs"]
mod parts;
#[path = "../../server/src/parts.rs"]
mod splitter;

libfuzzer_sys::fuzz_target!(|input: &[u8]| parts::run(input));
