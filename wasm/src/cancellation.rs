//! A flag that others wait for.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;

use event_listener::Event;
use futures_util::future::{Either, select};

/// Set once, and seen by all who wait for it.
#[derive(Default)]
pub struct Cancellation {
    set: Cell<bool>,
    event: Event,
}

impl Cancellation {
    /// Sets it.
    pub fn cancel(&self) {
        self.set.set(true);
        self.event.notify(usize::MAX);
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.set.get()
    }

    /// Completes once it is set.
    pub async fn cancelled(&self) {
        let listener = self.event.listen();
        if !self.is_cancelled() {
            listener.await;
        }
    }

    /// What `work` brings; `None`, with `work` dropped, where it is set first.
    pub async fn unless_cancelled<W: Future>(&self, work: W) -> Option<W::Output> {
        match select(pin!(self.cancelled()), pin!(work)).await {
            Either::Left(_) => None,
            Either::Right((output, _)) => Some(output),
        }
    }
}
