//! Watching one document, or the value at a path of it.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;
use core::mem;

use event_listener::Event;

use super::publish::{Change, Subscriber};
use super::read_winner;
use crate::database::Database;
use crate::document::{DocumentError, check_id};
use crate::json::{Value, collate};
use crate::path::{Found, Path};
use crate::storage::{Kv, StorageError};

/// The value at a path of one document, as it changes. Dropping it ends it.
pub struct Watch {
    subscription: Rc<Subscription>,
    /// What was told last, if anything was.
    told: Option<Option<Value>>,
}

struct Subscription {
    id: String,
    path: Option<Path>,
    sight: RefCell<Sight>,
    news: Event,
}

/// What is known of the value.
enum Sight {
    /// It has to be read.
    Stale,
    /// It is being read.
    Reading,
    /// It was published, and is newer than what was told or is being read; `None` if there is none.
    Seen(Option<Value>),
    /// It is what was told.
    Told,
}

impl<K: Kv> Database<K> {
    /// Watches the value at `path` of the document called `id`, whether it is there or not; the whole document without a
    /// path, as [`get`](Self::get) reads it.
    ///
    /// # Errors
    /// A [`DocumentError`] for what can be no id, and for that of a local document, which is not published.
    pub fn watch(&self, id: &str, path: Option<Path>) -> Result<Watch, DocumentError> {
        check_id(id)?;
        if id.starts_with("_local/") {
            return Err(DocumentError::ReservedId);
        }
        let sight = RefCell::new(Sight::Stale);
        let subscription = Rc::new(Subscription { id: id.into(), path, sight, news: Event::new() });
        let subscriber: Rc<dyn Subscriber> = Rc::<Subscription>::clone(&subscription);
        self.subscribers.add(Rc::downgrade(&subscriber));
        Ok(Watch { subscription, told: None })
    }
}

impl Watch {
    /// Completes once the value is another than the one told before, with the value, or `None` where there is none; the
    /// first time at once. Two values are the same if they are equal, whatever the order of their members.
    ///
    /// A call that is dropped leaves nothing half done. `database` must be the one that the watch was begun on.
    ///
    /// # Errors
    /// What the storage reports. The next call tries again.
    pub async fn next<K: Kv>(&mut self, database: &Database<K>) -> Result<Option<Value>, StorageError> {
        let subscription = Rc::clone(&self.subscription);
        loop {
            // Listening comes before looking, so that a commit between the two is not missed.
            let news = subscription.news.listen();
            let sight = mem::replace(&mut *subscription.sight.borrow_mut(), Sight::Told);
            let value = match sight {
                Sight::Told => {
                    news.await;
                    continue;
                }
                Sight::Seen(value) => value,
                // A read that is under way here was given up.
                Sight::Stale | Sight::Reading => {
                    subscription.sight.replace(Sight::Reading);
                    let document = read_winner(&database.kv.snapshot()?, &subscription.id).await?;
                    let sight = &mut *subscription.sight.borrow_mut();
                    if let Sight::Reading = sight {
                        *sight = Sight::Told;
                    }
                    subscription.value_in(document.as_ref())
                }
            };
            let is_same = self.told.as_ref().is_some_and(|told| match (told, &value) {
                (Some(told), Some(value)) => collate(told, value).is_eq(),
                (told, value) => told.is_none() && value.is_none(),
            });
            if !is_same {
                self.told = Some(value.clone());
                return Ok(value);
            }
        }
    }
}

impl Subscription {
    fn value_in(&self, document: Option<&Value>) -> Option<Value> {
        let document = document?;
        match self.path.as_ref().map(|path| path.find(document)) {
            None => Some(document.clone()),
            Some(Found::Value(value)) => Some(value.clone()),
            Some(Found::Missing | Found::Blocked) => None,
        }
    }
}

impl Subscriber for Subscription {
    fn changed(&self, change: &Change) {
        let mut sight = self.sight.borrow_mut();
        if change.id == self.id && !matches!(*sight, Sight::Stale) {
            *sight = Sight::Seen(self.value_in(change.after.as_ref()));
            self.news.notify(usize::MAX);
        }
    }

    fn lost(&self) {
        self.sight.replace(Sight::Stale);
        self.news.notify(usize::MAX);
    }
}
