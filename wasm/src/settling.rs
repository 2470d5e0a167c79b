//! Asks the app's merge policies about open reviews that no pull brought, beside the calls of the page: when a database is opened with
//! other policies than before, and when a peer pushed, or a backup came in.

use firkin_core::database::Settling;
use firkin_core::effects::Clock;
use firkin_core::storage::StorageError;
use futures_util::future::{Either, select};

use crate::clock::BrowserClock;
use crate::engine::{Opened, Task};
use crate::failure::Failure;

/// For how long nothing may have come before policies are asked, in milliseconds: a peer brings branches one after the other.
const REST_MS: u64 = 100;
/// How often it waits for that in all.
const RESTS_MAX: usize = 50;

/// Does so whenever there is something to ask, until the database is closed.
pub async fn settle(task: Task) {
    let opened = &task.opened;
    let mut settling = Settling::default();
    loop {
        let mut unsettled = opened.database.unsettled();
        loop {
            if opened.closing.unless_cancelled(opened.activity.pause()).await.is_none() {
                return;
            }
            match opened.database.settle_slice(&mut settling).await {
                Ok(true) => {}
                // What cannot be read, or written for now, is left to the next time.
                Ok(false) | Err(StorageError::Corrupt(_) | StorageError::QuotaExceeded | StorageError::Failed(_)) => {
                    break;
                }
                Err(_) => return,
            }
        }
        if opened.closing.unless_cancelled(&mut unsettled).await.is_none() {
            return;
        }
        for _ in 0..RESTS_MAX {
            let rest = select(opened.database.unsettled(), Box::pin(BrowserClock.sleep(REST_MS)));
            match opened.closing.unless_cancelled(rest).await {
                None => return,
                Some(Either::Left(_)) => {}
                Some(Either::Right(_)) => break,
            }
        }
    }
}

/// →: asks about all that they were not asked about
pub async fn settle_now(engine: &Opened) -> Result<Vec<u8>, Failure> {
    let mut settling = Settling::default();
    while engine.database.settle_slice(&mut settling).await? {
        if engine.is_closing() {
            return Err(Failure::closed());
        }
    }
    Ok(Vec::new())
}
