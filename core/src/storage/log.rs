//! The write-ahead log: one record for each commit that went to the memtable, or for several that were joined.
//!
//! A record holds the commit's entries in order of their keys. It is cut into parts that fit into blocks; the parts have
//! consecutive numbers and are written in one atomic step. A suffix of the log may be lost with power, so a record whose
//! last parts are missing at the very end was never whole and is dropped. Anything else that is missing or damaged is
//! reported: nothing that was acknowledged is passed over in silence.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::StorageError;
use super::batch::Batch;
use super::blocks::{BlockKey, Blocks};
use super::bytes::{NewValue, Reader, StoredValue, read_entry, shared_prefix, write_entry, write_number};
use super::frame::{self, BlockKind, CONTENT_BYTES_MAX, FRAME_BYTES, corrupt};
use super::reader::{BlockReader, reason};
use super::run::{Memtable, Run};
use crate::progress::Task;

/// Which part a block is, and of how many: two numbers of 32 bits.
const PART_HEADER_BYTES_MAX: usize = 10;
const PART_BYTES_MAX: usize = CONTENT_BYTES_MAX - PART_HEADER_BYTES_MAX;
/// The greatest number a log block can have.
pub(super) const NUMBER_MAX: u64 = (1 << 48) - 1;
/// How many log blocks are read at once when a store is opened.
const BLOCKS_AT_ONCE: usize = 128;

/// The blocks of a record; the first gets the number `first`.
pub(super) fn encode(run: &Run, first: u64) -> Vec<(BlockKey, Vec<u8>)> {
    let mut record = Vec::new();
    let mut last_key: &[u8] = &[];
    for (key, value) in run.entries() {
        let value = value.map_or(NewValue::Tombstone, NewValue::Inline);
        write_entry(&mut record, shared_prefix(last_key, key), key, value);
        last_key = key;
    }
    let parts = record.len().div_ceil(PART_BYTES_MAX).max(1);
    let mut rest = record.as_slice();
    let mut blocks = Vec::with_capacity(parts);
    for part in 0..parts as u64 {
        let (bytes, after) = rest.split_at_checked(PART_BYTES_MAX).unwrap_or((rest, &[]));
        rest = after;
        let mut block = frame::begin(BlockKind::Log, bytes.len() + PART_HEADER_BYTES_MAX + FRAME_BYTES);
        write_number(&mut block, part);
        write_number(&mut block, parts as u64);
        block.extend_from_slice(bytes);
        let key = BlockKey::log(first + part);
        blocks.push((key, frame::seal(key, block)));
    }
    blocks
}

/// What the log held when the store was opened.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// The commits.
    pub(super) memtable: Memtable,
    /// The number of the next block.
    pub(super) next: u64,
    /// The bytes of all blocks.
    pub(super) bytes: usize,
    /// The blocks of a last record that is not whole.
    pub(super) torn: Vec<BlockKey>,
}

/// The names of the log's blocks from number `first` on.
pub(super) fn range(first: u64) -> (BlockKey, BlockKey) {
    (BlockKey::log(first), BlockKey::log(NUMBER_MAX))
}

/// Reads the log from the block with number `first` to its end; `keys` are the names of these blocks.
pub(super) async fn recover<B: Blocks>(
    reader: &BlockReader<B>,
    first: u64,
    keys: &[BlockKey],
) -> Result<Recovered, StorageError> {
    let mut recovered = Recovered { next: first, ..Recovered::default() };
    let mut entries = Batch::new();
    let total = keys.len() as u64;
    let mut record = Record::default();
    for (chunk, keys) in keys.chunks(BLOCKS_AT_ONCE).enumerate() {
        let done = chunk.saturating_mul(BLOCKS_AT_ONCE);
        reader.progress.tell(Task::Open, done as u64, Some(total));
        let blocks = reader.blocks.read(keys).await?;
        for (index, key) in keys.iter().enumerate() {
            let expected = BlockKey::log(recovered.next + record.blocks.len() as u64);
            if *key != expected {
                return Err(reader.missing(expected).await);
            }
            let Some(block) = blocks.get(index).and_then(Option::as_deref) else {
                return Err(reader.missing(expected).await);
            };
            record.add(*key, block)?;
            recovered.bytes += block.len();
            if record.is_whole() {
                recovered.next += record.blocks.len() as u64;
                record.decode(*key)?.entries().for_each(|(key, value)| match value {
                    Some(value) => entries.put(key, value),
                    None => entries.delete(key),
                });
                record = Record::default();
            }
        }
    }
    if !entries.is_empty() {
        // Put in order once: as one commit after the other they would be merged again and again.
        let run = Run::sorted(entries);
        recovered.memtable = Memtable::default().stacked(Rc::new(run));
    }
    if total > 0 {
        reader.progress.tell(Task::Open, total, Some(total));
    }
    recovered.torn = record.blocks;
    Ok(recovered)
}

