//! Consumers of the changes feed: readers whose place in the feed the database remembers, by name.
//!
//! A record holds the sequence up to which the consumer has handled everything, as the feed tells it, `number-epoch`: a
//! number that a crash gave back, and that now stands for another edit, hides nothing from a consumer that had passed the
//! first. **A position never moves backwards, and never beyond what the reader said it has handled**, so whatever is lost
//! on the way is delivered again. Consumers belong to this replica: they are never replicated, and their movements are
//! no changes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::changes::start;
use super::{Database, ReadError, Since};
use crate::document::keys;
use crate::error::ErrorReport;
use crate::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};

/// How many bytes the name of a consumer may have.
pub const CONSUMER_NAME_BYTES_MAX: usize = 256;

/// A consumer and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// The sequence up to which it has handled everything.
    pub position: String,
}

/// Why nothing is known of a consumer, or changed of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConsumerError {
    /// The name is empty or longer than [`CONSUMER_NAME_BYTES_MAX`].
    #[error("the name of a consumer has 1 to {CONSUMER_NAME_BYTES_MAX} bytes")]
    Name,
    /// There is no such consumer.
    #[error("there is no such consumer")]
    Missing,
    /// The sequence is none of this database.
    #[error("not a sequence of this database")]
    Sequence,
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ConsumerError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::Storage(error) => return error.report(),
            Self::Name | Self::Sequence => (400, "bad_request"),
            Self::Missing => (404, "not_found"),
        };
        ErrorReport::new(status, name, format!("{self}"))
    }
}

impl<K: Kv> Database<K> {
    /// Where the consumer called `name` goes on. One that is not known yet begins at `since`, which counts for nothing
    /// else, and is remembered from now on: what is written after this reaches it, whenever it begins to read.
    ///
    /// # Errors
    /// [`ConsumerError::Name`], and [`ConsumerError::Sequence`] for a `since` that is no sequence.
    pub async fn open_consumer(&self, name: &str, since: &Since) -> Result<String, ConsumerError> {
        let _writer = self.writer.lock().await;
        if let Some(position) = self.consumer_position(name).await? {
            return Ok(position);
        }
        let position = {
            let state = self.state.borrow();
            state.token(start(since, &state).map_err(|_: ReadError| ConsumerError::Sequence)?)
        };
        self.write_position(name, &position).await?;
        Ok(position)
    }

    /// The sequence up to which the consumer called `name` has handled everything; `None` if there is no such consumer.
    ///
    /// # Errors
    /// [`ConsumerError::Name`], or what the storage reports.
    pub async fn consumer_position(&self, name: &str) -> Result<Option<String>, ConsumerError> {
        let key = key_of(name)?;
        let record = self.kv.snapshot()?.get(&key).await?;
        Ok(record.map(|record| read_position(name, record)).transpose()?)
    }

    /// Moves the consumer called `name` on to `position`, a sequence of the feed, and returns where it is then: a position
    /// before the one that it has changes nothing.
    ///
    /// A position needs no durability of its own: one that is lost with power costs a second delivery.
    ///
    /// # Errors
    /// [`ConsumerError::Missing`], and [`ConsumerError::Sequence`] for a position that is no sequence.
    pub async fn acknowledge(&self, name: &str, position: &str) -> Result<String, ConsumerError> {
        let _writer = self.writer.lock().await;
        let before = self.consumer_position(name).await?.ok_or(ConsumerError::Missing)?;
        let position = {
            let state = self.state.borrow();
            let handled = state.resolve(position).ok_or(ConsumerError::Sequence)?;
            if state.resolve(&before).is_some_and(|before| handled <= before) {
                return Ok(before);
            }
            state.token(handled)
        };
        self.write_position(name, &position).await?;
        Ok(position)
    }

    /// Forgets the consumer called `name`.
    ///
    /// # Errors
    /// [`ConsumerError::Missing`] if there is none.
    pub async fn remove_consumer(&self, name: &str) -> Result<(), ConsumerError> {
        let _writer = self.writer.lock().await;
        self.consumer_position(name).await?.ok_or(ConsumerError::Missing)?;
        let mut batch = Batch::new();
        batch.delete(&key_of(name)?);
        Ok(self.kv.commit(batch, Durability::Relaxed).await?)
    }

    /// All consumers, in the order of their names' bytes.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn consumers(&self) -> Result<Vec<Consumer>, StorageError> {
        let mut records = self.kv.snapshot()?.range(KeyRange::prefix(keys::consumers()), Direction::Forward)?;
        let mut consumers = Vec::new();
        while records.advance().await? {
            let name = keys::consumer_name(records.key());
            let name = name.ok_or_else(|| StorageError::Corrupt(String::from("the name of a consumer")))?;
            let position = read_position(name, records.value().to_vec())?;
            consumers.push(Consumer { name: name.into(), position });
        }
        Ok(consumers)
    }

    async fn write_position(&self, name: &str, position: &str) -> Result<(), ConsumerError> {
        let mut batch = Batch::new();
        batch.put(&key_of(name)?, position.as_bytes());
        Ok(self.kv.commit(batch, Durability::Relaxed).await?)
    }
}

fn key_of(name: &str) -> Result<Vec<u8>, ConsumerError> {
    match (1..=CONSUMER_NAME_BYTES_MAX).contains(&name.len()) {
        true => Ok(keys::consumer(name)),
        false => Err(ConsumerError::Name),
    }
}

fn read_position(name: &str, record: Vec<u8>) -> Result<String, StorageError> {
    String::from_utf8(record).map_err(|_| StorageError::Corrupt(format!("the position of the consumer {name:?}")))
}
