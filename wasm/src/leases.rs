//! What holds a moment of the store for longer than a call: transactions and copies of blocks. Each holds it as a lease: **one that
//! was not used for a minute ends**, so that a tab that is gone, or sleeps, keeps nothing from being deleted.
//!
//! (All else that reads, pages of the feed, attachments part by part and live queries among it, holds a moment for one call.)

use std::cell::Cell;
use std::rc::Rc;

use firkin_core::effects::Clock;
use js_sys::futures::spawn_local;

use crate::cancellation::Cancellation;
use crate::clock::BrowserClock;
use crate::engine::Opened;

/// How long it may go unused.
const IDLE_MS_MAX: u64 = 60_000;

/// When it was used last.
pub struct Lease(Cell<u64>);

impl Lease {
    /// One that is used now.
    pub fn begin() -> Self {
        Self(Cell::new(BrowserClock.now_ms()))
    }

    /// It is used now.
    pub fn renew(&self) {
        self.0.set(BrowserClock.now_ms());
    }

    /// Whether it is over. A clock that is set back begins it anew.
    pub fn is_over(&self) -> bool {
        let now_ms = BrowserClock.now_ms();
        self.0.set(self.0.get().min(now_ms));
        now_ms - self.0.get() >= IDLE_MS_MAX
    }
}

/// Ends what is over.
pub fn end_idle(opened: &Opened) {
    let held = |opened: &Opened| opened.transactions.borrow().len() + opened.copies.borrow().len();
    let before = held(opened);
    // What is at work now is in use.
    opened.transactions.borrow_mut().retain(|open| Rc::strong_count(open) > 1 || !open.lease.is_over());
    opened.copies.borrow_mut().retain(|copy| Rc::strong_count(copy) > 1 || !copy.lease.is_over());
    if held(opened) < before {
        opened.database.kv().look_for_garbage();
    }
}

/// Ends what is over also where nobody asks anything any more, for as long as there are leases: where there are none, no timer
/// keeps a process of Node alive.
pub fn watch(opened: &Rc<Opened>) {
    let mut watch = opened.lease_watch.borrow_mut();
    if watch.is_some() {
        return;
    }
    let ended = Rc::new(Cancellation::default());
    *watch = Some(Rc::clone(&ended));
    let opened = Rc::downgrade(opened);
    spawn_local(async move {
        while ended.unless_cancelled(BrowserClock.sleep(IDLE_MS_MAX)).await.is_some() {
            let Some(opened) = opened.upgrade() else { return };
            end_idle(&opened);
            release(&opened);
        }
    });
}

/// One has ended: where it was the last, nothing is watched any more.
pub fn release(opened: &Opened) {
    if opened.transactions.borrow().is_empty()
        && opened.copies.borrow().is_empty()
        && let Some(watch) = opened.lease_watch.take()
    {
        watch.cancel();
    }
}
