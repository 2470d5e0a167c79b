//! Telling those who follow documents what a commit changed.
//!
//! A writer gathers the winners that it replaces and publishes them right after the commit, before it lets go of the
//! writer's lock: so everybody hears of every commit, in order. **Where nobody listens nothing is gathered**, and a commit
//! that changes more than is good to hold in memory is told as one thing: that what was known is lost.

use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::{INBOX_BYTES_MAX, INBOX_DOCUMENTS_MAX};
use crate::json::Value;

/// A document whose winner is another than before; a winner that is deleted is none.
#[derive(Debug)]
pub(in crate::database) struct Change {
    /// The document's id.
    pub(in crate::database) id: String,
    /// As selectors saw it.
    pub(in crate::database) before: Option<Value>,
    /// As selectors see it now.
    pub(in crate::database) after: Option<Value>,
}

/// What one commit changed.
#[derive(Debug, Default)]
pub(in crate::database) struct Changes {
    changes: Vec<Change>,
    bytes: usize,
    is_too_much: bool,
}

impl Changes {
    /// Takes one more; `bytes` is about how long its text is.
    pub(in crate::database) fn add(&mut self, change: Change, bytes: usize) {
        self.bytes += bytes;
        if self.changes.len() >= INBOX_DOCUMENTS_MAX || self.bytes > INBOX_BYTES_MAX {
            self.is_too_much = true;
            self.changes = Vec::new();
        }
        if !self.is_too_much {
            self.changes.push(change);
        }
    }
}

/// One who follows documents.
pub(super) trait Subscriber {
    /// A commit changed a document. Called within the commit: it must be short, and must not wait.
    fn changed(&self, change: &Change);
    /// Commits changed nobody knows what: the documents have to be read again.
    fn lost(&self);
}

/// All who follow documents of a database, for as long as they hold what they were given.
#[derive(Default)]
pub(in crate::database) struct Subscribers {
    all: RefCell<Vec<Weak<dyn Subscriber>>>,
}

impl Subscribers {
    /// Tells `subscriber` of all commits from now on, until it is dropped.
    pub(super) fn add(&self, subscriber: Weak<dyn Subscriber>) {
        self.all.borrow_mut().push(subscriber);
    }

    /// What to gather changes in; `None` if nobody would hear of them.
    pub(in crate::database) fn gather(&self) -> Option<Changes> {
        let mut all = self.all.borrow_mut();
        all.retain(|subscriber| subscriber.strong_count() > 0);
        (!all.is_empty()).then(Changes::default)
    }

    /// Tells what a commit changed. Who subscribed while it was under way hears of it as well.
    pub(in crate::database) fn publish(&self, changes: Option<Changes>) {
        let subscribers: Vec<Rc<dyn Subscriber>> = self.all.borrow().iter().filter_map(Weak::upgrade).collect();
        for subscriber in subscribers {
            match &changes {
                Some(changes) if !changes.is_too_much => {
                    changes.changes.iter().for_each(|change| subscriber.changed(change));
                }
                _ => subscriber.lost(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[derive(Default)]
    struct Counter {
        changed: Cell<usize>,
        lost: Cell<usize>,
    }

    impl Subscriber for Counter {
        fn changed(&self, _change: &Change) {
            self.changed.set(self.changed.get() + 1);
        }

        fn lost(&self) {
            self.lost.set(self.lost.get() + 1);
        }
    }

    fn follow(subscribers: &Subscribers) -> Rc<Counter> {
        let counter = Rc::new(Counter::default());
        let subscriber: Rc<dyn Subscriber> = Rc::<Counter>::clone(&counter);
        subscribers.add(Rc::downgrade(&subscriber));
        counter
    }

    fn change() -> Change {
        Change { id: "a".into(), before: None, after: None }
    }

    #[test]
    fn nothing_is_gathered_for_those_who_are_gone() {
        let subscribers = Subscribers::default();
        assert!(subscribers.gather().is_none());
        let (kept, dropped) = (follow(&subscribers), follow(&subscribers));
        drop(dropped);
        let mut changes = subscribers.gather().unwrap();
        changes.add(change(), 1);
        subscribers.publish(Some(changes));
        assert_eq!((kept.changed.get(), kept.lost.get()), (1, 0));
        drop(kept);
        assert!(subscribers.gather().is_none());
    }

    #[test]
    fn who_subscribes_while_a_commit_is_under_way_is_told_that_something_changed() {
        let subscribers = Subscribers::default();
        let gathered = subscribers.gather();
        let late = follow(&subscribers);
        subscribers.publish(gathered);
        assert_eq!((late.changed.get(), late.lost.get()), (0, 1));
    }

    #[test]
    fn a_commit_of_too_many_bytes_is_told_as_a_loss() {
        let subscribers = Subscribers::default();
        let counter = follow(&subscribers);
        let mut changes = subscribers.gather().unwrap();
        changes.add(change(), INBOX_BYTES_MAX);
        changes.add(change(), 1);
        changes.add(change(), 1);
        assert!(changes.changes.is_empty());
        subscribers.publish(Some(changes));
        assert_eq!((counter.changed.get(), counter.lost.get()), (0, 1));
    }
}
