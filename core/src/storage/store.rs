//! The log-structured store: an ordered [`Kv`] over [`Blocks`].
//!
//! A small commit is one log record and a run in the memtable. Once the memtable is full, or for a large commit, all of it
//! is written to a segment. The segment's blocks are written first; nothing refers to them until one last step writes the
//! manifest and deletes the log records that it covers. What is in memory changes only after the platform has acknowledged
//! that step. Commits that wait for one another become one (`joining.rs`); segments are merged beside them (`merging.rs`).
//!
//! **Who opens the store takes it over**, with the first write where nobody else can write: it writes a fresh epoch, and every commit of
//! whoever had it before is refused by the platform. A commit that is dropped while it runs leaves its effect unknown, and the store takes no more.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use async_lock::Mutex;
use event_listener::Event;

use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::flush::Writer;
use super::joining::Waiting;
use super::merge::{LargeValue, Merge, Value};
use super::merging::DELETES_PER_SLICE;
use super::reader::BlockReader;
use super::recovery::{Found, Ownership};
use super::run::Run;
use super::version::{StoreSource, Version};
use super::{
    Batch, Cursor, Direction, Durability, KeyRange, Kv, Overlay, Snapshot, StorageError, log, lookup, recovery,
};
use crate::progress::Listener;

/// How many blocks of old segments are deleted when the store is closed.
const DELETES_AT_CLOSE: usize = 1024;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Names this opening. Must differ from every other: random bytes.
    pub epoch: [u8; 16],
    /// How many bytes of blocks are kept in memory.
    pub cache_bytes: usize,
    /// The memtable is written to a segment before it holds more bytes than this, or the log more than twice as many (of
    /// entries that were replaced since). The log is what the next open reads again.
    pub memtable_bytes_max: usize,
    /// A batch of more bytes goes straight to a segment, so that it is not written twice.
    pub logged_batch_bytes_max: usize,
    /// The memtable is written to a segment before the log has more blocks than this.
    pub log_blocks_max: usize,
    /// About how many bytes of a segment are written in one step of the platform.
    pub step_bytes: usize,
    /// The first bytes of keys that are walked over and not looked up one by one: the filters of segments leave them out.
    pub unfiltered: &'static [u8],
    /// Who is told how far a long opening is.
    pub progress: Listener,
}

impl StoreOptions {
    /// The usual options.
    #[must_use]
    pub fn new(epoch: [u8; 16]) -> Self {
        Self {
            epoch,
            cache_bytes: 32 * 1024 * 1024,
            memtable_bytes_max: 1024 * 1024,
            logged_batch_bytes_max: 256 * 1024,
            log_blocks_max: 1024,
            step_bytes: 512 * 1024,
            unfiltered: &[],
            progress: Listener::default(),
        }
    }
}

/// A log-structured store over `B`.
#[derive(Debug)]
pub struct LogStore<B> {
    pub(super) reader: Rc<BlockReader<B>>,
    pub(super) options: StoreOptions,
    pub(super) version: RefCell<Version>,
    pub(super) writer: Mutex<Writer<B>>,
    /// Held by the slice of a merge that is at work.
    pub(super) slice: Mutex<()>,
    /// The commits that wait for the writer.
    pub(super) waiting: RefCell<Vec<Rc<Waiting>>>,
    /// Notified when there is something to merge or to delete.
    pub(super) due: Event,
    /// How many bytes of entries the commits have still to merge.
    pub(super) owed_bytes: Cell<usize>,
    /// A commit is running, or was dropped while it ran.
    pub(super) is_unsettled: Cell<bool>,
    is_closed: Cell<bool>,
    ownership: RefCell<Ownership>,
}

impl<B: Blocks> LogStore<B> {
    /// Opens the store in `blocks`, which may be empty, and takes it over from whoever had it open: with its first write, where nobody
    /// else can write. Reads the manifest and the tail of the log.
    ///
    /// Where the platform has no room left to take it over, what is stored can be read all the same. Each commit tries to take it over
    /// then: it answers [`StorageError::QuotaExceeded`], or [`StorageError::Fenced`] once there is room, and the store is to be opened anew.
    pub async fn open(blocks: B, options: StoreOptions) -> Result<Self, StorageError> {
        let reader = BlockReader::of(blocks, &options);
        let Found { version, writer, ownership } = recovery::recover(&reader).await?;
        Ok(Self { ownership: RefCell::new(ownership), ..Self::new(reader, options, version, writer) })
    }

