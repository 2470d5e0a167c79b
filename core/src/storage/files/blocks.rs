//! The store of blocks over files: reading, and steps.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;

use super::directory::{Directory, Place};
use super::journal::{Change, Header, RECORD_HEADER_BYTES, RECORDS_BEGIN, State, block_checksum};
use super::opening::Found;
use super::space::Space;
use super::{EPOCH_BYTES, File, Files, damaged, read_whole};
use crate::storage::blocks::{BlockBatch, BlockKey, Blocks};
use crate::storage::{Durability, StorageError};

/// When a store over files does what nobody asks it for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many bytes of blocks are written before they are flushed: the next open checks what was not.
    pub unflushed_bytes: usize,
    /// A journal that has become so much longer than it was when begun, and twice that, is followed by another. If that makes
    /// it short, a quarter will do.
    pub journal_bytes: u64,
    /// Fewer bytes that are of no use are not cut off a file.
    pub tail_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unflushed_bytes: 8 << 20, journal_bytes: 2 << 20, tail_bytes: 4 << 20 }
    }
}

/// Blocks in files.
#[derive(Debug)]
pub struct FileBlocks<F> {
    files: Files<F>,
    limits: Limits,
    /// What the files held when they were read last, for as long as this opening has not taken the store over.
    seen: RefCell<Option<Found>>,
    /// What this opening writes to, once it has.
    owner: RefCell<Option<Owner>>,
}

/// The journal that an owner writes to, and what follows from it.
#[derive(Debug)]
struct Owner {
    limits: Limits,
    epoch: [u8; EPOCH_BYTES],
    /// Why it takes no more steps.
    end: Option<StorageError>,
    directory: Directory,
    journal: usize,
    header: Header,
    /// Where the next record begins, and its number.
    next: (u64, u32),
    /// Where the first record ends.
    begun: u64,
    /// The last record that was flushed.
    flushed: u32,
    /// How many bytes of blocks were written since.
    unflushed_bytes: usize,
    /// The data files that may hold what was not flushed.
    unflushed: Vec<bool>,
    /// The journal before this one, which is to be marked once this one is flushed.
    before: Option<(usize, Header)>,
    /// How many bytes of blocks stand in the journal.
    inline_bytes: usize,
    /// The room in the data files of the lanes that are this opening's own.
    spaces: Vec<Option<Space>>,
    /// What was freed by steps that are not flushed.
    freed: Vec<Place>,
    /// The next generation.
    generation: u64,
}

impl<F: File> FileBlocks<F> {
    /// Opens the store that the files hold. Nothing is written until it is taken over, by a step that writes the epoch.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where the files are no such store, or damaged; [`StorageError::FormatTooNew`].
    pub fn open(files: Files<F>, limits: Limits) -> Result<Self, StorageError> {
        let seen = RefCell::new(Some(Found::read(&files)?));
        Ok(Self { files, limits, seen, owner: RefCell::new(None) })
    }

    /// The files.
    pub fn files(&self) -> &Files<F> {
        &self.files
    }

    fn block(&self, place: Place, journal: usize) -> Result<Vec<u8>, StorageError> {
        let file = self.files.home(place.lane(), journal)?;
        read_whole(file, place.offset(), place.bytes())?.ok_or_else(|| damaged("a file is shorter than it was"))
    }

    fn read_all(
        &self,
        keys: &[BlockKey],
        directory: &Directory,
        journal: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        keys.iter().map(|key| directory.get(*key).map(|place| self.block(place, journal)).transpose()).collect()
    }

    /// What the files hold, for as long as the store is another's, or nobody's.
    fn found(&self) -> Result<Found, StorageError> {
        match self.seen.take() {
            Some(found) => Ok(found),
            None => Found::read(&self.files),
        }
    }

    /// Reads before the store is taken over: whoever has it may write on meanwhile, and over what was there.
    fn look(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        loop {
            let found = self.found()?;
            let blocks = self.read_all(keys, &found.directory, found.journal.map_or(0, |(journal, _)| journal));
            if found.is_intact(&self.files)? {
                self.seen.replace(Some(found));
                return blocks;
            }
        }
    }

