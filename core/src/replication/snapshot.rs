//! Beginning with a snapshot: a fresh database takes over what the peer has packed, documents and index, and pulls what came after.
//!
//! Firkin's own server has `GET /{database}/_snapshot`, and says so of each database, so that nobody else is asked for one. **Wherever a snapshot cannot be taken the pull begins without it**: the
//! peer has none, the database is not fresh, the format or the index is another, a block is damaged. A connection that breaks is
//! made anew, and goes on where it broke, for as long as the peer has the same snapshot.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use async_lock::Mutex;
use futures_util::future::LocalBoxFuture;

use super::ReplicationError;
use super::attempt::Sink;
use super::checkpoint::Checkpoints;
use super::messages::Sequence;
use super::options::Filter;
use super::peer::{Peer, Reply};
use super::status::{Event, Observer};
use crate::database::{Database, SnapshotCheck, SnapshotHead, SnapshotLine};
use crate::effects::{Clock, Method, Random, Request, Transport};
use crate::storage::Kv;
use crate::storage::adoption::Adoption;
use crate::storage::blocks::Blocks;
use crate::storage::restore::RestoreError;
use crate::storage::store::LogStore;

/// How long the line may be that a snapshot begins with.
const LINE_BYTES_MAX: usize = 64 << 10;
/// How often a snapshot that the peer has no more is begun anew.
const BEGINNINGS_MAX: u32 = 3;

/// How a pull begins that has never come anywhere.
pub(super) trait Start<K: Kv> {
    /// Where it goes on, if it need not begin at the beginning.
    async fn start<T: Transport, C: Clock, R: Random, O: Observer>(
        &self,
        database: &Database<K>,
        peer: &Peer<'_, T, C, R, O>,
        checkpoints: &Checkpoints<'_, K>,
    ) -> Result<Option<Sequence>, ReplicationError>;
}

/// At the beginning.
pub(super) struct FromNothing;

impl<K: Kv> Start<K> for FromNothing {
    async fn start<T: Transport, C: Clock, R: Random, O: Observer>(
        &self,
        _: &Database<K>,
        _: &Peer<'_, T, C, R, O>,
        _: &Checkpoints<'_, K>,
    ) -> Result<Option<Sequence>, ReplicationError> {
        Ok(None)
    }
}

/// With the peer's snapshot.
pub(super) struct FromSnapshot;