    pub(super) fn new(reader: BlockReader<B>, options: StoreOptions, version: Version, writer: Writer<B>) -> Self {
        Self {
            reader: Rc::new(reader),
            options,
            version: RefCell::new(version),
            writer: Mutex::new(writer),
            slice: Mutex::new(()),
            waiting: RefCell::default(),
            due: Event::new(),
            owed_bytes: Cell::new(0),
            is_unsettled: Cell::new(false),
            is_closed: Cell::new(false),
            ownership: RefCell::new(Ownership::Own),
        }
    }

    /// The place that the store was opened over.
    pub fn blocks(&self) -> &B {
        &self.reader.blocks
    }

    /// Whether it was taken over, or can be: else it can only be read, since there was no room.
    pub fn is_owner(&self) -> bool {
        !matches!(*self.ownership.borrow(), Ownership::Guest)
    }

    /// Takes the store over, if that has waited for the first write.
    pub(super) async fn own(&self, writer: &mut Writer<B>) -> Result<(), StorageError> {
        let claim = match &*self.ownership.borrow() {
            Ownership::Claim(claim) => Rc::clone(claim),
            Ownership::Own | Ownership::Guest => return Ok(()),
        };
        recovery::make_good(&self.reader, &claim, &self.options.epoch, writer).await?;
        self.ownership.replace(Ownership::Own);
        // There may be blocks to delete.
        self.due.notify(usize::MAX);
        Ok(())
    }

    fn is_taken_over(&self) -> bool {
        matches!(*self.ownership.borrow(), Ownership::Own)
    }

    /// Waits for a running commit and ends the store: it gives out no more snapshots and takes no more commits. Snapshots
    /// that are held stay readable for as long as the blocks are.
    pub async fn close(&self) {
        let mut writer = self.writer.lock().await;
        if !self.is_closed.replace(true) && !self.is_unsettled.get() && self.is_taken_over() {
            let deletes = writer.garbage.next(DELETES_AT_CLOSE);
            if !deletes.is_empty() {
                // What stays is found at the next open.
                let _ = self.write(BlockBatch { deletes, ..BlockBatch::default() }, Durability::Relaxed).await;
            }
        }
    }

    /// One step of the platform, refused if the store was taken over.
    pub(super) async fn write(&self, mut batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        if !self.is_taken_over() {
            // What was read may have been changed before this, so that whoever takes it over reads it again.
            let since = Some((BlockKey::epoch(), self.reader.epoch()));
            recovery::take_over(&self.reader, &self.options.epoch, Vec::new(), since).await?;
            return Err(StorageError::Fenced);
        }
        batch.guard = Some((BlockKey::epoch(), self.reader.epoch()));
        self.reader.blocks.commit(batch, durability).await
    }

    /// Refuses to go on where the store is closed, or it is not known what became of a commit.
    pub(super) fn check_open(&self) -> Result<(), StorageError> {
        if self.is_closed.get() || self.is_unsettled.get() { Err(StorageError::Closed) } else { Ok(()) }
    }

    /// A step that changes what is in memory has come to its end.
    pub(super) fn settle(&self, result: &Result<(), StorageError>) {
        self.is_unsettled.set(false);
        if *result == Err(StorageError::Closed) {
            self.is_closed.set(true);
        }
    }

