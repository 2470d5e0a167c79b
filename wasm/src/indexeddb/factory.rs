//! IndexedDB as a whole: opening, deleting and listing databases, and what its exceptions mean.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use firkin_core::effects::Clock;
use firkin_core::storage::StorageError;
use futures_util::future::{Either, select};
use js_sys::futures::JsFuture;
use js_sys::{Array, Promise};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbFactory, IdbOpenDbRequest};

use super::{STORE, result};
use crate::clock::BrowserClock;
use crate::js;

/// What the names of our IndexedDB databases start with.
const NAME_PREFIX: &str = "firkin:";
/// The version of the layout that indexeddb.rs tells. The format of the blocks has a version of its own, in the manifest.
const LAYOUT_VERSION: u32 = 1;
/// How long opening or deleting may take, in milliseconds: it waits while another tab deletes, or holds on to, the database.
const WAIT_MS_MAX: u64 = 30_000;

#[wasm_bindgen]
extern "C" {
    /// `IDBFactory` with `databases`, which web-sys lacks.
    #[wasm_bindgen(extends = IdbFactory)]
    type ListingFactory;
    #[wasm_bindgen(method, structural, catch)]
    fn databases(this: &ListingFactory) -> Result<Promise, JsValue>;
}

/// Opens the database `name`, and creates it where there is none; one that is `known` is not created, and `None` if it is gone. `on_lost` is
/// called with what the browser says where it has lost all that the origin had: Chromium tells who opens a database first.
pub(super) async fn open(
    name: &str,
    known: bool,
    on_lost: impl Fn(&str) + 'static,
) -> Result<Option<IdbDatabase>, StorageError> {
    let request = factory()?.open_with_u32(&full_name(name), LAYOUT_VERSION).map_err(|error| storage_error(&error))?;
    let is_new = Rc::new(Cell::new(false));
    let (upgrading, noted) = (request.clone(), Rc::clone(&is_new));
    let on_upgrade = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
        noted.set(true);
        if js::text(&event, "dataLoss") == "total" {
            on_lost(&js::text(&event, "dataLossMessage"));
        }
        // Should this fail, then so does the first transaction, as the store is not there.
        if known {
            let _ = upgrading.transaction().map(|transaction| transaction.abort());
        } else if let Some(connection) =
            upgrading.result().ok().and_then(|result| result.dyn_into::<IdbDatabase>().ok())
        {
            let _ = connection.create_object_store(STORE);
        }
    });
    request.set_onupgradeneeded(Some(on_upgrade.as_ref().unchecked_ref()));
    let opened = within_time_limit(&request, "opening").await;
    if known && is_new.get() {
        return Ok(None);
    }
    opened?.dyn_into().map(Some).map_err(|_| StorageError::Failed("IndexedDB opened something else".into()))
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

/// A connection that comes after all, when nobody waits for it any more, must not block others, nor leave a database half made.
fn close_when_open(request: &IdbOpenDbRequest) {
    let upgrading = request.clone();
    let abort = Closure::once_into_js(move || {
        let _ = upgrading.transaction().map(|transaction| transaction.abort());
    });
    request.set_onupgradeneeded(Some(abort.unchecked_ref()));
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
        // A transaction on a connection that is closing, and a request on one that was closed under it.
        "InvalidStateError" | "AbortError" => StorageError::Closed,
        // So WebKit says it where its process that keeps the data has died.
        "UnknownError" if js::text(error, "message").contains("server lost") => StorageError::Closed,
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
