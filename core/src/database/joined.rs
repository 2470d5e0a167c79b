//! Writes of single documents that wait for one another become one commit.
//!
//! A commit costs a step of the platform, whatever it holds. So while a writer is at work the single documents that come queue
//! up, and the next to hold the writer's lock writes for all of them: one after the other into the same edits, as the
//! documents of a batch are, so that each is checked against what those before it did. **If the commit fails, nothing of it is
//! told**: not the revisions, and not the conflicts with revisions that are not there now. Each is then tried by itself.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::commit::Edits;
use super::judge::Kind;
use super::requests::Record;
use super::{BulkRow, Database, WriteError, WriteOptions};
use crate::document::{Document, keys};
use crate::storage::{Durability, Kv, Snapshot, StorageError};

/// How many writes are joined at most.
const JOINED_MAX: usize = 256;

/// The writes that wait for the writer's lock, the first that came first.
pub(super) type Queue = RefCell<Vec<Rc<Waiting>>>;

type Outcome = Result<BulkRow, WriteError>;

/// A write that waits.
pub(super) struct Waiting {
    /// Taken by a write of which it is known that it will not be tried again.
    document: Cell<Option<Document>>,
    write: WriteOptions,
    outcome: Cell<Option<Outcome>>,
}

/// Takes a write out of the queue when its caller is dropped.
struct Place<'database> {
    queue: &'database Queue,
    waiting: Rc<Waiting>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.waiting));
    }
}

impl<K: Kv> Database<K> {
    /// Writes a new edit of one document, together with those that wait with it.
    pub(super) async fn write_joined(&self, document: Document, write: &WriteOptions) -> Outcome {
        let waiting =
            Rc::new(Waiting { document: Cell::new(Some(document)), write: write.clone(), outcome: Cell::new(None) });
        self.waiting.borrow_mut().push(Rc::clone(&waiting));
        let place = Place { queue: &self.waiting, waiting };
        let _writer = self.writer.lock().await;
        loop {
            if let Some(outcome) = place.waiting.outcome.take() {
                return outcome;
            }
            let joined: Vec<Rc<Waiting>> = {
                let mut queue = self.waiting.borrow_mut();
                let count = queue.len().min(JOINED_MAX);
                queue.drain(..count).collect()
            };
            if joined.is_empty() {
                // Whoever wrote for this one was dropped midway: nobody knows what became of it.
                return Err(StorageError::Closed.into());
            }
            self.write_all(&joined).await;
        }
    }

    async fn write_all(&self, joined: &[Rc<Waiting>]) {
        match self.write_as_one(joined).await {
            Ok(outcomes) => {
                joined.iter().zip(outcomes).for_each(|(waiting, outcome)| waiting.outcome.set(Some(outcome)))
            }
            Err(error @ (StorageError::Closed | StorageError::Fenced)) => {
                joined.iter().for_each(|waiting| waiting.outcome.set(Some(Err(error.clone().into()))));
            }
            Err(error) if joined.len() == 1 => {
                joined.iter().for_each(|waiting| waiting.outcome.set(Some(Err(error.clone().into()))));
            }
            Err(_) => {
                for waiting in joined {
                    let alone = self.write_as_one(core::slice::from_ref(waiting)).await;
                    let outcome = alone.map_or_else(|error| Err(error.into()), |mut outcomes| outcomes.remove(0));
                    waiting.outcome.set(Some(outcome));
                }
            }
        }
    }

    fn heads_of(&self, joined: &[Rc<Waiting>]) -> Vec<Vec<u8>> {
        let head = |waiting: &Rc<Waiting>| {
            let document = waiting.document.take()?;
            let head = keys::head(&document.id);
            waiting.document.set(Some(document));
            Some(head)
        };
        joined.iter().filter_map(head).collect()
    }

    /// Writes all in one commit; what became of each, or why nothing is written.
    async fn write_as_one(&self, joined: &[Rc<Waiting>]) -> Result<Vec<Outcome>, StorageError> {
        let snapshot = self.kv.snapshot()?;
        if joined.len() > 1 {
            // What they are going to read is at hand then; what fails here fails again for the one whose it is.
            let _ = snapshot.get_many(&self.heads_of(joined)).await;
        }
        let mut edits = Edits::default();
        let mut outcomes = Vec::with_capacity(joined.len());
        let mut durability = None;
        for Waiting { document: place, write, .. } in joined.iter().map(Rc::as_ref) {
            let kind = Kind::Edits { force: write.force };
            let Some(document) = place.take() else { return Err(StorageError::Closed) };
            if joined.len() > 1 {
                place.set(Some(document.clone()));
            }
            // A single document that cannot be written has added nothing to the edits.
            let rows = self.add_documents(&mut edits, &snapshot, Vec::from([document]), kind).await;
            outcomes.push(rows.and_then(|mut rows| rows.pop().ok_or(WriteError::Conflict)));
            let asked = write.durability.unwrap_or(self.options.durability);
            durability = if durability == Some(Durability::Strict) { durability } else { Some(asked) };
        }
        let record = |(waiting, outcome): (&Rc<Waiting>, &Outcome)| {
            let (request, row) = (waiting.write.request?, outcome.as_ref().ok()?);
            Some(Record::of_rows(request, core::slice::from_ref(row)))
        };
        let records: Vec<Record> = joined.iter().zip(&outcomes).filter_map(record).collect();
        let write = WriteOptions { durability, ..WriteOptions::default() };
        self.commit_edits(&snapshot, edits, &write, &records).await?;
        Ok(outcomes)
    }
}
