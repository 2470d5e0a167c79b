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

#[cfg(feature = "engine")]
pub mod address;
pub mod answer;
pub mod blocks;
pub mod calls;
#[cfg(feature = "engine")]
mod cancellation;
pub mod clock;
#[cfg(feature = "engine")]
mod commands;
#[cfg(feature = "engine")]
mod engine;
pub mod failure;
#[cfg(feature = "engine")]
mod frame;
#[cfg(feature = "engine")]
pub mod headers;
pub mod host;
pub mod indexeddb;
mod js;
#[cfg(feature = "engine")]
mod leases;
#[cfg(feature = "engine")]
mod logic;
#[cfg(feature = "engine")]
mod maintenance;
pub mod opfs;
pub mod options;
pub mod payload;
pub mod random;
#[cfg(feature = "engine")]
mod sequences;
#[cfg(feature = "engine")]
mod settling;
#[cfg(feature = "engine")]
pub mod transport;

#[cfg(feature = "engine")]
pub use engine::{Engine, destroy, list};