impl<B: Blocks> Start<LogStore<B>> for FromSnapshot {
    async fn start<T: Transport, C: Clock, R: Random, O: Observer>(
        &self,
        database: &Database<LogStore<B>>,
        peer: &Peer<'_, T, C, R, O>,
        checkpoints: &Checkpoints<'_, LogStore<B>>,
    ) -> Result<Option<Sequence>, ReplicationError> {
        let options = peer.options;
        let wants_all = matches!(options.filter, Filter::Everything) && options.since.is_none();
        let is_offered = options.snapshot && peer.has_snapshot.get();
        if !is_offered || !wants_all || !checkpoints.done().is_start() {
            return Ok(None);
        }
        for _ in 0..BEGINNINGS_MAX {
            if !database.is_fresh() {
                return Ok(None);
            }
            let Some(adoption) = database.kv().begin_adoption().await.map_err(local)? else { return Ok(None) };
            let check = SnapshotCheck::new(peer.effects.random);
            let mut taking = Taking { line: Vec::new(), adoption, check };
            let taken = take(database, peer, checkpoints, &mut taking).await;
            if !matches!(taken, Ok(Taken::Whole(_))) {
                database.kv().drop_adoption(taking.adoption).await;
            }
            match taken {
                Ok(Taken::Whole(head)) => {
                    let documents = head.doc_count.saturating_add(head.doc_del_count);
                    peer.monitor.update(|status| {
                        status.docs_read = status.docs_read.saturating_add(documents);
                        status.docs_written = status.docs_written.saturating_add(documents);
                    });
                    peer.monitor.tell(Event::Change { documents });
                    return Ok(Some(Sequence::from_text(&head.seq)));
                }
                Ok(Taken::Another) => {}
                Ok(Taken::None) => return Ok(None),
                Err(error @ ReplicationError::Snapshot(_)) => {
                    peer.monitor.backs_off(error.report(), 0);
                    peer.monitor.tries_again();
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// What taking a snapshot came to.
enum Taken {
    /// The database holds it.
    Whole(SnapshotHead),
    /// The peer has another by now.
    Another,
    /// There is none that can be taken.
    None,
}

async fn take<B: Blocks, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<LogStore<B>>,
    peer: &Peer<'_, T, C, R, O>,
    checkpoints: &Checkpoints<'_, LogStore<B>>,
    taking: &mut Taking,
) -> Result<Taken, ReplicationError> {
    let request = peer.request(Method::Get, "_snapshot", None);
    let intake = Intake {
        database,
        taking: Mutex::new(taking),
        line: RefCell::default(),
        position: Cell::new(0),
        length: Cell::new(0),
    };
    let reply = peer.download(&request, &intake).await;
    let Intake { line, taking, .. } = intake;
    let line = line.into_inner();
    match reply {
        // Of the one that was begun there is no more.
        Ok(Reply::Refused { status: 412 | 416, .. }) => return Ok(Taken::Another),
        Ok(Reply::Refused { .. } | Reply::TooLong) | Err(ReplicationError::Malformed(_)) => return Ok(Taken::None),
        Ok(Reply::Done(())) => {}
        // Nothing is wrong with it, but that it is for others.
        Err(ReplicationError::Snapshot(_)) if line.as_ref().is_some_and(|line| !database.fits(&line.head)) => {
            return Ok(Taken::None);
        }
        Err(error) => return Err(error),
    }
    let Some(SnapshotLine { head, .. }) = line else { return Ok(Taken::None) };
    let Taking { adoption, check, .. } = taking.into_inner();
    match database.adopt(adoption, check, &head, &checkpoints.arrivals()).await {
        Ok(()) => Ok(Taken::Whole(head)),
        Err(RestoreError::NotEmpty) => Ok(Taken::None),
        Err(error) => Err(told(error)),
    }
}

/// What has come of a snapshot.
struct Taking {
    /// As much of its line as is here, until it is whole.
    line: Vec<u8>,
    adoption: Adoption,
    check: SnapshotCheck,
}

/// Takes a snapshot in as it arrives.
struct Intake<'s, B> {
    database: &'s Database<LogStore<B>>,
    taking: Mutex<&'s mut Taking>,
    line: RefCell<Option<SnapshotLine>>,
    /// How many bytes have come, in all attempts.
    position: Cell<u64>,
    /// How many there are, once its line has told.
    length: Cell<u64>,
}

impl<B: Blocks> Intake<'_, B> {
    async fn add(&self, bytes: &[u8]) -> Result<(), ReplicationError> {
        let mut taking = self.taking.lock().await;
        let Taking { line, adoption, check } = &mut **taking;
        let mut blocks = bytes;
        if self.line.borrow().is_none() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
            if line.len() > LINE_BYTES_MAX {
                return Err(wrong("its first line is too long"));
            }
            let Some(end) = end else { return Ok(()) };
            let read = SnapshotLine::read(line).ok_or_else(|| wrong("its first line makes no sense"))?;
            let fits = self.database.fits(&read.head);
            self.length.set(read.bytes.saturating_add(line.len() as u64 + 1));
            self.line.replace(Some(read));
            if !fits {
                return Err(wrong("it is for another version, or another index"));
            }
            blocks = bytes.get(end + 1..).unwrap_or_default();
        }
        if self.position.get() > self.length.get() {
            return Err(wrong("it goes on behind its end"));
        }
        self.database.kv().adopt_next(adoption, blocks, &mut |key, value| check.add(key, value)).await.map_err(told)
    }
}

impl<B: Blocks> Sink for Intake<'_, B> {
    fn resume(&self, request: &mut Request) {
        let line = self.line.borrow();
        match &*line {
            Some(SnapshotLine { tag, .. }) => {
                request.headers.push(("range", format!("bytes={}-", self.position.get())));
                request.headers.push(("if-match", format!("\"{tag}\"")));
            }
            None => {
                // Nobody has it locked between two attempts.
                if let Some(mut taking) = self.taking.try_lock() {
                    taking.line.clear();
                }
                self.position.set(0);
            }
        }
    }

    fn take<'s>(&'s self, _: u64, bytes: &'s [u8]) -> LocalBoxFuture<'s, Result<(), ReplicationError>> {
        self.position.set(self.position.get() + bytes.len() as u64);
        Box::pin(self.add(bytes))
    }

    fn end(&self, _: u64) -> Result<(), ReplicationError> {
        let is_whole = self.line.borrow().is_some() && self.position.get() >= self.length.get();
        if is_whole { Ok(()) } else { Err(ReplicationError::Malformed(String::from("a snapshot was cut short"))) }
    }
}

fn wrong(what: &str) -> ReplicationError {
    ReplicationError::Snapshot(what.into())
}

/// What is wrong with the snapshot, or with the database on this side.
fn told(error: RestoreError) -> ReplicationError {
    match error {
        RestoreError::Storage(error) => local(error),
        RestoreError::Malformed(what) => ReplicationError::Snapshot(format!("it {what}")),
        error @ RestoreError::NotEmpty => ReplicationError::Snapshot(format!("{error}")),
    }
}

fn local(error: crate::storage::StorageError) -> ReplicationError {
    ReplicationError::Local(error.report())
}
