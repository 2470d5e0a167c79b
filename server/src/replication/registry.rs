//! The replications that are under way, and how one is run.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use firkin_core::error::ErrorReport;
use firkin_core::replication::{Control, Effects, Event, Options, Status, pull, push};
use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::endpoint::Endpoint;
use super::transport::{Network, SystemClock};
use crate::databases::Databases;
use crate::random::SystemRandom;

/// What a replication is to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where the documents come from.
    pub source: Endpoint,
    /// Where they go to.
    pub target: Endpoint,
    /// Make the target where it is not there.
    pub create_target: bool,
    /// What core is asked.
    pub options: Options,
}

/// A replication that is under way.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// The name of its source.
    pub source: String,
    /// The name of its target.
    pub target: String,
    /// Whether it goes on with what changes later.
    pub is_live: bool,
    /// How far it has come.
    pub status: Status,
}

struct Entry {
    under_way: UnderWay,
    cancel: watch::Sender<bool>,
}

/// The replications that are under way.
#[derive(Default)]
pub struct Registry {
    network: Mutex<Option<Network>>,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// Takes a replication off the list when it ends.
struct Listed<'r> {
    registry: &'r Registry,
    id: &'r str,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.registry.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(self.id);
    }
}

impl Registry {
    /// Says how the other ends are reached.
    pub fn connect(&self, network: Network) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(network);
    }

    /// Lets go of the ways to the other ends: no replication begins from then on.
    pub fn disconnect(&self) {
        self.network.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// All that are under way.
    #[must_use]
    pub fn list(&self) -> Vec<(String, UnderWay)> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|(id, entry)| (id.clone(), entry.under_way.clone())).collect()
    }

    /// Ends a replication once what it is writing is written; whether there was one.
    pub fn cancel(&self, id: &str) -> bool {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(id).is_some_and(|entry| !entry.cancel.send_replace(true))
    }

    /// Ends all.
    pub fn cancel_all(&self) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.values() {
            entry.cancel.send_replace(true);
        }
    }

    /// Runs a replication under an id, to its end.
    ///
    /// # Errors
    /// What ended it; one under this id that is under way already is none.
    pub async fn run(self: &Arc<Self>, databases: &Databases, id: &str, job: Job) -> Result<Status, ErrorReport> {
        let network = self.network.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let network = network.ok_or_else(|| ErrorReport::new(503, "closed", "The server is starting or stopping."))?;
        let (cancel, cancelled) = watch::channel(false);
        let under_way = UnderWay {
            source: job.source.name().into(),
            target: job.target.name().into(),
            is_live: job.options.live,
            status: Status::default(),
        };
        {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = entries.get(id) {
                return Ok(entry.under_way.status.clone());
            }
            entries.insert(id.into(), Entry { under_way, cancel });
        }
        let _listed = Listed { registry: self, id };
        let is_same =
            matches!((&job.source, &job.target), (Endpoint::Here(source), Endpoint::Here(target)) if source == target);
        if is_same {
            return Err(ErrorReport::new(400, "bad_request", "source and target are the same database"));
        }
        let (is_pull, local, other) = match (&job.source, &job.target) {
            (_, Endpoint::Here(name)) => (true, name.clone(), job.source.clone()),
            (Endpoint::Here(name), _) => (false, name.clone(), job.target.clone()),
            _ => {
                return Err(ErrorReport::new(
                    501,
                    "not_implemented",
                    "One of source and target must be a database here.",
                ));
            }
        };
        if job.create_target {
            let status = network.to(&job.target).create().await;
            if !matches!(status, Ok(201 | 202 | 412)) {
                return Err(ErrorReport::new(500, "db_not_created", format!("could not make {}", job.target.name())));
            }
        }
        let mailbox = databases.get(&local).await.map_err(|error| match error.report() {
            report if report.status == 404 => ErrorReport::new(404, "db_not_found", format!("could not open {local}")),
            report => report,
        })?;
        let (wire, registry, id) = (network.to(&other), self.clone(), id.to_owned());
        let options = Options { peer: other.name().into(), ..job.options };
        let work = async move |database: &crate::mailbox::Engine| {
            let control = Control::new();
            let observer = |_: Event<'_>, status: &Status| registry.note(&id, status);
            let effects = Effects {
                transport: &wire,
                clock: &SystemClock,
                random: &SystemRandom,
                observer: &observer,
                control: &control,
            };
            let replicate = async {
                if is_pull {
                    pull(database, &effects, &options).await
                } else {
                    push(database, &effects, &options).await
                }
            };
            let mut cancelled = cancelled;
            let until_cancelled = async {
                let _ = cancelled.wait_for(|cancelled| *cancelled).await;
                control.cancel();
            };
            match select(pin!(replicate), pin!(until_cancelled)).await {
                Either::Left((ended, _)) => ended,
                Either::Right(((), replicate)) => replicate.await,
            }
        };
        let ended = mailbox.run_beside(work).await;
        let closed = || ErrorReport::new(503, "closed", "The database was closed.");
        ended.map_err(|_| closed())?.map_err(|error| match error.report() {
            report if report.status == 404 => {
                ErrorReport::new(404, "db_not_found", format!("could not open {}", other.name()))
            }
            report => report,
        })
    }

    fn note(&self, id: &str, status: &Status) {
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get_mut(id) {
            entry.under_way.status = status.clone();
        }
    }
}
