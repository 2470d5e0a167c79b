//! Simulated time and the loop that moves it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use firkin_core::effects::Clock;

/// A clock that stands still until nothing else can be done.
#[derive(Default)]
pub struct SimulatedClock {
    now_ms: Cell<u64>,
    timers: Cell<u64>,
    waiting: RefCell<BTreeMap<(u64, u64), Waker>>,
}

impl SimulatedClock {
    /// Moves to the next moment that someone waits for; `false` if nobody waits.
    fn advance(&self) -> bool {
        let next = self.waiting.borrow_mut().pop_first();
        if let Some(((at_ms, _), waker)) = next {
            self.now_ms.set(self.now_ms.get().max(at_ms));
            waker.wake();
            return true;
        }
        false
    }
}

impl Clock for SimulatedClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    async fn sleep(&self, duration_ms: u64) {
        let at_ms = self.now_ms() + duration_ms;
        self.timers.set(self.timers.get() + 1);
        let key = (at_ms, self.timers.get());
        let timer = Timer { clock: self, key };
        poll_fn(|context| {
            if timer.clock.now_ms() >= at_ms {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

struct Timer<'a> {
    clock: &'a SimulatedClock,
    key: (u64, u64),
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.clock.waiting.borrow_mut().remove(&self.key);
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `future` to its end in simulated time. Panics when it waits for something that nobody will ever do.
pub fn simulate<F: Future>(clock: &SimulatedClock, future: F) -> F::Output {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    for _ in 0..5_000_000_u64 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        if !woken.0.swap(false, Ordering::Relaxed) {
            assert!(clock.advance(), "everything waits and nobody will wake it");
            woken.0.store(false, Ordering::Relaxed);
        }
    }
    panic!("the simulation does not end: it has come to {} ms", clock.now_ms());
}
