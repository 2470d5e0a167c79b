//! Finds out what the files hold.

use alloc::vec::Vec;

use super::directory::Directory;
use super::journal::{self, EMPTY_BYTES, Entry, Header, RECORD_HEADER_BYTES, State, block_checksum};
use super::{File, Files, damaged, read_whole};
use crate::storage::StorageError;
use crate::storage::blocks::BlockKey;

/// Where the next record begins, and which number it has.
pub(super) type Next = (u64, u32);

/// What the files held at one moment.
#[derive(Debug)]
pub(super) struct Found {
    /// The headers of all journals, as far as there are any.
    headers: Vec<Option<Header>>,
    /// The journal that counts; none in a new store.
    pub(super) journal: Option<(usize, Header)>,
    pub(super) next: Next,
    pub(super) directory: Directory,
}

impl Found {
    /// Reads the journals.
    pub(super) fn read(files: &Files<impl File>) -> Result<Self, StorageError> {
        let headers = headers(files)?;
        let mut below = u64::MAX;
        while let Some((number, header)) = newest(&headers, below) {
            below = header.generation;
            let Some((directory, next)) = replay(files, number, &header)? else { continue };
            if header.state == State::Superseded {
                return Err(damaged("the journal that counts cannot be read"));
            }
            return Ok(Self { headers, journal: Some((number, header)), next, directory });
        }
        // A new store may have been left in the middle of its making, before anything was acknowledged.
        for lane in &files.lanes {
            let [one, other] = &lane.journals;
            if one.bytes()?.max(other.bytes()?) > EMPTY_BYTES || lane.data.bytes()? > 0 {
                return Err(damaged("no journal of this database can be read"));
            }
        }
        Ok(Self { headers, journal: None, next: (0, 1), directory: Directory::default() })
    }

    /// Whether nothing has been written to the journals since.
    pub(super) fn is_current(&self, files: &Files<impl File>) -> Result<bool, StorageError> {
        if headers(files)? != self.headers {
            return Ok(false);
        }
        let Some((journal, header)) = self.journal else { return Ok(true) };
        let (end, number) = self.next;
        let next = read_whole(files.journal(journal)?, end, RECORD_HEADER_BYTES)?;
        Ok(next.is_none_or(|next| !header.may_begin(&next, number)))
    }

    /// The journal that counts has not been written over.
    pub(super) fn is_intact(&self, files: &Files<impl File>) -> Result<bool, StorageError> {
        let Some((journal, header)) = self.journal else { return Ok(true) };
        Ok(Header::read(files.journal(journal)?)?.is_some_and(|found| found.generation == header.generation))
    }

    /// A generation that no journal has.
    pub(super) fn next_generation(&self) -> u64 {
        self.headers.iter().flatten().fold(0, |highest, header| highest.max(header.generation)) + 1
    }
}

fn headers(files: &Files<impl File>) -> Result<Vec<Option<Header>>, StorageError> {
    let mut headers = Vec::new();
    for file in files.lanes.iter().flat_map(|lane| &lane.journals) {
        headers.push(Header::read(file)?);
    }
    Ok(headers)
}

/// The journal with the highest generation below the one given, among those that were not only begun.
fn newest(headers: &[Option<Header>], below: u64) -> Option<(usize, Header)> {
    let mut newest: Option<(usize, Header)> = None;
    for (number, header) in headers.iter().enumerate() {
        if let Some(header) = header
            && header.state != State::Begun
            && header.generation < below
            && newest.is_none_or(|(_, other)| other.generation < header.generation)
        {
            newest = Some((number, *header));
        }
    }
    newest
}

/// The blocks that a journal tells of, where it ends, and the number of its next record; `None` if its first record is not whole.
fn replay(files: &Files<impl File>, number: usize, header: &Header) -> Result<Option<(Directory, Next)>, StorageError> {
    let file = files.journal(number)?;
    let mut journal = alloc::vec![0; usize::try_from(file.bytes()?).unwrap_or(usize::MAX)];
    let bytes = file.read_at(0, &mut journal)?;
    journal.truncate(bytes);
    let records = journal::records(&journal, header);
    let Some(flushed) = records.last().map(|record| record.flushed) else { return Ok(None) };
    let mut changes = Vec::with_capacity(records.len());
    for record in &records {
        changes.push(record.entries(files.lanes.len())?);
    }
    let steps = whole_steps(files, &changes, flushed as usize)?;
    let mut directory = Directory::default();
    for entries in changes.iter().take(steps) {
        journal::apply(entries, &mut directory, &mut |_| {});
    }
    let end = records.get(steps - 1).map_or(0, |record| record.end);
    let next = steps as u32 + 1;
    if journal::tells_of_loss(&journal, end, header, next) {
        return Err(damaged("a record of the journal does not match its checksum"));
    }
    Ok(Some((directory, (end as u64, next))))
}

/// A block that is not what was written.
struct Lost {
    key: BlockKey,
    /// The step that wrote it.
    written: usize,
    /// The last step after which it was there.
    last: usize,
}

/// How many steps are whole. What was written after the step with the number `flushed` may have been lost with the power: then so
/// is a step with such a block, and every later one, up to one that has replaced the block. (That may have been flushed, and the
/// block's room used again.)
fn whole_steps(files: &Files<impl File>, changes: &[Vec<Entry>], flushed: usize) -> Result<usize, StorageError> {
    let all = changes.len();
    let mut lost: Vec<Lost> = Vec::new();
    for (before, entries) in changes.iter().enumerate().skip(flushed.max(1)) {
        for entry in entries {
            lost.iter_mut()
                .filter(|lost| lost.key == entry.key && lost.last == all)
                .for_each(|lost| lost.last = before);
            let Some((place, lane)) = entry.place.and_then(|place| Some((place, place.lane()?))) else { continue };
            let block = read_whole(files.data(lane)?, place.offset(), place.bytes())?;
            if block.is_none_or(|block| block_checksum(&block) != entry.checksum) {
                lost.push(Lost { key: entry.key, written: before + 1, last: all });
            }
        }
    }
    let mut steps = all;
    while let Some(lost) = lost.iter().find(|lost| lost.written <= steps && steps <= lost.last) {
        steps = lost.written - 1;
    }
    Ok(steps)
}
