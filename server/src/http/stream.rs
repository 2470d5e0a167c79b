//! Answers that are sent while they are made.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use super::answer::Failure;

/// So many chunks wait for a client before the maker waits for it.
const WAITING_CHUNKS_MAX: usize = 2;

/// The client has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Where the chunks of an answer go.
#[derive(Clone, Debug)]
pub struct Chunks(mpsc::Sender<io::Result<Bytes>>);

/// An answer's body, and where to send its chunks; it ends when the latter is dropped.
pub fn streamed() -> (Chunks, Body) {
    let (sender, mut receiver) = mpsc::channel(WAITING_CHUNKS_MAX);
    let body = Body::from_stream(stream::poll_fn(move |context| receiver.poll_recv(context)));
    (Chunks(sender), body)
}

impl Chunks {
    /// Sends a chunk once there is room for it.
    pub async fn send(&self, chunk: impl Into<Bytes>) -> Result<(), Gone> {
        self.0.send(Ok(chunk.into())).await.map_err(|_| Gone)
    }

    /// Cuts the connection: the head is out already, and the client must not take what it has for the whole.
    pub async fn cut(&self, failure: &Failure) {
        let _ = self.0.send(Err(io::Error::other(failure.0.reason.clone()))).await;
    }

    /// Completes when the client has gone.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}
