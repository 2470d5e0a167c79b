//! A block of sorted entries: the leaf and the inner node of a segment.
//!
//! Keys leave out what they share with the key before. Every sixteenth of a data block and every one of an index block stands
//! whole, a restart point; a list of them at the end lets a search bisect a block and then look at sixteen entries at most. A
//! step backward reads again from the restart point before.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::StorageError;
use super::blocks::BlockKey;
use super::bytes::{EntryKey, NewValue, Reader, StoredValue, compare, read_entry, shared_prefix, write_entry};
use super::frame::{self, BlockKind, corrupt};

/// What a block has room for when it is begun: a block of long entries and its frame. Doubled twice it takes any other.
const BLOCK_CAPACITY: usize = LONG_ENTRIES_BLOCK_BYTES_TARGET + 512;
/// A block is closed before it grows beyond this.
const BLOCK_BYTES_TARGET: usize = 32 * 1024;
/// As [`BLOCK_BYTES_TARGET`], where entries are long on average: such a block is mostly read for a single one of them, and every
/// byte that is read with it costs.
const LONG_ENTRIES_BLOCK_BYTES_TARGET: usize = 8 * 1024;
/// From so many bytes on an entry is long.
const LONG_ENTRY_BYTES: usize = 256;
/// An index block takes three entries, however long their keys are, so that a tree of them always comes to an end.
const INDEX_ENTRIES_MIN: usize = 3;
/// How many entries of a data block come to one restart point. Those of index blocks are few, and looked at by every search.
const RESTART_INTERVAL: usize = 16;
/// No header of an entry is longer: three numbers, and two for a large value.
const ENTRY_HEADER_BYTES_MAX: usize = 5 * 5;
/// Where the first entry stands, behind the kind.
const ENTRIES_START: usize = 1;
const RESTART_BYTES: usize = 2;

/// Builds one block after the other.
#[derive(Debug)]
pub(super) struct BlockBuilder {
    kind: BlockKind,
    block: Vec<u8>,
    restarts: Vec<u16>,
    entries: usize,
    last_key: Vec<u8>,
}

impl BlockBuilder {
    /// A builder of blocks of this kind.
    pub(super) fn new(kind: BlockKind) -> Self {
        Self { kind, block: Vec::new(), restarts: Vec::new(), entries: 0, last_key: Vec::new() }
    }

    /// Whether the block has no entry yet.
    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The key that was added last, even if its block is finished.
    pub(super) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Whether an entry should go into this block and not into the next.
    pub(super) fn takes(&self, key: &[u8], value_bytes: usize) -> bool {
        let entries_min = if self.kind == BlockKind::Index { INDEX_ENTRIES_MIN } else { 1 };
        let trailer = (self.restarts.len() + 2) * RESTART_BYTES;
        let bytes = self.block.len() + trailer + key.len() + value_bytes + ENTRY_HEADER_BYTES_MAX;
        let are_long = self.block.len() >= self.entries.saturating_mul(LONG_ENTRY_BYTES);
        let target = if are_long { LONG_ENTRIES_BLOCK_BYTES_TARGET } else { BLOCK_BYTES_TARGET };
        self.entries < entries_min || bytes <= target
    }

    /// Adds an entry; keys must ascend.
    pub(super) fn add(&mut self, key: &[u8], value: NewValue<'_>) {
        if self.entries == 0 {
            self.block = frame::begin(self.kind, BLOCK_CAPACITY);
        }
        let interval = if self.kind == BlockKind::Index { 1 } else { RESTART_INTERVAL };
        let shared = if self.entries.is_multiple_of(interval) {
            // Blocks are far shorter than 64 KiB: the limits of keys and inline values see to it.
            self.restarts.push(self.block.len() as u16);
            0
        } else {
            shared_prefix(&self.last_key, key)
        };
        write_entry(&mut self.block, shared, key, value);
        self.entries += 1;
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(key.get(shared..).unwrap_or_default());
    }

    /// The finished block, under its name; the builder is ready for the next.
    pub(super) fn finish(&mut self, key: BlockKey) -> Vec<u8> {
        let mut block = core::mem::take(&mut self.block);
        for restart in &self.restarts {
            block.extend_from_slice(&restart.to_le_bytes());
        }
        block.extend_from_slice(&(self.restarts.len() as u16).to_le_bytes());
        self.restarts.clear();
        self.entries = 0;
        frame::seal(key, block)
    }
}

