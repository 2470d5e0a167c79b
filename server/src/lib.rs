//! The replication server of Firkin, as a library: CouchDB's HTTP API over the same core that runs in browsers.
//!
//! A request goes from a connection ([`connections`]) through the API ([`http`]) to the mailbox of its database
//! ([`mailbox`]), on whose thread core works over redb ([`redb_kv`]); [`databases`] keeps the data folder.
//!
//! **An answer that acknowledges a write is sent after the write is on the disk.**
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod activity;
mod auth;
pub mod clients;
pub mod config;
mod connections;
mod database_name;
pub mod databases;
mod http;
mod mailbox;
pub mod maintenance;
mod metrics;
pub mod parts;
mod passwords;
mod random;
pub mod redb_kv;
pub mod replication;
mod settings;
mod snapshots;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use firkin_core::database::Options;
use firkin_core::storage::Durability;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use clients::Clients;
use config::{Config, Origins};
use databases::{Databases, FolderError};
use http::App;
use metrics::Metrics;
use replication::endpoint::Remote;
use replication::transport::Network;
use replication::upstream::follow;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// Its address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// A server that has its data folder and its address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    origins: Origins,
    upstreams: Vec<Remote>,
    tls: Option<TlsAcceptor>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Takes the data folder and the address. Connections wait until [`Self::run`] is called.
    ///
    /// # Errors
    /// Either cannot be had.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let options = Options {
            document_bytes_max: config.limits.document_bytes_max,
            durability: Durability::Strict,
            ..Options::default()
        };
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let databases = Databases::open(&config.data, options, config.limits.cache_bytes)?;
        let refused = |error| StartError::Listen(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (stop, stopping) = watch::channel(false);
        let app = App {
            databases,
            access: config.access,
            sessions: auth::Sessions::default(),
            passwords: passwords::Passwords::new(config.password_iterations),
            speaks_tls: tls.is_some(),
            limits: config.limits,
            feeds: Arc::new(Semaphore::new(config.limits.feeds_max.min(Semaphore::MAX_PERMITS))),
            clients: Arc::new(Clients::new(config.client_limits)),
            metrics: Metrics::default(),
            replications: Arc::default(),
            stopping,
        };
        let (app, origins, upstreams) = (Arc::new(app), config.origins, config.upstreams);
        Ok(Self { listener, address, app, origins, upstreams, tls, stop })
    }

    /// The address that is listened on, with its real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Serves until `stop` completes; then finishes what is in flight and closes every database.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let app = self.app;
        app.replications.connect(Network::new(http::inside(app.clone()), Handle::current()));
        let upstreams: Vec<_> = self
            .upstreams
            .into_iter()
            .map(|remote| {
                let (app, stopping) = (app.clone(), self.stop.subscribe());
                tokio::spawn(async move { follow(app.replications.clone(), &app.databases, remote, stopping).await })
            })
            .collect();
        let router = http::router(app.clone(), &self.origins);
        let serving = connections::serve(self.listener, router, self.tls, &app.limits, self.stop.subscribe());
        let stopping = async {
            stop.await;
            tracing::info!("stopping");
            app.replications.cancel_all();
            self.stop.send_replace(true);
        };
        tokio::join!(serving, stopping);
        for upstream in upstreams {
            let _ = upstream.await;
        }
        app.databases.close().await;
        app.replications.disconnect();
    }
}
