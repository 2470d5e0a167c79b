//! The database: documents, revision trees, path index and changes, composed over one [`Kv`].
//!
//! Writes are serialised by a lock and land in one commit each, single documents that wait for it in one together: bodies, revision nodes, heads, the changes feed and the
//! difference of the index together, so that **whatever a snapshot shows is consistent**. Reads work on snapshots and wait
//! for nobody.

mod all_docs;
mod arrivals;
mod attached;
mod attachments;
mod bases;
mod bulk;
mod changes;
mod commit;
mod compact;
mod consumers;
mod contents;
mod count;
mod distinct;
mod edit;
mod error;
mod find;
mod joined;
mod judge;
mod live;
mod local;
mod paths;
mod purge;
mod read;
mod reindex;
mod repair;
mod requests;
mod restore;
mod review;
mod revs_diff;
mod snapshot;
mod snapshot_check;
mod snapshot_head;
mod state;
mod text;
mod transaction;
mod value;
mod write;

pub use all_docs::AllDocsQuery;
pub(crate) use arrivals::{Arrivals, Ranges};
pub use attachments::AttachmentReader;
pub use changes::{ChangesPage, ChangesQuery, ChangesRow, Since};
pub use compact::{Compacted, Compaction};
pub use consumers::{CONSUMER_NAME_BYTES_MAX, Consumer, ConsumerError};
pub use distinct::DistinctValue;
pub use error::{ReadError, WriteError};
pub use find::{FindPage, FindStats, Way};
pub use live::{Added, Changed, Difference, Live, LiveStats, Moved, Watch};
pub use paths::KnownPath;
pub use purge::Purged;
pub use read::{GetOptions, OpenRev, OpenRevs};
pub use repair::{Loss, LostRevision, Repaired};
pub use requests::{Done, Request};
pub use review::{Branch, Choice, OpenReviews, Pick, Review, ReviewsNews, Settling};
pub use revs_diff::RevsDiffRow;
pub use snapshot::Packing;
pub(crate) use snapshot_check::Check as SnapshotCheck;
pub(crate) use snapshot_head::SnapshotLine;
pub use snapshot_head::{SNAPSHOT_MEMBER, SNAPSHOT_VERSION, SnapshotHead};
pub use transaction::{CommitOptions, Transaction, TransactionError};
pub use write::{BulkRow, Refused, WriteOptions, Written};

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use async_lock::Mutex;
use event_listener::{Event, EventListener};

use crate::effects::Random;
use crate::index::{Exclusions, PathIndex};
use crate::logic::Logic;
use crate::merge::{Policies, Sequences};
use crate::path::Path;
use crate::progress::Listener;
use crate::storage::{Durability, Kv, StorageError};
use contents::Staging;
use live::Subscribers;
use state::State;
use transaction::Turns;

/// How a database behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many revisions of each branch are remembered, unless [`Database::set_revs_limit`] says otherwise.
    pub revs_limit: u32,
    /// How many bytes the JSON text of a document may have.
    pub document_bytes_max: usize,
    /// The durability of writes that name none.
    pub durability: Durability,
    /// Paths that are not indexed, with all that lies below them; queries on them read documents. Opening a database with
    /// other paths than before makes its index anew.
    pub exclude: Vec<Path>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            revs_limit: 1000,
            document_bytes_max: 8 * 1024 * 1024,
            durability: Durability::default(),
            exclude: Vec::new(),
        }
    }
}

/// What a database tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// How many documents there are.
    pub doc_count: u64,
    /// How many documents are deleted.
    pub doc_del_count: u64,
    /// The latest sequence.
    pub update_seq: String,
    /// The identity of this replica: 32 hex digits, made when the database was.
    pub identity: String,
}

/// A database over `K`.
pub struct Database<K> {
    kv: K,
    options: Options,
    revs_limit: Cell<u32>,
    index: PathIndex,
    /// What the latest commit left; a writer holds `writer` while it makes the next.
    state: RefCell<State>,
    writer: Mutex<()>,
    waiting: joined::Queue,
    /// The sequence of the latest commit since the open that purged a document whole.
    purge_seq: Cell<u64>,
    turns: Turns,
    /// The keys of requests' records that nobody asks for any more.
    forgotten: RefCell<Vec<Vec<u8>>>,
    staging: Staging,
    changed: Event,
    logic: Option<Rc<dyn Logic>>,
    sequences: Option<Rc<dyn Sequences>>,
    /// What becomes of documents with several branches.
    policies: Policies,
    /// Told of revisions of others that policies were not asked about.
    unsettled: Event,
    /// What pulls brought, those that are over included.
    arrivals: RefCell<Vec<Rc<Arrivals>>>,
    /// Who follows documents.
    subscribers: Subscribers,
    /// Who is told how far what takes long has come.
    progress: Listener,
}

impl<K: Kv> Database<K> {
    /// Opens the database that `kv` holds, or makes one there.
    ///
    /// # Errors
    /// What the storage reports, and [`StorageError::Corrupt`] where its records are not this library's.
    pub async fn open(kv: K, random: &impl Random, options: Options) -> Result<Self, StorageError> {
        Self::open_with(kv, random, options, Listener::default()).await
    }

    /// As [`open`](Self::open), with somebody who is told how far what takes long has come: making the index anew, and writes of
    /// many documents.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub async fn open_with(
        kv: K,
        random: &impl Random,
        options: Options,
        progress: Listener,
    ) -> Result<Self, StorageError> {
        let state = State::open(&kv, random).await?;
        let index = PathIndex::new(Exclusions::new(options.exclude.clone()));
        reindex::fit(&kv, &index, &progress).await?;
        review::open::fit(&kv).await?;
        Ok(Self {
            kv,
            revs_limit: Cell::new(options.revs_limit),
            options,
            index,
            state: RefCell::new(state),
            writer: Mutex::new(()),
            waiting: joined::Queue::default(),
            purge_seq: Cell::new(0),
            turns: Turns::default(),
            forgotten: RefCell::default(),
            staging: Staging::new(random),
            changed: Event::new(),
            logic: None,
            sequences: None,
            policies: Policies::default(),
            unsettled: Event::new(),
            arrivals: RefCell::default(),
            subscribers: Subscribers::default(),
            progress,
        })
    }

    /// Completes after the next commit that changes a document. Take it before reading what may have changed already.
    pub fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    /// Counts, latest sequence and identity.
    ///
    /// # Errors
    /// None yet; what the storage reports.
    pub async fn info(&self) -> Result<Info, StorageError> {
        let state = self.state.borrow();
        Ok(Info {
            doc_count: state.doc_count,
            doc_del_count: state.doc_del_count,
            update_seq: state.token(state.seq),
            identity: state.identity(),
        })
    }

    /// The identity of this replica: 32 hex digits, made when the database was.
    pub fn identity(&self) -> String {
        self.state.borrow().identity()
    }

    /// From the next write on, so many revisions of each branch are remembered. This is not stored.
    pub fn set_revs_limit(&self, revs_limit: u32) {
        self.revs_limit.set(revs_limit);
    }

    /// The storage below.
    pub fn kv(&self) -> &K {
        &self.kv
    }
}
