//! The class that JavaScript sees: opens a database, runs methods on it and closes it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use event_listener::Event;
use firkin_core::database::{Database, Request};
use firkin_core::effects::Clock;
use firkin_core::ordered::Map;
use firkin_core::replication::Control;
use firkin_core::storage::store::{LogStore, StoreOptions};
use js_sys::futures::spawn_local;
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::answer::ObjectWriter;
use crate::blocks::PlatformBlocks;
use crate::calls;
use crate::cancellation::Cancellation;
use crate::clock::BrowserClock;
use crate::commands::backup::Copy;
use crate::commands::transactions::Transactions;
use crate::commands::{self, Asked, Followed, requests};
use crate::failure::Failure;
use crate::host::Host;
use crate::indexeddb;
use crate::leases;
use crate::logic::HostLogic;
use crate::maintenance::{Activity, maintain};
use crate::options::{database_options, listener, policies, store_options};
use crate::payload::Payload;
use crate::random::CryptoRandom;
use crate::sequences::HostSequences;
use crate::settling::settle;

/// The one store that the engine is compiled for.
pub type Store = Database<LogStore<PlatformBlocks>>;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r"
/** What a promise of the engine is rejected with. */
export interface Failure {
  status: number;
  name: string;
  reason: string;
  code: string;
}
";

/// An open database.
#[wasm_bindgen]
pub struct Engine {
    // Empty once closed.
    opened: RefCell<Option<Rc<Opened>>>,
}

/// What an open database is made of.
pub struct Opened {
    /// The name that it was opened under.
    pub name: String,
    /// `indexeddb`, `opfs` or `memory`.
    pub storage: &'static str,
    /// The documents.
    pub database: Store,
    /// The page.
    pub host: Host,
    /// The replications under way, by the number that the page gave them.
    pub replications: RefCell<Map<u64, Control>>,
    /// The reads that are under way, as far as they have a name.
    pub reads: RefCell<Vec<(Request, Rc<Cancellation>)>>,
    /// The transactions that are open.
    pub transactions: RefCell<Transactions>,
    /// The copies that pages read.
    pub copies: RefCell<Vec<Rc<Copy>>>,
    /// Ends the watch over those two, if there is one.
    pub lease_watch: RefCell<Option<Rc<Cancellation>>>,
    /// What pages follow, by the number that the page gave it.
    pub followed: RefCell<Map<u64, Rc<Followed>>>,
    /// Set once the database is being closed.
    pub closing: Cancellation,
    /// Whether anything is asked of it just now.
    pub activity: Rc<Activity>,
    tasks: Cell<usize>,
    idle: Event,
}

#[wasm_bindgen]
impl Engine {
    /// Opens the database `name`, and creates it where there is none.
    ///
    /// `options` is JSON: `{ storage: 'indexeddb' | 'opfs' | 'memory', durability: 'relaxed' | 'strict', cacheBytes,
    /// revsLimit, documentBytesMax, index: { exclude }, logic, merge, mergeVersion, client, living, identity }`; with `logic`, the host is asked to
    /// `judge` whatever is to be written. `client` is who opens it, `living` are all that may be about to write, each in 16 hex
    /// digits. A database whose `identity` is given is there already: if it is gone, or another has its place, the promise is
    /// rejected with `gone`, and nothing is created. One in OPFS is opened with its `files`, as [`crate::opfs::open`] takes them.
    ///
    /// The host hears of `disconnected` when the storage is taken away from this engine, and of `closed` when another tab destroys
    /// or upgrades the database.
    #[wasm_bindgen(unchecked_return_type = "Promise<Engine>")]
    pub fn open(name: String, options: String, host: Host, files: Option<Array>) -> Promise {
        calls::promise(async move {
            let options = Payload::parse(options.as_bytes())?;
            let opened = Rc::new(Opened::open(name, &options, host, files).await?);
            spawn_local(tell_changes(Task::begin(&opened)));
            spawn_local(maintain(Task::begin(&opened)));
            spawn_local(settle(Task::begin(&opened)));
            Ok(Self { opened: RefCell::new(Some(opened)) }.into())
        })
    }

    /// The identity of this replica, in 32 hex digits; empty once closed.
    #[wasm_bindgen(getter)]
    pub fn identity(&self) -> String {
        self.opened.borrow().as_ref().map(|opened| opened.database.identity()).unwrap_or_default()
    }

    /// Runs `method`; `payload` and the answer are JSON in UTF-8, the answer may be empty. A few methods have bytes behind the
    /// JSON, which is then preceded by its length.
    ///
    /// A call that changes documents may say which `request` of which client it is: `client slot number`, the client in 16
    /// hex digits. `again` says that it may have been done by an engine before this one: then it is answered by what that did.
    #[wasm_bindgen(unchecked_return_type = "Promise<Uint8Array>")]
    pub fn call(&self, method: String, payload: Vec<u8>, request: Option<String>, again: bool) -> Promise {
        let task = self.opened.borrow().as_ref().map(Task::begin);
        calls::promise(async move {
            let task = task.ok_or_else(Failure::closed)?;
            let _call = task.opened.activity.begin(&method);
            let request = request.map(|words| requests::parse(&words)).transpose()?;
            let asked = Asked { payload: &payload, request, again };
            let answer = run(&task.opened, &method, &asked).await?;
            Ok(Uint8Array::from(answer.as_slice()).into())
        })
    }

