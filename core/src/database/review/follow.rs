//! Open reviews, all at first and then those that are others than they were.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Review, review_in};
use crate::database::{Database, ReadError};
use crate::json::{Object, Value, parse};
use crate::merge::FIRKIN;
use crate::ordered::Map;
use crate::query::Selector;
use crate::storage::{Kv, StorageError};

/// The member by which a selector asks for what a review is.
const REVIEW: &str = "_review";

/// Follows the open reviews that a selector matches. Dropping it ends it.
#[derive(Debug)]
pub struct OpenReviews {
    selector: Selector,
    /// What was looked at: the number of its latest change, and whether it was told.
    known: Map<String, (u64, bool)>,
    has_begun: bool,
}

/// What became of the reviews that were told last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReviewsNews {
    /// Those that are open now and were not, or were others, by their documents' ids.
    pub open: Vec<Review>,
    /// The documents whose reviews are none of these any more.
    pub closed: Vec<String>,
}

impl OpenReviews {
    /// Those that `selector` matches: it sees the document that wins, and `_review: { clashes, authors, times, branches }`: paths
    /// as text, who wrote the branches and when, and how many there are.
    #[must_use]
    pub fn new(selector: Selector) -> Self {
        Self { selector, known: Map::new(), has_begun: false }
    }

    /// All at first; then what is new, once there is anything. A call that is dropped leaves nothing half done.
    ///
    /// # Errors
    /// What the storage reports. The next call tries again.
    pub async fn next<K: Kv>(&mut self, database: &Database<K>) -> Result<ReviewsNews, StorageError> {
        loop {
            // Listening comes before looking, so that a commit between the two is not missed.
            let changed = database.changed();
            let news = self.look(database).await?;
            if !self.has_begun || news != ReviewsNews::default() {
                self.has_begun = true;
                return Ok(news);
            }
            changed.await;
        }
    }

    async fn look<K: Kv>(&mut self, database: &Database<K>) -> Result<ReviewsNews, StorageError> {
        let snapshot = database.kv.snapshot()?;
        let mut news = ReviewsNews::default();
        let mut known = Map::new();
        for (id, seq) in database.listed(&snapshot).await? {
            let before = self.known.get(&id).copied();
            let mut now = (seq, before.is_some_and(|(_, is_told)| is_told));
            if before.is_none_or(|(known, _)| known != seq) {
                let review = match review_in(&snapshot, &id, &database.policies, database.deciders()).await {
                    Ok(review) => review,
                    Err(ReadError::Storage(error)) => return Err(error),
                    Err(_) => continue,
                };
                let is_told = self.selector.matches(&review.shown());
                if is_told {
                    news.open.push(review);
                } else if now.1 {
                    news.closed.push(id.clone());
                }
                now.1 = is_told;
            }
            known.insert(id, now);
        }
        let gone = self.known.iter().filter(|(id, (_, is_told))| *is_told && !known.contains(id));
        news.closed.extend(gone.map(|(id, _)| id.clone()));
        self.known = known;
        Ok(news)
    }
}

impl Review {
    /// What selectors see of it.
    fn shown(&self) -> Value {
        let mut document = match self.branches.first().and_then(|branch| parse(&branch.document).ok()) {
            Some(Value::Object(members)) => members,
            _ => Object::new(),
        };
        let told = |name: &str| {
            let firkin = |branch: &super::Branch| branch.members.get(FIRKIN)?.as_object()?.get(name).cloned();
            Value::Array(self.branches.iter().filter_map(firkin).collect())
        };
        let clashes = self.proposal.clashes.iter().map(|clash| Value::String(clash.path.to_string()));
        let mut review = Object::new();
        review.insert("clashes", Value::Array(clashes.collect()));
        review.insert("authors", told("author"));
        review.insert("times", told("time"));
        #[expect(clippy::cast_precision_loss, reason = "there are not that many branches")]
        review.insert("branches", Value::Number(self.branches.len() as f64));
        document.insert(REVIEW, Value::Object(review));
        Value::Object(document)
    }
}
