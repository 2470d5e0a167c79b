//! Firkin in the browser: the only code that knows one.
//!
//! The engine of `firkin-core` gets its effects here: blocks in IndexedDB ([`indexeddb`]) or in OPFS ([`opfs`]), requests by `fetch`
//! ([`transport`]), time, timers and randomness. JavaScript sees one class, [`Engine`]: methods by name, JSON in and JSON
//! out as bytes, so that documents are parsed once. It runs in a worker of the page, or wherever else there is wasm.
//!
//! **Every promise is settled**, also when the engine panics. **Credentials never reach an error message.** Nothing that
//! JavaScript hands in makes it panic.
#![cfg(target_arch = "wasm32")]
#![allow(async_fn_in_trait)]

pub mod address;
mod answer;
mod blocks;
mod calls;
mod cancellation;
pub mod clock;
mod commands;
mod engine;
mod failure;
mod frame;
pub mod headers;
pub mod host;
pub mod indexeddb;
mod js;
mod logic;
pub mod opfs;
mod payload;
pub mod random;
pub mod transport;

pub use engine::{Engine, destroy, list};
