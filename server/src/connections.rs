//! The connections: accepting them, bounding them, cutting slow ones off, and letting them finish when the server stops.
//!
//! HTTP/2 is spoken where a client asks for it: in the handshake of TLS, or without TLS by beginning with its preface.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::config::Limits;

/// What is still being answered when the server stops has so long to end.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// The system has no file descriptors left: wait for some to be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often a client that speaks HTTP/2 is asked whether it is there, at the least.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How an HTTP/2 connection without TLS begins.
const PREFACE: &[u8] = b"PRI ";

/// A look at what has come is taken so often, until it is enough.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// What all connections share.
struct Shared {
    router: Router,
    tls: Option<TlsAcceptor>,
    slow_client_timeout: Duration,
    header_bytes_max: usize,
}

/// Serves until `stopping` turns true and what is in flight is done.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: &Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
    let slow_client_timeout = Duration::from_millis(limits.slow_client_timeout_ms);
    // hyper takes no less.
    let header_bytes_max = limits.header_bytes_max.max(8192);
    let shared = Arc::new(Shared { router, tls, slow_client_timeout, header_bytes_max });
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let Ok((stream, peer, permit)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (shared, watcher) = (shared.clone(), graceful.watcher());
        tokio::spawn(async move {
            // A connection that broke is the client's to notice.
            let _ = shared.begin(stream, peer, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = timeout(STOP_GRACE, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    // Small answers must not wait for more to be sent with them.
    stream.set_nodelay(true)?;
    Ok((stream, Peer(address.ip()), permit))
}

impl Shared {
    async fn begin(&self, stream: TcpStream, peer: Peer, watcher: Watcher) -> io::Result<()> {
        let Some(tls) = &self.tls else {
            let speaks_http2 = speaks_http2(&stream, self.slow_client_timeout).await?;
            return self.speak(stream, speaks_http2, peer, watcher).await;
        };
        let stream = timeout(self.slow_client_timeout, tls.accept(stream)).await??;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.speak(stream, speaks_http2, peer, watcher).await
    }

    async fn speak<S>(&self, stream: S, speaks_http2: bool, peer: Peer, watcher: Watcher) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.slow_client_timeout));
        let mut http = Builder::new(TokioExecutor::new());
        if speaks_http2 {
            // Whoever is there answers the pings.
            let ping_interval = PING_INTERVAL.min(self.slow_client_timeout);
            stream.set_read_timeout(Some(ping_interval + self.slow_client_timeout));
            http = http.http2_only();
            let header_bytes_max = u32::try_from(self.header_bytes_max).unwrap_or(u32::MAX);
            http.http2()
                .timer(TokioTimer::new())
                .keep_alive_interval(ping_interval)
                .keep_alive_timeout(self.slow_client_timeout)
                .max_header_list_size(header_bytes_max);
        } else {
            http = http.http1_only();
            http.http1()
                .timer(TokioTimer::new())
                .header_read_timeout(self.slow_client_timeout)
                .max_buf_size(self.header_bytes_max);
        }
        let router = self.router.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service).into_owned();
        watcher.watch(connection).await.map_err(io::Error::other)
    }
}

/// Whether what comes first is the preface of HTTP/2. Nothing is taken from the connection.
async fn speaks_http2(stream: &TcpStream, patience: Duration) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    let until = Instant::now() + patience;
    loop {
        let came = timeout_at(until, stream.peek(&mut first)).await??;
        let is_prefix = first.get(..came) == PREFACE.get(..came);
        if came == PREFACE.len() || !is_prefix || came == 0 {
            return Ok(is_prefix && came > 0);
        }
        timeout_at(until, sleep(LOOK_INTERVAL)).await?;
    }
}
