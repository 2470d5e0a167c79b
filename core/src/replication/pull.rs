//! Pulling: the peer's changes are brought here.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use futures_util::future::join;
use futures_util::stream::StreamExt;

use super::attachments;
use super::checkpoint::{Checkpoints, Direction};
use super::departures;
use super::documents::Fetched;
use super::feed::{self, Wanted};
use super::fetch::{Batch, Fetch};
use super::messages::Sequence;
use super::options::{Filter, Options, SelectorFilter};
use super::peer::Peer;
use super::pipeline::{self, Step};
use super::snapshot::{FromNothing, FromSnapshot, Start};
use super::status::{Denied, Observer, Status};
use super::{Effects, ReplicationError};
use crate::database::{Arrivals, Database, GetOptions, WriteError};
use crate::effects::{Clock, Random, Transport};
use crate::error::ErrorReport;
use crate::hex::hex;
use crate::json;
use crate::logic::LogicError;
use crate::sorting::sort_by;
use crate::storage::blocks::Blocks;
use crate::storage::store::LogStore;
use crate::storage::{Kv, StorageError};

/// Brings the changes of the peer's database into `database`: all leaves of every document with their ancestry. Returns
/// when all is here or, if live, when cancelled; a replication that was cancelled is no error.
///
/// # Errors
/// What ended it. What was written until then stays, and the next pull goes on from the latest checkpoint.
pub async fn pull<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    effects: &Effects<'_, T, C, R, O>,
    options: &Options,
) -> Result<Status, ReplicationError> {
    pull_after(database, effects, options, &FromNothing).await
}

/// As [`pull`]; a fresh database begins with the peer's snapshot, where there is one that it can take. It needs no filter, and
/// nobody who judges writes.
///
/// # Errors
/// As those of [`pull`]. What is wrong with a snapshot is told as a setback, and ends nothing.
pub async fn pull_from_snapshot<B: Blocks, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<LogStore<B>>,
    effects: &Effects<'_, T, C, R, O>,
    options: &Options,
) -> Result<Status, ReplicationError> {
    pull_after(database, effects, options, &FromSnapshot).await
}

async fn pull_after<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    effects: &Effects<'_, T, C, R, O>,
    options: &Options,
    start: &impl Start<K>,
) -> Result<Status, ReplicationError> {
    let peer = Peer::new(effects, options, false);
    let result = match &options.filter {
        Filter::Selector(_) if !options.keep => {
            let other = Peer::new(effects, options, true);
            // Where one ends for a reason the other ends too, but finishes what it is writing.
            let [first, second] = [&peer, &other].map(async |peer| {
                let result = run(database, peer, start).await;
                if result.is_err() {
                    effects.control.cancel();
                }
                result
            });
            match join(first, second).await {
                (Err(ReplicationError::Cancelled) | Ok(_), Err(error)) => Err(error),
                (first, _) => first,
            }
        }
        _ => run(database, &peer, start).await,
    };
    pipeline::conclude(&peer, result)
}

async fn run<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    peer: &Peer<'_, T, C, R, O>,
    start: &impl Start<K>,
) -> Result<Status, ReplicationError> {
    loop {
        peer.verify().await?;
        let direction = if peer.drops { Direction::Drop } else { Direction::Pull };
        let mut checkpoints = Checkpoints::load(database, peer, direction).await?;
        if let Some(reached) = start.start(database, peer, &checkpoints).await? {
            let fetch = Fetch::new(database, peer);
            let writer = Writer { database, peer, fetch: &fetch, arrivals: checkpoints.arrivals() };
            Box::pin(writer.review_all(&reached)).await?;
            checkpoints.advance(reached);
            // At once: without it, whoever is closed now would be told of all documents again.
            if !checkpoints.save(peer).await? {
                continue;
            }
        }
        let fetch = Fetch::new(database, peer);
        let steps = feed::steps(database, &fetch, checkpoints.done().clone())
            .map(async |step| {
                let Step { until, rows, work, is_again } = step?;
                Ok(Step { until, rows, work: fetch.fetch(work).await?, is_again })
            })
            .buffered(peer.options.limits.batches_in_flight.max(1));
        let writer = Writer { database, peer, fetch: &fetch, arrivals: checkpoints.arrivals() };
        let write = async |batch, until: &Sequence| writer.write(batch, until).await;
        if let Some(status) = pipeline::run(peer, checkpoints, steps, write).await? {
            return Ok(status);
        }
        peer.monitor.begin_again();
    }
}

