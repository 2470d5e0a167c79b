//! Following one answer: what commits change of it waits here, until the reader asks.
//!
//! A change is looked up when it is published. **One that touches no watched path of a document outside the answer costs
//! nothing more.** Any other is evaluated at once, and only its outcome waits: the row that the document has now, with its
//! text, or that it has none. A newer outcome takes the place of an older one, so a slow reader holds each document once;
//! of too many all are dropped, and the query is asked again.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;

use event_listener::Event;
use sha2::{Digest, Sha256};

use super::difference::Difference;
use super::documents::Documents;
use super::fold::{Draft, Fold};
use super::publish::{Change, Subscriber};
use super::rows::{Row, Rows, Window};
use super::{INBOX_BYTES_MAX, INBOX_DOCUMENTS_MAX, LiveStats};
use crate::json::{self, Value};
use crate::query::{FindQuery, Watched, project};

/// What is known of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The query has to be asked; what changes meanwhile says nothing.
    Stale,
    /// It is being asked: anything may belong to what will be found.
    Reading,
    /// The rows, together with what waits, are the answer.
    Following,
}

/// A document that belongs to the answer.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) row: Rc<Row>,
    pub(super) text: Vec<u8>,
}

/// A query, what was told of its answer, and what has changed of it since.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) query: Rc<FindQuery>,
    pub(super) window: Window,
    watched: Watched,
    phase: Phase,
    /// The answer that was told last.
    pub(super) rows: Rows,
    /// Its rows by their documents' ids, and what became of documents since.
    pub(super) documents: Documents,
    pub(super) stats: LiveStats,
}

/// A follower, and the bell that rings when there is something to read.
pub(super) struct Subscription {
    pub(super) follower: RefCell<Follower>,
    pub(super) news: Event,
}

/// What there is to do for a reader.
pub(super) enum Look {
    /// To wait.
    Nothing,
    /// To tell this.
    Difference(Difference),
    /// To fold what waits into a window, for which documents may have to be read.
    Fold,
    /// To ask the query.
    Read,
}

impl Subscription {
    /// Looks what there is to do.
    pub(super) fn look(&self) -> Look {
        let follower = &mut *self.follower.borrow_mut();
        match follower.phase {
            Phase::Following if follower.documents.waiting().0 == 0 => Look::Nothing,
            Phase::Following if follower.window.shows_all() => {
                // All rows are known, so nothing has to be read.
                let news = follower.documents.take_news();
                let rows = mem::take(&mut follower.rows);
                let mut fold = Fold::of_news(&follower.query, follower.window, rows, &follower.documents, news);
                let Draft { difference, .. } = fold.draft(&follower.query, follower.window);
                follower.finish(fold);
                Look::Difference(difference)
            }
            Phase::Following => Look::Fold,
            // A read that is under way when somebody looks was given up.
            Phase::Stale | Phase::Reading => Look::Read,
        }
    }
}

impl Subscriber for Subscription {
    fn changed(&self, change: &Change) {
        if self.follower.borrow_mut().take(change) {
            self.news.notify(usize::MAX);
        }
    }

    fn lost(&self) {
        self.follower.borrow_mut().lose();
        self.news.notify(usize::MAX);
    }
}

impl Follower {
    pub(super) fn new(query: FindQuery) -> Self {
        Self {
            window: Window::of(&query),
            watched: Watched::of(&query),
            phase: Phase::Stale,
            rows: Rows::default(),
            documents: Documents::default(),
            stats: LiveStats::default(),
            query: Rc::new(query),
        }
    }

    /// Begins to read: what is published from now on waits.
    pub(super) fn begin_reading(&mut self) {
        self.documents.take_news();
        self.phase = Phase::Reading;
    }

    /// Begins to fold what waits; until that is finished, what is published waits.
    pub(super) fn begin_fold(&mut self) -> (Fold, Rc<FindQuery>, Window) {
        let news = self.documents.take_news();
        self.phase = Phase::Reading;
        let fold = Fold::of_news(&self.query, self.window, self.rows.clone(), &self.documents, news);
        (fold, Rc::clone(&self.query), self.window)
    }

    /// The fold's rows are the answer that was told last.
    pub(super) fn finish(&mut self, fold: Fold) {
        self.rows = fold.finish(&mut self.documents);
        if self.phase == Phase::Reading {
            self.phase = Phase::Following;
        }
    }

    /// The document as the answer shows it, if it belongs there.
    fn show(&mut self, document: &Value) -> Option<Shown> {
        self.stats.evaluations += 1;
        if !self.query.selector.matches(document) {
            return None;
        }
        shown(&self.query, document, None)
    }

    /// Whether there is anything new to read.
    fn take(&mut self, change: &Change) -> bool {
        // Design documents are not found by queries.
        if self.phase == Phase::Stale || change.id.starts_with('_') {
            return false;
        }
        self.stats.lookups += 1;
        let is_reading = self.phase == Phase::Reading;
        let is_known = is_reading || self.documents.has(&change.id);
        let is_touched = self.watched.is_touched(change.before.as_ref(), change.after.as_ref());
        if !(is_touched || is_known && self.watched.shows_whole()) {
            return false;
        }
        let shown = change.after.as_ref().and_then(|document| self.show(document));
        let shown = shown.filter(|shown| is_reading || self.rows.reach(&self.query, &shown.row.place));
        if shown.is_none() && !is_known {
            return false;
        }
        self.documents.add_news(&change.id, shown);
        let (count, bytes) = self.documents.waiting();
        if count > INBOX_DOCUMENTS_MAX || bytes > INBOX_BYTES_MAX {
            self.lose();
        }
        true
    }

    fn lose(&mut self) {
        self.documents.take_news();
        self.phase = Phase::Stale;
    }
}

/// A document of the answer as it is shown, `text` being all of it if that is at hand; `None` if it lacks a path of the
/// order.
pub(super) fn shown(query: &FindQuery, document: &Value, text: Option<Vec<u8>>) -> Option<Shown> {
    let place = query.place_of(document)?;
    let mut text = text.filter(|_| query.fields.is_none()).unwrap_or_default();
    let mark = match &query.fields {
        None => {
            if text.is_empty() {
                json::write(document, &mut text);
            }
            let rev = document.as_object().and_then(|members| members.get("_rev")).and_then(Value::as_str);
            rev.unwrap_or_default().as_bytes().to_vec()
        }
        Some(fields) => {
            json::write(&project(document, fields), &mut text);
            // Half of a SHA-256 tells texts apart even where somebody tries to make two alike.
            Sha256::digest(&text).iter().take(16).copied().collect()
        }
    };
    Some(Shown { row: Rc::new(Row { place, mark }), text })
}
