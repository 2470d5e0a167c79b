//! One thread and one mailbox per database, so that core needs no locks.
//!
//! Core's futures are not `Send`, and redb is synchronous: a job sent here runs on the database's own thread, and its answer
//! goes back through a channel. Jobs wait in a bounded queue; a sender waits for room. A job whose asker has gone before it
//! started is not run. **Jobs that wait at one time begin together**, so that core writes their documents in one commit: the
//! store lets the others come up to the writer's lock before it writes.
//!
//! A replication is a task on the same thread: it goes on while its requests are under way, between the jobs of others.
//!
//! Feeds wait on [`Mailbox::writes`], a counter that moves with the commits, and then read what changed.
//!
//! An IO error spoils the file's handle: it is opened again at once, and replications that ran on it end. **The thread ends**
//! when it is told to, when the last mailbox handle is dropped, or when the file cannot be opened again, as where the disk is full;
//! from then on every job fails with [`Closed`], those that wait as well.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use firkin_core::database::{Database, Options};
use firkin_core::storage::StorageError;
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::activity::Activity;
use crate::random::SystemRandom;
use crate::redb_kv::RedbKv;
use crate::settings::Settings;
use crate::snapshots::Cache;

/// So many jobs may wait for one database.
const WAITING_JOBS_MAX: usize = 64;

/// What failed is not maintained for so long: a full disk would fail again at once.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);

/// The database as jobs see it.
pub type Engine = Database<RedbKv>;

type Job = Box<dyn FnOnce(Rc<Resident>) -> LocalBoxFuture<'static, ()> + Send>;

enum Letter {
    Job(Job),
    Task(Job),
    /// A job beside which no other runs.
    Alone(Job),
    Settings(Settings, oneshot::Sender<Result<(), StorageError>>),
    Stop(oneshot::Sender<()>),
}

/// What lives on the thread.
struct Resident {
    database: Engine,
    kv: RedbKv,
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its file.
    pub path: PathBuf,
    /// Core's options; what the database itself has settings for counts over them.
    pub options: Options,
    /// The size of redb's page cache.
    pub cache_bytes: usize,
}

/// The database is closed: the server stops, the database was deleted, or its file failed. If it could not be opened again, this says
/// why to jobs that waited for that, and to those that come later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed(pub Option<StorageError>);

/// A handle to a database's thread.
#[derive(Clone, Debug)]
pub struct Mailbox {
    letters: mpsc::Sender<Letter>,
    writes: watch::Receiver<u64>,
    settings: watch::Receiver<Settings>,
    snapshots: Cache,
    /// Why the thread has ended, if its file could not be opened again.
    end: Arc<OnceLock<StorageError>>,
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
        let end = Arc::new(OnceLock::new());
        let told = Arc::clone(&end);
        let body = move || match open_first(&opening) {
            Ok((runtime, resident, settings)) => {
                let (settings_sender, settings) = watch::channel(settings);
                let _ = opened.send(Ok(settings));
                let writes = Rc::new(writes_sender);
                LocalSet::new().block_on(&runtime, live(opening, resident, inbox, writes, settings_sender, &told));
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        };
        thread::Builder::new()
            .name("database".into())
            .spawn(body)
            .map_err(|error| StorageError::Failed(error.to_string()))?;
        let settings = opening_result.await.unwrap_or(Err(StorageError::Closed))?;
        Ok(Self { letters, writes, settings, snapshots: Cache::default(), end })
    }

    /// Runs `work` with the jobs that wait beside it, before those that come later.
    ///
    /// # Errors
    /// The database is closed; whether the work was done is not known then.
    pub async fn run<T, W>(&self, work: W) -> Result<T, Closed>
    where
        W: AsyncFnOnce(&Engine) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.ask(|work, reply| Letter::Job(job(work, reply)), work).await
    }

    /// Runs `work` beside the jobs of others, whenever it does not wait for something.
    ///
    /// # Errors
    /// The database is closed, and the work was given up.
    pub async fn run_beside<T, W>(&self, work: W) -> Result<T, Closed>
    where
        W: AsyncFnOnce(&Engine) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.ask(|work, reply| Letter::Task(job(work, reply)), work).await
    }

    /// Gives free space in the file back to the file system.
    ///
    /// # Errors
    /// The database is closed; inside, what the store says.
    pub async fn compact(&self) -> Result<Result<(), StorageError>, Closed> {
        let work = async |database: &Engine| database.kv().compact();
        self.ask(|work, reply| Letter::Alone(job(work, reply)), work).await
    }

    /// What was set for this database.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// Sets them anew, which is on the disk when this completes.
    ///
    /// # Errors
    /// The database is closed; inside, what the store says.
    pub async fn set(&self, settings: Settings) -> Result<Result<(), StorageError>, Closed> {
        self.ask(|(), reply| Letter::Settings(settings, reply), ()).await
    }

    /// A counter that moves with the commits. It fails once the database is closed.
    #[must_use]
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.writes.clone()
    }

    /// The snapshot for fresh replicas.
    #[must_use]
    pub fn snapshots(&self) -> &Cache {
        &self.snapshots
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

    async fn ask<T: Send + 'static, W>(
        &self,
        letter: impl FnOnce(W, oneshot::Sender<T>) -> Letter,
        work: W,
    ) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        let closed = || Closed(self.end.get().cloned());
        self.letters.send(letter(work, reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }
}

