//! Core's ordered bytes over redb: one file a database, one table in it.
//!
//! Every commit is a redb transaction with `Durability::Immediate`: it is on the disk before it is acknowledged, whatever
//! durability was asked for, because redb keeps what is less durable in memory only. Snapshots are redb's read
//! transactions; a cursor holds its snapshot, so that the pages under it stay.
//!
//! **An IO error spoils the file's handle**: redb refuses everything after one. [`RedbKv::is_spoilt`] says so, and whoever
//! owns the handle opens the file again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::Path;
use std::rc::Rc;
use std::task::Poll;

use firkin_core::storage::{
    Batch, Cursor, Direction, Durability as CoreDurability, KeyRange, Kv, Snapshot, StorageError,
};
use redb::{AccessGuard, Builder, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

const ENTRIES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("entries");

/// What the server keeps beside the entries: settings of the database.
const SETTINGS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("settings");

type Bytes = &'static [u8];

/// An open file. Clones share it; they stay on one thread.
#[derive(Clone)]
pub struct RedbKv {
    shared: Rc<Shared>,
}

struct Shared {
    database: RefCell<redb::Database>,
    /// The error that made the handle useless.
    spoilt: RefCell<Option<StorageError>>,
}

impl RedbKv {
    /// Opens the file at `path`, or makes it, with a page cache of at most `cache_bytes`. After a process was killed, redb
    /// walks the file to find what its last commit was.
    ///
    /// # Errors
    /// The file is in use, is not a redb file, is damaged, or cannot be read or written.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, StorageError> {
        let database = Builder::new().set_cache_size(cache_bytes).create(path).map_err(|error| tell(error.into()))?;
        let kv = Self { shared: Rc::new(Shared { database: RefCell::new(database), spoilt: RefCell::default() }) };
        kv.make_table()?;
        Ok(kv)
    }

    /// Whether an IO error made this handle useless; the file must be opened again.
    #[must_use]
    pub fn is_spoilt(&self) -> bool {
        self.shared.spoilt.borrow().is_some()
    }

    /// Gives free pages back to the file system. There must be no snapshot.
    ///
    /// # Errors
    /// A snapshot is alive, or the disk failed.
    pub fn compact(&self) -> Result<(), StorageError> {
        let compacted = self.shared.database.borrow_mut().compact();
        compacted.map(|_| ()).map_err(|error| self.failed(error.into()))
    }

    /// Copies all that is here into another file that is not there yet, which is on the disk when this returns.
    ///
    /// # Errors
    /// Either file failed.
    pub fn copy_to(&self, path: &Path) -> Result<(), StorageError> {
        let copy = || -> Result<(), redb::Error> {
            let source = self.shared.database.borrow().begin_read()?;
            let target = Builder::new().create(path)?;
            let target = target.begin_write()?;
            {
                let mut entries = target.open_table(ENTRIES)?;
                for entry in source.open_table(ENTRIES)?.iter()? {
                    let (key, value) = entry?;
                    entries.insert(key.value(), value.value())?;
                }
                let mut settings = target.open_table(SETTINGS)?;
                match source.open_table(SETTINGS) {
                    Ok(table) => {
                        for entry in table.iter()? {
                            let (name, value) = entry?;
                            settings.insert(name.value(), value.value())?;
                        }
                    }
                    Err(redb::TableError::TableDoesNotExist(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            target.commit()?;
            Ok(())
        };
        copy().map_err(|error| self.failed(error))
    }

    /// Reads every page and holds it against its checksum.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where one is damaged.
    pub fn check(&self) -> Result<(), StorageError> {
        match self.shared.database.borrow_mut().check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) => Err(StorageError::Corrupt("pages did not match their checksums".into())),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// A setting as it was written last.
    ///
    /// # Errors
    /// The disk failed.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let transaction = self.shared.database.borrow().begin_read()?;
            match transaction.open_table(SETTINGS) {
                Ok(table) => Ok(table.get(name)?.map(|value| value.value().to_vec())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        read().map_err(|error| self.failed(error))
    }

    /// Writes a setting. It is on the disk when this returns.
    ///
    /// # Errors
    /// The disk failed.
    pub fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), StorageError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.shared.database.borrow().begin_write()?;
            transaction.open_table(SETTINGS)?.insert(name, value)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.failed(error))
    }

    /// Reading a table that no transaction opened for writing yet would be an error.
    fn make_table(&self) -> Result<(), StorageError> {
        let database = self.shared.database.borrow();
        let transaction = database.begin_write().map_err(|error| self.failed(error.into()))?;
        transaction.open_table(ENTRIES).map_err(|error| self.failed(error.into()))?;
        transaction.commit().map_err(|error| self.failed(error.into()))
    }

    fn apply(&self, batch: &Batch) -> Result<(), redb::Error> {
        let database = self.shared.database.borrow();
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for operation in batch.operations() {
                match operation.value {
                    Some(value) => drop(table.insert(operation.key, value)?),
                    None => drop(table.remove(operation.key)?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// What is told of an error. Of those that follow from one before, it is that one.
    fn failed(&self, error: redb::Error) -> StorageError {
        let spoils = matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::LockPoisoned(_));
        let told = tell(error);
        if !spoils {
            return told;
        }
        self.shared.spoilt.borrow_mut().get_or_insert(told).clone()
    }
}

fn tell(error: redb::Error) -> StorageError {
    match error {
        redb::Error::Io(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            StorageError::QuotaExceeded
        }
        redb::Error::Corrupted(what) => StorageError::Corrupt(what),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => StorageError::Closed,
        other => StorageError::Failed(other.to_string()),
    }
}

/// Lets others have a turn.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Kv for RedbKv {
    type Snapshot = RedbSnapshot;

    fn snapshot(&self) -> Result<RedbSnapshot, StorageError> {
        let database = self.shared.database.borrow();
        let transaction = database.begin_read().map_err(|error| self.failed(error.into()))?;
        let table = transaction.open_table(ENTRIES).map_err(|error| self.failed(error.into()))?;
        Ok(RedbSnapshot { table: Rc::new(table), kv: self.clone() })
    }

    async fn commit(&self, batch: Batch, _durability: CoreDurability) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        // Those who come up to the writer's lock meanwhile share the next commit.
        yield_once().await;
        self.apply(&batch).map_err(|error| self.failed(error))
    }
}

/// One moment of a file.
#[derive(Clone)]
pub struct RedbSnapshot {
    table: Rc<ReadOnlyTable<Bytes, Bytes>>,
    kv: RedbKv,
}

impl Snapshot for RedbSnapshot {
    type Cursor = RedbCursor;

    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let value = self.table.get(key).map_err(|error| self.kv.failed(error.into()))?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn range(&self, range: KeyRange, direction: Direction) -> Result<RedbCursor, StorageError> {
        let entries = if range.end.as_ref().is_some_and(|end| *end <= range.start) {
            None
        } else {
            let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let bounds = (Bound::Included(range.start.as_slice()), end);
            Some(self.table.range::<&[u8]>(bounds).map_err(|error| self.kv.failed(error.into()))?)
        };
        Ok(RedbCursor { entries, direction, entry: None, snapshot: self.clone() })
    }
}

/// Walks a range of a snapshot.
pub struct RedbCursor {
    entries: Option<redb::Range<'static, Bytes, Bytes>>,
    direction: Direction,
    entry: Option<(AccessGuard<'static, Bytes>, AccessGuard<'static, Bytes>)>,
    /// Keeps the transaction, and so the pages that `entry` points into.
    snapshot: RedbSnapshot,
}

impl Cursor for RedbCursor {
    async fn advance(&mut self) -> Result<bool, StorageError> {
        let next = self.entries.as_mut().and_then(|entries| match self.direction {
            Direction::Forward => entries.next(),
            Direction::Backward => entries.next_back(),
        });
        self.entry = next.transpose().map_err(|error| self.snapshot.kv.failed(error.into()))?;
        Ok(self.entry.is_some())
    }

    fn key(&self) -> &[u8] {
        self.entry.as_ref().map_or(&[], |(key, _)| key.value())
    }

    fn value(&self) -> &[u8] {
        self.entry.as_ref().map_or(&[], |(_, value)| value.value())
    }
}
