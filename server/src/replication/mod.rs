//! Replications that this server acts in: those that `_replicate` asks for, and the upstream's.
//!
//! Core's state machine does the work, on the thread of the local database; the other end is a server over HTTP, or another
//! database of this one.

pub mod endpoint;
pub(crate) mod registry;
pub(crate) mod transport;
pub(crate) mod upstream;