/// Stands in a block, on an entry or on none.
#[derive(Clone, Debug)]
pub(super) struct BlockCursor {
    name: BlockKey,
    block: Rc<[u8]>,
    entries_end: usize,
    restarts: usize,
    /// The restart point before the current entry, and the count of entries between.
    restart: usize,
    offset_in_interval: usize,
    /// Where the entry after the current one stands.
    next: usize,
    standing: bool,
    /// Where the entry begins that the cursor stands on.
    start: usize,
    key: Vec<u8>,
    value: StoredValue,
}

impl BlockCursor {
    /// A cursor before the first entry of a block whose checksum was checked.
    pub(super) fn new(name: BlockKey, kind: BlockKind, block: Rc<[u8]>) -> Result<Self, StorageError> {
        let content = frame::content(name, kind, &block)?;
        let trailer = content.split_last_chunk().and_then(|(before, count)| {
            let restarts = usize::from(u16::from_le_bytes(*count));
            let entries = before.len().checked_sub(restarts * RESTART_BYTES)?;
            (restarts > 0).then_some((ENTRIES_START + entries, restarts))
        });
        let (entries_end, restarts) = trailer.ok_or_else(|| corrupt(name, "has no valid restart points"))?;
        Ok(Self {
            name,
            block,
            entries_end,
            restarts,
            restart: 0,
            offset_in_interval: 0,
            next: ENTRIES_START,
            standing: false,
            start: ENTRIES_START,
            key: Vec::new(),
            value: StoredValue::Tombstone,
        })
    }

    /// The key of the entry that the cursor stands on; empty if on none.
    #[inline(always)]
    pub(super) fn key(&self) -> &[u8] {
        if self.standing { &self.key } else { &[] }
    }

    /// The value of the entry that the cursor stands on.
    #[inline(always)]
    pub(super) fn value(&self) -> &StoredValue {
        &self.value
    }

    /// The bytes of an inline value.
    #[inline(always)]
    pub(super) fn inline(&self) -> &[u8] {
        match &self.value {
            StoredValue::Inline(range) => self.block.get(range.clone()).unwrap_or_default(),
            StoredValue::Tombstone | StoredValue::Large(..) => &[],
        }
    }

    /// The number of the block that an entry of an index block points to.
    pub(super) fn child(&self) -> Result<u32, StorageError> {
        let mut reader = Reader::new(self.inline(), 0);
        reader.small_number().filter(|_| reader.is_at_end()).ok_or_else(|| self.malformed())
    }

    /// Moves to the next entry; `false`, and on none, after the last.
    pub(super) fn next(&mut self) -> Result<bool, StorageError> {
        self.standing = self.next < self.entries_end;
        if !self.standing {
            return Ok(false);
        }
        if self.next == ENTRIES_START {
            (self.restart, self.offset_in_interval) = (0, 0);
        } else if self.restart + 1 < self.restarts && self.next == self.restart_at(self.restart + 1)? {
            self.restart += 1;
            self.offset_in_interval = 0;
        } else {
            self.offset_in_interval += 1;
        }
        if self.offset_in_interval == 0 {
            self.key.clear();
        }
        let entries = self.block.get(..self.entries_end).unwrap_or_default();
        self.start = self.next;
        let mut reader = Reader::new(entries, self.next);
        let value = read_entry(&mut reader, &mut self.key);
        self.next = reader.position();
        self.value = value.ok_or_else(|| self.malformed())?;
        Ok(true)
    }

    /// Moves to the entry before; `false`, and on none, before the first and if the cursor stood on none.
    pub(super) fn previous(&mut self) -> Result<bool, StorageError> {
        if !self.standing {
            return Ok(false);
        }
        let after = self.start;
        if self.offset_in_interval > 0 {
            let offset = self.offset_in_interval - 1;
            self.seek_restart(self.restart)?;
            while self.next()? && self.offset_in_interval < offset {}
        } else if let Some(before) = self.restart.checked_sub(1) {
            let end = self.restart_at(self.restart)?;
            self.seek_restart(before)?;
            while self.next()? && self.next < end {}
        } else {
            self.standing = false;
        }
        // Damaged restart points would lead round and round.
        if self.standing && self.start >= after { Err(self.malformed()) } else { Ok(self.standing) }
    }

