//! Attachments that are too long to go with their documents: each has a request of its own, and is stored as it arrives.
//!
//! A few are fetched at once. Their contents are staged part by part, so that memory holds a part of each and no more, and the
//! document is written when all are here. This happens while a batch is applied, since **a write that was begun is finished**.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use futures_util::future::{LocalBoxFuture, join_all};

use super::ReplicationError;
use super::attempt::Sink;
use super::documents::{Fetched, Stub};
use super::messages::percent_encoded;
use super::peer::{Peer, Reply, refusal};
use super::status::{Denied, Observer};
use crate::database::Database;
use crate::effects::{Clock, Method, Random, Transport};
use crate::json::{self, Object, Value};
use crate::storage::Kv;

/// Which of the attachments no revision of the document has here.
pub(super) async fn missing<K: Kv>(
    database: &Database<K>,
    id: &str,
    stubs: Vec<Stub>,
) -> Result<Vec<Stub>, ReplicationError> {
    if stubs.is_empty() {
        return Ok(stubs);
    }
    let here = database.attachments_known(id).await.map_err(|error| ReplicationError::Local(error.report()))?;
    let is_here = |stub: &Stub| here.iter().any(|(name, digest)| *name == stub.name && *digest == stub.digest);
    Ok(stubs.into_iter().filter(|stub| !is_here(stub)).collect())
}

/// Stages what arrives under a name.
struct Stage<'s, K> {
    database: &'s Database<K>,
    name: &'s str,
    length: Option<u64>,
}

impl<K: Kv> Sink for Stage<'_, K> {
    fn take<'s>(&'s self, position: u64, bytes: &'s [u8]) -> LocalBoxFuture<'s, Result<(), ReplicationError>> {
        Box::pin(async move {
            let staged = self.database.stage(self.name, position, bytes).await;
            staged.map_err(|error| ReplicationError::Local(error.report()))
        })
    }

    fn end(&self, length: u64) -> Result<(), ReplicationError> {
        match self.length {
            Some(expected) if expected != length => Err(ReplicationError::Malformed(format!(
                "an attachment has {length} bytes, and was said to have {expected}"
            ))),
            _ => Ok(()),
        }
    }
}

/// The text of a document that names the staged contents of its missing attachments, or why it cannot be written. `prefix`
/// begins the names of what is staged.
pub(super) async fn complete<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    peer: &Peer<'_, T, C, R, O>,
    document: &Fetched,
    text: &[u8],
    prefix: &str,
) -> Result<Result<Vec<u8>, Denied>, ReplicationError> {
    let stubs = missing(database, &document.id, document.stubs.clone()).await?;
    let names: Vec<String> = (0..stubs.len()).map(|place| format!("{prefix}{place}")).collect();
    let left = RefCell::new(stubs.iter().zip(&names));
    let replies = RefCell::new(Vec::with_capacity(stubs.len()));
    let fetch_one_by_one = async || {
        loop {
            let next = left.borrow_mut().next();
            let Some((stub, name)) = next else { break };
            let [id, attachment, rev] = [&document.id, &stub.name, &document.rev].map(|text| percent_encoded(text));
            let request = peer.request(Method::Get, format!("{id}/{attachment}?rev={rev}"), None);
            let reply = peer.download(&request, &Stage { database, name, length: stub.length }).await;
            if reply.is_err() {
                // The rest is not begun.
                left.borrow_mut().by_ref().for_each(drop);
            }
            replies.borrow_mut().push(reply);
        }
    };
    let workers = peer.options.limits.attachments_in_flight.clamp(1, stubs.len().max(1));
    // All come to their end, lest one be dropped while it stores what arrived.
    join_all((0..workers).map(|_| fetch_one_by_one())).await;
    for reply in replies.into_inner() {
        match reply? {
            Reply::Refused { status: 400 | 404 | 413 | 414, answer } => {
                let (id, rev) = (document.id.clone(), Some(document.rev.clone()));
                return Ok(Err(Denied { id, rev, error: answer.error, reason: answer.reason }));
            }
            Reply::Refused { status, answer } => return Err(refusal(status, answer)),
            Reply::Done(()) | Reply::TooLong => {}
        }
    }
    let Value::Object(mut members) = json::parse(text)? else { return Ok(Ok(text.into())) };
    if let Some(Value::Object(attachments)) = members.get_mut("_attachments") {
        for (stub, name) in stubs.iter().zip(&names) {
            if let Some(Value::Object(attachment)) = attachments.get_mut(&stub.name) {
                staged(attachment, name);
            }
        }
    }
    let mut text = Vec::with_capacity(text.len());
    json::write_object(&members, &mut text);
    Ok(Ok(text))
}

/// Turns a stub into one that names a staged content.
fn staged(attachment: &mut Object, name: &str) {
    attachment.remove("stub");
    attachment.remove("follows");
    attachment.insert("staged", name.into());
}
