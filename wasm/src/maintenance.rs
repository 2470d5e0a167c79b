//! What the engine does by itself, beside the calls of the page: merging segments, deleting blocks that do not count any more.
//!
//! It is done in small slices, while no call is under way, as a call that comes meanwhile waits for the slice, and a read may
//! wait for the slice's transaction as well. Where calls follow each other without a pause it is done all the same, but seldom;
//! where they write more than is merged so, the commits do their share.

use std::cell::Cell;
use std::rc::Rc;

use firkin_core::effects::Clock;
use firkin_core::storage::StorageError;

use crate::clock::BrowserClock;
use crate::engine::Task;

/// How many bytes of entries are merged at a time.
const SLICE_BYTES: usize = 256 * 1024;
/// How long it rests between two slices, in milliseconds.
const REST_MS: u64 = 5;
/// How long after a call it waits for the next one.
const QUIET_MS: u64 = 10;
/// How long it waits in all until no call is under way.
const PATIENCE_MS: u64 = 50;

/// The methods that end when there is something to tell, or when the page ends them.
const LASTING: [&str; 3] = ["followNext", "replicate", "compact"];

/// Whether the page, or a replication, wants something of the engine.
#[derive(Debug, Default)]
pub struct Activity {
    under_way: Cell<usize>,
    last_ms: Cell<u64>,
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    activity: Rc<Activity>,
}

impl Activity {
    /// A call of `method` begins; it ends when what this returns is dropped.
    pub fn begin(self: &Rc<Self>, method: &str) -> Option<Call> {
        if LASTING.contains(&method) {
            return None;
        }
        self.under_way.set(self.under_way.get() + 1);
        Some(Call { activity: Rc::clone(self) })
    }

    /// Something was done just now.
    pub fn note(&self) {
        self.last_ms.set(BrowserClock.now_ms());
    }

    fn is_quiet(&self, now_ms: u64) -> bool {
        // A clock that was set back makes a pause longer, by patience at most.
        self.under_way.get() == 0 && now_ms.abs_diff(self.last_ms.get()) >= QUIET_MS
    }

    /// Completes after a rest, when nothing is asked for, or patience is at an end.
    pub async fn pause(&self) {
        let mut rested_ms = 0;
        while rested_ms < PATIENCE_MS {
            BrowserClock.sleep(REST_MS).await;
            rested_ms += REST_MS;
            if self.is_quiet(BrowserClock.now_ms()) {
                return;
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.activity.under_way.set(self.activity.under_way.get() - 1);
        self.activity.note();
    }
}

/// Does what is to be done until the database is closed.
pub async fn maintain(task: Task) {
    let opened = &task.opened;
    let store = opened.database.kv();
    loop {
        let due = store.maintenance_due();
        loop {
            if opened.closing.unless_cancelled(opened.activity.pause()).await.is_none() {
                return;
            }
            match store.maintain(SLICE_BYTES).await {
                Ok(true) => {}
                // What cannot be read stays as it is, and what there is no room for now may find it later.
                Ok(false) | Err(StorageError::Corrupt(_) | StorageError::QuotaExceeded | StorageError::Failed(_)) => {
                    break;
                }
                Err(_) => return,
            }
        }
        if opened.closing.unless_cancelled(due).await.is_none() {
            return;
        }
    }
}
