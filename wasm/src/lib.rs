//! Firkin in the browser: the only code that knows one.
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
pub mod headers;
pub mod host;
pub mod indexeddb;
mod js;
mod payload;
pub mod random;
pub mod transport;

pub use engine::{Engine, destroy, list};
