//! One attempt at a request: sent once, and what its answer came to.
//!
//! Waits for the network end when the replication is cancelled. When the network is said to be back, or to be another, a request
//! of whose answer nothing was heard of late is given up, and sent anew: its connection may be a dead one. The next may be one as
//! well, of this request or of another, as platforms keep connections in a pool: so of some requests something has to be heard soon.

use alloc::vec::Vec;
use core::cell::Cell;
use core::future::{Future, pending};
use core::pin::pin;

use futures_util::future::{Either, LocalBoxFuture, select};

use super::ReplicationError;
use super::messages::ErrorAnswer;
use super::peer::{Peer, Reply, refusal};
use super::status::Observer;
use crate::effects::{Clock, Random, Request, Response, ResponseBody, Transport, TransportError};

/// When the network may be another, a request is sent anew if nothing was heard of it for so many milliseconds, and its body is no
/// longer than this.
const SILENT_MS: u64 = 1_000;
const ANEW_BYTES_MAX: u64 = 64 << 10;
/// Within so many milliseconds something is heard of a request whose connection may be dead.
const BEGINS_MS: u64 = 3_000;

/// The slowest line that is waited for while a request is sent, in bytes a millisecond.
const SLOWEST_BYTES_A_MS: u64 = 8;

/// Reads the body of an answer, and keeps what it reads.
pub(super) type Read<'r> = dyn FnMut(Vec<u8>) -> Result<(), ReplicationError> + 'r;

/// Takes the body of an answer in as it arrives.
pub(super) trait Sink {
    /// Asks for what is still missing, before each attempt; else for the whole.
    fn resume(&self, _request: &mut Request) {}
    /// Takes the bytes from `position` on; a body that begins at 0 again takes the place of what came before.
    fn take<'s>(&'s self, position: u64, bytes: &'s [u8]) -> LocalBoxFuture<'s, Result<(), ReplicationError>>;
    /// The body has ended after `length` bytes; [`ReplicationError::Malformed`] if it was cut short.
    fn end(&self, length: u64) -> Result<(), ReplicationError>;
}

/// What becomes of the body of an answer.
pub(super) enum Target<'t> {
    Read(&'t mut Read<'t>),
    Sink(&'t dyn Sink),
}

/// What one attempt came to, when it was not the end.
pub(super) struct Setback {
    pub(super) error: ReplicationError,
    pub(super) retry_after_ms: Option<u64>,
}

/// What an attempt came to.
pub(super) enum Attempt {
    Over(Reply<()>),
    Again(Setback),
    /// The network may be another, and the peer was silent: the connection is taken for dead.
    Anew,
    Unauthorized(ErrorAnswer),
}

/// Reads a body where it is to be read.
fn read_with(target: &mut Target<'_>, body: Vec<u8>) -> Result<(), ReplicationError> {
    match target {
        Target::Read(read) => read(body),
        Target::Sink(_) => Ok(()),
    }
}