fn job<T, W>(work: W, reply: oneshot::Sender<T>) -> Job
where
    W: AsyncFnOnce(&Engine) -> T + Send + 'static,
    T: Send + 'static,
{
    Box::new(move |resident| {
        Box::pin(async move {
            if !reply.is_closed() {
                let _ = reply.send(work(&resident.database).await);
            }
        })
    })
}

fn open_first(opening: &Opening) -> Result<(Runtime, Resident, Settings), StorageError> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| StorageError::Failed(error.to_string()))?;
    let (resident, settings) = runtime.block_on(open_resident(opening))?;
    Ok((runtime, resident, settings))
}

async fn open_resident(opening: &Opening) -> Result<(Resident, Settings), StorageError> {
    let kv = RedbKv::open(&opening.path, opening.cache_bytes)?;
    let settings = Settings::read(&kv)?;
    let mut options = opening.options.clone();
    options.revs_limit = settings.revs_limit.unwrap_or(options.revs_limit);
    let database = Database::open(kv.clone(), &SystemRandom, options).await?;
    Ok((Resident { database, kv }, settings))
}

/// Does what the letters say. A file that failed is opened again, so that who comes next is answered.
async fn live(
    opening: Opening,
    mut resident: Resident,
    mut inbox: mpsc::Receiver<Letter>,
    writes: Rc<watch::Sender<u64>>,
    settings: watch::Sender<Settings>,
    end: &OnceLock<StorageError>,
) {
    let (mut next, mut pause) = (None, Duration::ZERO);
    loop {
        let ended = serve(Rc::new(resident), next, pause, &mut inbox, &writes, &settings).await;
        let stopped = match ended {
            Ended::Spoilt(letter) => match open_resident(&opening).await {
                Ok((again, _)) => {
                    (resident, next, pause) = (again, letter, PAUSE_AFTER_ERROR);
                    continue;
                }
                Err(error) => {
                    // Told before the letter goes, whose sender hears of that.
                    let _ = end.set(error);
                    None
                }
            },
            Ended::Stopped(stopped) => stopped,
        };
        drop(inbox);
        if let Some(stopped) = stopped {
            let _ = stopped.send(());
        }
        return;
    }
}

/// Why a file is closed.
enum Ended {
    /// It failed; the letter that comes next.
    Spoilt(Option<Letter>),
    /// It is no longer needed; who is to be told.
    Stopped(Option<oneshot::Sender<()>>),
}

/// Serves an open file, and closes it.
async fn serve(
    resident: Rc<Resident>,
    mut next: Option<Letter>,
    pause: Duration,
    inbox: &mut mpsc::Receiver<Letter>,
    writes: &Rc<watch::Sender<u64>>,
    settings: &watch::Sender<Settings>,
) -> Ended {
    let mut tasks = JoinSet::new();
    tasks.spawn_local(count_writes(resident.clone(), writes.clone()));
    let activity = Rc::new(Activity::new());
    let (maintained, seen) = (resident.kv.clone(), Rc::clone(&activity));
    tasks.spawn_local(async move {
        sleep(pause).await;
        maintained.maintain(async || seen.pause().await).await;
    });
    let ended = loop {
        let letter = match next.take() {
            Some(letter) => Some(letter),
            None => inbox.recv().await,
        };
        // The maintenance may have run into an error meanwhile.
        if resident.kv.is_spoilt() {
            break Ended::Spoilt(letter);
        }
        match letter {
            Some(Letter::Job(job)) => {
                let mut jobs = vec![job(resident.clone())];
                while jobs.len() < WAITING_JOBS_MAX && next.is_none() {
                    match inbox.try_recv() {
                        Ok(Letter::Job(job)) => jobs.push(job(resident.clone())),
                        Ok(other) => next = Some(other),
                        Err(_) => break,
                    }
                }
                join_all(jobs).await;
                activity.note();
            }
            Some(Letter::Alone(job)) => {
                job(resident.clone()).await;
                activity.note();
            }
            Some(Letter::Task(task)) => drop(tasks.spawn_local(task(resident.clone()))),
            Some(Letter::Settings(given, reply)) => {
                let _ = reply.send(given.apply(&resident.database).map(|()| drop(settings.send_replace(given))));
            }
            Some(Letter::Stop(reply)) => break Ended::Stopped(Some(reply)),
            None => break Ended::Stopped(None),
        }
        while tasks.try_join_next().is_some() {}
        if resident.kv.is_spoilt() {
            break Ended::Spoilt(next);
        }
    };
    tasks.shutdown().await;
    ended
}

/// A commit that happens before the next round is counted with the one that began this.
async fn count_writes(resident: Rc<Resident>, writes: Rc<watch::Sender<u64>>) {
    loop {
        resident.database.changed().await;
        writes.send_modify(|writes| *writes += 1);
    }
}
