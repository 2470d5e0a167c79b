//! The engine of Firkin, a local-first JSON document database.
//!
//! It keeps documents as revision trees, posts every path of every winning document to an index in the same atomic
//! commit, answers Mango selectors from that index, and replicates with the CouchDB protocol. It has no clock, no random
//! source, no IO and no platform type: all of these come in through the traits of [`effects`] and [`storage`], so that one
//! engine runs in a browser's worker, in the server and in a seeded simulation.
//!
//! **Nothing here panics on input**: not on documents, selectors, responses of a peer or stored bytes.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
// Every engine runs on one thread (a worker, or the thread of a database in the server), so its futures need not be `Send`.
#![allow(async_fn_in_trait)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod database;
pub mod document;
pub mod effects;
pub mod error;
mod hex;
pub mod index;
pub mod json;
pub mod logic;
pub mod merge;
pub mod ordered;
pub mod path;
pub mod progress;
pub mod query;
pub mod replication;
pub mod revision;
mod sorting;
pub mod storage;
