//! Answers that stay up to date: live queries, and the value at a path of one document.
//!
//! Every commit publishes what became of the winners that it replaced (`publish.rs`). Whoever follows an answer keeps the
//! outcome until it is asked for (`follower.rs`), folds it into the rows that it told last, and tells the difference
//! (`fold.rs`, `difference.rs`). So **the cost follows what changed, not the size of the answer**. Documents are read only
//! to begin, where a limited window has lost more rows than are kept behind it, and where a document is shown that nothing
//! became of.
//!
//! **The difference, applied to the list that was told last, gives exactly what the query answers at that moment.** What is
//! read while an answer is followed is read from a snapshot that shows the commits that were published, and no other.

mod difference;
mod documents;
mod fold;
mod follower;
mod publish;
mod rows;
mod watch;

pub use difference::{Added, Changed, Difference, Moved};
pub use watch::Watch;

pub(super) use publish::{Change, Changes, Subscribers};

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use event_listener::Event;

use super::Database;
use super::error::damaged_body;
use super::read::read_head;
use super::state::State;
use super::text::winner_value;
use crate::json::{self, Value};
use crate::query::{FindQuery, QueryError};
use crate::storage::{Kv, Snapshot, StorageError};
use fold::{Draft, Fold};
use follower::{Follower, Look, Shown, Subscription, shown};
use publish::Subscriber;
use rows::MARGIN;

/// How many documents may wait for one reader.
pub(super) const INBOX_DOCUMENTS_MAX: usize = 10_000;
/// How many bytes of JSON may wait for one reader.
pub(super) const INBOX_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What keeping an answer up to date has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// How many changes of documents were looked up.
    pub lookups: u64,
    /// How many documents were held against the selector when they changed.
    pub evaluations: u64,
    /// How many documents were read.
    pub documents_read: u64,
    /// How many times the query, or a part of it, was asked.
    pub queries: u64,
    /// Of how many documents anything is held now.
    pub rows: u64,
}

/// A live query. Dropping it ends it.
pub struct Live {
    subscription: Rc<Subscription>,
    has_begun: bool,
}

impl<K: Kv> Database<K> {
    /// Follows the answer of `query` from now on.
    ///
    /// # Errors
    /// [`QueryError::BadMember`] for a query with a bookmark: it is `skip` and `limit` that say which part is followed.
    pub fn live(&self, query: FindQuery) -> Result<Live, QueryError> {
        if let Some(bookmark) = query.bookmark {
            let mut value = Vec::new();
            json::write(&Value::Array(bookmark), &mut value);
            let value = String::from_utf8(value).unwrap_or_default();
            return Err(QueryError::BadMember { member: "bookmark", value });
        }
        let follower = RefCell::new(Follower::new(query));
        let subscription = Rc::new(Subscription { follower, news: Event::new() });
        let subscriber: Rc<dyn Subscriber> = Rc::<Subscription>::clone(&subscription);
        self.subscribers.add(Rc::downgrade(&subscriber));
        Ok(Live { subscription, has_begun: false })
    }
}

impl Live {
    /// Completes once the answer is another than the one told before, with the difference; the first time at once, with
    /// all documents as added. What several commits changed is told as one difference to a reader that is slower.
    ///
    /// A call that is dropped leaves nothing half done: the next one tells the difference. `database` must be the one that
    /// the query was begun on.
    ///
    /// # Errors
    /// What the storage reports. The next call tries again.
    pub async fn next<K: Kv>(&mut self, database: &Database<K>) -> Result<Difference, QueryError> {
        let subscription = Rc::clone(&self.subscription);
        loop {
            // Listening comes before looking, so that a commit between the two is not missed.
            let news = subscription.news.listen();
            let difference = match subscription.look() {
                Look::Nothing => None,
                Look::Difference(difference) => Some(difference),
                Look::Fold => Some(fold_with_reads(&subscription.follower, database).await?),
                Look::Read => {
                    let snapshot = database.kv.snapshot()?;
                    subscription.follower.borrow_mut().begin_reading();
                    Some(read(&subscription.follower, database, &snapshot).await?)
                }
            };
            match difference {
                Some(difference) if !(self.has_begun && difference.is_empty()) => {
                    self.has_begun = true;
                    return Ok(difference);
                }
                Some(_) => {}
                None => news.await,
            }
        }
    }

