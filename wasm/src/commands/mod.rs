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

use std::future::{Future, ready};
use std::pin::Pin;
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

/// What a method comes to. Each is a function of its own in the module: as parts of one, all would have to be compiled before the first call
/// of any.
type Answer<'call> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Failure>> + 'call>>;

/// Runs `method` on an open database. The answer is JSON; empty where there is nothing to say.
pub async fn run(engine: &Rc<Opened>, method: &str, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    if let (Some(request), true) = (&asked.request, asked.again)
        && let Some(done) = engine.database.done(request).await?
    {
        return requests::answer(method, asked.payload, &done);
    }
    begin(engine, method, asked).await
}

fn begin<'call>(engine: &'call Rc<Opened>, method: &str, asked: &'call Asked<'call>) -> Answer<'call> {
    let (database, payload) = (&engine.database, asked.payload);
    match method {
        "put" => Box::pin(documents::put(database, asked)),
        "remove" => Box::pin(documents::remove(database, asked)),
        "get" => Box::pin(documents::get(database, payload)),
        "openRevs" => Box::pin(documents::open_revs(database, payload)),
        "bulkWrite" => Box::pin(documents::bulk_write(database, asked)),
        "bulkDocs" => Box::pin(documents::bulk_docs(database, asked)),
        "bulkGet" => Box::pin(documents::bulk_get(database, payload)),
        "allDocs" => Box::pin(documents::all_docs(database, payload)),
        "changes" => Box::pin(changes::changes(database, payload)),
        "openConsumer" => Box::pin(consumers::open(database, payload)),
        "acknowledge" => Box::pin(consumers::acknowledge(database, payload)),
        "removeConsumer" => Box::pin(consumers::remove(database, payload)),
        "consumers" => Box::pin(consumers::list(database)),
        "revsDiff" => Box::pin(changes::revs_diff(database, payload)),
        "info" => Box::pin(changes::info(engine)),
        "find" => Box::pin(find::find(database, payload)),
        "value" => Box::pin(paths::value(database, payload)),
        "count" => Box::pin(paths::count(database, payload)),
        "distinct" => Box::pin(paths::distinct(database, payload)),
        "paths" => Box::pin(paths::paths(database)),
        "explain" => Box::pin(find::explain(database, payload)),
        "begin" => Box::pin(transactions::begin(engine, payload)),
        "operate" => Box::pin(transactions::operate(engine, payload)),
        "commit" => Box::pin(transactions::commit(engine, asked)),
        "abort" => Box::pin(ready(transactions::abort(engine, payload))),
        "live" => Box::pin(follow::live(engine, payload)),
        "watch" => Box::pin(follow::watch(engine, payload)),
        "reviews" => Box::pin(follow::reviews(engine, payload)),
        "review" => Box::pin(reviews::review(database, payload)),
        "mergeReview" => Box::pin(reviews::merge(database, asked)),
        "revertMerge" => Box::pin(reviews::revert(database, asked)),
        "followNext" => Box::pin(follow::next(engine, payload)),
        "followEnd" => Box::pin(ready(follow::end(engine, payload))),
        "stage" => Box::pin(attachments::stage(database, payload)),
        "unstage" => Box::pin(attachments::unstage(database, payload)),
        "putAttachment" => Box::pin(attachments::put(database, asked)),
        "getAttachment" => Box::pin(attachments::get(database, payload)),
        "removeAttachment" => Box::pin(attachments::remove(database, asked)),
        "backup" => Box::pin(backup::begin(engine, payload)),
        "backupNext" => Box::pin(backup::next(engine, payload)),
        "backupEnd" => Box::pin(ready(backup::end(engine, payload))),
        "settle" => Box::pin(settling::settle_now(engine)),
        "compact" => Box::pin(upkeep::compact(engine)),
        "purge" => Box::pin(upkeep::purge(database, asked)),
        "clients" => Box::pin(requests::clients(database)),
        "forgetClient" => Box::pin(requests::forget(database, payload)),
        "replicate" => Box::pin(replicate::replicate(engine, payload)),
        "cancelReplication" => Box::pin(ready(replicate::cancel(engine, payload))),
        "wakeReplications" => Box::pin(ready(Ok(replicate::wake(engine)))),
        _ => Box::pin(ready(Err(Failure::bad_request(format!("there is no method {method:?}"))))),
    }
}
