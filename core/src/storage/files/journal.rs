//! A journal's bytes: a header, and one record for each step.
//!
//! The first record of a journal holds all that was there when it was begun. A record's checksum starts from a tag that no other
//! journal has had, so what an earlier journal left in the file is not taken for a record of this one.

use alloc::vec::Vec;

use twox_hash::XxHash32;

use super::directory::{Directory, Place};
use super::{File, damaged};
use crate::storage::StorageError;
use crate::storage::blocks::{BLOCK_BYTES_MAX, BlockKey};
use crate::storage::bytes::{Reader, write_number};

/// The version of the format of these files that this build writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// What every journal begins with. Later versions keep this, and the version behind it.
const MAGIC: &[u8] = b"firkin-j";
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

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(self.state as u32).to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.tag.to_le_bytes());
        let checksum = XxHash32::oneshot(0, &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in a file; `None` where no journal was ever begun in it, or that was not finished.
    pub(super) fn read(file: &impl File) -> Result<Option<Self>, StorageError> {
        let mut bytes = [0; HEADER_BYTES];
        let found = file.read_at(0, &mut bytes)?;
        let mut reader = Reader::new(&bytes, 0);
        let magic = reader.take(MAGIC.len()).unwrap_or_default();
        // Of the first header that was ever written here a part may be missing.
        if found < HEADER_BYTES
            || (magic != MAGIC && magic.iter().zip(MAGIC).all(|(byte, its)| *byte == 0 || byte == its))
        {
            return Ok(None);
        }
        if magic != MAGIC {
            return Err(damaged("a journal is none of this library's"));
        }
        let [version, state, low, high, tag] = [(); 5].map(|()| reader.fixed().unwrap_or_default());
        if version > VERSION {
            return Err(StorageError::FormatTooNew { found: version, supported: VERSION });
        }
        let state = match state {
            1 => State::Begun,
            2 => State::Counts,
            _ => State::Superseded,
        };
        let header = Self { state, generation: u64::from(low) | (u64::from(high) << 32), tag };
        Ok((header.encode() == bytes).then_some(header))
    }

    /// Whether a record of this journal with this number begins so, whole or not.
    pub(super) fn may_begin(&self, bytes: &[u8], number: u32) -> bool {
        let mut reader = Reader::new(bytes, 0);
        let [tag, _, _, found] = [(); 4].map(|()| reader.fixed());
        tag == Some(self.tag) && found == Some(number)
    }
}

/// What becomes of a block.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: BlockKey,
    /// Where it lies from now on; `None` if it is deleted.
    pub(super) place: Option<Place>,
    /// The checksum of a block that lies in a data file.
    pub(super) checksum: u32,
    /// The block itself, where it is at hand.
    pub(super) block: Vec<u8>,
}

/// The checksum of a block that lies in a data file.
pub(super) fn block_checksum(block: &[u8]) -> u32 {
    XxHash32::oneshot(0, block)
}

/// Has a directory know what became of blocks; where they lay before.
pub(super) fn apply(entries: &[Entry], directory: &mut Directory, replaced: &mut dyn FnMut(Place)) {
    for entry in entries {
        let earlier = match entry.place {
            Some(place) => directory.insert(entry.key, place),
            None => directory.remove(entry.key),
        };
        if let Some(earlier) = earlier {
            replaced(earlier);
        }
    }
}

/// What stands for a deletion, and for a block in the record itself; other blocks have the number of their lane added to the last.
const DELETED: u64 = 0;
const INLINE: u64 = 1;
const PLACED: u64 = 2;