    /// What it has taken so far.
    #[must_use]
    pub fn stats(&self) -> LiveStats {
        let follower = self.subscription.follower.borrow();
        LiveStats { rows: follower.documents.count() as u64, ..follower.stats.clone() }
    }
}

/// Folds what waits into a limited window, for which documents may have to be read.
async fn fold_with_reads<K: Kv>(
    follower: &RefCell<Follower>,
    database: &Database<K>,
) -> Result<Difference, QueryError> {
    // No commit is published between these: the snapshot shows what the fold holds.
    let (snapshot, seq) = (database.kv.snapshot()?, database.state.borrow().seq);
    let (mut fold, query, window) = follower.borrow_mut().begin_fold();
    // It may show one more: a commit that is there and was not published yet. Then it is no place to read at.
    if let Some(limit) = fold.rows.shortage(window) {
        if State::seq_in(&snapshot).await? != seq {
            return read(follower, database, &snapshot).await;
        }
        let bookmark = fold.rows.edge().map(<[Value]>::to_vec);
        let (found, are_all) = find(follower, database, &snapshot, Some(limit), bookmark).await?;
        fold.append(found, are_all);
    }
    let draft = fold.draft(&query, window);
    if !draft.lacking.is_empty() && State::seq_in(&snapshot).await? != seq {
        return read(follower, database, &snapshot).await;
    }
    finish(follower, &snapshot, fold, draft).await
}

/// Asks the query anew, and compares with what was told last.
async fn read<K: Kv>(
    follower: &RefCell<Follower>,
    database: &Database<K>,
    snapshot: &K::Snapshot,
) -> Result<Difference, QueryError> {
    let window = follower.borrow().window;
    let limit = window.rows_needed().map(|needed| needed.saturating_add(MARGIN));
    let (answer, are_all) = find(follower, database, snapshot, limit, None).await?;
    let (fold, draft) = {
        let follower = follower.borrow();
        let mut fold = Fold::of_answer(&follower.query, &follower.rows, &follower.documents, answer, are_all);
        let draft = fold.draft(&follower.query, window);
        (fold, draft)
    };
    finish(follower, snapshot, fold, draft).await
}

/// Reads what a difference still lacks, and makes the fold's rows those that were told last.
async fn finish<S: Snapshot>(
    follower: &RefCell<Follower>,
    snapshot: &S,
    fold: Fold,
    draft: Draft,
) -> Result<Difference, QueryError> {
    let Draft { mut difference, lacking } = draft;
    let query = Rc::clone(&follower.borrow().query);
    for place in lacking {
        let Some(added) = difference.added.get_mut(place) else { continue };
        let document = read_winner(snapshot, &added.id).await?;
        follower.borrow_mut().stats.documents_read += 1;
        let missing = || StorageError::Corrupt(format!("the index: it names {:?}, which is not there", added.id));
        added.text = document.and_then(|document| shown(&query, &document, None)).ok_or_else(missing)?.text;
    }
    follower.borrow_mut().finish(fold);
    Ok(difference)
}

/// Up to `limit` documents of the answer behind `bookmark`, and whether these are all.
async fn find<K: Kv>(
    follower: &RefCell<Follower>,
    database: &Database<K>,
    snapshot: &K::Snapshot,
    limit: Option<usize>,
    bookmark: Option<Vec<Value>>,
) -> Result<(Vec<Shown>, bool), QueryError> {
    let query = Rc::clone(&follower.borrow().query);
    let limit = limit.map(|limit| limit as u64);
    let asked = FindQuery { fields: None, skip: 0, limit, bookmark, ..FindQuery::clone(&query) };
    let page = database.find_in(&database.index, snapshot, &asked).await?;
    let are_all = limit.is_none_or(|limit| (page.docs.len() as u64) < limit);
    let stats = &mut follower.borrow_mut().stats;
    stats.queries += 1;
    stats.documents_read += page.stats.documents_read;
    let mut found = Vec::with_capacity(page.docs.len());
    for text in page.docs {
        let document = json::parse(&text).map_err(|error| damaged_body("", &error))?;
        found.extend(shown(&query, &document, Some(text)));
    }
    Ok((found, are_all))
}

/// The winning revision of a document as selectors see it; `None` if there is none that is not deleted.
async fn read_winner<S: Snapshot>(snapshot: &S, id: &str) -> Result<Option<Value>, StorageError> {
    match read_head(snapshot, id).await? {
        Some(head) => winner_value(snapshot, id, &head).await,
        None => Ok(None),
    }
}