/// A document on its way in.
#[derive(Clone, Copy)]
struct Arrival<'b> {
    head: &'b Fetched,
    text: &'b [u8],
}

impl Batch {
    fn arrivals(&self) -> Vec<Arrival<'_>> {
        let arrivals = self.answers.iter().flat_map(|(body, found)| {
            let arrival = |head| Some(Arrival { head, text: body.get(head.at.clone())? });
            found.iter().filter_map(move |head: &Fetched| arrival(head))
        });
        arrivals.collect()
    }
}

/// Writes what one peer sent.
struct Writer<'w, 'a, K: Kv, T, C, R, O> {
    database: &'w Database<K>,
    peer: &'w Peer<'a, T, C, R, O>,
    fetch: &'w Fetch<'w, 'a, K, T, C, R, O>,
    arrivals: Rc<Arrivals>,
}

impl<K: Kv, T: Transport, C: Clock, R: Random, O: Observer> Writer<'_, '_, K, T, C, R, O> {
    /// Writes a batch that reaches the sequence `until`, and returns how many revisions were taken.
    async fn write(&self, batch: Batch, until: &Sequence) -> Result<u64, ReplicationError> {
        for failure in &batch.failures {
            self.peer.deny(failure, until);
        }
        let mut arrivals = batch.arrivals();
        self.peer.monitor.update(|status| status.docs_read += arrivals.len() as u64);
        if let Filter::Selector(filter) = &self.peer.options.filter {
            arrivals = admitted(self.database, filter, arrivals).await?;
        }
        let mut ids: Vec<&str> = arrivals.iter().map(|arrival| arrival.head.id.as_str()).collect();
        let taken = self.store_all(arrivals, until).await?;
        sort_by(&mut ids, |left, right| left.cmp(right));
        ids.dedup();
        // It is large, and seldom has much to do.
        Box::pin(self.review(&ids, until)).await?;
        if let Filter::Selector(filter) = &self.peer.options.filter {
            for (id, revs) in &batch.listed {
                departures::drop_if_left(self.database, filter, id, revs).await?;
            }
        }
        self.peer.monitor.update(|status| status.docs_written += taken);
        Ok(taken)
    }

