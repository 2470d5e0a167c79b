//! How many changes wait to be pushed: counted also before the peer was reached, and while it cannot be.

use super::ReplicationError;
use super::checkpoint::{Direction, newest};
use super::offer::{has_come, read_page, selector};
use super::peer::Peer;
use super::status::Observer;
use crate::database::Database;
use crate::effects::{Clock, Random, Transport};
use crate::storage::Kv;

/// Changes that follow one another within so many milliseconds are counted together.
const TOGETHER_MS: u64 = 200;

/// Counts whenever the database changes, without an end. Of what lies behind a page it is not looked whether it takes part.
pub(super) async fn count<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    peer: &Peer<'_, T, C, R, O>,
) -> Result<(), ReplicationError> {
    let selector = selector(peer.options)?;
    // Until the peer was reached this is the best guess.
    peer.monitor.reads_from(&newest(database, peer.options, Direction::Push).await?);
    loop {
        let changed = database.changed();
        // A feed that waits reads what comes by itself.
        if let Some(since) = peer.monitor.is_behind() {
            let page = read_page(database, peer.options, selector.clone(), &since).await?;
            let own = page.rows.iter().filter(|row| !has_come(database, peer.options, row)).count();
            peer.monitor.counted(&since, own as u64 + page.pending);
        }
        peer.effects.clock.sleep(TOGETHER_MS).await;
        changed.await;
    }
}
