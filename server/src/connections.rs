//! The connections: accepting them, bounding them, cutting slow ones off, and letting them finish when the server stops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::config::Limits;

/// What is still being answered when the server stops has so long to end.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// The system has no file descriptors left: wait for some to be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopping` turns true and what is in flight is done.
pub async fn serve(listener: TcpListener, router: Router, limits: &Limits, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
    let slow_client_timeout = Duration::from_millis(limits.slow_client_timeout_ms);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(slow_client_timeout);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let Ok((stream, permit)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(slow_client_timeout));
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
        tokio::spawn(async move {
            // A connection that broke is the client's to notice.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = timeout(STOP_GRACE, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Small answers must not wait for more to be sent with them.
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}
