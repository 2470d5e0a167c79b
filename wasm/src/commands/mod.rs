//! The methods that the page can call: JSON in, JSON out, with bytes behind it where contents of attachments cross.
//!
//! A table of names, and a file for each kind of method.

mod attachments;
mod changes;
mod consumers;
mod documents;
mod find;
mod follow;
mod paths;
mod replicate;
pub mod transactions;
mod upkeep;

pub use follow::Followed;

use std::rc::Rc;

use crate::engine::Opened;
use crate::failure::Failure;

/// Runs `method` on an open database. The answer is JSON; empty where there is nothing to say.
pub async fn run(engine: &Rc<Opened>, method: &str, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let database = &engine.database;
    match method {
        "put" => documents::put(database, payload).await,
        "remove" => documents::remove(database, payload).await,
        "get" => documents::get(database, payload).await,
        "openRevs" => documents::open_revs(database, payload).await,
        "bulkDocs" => documents::bulk_docs(database, payload).await,
        "bulkGet" => documents::bulk_get(database, payload).await,
        "allDocs" => documents::all_docs(database, payload).await,
        "changes" => changes::changes(database, payload).await,
        "openConsumer" => consumers::open(database, payload).await,
        "acknowledge" => consumers::acknowledge(database, payload).await,
        "removeConsumer" => consumers::remove(database, payload).await,
        "consumers" => consumers::list(database).await,
        "revsDiff" => changes::revs_diff(database, payload).await,
        "info" => changes::info(engine).await,
        "find" => find::find(database, payload).await,
        "value" => paths::value(database, payload).await,
        "count" => paths::count(database, payload).await,
        "distinct" => paths::distinct(database, payload).await,
        "paths" => paths::paths(database).await,
        "explain" => find::explain(database, payload).await,
        "begin" => transactions::begin(engine, payload).await,
        "operate" => transactions::operate(engine, payload).await,
        "commit" => transactions::commit(engine, payload).await,
        "abort" => transactions::abort(engine, payload),
        "live" => follow::live(engine, payload).await,
        "watch" => follow::watch(engine, payload).await,
        "followNext" => follow::next(engine, payload).await,
        "followEnd" => follow::end(engine, payload),
        "stage" => attachments::stage(database, payload).await,
        "unstage" => attachments::unstage(database, payload).await,
        "putAttachment" => attachments::put(database, payload).await,
        "getAttachment" => attachments::get(database, payload).await,
        "removeAttachment" => attachments::remove(database, payload).await,
        "compact" => upkeep::compact(engine).await,
        "purge" => upkeep::purge(database, payload).await,
        "replicate" => replicate::replicate(engine, payload).await,
        "cancelReplication" => replicate::cancel(engine, payload),
        "wakeReplications" => Ok(replicate::wake(engine)),
        _ => Err(Failure::bad_request(format!("there is no method {method:?}"))),
    }
}
