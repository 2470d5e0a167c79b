//! The peer at the other end of the transport: one request at a time, with its retries.
//!
//! A request that failed for a passing reason (the network, 429, 5xx, an answer cut short) is sent again after a back-off, as
//! long as the options ask for that. A 401 asks the app for fresh credentials, once for each request. All requests of the
//! protocol may be repeated without harm.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use async_lock::Mutex;

use super::attempt::{Attempt, Sink, Target};
use super::backoff;
use super::control::Control;
use super::messages::{ErrorAnswer, Sequence, read_info};
use super::options::Options;
use super::refusals::Refusals;
use super::status::{Denied, Monitor, Observer};
use super::{Effects, ReplicationError};
use crate::effects::{Clock, Method, Random, Request, Transport};

/// So many answers in a row that make no sense are taken for cut short on the way; one more ends the replication.
const MALFORMED_MAX: u32 = 5;

/// So many connections at most are dead after the network was said to be another: browsers keep no more to a server.
const DEAD_MAX: u32 = 6;

/// So long after that a connection which nobody used is taken for gone: platforms keep such for some minutes, and servers for less.
const KEPT_MS: u64 = 60_000;

/// The peer of one replication.
pub(super) struct Peer<'a, T, C, R, O> {
    pub(super) effects: &'a Effects<'a, T, C, R, O>,
    pub(super) options: &'a Options,
    pub(super) monitor: Monitor<'a, O>,
    /// How often credentials were renewed. Requests that failed with the same ones share one renewal.
    renewals: Cell<u64>,
    renewing: Mutex<()>,
    pub(super) refusals: Refusals,
    /// Whether this is the part of a pull that looks for documents that no longer match.
    pub(super) drops: bool,
    /// What told the peer's database from others when the replication began.
    identity: RefCell<String>,
    /// Whether the peer's database said then that it has snapshots which can be read here.
    pub(super) has_snapshot: Cell<bool>,
    /// A request failed since the latest look at what the peer is: it may be another now.
    pub(super) was_away: Cell<bool>,
    /// How often in a row the replication began again because the peer did not remember.
    pub(super) beginnings: Cell<u32>,
    /// So many connections may still be dead, of those that were there when the network was said for the `wakes`th time to be another,
    /// which was heard at `woken_ms`.
    dead_max: Cell<u32>,
    wakes: Cell<u64>,
    woken_ms: Cell<u64>,
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply<P> {
    /// A status of 2xx, and the body as it was read.
    Done(P),
    /// Any other status that waiting does not change.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the body says.
        answer: ErrorAnswer,
    },
    /// The answer was longer than the options allow.
    TooLong,
}

impl<P> Reply<P> {
    /// The body, or the refusal as an error.
    pub(super) fn done(self, limit: usize) -> Result<P, ReplicationError> {
        match self {
            Self::Done(parsed) => Ok(parsed),
            Self::Refused { status, answer } => Err(refusal(status, answer)),
            Self::TooLong => Err(ReplicationError::AnswerTooLong { limit }),
        }
    }
}

/// A refusal as the error that ends a replication.
pub(super) fn refusal(status: u16, answer: ErrorAnswer) -> ReplicationError {
    match status {
        401 => ReplicationError::Unauthorized(answer.reason),
        403 => ReplicationError::Forbidden(answer.reason),
        _ => ReplicationError::Refused { status, error: answer.error, reason: answer.reason },
    }
}

impl<'a, T: Transport, C: Clock, R: Random, O: Observer> Peer<'a, T, C, R, O> {
    pub(super) fn new(effects: &'a Effects<'a, T, C, R, O>, options: &'a Options, drops: bool) -> Self {
        let monitor = Monitor::new(effects.observer, drops);
        Self {
            effects,
            options,
            monitor,
            renewals: Cell::new(0),
            renewing: Mutex::new(()),
            refusals: Refusals::default(),
            drops,
            identity: RefCell::default(),
            has_snapshot: Cell::new(false),
            was_away: Cell::new(false),
            beginnings: Cell::new(0),
            dead_max: Cell::new(0),
            wakes: Cell::new(effects.control.wakes()),
            woken_ms: Cell::new(0),
        }
    }

    /// How often credentials were renewed so far.
    pub(super) fn renewals(&self) -> u64 {
        self.renewals.get()
    }

    /// One revision was refused, at `seq` of the source: that is told and remembered.
    pub(super) fn deny(&self, denied: &Denied, seq: &Sequence) {
        self.refusals.add(denied, seq);
        self.monitor.denied(denied);
    }

    pub(super) fn control(&self) -> &Control {
        self.effects.control
    }

    /// Whether the connection that a request gets may be one that has been dead since the network was said to be another.
    pub(super) fn may_be_dead(&self) -> bool {
        let (wakes, now_ms) = (self.control().wakes(), self.effects.clock.now_ms());
        if self.wakes.replace(wakes) != wakes {
            self.dead_max.set(DEAD_MAX);
            self.woken_ms.set(now_ms);
        }
        self.dead_max.get() > 0 && now_ms.saturating_sub(self.woken_ms.get()) < KEPT_MS
    }

    /// A request with the usual timeout.
    pub(super) fn request(&self, method: Method, path: impl Into<String>, body: Option<Vec<u8>>) -> Request {
        let idle_timeout_ms = self.options.limits.idle_timeout_ms;
        Request { method, path: path.into(), headers: Vec::new(), body, upload: None, idle_timeout_ms }
    }