    /// Commits what one batch or several changed, as one step.
    pub(super) async fn apply(
        &self,
        writer: &mut Writer<B>,
        run: Rc<Run>,
        batch_bytes: usize,
        durability: Durability,
    ) -> Result<(), StorageError> {
        self.own(writer).await?;
        let version = self.version.borrow().clone();
        let is_full = batch_bytes > self.options.logged_batch_bytes_max
            || version.memtable.bytes() + run.bytes() > self.options.memtable_bytes_max
            || writer.log_bytes.saturating_add(batch_bytes) > self.options.memtable_bytes_max.saturating_mul(2)
            || writer.log_blocks() >= self.options.log_blocks_max;
        if is_full {
            return self.flush(writer, version, run, durability).await;
        }
        let puts = log::encode(&run, writer.next_log);
        let blocks = puts.len() as u64;
        let bytes: usize = puts.iter().map(|(_, block)| block.len()).sum();
        let memtable = version.memtable.with(run, true)?;
        self.write(BlockBatch { puts, are_new: true, ..BlockBatch::default() }, durability).await?;
        writer.next_log += blocks;
        writer.log_bytes += bytes;
        // What a reader held when it was looked for, or a failure left.
        if writer.garbage.free_blocks() >= DELETES_PER_SLICE {
            self.due.notify(usize::MAX);
        }
        self.version.replace(Version { memtable, segments: version.segments });
        Ok(())
    }
}

impl<B: Blocks> Kv for LogStore<B> {
    type Snapshot = LogSnapshot<B>;

    fn snapshot(&self) -> Result<LogSnapshot<B>, StorageError> {
        if self.is_closed.get() {
            return Err(StorageError::Closed);
        }
        Ok(LogSnapshot { reader: Rc::clone(&self.reader), version: self.version.borrow().clone() })
    }

    async fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StorageError> {
        self.commit_joined(batch, durability).await
    }
}

/// A view of a [`LogStore`].
#[derive(Debug)]
pub struct LogSnapshot<B> {
    pub(super) reader: Rc<BlockReader<B>>,
    pub(super) version: Version,
}

impl<B> Clone for LogSnapshot<B> {
    fn clone(&self) -> Self {
        Self { reader: Rc::clone(&self.reader), version: self.version.clone() }
    }
}

impl<B: Blocks> Snapshot for LogSnapshot<B> {
    type Cursor = LogCursor<B>;

    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.version.get(&self.reader, key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        lookup::get_many(&self.version, &self.reader, keys).await
    }

    fn range(&self, range: KeyRange, direction: Direction) -> Result<LogCursor<B>, StorageError> {
        let sources = self.version.sources(&self.reader, range, direction, true);
        let merge = Merge::new(sources, direction, false);
        Ok(LogCursor { reader: Rc::clone(&self.reader), merge, unloaded: None, large: None })
    }
}

impl<B: Blocks> Overlay for LogSnapshot<B> {
    fn with(&self, batch: Batch) -> Result<Self, StorageError> {
        let memtable = self.version.memtable.with(Rc::new(Run::from_batch(batch)?), true)?;
        let version = Version { memtable, segments: Rc::clone(&self.version.segments) };
        Ok(Self { reader: Rc::clone(&self.reader), version })
    }
}

/// Walks a range of a [`LogSnapshot`].
#[derive(Debug)]
pub struct LogCursor<B> {
    reader: Rc<BlockReader<B>>,
    merge: Merge<StoreSource<B>>,
    /// The value of the current entry, if it stands in blocks of its own and they are still to be read.
    unloaded: Option<LargeValue>,
    large: Option<Vec<u8>>,
}

impl<B: Blocks> Cursor for LogCursor<B> {
    async fn advance(&mut self) -> Result<bool, StorageError> {
        // After an error, or if the last call was dropped, the entry whose value is missing is still to be served.
        if self.unloaded.is_none() {
            self.large = None;
            if !self.merge.advance().await? {
                return Ok(false);
            }
            if let Value::Large(value) = self.merge.value() {
                self.unloaded = Some(value);
            }
        }
        if let Some(value) = self.unloaded {
            self.large = Some(self.reader.large_value(value).await?);
            self.unloaded = None;
        }
        Ok(true)
    }

    fn key(&self) -> &[u8] {
        self.merge.key()
    }

    fn value(&self) -> &[u8] {
        match self.merge.value() {
            Value::Inline(value) => value,
            Value::Tombstone | Value::Large(_) => self.large.as_deref().unwrap_or_default(),
        }
    }
}
