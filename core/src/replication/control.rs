//! How the outside stops or hurries a replication.
//!
//! Cancelling ends waits for the network and for time, at once. It never drops a write to the database midway: such a write
//! is finished first.

use alloc::rc::Rc;
use core::cell::Cell;
use core::future::Future;
use core::pin::pin;

use event_listener::Event;
use futures_util::future::{Either, select};

/// The work was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cancelled;

/// Stops or hurries a replication. Clones control the same one.
#[derive(Clone, Debug, Default)]
pub struct Control {
    state: Rc<State>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: Cell<bool>,
    wakes: Cell<u64>,
    changed: Event,
}

impl Control {
    /// A control that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the replication as soon as what it is writing is written.
    pub fn cancel(&self) {
        self.state.cancelled.set(true);
        self.state.changed.notify(usize::MAX);
    }

    /// The network is said to be back, or to be another: ends a back-off at once, and a request whose answer is silent is sent
    /// anew.
    pub fn wake(&self) {
        self.state.wakes.set(self.state.wakes.get() + 1);
        self.state.changed.notify(usize::MAX);
    }

    /// How often [`wake`](Self::wake) was called.
    pub(super) fn wakes(&self) -> u64 {
        self.state.wakes.get()
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.get()
    }

    /// Completes once `reached` holds; looks whenever anything was called.
    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            // Listening comes before looking, so that a call between the two is not missed.
            let changed = self.state.changed.listen();
            if reached(&self.state) {
                return;
            }
            changed.await;
        }
    }

    /// Waits for `wait`, unless cancelled first; `wait` is dropped then.
    pub(super) async fn race<F: Future>(&self, wait: F) -> Result<F::Output, Cancelled> {
        let cancelled = pin!(self.until(|state| state.cancelled.get()));
        match select(cancelled, pin!(wait)).await {
            Either::Left(_) => Err(Cancelled),
            Either::Right((output, _)) => Ok(output),
        }
    }

    /// Waits for `wait`, unless cancelled first; `None` if a [`wake`](Self::wake) came before.
    pub(super) async fn until_woken<F: Future + Unpin>(&self, wait: F) -> Result<Option<F::Output>, Cancelled> {
        let before = self.state.wakes.get();
        let woken = pin!(self.until(|state| state.wakes.get() != before));
        Ok(match self.race(select(woken, wait)).await? {
            Either::Left(_) => None,
            Either::Right((output, _)) => Some(output),
        })
    }

    /// Waits for `sleep`, unless cancelled first; a [`wake`](Self::wake) ends the wait early.
    pub(super) async fn sleep(&self, sleep: impl Future<Output = ()>) -> Result<(), Cancelled> {
        self.until_woken(pin!(sleep)).await.map(|_| ())
    }
}