    /// Takes the store over from whoever had it.
    fn take_over(&self, epoch: &[u8]) -> Result<Owner, StorageError> {
        let epoch = *epoch.as_array().ok_or_else(|| damaged("an epoch has 16 bytes"))?;
        self.files.fence_off(&epoch)?;
        // What was acknowledged until now is in the journals; what is written from now on will not be.
        let mut found = self.found()?;
        if !found.is_current(&self.files)? {
            found = Found::read(&self.files)?;
        }
        let lanes = self.files.lanes.len();
        let mut used: Vec<Vec<(u64, u64)>> = (0..lanes).map(|_| Vec::new()).collect();
        let mut inline_bytes = 0;
        for (_, place) in found.directory.iter_from(BlockKey::MANIFEST) {
            match place.lane().and_then(|lane| used.get_mut(lane)) {
                Some(used) => used.push((place.offset(), place.bytes() as u64)),
                None => inline_bytes += place.bytes(),
            }
        }
        let spaces =
            used.into_iter().enumerate().map(|(lane, used)| self.files.owns(lane).then(|| Space::between(used)));
        let is_new = found.journal.is_none();
        let (journal, header) = found.journal.unwrap_or((usize::MAX, Header::new(0, &epoch)));
        let mut owner = Owner {
            limits: self.limits,
            end: None,
            journal,
            header,
            next: (found.end, found.next),
            begun: 0,
            flushed: 0,
            unflushed_bytes: 0,
            unflushed: alloc::vec![true; lanes],
            before: None,
            inline_bytes,
            spaces: spaces.collect(),
            freed: Vec::new(),
            generation: found.next_generation(),
            directory: found.directory,
            epoch,
        };
        if !is_new {
            owner.flush(&self.files)?;
        }
        owner.begin_journal(&self.files)?;
        let has_rivals = !self.files.lanes.iter().all(|lane| lane.is_own);
        if is_new || has_rivals {
            // So the first journal of a store can be read, whatever is lost, and none that a rival still writes to counts again.
            owner.flush(&self.files)?;
        }
        Ok(owner)
    }
}

impl<F: File> Blocks for FileBlocks<F> {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let owner = self.owner.borrow();
        let Some(owner) = owner.as_ref() else { return self.look(keys) };
        let blocks = self.read_all(keys, &owner.directory, owner.journal);
        // Who took the store over may have written over what this one still knows of.
        if self.files.are_held_by(&owner.epoch)? { blocks } else { Err(StorageError::Fenced) }
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        let range = |directory: &Directory| {
            directory.iter_from(first).map(|(key, _)| key).take_while(|key| *key <= last).collect()
        };
        if let Some(owner) = self.owner.borrow().as_ref() {
            return Ok(range(&owner.directory));
        }
        let found = self.found()?;
        let keys = range(&found.directory);
        self.seen.replace(Some(found));
        Ok(keys)
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        if let Some((_, epoch)) = batch.puts.iter().find(|(key, _)| *key == BlockKey::epoch()) {
            let owner = self.take_over(epoch)?;
            self.owner.replace(Some(owner));
        }
        let mut owner = self.owner.borrow_mut();
        let owner = owner.as_mut().ok_or(StorageError::Fenced)?;
        if batch.guard.as_ref().is_some_and(|(_, expected)| expected.as_slice() != owner.epoch) {
            return Err(StorageError::Fenced);
        }
        if let Some(end) = &owner.end {
            return Err(end.clone());
        }
        owner.step(&self.files, batch, durability)
    }
}

