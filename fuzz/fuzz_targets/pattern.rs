#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| firkin_fuzz::pattern::run(input));
