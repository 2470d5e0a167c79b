//! Replication by the CouchDB protocol, as the side that acts: [`pull`] brings the peer's changes here, [`push`] brings ours
//! there; the peer may be any server that speaks the protocol.
//!
//! Both are one pipeline: a feed of changes, from the checkpoint on, is cut into steps; steps are prepared several at a time
//! (a pull fetches documents, a push asks what the peer lacks) and applied in order; what is applied may be written down as a
//! checkpoint. Reading goes on while a step is applied, in memory that the options bound.
//!
//! **A checkpoint is written only for what has been applied**, so whatever is lost, cut short or cancelled is done again.
//! **A write to the database is never dropped midway.** One document that a side refuses is reported and passed over; it does
//! not stop the rest. Nothing a peer answers makes this panic or hold unbounded memory.

mod attachments;
mod attempt;
mod backoff;
mod checkpoint;
mod control;
mod departures;
mod documents;
mod error;
mod feed;
mod fetch;
mod log;
mod messages;
mod multipart;
mod offer;
mod options;
mod pace;
mod parcel;
mod peer;
mod pipeline;
mod pull;
mod push;
mod refusals;
mod snapshot;
mod status;
mod waiting;

pub use control::Control;
pub use error::ReplicationError;
pub use options::{Filter, Limits, Options, SelectorFilter};
pub use pull::{pull, pull_from_snapshot};
pub use push::push;
pub use status::{Denied, Event, Observer, State, Status};

/// What a replication needs from outside the engine.
#[derive(Debug)]
pub struct Effects<'a, T, C, R, O> {
    /// The way to the peer's database. It asks for JSON (`accept: application/json`).
    pub transport: &'a T,
    /// Time, for back-off and checkpoints.
    pub clock: &'a C,
    /// Randomness, for jitter and the name of the session.
    pub random: &'a R,
    /// Is told what happens.
    pub observer: &'a O,
    /// Stops or hurries the replication.
    pub control: &'a Control,
}
