//! Core's ordered bytes in a file: its log-structured store over blocks, which are the entries of a table of redb.
//!
//! An update of one document touches the index at as many places as it has values. Each would be a page of a B-tree that is
//! written anew; the store writes them to its log, one after the other, and puts them in order later. redb sees to it that a
//! step is taken whole or not at all, that it is on the disk, and that freed space is used again.
//!
//! **A strict commit is on the disk before it is acknowledged**, and with it all before it. **An IO error spoils the file's
//! handle**: redb refuses everything after one. [`RedbKv::is_spoilt`] says so, and whoever owns the handle opens the file again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;
use std::task::Poll;

use firkin_core::document::keys;
use firkin_core::effects::Random;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::store::{LogSnapshot, LogStore, StoreOptions};
use firkin_core::storage::{Batch, Durability as CoreDurability, Kv, StorageError};
use pollster::block_on;
use redb::{Builder, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::random::SystemRandom;

/// About so many bytes of entries are merged between two turns of others.
const MAINTAINED_BYTES: usize = 64 << 10;

const BLOCKS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("blocks");

/// Where files of version 0.1 before blocks have their entries.
const ENTRIES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("entries");

/// About so many bytes of these are taken over in one commit.
const ADOPTED_BYTES: usize = 1 << 20;

/// A server has more memory than a tab: segments are larger then, and merged less often.
const MEMTABLE_BYTES_MAX: usize = 4 << 20;
const LOGGED_BATCH_BYTES_MAX: usize = 1 << 20;

/// Of the cache for a file so much is the store's, for blocks; the rest is redb's, for pages.
const CACHE_OF_BLOCKS: (usize, usize) = (3, 4);

/// What the server keeps beside the entries: settings of the database.
const SETTINGS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("settings");

/// An open file. Clones share it; they stay on one thread.
#[derive(Clone)]
pub struct RedbKv {
    shared: Rc<Shared>,
    store: Rc<LogStore<RedbBlocks>>,
}

struct Shared {
    database: RefCell<redb::Database>,
    /// The block that says who may write. redb's lock sees to that, so it need not be on the disk, and a full disk can be opened.
    epoch: RefCell<Option<Vec<u8>>>,
    /// The error that made the handle useless.
    spoilt: RefCell<Option<StorageError>>,
}

impl RedbKv {
    /// Opens the file at `path`, or makes it, with caches of at most `cache_bytes`. After a process was killed, redb walks the
    /// file to find what its last commit was.
    ///
    /// # Errors
    /// The file is in use, is not a redb file, is damaged, or cannot be read or written.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, StorageError> {
        let (part, whole) = CACHE_OF_BLOCKS;
        let block_cache_bytes = cache_bytes / whole * part;
        let database = Builder::new().set_cache_size(cache_bytes - block_cache_bytes).create(path);
        let database = database.map_err(|error| tell(error.into()))?;
        let shared =
            Rc::new(Shared { database: RefCell::new(database), epoch: RefCell::default(), spoilt: RefCell::default() });
        shared.make_table().map_err(|error| shared.failed(error))?;
        let mut epoch = [0; 16];
        SystemRandom.fill(&mut epoch);
        let options = StoreOptions {
            cache_bytes: block_cache_bytes,
            memtable_bytes_max: MEMTABLE_BYTES_MAX,
            logged_batch_bytes_max: LOGGED_BATCH_BYTES_MAX,
            unfiltered: keys::WALKED,
            ..StoreOptions::new(epoch)
        };
        let store = block_on(LogStore::open(RedbBlocks { shared: shared.clone() }, options))?;
        let kv = Self { shared, store: Rc::new(store) };
        kv.adopt_entries()?;
        Ok(kv)
    }

    /// Takes over what a file from before blocks holds. Done again from its beginning if it was cut off.
    fn adopt_entries(&self) -> Result<(), StorageError> {
        let failed = |error| self.shared.failed(error);
        let open = || -> Result<_, redb::Error> {
            let transaction = self.shared.database.borrow().begin_read()?;
            match transaction.open_table(ENTRIES) {
                Ok(table) => Ok(Some(table)),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let Some(entries) = open().map_err(failed)? else { return Ok(()) };
        let (mut batch, mut bytes) = (Batch::new(), 0);
        for entry in entries.iter().map_err(|error| failed(error.into()))? {
            let (key, value) = entry.map_err(|error| failed(error.into()))?;
            batch.put(key.value(), value.value());
            bytes += key.value().len() + value.value().len();
            if bytes >= ADOPTED_BYTES {
                block_on(self.commit(std::mem::take(&mut batch), CoreDurability::Relaxed))?;
                bytes = 0;
            }
        }
        block_on(self.commit(batch, CoreDurability::Strict))?;
        drop(entries);
        let forget = || -> Result<(), redb::Error> {
            let transaction = self.shared.database.borrow().begin_write()?;
            transaction.delete_table(ENTRIES)?;
            transaction.commit()?;
            Ok(())
        };
        forget().map_err(failed)
    }

    /// Merges segments and deletes what no longer counts for as long as the store is open: a slice after each `pause`.
    pub async fn maintain(&self, pause: impl AsyncFn()) {
        loop {
            let due = self.store.maintenance_due();
            pause().await;
            while matches!(self.store.maintain(MAINTAINED_BYTES).await, Ok(true)) {
                pause().await;
            }
            due.await;
        }
    }

    /// Does what there is to maintain now.
    pub async fn maintain_once(&self) {
        while matches!(self.store.maintain(MAINTAINED_BYTES).await, Ok(true)) {
            yield_once().await;
        }
    }

    /// Whether an IO error made this handle useless; the file must be opened again.
    #[must_use]
    pub fn is_spoilt(&self) -> bool {
        self.shared.spoilt.borrow().is_some()
    }

    /// Gives free pages back to the file system.
    ///
    /// # Errors
    /// The disk failed.
    pub fn compact(&self) -> Result<(), StorageError> {
        let compacted = self.shared.database.borrow_mut().compact();
        compacted.map(|_| ()).map_err(|error| self.shared.failed(error.into()))
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
                let mut blocks = target.open_table(BLOCKS)?;
                for entry in source.open_table(BLOCKS)?.iter()? {
                    let (key, block) = entry?;
                    blocks.insert(key.value(), block.value())?;
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
        copy().map_err(|error| self.shared.failed(error))
    }

    /// Reads every page and holds it against its checksum.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where one is damaged.
    pub fn check(&self) -> Result<(), StorageError> {
        match self.shared.database.borrow_mut().check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) => Err(StorageError::Corrupt("pages did not match their checksums".into())),
            Err(error) => Err(self.shared.failed(error.into())),
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
        read().map_err(|error| self.shared.failed(error))
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
        write().map_err(|error| self.shared.failed(error))
    }
}

impl Shared {
    /// Reading a table that no transaction opened for writing yet would be an error. Where it is there nothing is written, so
    /// that a full disk can be read.
    fn make_table(&self) -> Result<(), redb::Error> {
        if self.database.borrow().begin_read()?.open_table(BLOCKS).is_ok() {
            return Ok(());
        }
        let transaction = self.database.borrow().begin_write()?;
        transaction.open_table(BLOCKS)?;
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
        self.spoilt.borrow_mut().get_or_insert(told).clone()
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
    type Snapshot = LogSnapshot<RedbBlocks>;

    fn snapshot(&self) -> Result<Self::Snapshot, StorageError> {
        self.store.snapshot()
    }

    async fn commit(&self, batch: Batch, durability: CoreDurability) -> Result<(), StorageError> {
        self.store.commit(batch, durability).await
    }
}

/// The blocks of an open file. Clones share it.
#[derive(Clone)]
pub struct RedbBlocks {
    shared: Rc<Shared>,
}

impl RedbBlocks {
    fn failed(&self, error: redb::Error) -> StorageError {
        self.shared.failed(error)
    }

    fn read_all(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, redb::Error> {
        let table = self.shared.database.borrow().begin_read()?.open_table(BLOCKS)?;
        let read = |key: &BlockKey| match *key == BlockKey::epoch() {
            true => Ok(self.shared.epoch.borrow().clone()),
            false => Ok(table.get(key.as_u64())?.map(|block| block.value().to_vec())),
        };
        keys.iter().map(read).collect()
    }

    fn keys_between(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, redb::Error> {
        let table = self.shared.database.borrow().begin_read()?.open_table(BLOCKS)?;
        let range = table.range(first.as_u64()..=last.as_u64())?;
        range.map(|entry| Ok(BlockKey::from_u64(entry?.0.value()))).collect()
    }

    /// Whether the step was taken: its guard held, and what it said to be new was.
    fn apply(&self, mut batch: BlockBatch, durability: CoreDurability) -> Result<bool, redb::Error> {
        if let Some((_, expected)) = batch.guard.take_if(|(key, _)| *key == BlockKey::epoch())
            && self.shared.epoch.borrow().as_ref() != Some(&expected)
        {
            return Ok(false);
        }
        if let Some(place) = batch.puts.iter().position(|(key, _)| *key == BlockKey::epoch()) {
            let (_, epoch) = batch.puts.remove(place);
            *self.shared.epoch.borrow_mut() = Some(epoch);
        }
        if batch.guard.is_none() && batch.puts.is_empty() && batch.deletes.is_empty() {
            return Ok(true);
        }
        let mut transaction = self.shared.database.borrow().begin_write()?;
        transaction.set_durability(match durability {
            CoreDurability::Strict => Durability::Immediate,
            // It goes to the disk with the next that must, and is not seen without what came before.
            CoreDurability::Relaxed => Durability::None,
        })?;
        {
            let mut table = transaction.open_table(BLOCKS)?;
            if let Some((key, expected)) = &batch.guard
                && table.get(key.as_u64())?.is_none_or(|block| block.value() != expected.as_slice())
            {
                return Ok(false);
            }
            let are_new = batch.are_new && batch.deletes.is_empty();
            for key in &batch.deletes {
                table.remove(key.as_u64())?;
            }
            for (key, block) in &batch.puts {
                if table.insert(key.as_u64(), block.as_slice())?.is_some() && are_new {
                    return Ok(false);
                }
            }
        }
        transaction.commit()?;
        Ok(true)
    }
}

impl Blocks for RedbBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.read_all(keys).map_err(|error| self.failed(error))
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.keys_between(first, last).map_err(|error| self.failed(error))
    }

    /// redb locks its file.
    fn has_rivals(&self) -> bool {
        false
    }

    async fn commit(&self, batch: BlockBatch, durability: CoreDurability) -> Result<(), StorageError> {
        // Those who come up to the writer's lock meanwhile share the next commit.
        yield_once().await;
        match self.apply(batch, durability) {
            Ok(true) => Ok(()),
            Ok(false) => Err(StorageError::Fenced),
            Err(error) => Err(self.failed(error)),
        }
    }
}
