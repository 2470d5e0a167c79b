//! One thread and one mailbox per database, so that core needs no locks.
//!
//! Core's futures are not `Send`, and redb is synchronous: a job sent here runs to its end on the database's own thread, one
//! after the other, and its answer goes back through a channel. Jobs wait in a bounded queue; a sender waits for room. A
//! job whose asker has gone before it started is not run.
//!
//! Feeds wait on [`Mailbox::writes`], a counter of the writes done, and then read what changed.
//!
//! **The thread ends** when it is told to, when the last mailbox handle is dropped, or when an IO error spoilt the file's
//! handle; from then on every job fails with [`Closed`], and the file may be opened again.

use std::path::PathBuf;
use std::thread;

use firkin_core::database::{Database, Options};
use firkin_core::storage::StorageError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::random::SystemRandom;
use crate::redb_kv::RedbKv;

/// So many jobs may wait for one database.
const WAITING_JOBS_MAX: usize = 64;

/// The database as jobs see it.
pub type Engine = Database<RedbKv>;

type Job = Box<dyn FnOnce(&Resident) + Send>;

enum Letter {
    Job(Job),
    Stop(oneshot::Sender<()>),
}

/// What lives on the thread.
struct Resident {
    database: Engine,
    kv: RedbKv,
    writes: watch::Sender<u64>,
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its file.
    pub path: PathBuf,
    /// Core's options.
    pub options: Options,
    /// The size of redb's page cache.
    pub cache_bytes: usize,
}

/// The database is closed: the server stops, the database was deleted, or its file failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A handle to a database's thread.
#[derive(Clone, Debug)]
pub struct Mailbox {
    letters: mpsc::Sender<Letter>,
    writes: watch::Receiver<u64>,
}

impl Mailbox {
    /// Starts the thread of a database and opens its file there.
    ///
    /// # Errors
    /// The file could not be opened, or the system gives no more threads.
    pub async fn open(opening: Opening) -> Result<Self, StorageError> {
        let (letters, inbox) = mpsc::channel(WAITING_JOBS_MAX);
        let (writes_sender, writes) = watch::channel(0);
        let (opened, opening_result) = oneshot::channel();
        let body = move || match open_resident(&opening, writes_sender) {
            Ok(resident) => {
                let _ = opened.send(Ok(()));
                live(resident, inbox);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        };
        thread::Builder::new()
            .name("database".into())
            .spawn(body)
            .map_err(|error| StorageError::Failed(error.to_string()))?;
        opening_result.await.unwrap_or(Err(StorageError::Closed))?;
        Ok(Self { letters, writes })
    }

    /// Runs `work`, which changes nothing that feeds tell of.
    ///
    /// # Errors
    /// The database is closed.
    pub async fn read<T, W>(&self, work: W) -> Result<T, Closed>
    where
        W: AsyncFnOnce(&Engine) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.run(move |resident| pollster::block_on(work(&resident.database))).await
    }

    /// Runs `work`, and wakes the feeds once it is done.
    ///
    /// # Errors
    /// The database is closed; whether the work was done is not known then.
    pub async fn write<T, W>(&self, work: W) -> Result<T, Closed>
    where
        W: AsyncFnOnce(&Engine) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.run(move |resident| {
            let answer = pollster::block_on(work(&resident.database));
            resident.writes.send_modify(|writes| *writes += 1);
            answer
        })
        .await
    }

    /// Gives free space in the file back to the file system.
    ///
    /// # Errors
    /// The database is closed; inside, what the store says.
    pub async fn compact(&self) -> Result<Result<(), StorageError>, Closed> {
        self.run(|resident| resident.kv.compact()).await
    }

    /// A counter that moves with every write. It fails once the database is closed.
    #[must_use]
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.writes.clone()
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.letters.is_closed()
    }

    /// Ends the thread after the jobs that wait, and completes when the file is closed.
    pub async fn stop(&self) {
        let (stopped, stop_result) = oneshot::channel();
        if self.letters.send(Letter::Stop(stopped)).await.is_ok() {
            let _ = stop_result.await;
        }
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Resident) -> T + Send + 'static) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |resident| {
            if !reply.is_closed() {
                let _ = reply.send(work(resident));
            }
        });
        self.letters.send(Letter::Job(job)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

fn open_resident(opening: &Opening, writes: watch::Sender<u64>) -> Result<Resident, StorageError> {
    let kv = RedbKv::open(&opening.path, opening.cache_bytes)?;
    let database = pollster::block_on(Database::open(kv.clone(), &SystemRandom, opening.options.clone()))?;
    Ok(Resident { database, kv, writes })
}

fn live(resident: Resident, mut inbox: mpsc::Receiver<Letter>) {
    while let Some(letter) = inbox.blocking_recv() {
        match letter {
            Letter::Job(job) => job(&resident),
            Letter::Stop(stopped) => {
                drop(inbox);
                drop(resident);
                let _ = stopped.send(());
                return;
            }
        }
        if resident.kv.is_spoilt() {
            return;
        }
    }
}
