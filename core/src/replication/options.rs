//! What is asked of a replication.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::ReplicationError;
use crate::json::{self, Object, Value};
use crate::query::Selector;
use crate::sorting::sort_by;

/// What is asked of a replication.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the peer's database for checkpoints, usually its URL without credentials.
    pub peer: String,
    /// Go on with what changes later, until cancelled.
    pub live: bool,
    /// Wait and try again when the network or the peer fails, rather than end with an error.
    pub retry: bool,
    /// Begin after this sequence of the source, as JSON or as plain text, and not at the checkpoint.
    pub since: Option<String>,
    /// Which documents take part.
    pub filter: Filter,
    /// Whether a pull by selector keeps documents that no longer match. Else they are purged here: without a tombstone, so that
    /// no push deletes them elsewhere, and only if the peer has all that is here of them.
    pub keep: bool,
    /// Whether a pull of everything into a fresh database may begin with the peer's snapshot, where it says that it has one.
    pub snapshot: bool,
    /// Bounds on memory and requests.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let (peer, since, filter, limits) = (String::new(), None, Filter::default(), Limits::default());
        Self { peer, live: false, retry: false, since, filter, keep: true, snapshot: true, limits }
    }
}

/// Which documents take part in a replication.
#[derive(Clone, Debug, Default)]
pub enum Filter {
    /// All of them.
    #[default]
    Everything,
    /// Those with these ids; [`Filter::ids`] makes one.
    Ids(Vec<String>),
    /// Those that the selector matches, and all deletions.
    Selector(SelectorFilter),
}

/// A selector that lets deletions pass.
#[derive(Clone, Debug)]
pub struct SelectorFilter {
    /// `{"$or": [the selector, {"_deleted": true}]}`: what the source is asked, which else would hide deletions.
    pub(super) asked: Value,
    /// The selector alone: what arriving documents are held against.
    pub(super) selector: Selector,
}

impl Filter {
    /// The documents with these ids.
    #[must_use]
    pub fn ids(mut ids: Vec<String>) -> Self {
        sort_by(&mut ids, String::cmp);
        ids.dedup();
        Self::Ids(ids)
    }

    /// The documents that `selector` matches, and all deletions.
    ///
    /// # Errors
    /// A selector that is none.
    pub fn selector(selector: Value) -> Result<Self, ReplicationError> {
        let parsed = Selector::parse(&selector)?;
        let mut deleted = Object::new();
        deleted.insert("_deleted", Value::Bool(true));
        let mut either = Object::new();
        either.insert("$or", Value::Array(vec![selector, Value::Object(deleted)]));
        Ok(Self::Selector(SelectorFilter { asked: Value::Object(either), selector: parsed }))
    }

    /// Appends what tells this filter from others, for the name of its checkpoints.
    pub(super) fn fingerprint(&self, out: &mut Vec<u8>) {
        match self {
            Self::Everything => out.extend_from_slice(b"null"),
            Self::Ids(ids) => {
                let ids = ids.iter().map(|id| Value::String(id.clone())).collect();
                json::canonical(&Value::Array(ids), out);
            }
            Self::Selector(filter) => json::canonical(&filter.asked, out),
        }
    }
}

/// Bounds on memory and requests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many rows of the changes feed are asked for at once.
    pub page_rows: u64,
    /// How many documents are in one batch.
    pub batch_documents: usize,
    /// How many bytes of documents a batch should come to.
    pub batch_bytes: usize,
    /// How many batches are in flight at once.
    pub batches_in_flight: usize,
    /// An attachment of up to so many bytes goes with its document; a longer one has a request of its own.
    pub inline_bytes: u64,
    /// How many attachments are fetched at once.
    pub attachments_in_flight: usize,
    /// How many bytes an answer may have, apart from attachments; a batch whose answer is longer is asked for in halves.
    pub answer_bytes_max: usize,
    /// For how many milliseconds a peer may be silent within a request.
    pub idle_timeout_ms: u64,
    /// After how many milliseconds a peer that has nothing to tell sends a line break, in a live pull.
    pub heartbeat_ms: u64,
    /// How many milliseconds may pass before progress is written down as a checkpoint.
    pub checkpoint_ms: u64,
    /// How many milliseconds a source must be quiet for a checkpoint to be written earlier.
    pub quiet_ms: u64,
    /// The longest wait between two attempts, in milliseconds.
    pub backoff_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_rows: 1_000,
            batch_documents: 1_000,
            batch_bytes: 2 << 20,
            batches_in_flight: 3,
            inline_bytes: 64 << 10,
            attachments_in_flight: 4,
            answer_bytes_max: 16 << 20,
            idle_timeout_ms: 60_000,
            heartbeat_ms: 20_000,
            checkpoint_ms: 10_000,
            quiet_ms: 1_500,
            backoff_ms_max: 60_000,
        }
    }
}
