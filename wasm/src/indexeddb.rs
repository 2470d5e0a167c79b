//! Blocks in IndexedDB.
//!
//! One IndexedDB database per Firkin database, named `firkin:` and its name, with one object store `blocks`: the key is a
//! block's number, the value its bytes as a `Uint8Array`. The store above packs many entries into a block, because IndexedDB
//! costs per record and not per byte.
//!
//! **One commit is one transaction**, its guard is checked inside it, and it is acknowledged by its `complete` event: nothing
//! is ever half-written. **A transaction is sent whole**, up to its end: a tab that is frozen while one is under way must not
//! hold it open, as all others would wait for it. (One exception: the transaction that takes a database over reads what to fence off.) So the guard is not looked at before the rest is sent, but is a record that the
//! commit adds and deletes again: whoever takes the database over leaves a *fence* with its predecessor's epoch as the key,
//! and adding what is there fails, and all of the transaction with it. Fences of owners that are gone are taken away. These two
//! requests cost half as much as the rest of a small commit: new blocks are added without them, and the epoch is read beside
//! that.
//! A connection that the platform closes (storage cleared, a newer version, another tab that
//! destroys the database) answers [`StorageError::Closed`] from then on, and never reopens by itself.

mod factory;
mod transaction;

use std::cell::Cell;
use std::rc::Rc;
use std::slice;

use firkin_core::effects::Clock;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks, Looked};
use firkin_core::storage::{Durability, StorageError};
use js_sys::futures::JsFuture;
use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbKeyRange, IdbRequest, IdbTransaction};

use crate::clock::BrowserClock;
use crate::js;
pub(crate) use factory::storage_error;
use transaction::{Sent, Transaction, block, block_key, failed_there, fence, number, range, result, rows};

pub use factory::{destroy, list};

const STORE: &str = "blocks";
/// What the keys of fences start with, before the epoch in hex digits. They are text, and so no blocks.
const FENCE: &str = "fence ";
/// So many blocks with consecutive keys are read by one request.
const ROW_MIN: usize = 3;
/// How many of the digits name the owner of the epoch.
const OWNER_DIGITS: usize = 16;
/// How long after a failure the platform may yet tell that it closed the connection, in milliseconds. Chromium that clears a
/// site's data fails what is under way with an `UnknownError` first.
const CLOSE_DELAY_MS: u64 = 100;

