//! A journal's bytes: a header, and one record for each step.
//!
//! The first record of a journal holds all that was there when it was begun. A record's checksum starts from a tag that no other
//! journal has had, so what an earlier journal left in the file is not taken for a record of this one.

use alloc::vec::Vec;
use core::ops::Range;

use twox_hash::XxHash32;

use super::directory::Place;
use super::{File, damaged};
use crate::storage::StorageError;
use crate::storage::blocks::{BLOCK_BYTES_MAX, BlockKey};
use crate::storage::bytes::{Reader, write_number};

/// The version of the format of these files that this build writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// What every journal begins with. Later versions keep this, and the version behind it.
const MAGIC: [u8; 8] = *b"firkin-j";
const HEADER_BYTES: usize = 32;
/// The header has a sector to itself, as it is written again when its state changes.
pub(super) const RECORDS_BEGIN: usize = 512;
/// Tag, checksum, bytes of what follows, number of the record, number of the last record that was flushed.
pub(super) const RECORD_HEADER_BYTES: usize = 20;
/// The first record of a new store, and the header.
pub(super) const EMPTY_BYTES: u64 = (RECORDS_BEGIN + 24) as u64;

/// What counts of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum State {
    /// It was begun; nothing was acknowledged yet.
    Begun = 1,
    /// It counts, if no other has a higher generation.
    Counts = 2,
    /// Another that counts was flushed.
    Superseded = 3,
}

/// The beginning of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) state: State,
    pub(super) generation: u64,
    pub(super) tag: u32,
}

impl Header {
    /// The header of a new journal; no other opening has this epoch.
    pub(super) fn new(generation: u64, epoch: &[u8]) -> Self {
        let tag = XxHash32::oneshot(XxHash32::oneshot(0, &generation.to_le_bytes()), epoch);
        Self { state: State::Begun, generation, tag }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let parts = MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain((self.state as u32).to_le_bytes());
        let parts = parts.chain(self.generation.to_le_bytes()).chain(self.tag.to_le_bytes());
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        if let Some((content, checksum)) = bytes.split_last_chunk_mut() {
            *checksum = XxHash32::oneshot(0, content).to_le_bytes();
        }
        bytes
    }

    /// The header in a file; `None` where no journal was ever begun in it, or that was not finished.
    pub(super) fn read(file: &impl File) -> Result<Option<Self>, StorageError> {
        let mut bytes = [0; HEADER_BYTES];
        let found = file.read_at(0, &mut bytes)?;
        let mut reader = Reader::new(&bytes, 0);
        let magic = reader.take(MAGIC.len()).unwrap_or_default();
        if found < HEADER_BYTES || magic == [0; MAGIC.len()] {
            return Ok(None);
        }
        if magic != MAGIC {
            return Err(damaged("a journal is none of this library's"));
        }
        let version = reader.fixed().unwrap_or_default();
        if version > VERSION {
            return Err(StorageError::FormatTooNew { found: version, supported: VERSION });
        }
        let state = match reader.fixed() {
            Some(1) => State::Begun,
            Some(2) => State::Counts,
            _ => State::Superseded,
        };
        let (low, high) = (reader.fixed().unwrap_or_default(), reader.fixed().unwrap_or_default());
        let tag = reader.fixed().unwrap_or_default();
        let header = Self { state, generation: u64::from(low) | (u64::from(high) << 32), tag };
        Ok((header.encode() == bytes).then_some(header))
    }
}

impl Header {
    /// Whether a record of this journal with this number begins so, whole or not.
    pub(super) fn may_begin(&self, bytes: &[u8], number: u32) -> bool {
        let mut reader = Reader::new(bytes, 0);
        let [tag, _, _, found] = [(); 4].map(|()| reader.fixed());
        (tag, found) == (Some(self.tag), Some(number))
    }
}

/// What a step changes, as a record has it.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    pub(super) deletes: Vec<BlockKey>,
    /// Blocks that lie in data files, with their checksums.
    pub(super) placed: Vec<(BlockKey, Place, u32)>,
    /// Blocks that stand in the record itself.
    pub(super) inline: Vec<(BlockKey, &'a [u8])>,
}

/// The checksum of a block that lies in a data file.
pub(super) fn block_checksum(block: &[u8]) -> u32 {
    XxHash32::oneshot(0, block)
}

impl<'a> Change<'a> {
    /// Appends the record to `out`. Its blocks stand where the places tell, if `out` begins at `offset` of the journal.
    pub(super) fn encode(
        &self,
        header: &Header,
        number: u32,
        flushed: u32,
        out: &mut Vec<u8>,
        offset: u64,
    ) -> Option<Vec<Place>> {
        let begin = out.len();
        out.resize(begin + RECORD_HEADER_BYTES, 0);
        let mut key = Delta::default();
        write_number(out, self.deletes.len() as u64);
        self.deletes.iter().for_each(|deleted| write_number(out, key.from(deleted.as_u64())));
        write_number(out, self.placed.len() as u64);
        let mut end = Delta::default();
        for (placed, place, checksum) in &self.placed {
            write_number(out, key.from(placed.as_u64()));
            write_number(out, place.lane().unwrap_or_default() as u64);
            write_number(out, end.from(place.offset()));
            write_number(out, place.bytes() as u64);
            end.0 = place.offset() + place.bytes() as u64;
            // All that the first record names was flushed before.
            if number > 1 {
                out.extend_from_slice(&checksum.to_le_bytes());
            }
        }
        write_number(out, self.inline.len() as u64);
        let mut places = Vec::with_capacity(self.inline.len());
        for (inline, block) in &self.inline {
            write_number(out, key.from(inline.as_u64()));
            write_number(out, block.len() as u64);
            places.push(Place::new(None, offset + out.len() as u64, block.len())?);
            out.extend_from_slice(block);
        }
        let bytes = u32::try_from(out.len() - begin - RECORD_HEADER_BYTES).ok()?;
        let record = out.get_mut(begin..)?;
        for (part, value) in [(2, bytes), (3, number), (4, flushed)] {
            record.get_mut(part * 4..part * 4 + 4)?.copy_from_slice(&value.to_le_bytes());
        }
        let checksum = XxHash32::oneshot(header.tag, record.get(8..)?);
        record.get_mut(..4)?.copy_from_slice(&header.tag.to_le_bytes());
        record.get_mut(4..8)?.copy_from_slice(&checksum.to_le_bytes());
        out.resize(out.len().next_multiple_of(8), 0);
        Some(places)
    }
}