impl Owner {
    fn step(
        &mut self,
        files: &Files<impl File>,
        batch: BlockBatch,
        durability: Durability,
    ) -> Result<(), StorageError> {
        if self.is_journal_long() {
            self.turn_journal(files)?;
        }
        let (placed, inline): (Vec<_>, Vec<_>) = batch.puts.into_iter().partition(|(key, _)| key.is_of_segment());
        let placed = self.write_blocks(files, &placed)?;
        let inline = inline.iter().map(|(key, block)| (*key, block.as_slice())).collect();
        let change = Change { deletes: batch.deletes, placed, inline };
        let written = self.write_record(files, &change);
        let (places, end) = match written {
            Ok(written) => written,
            Err(error) => {
                self.give_back(&change.placed);
                return Err(error);
            }
        };
        let bytes: usize = change.placed.iter().map(|(_, place, _)| place.bytes()).sum();
        self.unflushed_bytes += bytes;
        self.next = (end, self.next.1 + 1);
        let flushes = durability == Durability::Strict || self.unflushed_bytes > self.limits.unflushed_bytes;
        let flushed = if flushes { self.flush_files(files) } else { Ok(()) };
        // Whether the record is there, and will be, is not known where this fails.
        flushed.map_err(|_| self.close())?;
        self.check_fence(files)?;
        for key in &change.deletes {
            let earlier = self.directory.remove(*key);
            self.free(earlier);
        }
        for (key, place, _) in &change.placed {
            let earlier = self.directory.insert(*key, *place);
            self.free(earlier);
        }
        for ((key, block), place) in change.inline.iter().zip(places) {
            let earlier = self.directory.insert(*key, place);
            self.free(earlier);
            self.inline_bytes += block.len();
        }
        if flushes {
            self.after_flush(files);
        }
        Ok(())
    }

    /// Writes blocks to data files, where nothing refers to them yet.
    fn write_blocks(
        &mut self,
        files: &Files<impl File>,
        blocks: &[(BlockKey, Vec<u8>)],
    ) -> Result<Vec<(BlockKey, Place, u32)>, StorageError> {
        let mut placed = Vec::with_capacity(blocks.len());
        let lane = self.spaces.iter().position(Option::is_some).ok_or(StorageError::Fenced)?;
        let Some(space) = self.spaces.get_mut(lane).and_then(Option::as_mut) else { return Ok(placed) };
        let lengths: Vec<usize> = blocks.iter().map(|(_, block)| block.len()).collect();
        let runs = space.take(&lengths);
        if let Some(unflushed) = self.unflushed.get_mut(lane).filter(|_| !runs.is_empty()) {
            *unflushed = true;
        }
        let (mut rest, mut written) = (blocks, Ok(()));
        for run in runs {
            let (these, after) = rest.split_at_checked(run.blocks).unwrap_or((rest, &[]));
            rest = after;
            let mut offset = run.offset;
            let mut bytes = Vec::with_capacity(run.bytes as usize);
            for (key, block) in these {
                let place = Place::new(Some(lane), offset, block.len());
                let place = place.ok_or_else(|| StorageError::Failed("the database has grown too large".into()))?;
                placed.push((*key, place, block_checksum(block)));
                bytes.extend_from_slice(block);
                offset += block.len() as u64;
            }
            if written.is_ok() {
                written = files.data(lane)?.write_at(run.offset, &bytes);
            }
        }
        if written.is_err() {
            self.give_back(&placed);
        }
        written.map(|()| placed)
    }

    /// Room was not used after all.
    fn give_back(&mut self, placed: &[(BlockKey, Place, u32)]) {
        for (_, place, _) in placed {
            self.release(*place);
        }
    }

    fn release(&mut self, place: Place) {
        if let Some(space) = place.lane().and_then(|lane| self.spaces.get_mut(lane)).and_then(Option::as_mut) {
            space.give(place.offset(), place.bytes() as u64);
        }
    }

    fn free(&mut self, place: Option<Place>) {
        match place {
            Some(place) if place.lane().is_none() => self.inline_bytes -= place.bytes(),
            Some(place) => self.freed.push(place),
            None => {}
        }
    }

