//! Pushing: the changes here are brought to the peer.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::checkpoint::{Checkpoints, Direction};
use super::messages::{ErrorAnswer, RefusedRow, Sequence, bulk_docs_body, read_refused};
use super::offer::{self, Offered};
use super::options::Options;
use super::pace::Pace;
use super::peer::{Peer, Reply, refusal};
use super::pipeline;
use super::status::{Denied, Observer, Status};
use super::{Effects, ReplicationError};
use crate::database::{Database, GetOptions, OpenRev, OpenRevs};
use crate::effects::{Clock, Method, Random, Transport};
use crate::json;
use crate::storage::Kv;

/// Brings the changes of `database` to the peer's: all leaves of every document with their ancestry. Returns when all is
/// there or, if live, when cancelled; a replication that was cancelled is no error.
///
/// # Errors
/// What ended it. What the peer took until then stays, and the next push goes on from the latest checkpoint.
pub async fn push<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    effects: &Effects<'_, T, C, R, O>,
    options: &Options,
) -> Result<Status, ReplicationError> {
    let peer = Peer::new(effects, options);
    let result = run(database, &peer).await;
    pipeline::conclude(&peer, result)
}

async fn run<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    peer: &Peer<'_, T, C, R, O>,
) -> Result<Status, ReplicationError> {
    loop {
        peer.verify().await?;
        let checkpoints = Checkpoints::load(database, peer, Direction::Push).await?;
        let steps = offer::steps(database, peer, checkpoints.done().clone())?;
        let sender = Sender { database, peer, pace: Pace::new(peer.options.limits.batch_bytes) };
        let send = async |lacking, until: &Sequence| sender.send_all(lacking, until).await;
        if let Some(status) = pipeline::run(peer, checkpoints, steps, send).await? {
            return Ok(status);
        }
        peer.monitor.begin_again();
    }
}

/// A document on its way out.
struct Parcel {
    id: String,
    rev: String,
    text: Vec<u8>,
}

/// Sends to one peer and learns how much it takes at once.
struct Sender<'p, 'a, K: Kv, T, C, R, O> {
    database: &'p Database<K>,
    peer: &'p Peer<'a, T, C, R, O>,
    pace: Pace,
}

impl<K: Kv, T: Transport, C: Clock, R: Random, O: Observer> Sender<'_, '_, K, T, C, R, O> {
    /// Sends what the peer lacks, in batches, and returns how many revisions it took.
    async fn send_all(&self, lacking: Vec<Offered>, until: &Sequence) -> Result<u64, ReplicationError> {
        let (mut batch, mut bytes, mut taken) = (Vec::new(), 0, 0);
        for (id, revs) in lacking {
            let get = GetOptions { revs: true, attachments: true, ..GetOptions::default() };
            let opened = self.database.open_revs(&id, OpenRevs::These(revs), &get).await;
            for opened in opened.map_err(|error| ReplicationError::Local(error.report()))? {
                let OpenRev::Ok(text) = opened else { continue };
                let rev = rev_of(&text);
                let full = batch.len() >= self.peer.options.limits.batch_documents.max(1);
                if !batch.is_empty() && (full || bytes + text.len() > self.pace.bytes()) {
                    taken += self.send(core::mem::take(&mut batch), until).await?;
                    bytes = 0;
                }
                bytes += text.len();
                batch.push(Parcel { id: id.clone(), rev, text });
            }
        }
        if !batch.is_empty() {
            taken += self.send(batch, until).await?;
        }
        Ok(taken)
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
}

/// The revision of a document that the database wrote.
fn rev_of(text: &[u8]) -> String {
    let mut rev = String::new();
    let read = json::read(text, |reader| {
        reader.members(&mut |member, reader| {
            match member {
                "_rev" => rev = reader.string()?.into_owned(),
                _ => reader.pass_over()?,
            }
            Ok(())
        })
    });
    read.map(|()| rev).unwrap_or_default()
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
