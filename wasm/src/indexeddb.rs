//! Blocks in IndexedDB.
//!
//! One IndexedDB database per Firkin database, named `firkin:` and its name, with one object store `blocks`: the key is a
//! block's number, the value its bytes as a `Uint8Array`. The store above packs many entries into a block, because IndexedDB
//! costs per record and not per byte.
//!
//! **One commit is one transaction**, its guard is checked inside it, and it is acknowledged by its `complete` event: nothing
//! is ever half-written. **A transaction is sent whole**, up to its end: a tab that is frozen while one is under way must not
//! hold it open, as all others would wait for it. So the guard is not read, which would take an answer, but is a record that the
//! commit adds and deletes again: whoever takes the database over leaves a *fence* with its predecessor's epoch as the key,
//! and adding what is there fails, and all of the transaction with it. Fences of owners that are gone are taken away.
//! A connection that the platform closes (storage cleared, a newer version, another tab that
//! destroys the database) answers [`StorageError::Closed`] from then on, and never reopens by itself.

use std::cell::Cell;
use std::fmt::Write;
use std::pin::pin;
use std::rc::Rc;

use firkin_core::effects::Clock;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::{Durability, StorageError};
use futures_util::future::{Either, select};
use js_sys::futures::JsFuture;
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction};

use crate::clock::BrowserClock;
use crate::js;

/// What the names of our IndexedDB databases start with.
const NAME_PREFIX: &str = "firkin:";
const STORE: &str = "blocks";
/// What the keys of fences start with, before the epoch in hex digits. They are text, and so no blocks.
const FENCE: &str = "fence ";
/// How many of the digits name the owner of the epoch.
const OWNER_DIGITS: usize = 16;
/// The version of the layout told above. The format of the blocks has a version of its own, in the manifest.
const LAYOUT_VERSION: u32 = 1;
/// How long opening or deleting may take, in milliseconds: it waits while another tab deletes, or holds on to, the database.
const WAIT_MS_MAX: u64 = 30_000;

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

    /// `IDBFactory` with `databases`, which web-sys lacks.
    #[wasm_bindgen(extends = IdbFactory)]
    type ListingFactory;
    #[wasm_bindgen(method, structural, catch)]
    fn databases(this: &ListingFactory) -> Result<Promise, JsValue>;
}

/// An open IndexedDB database that holds blocks.
pub struct IndexedDbBlocks {
    connection: IdbDatabase,
    closed: Rc<Cell<bool>>,
    living: Option<Vec<String>>,
    // The connection calls these for as long as it is open.
    _on_version_change: Closure<dyn FnMut()>,
    _on_close: Closure<dyn FnMut()>,
}

impl IndexedDbBlocks {
    /// Opens the database `name`, and creates it where there is none.
    ///
    /// `living` are the owners of epochs, in 16 hex digits, that can write as yet; an epoch begins with its owner. Where it is
    /// not known, all may. `on_lost` is called, with a reason for people, once the platform has taken the connection away.
    ///
    /// # Errors
    /// [`StorageError::Failed`] where there is no IndexedDB, access to it is denied, or another tab blocks it;
    /// [`StorageError::QuotaExceeded`] where there is no room for it.
    pub async fn open(
        name: &str,
        living: Option<Vec<String>>,
        on_lost: impl Fn(&str) + 'static,
    ) -> Result<Self, StorageError> {
        let request =
            factory()?.open_with_u32(&full_name(name), LAYOUT_VERSION).map_err(|error| storage_error(&error))?;
        let upgrading = request.clone();
        let on_upgrade = Closure::<dyn FnMut()>::new(move || {
            // Should this fail, then so does the first transaction, as the store is not there.
            if let Some(connection) = upgrading.result().ok().and_then(|result| result.dyn_into::<IdbDatabase>().ok()) {
                let _ = connection.create_object_store(STORE);
            }
        });
        request.set_onupgradeneeded(Some(on_upgrade.as_ref().unchecked_ref()));
        let opened = within_time_limit(&request, "opening").await?;
        let connection: IdbDatabase =
            opened.dyn_into().map_err(|_| StorageError::Failed("IndexedDB opened something else".into()))?;
        Ok(Self::watch(connection, living, on_lost))
    }

