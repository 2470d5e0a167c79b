//! Fetches documents from the peer: by `_bulk_get`, or one by one where the peer does not know that.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use super::ReplicationError;
use super::feed::Wanted;
use super::messages::{Documents, bulk_get_body, percent_encoded, strings_json};
use super::peer::{Peer, Reply, refusal};
use super::status::{Denied, Observer};
use crate::effects::{Clock, Method, Random, Transport};
use crate::sorting::sort_by;

/// How many revisions one `open_revs` asks for: they stand in the URL.
const OPEN_REVS_MAX: usize = 40;
/// What a document is taken to weigh before one was seen, in bytes.
const DOCUMENT_BYTES_GUESS: usize = 4 << 10;

/// What a step brought.
#[derive(Default)]
pub(super) struct Batch {
    /// The bodies of answers and the documents in them.
    pub(super) answers: Vec<(Vec<u8>, Documents)>,
    /// What the peer would not give.
    pub(super) failures: Vec<Denied>,
}

/// Fetches from one peer and learns how.
pub(super) struct Fetch<'f, 'a, T, C, R, O> {
    pub(super) peer: &'f Peer<'a, T, C, R, O>,
    knows_bulk_get: Cell<bool>,
    /// What a document weighed of late, in bytes.
    document_bytes: Cell<usize>,
}

impl<'f, 'a, T: Transport, C: Clock, R: Random, O: Observer> Fetch<'f, 'a, T, C, R, O> {
    pub(super) fn new(peer: &'f Peer<'a, T, C, R, O>) -> Self {
        Self { peer, knows_bulk_get: Cell::new(true), document_bytes: Cell::new(DOCUMENT_BYTES_GUESS) }
    }

    /// How many documents make a batch of about the right size.
    pub(super) fn batch_documents(&self) -> usize {
        let limits = &self.peer.options.limits;
        (limits.batch_bytes / self.document_bytes.get().max(1)).clamp(1, limits.batch_documents.max(1))
    }

    /// Fetches what is wanted. What the peer does not give is among the failures.
    pub(super) async fn fetch(&self, wanted: Vec<Wanted>) -> Result<Batch, ReplicationError> {
        let mut batch = Batch::default();
        let mut parts = if wanted.is_empty() { vec![] } else { vec![wanted] };
        while let Some(part) = parts.pop() {
            if !self.knows_bulk_get.get() {
                self.fetch_each(part, &mut batch).await?;
                continue;
            }
            let body = bulk_get_body(part.iter().map(|(id, rev)| (id, rev)));
            let request =
                self.peer.request(Method::Post, "_bulk_get?revs=true&latest=true&attachments=true", Some(body));
            let read = |body: Vec<u8>| Documents::read_bulk_get(&body).map(|documents| (body, documents));
            match self.peer.call(&request, read).await? {
                Reply::Done((body, documents)) => self.accept(part, body, documents, &mut batch).await?,
                Reply::Refused { status: 404 | 405 | 501, answer } if !is_database_missing(&answer.reason) => {
                    self.knows_bulk_get.set(false);
                    parts.push(part);
                }
                refused => parts.extend(split(part, refused, &mut batch)?),
            }
        }
        Ok(batch)
    }

    /// Takes an answer in. What it passes over in silence is asked for by itself, so that nothing is lost to a peer that
    /// leaves rows out.
    async fn accept(
        &self,
        part: Vec<Wanted>,
        body: Vec<u8>,
        documents: Documents,
        batch: &mut Batch,
    ) -> Result<(), ReplicationError> {
        if !documents.found.is_empty() {
            self.document_bytes.set(body.len() / documents.found.len() + 1);
        }
        let missing = documents.missing.iter().map(|missing| &missing.id);
        let mut answered: Vec<&String> = documents.found.iter().map(|found| &found.id).chain(missing).collect();
        sort_by(&mut answered, |left, right| left.cmp(right));
        let passed_over: Vec<Wanted> =
            part.into_iter().filter(|(id, _)| answered.binary_search(&id).is_err()).collect();
        batch.add(body, documents);
        self.fetch_each(passed_over, batch).await
    }

    /// Fetches document by document.
    async fn fetch_each(&self, mut wanted: Vec<Wanted>, batch: &mut Batch) -> Result<(), ReplicationError> {
        sort_by(&mut wanted, |left, right| left.0.cmp(&right.0));
        for of_document in wanted.chunk_by(|left, right| left.0 == right.0) {
            let id = of_document.first().map(|(id, _)| id.as_str()).unwrap_or_default();
            let mut parts: Vec<Vec<Wanted>> = of_document.chunks(OPEN_REVS_MAX).map(<[Wanted]>::to_vec).collect();
            while let Some(part) = parts.pop() {
                let revs = percent_encoded(&strings_json(part.iter().map(|(_, rev)| rev)));
                let path = format!("{}?revs=true&latest=true&attachments=true&open_revs={revs}", percent_encoded(id));
                let read = |body: Vec<u8>| Documents::read_open_revs(&body, id).map(|documents| (body, documents));
                match self.peer.call(&self.peer.request(Method::Get, path, None), read).await? {
                    Reply::Done((body, documents)) => batch.add(body, documents),
                    Reply::Refused { status: 404, answer } if !is_database_missing(&answer.reason) => {
                        batch.failures.extend(part.into_iter().map(|part| denied(part, "not_found", &answer.reason)));
                    }
                    refused => parts.extend(split(part, refused, batch)?),
                }
            }
        }
        Ok(())
    }
}

impl Batch {
    fn add(&mut self, body: Vec<u8>, mut documents: Documents) {
        self.failures.append(&mut documents.missing);
        if !documents.found.is_empty() {
            self.answers.push((body, documents));
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