    /// Moves to the first entry.
    pub(super) fn first(&mut self) -> Result<bool, StorageError> {
        self.next = ENTRIES_START;
        self.next()
    }

    /// Moves to the last entry.
    pub(super) fn last(&mut self) -> Result<bool, StorageError> {
        self.seek_restart(self.restarts - 1)?;
        while self.next()? && self.next < self.entries_end {}
        Ok(self.standing)
    }

    /// Moves to the first entry whose key is `key` or greater; `false`, and on none, if there is none.
    pub(super) fn seek(&mut self, key: &[u8]) -> Result<bool, StorageError> {
        let (mut low, mut high) = (0, self.restarts);
        while low < high {
            let middle = low.midpoint(high);
            if compare(self.key_at_restart(middle)?, key).is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.seek_restart(low.saturating_sub(1))?;
        if !self.next()? || compare(&self.key, key).is_ge() {
            return Ok(self.standing);
        }
        self.seek_in_interval(key)
    }

    /// As [`Self::seek`], from an entry on that is less than `key` to the next restart point, whose key is not.
    ///
    /// What an entry shares with the one before tells how it compares, in most cases without its other bytes.
    fn seek_in_interval(&mut self, key: &[u8]) -> Result<bool, StorageError> {
        let interval_end =
            if self.restart + 1 < self.restarts { self.restart_at(self.restart + 1)? } else { self.entries_end };
        // What the entry before, which is less, has in common with the key.
        let mut common = shared_prefix(&self.key, key);
        let block = Rc::clone(&self.block);
        let mut reader = Reader::new(block.get(..self.entries_end).unwrap_or_default(), self.next);
        while reader.position() < interval_end {
            let start = reader.position();
            let entry = EntryKey::read(&mut reader).ok_or_else(|| self.malformed())?;
            let value = entry.value(&mut reader).ok_or_else(|| self.malformed())?;
            self.offset_in_interval += 1;
            if entry.shared > common {
                continue;
            }
            let rest = key.get(entry.shared..).unwrap_or_default();
            if entry.shared == common && compare(entry.suffix, rest).is_lt() {
                common += shared_prefix(entry.suffix, rest);
                continue;
            }
            self.key.clear();
            self.key.extend_from_slice(key);
            entry.complete(&mut self.key).ok_or_else(|| self.malformed())?;
            (self.start, self.next, self.value) = (start, reader.position(), value);
            return Ok(true);
        }
        self.next = reader.position();
        self.next()
    }

    /// Moves to the last entry whose key is less than `key` (or `key` itself, if `or_equal`); `false` if there is none.
    pub(super) fn seek_before(&mut self, key: &[u8], or_equal: bool) -> Result<bool, StorageError> {
        if !self.seek(key)? {
            return self.last();
        }
        if or_equal && self.key == key { Ok(true) } else { self.previous() }
    }

    /// Makes the next step lead to a restart point.
    fn seek_restart(&mut self, restart: usize) -> Result<(), StorageError> {
        self.next = self.restart_at(restart)?;
        self.restart = restart.saturating_sub(1);
        Ok(())
    }

    #[inline(always)]
    fn restart_at(&self, restart: usize) -> Result<usize, StorageError> {
        let stored = self.block.get(self.entries_end + restart * RESTART_BYTES..).and_then(<[u8]>::first_chunk);
        let restart = stored.map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
        restart.filter(|restart| (ENTRIES_START..self.entries_end).contains(restart)).ok_or_else(|| self.malformed())
    }

    fn key_at_restart(&self, restart: usize) -> Result<&[u8], StorageError> {
        let entries = self.block.get(..self.entries_end).unwrap_or_default();
        let mut reader = Reader::new(entries, self.restart_at(restart)?);
        let lengths = [reader.length(), reader.length(), reader.length()];
        match lengths {
            [Some(0), Some(key_bytes), Some(_)] => reader.take(key_bytes).ok_or_else(|| self.malformed()),
            _ => Err(self.malformed()),
        }
    }

    fn malformed(&self) -> StorageError {
        corrupt(self.name, "is malformed")
    }
}