    /// Writes a record behind the last: where its blocks stand, and where it ends.
    fn write_record(
        &mut self,
        files: &Files<impl File>,
        change: &Change<'_>,
    ) -> Result<(Vec<Place>, u64), StorageError> {
        let (offset, number) = self.next;
        let mut record = Vec::new();
        let places = change.encode(&self.header, number, self.flushed, &mut record, offset);
        let places = places.ok_or_else(|| StorageError::Failed("a step is too large".into()))?;
        let file = files.journal(self.journal)?;
        if let Err(error) = file.write_at(offset, &record) {
            // All of it may stand there. It must not be found, also not once the power is lost.
            let blotted = file.write_at(offset, &[0; RECORD_HEADER_BYTES]).and_then(|()| file.flush());
            return Err(blotted.map_or_else(|_| self.close(), |()| error));
        }
        Ok((places, offset + record.len() as u64))
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
        self.flush_files(files).map_err(|_| self.close())?;
        self.check_fence(files)?;
        self.after_flush(files);
        Ok(())
    }

    fn flush_files(&mut self, files: &Files<impl File>) -> Result<(), StorageError> {
        for (lane, unflushed) in self.unflushed.iter_mut().enumerate() {
            if mem::take(unflushed) {
                files.data(lane)?.flush()?;
            }
        }
        files.journal(self.journal)?.flush()
    }

    /// All steps were flushed, and after the last of them the fence was seen to stand: what they freed can be used again.
    fn after_flush(&mut self, files: &Files<impl File>) {
        (self.flushed, self.unflushed_bytes) = (self.next.1 - 1, 0);
        for place in mem::take(&mut self.freed) {
            self.release(place);
        }
        let is_first = self.before.is_some();
        if let Some((journal, header)) = self.before.take().filter(|(journal, _)| files.owns(journal / 2)) {
            let marked = Header { state: State::Superseded, ..header };
            // Where this fails it is only left undone, as is what follows.
            let _ = files.journal(journal).and_then(|file| file.write_at(0, &marked.encode()));
        }
        for (number, (lane, space)) in files.lanes.iter().zip(&self.spaces).enumerate() {
            let Some(space) = space else { continue };
            if is_first && number != self.journal / 2 && space.end() == 0 {
                // It was of use when another lane's owner was stopped.
                let _ = lane.journals.iter().chain([&lane.data]).try_for_each(|file| file.truncate(0));
            } else if lane.data.bytes().is_ok_and(|bytes| bytes > space.end() + self.limits.tail_bytes) {
                let _ = lane.data.truncate(space.end());
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
        let mut own = (0..files.lanes.len() * 2).filter(|journal| files.owns(journal / 2) && *journal != self.journal);
        let journal = own.next().ok_or(StorageError::Fenced)?;
        let file = files.journal(journal)?;
        let mut header = Header::new(self.generation, &self.epoch);
        self.generation += 1;
        let mut blocks = Vec::new();
        let mut change = Change::default();
        for (key, place) in self.directory.iter_from(BlockKey::MANIFEST) {
            if place.lane().is_some() {
                change.placed.push((key, place, 0));
            } else {
                let block = read_whole(files.journal(self.journal)?, place.offset(), place.bytes())?;
                blocks.push((key, block.ok_or_else(|| damaged("the journal is shorter than it was"))?));
            }
        }
        change.inline = blocks.iter().map(|(key, block)| (*key, block.as_slice())).collect();
        let mut bytes = header.encode().to_vec();
        bytes.resize(RECORDS_BEGIN, 0);
        let places = change.encode(&header, 1, 0, &mut bytes, 0);
        let places = places.ok_or_else(|| StorageError::Failed("the database has grown too large".into()))?;
        if file.bytes()? > bytes.len() as u64 + self.limits.tail_bytes {
            file.truncate(0)?;
        }
        file.write_at(0, &bytes)?;
        self.check_fence(files)?;
        header.state = State::Counts;
        file.write_at(0, &header.encode()).map_err(|_| self.close())?;
        for ((key, _), place) in blocks.iter().zip(places) {
            self.directory.insert(*key, place);
        }
        self.before = (self.journal != usize::MAX).then_some((self.journal, self.header));
        (self.journal, self.header, self.flushed) = (journal, header, 0);
        self.begun = bytes.len() as u64;
        self.next = (self.begun, 2);
        Ok(())
    }
}
