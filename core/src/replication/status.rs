//! What a replication tells of itself while it runs.

use alloc::string::String;
use core::cell::{Cell, RefCell};

use super::messages::Sequence;
use crate::error::ErrorReport;

/// What a replication is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Reading or writing.
    #[default]
    Active,
    /// Live, and waiting for something new.
    Idle,
    /// The network or the peer failed; waiting to try again.
    BackingOff,
    /// All is done.
    Complete,
    /// It was cancelled.
    Cancelled,
    /// It ended with an error.
    Failed,
}

impl State {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::BackingOff => "offline",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
            Self::Failed => "error",
        }
    }
}

/// How far a replication has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Revisions read from the source.
    pub docs_read: u64,
    /// Revisions that the target took.
    pub docs_written: u64,
    /// Revisions that were malformed, missing or refused.
    pub doc_write_failures: u64,
    /// Bytes of answers received.
    pub bytes_read: u64,
    /// Bytes of requests sent.
    pub bytes_written: u64,
    /// How many changes of the source still wait, as far as the source tells.
    pub pending: Option<u64>,
    /// The source's sequence up to which all is done, as JSON; empty before the first.
    pub last_seq: String,
    /// Why it ended or is waiting.
    pub error: Option<ErrorReport>,
}

/// A revision that one side refused. It was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The document's id; as much of it as could be read.
    pub id: String,
    /// The revision, where it is known.
    pub rev: Option<String>,
    /// The error's name as the side that refused tells it: `forbidden`, `too_large`, ….
    pub error: String,
    /// Why.
    pub reason: String,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// There is work again.
    Active,
    /// Live, and all that is known of is done.
    Paused,
    /// The network or the peer failed; the next attempt is made after so many milliseconds.
    BackingOff {
        /// How long, in milliseconds.
        delay_ms: u64,
    },
    /// A batch is written.
    Change {
        /// How many revisions the target took.
        documents: u64,
    },
    /// A revision was refused and passed over.
    Denied(&'a Denied),
    /// Progress was written down on both sides.
    Checkpoint,
    /// Another number of changes waits.
    Waiting,
}

/// Is told what a replication does. It must not call back into the replication.
pub trait Observer {
    /// `event` happened, which led to `status`.
    fn observe(&self, event: Event<'_>, status: &Status);
}

impl<F: Fn(Event<'_>, &Status)> Observer for F {
    fn observe(&self, event: Event<'_>, status: &Status) {
        self(event, status);
    }
}

/// Holds the status and derives the state from what is going on.
pub(super) struct Monitor<'a, O> {
    observer: &'a O,
    /// Only refusals are told.
    is_quiet: bool,
    status: RefCell<Status>,
    /// The source has nothing more to tell for now.
    source_waits: Cell<bool>,
    /// Steps that were read from the source and are not written yet, and the rows in them.
    outstanding: Cell<(u64, u64)>,
    /// Notified when no step is outstanding any more.
    settled: event_listener::Event,
    /// Requests that wait for their next attempt.
    backing_off: Cell<u32>,
    /// What the source said was left after the latest page.
    source_pending: Cell<Option<u64>>,
    /// After which place in this side's feed a push reads on.
    reads_from: RefCell<Option<Sequence>>,
}

impl<'a, O: Observer> Monitor<'a, O> {
    pub(super) fn new(observer: &'a O, is_quiet: bool) -> Self {
        Self {
            observer,
            is_quiet,
            status: RefCell::default(),
            source_waits: Cell::new(false),
            outstanding: Cell::new((0, 0)),
            settled: event_listener::Event::new(),
            backing_off: Cell::new(0),
            source_pending: Cell::new(None),
            reads_from: RefCell::default(),
        }
    }

