//! The commit of a transaction.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Transaction, TransactionError};
use crate::database::commit::Edits;
use crate::database::requests::Record;
use crate::database::write::add_new_edit;
use crate::database::{Database, Request, Written};
use crate::storage::{Durability, Kv, Overlay};

/// How a transaction is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// The durability; the database's own if there is none.
    pub durability: Option<Durability>,
    /// The request that asks for the commit: whether it was done, [`Database::done`] tells.
    pub request: Option<Request>,
}

impl<K: Kv<Snapshot: Overlay>> Database<K> {
    /// Validates what `transaction` has read, and writes what it has written; all of it, or nothing.
    ///
    /// # Errors
    /// [`TransactionError::Changed`]: the transaction is to be run again from its beginning. [`TransactionError::Write`]
    /// and [`TransactionError::Storage`]: it cannot be written.
    pub async fn commit(
        &self,
        mut transaction: Transaction<K::Snapshot>,
        options: &CommitOptions,
    ) -> Result<Vec<Written>, TransactionError> {
        transaction.check()?;
        if transaction.written.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = match transaction.turn.take() {
            Some(turn) => turn,
            None => self.turns.lock_arc().await,
        };
        let _writer = self.writer.lock().await;
        let now = self.kv.snapshot()?;
        let Transaction { base, seq, reads, written, .. } = transaction;
        let ids = reads.changed(&base, seq, &now).await?;
        // What was purged has no row that could be looked at, but may have been read.
        if !ids.is_empty() || self.purge_seq.get() > seq {
            return Err(TransactionError::Changed { ids });
        }
        // No document that was written has changed, so each edit comes out as it did before.
        let mut edits = Edits::default();
        let mut rows = Vec::with_capacity(written.len());
        for document in written {
            let id = document.id.clone();
            let rev = add_new_edit(edits.of(&now, &id).await?, &now, &self.staging, document, false).await?;
            rows.push(Written { id, rev: rev.to_string() });
        }
        let state = self.state.borrow().clone();
        let (limit, changes) = (self.options.revs_limit, self.subscribers.gather());
        if let Some(staged) = edits.stage(&now, &self.index, state, limit, changes, &self.progress).await? {
            self.commit_staged(staged, options.durability, options.request.map(Record::of).as_slice()).await?;
        }
        Ok(rows)
    }
}
