//! The changes here, held against what the peer has: what a push has to send.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use futures_util::stream::{Stream, StreamExt, try_unfold};

use super::ReplicationError;
use super::messages::{Sequence, read_revs_diff, revs_diff_body};
use super::options::{Filter, Options};
use super::peer::Peer;
use super::pipeline::Step;
use super::status::Observer;
use crate::database::{ChangesPage, ChangesQuery, ChangesRow, Database, Since};
use crate::effects::{Clock, Method, Random, Transport};
use crate::query::Selector;
use crate::sorting::sort_by;
use crate::storage::Kv;

/// How many pages are held against the peer at once.
const PAGES_IN_FLIGHT: usize = 2;

/// How many new edits a live push sends at once without asking first.
const DIRECT_MAX: usize = 16;

/// Revisions of a document that the peer is offered, or lacks.
#[derive(Clone)]
pub(super) struct Offered {
    pub(super) id: String,
    pub(super) revs: Vec<String>,
    /// What the peer has of it, from which they may descend; `None` as long as it was not asked.
    pub(super) ancestors: Option<Vec<String>>,
}

/// The database's own feed from one sequence on.
struct Feed<'f, 'a, K: Kv, T, C, R, O> {
    database: &'f Database<K>,
    peer: &'f Peer<'a, T, C, R, O>,
    selector: Option<Selector>,
    since: Sequence,
    /// Whether the end of the feed was reached: what comes now is live.
    caught_up: bool,
    over: bool,
}

/// The revisions that the peer lacks, from `since` on; without an end if the replication is live.
pub(super) fn steps<'f, K, T, C, R, O>(
    database: &'f Database<K>,
    peer: &'f Peer<'_, T, C, R, O>,
    since: Sequence,
) -> Result<impl Stream<Item = Result<Step<Vec<Offered>>, ReplicationError>>, ReplicationError>
where
    K: Kv,
    T: Transport,
    C: Clock,
    R: Random,
    O: Observer,
{
    let selector = selector(peer.options)?;
    peer.monitor.reads_from(&since);
    let feed = Feed { database, peer, selector, since, caught_up: false, over: false };
    let pages = try_unfold(feed, async |mut feed| Ok(feed.next().await?.map(|step| (step, feed))));
    let lacking = pages.map(async |step: Result<Step<Page>, ReplicationError>| {
        let Step { until, rows, work, is_again } = step?;
        let is_new = work.is_new;
        let work = if is_new { work.offered } else { lacking(peer, work.offered).await? };
        Ok(Step { until, rows, work, is_again })
    });
    Ok(lacking.buffered(PAGES_IN_FLIGHT))
}

impl<K: Kv, T: Transport, C: Clock, R: Random, O: Observer> Feed<'_, '_, K, T, C, R, O> {
    async fn next(&mut self) -> Result<Option<Step<Page>>, ReplicationError> {
        let monitor = &self.peer.monitor;
        while !self.over {
            if self.peer.control().is_cancelled() {
                return Err(ReplicationError::Cancelled);
            }
            let was_caught_up = self.caught_up;
            if was_caught_up {
                // What is written while a step is under way goes together in the next one.
                self.peer.control().race(monitor.until_settled()).await?;
            }
            let due = self.peer.refusals.due(self.peer.renewals());
            if !due.is_empty() {
                monitor.step_begun();
                let offered = due.into_iter().map(|(id, rev)| Offered { id, revs: vec![rev], ancestors: None });
                let work = Page { offered: offered.collect(), is_new: false };
                return Ok(Some(Step { until: self.since.clone(), rows: 0, work, is_again: true }));
            }
            // Listening comes before reading, so that a change between the two is not missed.
            let changed = self.database.changed();
            let page = read_page(self.database, self.peer.options, self.selector.clone(), &self.since).await?;
            let live = self.peer.options.live;
            let until = Sequence::from_string(&page.last_seq);
            let nothing_new = page.rows.is_empty() && until == self.since;
            self.caught_up = nothing_new || page.pending == 0;
            self.over = self.caught_up && !live;
            monitor.source_waits(page.rows.is_empty() && live);
            if nothing_new {
                if live {
                    self.peer.control().race(changed).await?;
                }
                continue;
            }
            self.since = until.clone();
            monitor.reads_from(&until);
            let rows = page.rows.len() as u64;
            monitor.page_read(rows, Some(page.pending));
            monitor.step_begun();
            // What came from the peer is there.
            let own = page.rows.into_iter().filter(|row| !has_come(self.database, self.peer.options, row));
            let offered = own.map(|row| Offered { id: row.id, revs: row.revs, ancestors: None });
            let mut offered: Vec<Offered> = offered.collect();
            // Edits that were just made are news to the peer, and it does no harm to bring them twice.
            let is_new = was_caught_up && offered.len() <= DIRECT_MAX && offered.iter().all(|row| row.revs.len() == 1);
            // What was merged the merge tells, which may be no leaf any more. Such a document has the tombstones of its branches too.
            for row in offered.iter_mut().filter(|row| row.revs.len() > 1) {
                let told = self.database.told_by(&row.id).await;
                row.revs.splice(..0, told.map_err(|error| ReplicationError::Local(error.report()))?);
            }
            let work = Page { offered, is_new };
            return Ok(Some(Step { until, rows, work, is_again: false }));
        }
        Ok(None)
    }
}

