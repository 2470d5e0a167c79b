//! What the engine asks of the world besides storage: time, randomness and the network.
//!
//! Each is a trait that the embedder implements; a test implements them from a seed. None is `Send`: an engine and all
//! that it calls live on one thread.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use futures_util::future::LocalBoxFuture;

/// The passing of time.
pub trait Clock {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Completes once `duration_ms` milliseconds have passed.
    async fn sleep(&self, duration_ms: u64);
}

/// A source of randomness: for identities and for the jitter of retries, never for keys.
pub trait Random {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The network: one HTTP request in, one streamed response out.
pub trait Transport {
    /// The body of a response as it arrives.
    type Body: ResponseBody;
    /// Sends `request` and completes when the head of the response is there. Dropping the future, or the body that it
    /// returned, ends the request.
    async fn send(&self, request: Request) -> Result<Response<Self::Body>, TransportError>;

    /// Asks the app for fresh credentials after the peer answered 401. `true` when there may be some, so that the request
    /// should be sent once more.
    async fn renew_credentials(&self) -> bool {
        false
    }
}

/// The body of a response, chunk by chunk.
pub trait ResponseBody {
    /// The next chunk, or `None` at the end of the body.
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError>;
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl Method {
    /// The method's name as HTTP writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A request to the peer.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below the URL of the peer's database, percent-encoded, query included: `_changes?since=0`. Empty for the
    /// database itself. The transport knows the URL, the headers and the credentials; the engine never sees them.
    pub path: String,
    /// Headers beside those of the transport; names are in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body, if any.
    pub body: Option<Vec<u8>>,
    /// The body instead, if it is too long for memory.
    pub upload: Option<Rc<dyn Upload>>,
    /// The request fails with [`TransportError::TimedOut`] when nothing arrived for so many milliseconds.
    pub idle_timeout_ms: u64,
}

/// A body that is too long for memory: it is read part by part as it is sent, from the beginning for each attempt.
pub trait Upload: fmt::Debug {
    /// Its content type.
    fn content_type(&self) -> String;
    /// How many bytes it has.
    fn length(&self) -> u64;
    /// The parts, asked for one after the other from 0 on; `None` after the last. An error, which the transport hands on, is
    /// [`TransportError::Unreadable`].
    fn part(&self, place: usize) -> LocalBoxFuture<'_, Result<Option<Vec<u8>>, TransportError>>;
}

/// The head of a response and its body.
#[derive(Debug)]
pub struct Response<B> {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header in milliseconds, where there is one.
    pub retry_after_ms: Option<u64>,
    /// The body.
    pub body: B,
}

/// Why a request brought no response, or only a part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The peer could not be reached, or the connection broke.
    #[error("the network failed: {0}")]
    Unreachable(String),
    /// Nothing arrived for the request's `idle_timeout_ms`.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// What was to be sent could not be read.
    #[error("what was to be sent could not be read: {0}")]
    Unreadable(String),
    /// The URL is none that could be asked.
    #[error("not a URL that can be synced with: {0}")]
    BadUrl(String),
}
