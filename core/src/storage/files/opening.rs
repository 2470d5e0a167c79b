//! Finds out what the files hold.

use alloc::vec::Vec;

use super::directory::Directory;
use super::journal::{self, Changed, EMPTY_BYTES, Header, RECORD_HEADER_BYTES, State, block_checksum};
use super::{File, Files, damaged, read_whole};
use crate::ordered::Map;
use crate::storage::StorageError;
use crate::storage::blocks::BlockKey;

/// What the files held at one moment.
#[derive(Debug)]
pub(super) struct Found {
    /// The headers of all journals, as far as there are any.
    headers: Vec<Option<Header>>,
    /// The journal that counts; none in a new store.
    pub(super) journal: Option<(usize, Header)>,
    /// Where its next record would begin, and which number it would have.
    pub(super) end: u64,
    pub(super) next: u32,
    pub(super) directory: Directory,
}

impl Found {
    /// Reads the journals.
    pub(super) fn read(files: &Files<impl File>) -> Result<Self, StorageError> {
        let headers = headers(files)?;
        let mut generations: Vec<(usize, Header)> =
            headers.iter().enumerate().filter_map(|(journal, header)| Some((journal, (*header)?))).collect();
        generations.sort_unstable_by_key(|(_, header)| core::cmp::Reverse(header.generation));
        for (number, header) in generations.into_iter().filter(|(_, header)| header.state != State::Begun) {
            let Some((directory, end, next)) = replay(files, number, &header)? else { continue };
            if header.state == State::Superseded {
                return Err(damaged("the journal that counts cannot be read"));
            }
            return Ok(Self { headers, journal: Some((number, header)), end, next, directory });
        }
        // A new store may have been left in the middle of its making, before anything was acknowledged.
        for lane in &files.lanes {
            let is_new =
                lane.journals.iter().map(File::bytes).all(|bytes| bytes.is_ok_and(|bytes| bytes <= EMPTY_BYTES));
            if !is_new || lane.data.bytes()? > 0 {
                return Err(damaged("no journal of this database can be read"));
            }
        }
        Ok(Self { headers, journal: None, end: 0, next: 1, directory: Directory::default() })
    }

    /// Whether nothing has been written to the journals since.
    pub(super) fn is_current(&self, files: &Files<impl File>) -> Result<bool, StorageError> {
        if headers(files)? != self.headers {
            return Ok(false);
        }
        let Some((journal, header)) = self.journal else { return Ok(true) };
        let next = read_whole(files.journal(journal)?, self.end, RECORD_HEADER_BYTES)?;
        Ok(next.is_none_or(|next| !header.may_begin(&next, self.next)))
    }

    /// The journal that counts has not been written over.
    pub(super) fn is_intact(&self, files: &Files<impl File>) -> Result<bool, StorageError> {
        let Some((journal, header)) = self.journal else { return Ok(true) };
        Ok(Header::read(files.journal(journal)?)?.is_some_and(|found| found.generation == header.generation))
    }

    /// A generation that no journal has.
    pub(super) fn next_generation(&self) -> u64 {
        self.headers.iter().flatten().map(|header| header.generation).max().unwrap_or(0) + 1
    }
}

fn headers(files: &Files<impl File>) -> Result<Vec<Option<Header>>, StorageError> {
    files.lanes.iter().flat_map(|lane| &lane.journals).map(Header::read).collect()
}

fn read_from(file: &impl File, offset: u64) -> Result<Vec<u8>, StorageError> {
    let bytes = usize::try_from(file.bytes()?.saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut read = alloc::vec![0; bytes];
    let found = file.read_at(offset, &mut read)?;
    read.truncate(found);
    Ok(read)
}

/// The blocks that a journal tells of, where it ends, and the number of its next record; `None` if its first record is not whole.
fn replay(
    files: &Files<impl File>,
    number: usize,
    header: &Header,
) -> Result<Option<(Directory, u64, u32)>, StorageError> {
    let journal = read_from(files.journal(number)?, 0)?;
    let records = journal::records(&journal, header);
    let Some(flushed) = records.last().map(|record| record.flushed) else { return Ok(None) };
    let changes: Vec<Changed> =
        records.iter().map(|record| record.change(files.lanes.len())).collect::<Result<_, _>>()?;
    let steps = whole_steps(files, &changes, flushed as usize)?;
    let mut directory = Directory::default();
    for change in changes.iter().take(steps) {
        for key in &change.deletes {
            directory.remove(*key);
        }
        let placed = change.placed.iter().map(|(key, place, _)| (*key, *place));
        for (key, place) in placed.chain(change.inline.iter().copied()) {
            directory.insert(key, place);
        }
    }
    let end = records.get(steps - 1).map_or(0, |record| record.end);
    let next = steps as u32 + 1;
    if journal::tells_of_loss(&journal, end, header, next) {
        return Err(damaged("a record of the journal does not match its checksum"));
    }
    Ok(Some((directory, end as u64, next)))
}

/// How many steps are whole. What was written after the step with the number `flushed` may have been lost with the power: then so
/// is a step with such a block, and every later one, up to one that has replaced the block. (That may have been flushed, and the
/// block's room used again.)
fn whole_steps(files: &Files<impl File>, changes: &[Changed], flushed: usize) -> Result<usize, StorageError> {
    let mut steps = changes.len();
    // Of blocks that are not there: the step that wrote each, and the last one that had it.
    let mut lost: Map<BlockKey, usize> = Map::new();
    let mut without: Vec<(usize, usize)> = Vec::new();
    for (number, change) in (1..).zip(changes).skip(flushed.max(1)) {
        let replaced = change.placed.iter().map(|(key, ..)| key).chain(change.inline.iter().map(|(key, _)| key));
        for key in change.deletes.iter().chain(replaced) {
            without.extend(lost.remove(key).map(|written| (written, number - 1)));
        }
        for (key, place, checksum) in &change.placed {
            let block = read_whole(files.home(place.lane(), 0)?, place.offset(), place.bytes())?;
            if block.is_none_or(|block| block_checksum(&block) != *checksum) {
                lost.insert(*key, number);
            }
        }
    }
    without.extend(lost.into_iter().map(|(_, written)| (written, changes.len())));
    while let Some((written, _)) = without.iter().find(|(written, last)| (*written..=*last).contains(&steps)) {
        steps = written - 1;
    }
    Ok(steps)
}
