//! Pushing: the changes here are brought to the peer.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::mem;
use core::pin::pin;

use futures_util::future::{Either, select};

use super::checkpoint::{Checkpoints, Direction};
use super::messages::{ErrorAnswer, RefusedRow, Sequence, bulk_docs_body, percent_encoded, read_refused};
use super::multipart::Multipart;
use super::offer::{self, Offered};
use super::options::Options;
use super::pace::Pace;
use super::parcel::Parcel;
use super::peer::{Peer, Reply, refusal};
use super::pipeline;
use super::status::{Denied, Observer, Status};
use super::{Effects, ReplicationError, waiting};
use crate::database::Database;
use crate::effects::{Clock, Method, Random, Transport};
use crate::hex::hex;
use crate::storage::Kv;

/// Brings the changes of `database` to the peer's: all leaves of every document with their ancestry. Returns when all is
/// there or, if live, when cancelled; a replication that was cancelled is no error.
///
/// # Errors
/// What ended it. What the peer took until then stays, and the next push goes on from the latest checkpoint.
pub async fn push<K: Kv<Snapshot: 'static>, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    effects: &Effects<'_, T, C, R, O>,
    options: &Options,
) -> Result<Status, ReplicationError> {
    let peer = Peer::new(effects, options, false);
    let mut counts = pin!(waiting::count(database, &peer));
    let result = match select(pin!(run(database, &peer)), counts.as_mut()).await {
        Either::Left((result, _)) => result,
        // What cannot be counted is not told; what has begun is finished.
        Either::Right((_, run)) => run.await,
    };
    pipeline::conclude(&peer, result)
}

async fn run<K: Kv<Snapshot: 'static>, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    peer: &Peer<'_, T, C, R, O>,
) -> Result<Status, ReplicationError> {
    let sender =
        Sender { database, peer, pace: Pace::new(peer.options.limits.batch_bytes), takes_multipart: Cell::new(true) };
    loop {
        peer.verify().await?;
        let checkpoints = Checkpoints::load(database, peer, Direction::Push).await?;
        let steps = offer::steps(database, peer, checkpoints.done().clone())?;
        let send = async |lacking, until: &Sequence| sender.send_all(lacking, until).await;
        if let Some(status) = pipeline::run(peer, checkpoints, steps, send).await? {
            return Ok(status);
        }
        peer.monitor.begin_again();
    }
}

/// Sends to one peer and learns how much it takes at once.
struct Sender<'p, 'a, K: Kv, T, C, R, O> {
    database: &'p Database<K>,
    peer: &'p Peer<'a, T, C, R, O>,
    pace: Pace,
    takes_multipart: Cell<bool>,
}

