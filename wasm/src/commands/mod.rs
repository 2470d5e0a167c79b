//! The methods that the page can call: JSON in, JSON out, with bytes behind it where contents of attachments cross.
//!
//! A table of names, and a file for each kind of method.

mod attachments;
pub mod backup;
mod changes;
mod consumers;
mod documents;
mod find;
mod follow;
mod paths;
mod replicate;
pub mod requests;
pub mod reviews;
pub mod transactions;
mod upkeep;

pub use follow::Followed;

use std::rc::Rc;

use firkin_core::database::Request;

use crate::engine::Opened;
use crate::failure::Failure;
use crate::settling;

/// What is asked of a method.
#[derive(Clone, Copy)]
pub struct Asked<'call> {
    /// JSON, maybe with bytes behind it.
    pub payload: &'call [u8],
    /// The request that it is, if it can be asked again.
    pub request: Option<Request>,
    /// It may have been done before this engine was opened.
    pub again: bool,
}

/// Runs `method` on an open database. The answer is JSON; empty where there is nothing to say.
pub async fn run(engine: &Rc<Opened>, method: &str, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let (database, Asked { payload, request, again }) = (&engine.database, *asked);
    if let (Some(request), true) = (&request, again)
        && let Some(done) = database.done(request).await?
    {
        return requests::answer(method, payload, &done);
    }
    match method {
        "put" => documents::put(database, asked).await,
        "remove" => documents::remove(database, asked).await,
        "get" => documents::get(database, payload).await,
        "openRevs" => documents::open_revs(database, payload).await,
        "bulkDocs" => documents::bulk_docs(database, asked).await,
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
        "commit" => transactions::commit(engine, asked).await,
        "abort" => transactions::abort(engine, payload),
        "live" => follow::live(engine, payload).await,
        "watch" => follow::watch(engine, payload).await,
        "reviews" => follow::reviews(engine, payload).await,
        "review" => reviews::review(database, payload).await,
        "mergeReview" => reviews::merge(database, asked).await,
        "revertMerge" => reviews::revert(database, asked).await,
        "followNext" => follow::next(engine, payload).await,
        "followEnd" => follow::end(engine, payload),
        "stage" => attachments::stage(database, payload).await,
        "unstage" => attachments::unstage(database, payload).await,
        "putAttachment" => attachments::put(database, asked).await,
        "getAttachment" => attachments::get(database, payload).await,
        "removeAttachment" => attachments::remove(database, asked).await,
        "backup" => backup::begin(engine, payload).await,
        "backupNext" => backup::next(engine, payload).await,
        "backupEnd" => backup::end(engine, payload),
        "settle" => settling::settle_now(engine).await,
        "compact" => upkeep::compact(engine).await,
        "purge" => upkeep::purge(database, asked).await,
        "clients" => requests::clients(database).await,
        "forgetClient" => requests::forget(database, payload).await,
        "replicate" => replicate::replicate(engine, payload).await,
        "cancelReplication" => replicate::cancel(engine, payload),
        "wakeReplications" => Ok(replicate::wake(engine)),
        _ => Err(Failure::bad_request(format!("there is no method {method:?}"))),
    }
}