/// What can be read of a damaged log, of which these blocks are there from number `first` on; what cannot is named in `lost`. Records behind a hole are later ones: they
/// are taken as well.
pub(super) async fn salvage<B: Blocks>(
    reader: &BlockReader<B>,
    first: u64,
    names: &[BlockKey],
    lost: &mut Vec<String>,
) -> Result<Recovered, StorageError> {
    let mut recovered = Recovered { next: first, ..Recovered::default() };
    let mut record = Record::default();
    for names in names.chunks(BLOCKS_AT_ONCE) {
        for (name, block) in names.iter().zip(reader.each(names).await?) {
            if name.number() != recovered.next {
                lost.push(reason(reader.missing(BlockKey::log(recovered.next)).await)?);
                record = Record::default();
            }
            recovered.next = name.number() + 1;
            let (_, block) = match block {
                Ok(block) => block,
                Err(what) => {
                    lost.push(what);
                    record = Record::default();
                    continue;
                }
            };
            if record.add(*name, &block).is_err() {
                // It may begin another record. What goes on with one that is lost is of no use.
                record = Record::default();
                if record.add(*name, &block).is_err() {
                    continue;
                }
            }
            if record.is_whole() {
                match record.decode(*name) {
                    Ok(run) => recovered.memtable = recovered.memtable.with(Rc::new(run), true)?,
                    Err(error) => lost.push(reason(error)?),
                }
                record = Record::default();
            }
        }
    }
    Ok(recovered)
}

/// A record that is being put together.
#[derive(Debug, Default)]
pub(super) struct Record {
    blocks: Vec<BlockKey>,
    parts: u64,
    bytes: Vec<u8>,
}

impl Record {
    /// Adds the next part.
    pub(super) fn add(&mut self, key: BlockKey, block: &[u8]) -> Result<(), StorageError> {
        let content = frame::unseal(key, BlockKind::Log, block)?;
        let mut reader = Reader::new(content, 0);
        let (Some(part), Some(parts)) = (reader.number(), reader.number()) else {
            return Err(corrupt(key, "is malformed"));
        };
        if part != self.blocks.len() as u64 || part >= parts || (part > 0 && parts != self.parts) {
            return Err(corrupt(key, "is not the part of a record that belongs here"));
        }
        self.parts = parts;
        self.blocks.push(key);
        self.bytes.extend_from_slice(content.get(reader.position()..).unwrap_or_default());
        Ok(())
    }

    /// Whether no part has come.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How many bytes of it have come.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all parts have come.
    pub(super) fn is_whole(&self) -> bool {
        self.blocks.len() as u64 == self.parts
    }

    /// Its entries, of which block `last` has the end.
    pub(super) fn decode(&self, last: BlockKey) -> Result<Run, StorageError> {
        let malformed = || corrupt(last, "ends a malformed record");
        let mut run = Run::default();
        let mut key = Vec::new();
        let mut reader = Reader::new(&self.bytes, 0);
        while !reader.is_at_end() {
            let value = match read_entry(&mut reader, &mut key).ok_or_else(malformed)? {
                StoredValue::Tombstone => None,
                StoredValue::Inline(range) => Some(self.bytes.get(range).unwrap_or_default()),
                StoredValue::Large(..) => return Err(malformed()),
            };
            if !run.push(&key, value) {
                return Err(malformed());
            }
        }
        Ok(run)
    }
}
