//! Fetches documents from the peer: by `_bulk_get`, or one by one where the peer does not know that.
//!
//! They are asked for without the data of their attachments. Of what is missing here the short ones are fetched with their
//! documents, once more, many in one request; long ones are left to [`attachments`](super::attachments).

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::mem;

use super::ReplicationError;
use super::attachments::missing;
use super::documents::{Documents, Fetched};
use super::feed::Wanted;
use super::messages::{bulk_get_body, percent_encoded, strings_json};
use super::pace::Pace;
use super::peer::{Peer, Reply, refusal};
use super::status::{Denied, Observer};
use crate::database::Database;
use crate::effects::{Clock, Method, Random, Transport};
use crate::sorting::sort_by;
use crate::storage::Kv;

/// How many revisions one `open_revs` asks for: they stand in the URL.
const OPEN_REVS_MAX: usize = 40;
/// What a document is taken to weigh before one was seen, in bytes.
const DOCUMENT_BYTES_GUESS: usize = 4 << 10;

/// Asks for revisions, or what has become of them, without the data of attachments.
const STUBS: &str = "revs=true&latest=true";
/// Asks for these revisions and no others, without the data of attachments.
const EXACTLY: &str = "revs=true";
/// Asks for revisions whole.
const WHOLE: &str = "revs=true&attachments=true";

/// What a step asks for.
pub(super) struct Wants {
    pub(super) wanted: Vec<Wanted>,
    /// What came with the page of the feed.
    pub(super) given: Vec<Fetched>,
    /// The page.
    pub(super) page: Rc<Vec<u8>>,
    /// Documents of which it is to be looked whether they still match, with the leaves that the peer has.
    pub(super) listed: Vec<Listed>,
}

/// A document and its leaves.
pub(super) type Listed = (String, Vec<String>);

/// What a step brought.
#[derive(Default)]
pub(super) struct Batch {
    /// The bodies of answers and the documents in them. Their stubs are what is missing here.
    pub(super) answers: Vec<(Rc<Vec<u8>>, Vec<Fetched>)>,
    /// What the peer would not give.
    pub(super) failures: Vec<Denied>,
    /// As in [`Wants`].
    pub(super) listed: Vec<Listed>,
}

/// Fetches from one peer and learns how.
pub(super) struct Fetch<'f, 'a, K, T, C, R, O> {
    database: &'f Database<K>,
    pub(super) peer: &'f Peer<'a, T, C, R, O>,
    knows_bulk_get: Cell<bool>,
    /// What a document weighed of late, in bytes.
    document_bytes: Cell<usize>,
    pace: Pace,
}

impl<'f, 'a, K: Kv, T: Transport, C: Clock, R: Random, O: Observer> Fetch<'f, 'a, K, T, C, R, O> {
    pub(super) fn new(database: &'f Database<K>, peer: &'f Peer<'a, T, C, R, O>) -> Self {
        let document_bytes = Cell::new(DOCUMENT_BYTES_GUESS);
        let pace = Pace::new(peer.options.limits.batch_bytes);
        Self { database, peer, knows_bulk_get: Cell::new(true), document_bytes, pace }
    }

    /// A document weighs about so many bytes.
    pub(super) fn weighs(&self, bytes: usize) {
        self.document_bytes.set(bytes);
    }

    /// How many documents make a batch of about the right size.
    pub(super) fn batch_documents(&self) -> usize {
        let documents_max = self.peer.options.limits.batch_documents.max(1);
        (self.pace.bytes() / self.document_bytes.get().max(1)).clamp(1, documents_max)
    }

    /// Fetches what is wanted. What the peer does not give is among the failures.
    pub(super) async fn fetch(&self, wants: Wants) -> Result<Batch, ReplicationError> {
        let Wants { wanted, given, page, listed } = wants;
        let mut batch = Batch { listed, ..Batch::default() };
        batch.add(page, given);
        self.fetch_all(wanted, STUBS, batch).await
    }

    /// Fetches these revisions, be they leaves or not, as far as the peer has them still.
    pub(super) async fn fetch_as_they_are(&self, wanted: Vec<Wanted>) -> Result<Batch, ReplicationError> {
        self.fetch_all(wanted, EXACTLY, Batch::default()).await
    }

    async fn fetch_all(&self, wanted: Vec<Wanted>, query: &str, mut batch: Batch) -> Result<Batch, ReplicationError> {
        let parts = if wanted.is_empty() { vec![] } else { vec![wanted] };
        self.fetch_parts(parts, query, &mut batch).await?;
        let small = self.take_small(&mut batch).await?;
        self.fetch_parts(small, WHOLE, &mut batch).await?;
        Ok(batch)
    }

    async fn fetch_parts(
        &self,
        mut parts: Vec<Vec<Wanted>>,
        query: &str,
        batch: &mut Batch,
    ) -> Result<(), ReplicationError> {
        while let Some(part) = parts.pop() {
            if !self.knows_bulk_get.get() {
                self.fetch_each(part, query, batch).await?;
                continue;
            }
            let body = bulk_get_body(part.iter().map(|(id, rev)| (id, rev)));
            let request = self.peer.request(Method::Post, format!("_bulk_get?{query}"), Some(body));
            let read = |body: Vec<u8>| Documents::read_bulk_get(&body).map(|documents| (body, documents));
            let began_ms = self.peer.effects.clock.now_ms();
            match self.peer.call(&request, read).await? {
                Reply::Done((body, documents)) => {
                    self.pace.answered(began_ms, self.peer.effects.clock);
                    self.accept(part, query, body, documents, batch).await?;
                }
                Reply::Refused { status: 404 | 405 | 501, answer } if !is_database_missing(&answer.reason) => {
                    self.knows_bulk_get.set(false);
                    parts.push(part);
                }
                refused => parts.extend(split(part, refused, batch)?),
            }
        }
        Ok(())
    }