impl<T: Transport, C: Clock, R: Random, O: Observer> Peer<'_, T, C, R, O> {
    /// Sends `request` once.
    pub(super) async fn attempt(
        &self,
        request: &Request,
        target: &mut Target<'_>,
    ) -> Result<Attempt, ReplicationError> {
        let again = |error, retry_after_ms| Ok(Attempt::Again(Setback { error, retry_after_ms }));
        let bytes = request.body.as_ref().map_or(0, |body| body.len() as u64);
        let bytes = request.upload.as_ref().map_or(bytes, |upload| upload.length());
        self.monitor.update(|status| status.bytes_written += bytes);
        let mut request = request.clone();
        if let Target::Sink(sink) = &target {
            sink.resume(&mut request);
        }
        request.idle_timeout_ms += bytes / SLOWEST_BYTES_A_MS;
        // A long body is not sent twice because somebody came back to the page.
        let heard_ms = (bytes <= ANEW_BYTES_MAX).then(|| Cell::new(self.effects.clock.now_ms()));
        let heard_ms = heard_ms.as_ref();
        let may_be_dead = heard_ms.is_some() && self.may_be_dead();
        let sent = self.effects.transport.send(request);
        let mut response = match self.unless_silent(heard_ms, may_be_dead, sent).await? {
            None => return Ok(Attempt::Anew),
            Some(Ok(response)) => response,
            Some(Err(error @ (TransportError::BadUrl(_) | TransportError::Unreadable(_)))) => return Err(error.into()),
            Some(Err(error)) => return again(error.into(), None),
        };
        self.heard(heard_ms);
        if let (200..=299, Target::Sink(sink)) = (response.status, &target) {
            return match self.pour(&mut response, *sink, heard_ms).await {
                Ok(true) => Ok(Attempt::Over(Reply::Done(()))),
                Ok(false) => Ok(Attempt::Anew),
                Err(error @ (ReplicationError::Malformed(_) | ReplicationError::Network(_))) => again(error, None),
                Err(error) => Err(error),
            };
        }
        let body = match self.unless_silent(heard_ms, false, self.body(&mut response, heard_ms)).await? {
            None => return Ok(Attempt::Anew),
            Some(Ok(Some(body))) => body,
            Some(Ok(None)) => return Ok(Attempt::Over(Reply::TooLong)),
            Some(Err(error)) => return again(error.into(), None),
        };
        match response.status {
            200..=299 => match read_with(target, body) {
                Ok(()) => Ok(Attempt::Over(Reply::Done(()))),
                Err(error @ ReplicationError::Malformed(_)) => again(error, None),
                Err(error) => Err(error),
            },
            401 => Ok(Attempt::Unauthorized(ErrorAnswer::read(&body))),
            status @ (408 | 425 | 429 | 500 | 502..=504) => {
                again(refusal(status, ErrorAnswer::read(&body)), response.retry_after_ms)
            }
            status => Ok(Attempt::Over(Reply::Refused { status, answer: ErrorAnswer::read(&body) })),
        }
    }

    /// What `wait` brings; `None` if nothing is heard of the peer that shows its connection to live, after the network was said to be
    /// another, or with `may_be_dead` from the beginning.
    async fn unless_silent<F: Future>(
        &self,
        heard_ms: Option<&Cell<u64>>,
        may_be_dead: bool,
        wait: F,
    ) -> Result<Option<F::Output>, ReplicationError> {
        let now_ms = || self.effects.clock.now_ms();
        let mut asked_ms = may_be_dead.then(now_ms);
        let mut wait = pin!(wait);
        loop {
            let left_ms = asked_ms.map(|asked_ms| (asked_ms + BEGINS_MS).saturating_sub(now_ms()));
            let limit = pin!(async {
                match left_ms {
                    Some(left_ms) => self.effects.clock.sleep(left_ms).await,
                    None => pending().await,
                }
            });
            let ended = self.control().until_woken(select(wait.as_mut(), limit)).await?;
            let heard = heard_ms.map(Cell::get);
            match ended {
                Some(Either::Left((output, _))) => return Ok(Some(output)),
                Some(Either::Right(_)) if heard <= asked_ms => return Ok(None),
                Some(Either::Right(_)) => asked_ms = None,
                None if heard.is_some_and(|heard_ms| now_ms().saturating_sub(heard_ms) >= SILENT_MS) => {
                    return Ok(None);
                }
                // Its connection may be dead all the same.
                None if heard.is_some() => {
                    // What was asked before it was heard of is answered.
                    asked_ms = asked_ms.filter(|asked_ms| heard <= Some(*asked_ms)).or_else(|| Some(now_ms()));
                }
                None => {}
            }
        }
    }

    fn heard(&self, heard_ms: Option<&Cell<u64>>) {
        if let Some(heard_ms) = heard_ms {
            heard_ms.set(self.effects.clock.now_ms());
        }
    }

    /// Lets the body go to `sink`; `false` if the peer had been silent when the network was said to be another.
    async fn pour(
        &self,
        response: &mut Response<T::Body>,
        sink: &dyn Sink,
        heard_ms: Option<&Cell<u64>>,
    ) -> Result<bool, ReplicationError> {
        let (mut position, mut may_be_dead) = (0, false);
        loop {
            let Some(chunk) = self.unless_silent(heard_ms, may_be_dead, response.body.chunk()).await? else {
                return Ok(false);
            };
            let chunk = chunk?;
            self.heard(heard_ms);
            let is_end = chunk.is_none();
            let chunk = chunk.unwrap_or_default();
            self.monitor.update(|status| status.bytes_read += chunk.len() as u64);
            let wakes = self.control().wakes();
            if !is_end || position == 0 {
                sink.take(position, &chunk).await?;
            }
            may_be_dead = heard_ms.is_some() && self.control().wakes() != wakes;
            position += chunk.len() as u64;
            if is_end {
                return sink.end(position).map(|()| true);
            }
        }
    }

    /// The whole body; `None` when it is longer than the options allow.
    async fn body(
        &self,
        response: &mut Response<T::Body>,
        heard_ms: Option<&Cell<u64>>,
    ) -> Result<Option<Vec<u8>>, TransportError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.body.chunk().await? {
            self.heard(heard_ms);
            self.monitor.update(|status| status.bytes_read += chunk.len() as u64);
            if body.len() + chunk.len() > self.options.limits.answer_bytes_max {
                return Ok(None);
            }
            if body.is_empty() {
                body = chunk;
            } else {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Some(body))
    }
}
