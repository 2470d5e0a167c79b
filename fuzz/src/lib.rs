//! What the fuzz targets run, a module each.
//!
//! `core/tests/fuzz_corpus.rs` includes these files too and replays every input that is kept in `tests/vectors/fuzz/`, so that
//! what was found once is looked for by every test run. **A target panics only where the core has a fault.**

pub mod blocks;
mod damage;
pub mod json;
mod oracle;
pub mod pattern;
pub mod query;
pub mod records;