/// What a record that was read changes.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) deletes: Vec<BlockKey>,
    /// Blocks that lie in data files, with their checksums.
    pub(super) placed: Vec<(BlockKey, Place, u32)>,
    /// Blocks that stand in the record.
    pub(super) inline: Vec<(BlockKey, Place)>,
}

impl Changed {
    /// Reads what [`Change::encode`] wrote, in a store of so many lanes.
    fn decode(record: &Record<'_>, lanes: usize) -> Option<Self> {
        let mut reader = Reader::new(record.content, 0);
        let (mut change, mut key, mut end) = (Self::default(), Delta::default(), Delta::default());
        for _ in 0..reader.number()? {
            change.deletes.push(BlockKey::from_u64(key.back(reader.number()?)));
        }
        for _ in 0..reader.number()? {
            let placed = BlockKey::from_u64(key.back(reader.number()?));
            let lane = reader.length().filter(|lane| *lane < lanes)?;
            let (offset, bytes) = (end.back(reader.number()?), block_length(&mut reader)?);
            end.0 = offset.checked_add(bytes as u64)?;
            let checksum = if record.number > 1 { reader.fixed()? } else { 0 };
            change.placed.push((placed, Place::new(Some(lane), offset, bytes)?, checksum));
        }
        for _ in 0..reader.number()? {
            let inline = BlockKey::from_u64(key.back(reader.number()?));
            let bytes = block_length(&mut reader)?;
            let offset = record.begin + reader.position();
            reader.take(bytes)?;
            change.inline.push((inline, Place::new(None, offset as u64, bytes)?));
        }
        reader.is_at_end().then_some(change)
    }
}

fn block_length(reader: &mut Reader<'_>) -> Option<usize> {
    reader.length().filter(|bytes| *bytes <= BLOCK_BYTES_MAX)
}

/// A row of numbers, each told by its difference from the one before.
#[derive(Default)]
struct Delta(u64);

impl Delta {
    fn from(&mut self, number: u64) -> u64 {
        number.wrapping_sub(core::mem::replace(&mut self.0, number))
    }

    fn back(&mut self, difference: u64) -> u64 {
        self.0 = self.0.wrapping_add(difference);
        self.0
    }
}

/// A record as it stands in a journal, its checksum found right.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) number: u32,
    /// The last record that is known to have been flushed when this was written.
    pub(super) flushed: u32,
    content: &'a [u8],
    /// Where `content` begins.
    begin: usize,
    /// Where the next record begins.
    pub(super) end: usize,
}

impl<'a> Record<'a> {
    /// The record at an offset of a journal.
    pub(super) fn at(journal: &'a [u8], offset: usize, header: &Header) -> Option<Self> {
        let mut reader = Reader::new(journal, offset);
        if reader.fixed()? != header.tag {
            return None;
        }
        let checksum = reader.fixed()?;
        let checked = reader.position();
        let (bytes, number, flushed) = (reader.fixed()? as usize, reader.fixed()?, reader.fixed()?);
        let begin = reader.position();
        let content = reader.take(bytes)?;
        let is_right = XxHash32::oneshot(header.tag, journal.get(checked..reader.position())?) == checksum;
        let end = reader.position().next_multiple_of(8);
        is_right.then_some(Self { number, flushed, content, begin, end })
    }

    /// What the step changed, in a store of so many lanes.
    pub(super) fn change(&self, lanes: usize) -> Result<Changed, StorageError> {
        Changed::decode(self, lanes).ok_or_else(|| damaged("a record of the journal is malformed"))
    }
}

/// The records of a journal up to the first that is not whole.
pub(super) fn records<'a>(journal: &'a [u8], header: &Header) -> Vec<Record<'a>> {
    let mut records: Vec<Record<'a>> = Vec::new();
    let mut offset = RECORDS_BEGIN;
    while let Some(record) = Record::at(journal, offset, header).filter(|it| it.number as usize == records.len() + 1) {
        offset = record.end;
        records.push(record);
    }
    records
}

/// Whether a record behind `end` tells that the one with this number had been flushed: then that was damaged since.
pub(super) fn tells_of_loss(journal: &[u8], end: usize, header: &Header, number: u32) -> bool {
    let offsets: Range<usize> = end..journal.len();
    let mut later = offsets.step_by(8).filter_map(|offset| Record::at(journal, offset, header));
    later.any(|record| record.flushed >= number)
}