    /// Takes an answer in. What it passes over in silence is asked for by itself, so that nothing is lost to a peer that
    /// leaves rows out.
    async fn accept(
        &self,
        part: Vec<Wanted>,
        query: &str,
        body: Vec<u8>,
        mut documents: Documents,
        batch: &mut Batch,
    ) -> Result<(), ReplicationError> {
        if !documents.found.is_empty() && query == STUBS {
            self.weighs(body.len() / documents.found.len() + 1);
        }
        let missing = documents.missing.iter().map(|missing| &missing.id);
        let mut answered: Vec<&String> = documents.found.iter().map(|found| &found.id).chain(missing).collect();
        sort_by(&mut answered, |left, right| left.cmp(right));
        let passed_over: Vec<Wanted> =
            part.into_iter().filter(|(id, _)| answered.binary_search(&id).is_err()).collect();
        batch.failures.append(&mut documents.missing);
        batch.add(Rc::new(body), documents.found);
        self.fetch_each(passed_over, query, batch).await
    }

    /// Fetches document by document.
    async fn fetch_each(
        &self,
        mut wanted: Vec<Wanted>,
        query: &str,
        batch: &mut Batch,
    ) -> Result<(), ReplicationError> {
        sort_by(&mut wanted, |left, right| left.0.cmp(&right.0));
        for of_document in wanted.chunk_by(|left, right| left.0 == right.0) {
            let id = of_document.first().map(|(id, _)| id.as_str()).unwrap_or_default();
            let mut parts: Vec<Vec<Wanted>> = of_document.chunks(OPEN_REVS_MAX).map(<[Wanted]>::to_vec).collect();
            while let Some(part) = parts.pop() {
                let revs = percent_encoded(&strings_json(part.iter().map(|(_, rev)| rev)));
                let path = format!("{}?{query}&open_revs={revs}", percent_encoded(id));
                let read = |body: Vec<u8>| Documents::read_open_revs(&body, id).map(|documents| (body, documents));
                match self.peer.call(&self.peer.request(Method::Get, path, None), read).await? {
                    Reply::Done((body, mut documents)) => {
                        batch.failures.append(&mut documents.missing);
                        batch.add(Rc::new(body), documents.found);
                    }
                    Reply::Refused { status: 404, answer } if !is_database_missing(&answer.reason) => {
                        batch.failures.extend(part.into_iter().map(|part| denied(part, "not_found", &answer.reason)));
                    }
                    refused => parts.extend(split(part, refused, batch)?),
                }
            }
        }
        Ok(())
    }

    /// Looks which attachments of what came are missing here, and takes out the documents whose missing ones are all short: in
    /// parts of about the right size.
    async fn take_small(&self, batch: &mut Batch) -> Result<Vec<Vec<Wanted>>, ReplicationError> {
        let limits = &self.peer.options.limits;
        let (mut parts, mut part, mut part_bytes) = (Vec::new(), Vec::new(), 0);
        for (_, found) in &mut batch.answers {
            let mut kept = Vec::with_capacity(found.len());
            for mut document in mem::take(found) {
                document.stubs = missing(self.database, &document.id, document.stubs).await?;
                let long =
                    |stub: &super::documents::Stub| stub.length.is_none_or(|length| length > limits.inline_bytes);
                let bytes: u64 = document.stubs.iter().filter_map(|stub| stub.length).sum();
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                if document.stubs.is_empty() || document.stubs.iter().any(long) || bytes > self.pace.bytes() {
                    kept.push(document);
                    continue;
                }
                if !part.is_empty() && part_bytes + bytes > self.pace.bytes() {
                    parts.push(mem::take(&mut part));
                    part_bytes = 0;
                }
                part_bytes += bytes;
                part.push((document.id, document.rev));
            }
            *found = kept;
        }
        if !part.is_empty() {
            parts.push(part);
        }
        Ok(parts)
    }
}

impl Batch {
    fn add(&mut self, body: Rc<Vec<u8>>, found: Vec<Fetched>) {
        if !found.is_empty() {
            self.answers.push((body, found));
        }
    }
}

fn is_database_missing(reason: &str) -> bool {
    matches!(reason, "Database does not exist." | "no_db_file")
}

fn denied((id, rev): Wanted, error: &str, reason: &str) -> Denied {
    Denied { id, rev: Some(rev), error: error.to_string(), reason: reason.to_string() }
}

/// Halves what the peer could not answer at once; a single revision is set aside.
fn split<P>(mut part: Vec<Wanted>, refused: Reply<P>, batch: &mut Batch) -> Result<Vec<Vec<Wanted>>, ReplicationError> {
    let (error, reason) = match refused {
        Reply::Refused { status: 400 | 413 | 414, answer } => (answer.error, answer.reason),
        Reply::Refused { answer, .. } if is_database_missing(&answer.reason) => {
            return Err(ReplicationError::NoDatabase);
        }
        Reply::Refused { status, answer } => return Err(refusal(status, answer)),
        Reply::TooLong => ("too_large".into(), "the document is longer than the options allow".into()),
        Reply::Done(_) => return Ok(vec![]),
    };
    if part.len() > 1 {
        let rest = part.split_off(part.len() / 2);
        return Ok(vec![rest, part]);
    }
    batch.failures.extend(part.into_iter().map(|part| denied(part, &error, &reason)));
    Ok(vec![])
}