    /// A copy of the status.
    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.borrow_mut());
    }

    pub(super) fn tell(&self, event: Event<'_>) {
        if self.is_quiet && !matches!(event, Event::Denied(_)) {
            return;
        }
        // A copy, so that an observer may ask for the status.
        let status = self.status();
        self.observer.observe(event, &status);
    }

    /// All begins again: what was read and not written is forgotten.
    pub(super) fn begin_again(&self) {
        self.source_waits.set(false);
        self.outstanding.set((0, 0));
    }

    /// The source waits for something new, or no longer does.
    pub(super) fn source_waits(&self, waits: bool) {
        self.source_waits.set(waits);
        self.settle();
    }

    /// A page of `rows` rows was read, after which the source has `pending` more.
    pub(super) fn page_read(&self, rows: u64, pending: Option<u64>) {
        let (steps, waiting) = self.outstanding.get();
        self.outstanding.set((steps, waiting + rows));
        self.source_pending.set(pending);
        self.refresh_pending();
    }

    /// A push reads on after this place in the feed.
    pub(super) fn reads_from(&self, since: &Sequence) {
        self.reads_from.replace(Some(since.clone()));
    }

    /// The place after which a push reads on, unless it waits there for more.
    pub(super) fn is_behind(&self) -> Option<Sequence> {
        let waits = self.source_waits.get() && self.outstanding.get().0 == 0;
        self.reads_from.borrow().clone().filter(|_| !waits)
    }

    /// The source has `pending` changes after `since`, from where a push may have read on meanwhile.
    pub(super) fn counted(&self, since: &Sequence, pending: u64) {
        if self.reads_from.borrow().as_ref() == Some(since)
            && self.source_pending.replace(Some(pending)) != Some(pending)
        {
            self.refresh_pending();
            self.tell(Event::Waiting);
        }
    }

    /// A step was read from the source.
    pub(super) fn step_begun(&self) {
        let (steps, rows) = self.outstanding.get();
        self.outstanding.set((steps + 1, rows));
        self.settle();
    }

    /// A step that accounts for `rows` rows is written; all up to `seq` is done.
    pub(super) fn step_done(&self, rows: u64, seq: &str) {
        let (steps, waiting) = self.outstanding.get();
        self.outstanding.set((steps.saturating_sub(1), waiting.saturating_sub(rows)));
        self.update(|status| status.last_seq = seq.into());
        self.refresh_pending();
        self.settle();
        if steps <= 1 {
            self.settled.notify(usize::MAX);
        }
    }

    /// Completes once all steps that were read are written.
    pub(super) async fn until_settled(&self) {
        while self.outstanding.get().0 > 0 {
            self.settled.listen().await;
        }
    }

    /// A request failed and is tried again after `delay_ms`.
    pub(super) fn backs_off(&self, error: ErrorReport, delay_ms: u64) {
        self.backing_off.set(self.backing_off.get() + 1);
        self.update(|status| {
            status.state = State::BackingOff;
            status.error = Some(error);
        });
        self.tell(Event::BackingOff { delay_ms });
    }

    /// A request that waited is sent again.
    pub(super) fn tries_again(&self) {
        self.backing_off.set(self.backing_off.get().saturating_sub(1));
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        self.settle();
    }

    /// One revision was refused.
    pub(super) fn denied(&self, denied: &Denied) {
        self.update(|status| status.doc_write_failures += 1);
        self.tell(Event::Denied(denied));
    }

    fn refresh_pending(&self) {
        let pending = self.source_pending.get().map(|pending| pending + self.outstanding.get().1);
        self.update(|status| status.pending = pending);
    }

    /// Derives the state and tells of it if it is another.
    fn settle(&self) {
        let (state, event) = if self.backing_off.get() > 0 {
            return;
        } else if self.source_waits.get() && self.outstanding.get().0 == 0 {
            (State::Idle, Event::Paused)
        } else {
            (State::Active, Event::Active)
        };
        if self.status.borrow().state != state {
            self.update(|status| {
                status.state = state;
                status.error = None;
            });
            self.tell(event);
        }
    }
}