/// Appends a record to `out`, which begins at `offset` of the journal; blocks that stand in it are told their places.
/// `None` if it is too large.
pub(super) fn encode(
    entries: &mut [Entry],
    header: &Header,
    number: u32,
    flushed: u32,
    out: &mut Vec<u8>,
    offset: u64,
) -> Option<()> {
    let begin = out.len();
    out.resize(begin + RECORD_HEADER_BYTES, 0);
    let (mut key, mut end) = (0, 0);
    for entry in entries {
        write_number(out, entry.key.as_u64().wrapping_sub(key));
        key = entry.key.as_u64();
        let Some(place) = entry.place else {
            write_number(out, DELETED);
            continue;
        };
        write_number(out, place.lane().map_or(INLINE, |lane| PLACED + lane as u64));
        write_number(out, place.bytes() as u64);
        if place.lane().is_none() {
            entry.place = Some(Place::new(None, offset + out.len() as u64, entry.block.len())?);
            out.extend_from_slice(&entry.block);
            continue;
        }
        write_number(out, place.offset().wrapping_sub(end));
        end = place.offset() + place.bytes() as u64;
        // All that the first record names was flushed before.
        if number > 1 {
            out.extend_from_slice(&entry.checksum.to_le_bytes());
        }
    }
    let bytes = u32::try_from(out.len() - begin - RECORD_HEADER_BYTES).ok()?;
    let mut fixed = [bytes, number, flushed].map(u32::to_le_bytes);
    out.get_mut(begin + 8..begin + RECORD_HEADER_BYTES)?.copy_from_slice(fixed.as_flattened_mut());
    let checksum = XxHash32::oneshot(header.tag, out.get(begin + 8..)?);
    let mut fixed = [header.tag, checksum].map(u32::to_le_bytes);
    out.get_mut(begin..begin + 8)?.copy_from_slice(fixed.as_flattened_mut());
    out.resize(out.len().next_multiple_of(8), 0);
    Some(())
}

/// A record as it stands in a journal, its checksum found right.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) number: u32,
    /// The last record that is known to have been flushed when this was written.
    pub(super) flushed: u32,
    /// What is in it.
    content: Reader<'a>,
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
        let (bytes, number, flushed) = (reader.fixed()? as usize, reader.fixed()?, reader.fixed()?);
        let begin = reader.position();
        reader.take(bytes)?;
        let end = reader.position();
        let is_right = XxHash32::oneshot(header.tag, journal.get(offset + 8..end)?) == checksum;
        let content = Reader::new(journal.get(..end)?, begin);
        is_right.then_some(Self { number, flushed, content, end: end.next_multiple_of(8) })
    }

    /// What the step changed, in a store of so many lanes.
    pub(super) fn entries(&self, lanes: usize) -> Result<Vec<Entry>, StorageError> {
        let mut entries = Vec::new();
        let mut reader = self.content;
        let (mut key, mut end) = (0, 0);
        while !reader.is_at_end() {
            let entry = self.entry(&mut reader, &mut key, &mut end, lanes);
            entries.push(entry.ok_or_else(|| damaged("a record of the journal is malformed"))?);
        }
        Ok(entries)
    }

    fn entry(&self, reader: &mut Reader<'_>, key: &mut u64, end: &mut u64, lanes: usize) -> Option<Entry> {
        *key = key.wrapping_add(reader.number()?);
        let mut entry = Entry { key: BlockKey::from_u64(*key), place: None, checksum: 0, block: Vec::new() };
        let kind = reader.number()?;
        if kind == DELETED {
            return Some(entry);
        }
        let bytes = reader.length().filter(|bytes| *bytes <= BLOCK_BYTES_MAX)?;
        if kind == INLINE {
            entry.place = Some(Place::new(None, reader.position() as u64, bytes)?);
            reader.take(bytes)?;
            return Some(entry);
        }
        let offset = end.wrapping_add(reader.number()?);
        let lane = usize::try_from(kind - PLACED).ok().filter(|lane| *lane < lanes)?;
        entry.place = Some(Place::new(Some(lane), offset, bytes)?);
        *end = offset + bytes as u64;
        if self.number > 1 {
            entry.checksum = reader.fixed()?;
        }
        Some(entry)
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
pub(super) fn tells_of_loss(journal: &[u8], mut end: usize, header: &Header, number: u32) -> bool {
    while end < journal.len() {
        if Record::at(journal, end, header).is_some_and(|record| record.flushed >= number) {
            return true;
        }
        end += 8;
    }
    false
}
