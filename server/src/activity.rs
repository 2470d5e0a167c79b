//! When a database is asked for something: what is done beside that waits for a pause.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long what is done beside the jobs rests between two steps.
const REST: Duration = Duration::from_millis(5);
/// How long after a job it waits for the next one.
const QUIET: Duration = Duration::from_millis(10);
/// How often it rests in all while jobs follow each other without a pause.
const RESTS_MAX: usize = 10;

/// When the last job ended.
#[derive(Debug)]
pub struct Activity {
    ended: Cell<Instant>,
}

impl Activity {
    /// Nothing was asked for before now.
    #[must_use]
    pub fn new() -> Self {
        Self { ended: Cell::new(Instant::now()) }
    }

    /// A job has just ended.
    pub fn note(&self) {
        self.ended.set(Instant::now());
    }

    /// Completes after a rest, when no job has ended lately, or patience is at an end.
    pub async fn pause(&self) {
        for _ in 0..RESTS_MAX {
            sleep(REST).await;
            if self.ended.get().elapsed() >= QUIET {
                return;
            }
        }
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_waits_for_quiet_but_not_forever() {
        let activity = Activity::new();
        let began = Instant::now();
        activity.pause().await;
        assert_eq!(began.elapsed(), QUIET);
        activity.pause().await;
        assert_eq!(began.elapsed(), QUIET + REST);
        let busy = async {
            loop {
                activity.note();
                sleep(Duration::from_millis(1)).await;
            }
        };
        let began = Instant::now();
        tokio::select! {
            () = activity.pause() => {}
            () = busy => {}
        }
        let rests = u32::try_from(RESTS_MAX).unwrap();
        assert_eq!(began.elapsed(), REST * rests);
    }
}
