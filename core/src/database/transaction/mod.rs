//! Transactions: reads and writes of several documents as one serializable step.
//!
//! A transaction reads from the snapshot with which it began, thought further by what it has written itself: what it
//! writes is staged as a commit would be, and laid over the snapshot ([`Overlay`]), so that every read sees it, by
//! whatever path. It keeps note of all that it reads: documents by id, whether they are there or not, and queries with
//! the part of their order that was seen.
//!
//! A commit takes the writer's lock and walks the changes since the snapshot. If none of them touches what was read,
//! the reads would come out alike now, and so all of it counts as done now, at one moment: **a committed transaction
//! has seen and done what it would have with no other beside it**. Else nothing is written, and whoever began it
//! runs its body again. Nothing is locked meanwhile, so a transaction that is dropped leaves nothing behind.
//!
//! A transaction that only reads commits without a look: it counts as done when it began.
//!
//! Who loses again and again can begin in turn: commits of others wait then until that transaction has ended, or its
//! turn is taken from it. Writes beside transactions wait for nobody.

mod commit;
mod error;
mod reads;

pub use commit::CommitOptions;
pub use error::TransactionError;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use async_lock::{Mutex, MutexGuardArc};

use super::commit::Edits;
use super::judge::Kind;
use super::read::get_in;
use super::value::value_in;
use super::write::{add_new_edit, tombstone};
use super::{Database, FindPage, GetOptions, WriteError, Written};
use crate::document::{Document, DocumentError, check_id, is_local};
use crate::index::PathIndex;
use crate::json::{self, Object, Patch, Value};
use crate::path::Path;
use crate::query::FindQuery;
use crate::storage::{Kv, Overlay, StorageError};
use reads::Reads;

/// Whose commits go first. A guard of it is a turn.
pub(super) type Turns = Arc<Mutex<()>>;

/// A transaction over snapshots of type `S`. All calls name the database that it began on.
pub struct Transaction<S> {
    /// The database as it was in the beginning.
    base: S,
    /// The number of a change that `base` shows, and of which it shows all before.
    seq: u64,
    /// `base` and on top what was written here, except what is `fresh`.
    view: S,
    /// The index of `view`, once it may differ from that of the database.
    index: Option<PathIndex>,
    /// What was written since `view` was made.
    fresh: Edits,
    /// All that was written, in order.
    written: Vec<Document>,
    reads: Reads,
    /// What was written may be missing in `view`: a call that was to add it failed, or was dropped.
    is_unsettled: bool,
    turn: Option<MutexGuardArc<()>>,
}

impl<K: Kv<Snapshot: Overlay>> Database<K> {
    /// Begins a transaction.
    ///
    /// # Errors
    /// What the storage reports.
    pub fn begin(&self) -> Result<Transaction<K::Snapshot>, StorageError> {
        // The state is read first: of a commit in between, the transaction only believes that it came later.
        let seq = self.state.borrow().seq;
        let base = self.kv.snapshot()?;
        Ok(Transaction {
            view: base.clone(),
            base,
            seq,
            index: None,
            fresh: Edits::default(),
            written: Vec::new(),
            reads: Reads::default(),
            is_unsettled: false,
            turn: None,
        })
    }

    /// As [`begin`](Self::begin), once no other transaction is in its turn. No other commits until this one has ended, or
    /// [`end_turn`](Transaction::end_turn) is called: whoever begins so sees to it that one of them comes soon.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn begin_in_turn(&self) -> Result<Transaction<K::Snapshot>, StorageError> {
        let turn = self.turns.lock_arc().await;
        Ok(Transaction { turn: Some(turn), ..self.begin()? })
    }
}

impl<S: Overlay> Transaction<S> {
    /// The JSON text of a document, as [`Database::get`] gives it.
    ///
    /// # Errors
    /// [`TransactionError::Read`], and [`TransactionError::Local`] for a local document.
    pub async fn get<K: Kv<Snapshot = S>>(
        &mut self,
        database: &Database<K>,
        id: &str,
        get: &GetOptions,
    ) -> Result<Vec<u8>, TransactionError> {
        self.look_at(database, id).await?;
        Ok(get_in(&self.view, id, get).await?)
    }