    /// As [`review`](Self::review), of all documents that came at once.
    async fn review_all(&self, until: &Sequence) -> Result<(), ReplicationError> {
        let open = self.database.all_open().await.map_err(|error| ReplicationError::Local(error.report()))?;
        for ids in open.chunks(self.peer.options.limits.batch_documents.max(1)) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            self.review(&ids, until).await?;
        }
        Ok(())
    }

    /// Lets the policies close what they decide on of these documents. What they have to know for that and is not here, what branches grew
    /// from and what may have merged them, is asked for, and then they are asked again: it may show that they lack something else.
    async fn review(&self, ids: &[&str], until: &Sequence) -> Result<(), ReplicationError> {
        let local = |error: StorageError| ReplicationError::Local(error.report());
        let mut open = self.database.open_among(ids).await.map_err(local)?;
        // Others may write at any time: the policies were asked about no later change than those that are listed before.
        let mut settled = Vec::new();
        let mut asked: Vec<Wanted> = Vec::new();
        loop {
            let before = asked.len();
            for (id, _) in &open {
                for rev in self.database.settle(id).await.map_err(local)? {
                    let wanted = (id.clone(), rev);
                    if !asked.contains(&wanted) {
                        asked.push(wanted);
                    }
                }
            }
            settled.append(&mut open);
            let wanted = asked.get(before..).unwrap_or_default().to_vec();
            if wanted.is_empty() {
                return self.database.note_asked(&settled).await.map_err(local);
            }
            let batch = self.fetch.fetch_as_they_are(wanted).await?;
            self.store_all(batch.arrivals(), until).await?;
            let wanted = asked.get(before..).unwrap_or_default();
            let mut again: Vec<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
            again.dedup();
            open = self.database.open_among(&again).await.map_err(local)?;
        }
    }

    async fn store_all(&self, arrivals: Vec<Arrival<'_>>, until: &Sequence) -> Result<u64, ReplicationError> {
        let (light, heavy): (Vec<Arrival<'_>>, Vec<Arrival<'_>>) =
            arrivals.into_iter().partition(|arrival| arrival.head.stubs.is_empty());
        let mut taken = self.store(&light, until).await?;
        for arrival in heavy {
            taken += self.store_heavy(arrival, until).await?;
        }
        Ok(taken)
    }

    /// Stores a document whose attachments are still to be fetched.
    async fn store_heavy(&self, arrival: Arrival<'_>, until: &Sequence) -> Result<u64, ReplicationError> {
        let Arrival { head, text } = arrival;
        let mut random = [0; 16];
        self.peer.effects.random.fill(&mut random);
        // Nobody can guess it.
        let prefix = hex(&random) + " ";
        let stored = match attachments::complete(self.database, self.peer, head, text, &prefix).await {
            Ok(Ok(text)) => self.store(&[Arrival { head, text: &text }], until).await,
            Ok(Err(denied)) => {
                self.peer.deny(&denied, until);
                Ok(0)
            }
            Err(error) => Err(error),
        };
        // What was not used is of no use.
        let unstaged = self.database.unstage(&prefix).await;
        let taken = stored?;
        unstaged.map_err(|error| ReplicationError::Local(error.report()))?;
        Ok(taken)
    }

    /// Stores documents with the revisions that they have. A document that is refused is reported and passed over, be it by
    /// itself or because it spoils the whole write.
    async fn store(&self, arrivals: &[Arrival<'_>], until: &Sequence) -> Result<u64, ReplicationError> {
        let mut taken = 0;
        let mut parts = Vec::new();
        if !arrivals.is_empty() {
            parts.push(arrivals);
        }
        while let Some(part) = parts.pop() {
            let texts: Vec<&[u8]> = part.iter().map(|arrival| arrival.text).collect();
            match self.database.take_in(&texts, &self.arrivals).await {
                Ok(rows) => {
                    for row in rows {
                        match row {
                            Ok(_) => taken += 1,
                            Err(refused) => self.peer.deny(&denied(refused.id, refused.rev, refused.error), until),
                        }
                    }
                }
                Err(error) if !may_be_of_one(&error) => {
                    return Err(ReplicationError::Local(error.report()));
                }
                Err(error) => match part {
                    [single] => {
                        let (id, rev) = (single.head.id.clone(), single.head.rev.clone());
                        self.peer.deny(&denied(id, Some(rev), error.report()), until);
                    }
                    part => {
                        let (left, right) = part.split_at(part.len() / 2);
                        parts.extend([right, left]);
                    }
                },
            }
        }
        Ok(taken)
    }
}

/// Whether a write may have failed for one of its documents, and the others can be written without it.
fn may_be_of_one(error: &WriteError) -> bool {
    let too_slow = matches!(error, WriteError::Logic(LogicError::TooSlow(_)));
    too_slow || (400..500).contains(&error.report().status)
}

fn denied(id: String, rev: Option<String>, report: ErrorReport) -> Denied {
    Denied { id, rev, error: report.name.to_string(), reason: report.reason }
}

/// Leaves out what the selector does not ask for: documents that neither match nor are here, and tombstones of documents
/// that are not here. Of a document that takes part every leaf does, or its conflicts would be hidden.
///
/// This is decided when a batch is written, not when it is listed: an earlier batch may just have brought the document.
async fn admitted<'b, K: Kv>(
    database: &Database<K>,
    filter: &SelectorFilter,
    arrivals: Vec<Arrival<'b>>,
) -> Result<Vec<Arrival<'b>>, ReplicationError> {
    let mut taking_part: Vec<&str> = Vec::new();
    for Arrival { head, text } in &arrivals {
        let matches = !head.deleted && json::parse(text).is_ok_and(|document| filter.selector.matches(&document));
        if matches || is_here(database, &head.id).await? {
            taking_part.push(&head.id);
        }
    }
    sort_by(&mut taking_part, |left, right| left.cmp(right));
    let takes_part = |arrival: &Arrival<'_>| taking_part.binary_search(&arrival.head.id.as_str()).is_ok();
    Ok(arrivals.into_iter().filter(takes_part).collect())
}

/// Whether the database holds any revision of the document, be it a tombstone.
async fn is_here<K: Kv>(database: &Database<K>, id: &str) -> Result<bool, ReplicationError> {
    match database.get(id, &GetOptions::default()).await.map_err(|error| error.report()) {
        Ok(_) => Ok(true),
        Err(report) if report.status == 404 => Ok(report.reason == "deleted"),
        Err(report) => Err(ReplicationError::Local(report)),
    }
}
