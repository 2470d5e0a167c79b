//! Who has taken a store over, and the steps that it takes.

use alloc::vec::Vec;
use core::mem;

use super::blocks::Limits;
use super::directory::{Directory, Place};
use super::journal::{self, Entry, Header, RECORD_HEADER_BYTES, RECORDS_BEGIN, State, block_checksum};
use super::opening::{Found, Next};
use super::space::Space;
use super::{EPOCH_BYTES, File, Files, damaged, read_whole};
use crate::storage::blocks::{BlockBatch, BlockKey};
use crate::storage::{Durability, StorageError};

/// The journal that an owner writes to, and what follows from it.
#[derive(Debug)]
pub(super) struct Owner {
    limits: Limits,
    pub(super) epoch: [u8; EPOCH_BYTES],
    /// Why it takes no more steps.
    end: Option<StorageError>,
    pub(super) directory: Directory,
    /// The journal that counts.
    pub(super) journal: usize,
    header: Header,
    /// Where the next record begins, and its number.
    next: Next,
    /// Where the first record ends.
    begun: u64,
    /// The last record that was flushed.
    flushed: u32,
    /// How many bytes of blocks were written since.
    unflushed_bytes: usize,
    /// Nothing has been flushed by this owner yet: any data file may hold what was not.
    is_new: bool,
    /// The journal before this one, which is to be marked once this one is flushed.
    before: Option<(usize, Header)>,
    /// How many bytes of blocks stand in the journal.
    inline_bytes: usize,
    /// The lane that it writes to, the first that is its own, and the room in the data file there.
    lane: usize,
    space: Space,
    /// What was freed by steps that are not flushed.
    freed: Vec<Place>,
    /// The next generation.
    generation: u64,
}

impl Owner {
    /// The owner of what the files hold, after whoever had it was fenced off.
    pub(super) fn begin(
        files: &Files<impl File>,
        found: Found,
        epoch: [u8; EPOCH_BYTES],
        limits: Limits,
    ) -> Result<Self, StorageError> {
        let lane = files.own_lane()?;
        let (mut used, mut inline_bytes) = (Vec::new(), 0);
        found.directory.walk(BlockKey::MANIFEST, BlockKey::epoch(), &mut |_, place| {
            if place.lane() == Some(lane) {
                used.push((place.offset(), place.bytes() as u64));
            } else if place.lane().is_none() {
                inline_bytes += place.bytes();
            }
        });
        let generation = found.next_generation();
        let (journal, header) = found.journal.unwrap_or((usize::MAX, Header::new(0, &epoch)));
        let mut owner = Self {
            limits,
            epoch,
            end: None,
            directory: found.directory,
            journal,
            header,
            next: found.next,
            begun: 0,
            flushed: 0,
            unflushed_bytes: 0,
            is_new: true,
            before: None,
            inline_bytes,
            lane,
            space: Space::between(used),
            freed: Vec::new(),
            generation,
        };
        let is_new = found.journal.is_none();
        if !is_new {
            owner.flush(files)?;
        }
        owner.begin_journal(files)?;
        let has_rivals = files.lanes.iter().any(|lane| !lane.is_own);
        if is_new || has_rivals {
            // So the first journal of a store can be read, whatever is lost, and none that a rival still writes to counts again.
            owner.flush(files)?;
        }
        Ok(owner)
    }

    /// Takes a step.
    pub(super) fn step(
        &mut self,
        files: &Files<impl File>,
        batch: BlockBatch,
        durability: Durability,
    ) -> Result<(), StorageError> {
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        if self.is_journal_long() {
            self.turn_journal(files)?;
        }
        let mut entries = Vec::with_capacity(batch.deletes.len() + batch.puts.len());
        for key in batch.deletes {
            entries.push(Entry { key, place: None, checksum: 0, block: Vec::new() });
        }
        for (key, block) in batch.puts {
            let place = Some(Place::new(None, 0, block.len()).ok_or_else(too_large)?);
            entries.push(Entry { key, place, checksum: 0, block });
        }
        let written = self.write_blocks(files, &mut entries).and_then(|()| self.write_record(files, &mut entries));
        if written.is_err() {
            // The room was not used after all.
            entries.iter().filter_map(|entry| entry.place).for_each(|place| self.release(place));
            return written;
        }
        let flushes = durability == Durability::Strict || self.unflushed_bytes > self.limits.unflushed_bytes;
        if flushes && self.flush_files(files).is_err() {
            // Whether the record is there, and will be, is not known.
            return Err(self.close());
        }
        self.check_fence(files)?;
        let (mut freed, mut inline_bytes) = (mem::take(&mut self.freed), self.inline_bytes);
        for place in entries.iter().filter_map(|entry| entry.place).filter(|place| place.lane().is_none()) {
            inline_bytes += place.bytes();
        }
        journal::apply(&entries, &mut self.directory, &mut |place| match place.lane() {
            Some(_) => freed.push(place),
            None => inline_bytes -= place.bytes(),
        });
        (self.freed, self.inline_bytes) = (freed, inline_bytes);
        if flushes {
            self.after_flush(files);
        }
        Ok(())
    }