/// What this side's feed is asked, so that deletions pass.
pub(super) fn selector(options: &Options) -> Result<Option<Selector>, ReplicationError> {
    Ok(match &options.filter {
        Filter::Selector(filter) => Some(Selector::parse(&filter.asked)?),
        _ => None,
    })
}

/// The next changes after `since` that take part.
pub(super) async fn read_page<K: Kv>(
    database: &Database<K>,
    options: &Options,
    selector: Option<Selector>,
    since: &Sequence,
) -> Result<ChangesPage, ReplicationError> {
    let since = match since.to_text() {
        start if start == "0" => Since::Start,
        token => Since::Token(token),
    };
    let doc_ids = match &options.filter {
        Filter::Ids(ids) => Some(ids.clone()),
        _ => None,
    };
    let limit = Some(options.limits.page_rows);
    let query = ChangesQuery { since, limit, all_leaves: true, doc_ids, selector, ..ChangesQuery::default() };
    database.changes(&query).await.map_err(|error| ReplicationError::Local(error.report()))
}

/// Whether the change came from the peer.
pub(super) fn has_come<K: Kv>(database: &Database<K>, options: &Options, row: &ChangesRow) -> bool {
    database.has_arrived(&options.peer, Sequence::from_string(&row.seq).number())
}

/// What a page of the feed has to offer.
struct Page {
    offered: Vec<Offered>,
    /// Whether the peer cannot have it yet.
    is_new: bool,
}

/// Asks the peer which of the revisions it lacks.
pub(super) async fn lacking<T: Transport, C: Clock, R: Random, O: Observer>(
    peer: &Peer<'_, T, C, R, O>,
    offered: Vec<Offered>,
) -> Result<Vec<Offered>, ReplicationError> {
    if offered.is_empty() {
        return Ok(offered);
    }
    let body = revs_diff_body(offered.iter().map(|row| (&row.id, &row.revs)));
    let request = peer.request(Method::Post, "_revs_diff", Some(body));
    let reply = peer.call(&request, |body| read_revs_diff(&body)).await?;
    let mut lacking: Vec<Offered> = reply.done(peer.options.limits.answer_bytes_max)?;
    sort_by(&mut lacking, |left, right| left.id.cmp(&right.id));
    // Only what was offered is sent, whatever the peer asks for.
    let still = |Offered { id, revs, .. }: Offered| {
        let place = lacking.binary_search_by(|row| row.id.cmp(&id)).ok()?;
        let asked = lacking.get(place)?;
        let revs: Vec<String> = revs.into_iter().filter(|rev| asked.revs.contains(rev)).collect();
        Some(Offered { id, revs, ancestors: asked.ancestors.clone() })
    };
    Ok(offered.into_iter().filter_map(still).collect())
}