impl<K: Kv<Snapshot: 'static>, T: Transport, C: Clock, R: Random, O: Observer> Sender<'_, '_, K, T, C, R, O> {
    /// Sends what the peer lacks, in batches, and returns how many revisions it took.
    async fn send_all(&self, lacking: Vec<Offered>, until: &Sequence) -> Result<u64, ReplicationError> {
        let (mut batch, mut bytes, mut taken) = (Vec::new(), 0, 0);
        for offered in lacking {
            for mut parcel in Parcel::open(self.database, &offered.id, offered.revs.clone(), false).await? {
                if !parcel.stubs.is_empty() {
                    if self.is_heavy(&parcel) {
                        taken += self.send_heavy(parcel, &offered, until).await?;
                        continue;
                    }
                    let whole = Parcel::open(self.database, &offered.id, vec![parcel.rev], true).await?.pop();
                    let Some(whole) = whole else { continue };
                    parcel = whole;
                }
                let full = batch.len() >= self.peer.options.limits.batch_documents.max(1);
                if !batch.is_empty() && (full || bytes + parcel.text.len() > self.pace.bytes()) {
                    taken += self.send(mem::take(&mut batch), until).await?;
                    bytes = 0;
                }
                bytes += parcel.text.len();
                batch.push(parcel);
            }
        }
        if !batch.is_empty() {
            taken += self.send(batch, until).await?;
        }
        Ok(taken)
    }

    /// Whether the attachments are too long to go with other documents.
    fn is_heavy(&self, parcel: &Parcel) -> bool {
        let lengths = parcel.stubs.iter().map(|stub| stub.length.unwrap_or(u64::MAX));
        let bytes = lengths.clone().fold(0_u64, u64::saturating_add);
        let longest = lengths.max().unwrap_or(0);
        longest > self.peer.options.limits.inline_bytes || bytes > self.pace.bytes() as u64
    }

    /// Sends one batch, in halves where it is too much at once.
    async fn send(&self, batch: Vec<Parcel>, until: &Sequence) -> Result<u64, ReplicationError> {
        let monitor = &self.peer.monitor;
        monitor.update(|status| status.docs_read += batch.len() as u64);
        let mut taken = 0;
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let body = bulk_docs_body(part.iter().map(|parcel| parcel.text.as_slice()));
            let bytes = body.len();
            let request = self.peer.request(Method::Post, "_bulk_docs", Some(body));
            let began_ms = self.peer.effects.clock.now_ms();
            match self.peer.call(&request, |body| read_refused(&body)).await? {
                Reply::Done(refused) => {
                    self.pace.answered(began_ms, self.peer.effects.clock);
                    let accepted = (part.len() - refused.len().min(part.len())) as u64;
                    refused.into_iter().for_each(|row| self.peer.deny(&denied_row(row, &part), until));
                    monitor.update(|status| status.docs_written += accepted);
                    taken += accepted;
                }
                // One document that the peer cannot read or stomach refuses the whole batch.
                Reply::Refused { status: status @ (400 | 413 | 415 | 422), answer } => {
                    if status == 413 {
                        self.pace.refused(bytes);
                    }
                    if part.len() > 1 {
                        let rest = part.split_off(part.len() / 2);
                        parts.extend([rest, part]);
                    } else if let Some(parcel) = part.pop() {
                        self.peer.deny(&denied_whole(parcel, status, answer), until);
                    }
                }
                Reply::Refused { status, answer } => return Err(refusal(status, answer)),
                // Whether the documents were taken is not known then; the next session asks.
                Reply::TooLong => {
                    let limit = self.peer.options.limits.answer_bytes_max;
                    return Err(ReplicationError::AnswerTooLong { limit });
                }
            }
        }
        Ok(taken)
    }

    /// Sends one document with long attachments, which are read while they are sent. What an ancestor brought that the peer has
    /// stays away, unless the peer asks for it.
    async fn send_heavy(&self, parcel: Parcel, offered: &Offered, until: &Sequence) -> Result<u64, ReplicationError> {
        let monitor = &self.peer.monitor;
        let asked;
        let mut known = match &offered.ancestors {
            Some(ancestors) => ancestors.as_slice(),
            None => {
                let offered = Offered { revs: vec![parcel.rev.clone()], ..offered.clone() };
                asked = offer::lacking(self.peer, vec![offered]).await?;
                // The peer may have it already.
                let Some(ancestors) = asked.first().map(|lacking| &lacking.ancestors) else { return Ok(0) };
                ancestors.as_deref().unwrap_or_default()
            }
        };
        while self.takes_multipart.get() {
            let (text, names) = parcel.followed(known)?;
            let contents = parcel.contents(self.database, &names).await?;
            let mut boundary = [0; 16];
            self.peer.effects.random.fill(&mut boundary);
            let path = format!("{}?new_edits=false", percent_encoded(&parcel.id));
            let mut request = self.peer.request(Method::Put, path, None);
            request.upload = Some(Rc::new(Multipart::new(hex(&boundary), text, contents)));
            match self.peer.call(&request, |_| Ok(())).await? {
                Reply::Done(()) | Reply::TooLong => {
                    monitor.update(|status| {
                        status.docs_read += 1;
                        status.docs_written += 1;
                    });
                    return Ok(1);
                }
                // It does not have what the ancestor brought.
                Reply::Refused { status: 412, .. } if !known.is_empty() => known = &[],
                Reply::Refused { status: status @ (403 | 413), answer } => {
                    monitor.update(|status| status.docs_read += 1);
                    self.peer.deny(&denied_whole(parcel, status, answer), until);
                    return Ok(0);
                }
                Reply::Refused { status: 400 | 404 | 405 | 412 | 415 | 501, .. } => self.takes_multipart.set(false),
                Reply::Refused { status, answer } => return Err(refusal(status, answer)),
            }
        }
        let whole = Parcel::open(self.database, &parcel.id, vec![parcel.rev], true).await?;
        if whole.is_empty() { Ok(0) } else { self.send(whole, until).await }
    }
}

fn denied_row(row: RefusedRow, part: &[Parcel]) -> Denied {
    // Of several revisions of a document the peer may tell which it means.
    let of_document = || part.iter().filter(|parcel| parcel.id == row.id).map(|parcel| &parcel.rev);
    let rev = of_document().find(|rev| row.rev.as_ref() == Some(rev)).or_else(|| of_document().next());
    Denied { rev: rev.cloned(), id: row.id, error: row.error, reason: row.reason }
}

fn denied_whole(parcel: Parcel, status: u16, answer: ErrorAnswer) -> Denied {
    let error = if status == 413 { "too_large".to_string() } else { answer.error };
    Denied { id: parcel.id, rev: Some(parcel.rev), error, reason: answer.reason }
}
