//! How much goes into one request: as much as the peer takes, and answers in good time.

use core::cell::Cell;

use crate::effects::Clock;

/// No request is cut below this size in bytes, however little the peer takes.
const BYTES_MIN: usize = 16 << 10;
/// A request that takes longer than this, in milliseconds, was too much.
const SLOW_MS: u64 = 4_000;
/// After one that takes no longer than this there may be more.
const FAST_MS: u64 = 1_000;

/// The size of requests to one peer.
pub(super) struct Pace {
    bytes: Cell<usize>,
    bytes_max: Cell<usize>,
}

impl Pace {
    /// Begins at the most that is wanted.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: Cell::new(bytes_max), bytes_max: Cell::new(bytes_max) }
    }

    /// How many bytes a request should come to.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// A request that began at `began_ms` is answered.
    pub(super) fn answered(&self, began_ms: u64, clock: &impl Clock) {
        let spent_ms = clock.now_ms().saturating_sub(began_ms);
        let bytes = self.bytes.get();
        if spent_ms > SLOW_MS {
            self.bytes.set((bytes / 2).max(BYTES_MIN).min(bytes));
        } else if spent_ms <= FAST_MS {
            self.bytes.set(bytes.saturating_mul(2).min(self.bytes_max.get()));
        }
    }

    /// The peer does not take a request of `bytes`, nor will it later.
    pub(super) fn refused(&self, bytes: usize) {
        let most = (bytes / 2).max(BYTES_MIN);
        self.bytes_max.set(most);
        self.bytes.set(self.bytes.get().min(most));
    }
}
