//! The commit of a transaction, and what became of one whose answer was lost.
//!
//! A commit may carry a name, which no other commit of this database ever had. The name is stored in the same batch, in one
//! of so many slots that follow from the number of its last change, so that it is kept until as many changes have
//! followed. So whoever lost the answer, because the engine went away with it, can learn from the next one whether the commit
//! took effect.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Transaction, TransactionError};
use crate::database::commit::Edits;
use crate::database::write::add_new_edit;
use crate::database::{Database, Written};
use crate::document::keys;
use crate::storage::{Cursor, Direction, Durability, KeyRange, Kv, Overlay, Snapshot, StorageError};

/// How many changes a commit's name outlives, and how many names there are at most.
const SLOTS: u64 = 4096;

/// How a transaction is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// The durability; the database's own if there is none.
    pub durability: Option<Durability>,
    /// A name by which [`Database::fate`] knows the commit: random, a few dozen bytes.
    pub name: Option<Vec<u8>>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It took effect.
    Committed,
    /// It did not, and never will.
    NotCommitted,
    /// It is too long ago to tell.
    Forgotten,
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
        if let Some(mut staged) =
            edits.stage(&now, &self.index, state, self.options.revs_limit, self.subscribers.gather()).await?
        {
            if let Some(name) = &options.name {
                staged.batch.put(&keys::commit(staged.state.seq % SLOTS), name);
            }
            self.commit_staged(staged, options.durability).await?;
        }
        Ok(rows)
    }

    /// What became of the commit called `name` of a transaction that began at the sequence `since`, of which it is known
    /// that it is not under way any more.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn fate(&self, name: &[u8], since: &str) -> Result<Fate, StorageError> {
        let (seq, since) = {
            let state = self.state.borrow();
            (state.seq, state.resolve(since).unwrap_or(0))
        };
        let mut names = self.kv.snapshot()?.range(KeyRange::prefix(keys::commits()), Direction::Forward)?;
        while names.advance().await? {
            if names.value() == name {
                return Ok(Fate::Committed);
            }
        }
        // A commit in the same slot came at least so many changes later.
        Ok(if seq.saturating_sub(since) <= SLOTS { Fate::NotCommitted } else { Fate::Forgotten })
    }
}