    /// Writes the blocks of segments to the data file, where nothing refers to them yet.
    fn write_blocks(&mut self, files: &Files<impl File>, entries: &mut [Entry]) -> Result<(), StorageError> {
        let is_placed = |entry: &&mut Entry| entry.place.is_some() && entry.key.is_of_segment();
        let mut placed: Vec<&mut Entry> = entries.iter_mut().filter(is_placed).collect();
        let mut rest = placed.as_mut_slice();
        let mut written = Ok(());
        while !rest.is_empty() {
            let run = self.space.take(rest.iter().map(|entry| entry.block.len() as u64));
            let (these, after) = rest.split_at_mut(run.blocks);
            let mut offset = run.offset;
            let mut bytes = Vec::with_capacity(run.bytes as usize);
            for entry in these {
                let place = Place::new(Some(self.lane), offset, entry.block.len());
                entry.place = Some(place.ok_or_else(too_large)?);
                entry.checksum = block_checksum(&entry.block);
                offset += entry.block.len() as u64;
                bytes.append(&mut entry.block);
            }
            self.unflushed_bytes += bytes.len();
            if written.is_ok() {
                written = files.data(self.lane)?.write_at(run.offset, &bytes);
            }
            rest = after;
        }
        written
    }

    fn release(&mut self, place: Place) {
        if place.lane() == Some(self.lane) {
            self.space.give(place.offset(), place.bytes() as u64);
        }
    }

    /// Writes a record behind the last.
    fn write_record(&mut self, files: &Files<impl File>, entries: &mut [Entry]) -> Result<(), StorageError> {
        let (offset, number) = self.next;
        let mut record = Vec::new();
        journal::encode(entries, &self.header, number, self.flushed, &mut record, offset).ok_or_else(too_large)?;
        let file = files.journal(self.journal)?;
        if let Err(error) = file.write_at(offset, &record) {
            // All of it may stand there. It must not be found, also not once the power is lost.
            let blotted = file.write_at(offset, &[0; RECORD_HEADER_BYTES]).and_then(|()| file.flush());
            return Err(if blotted.is_ok() { error } else { self.close() });
        }
        self.next = (offset + record.len() as u64, number + 1);
        Ok(())
    }

    /// Nobody knows what is there: the store must be opened again.
    fn close(&mut self) -> StorageError {
        self.end = Some(StorageError::Closed);
        StorageError::Closed
    }

