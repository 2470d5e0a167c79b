//! How core's replication reaches the other end: over HTTP, or straight into this server's own API.
//!
//! Core's futures stay on the thread of a database; connections live on the runtime that serves. A request is sent there, and
//! bodies go to and fro in chunks, through channels that hold a few.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::{self, HeaderValue, Request as HttpRequest, header};
use bytes::Bytes;
use firkin_core::effects::{Clock, Request, Response, ResponseBody, Transport, TransportError, Upload};
use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::endpoint::{Endpoint, Remote};
use crate::auth::Caller;

/// So many chunks of a body wait for who takes them.
const WAITING_CHUNKS_MAX: usize = 2;

type HttpClient = Client<HttpsConnector<HttpConnector>, Body>;

/// Makes transports.
#[derive(Clone)]
pub struct Network {
    /// Made when it is first needed: most servers never ask another.
    client: Arc<OnceLock<Result<HttpClient, String>>>,
    inside: Router,
    runtime: Handle,
}

impl Network {
    /// A network whose requests to databases of this server go to `inside`, and which trusts the system's certificates.
    #[must_use]
    pub fn new(inside: Router, runtime: Handle) -> Self {
        Self { client: Arc::default(), inside, runtime }
    }

    fn client(&self) -> Result<HttpClient, String> {
        let make = || {
            let provider = tokio_rustls::rustls::crypto::ring::default_provider();
            let connector = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
            let connector = connector.map_err(|error| format!("the system's certificates: {error}"))?;
            let connector = connector.https_or_http().enable_http1().build();
            Ok(Client::builder(TokioExecutor::new()).build(connector))
        };
        self.client.get_or_init(make).clone()
    }

    /// The way to an end.
    #[must_use]
    pub fn to(&self, endpoint: &Endpoint) -> Wire {
        Wire { network: self.clone(), endpoint: endpoint.clone() }
    }

    async fn exchange(
        self,
        endpoint: Endpoint,
        mut request: HttpRequest<Body>,
    ) -> Result<http::Response<Body>, String> {
        match endpoint {
            Endpoint::Here(_) => {
                request.extensions_mut().insert(Caller::inside());
                self.inside.oneshot(request).await.map_err(|never| match never {})
            }
            Endpoint::There(Remote { headers, .. }) => {
                request.headers_mut().extend(headers);
                let response = self.client()?.request(request).await.map_err(|error| causes(&error))?;
                Ok(response.map(Body::new))
            }
        }
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The way to one end.
pub struct Wire {
    network: Network,
    endpoint: Endpoint,
}

impl Wire {
    fn url(&self, path: &str) -> String {
        let base = match &self.endpoint {
            Endpoint::Here(name) => crate::http::path_of(name, None),
            Endpoint::There(remote) => remote.url.clone(),
        };
        if path.is_empty() { base } else { format!("{base}/{path}") }
    }

    /// Makes the database, where it is not there.
    pub async fn create(&self) -> Result<u16, TransportError> {
        let request = HttpRequest::put(self.url("")).body(Body::empty());
        let request = request.map_err(|error| TransportError::BadUrl(error.to_string()))?;
        let answer = self.network.clone().exchange(self.endpoint.clone(), request).await;
        answer.map(|response| response.status().as_u16()).map_err(TransportError::Unreachable)
    }
}

impl Transport for Wire {
    type Body = ChunkedBody;

    async fn send(&self, request: Request) -> Result<Response<ChunkedBody>, TransportError> {
        let idle = Duration::from_millis(request.idle_timeout_ms);
        let mut built = HttpRequest::builder()
            .method(request.method.name())
            .uri(self.url(&request.path))
            .header(header::ACCEPT, "application/json");
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        let (chunks, body) = match (&request.upload, request.body) {
            (Some(upload), _) => {
                built = built.header(header::CONTENT_TYPE, upload.content_type());
                built = built.header(header::CONTENT_LENGTH, upload.length());
                let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(WAITING_CHUNKS_MAX);
                (Some(sender), Body::from_stream(stream::poll_fn(move |context| receiver.poll_recv(context))))
            }
            (None, Some(body)) => {
                built = built.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                (None, Body::from(body))
            }
            (None, None) => (None, Body::empty()),
        };
        let built = built.body(body).map_err(|error| TransportError::BadUrl(error.to_string()))?;
        let exchange = self.network.runtime.spawn(self.network.clone().exchange(self.endpoint.clone(), built));
        let exchange = AbortOnDrop(exchange);
        let answer = async {
            match (&request.upload, chunks) {
                (Some(upload), Some(chunks)) => {
                    // An answer may come before the whole body went.
                    match select(Box::pin(pump(&**upload, chunks)), exchange).await {
                        Either::Left((pumped, exchange)) => {
                            pumped?;
                            exchange.await
                        }
                        Either::Right((answer, _)) => answer,
                    }
                }
                _ => exchange.await,
            }
        };
        let response = timeout(idle, answer).await.map_err(|_| TransportError::TimedOut)??;
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after_ms =
            retry_after.and_then(|text| text.parse::<u64>().ok()).map(|seconds| seconds.saturating_mul(1000));
        let status = response.status().as_u16();
        let (sender, receiver) = mpsc::channel(WAITING_CHUNKS_MAX);
        self.network.runtime.spawn(async move {
            let mut chunks = response.into_body().into_data_stream();
            loop {
                let chunk = tokio::select! {
                    chunk = chunks.next() => chunk,
                    // Who asked has gone: the request ends.
                    () = sender.closed() => None,
                };
                let Some(chunk) = chunk else { break };
                if sender.send(chunk.map_err(|error| causes(&error))).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response { status, retry_after_ms, body: ChunkedBody { receiver, idle } })
    }
}

/// Reads a body and sends it on.
async fn pump(upload: &dyn Upload, chunks: mpsc::Sender<io::Result<Bytes>>) -> Result<(), TransportError> {
    let mut place = 0;
    loop {
        match upload.part(place).await {
            Ok(Some(part)) => {
                if chunks.send(Ok(part.into())).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                let _ = chunks.send(Err(io::Error::other(error.to_string()))).await;
                return Err(error);
            }
        }
        place += 1;
    }
}

/// A request that ends when nobody waits for it any more.
struct AbortOnDrop(tokio::task::JoinHandle<Result<http::Response<Body>, String>>);

impl Future for AbortOnDrop {
    type Output = Result<http::Response<Body>, TransportError>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context).map(|joined| match joined {
            Ok(answer) => answer.map_err(TransportError::Unreachable),
            Err(error) => Err(TransportError::Unreachable(error.to_string())),
        })
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a response, as it arrives.
pub struct ChunkedBody {
    receiver: mpsc::Receiver<Result<Bytes, String>>,
    idle: Duration,
}

impl ResponseBody for ChunkedBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        match timeout(self.idle, self.receiver.recv()).await {
            Ok(Some(Ok(bytes))) => Ok(Some(bytes.into())),
            Ok(Some(Err(error))) => Err(TransportError::Unreachable(error)),
            Ok(None) => Ok(None),
            Err(_) => Err(TransportError::TimedOut),
        }
    }
}

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    async fn sleep(&self, duration_ms: u64) {
        sleep(Duration::from_millis(duration_ms)).await;
    }
}
