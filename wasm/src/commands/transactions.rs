//! Transactions: each is kept by the name that the page gave it, from `begin` to `commit` or `abort`.
//!
//! Operations of one transaction are done one after the other, in the order in which they came. **A transaction that
//! nobody uses any more ends**: the leader aborts those of a page that is gone, and one that was not used for a minute is over
//! (`leases.rs`). Whoever asks for one that is not here is told so by `transaction_gone`; nothing of it was written, and nothing ever will be.
//!
//! A commit that is asked for again, of an engine that does not know the transaction, is answered before it comes here if it
//! took effect (`requests.rs`).

use std::rc::Rc;

use async_lock::Mutex;
use firkin_core::database::{CommitOptions, Transaction, TransactionError};
use firkin_core::effects::Clock;
use firkin_core::error::ErrorReport;
use firkin_core::path::Path;
use firkin_core::query::FindQuery;
use firkin_core::storage::Kv;
use firkin_core::storage::store::LogStore;
use js_sys::futures::spawn_local;

use super::{Asked, documents, find};
use crate::answer::ObjectWriter;
use crate::blocks::PlatformBlocks;
use crate::clock::BrowserClock;
use crate::engine::Opened;
use crate::failure::Failure;
use crate::leases::{self, Lease};
use crate::payload::{self, Payload};

/// How long others wait for a transaction in its turn.
const TURN_MS_MAX: u64 = 1_000;
/// How long a name may be.
const NAME_BYTES_MAX: usize = 64;

/// The transactions that are open; there are few.
pub type Transactions = Vec<Rc<Open>>;

type Snapshot = <LogStore<PlatformBlocks> as Kv>::Snapshot;

/// An open transaction.
pub struct Open {
    name: String,
    /// Empty until it has begun.
    transaction: Mutex<Option<Transaction<Snapshot>>>,
    pub lease: Lease,
}

/// `{ transaction, turn }` →: begins the transaction of this name; with `turn` once no other is in its turn.
pub async fn begin(engine: &Rc<Opened>, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let (name, turn) = (name(&payload)?, payload.flag("turn")?);
    let open = Rc::new(Open { name, transaction: Mutex::new(None), lease: Lease::begin() });
    engine.transactions.borrow_mut().push(Rc::clone(&open));
    leases::watch(engine);
    let mut place = open.transaction.lock().await;
    let transaction = match turn {
        true => engine.database.begin_in_turn().await?,
        false => engine.database.begin()?,
    };
    *place = Some(transaction);
    open.lease.renew();
    if turn {
        let open = Rc::downgrade(&open);
        spawn_local(async move {
            BrowserClock.sleep(TURN_MS_MAX).await;
            if let Some(open) = open.upgrade()
                && let Some(transaction) = open.transaction.lock().await.as_mut()
            {
                transaction.end_turn();
            }
        });
    }
    Ok(Vec::new())
}

/// `{ transaction, operation: 'get' | 'find' | 'put' | 'remove' | 'patch', ... }` → what the operation answers outside of
/// transactions. What it takes: `{ id, options }` or `{ id, path }`, `{ query }`, `{ doc }`, `{ id, rev }`, `{ id, patch }`.
pub async fn operate(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let name = name(&payload)?;
    leases::end_idle(engine);
    let open = engine.transactions.borrow().iter().find(|open| open.name == name).cloned().ok_or_else(gone)?;
    let mut place = open.transaction.lock().await;
    let transaction = place.as_mut().ok_or_else(gone)?;
    let database = &engine.database;
    let id = || payload.required_text("id");
    let answer = match payload.required_text("operation")?.as_str() {
        "get" => match payload.text("path")? {
            Some(path) => {
                transaction.get_value(database, &id()?, &Path::parse(&path)).await.map(Option::unwrap_or_default)
            }
            None => transaction.get(database, &id()?, &documents::get_options(&payload)?).await,
        },
        "find" => {
            let query = FindQuery::parse(payload.required_json("query")?.as_bytes())?;
            transaction.find(database, query).await.map(find::page)
        }
        "put" => {
            let document = payload.required_json("doc")?.as_bytes();
            transaction.put(database, document).await.map(|row| documents::written(&row))
        }
        "remove" => {
            let rev = payload.text("rev")?.unwrap_or_default();
            transaction.remove(database, &id()?, &rev).await.map(|row| documents::written(&row))
        }
        "patch" => {
            let patch = payload.required_json("patch")?.as_bytes();
            transaction.patch(database, &id()?, patch).await.map(|row| documents::written(&row))
        }
        other => return Err(Failure::bad_request(format!("a transaction has no operation {other:?}"))),
    };
    open.lease.renew();
    Ok(answer?)
}

/// `{ transaction, options: { durability } }` → `{}`, or `{ changed: [id, ...] }` where it is to be run again
pub async fn commit(engine: &Opened, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let name = name(&payload)?;
    let durability = payload.object("options")?.durability("durability")?;
    leases::end_idle(engine);
    let open = take(engine, &name).ok_or_else(gone)?;
    let transaction = open.transaction.lock().await.take().ok_or_else(gone)?;
    let options = CommitOptions { durability, request: asked.request };
    match engine.database.commit(transaction, &options).await {
        Ok(_) => Ok(committed()),
        Err(TransactionError::Changed { ids }) => Ok(ObjectWriter::new().texts("changed", &ids).finish()),
        Err(error) => Err(error.into()),
    }
}

/// What is said of a transaction that took effect.
pub fn committed() -> Vec<u8> {
    ObjectWriter::new().finish()
}

/// `{ transaction }` →
pub fn abort(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    take(engine, &name(&Payload::parse(payload)?)?);
    Ok(Vec::new())
}

fn take(engine: &Opened, name: &str) -> Option<Rc<Open>> {
    let place = engine.transactions.borrow().iter().position(|open| open.name == name)?;
    let open = engine.transactions.borrow_mut().swap_remove(place);
    leases::release(engine);
    Some(open)
}

fn name(payload: &Payload<'_>) -> Result<String, Failure> {
    let name = payload.required_text("transaction")?;
    if name.len() > NAME_BYTES_MAX {
        Err(payload::wrong("transaction", "a name of 64 bytes at most"))
    } else {
        Ok(name)
    }
}

fn gone() -> Failure {
    Failure(ErrorReport::new(503, "transaction_gone", "the transaction is not known here"))
}