    /// Fails where another has taken the store over.
    fn check_fence(&mut self, files: &Files<impl File>) -> Result<(), StorageError> {
        match files.are_held_by(&self.epoch) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.end = Some(StorageError::Fenced);
                Err(StorageError::Fenced)
            }
            Err(_) => Err(self.close()),
        }
    }

    fn flush(&mut self, files: &Files<impl File>) -> Result<(), StorageError> {
        if self.flush_files(files).is_err() {
            return Err(self.close());
        }
        self.check_fence(files)?;
        self.after_flush(files);
        Ok(())
    }

    fn flush_files(&mut self, files: &Files<impl File>) -> Result<(), StorageError> {
        for (number, lane) in files.lanes.iter().enumerate() {
            if self.is_new || (number == self.lane && self.unflushed_bytes > 0) {
                lane.data.flush()?;
            }
        }
        files.journal(self.journal)?.flush()
    }

    /// All steps were flushed, and after the last of them the fence was seen to stand: what they freed can be used again.
    fn after_flush(&mut self, files: &Files<impl File>) {
        (self.flushed, self.unflushed_bytes, self.is_new) = (self.next.1 - 1, 0, false);
        for place in mem::take(&mut self.freed) {
            self.release(place);
        }
        // What fails from here on is only left undone.
        if let Some((journal, header)) = self.before.take()
            && files.lanes.get(journal / 2).is_some_and(|lane| lane.is_own)
        {
            let marked = Header { state: State::Superseded, ..header };
            let _ = files.journal(journal).and_then(|file| file.write_at(0, &marked.encode()));
            self.empty_lanes(files);
        }
        if let Ok(data) = files.data(self.lane)
            && data.bytes().is_ok_and(|bytes| bytes > self.space.end() + self.limits.tail_bytes)
        {
            let _ = data.truncate(self.space.end());
        }
    }

    /// Empties lanes in which there is nothing any more: they were of use when another's owner was stopped.
    fn empty_lanes(&self, files: &Files<impl File>) {
        let mut used = alloc::vec![false; files.lanes.len()];
        self.directory.walk(BlockKey::MANIFEST, BlockKey::epoch(), &mut |_, place| {
            if let Some(used) = place.lane().and_then(|lane| used.get_mut(lane)) {
                *used = true;
            }
        });
        for (lane, _) in files.lanes.iter().zip(used).skip(self.lane + 1).filter(|(lane, used)| lane.is_own && !used) {
            for file in lane.journals.iter().chain([&lane.data]) {
                if file.bytes().is_ok_and(|bytes| bytes > 0) {
                    let _ = file.truncate(0);
                }
            }
        }
    }

    fn is_journal_long(&self) -> bool {
        let (grown, most) = (self.next.0 - self.begun, self.limits.journal_bytes);
        grown > most + 2 * self.begun || (grown > most / 4 + self.begun && self.inline_bytes as u64 * 8 < grown)
    }

    /// Goes on in the other journal.
    fn turn_journal(&mut self, files: &Files<impl File>) -> Result<(), StorageError> {
        self.flush(files)?;
        match self.begin_journal(files) {
            // There is no room for it now: this one goes on.
            Err(StorageError::QuotaExceeded | StorageError::Failed(_)) => Ok(()),
            result => result,
        }
    }

    /// Begins a journal with all that is there. What this one tells was flushed.
    fn begin_journal(&mut self, files: &Files<impl File>) -> Result<(), StorageError> {
        let mut entries = Vec::new();
        self.directory.walk(BlockKey::MANIFEST, BlockKey::epoch(), &mut |key, place| {
            entries.push(Entry { key, place: Some(place), checksum: 0, block: Vec::new() });
        });
        for entry in &mut entries {
            if let Some(place) = entry.place.filter(|place| place.lane().is_none()) {
                let block = read_whole(files.journal(self.journal)?, place.offset(), place.bytes())?;
                entry.block = block.ok_or_else(|| damaged("the journal is shorter than it was"))?;
            }
        }
        let mut header = Header::new(self.generation, &self.epoch);
        self.generation += 1;
        let mut bytes = header.encode();
        bytes.resize(RECORDS_BEGIN, 0);
        journal::encode(&mut entries, &header, 1, 0, &mut bytes, 0).ok_or_else(too_large)?;
        let journal = if self.journal == self.lane * 2 { self.lane * 2 + 1 } else { self.lane * 2 };
        let file = files.journal(journal)?;
        if file.bytes()? > bytes.len() as u64 + self.limits.tail_bytes {
            file.truncate(0)?;
        }
        file.write_at(0, &bytes)?;
        self.check_fence(files)?;
        header.state = State::Counts;
        if file.write_at(0, &header.encode()).is_err() {
            return Err(self.close());
        }
        journal::apply(&entries, &mut self.directory, &mut |_| {});
        self.before = (self.journal != usize::MAX).then_some((self.journal, self.header));
        (self.journal, self.header, self.flushed) = (journal, header, 0);
        self.begun = bytes.len() as u64;
        self.next = (self.begun, 2);
        Ok(())
    }
}

fn too_large() -> StorageError {
    StorageError::Failed("the database has grown too large".into())
}
