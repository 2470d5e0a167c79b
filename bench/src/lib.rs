//! Times the engine alone: no browser, no disk, no network.
//!
//! There is one list of [`cases`], over documents that are the same in each run ([`documents`]) and the log-structured store
//! over blocks in memory ([`fixture`]). `cargo bench` times them natively with criterion; as a WebAssembly module (`abi.rs`)
//! `run.mjs` times them under Node, and prints both side by side. **Each case checks an answer before it is timed**, and
//! `cargo test` does so on a small fixture, so that no case measures what it does not say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking, as a test does"
)]

#[cfg(target_arch = "wasm32")]
mod abi;
pub mod cases;
pub mod documents;
pub mod fixture;
mod work;

pub use work::{Case, Work};

use futures_util::FutureExt;

/// How many documents the benches work on.
pub const DOCUMENTS: usize = 10_000;

/// The answer of a future that never has to wait, as all do over blocks in memory.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("blocks in memory are there at once")
}