    /// Ends the read that was asked for under this name, where it waits for the storage next: its promise is rejected. A write
    /// goes on.
    pub fn cancel(&self, request: &str) {
        if let Some(opened) = self.opened.borrow().as_ref()
            && let Ok(request) = requests::parse(request)
        {
            opened.reads.borrow().iter().filter(|(read, _)| *read == request).for_each(|(_, end)| end.cancel());
        }
    }

    /// Closes the database: replications end, calls that are under way complete, calls made from now on fail.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn close(&self) -> Promise {
        let opened = self.opened.take();
        calls::promise(async move {
            if let Some(opened) = opened {
                opened.close().await;
            }
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// Deletes the database `name` of IndexedDB, whether or not it exists.
#[wasm_bindgen(unchecked_return_type = "Promise<void>")]
pub fn destroy(name: String) -> Promise {
    calls::promise(async move {
        indexeddb::destroy(&name).await?;
        Ok(JsValue::UNDEFINED)
    })
}

/// The names of all databases in IndexedDB.
#[wasm_bindgen(unchecked_return_type = "Promise<string[]>")]
pub fn list() -> Promise {
    calls::promise(async move {
        let names = indexeddb::list().await?;
        Ok(names.iter().map(|name| JsValue::from_str(name)).collect::<Array>().into())
    })
}

impl Opened {
    async fn open(name: String, asked: &Payload<'_>, host: Host, files: Option<Array>) -> Result<Self, Failure> {
        let (store_options, options) = (store_options(asked)?, database_options(asked)?);
        let known = asked.text("identity")?;
        let storage_listener = host.clone();
        let on_event =
            move |name: &str, reason: &str| storage_listener.event(name, ObjectWriter::new().text("reason", reason));
        let blocks = PlatformBlocks::open(&name, asked, known.is_some(), files, on_event).await?;
        let storage = blocks.storage();
        let progress = listener(&host);
        let store_options = StoreOptions { progress: progress.clone(), ..store_options };
        let store = LogStore::open(blocks, store_options).await?;
        let mut database = Database::open_with(store, &CryptoRandom, options, progress).await?;
        if known.is_some_and(|known| known != database.identity()) {
            return Err(Failure::gone());
        }
        database = database.with_sequences(Rc::new(HostSequences(host.clone())));
        if asked.flag("logic")? {
            database = database.with_logic(Rc::new(HostLogic(host.clone())));
        }
        if let Some(policies) = policies(asked)? {
            database = database.with_policies(policies);
        }
        Ok(Self {
            name,
            storage,
            database,
            host,
            replications: RefCell::default(),
            reads: RefCell::default(),
            transactions: RefCell::default(),
            copies: RefCell::default(),
            lease_watch: RefCell::default(),
            followed: RefCell::default(),
            closing: Cancellation::default(),
            activity: Rc::default(),
            tasks: Cell::new(0),
            idle: Event::new(),
        })
    }

    /// Whether what takes long should end before it is done.
    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Ends all tasks; the database's connection is closed when this returns.
    async fn close(self: Rc<Self>) {
        self.closing.cancel();
        self.replications.borrow().iter().for_each(|(_, control)| control.cancel());
        self.transactions.take();
        self.copies.take();
        leases::release(&self);
        while self.tasks.get() > 0 {
            self.idle.listen().await;
        }
        self.database.kv().close().await;
    }
}

/// The methods that only read: each can be dropped wherever it is.
const READS: [&str; 14] = [
    "get",
    "openRevs",
    "bulkGet",
    "allDocs",
    "changes",
    "revsDiff",
    "find",
    "value",
    "count",
    "distinct",
    "paths",
    "explain",
    "getAttachment",
    "review",
];

/// Runs a method; one that only reads until it is cancelled.
async fn run(opened: &Rc<Opened>, method: &str, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let Some(name) = asked.request.filter(|_| READS.contains(&method)) else {
        return commands::run(opened, method, asked).await;
    };
    let end = Rc::new(Cancellation::default());
    opened.reads.borrow_mut().push((name, Rc::clone(&end)));
    let answer = end.unless_cancelled(commands::run(opened, method, asked)).await;
    opened.reads.borrow_mut().retain(|(_, other)| !Rc::ptr_eq(&end, other));
    answer.unwrap_or_else(|| Err(Failure::aborted()))
}

/// Something that goes on with an open database; closing waits for it.
pub struct Task {
    /// The database.
    pub opened: Rc<Opened>,
}

impl Task {
    fn begin(opened: &Rc<Opened>) -> Self {
        opened.tasks.set(opened.tasks.get() + 1);
        Self { opened: Rc::clone(opened) }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.opened.tasks.set(self.opened.tasks.get() - 1);
        self.opened.idle.notify(usize::MAX);
    }
}

/// After it has told of a commit, how long it gathers others, in milliseconds: telling costs as much as a small commit does.
const GATHER_MS: u64 = 8;

/// Tells the page of commits that changed documents, of one at once and of those that follow together, until the database is
/// closed.
async fn tell_changes(task: Task) {
    let opened = &task.opened;
    let mut changed = opened.database.changed();
    while opened.closing.unless_cancelled(changed).await.is_some() {
        // Listening comes before reading, so that a commit between the two is told as well.
        changed = opened.database.changed();
        leases::end_idle(opened);
        opened.activity.note();
        match opened.database.info().await {
            Ok(info) => opened.host.event("changed", ObjectWriter::new().text("last_seq", &info.update_seq)),
            // The page hears of it by its own calls.
            Err(_) => return,
        }
        if opened.closing.unless_cancelled(BrowserClock.sleep(GATHER_MS)).await.is_none() {
            return;
        }
    }
}
