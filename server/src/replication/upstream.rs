//! The upstream: a database of a cluster, with which one here is kept the same, both ways, for as long as the server runs.

use std::sync::Arc;
use std::time::Duration;

use firkin_core::replication::Options;
use tokio::sync::watch;
use tokio::time::sleep;

use super::endpoint::{Endpoint, Remote};
use super::registry::{Job, Registry};
use crate::databases::{DatabaseError, Databases};

/// What cannot go on is begun again after so long, twice as long each time.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Keeps both ways going until the server stops.
pub async fn follow(registry: Arc<Registry>, databases: &Databases, remote: Remote, stopping: watch::Receiver<bool>) {
    let (here, there) = (Endpoint::Here(remote.database()), Endpoint::There(remote));
    tokio::join!(
        keep(&registry, databases, there.clone(), here.clone(), stopping.clone()),
        keep(&registry, databases, here, there, stopping),
    );
}

async fn keep(
    registry: &Arc<Registry>,
    databases: &Databases,
    source: Endpoint,
    target: Endpoint,
    mut stopping: watch::Receiver<bool>,
) {
    let options = Options { live: true, retry: true, ..Options::default() };
    let id = format!("upstream {} {}", source.name(), target.name());
    let mut pause = PAUSE_MIN;
    while !*stopping.borrow() {
        let local = if let Endpoint::Here(name) = &source { Some(name) } else { None };
        let local = local.or(if let Endpoint::Here(name) = &target { Some(name) } else { None });
        if let Some(name) = local
            && let Err(error) = databases.create(name).await
            && error != DatabaseError::Exists
        {
            tracing::warn!(database = name, error = %error.report().reason, "the upstream's database cannot be made");
        }
        let job =
            Job { source: source.clone(), target: target.clone(), create_target: false, options: options.clone() };
        let ended = tokio::select! {
            ended = registry.run(databases, &id, job) => ended,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        if let Err(error) = ended {
            let (source, target) = (source.name(), target.name());
            tracing::warn!(source, target, error = %error.reason, "a replication with the upstream ended; it begins again");
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}