    /// Holds what answers at the URL against what a database answers.
    pub(super) async fn verify(&self) -> Result<(), ReplicationError> {
        let reply = match self.call(&self.request(Method::Get, "", None), |body| read_info(&body)).await {
            Err(ReplicationError::Malformed(reason)) => return Err(ReplicationError::NoServer(reason)),
            reply => reply?,
        };
        match reply {
            Reply::Done(info) => {
                self.identity.replace(info.identity);
                self.has_snapshot.set(info.has_snapshot);
                Ok(())
            }
            Reply::Refused { status: 404, answer } if answer.error == "not_found" => Err(ReplicationError::NoDatabase),
            Reply::Refused { status, answer } if answer.error == "unknown" && !matches!(status, 401 | 403) => {
                Err(ReplicationError::NoServer(alloc::format!("status {status} and no JSON")))
            }
            reply => reply.done(self.options.limits.answer_bytes_max).map(drop),
        }
    }

    /// Whether the database is the one with which the replication began, as far as the peer says.
    pub(super) async fn is_same(&self, attempts_max: u32) -> Result<bool, ReplicationError> {
        let reply =
            self.call_up_to(attempts_max, &self.request(Method::Get, "", None), |body| read_info(&body)).await?;
        Ok(reply.done(self.options.limits.answer_bytes_max)?.identity == *self.identity.borrow())
    }

    /// Sends `request` until there is an answer that stands, and reads the body of one of 2xx with `read`.
    pub(super) async fn call<P>(
        &self,
        request: &Request,
        read: impl Fn(Vec<u8>) -> Result<P, ReplicationError>,
    ) -> Result<Reply<P>, ReplicationError> {
        self.call_up_to(u32::MAX, request, read).await
    }

    /// As [`call`](Self::call), with so many attempts at most.
    pub(super) async fn call_up_to<P>(
        &self,
        attempts_max: u32,
        request: &Request,
        read: impl Fn(Vec<u8>) -> Result<P, ReplicationError>,
    ) -> Result<Reply<P>, ReplicationError> {
        self.call_with(attempts_max, [request, request], read).await
    }

    /// As [`call`](Self::call), of a request that is answered only once there is something new: after a failure `look` is sent, which is
    /// answered at once, and so tells that the peer is back.
    pub(super) async fn call_held<P>(
        &self,
        held: &Request,
        look: &Request,
        read: impl Fn(Vec<u8>) -> Result<P, ReplicationError>,
    ) -> Result<Reply<P>, ReplicationError> {
        self.call_with(u32::MAX, [held, look], read).await
    }

    /// With so many attempts at most; the second request is the one for those after the first.
    async fn call_with<P>(
        &self,
        attempts_max: u32,
        requests: [&Request; 2],
        read: impl Fn(Vec<u8>) -> Result<P, ReplicationError>,
    ) -> Result<Reply<P>, ReplicationError> {
        let mut found = None;
        let mut keep = |body| {
            found = Some(read(body)?);
            Ok(())
        };
        Ok(match self.answer(attempts_max, requests, Target::Read(&mut keep)).await? {
            Reply::Refused { status, answer } => Reply::Refused { status, answer },
            // What was read is there, unless the answer was too long.
            Reply::Done(()) | Reply::TooLong => found.map_or(Reply::TooLong, Reply::Done),
        })
    }

    /// Sends `request` until there is an answer that stands; the body of one of 2xx goes to `sink`, whose work is never dropped
    /// midway unless this future is.
    pub(super) async fn download(&self, request: &Request, sink: &dyn Sink) -> Result<Reply<()>, ReplicationError> {
        self.answer(u32::MAX, [request, request], Target::Sink(sink)).await
    }

    /// As [`call`](Self::call), which gets what was read by way of `read`: so this is compiled once, whatever is read.
    async fn answer(
        &self,
        attempts_max: u32,
        [first, after_failure]: [&Request; 2],
        mut target: Target<'_>,
    ) -> Result<Reply<()>, ReplicationError> {
        let (mut failures, mut malformed, mut renewed) = (0, 0, false);
        loop {
            let renewals = self.renewals.get();
            let request = if failures == 0 { first } else { after_failure };
            let attempt = self.attempt(request, &mut target).await?;
            let setback = match attempt {
                Attempt::Over(reply) => {
                    self.monitor.answered();
                    return Ok(reply);
                }
                Attempt::Unauthorized(answer) => {
                    if renewed || !self.renew_credentials(renewals).await? {
                        return Ok(Reply::Refused { status: 401, answer });
                    }
                    renewed = true;
                    continue;
                }
                Attempt::Anew => {
                    self.was_away.set(true);
                    self.dead_max.set(self.dead_max.get().saturating_sub(1));
                    continue;
                }
                Attempt::Again(setback) => setback,
            };
            if matches!(setback.error, ReplicationError::Malformed(_)) {
                malformed += 1;
            }
            self.was_away.set(true);
            failures += 1;
            if !self.options.retry || malformed > MALFORMED_MAX || failures >= attempts_max {
                return Err(setback.error);
            }
            let max_ms = self.options.limits.backoff_ms_max;
            let delay_ms = backoff::delay_ms(failures, setback.retry_after_ms, max_ms, self.effects.random);
            self.monitor.backs_off(setback.error.report(), delay_ms);
            let slept = self.control().sleep(self.effects.clock.sleep(delay_ms)).await;
            self.monitor.tries_again();
            slept?;
        }
    }

    /// Asks the app for other credentials than those that `renewals` renewals had brought; `false` when it has none.
    async fn renew_credentials(&self, renewals: u64) -> Result<bool, ReplicationError> {
        let _guard = self.control().race(self.renewing.lock()).await?;
        if self.renewals.get() != renewals {
            return Ok(true);
        }
        let renewed = self.control().race(self.effects.transport.renew_credentials()).await?;
        if renewed {
            self.renewals.set(renewals + 1);
        }
        Ok(renewed)
    }
}