    /// The JSON text of what stands at `path` of a document, as [`Database::get_value`] gives it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_value<K: Kv<Snapshot = S>>(
        &mut self,
        database: &Database<K>,
        id: &str,
        path: &Path,
    ) -> Result<Option<Vec<u8>>, TransactionError> {
        self.look_at(database, id).await?;
        Ok(value_in(&self.view, id, path).await?)
    }

    /// Answers a query, as [`Database::find`] does.
    ///
    /// # Errors
    /// [`TransactionError::Query`].
    pub async fn find<K: Kv<Snapshot = S>>(
        &mut self,
        database: &Database<K>,
        query: FindQuery,
    ) -> Result<FindPage, TransactionError> {
        self.settle(database).await?;
        let index = self.index.as_ref().unwrap_or(&database.index);
        let page = database.find_in(index, &self.view, &query).await?;
        self.reads.add_query(query, &page);
        Ok(page)
    }

    /// Writes a new revision of a document, as [`Database::put`] does, except that nobody else sees it before the commit.
    /// The revision is the one that it will have then.
    ///
    /// # Errors
    /// [`TransactionError::Write`], [`TransactionError::Local`]: this document is not written, the transaction goes on.
    pub async fn put<K: Kv<Snapshot = S>>(
        &mut self,
        database: &Database<K>,
        document: &[u8],
    ) -> Result<Written, TransactionError> {
        let document = Document::parse(document, database.options.document_bytes_max).map_err(WriteError::from)?;
        self.write(database, document).await
    }

    /// Writes a tombstone as the child of the leaf `rev`.
    ///
    /// # Errors
    /// As [`put`](Self::put), and [`WriteError::NotFound`].
    pub async fn remove<K: Kv<Snapshot = S>>(
        &mut self,
        database: &Database<K>,
        id: &str,
        rev: &str,
    ) -> Result<Written, TransactionError> {
        check_id(id).map_err(WriteError::from)?;
        self.look_at(database, id).await?;
        let tombstone = tombstone(&self.view, id, rev).await?;
        self.write(database, tombstone).await
    }

    /// Changes the winning revision of a document by a JSON Patch, of which `patch` is the text. Its places are those of
    /// the document's own members: what starts with an underscore at the top is out of its reach.
    ///
    /// # Errors
    /// [`TransactionError::Patch`], and those of [`get`](Self::get) and [`put`](Self::put); the document stays as it is.
    pub async fn patch<K: Kv<Snapshot = S>>(
        &mut self,
        database: &Database<K>,
        id: &str,
        patch: &[u8],
    ) -> Result<Written, TransactionError> {
        let bytes_max = database.options.document_bytes_max;
        let patch = Patch::parse(&json::parse(patch).map_err(DocumentError::from).map_err(WriteError::from)?)?;
        let mut names = patch.places().filter_map(|place| place.tokens().first());
        if let Some(name) = names.find(|name| name.starts_with('_')) {
            return Err(WriteError::from(DocumentError::UnknownMember(name.clone())).into());
        }
        let text = self.get(database, id, &GetOptions::default()).await?;
        let (special, own) = take_apart(&text)?;
        let Value::Object(own) = patch.apply(&Value::Object(own), bytes_max)? else {
            return Err(WriteError::from(DocumentError::NotAnObject).into());
        };
        if let Some((name, _)) = own.iter().find(|(name, _)| name.starts_with('_')) {
            return Err(WriteError::from(DocumentError::UnknownMember(name.into())).into());
        }
        let mut document = special;
        document.append(own);
        let mut text = Vec::new();
        json::write_object(&document, &mut text);
        self.put(database, &text).await
    }

    /// Others may commit before this one has ended.
    pub fn end_turn(&mut self) {
        self.turn = None;
    }

    /// Takes down that the document called `id` is read.
    fn note(&mut self, id: &str) -> Result<(), TransactionError> {
        self.check()?;
        if is_local(id) {
            return Err(TransactionError::Local);
        }
        self.reads.add_document(id);
        Ok(())
    }

    /// Has the view show the document called `id`, which is about to be read.
    async fn look_at<K: Kv<Snapshot = S>>(&mut self, database: &Database<K>, id: &str) -> Result<(), TransactionError> {
        self.note(id)?;
        if self.fresh.has(id) {
            self.settle(database).await?;
        }
        Ok(())
    }

    async fn write<K: Kv<Snapshot = S>>(
        &mut self,
        database: &Database<K>,
        document: Document,
    ) -> Result<Written, TransactionError> {
        self.note(&document.id)?;
        let kind = Kind::Edits { force: false };
        let judged = database.judge(&mut self.fresh, &self.view, Vec::from([document]), kind).await?.pop();
        let document = judged.unwrap_or(Err(WriteError::Conflict))?;
        let edit = self.fresh.of(&self.view, &document.id).await?;
        let rev = add_new_edit(edit, &self.view, &database.staging, document.clone(), false).await?;
        let written = Written { id: document.id.clone(), rev: rev.to_string() };
        self.written.push(document);
        Ok(written)
    }

    /// Has the view show all that was written.
    async fn settle<K: Kv<Snapshot = S>>(&mut self, database: &Database<K>) -> Result<(), StorageError> {
        self.check()?;
        if self.fresh.is_empty() {
            return Ok(());
        }
        // Numbers that are given here are given to other paths by other commits, so nobody may hear of them.
        let index = self.index.get_or_insert_with(|| PathIndex::new(database.index.exclusions.clone()));
        let state = database.state.borrow().clone();
        self.is_unsettled = true;
        let (fresh, limit) = (core::mem::take(&mut self.fresh), database.options.revs_limit);
        if let Some(staged) = fresh.stage(&self.view, index, state, limit, None, &database.progress).await? {
            self.view = self.view.with(staged.batch)?;
        }
        self.is_unsettled = false;
        Ok(())
    }

    /// Refuses what would be answered without all that was written.
    fn check(&self) -> Result<(), StorageError> {
        if self.is_unsettled {
            return Err(StorageError::Failed(String::from("the transaction failed before, and cannot go on")));
        }
        Ok(())
    }
}

/// The members of a document with an underscore, and its own.
fn take_apart(document: &[u8]) -> Result<(Object, Object), StorageError> {
    let Ok(Value::Object(mut own)) = json::parse(document) else {
        return Err(StorageError::Corrupt(format!("a document of {} bytes is no JSON", document.len())));
    };
    let mut special = own.clone();
    special.retain(|name, _| name.starts_with('_'));
    own.retain(|name, _| !name.starts_with('_'));
    Ok((special, own))
}
