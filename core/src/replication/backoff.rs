//! How long to wait before the next attempt.

use crate::effects::Random;

/// The wait before the second attempt, in milliseconds, before jitter.
const FIRST_MS: u64 = 500;
/// A peer that asks for a longer wait than this is asked again all the same.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// The wait in milliseconds after `failures` failures in a row (1 or more): doubled each time up to `max_ms`, of which a
/// random half is left out, so that many clients that failed at once do not come back at once. What the peer asks for by
/// `Retry-After` is waited at least, for up to an hour.
pub(super) fn delay_ms(failures: u32, retry_after_ms: Option<u64>, max_ms: u64, random: &impl Random) -> u64 {
    let doubled = FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(max_ms).max(1);
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let jitter = u64::from_le_bytes(bytes) % (doubled / 2 + 1);
    match retry_after_ms {
        Some(asked) => asked.min(RETRY_AFTER_MS_MAX) + jitter.min(FIRST_MS),
        None => doubled - jitter,
    }
}
