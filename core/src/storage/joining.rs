//! Commits that wait for the writer are joined: one record of the log, one step of the platform.
//!
//! A platform's step costs about the same whatever it holds. So while one is under way the commits that come queue up, and the
//! first of them to get the writer commits for all: their runs are merged, of several operations on one key that of the later
//! commit counts, and the step is strict if one of them is. **Joined commits are there together or not at all**, in the order in
//! which they came; if the platform refuses them, each is tried by itself, so that none fails for another's sake.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::blocks::Blocks;
use super::flush::Writer;
use super::run::Run;
use super::store::LogStore;
use super::{Batch, Durability, StorageError};

/// A commit that waits for the writer.
#[derive(Debug)]
pub(super) struct Waiting {
    run: Rc<Run>,
    bytes: usize,
    durability: Durability,
    outcome: RefCell<Option<Result<(), StorageError>>>,
}

/// Takes a commit out of the queue when its caller is dropped.
struct Place<'store, B> {
    store: &'store LogStore<B>,
    waiting: Rc<Waiting>,
}

impl<B> Drop for Place<'_, B> {
    fn drop(&mut self) {
        self.store.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiting));
    }
}

impl<B: Blocks> LogStore<B> {
    /// Commits `batch`, together with those that wait with it.
    pub(super) async fn commit_joined(&self, batch: Batch, durability: Durability) -> Result<(), StorageError> {
        // An empty batch has nothing to store, but a strict one still makes what came before it durable.
        if batch.is_empty() && durability == Durability::Relaxed {
            let _writer = self.writer.lock().await;
            return self.check_open();
        }
        let bytes = batch.bytes();
        let run = Rc::new(Run::from_batch(batch)?);
        let waiting = Rc::new(Waiting { run, bytes, durability, outcome: RefCell::new(None) });
        self.waiting.borrow_mut().push(Rc::clone(&waiting));
        let place = Place { store: self, waiting };
        // Another commit may take this one along meanwhile.
        if !self.is_unsettled.get() {
            self.relieve(bytes).await;
        }
        let mut writer = self.writer.lock().await;
        loop {
            if let Some(outcome) = place.waiting.outcome.borrow_mut().take() {
                return outcome;
            }
            // If whoever committed for this one was dropped midway, nobody knows what became of it.
            self.check_open()?;
            let joined = self.take_waiting();
            if joined.is_empty() {
                return Err(StorageError::Closed);
            }
            self.commit_all(&mut writer, &joined).await;
        }
    }

    /// The commits to join: the first that wait, as many as make a record of the log.
    fn take_waiting(&self) -> Vec<Rc<Waiting>> {
        let mut bytes = 0_usize;
        let mut waiting = self.waiting.borrow_mut();
        let fits = waiting.iter().take_while(|commit| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(commit.bytes.max(1));
            is_first || bytes <= self.options.logged_batch_bytes_max
        });
        let count = fits.count();
        waiting.drain(..count).collect()
    }

    async fn commit_all(&self, writer: &mut Writer<B>, joined: &[Rc<Waiting>]) {
        self.is_unsettled.set(true);
        let outcome = self.commit_as_one(writer, joined).await;
        self.settle(&outcome);
        let is_refused = matches!(outcome, Err(StorageError::QuotaExceeded | StorageError::Failed(_)));
        for commit in joined {
            let mut outcome = outcome.clone();
            if is_refused && joined.len() > 1 {
                self.is_unsettled.set(true);
                outcome = self.commit_as_one(writer, core::slice::from_ref(commit)).await;
                self.settle(&outcome);
            }
            let is_unknown = outcome == Err(StorageError::Closed);
            commit.outcome.replace(Some(outcome));
            if is_unknown && is_refused {
                return;
            }
        }
    }

    async fn commit_as_one(&self, writer: &mut Writer<B>, joined: &[Rc<Waiting>]) -> Result<(), StorageError> {
        let run = match joined {
            [single] => Rc::clone(&single.run),
            several => {
                let newest_first: Vec<Rc<Run>> = several.iter().rev().map(|commit| Rc::clone(&commit.run)).collect();
                Rc::new(Run::merged(&newest_first, true)?)
            }
        };
        let is_strict = joined.iter().any(|commit| commit.durability == Durability::Strict);
        let durability = if is_strict { Durability::Strict } else { Durability::Relaxed };
        self.apply(writer, run, joined.iter().map(|commit| commit.bytes).sum(), durability).await
    }
}