    fn watch(connection: IdbDatabase, living: Option<Vec<String>>, on_lost: impl Fn(&str) + 'static) -> Self {
        let closed = Rc::new(Cell::new(false));
        let on_lost = Rc::new(on_lost);
        let on_version_change = {
            let (connection, closed, on_lost) = (connection.clone(), Rc::clone(&closed), Rc::clone(&on_lost));
            Closure::<dyn FnMut()>::new(move || {
                // Whoever deletes or upgrades the database waits until the connections to it are closed.
                connection.close();
                if !closed.replace(true) {
                    on_lost("the database was destroyed or upgraded by another tab");
                }
            })
        };
        let on_close = {
            let closed = Rc::clone(&closed);
            Closure::<dyn FnMut()>::new(move || {
                if !closed.replace(true) {
                    on_lost("the browser closed the database, as it does when its data are cleared");
                }
            })
        };
        connection.set_onversionchange(Some(on_version_change.as_ref().unchecked_ref()));
        connection.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Self { connection, closed, living, _on_version_change: on_version_change, _on_close: on_close }
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

    async fn write(&self, transaction: &Transaction, sent: &Sent) -> Result<(), JsValue> {
        if sent.takes_over {
            self.fence_off(transaction).await?;
        }
        transaction.send(sent)
    }

    /// Keeps whoever has had the database from writing any more.
    async fn fence_off(&self, transaction: &Transaction) -> Result<(), JsValue> {
        let store = &transaction.store;
        let range = IdbKeyRange::bound(&FENCE.into(), &format!("{FENCE}g").into())?;
        let (epoch, fences) = (store.get(&number(BlockKey::epoch()))?, store.get_all_keys_with_key(&range)?);
        let fences = Array::from(&result(&fences).await?);
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
        if let Some(epoch) = js::bytes(&epoch.result()?) {
            let fence = fence(&epoch);
            if epoch.len() * 2 < OWNER_DIGITS || may_write(fence.strip_prefix(FENCE).unwrap_or_default()) {
                store.put_with_key(&JsValue::TRUE, &fence.into())?;
            }
        }
        Ok(())
    }
}

fn fence(epoch: &[u8]) -> String {
    epoch.iter().fold(FENCE.into(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

impl Drop for IndexedDbBlocks {
    fn drop(&mut self) {
        self.connection.set_onversionchange(None);
        self.connection.set_onclose(None);
        // Transactions that are under way end first.
        self.connection.close();
    }
}

impl Blocks for IndexedDbBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let transaction = self.begin("readonly", Durability::Relaxed)?;
        let requests: Vec<IdbRequest> = keys
            .iter()
            .map(|key| transaction.store.get(&number(*key)))
            .collect::<Result<_, _>>()
            .map_err(|error| self.explain(&error))?;
        transaction.end().map_err(|error| self.explain(&error))?;
        // Requests of a transaction are answered in order, so the last answer comes when all are there.
        if let Some(last) = requests.last() {
            result(last).await.map_err(|error| self.explain(&error))?;
        }
        let block = |(key, request): (&BlockKey, &IdbRequest)| {
            let value = request.result().map_err(|error| self.explain(&error))?;
            if value.is_undefined() {
                return Ok(None);
            }
            let foreign = || StorageError::Corrupt(format!("block {} holds something else than bytes", key.as_u64()));
            js::bytes(&value).map(Some).ok_or_else(foreign)
        };
        keys.iter().zip(&requests).map(block).collect()
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        let transaction = self.begin("readonly", Durability::Relaxed)?;
        let request = IdbKeyRange::bound(&number(first), &number(last))
            .and_then(|range| transaction.store.get_all_keys_with_key(&range))
            .and_then(|request| transaction.end().map(|()| request))
            .map_err(|error| self.explain(&error))?;
        let found = result(&request).await.map_err(|error| self.explain(&error))?;
        let foreign = || StorageError::Corrupt("the blocks have a key that is no number of a block".into());
        let found = found.dyn_into::<Array>().map_err(|_| foreign())?;
        found.iter().map(|key| block_key(&key).ok_or_else(foreign)).collect()
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        // All is made ready before the transaction begins, so that it is open for as short as can be.
        let sent = Sent::new(&batch);
        let transaction = self.begin("readwrite", durability)?;
        let guard = match &sent.fence {
            Some(fence) => Some(transaction.pass(fence).map_err(|error| self.explain(&error))?),
            None => None,
        };
        let written = self.write(&transaction, &sent).await;
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
        ended.map(drop).map_err(|_| match inner.error() {
            Some(error) => self.explain(&error),
            None => StorageError::Closed,
        })
    }
}

/// Whether a request failed because there is a record already.
fn failed_there(request: &IdbRequest) -> bool {
    request.error().is_ok_and(|error| error.is_some_and(|error| error.name() == "ConstraintError"))
}

/// A batch in the platform's values.
struct Sent {
    fence: Option<JsValue>,
    takes_over: bool,
    puts: Vec<(JsValue, JsValue)>,
    deletes: Vec<JsValue>,
}

impl Sent {
    fn new(batch: &BlockBatch) -> Self {
        Self {
            fence: batch.guard.as_ref().map(|(_, epoch)| fence(epoch).into()),
            takes_over: batch.puts.iter().any(|(key, _)| *key == BlockKey::epoch()),
            puts: batch
                .puts
                .iter()
                .map(|(key, block)| (number(*key), Uint8Array::from(block.as_slice()).into()))
                .collect(),
            deletes: batch.deletes.iter().map(|key| number(*key)).collect(),
        }
    }
}

/// A transaction and the future of its end.
struct Transaction {
    inner: IdbTransaction,
    store: IdbObjectStore,
    ended: JsFuture,
}

impl Transaction {
    /// Fails the transaction where there is this fence. The request tells of that.
    fn pass(&self, fence: &JsValue) -> Result<IdbRequest, JsValue> {
        let request = self.store.add_with_key(&JsValue::TRUE, fence)?;
        self.store.delete(fence)?;
        Ok(request)
    }

    fn send(&self, sent: &Sent) -> Result<(), JsValue> {
        for (key, block) in &sent.puts {
            self.store.put_with_key(block, key)?;
        }
        for key in &sent.deletes {
            self.store.delete(key)?;
        }
        self.end()
    }

    /// Nothing follows in it. Without this the transaction ends only when this thread has seen the answers.
    fn end(&self) -> Result<(), JsValue> {
        #[expect(deprecated, reason = "web-sys takes it for Mozilla's old extension; it is part of IndexedDB 3.0")]
        self.inner.commit()
    }
}

/// Deletes the database `name`, whether or not it exists. Connections of other tabs are told to close.
///
/// # Errors
/// [`StorageError::Failed`] where another tab does not let go of it.
pub async fn destroy(name: &str) -> Result<(), StorageError> {
    let request = factory()?.delete_database(&full_name(name)).map_err(|error| storage_error(&error))?;
    within_time_limit(&request, "deleting").await.map(drop)
}

/// The names of all databases of this origin, in no certain order.
///
/// # Errors
/// [`StorageError::Failed`] where there is no IndexedDB, or it does not say.
pub async fn list() -> Result<Vec<String>, StorageError> {
    let listing = factory()?.unchecked_into::<ListingFactory>().databases().map_err(|error| storage_error(&error))?;
    let found = JsFuture::from(listing).await.map_err(|error| storage_error(&error))?;
    let names = Array::from(&found).iter().map(|database| js::text(&database, "name")).collect::<Vec<_>>();
    Ok(names.iter().filter_map(|name| name.strip_prefix(NAME_PREFIX)).map(String::from).collect())
}

fn full_name(name: &str) -> String {
    format!("{NAME_PREFIX}{name}")
}

fn factory() -> Result<IdbFactory, StorageError> {
    let factory = js::global("indexedDB");
    if factory.is_undefined() || factory.is_null() {
        return Err(StorageError::Failed("IndexedDB is not available here".into()));
    }
    Ok(factory.unchecked_into())
}

fn number(key: BlockKey) -> JsValue {
    // Keys are below 2^53.
    JsValue::from_f64(key.as_u64() as f64)
}

fn block_key(value: &JsValue) -> Option<BlockKey> {
    let number = value.as_f64()?;
    let whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    whole.then_some(BlockKey::from_u64(number as u64))
}

/// The result of a request once it is there, or the request's error.
async fn result(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let settled = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(settled).await {
        Ok(_) => request.result(),
        Err(_) => Err(request.error()?.map_or(JsValue::UNDEFINED, JsValue::from)),
    }
}

/// The result of opening or deleting a database, which may wait for other tabs without an end.
async fn within_time_limit(request: &IdbOpenDbRequest, doing: &str) -> Result<JsValue, StorageError> {
    let clock = BrowserClock;
    let answer = pin!(result(request));
    match select(answer, pin!(clock.sleep(WAIT_MS_MAX))).await {
        Either::Left((answer, _)) => answer.map_err(|error| storage_error(&error)),
        Either::Right(_) => {
            close_when_open(request);
            Err(StorageError::Failed(format!(
                "{doing} the database is blocked by another tab that does not let go of it"
            )))
        }
    }
}

/// A connection that comes after all, when nobody waits for it any more, must not block others.
fn close_when_open(request: &IdbOpenDbRequest) {
    let late = request.clone();
    let close = Closure::once_into_js(move || {
        if let Some(connection) = late.result().ok().and_then(|result| result.dyn_into::<IdbDatabase>().ok()) {
            connection.close();
        }
    });
    request.set_onsuccess(Some(close.unchecked_ref()));
}

/// What an exception of the storage means.
pub(crate) fn storage_error(error: &JsValue) -> StorageError {
    match js::text(error, "name").as_str() {
        "QuotaExceededError" => StorageError::QuotaExceeded,
        // A transaction on a connection that is closing.
        "InvalidStateError" => StorageError::Closed,
        "SecurityError" => StorageError::Failed("access to storage is denied here".into()),
        "VersionError" => {
            // Browsers say both versions, for people. The greater is the one that is there.
            let message = js::text(error, "message");
            let numbers = message.split(|character: char| !character.is_ascii_digit());
            let found = numbers.filter_map(|digits| digits.parse().ok()).max().unwrap_or(0);
            StorageError::FormatTooNew { found: found.max(LAYOUT_VERSION + 1), supported: LAYOUT_VERSION }
        }
        _ => StorageError::Failed(js::describe(error)),
    }
}