#[wasm_bindgen]
extern "C" {
    /// `IDBDatabase` with the third argument of `transaction`, which web-sys keeps behind its unstable API.
    #[wasm_bindgen(extends = IdbDatabase)]
    type DurableDatabase;
    #[wasm_bindgen(method, structural, catch)]
    fn transaction(
        this: &DurableDatabase,
        store: &str,
        mode: &str,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;
}

/// Called with the name of what has happened, and a reason for people.
type Listener = dyn Fn(&str, &str);

/// An open IndexedDB database that holds blocks.
pub struct IndexedDbBlocks {
    connection: IdbDatabase,
    closed: Rc<Cell<bool>>,
    living: Option<Vec<String>>,
    on_event: Rc<Listener>,
    // The connection calls these for as long as it is open.
    _on_version_change: Closure<dyn FnMut()>,
    _on_close: Closure<dyn FnMut()>,
}

impl IndexedDbBlocks {
    /// Opens the database `name`, and creates it where there is none. One that is `known` to be there is not created: this answers
    /// `None` if it is gone.
    ///
    /// `living` are the owners of epochs, in 16 hex digits, that can write as yet; an epoch begins with its owner. Where it is
    /// not known, all may. `on_event` is called with a name and a reason for people: `disconnected` once the platform has
    /// taken the connection away, `closed` if another tab destroys or upgrades the database, `lost` if the browser says that it has lost
    /// all that the origin had, and `writes` before the database is taken over, which its first write does at the latest.
    ///
    /// # Errors
    /// [`StorageError::Failed`] where there is no IndexedDB, access to it is denied, or another tab blocks it;
    /// [`StorageError::QuotaExceeded`] where there is no room for it; [`StorageError::Closed`] where the connection is lost
    /// meanwhile.
    pub async fn open(
        name: &str,
        known: bool,
        living: Option<Vec<String>>,
        on_event: impl Fn(&str, &str) + 'static,
    ) -> Result<Option<Self>, StorageError> {
        let on_event: Rc<Listener> = Rc::new(on_event);
        let told = Rc::clone(&on_event);
        let connection = factory::open(name, known, move |reason| told("lost", reason)).await?;
        Ok(connection.map(|connection| Self::watch(connection, living, on_event)))
    }

    fn watch(connection: IdbDatabase, living: Option<Vec<String>>, on_event: Rc<Listener>) -> Self {
        let closed = Rc::new(Cell::new(false));
        let on_version_change = {
            let (connection, closed, on_event) = (connection.clone(), Rc::clone(&closed), Rc::clone(&on_event));
            Closure::<dyn FnMut()>::new(move || {
                // Whoever deletes or upgrades the database waits until the connections to it are closed.
                connection.close();
                if !closed.replace(true) {
                    on_event("closed", "the database was destroyed or upgraded by another tab");
                }
            })
        };
        let on_close = {
            let (closed, on_event) = (Rc::clone(&closed), Rc::clone(&on_event));
            Closure::<dyn FnMut()>::new(move || {
                if !closed.replace(true) {
                    on_event("disconnected", "the browser closed the database");
                }
            })
        };
        connection.set_onversionchange(Some(on_version_change.as_ref().unchecked_ref()));
        connection.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Self { connection, closed, living, on_event, _on_version_change: on_version_change, _on_close: on_close }
    }

    fn begin(&self, mode: &str, durability: Durability) -> Result<Transaction, StorageError> {
        if self.closed.get() {
            return Err(StorageError::Closed);
        }
        let hint = match durability {
            Durability::Relaxed => "relaxed",
            Durability::Strict => "strict",
        };
        let options = Object::new();
        let begin = || {
            Reflect::set(&options, &"durability".into(), &hint.into())?;
            let inner = self.connection.unchecked_ref::<DurableDatabase>().transaction(STORE, mode, &options)?;
            let store = inner.object_store(STORE)?;
            Ok((inner, store))
        };
        let (inner, store) = begin().map_err(|error| self.explain(&error))?;
        let ended = Promise::new(&mut |resolve, reject| {
            inner.set_oncomplete(Some(&resolve));
            inner.set_onabort(Some(&reject));
        });
        Ok(Transaction { inner, store, ended: JsFuture::from(ended) })
    }

    /// As [`storage_error`]; whatever fails on a connection that was taken away fails because of that.
    fn explain(&self, error: &JsValue) -> StorageError {
        if self.closed.get() { StorageError::Closed } else { storage_error(error) }
    }

    /// The same failure; or the connection's end, if that comes to light now.
    async fn settle(&self, failure: StorageError) -> StorageError {
        if matches!(failure, StorageError::Failed(_)) {
            BrowserClock.sleep(CLOSE_DELAY_MS).await;
        }
        if self.closed.get() { StorageError::Closed } else { failure }
    }

    /// Why a transaction was aborted.
    fn reason(&self, transaction: &IdbTransaction) -> StorageError {
        transaction.error().map_or(StorageError::Closed, |error| self.explain(&error))
    }

    /// Adds new blocks. Where the guard does not hold they stay, if they are there, and this fails.
    async fn add(
        &self,
        transaction: Transaction,
        sent: &Sent,
        guard: Option<(BlockKey, Vec<u8>)>,
    ) -> Result<(), StorageError> {
        let send = || {
            let store = &transaction.store;
            let guarded = guard.as_ref().map(|(key, _)| store.get(&number(*key))).transpose()?;
            let added: Vec<IdbRequest> =
                sent.puts.iter().map(|(key, block)| store.add_with_key(block, key)).collect::<Result<_, _>>()?;
            transaction.end()?;
            Ok((guarded, added))
        };
        let sent = send();
        let Transaction { inner, ended, .. } = transaction;
        let (guarded, added) = sent.map_err(|error: JsValue| {
            let _ = inner.abort();
            self.explain(&error)
        })?;
        if ended.await.is_err() {
            let is_fenced = added.iter().any(failed_there);
            return Err(if is_fenced { StorageError::Fenced } else { self.reason(&inner) });
        }
        let found = guarded.and_then(|request| request.result().ok()).and_then(|value| js::bytes(&value));
        if guard.is_none_or(|(_, expected)| found == Some(expected)) { Ok(()) } else { Err(StorageError::Fenced) }
    }

    /// Takes the database over; from the one of an epoch only, where that is the guard.
    async fn take_over(
        &self,
        transaction: Transaction,
        sent: &Sent,
        since: Option<(BlockKey, Vec<u8>)>,
    ) -> Result<(), StorageError> {
        let since = since.as_ref().map(|(_, epoch)| epoch.as_slice());
        let written = match self.fence_off(&transaction, since).await {
            Ok(true) => transaction.send(sent).map_err(|error| self.explain(&error)),
            Ok(false) => Err(StorageError::Fenced),
            Err(error) => Err(self.explain(&error)),
        };
        if written.is_err() {
            // It may have aborted by itself already, which is as good.
            let _ = transaction.inner.abort();
        }
        let Transaction { inner, ended, .. } = transaction;
        let ended = ended.await;
        written?;
        ended.map(drop).map_err(|_| self.reason(&inner))
    }

    /// Keeps whoever has had the database from writing any more. `false`, and nothing is done, where that is not the one of the epoch
    /// `since`.
    async fn fence_off(&self, transaction: &Transaction, since: Option<&[u8]>) -> Result<bool, JsValue> {
        let store = &transaction.store;
        let range = IdbKeyRange::bound(&FENCE.into(), &format!("{FENCE}g").into())?;
        let (epoch, fences) = (store.get(&number(BlockKey::epoch()))?, store.get_all_keys_with_key(&range)?);
        let fences = Array::from(&result(&fences).await?);
        let epoch = js::bytes(&epoch.result()?);
        if since.is_some() && epoch.as_deref() != since {
            return Ok(false);
        }
        let may_write = |digits: &str| match &self.living {
            Some(living) => living.iter().any(|owner| digits.starts_with(owner.as_str())),
            None => true,
        };
        for fence in fences.iter() {
            let digits = fence.as_string().unwrap_or_default();
            if !may_write(digits.strip_prefix(FENCE).unwrap_or_default()) {
                store.delete(&fence)?;
            }
        }
        if let Some(epoch) = epoch {
            let fence = fence(&epoch);
            if epoch.len() * 2 < OWNER_DIGITS || may_write(fence.strip_prefix(FENCE).unwrap_or_default()) {
                store.put_with_key(&JsValue::TRUE, &fence.into())?;
            }
        }
        Ok(true)
    }
}

impl Drop for IndexedDbBlocks {
    fn drop(&mut self) {
        self.connection.set_onversionchange(None);
        self.connection.set_onclose(None);
        // Transactions that are under way end first.
        self.connection.close();
    }
}

impl IndexedDbBlocks {
    /// The blocks; so many with consecutive keys, or more, are read by one request.
    async fn try_read(&self, keys: &[BlockKey], row_min: usize) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let transaction = self.begin("readonly", Durability::Relaxed)?;
        let send = || {
            let mut requests = Vec::new();
            for row in rows(keys) {
                match row {
                    [first, .., last] if row.len() >= row_min => {
                        let range = range(*first, *last)?;
                        requests.push((row, transaction.store.get_all_with_key(&range)?));
                    }
                    _ => {
                        for key in row {
                            requests.push((slice::from_ref(key), transaction.store.get(&number(*key))?));
                        }
                    }
                }
            }
            transaction.end()?;
            Ok(requests)
        };
        let requests: Vec<(&[BlockKey], IdbRequest)> = send().map_err(|error| self.explain(&error))?;
        // Requests of a transaction are answered in order, so the last answer comes when all are there.
        if let Some((_, last)) = requests.last() {
            result(last).await.map_err(|error| self.explain(&error))?;
        }
        let mut blocks = Vec::with_capacity(keys.len());
        for (row, request) in requests {
            let answer = request.result().map_err(|error| self.explain(&error))?;
            if let [key] = row {
                blocks.push(block(*key, &answer)?);
                continue;
            }
            let found: Array = answer.unchecked_into();
            if found.length() as usize != row.len() {
                // Some are not there, and the answer does not say which.
                return Box::pin(self.try_read(keys, usize::MAX)).await;
            }
            for (key, value) in row.iter().zip(found.iter()) {
                blocks.push(block(*key, &value)?);
            }
        }
        Ok(blocks)
    }

    async fn try_look(&self, keys: &[BlockKey], ranges: &[(BlockKey, BlockKey)]) -> Result<Looked, StorageError> {
        let transaction = self.begin("readonly", Durability::Relaxed)?;
        let send = || {
            let store = &transaction.store;
            let blocks: Vec<IdbRequest> = keys.iter().map(|key| store.get(&number(*key))).collect::<Result<_, _>>()?;
            let list =
                |(first, last): &(BlockKey, BlockKey)| store.get_all_keys_with_key(&range(*first, *last)?.into());
            let lists: Vec<IdbRequest> = ranges.iter().map(list).collect::<Result<_, JsValue>>()?;
            transaction.end()?;
            Ok((blocks, lists))
        };
        let (blocks, lists) = send().map_err(|error: JsValue| self.explain(&error))?;
        // Requests of a transaction are answered in order.
        if let Some(last) = lists.last().or(blocks.last()) {
            result(last).await.map_err(|error| self.explain(&error))?;
        }
        let answer = |request: &IdbRequest| request.result().map_err(|error| self.explain(&error));
        let read =
            keys.iter().zip(&blocks).map(|(key, request)| block(*key, &answer(request)?)).collect::<Result<_, _>>()?;
        let foreign = || StorageError::Corrupt("the blocks have a key that is no number of a block".into());
        let list = |request: &IdbRequest| {
            let found = answer(request)?.dyn_into::<Array>().map_err(|_| foreign())?;
            found.iter().map(|key| block_key(&key).ok_or_else(foreign)).collect()
        };
        Ok(Looked { blocks: read, keys: lists.iter().map(list).collect::<Result<_, _>>()? })
    }

    async fn try_commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        // All is made ready before the transaction begins, so that it is open for as short as can be.
        let sent = Sent::new(&batch).map_err(|error| self.explain(&error))?;
        if sent.takes_over {
            (self.on_event)("writes", "the database is about to be taken over");
        }
        let transaction = self.begin("readwrite", durability)?;
        if batch.are_new && batch.deletes.is_empty() {
            return self.add(transaction, &sent, batch.guard).await;
        }
        if sent.takes_over {
            return self.take_over(transaction, &sent, batch.guard).await;
        }
        let guard = match &sent.fence {
            Some(fence) => Some(transaction.pass(fence).map_err(|error| self.explain(&error))?),
            None => None,
        };
        let written = transaction.send(&sent);
        if written.is_err() {
            // It may have aborted by itself already, which is as good.
            let _ = transaction.inner.abort();
        }
        let Transaction { inner, ended, .. } = transaction;
        let ended = ended.await;
        if ended.is_err() && guard.is_some_and(|guard| failed_there(&guard)) {
            return Err(StorageError::Fenced);
        }
        written.map_err(|error| self.explain(&error))?;
        ended.map(drop).map_err(|_| self.reason(&inner))
    }
}

impl Blocks for IndexedDbBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        match self.try_read(keys, ROW_MIN).await {
            Err(failure) => Err(self.settle(failure).await),
            found => found,
        }
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        Ok(self.look(&[], &[(first, last)]).await?.keys.pop().unwrap_or_default())
    }

    async fn look(&self, keys: &[BlockKey], ranges: &[(BlockKey, BlockKey)]) -> Result<Looked, StorageError> {
        match self.try_look(keys, ranges).await {
            Err(failure) => Err(self.settle(failure).await),
            found => found,
        }
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        match self.try_commit(batch, durability).await {
            Err(failure) => Err(self.settle(failure).await),
            done => done,
        }
    }

    fn has_rivals(&self) -> bool {
        self.living.as_ref().is_none_or(|living| living.len() > 1)
    }

    fn is_undisputed(&self) -> bool {
        !self.has_rivals()
    }
}
