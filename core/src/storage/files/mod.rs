//! Blocks in files: for a platform that has files to read and write at positions, and no records (OPFS in a browser).
//!
//! A *lane* is three files that one opening at a time writes: a data file with the blocks of segments, and two journals that
//! take turns. A step is one record at the end of the journal: which blocks are deleted, where others were put, and the
//! blocks that are no segment's themselves, as these are small and soon gone. So a small commit is one write to one file. When a
//! journal has grown long, a record of all that is there begins the other, under the next *generation*.
//!
//! **A step is there once its record is.** What was not flushed when the power went is a suffix: a record that is not whole, or
//! whose blocks are not, ends the journal. **What a recoverable state needs is never written over**: room that a step has
//! freed is used again only once that step is flushed.
//!
//! **An owner that was stopped and wakes up cannot do harm.** Who takes over writes its epoch into the *fence*, then reads the
//! journals, and writes to a lane of its own. Whoever commits reads the fence after it has written its record. So either it finds
//! itself fenced off, and the step is not acknowledged, or its successor finds the record. Before room is used again or a
//! journal begun anew, too, the fence was read after the step that made it superfluous: a successor that finds it not
//! superfluous has fenced its owner off before.
//!
//! Held in memory are eight bytes for each block, and the holes of the data files. `docs/file-format.md` has the bytes.

mod blocks;
mod directory;
mod journal;
mod opening;
mod owner;
mod space;

pub use blocks::{FileBlocks, Limits};
pub use journal::VERSION as FILES_VERSION;

use alloc::vec::Vec;

use directory::Place;

use super::StorageError;

const EPOCH_BYTES: usize = 16;

/// A file that is read and written at positions. All of it happens before a call returns.
pub trait File {
    /// How many bytes it has.
    fn bytes(&self) -> Result<u64, StorageError>;

    /// Reads from `offset` on: how many bytes there were, up to those asked for.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StorageError>;

    /// Writes all bytes at `offset`. After an error any of them may stand there.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Cuts off what is behind the first `bytes`.
    fn truncate(&self, bytes: u64) -> Result<(), StorageError>;

    /// Once this returns, all that was written before, by whomever, survives the loss of power.
    fn flush(&self) -> Result<(), StorageError>;
}

/// The files of which one opening at a time is the owner.
#[derive(Debug)]
pub struct Lane<F> {
    /// Both journals.
    pub journals: [F; 2],
    /// Blocks of segments.
    pub data: F,
    /// Whether this opening owns the lane: nobody else writes to it for as long as it does.
    pub is_own: bool,
}

/// The files of a store. They are empty in a new one.
#[derive(Debug)]
pub struct Files<F> {
    /// Holds the epoch of who opened the store last, and which lanes there are.
    pub fence: F,
    /// All lanes that there are, in the order of their numbers; at least one is this opening's own.
    pub lanes: Vec<Lane<F>>,
}

impl<F: File> Files<F> {
    /// The journals of lane 0 are 0 and 1, those of lane 1 are 2 and 3.
    fn journal(&self, journal: usize) -> Result<&F, StorageError> {
        let lane = self.lanes.get(journal / 2).and_then(|lane| lane.journals.get(journal % 2));
        lane.ok_or_else(|| missing(journal / 2))
    }

    fn data(&self, lane: usize) -> Result<&F, StorageError> {
        self.lanes.get(lane).map(|lane| &lane.data).ok_or_else(|| missing(lane))
    }

    /// The file that a block lies in, if `journal` is the one that counts.
    fn home(&self, place: Place, journal: usize) -> Result<&F, StorageError> {
        place.lane().map_or_else(|| self.journal(journal), |lane| self.data(lane))
    }

    /// The first lane that is this opening's own.
    fn own_lane(&self) -> Result<usize, StorageError> {
        self.lanes.iter().position(|lane| lane.is_own).ok_or_else(|| missing(0))
    }

    /// Fences off whoever has had the store. Fails where there are lanes that this opening does not know: whoever has made them
    /// may have written there, and the files are to be opened again.
    fn fence_off(&self, epoch: &[u8; EPOCH_BYTES]) -> Result<(), StorageError> {
        self.fence.write_at((EPOCH_BYTES + self.own_lane()?) as u64, &[1])?;
        self.fence.write_at(0, epoch)?;
        let mut unknown = [0; 64];
        let found = self.fence.read_at((EPOCH_BYTES + self.lanes.len()) as u64, &mut unknown)?;
        let is_any = unknown.iter().take(found).any(|lane| *lane != 0);
        if is_any { Err(StorageError::Fenced) } else { Ok(()) }
    }

    /// Whether the opening with this epoch was the last.
    fn are_held_by(&self, epoch: &[u8; EPOCH_BYTES]) -> Result<bool, StorageError> {
        let mut found = [0; EPOCH_BYTES];
        let bytes = self.fence.read_at(0, &mut found)?;
        Ok(bytes == EPOCH_BYTES && found == *epoch)
    }
}

fn missing(lane: usize) -> StorageError {
    damaged(if lane == 0 { "its files are missing" } else { "the files of a lane are missing" })
}

fn damaged(what: &str) -> StorageError {
    StorageError::Corrupt(what.into())
}

/// Reads from a file exactly so many bytes; `None` where it is shorter.
fn read_whole(file: &impl File, offset: u64, bytes: usize) -> Result<Option<Vec<u8>>, StorageError> {
    let mut read = alloc::vec![0; bytes];
    let found = file.read_at(offset, &mut read)?;
    Ok((found == bytes).then_some(read))
}
