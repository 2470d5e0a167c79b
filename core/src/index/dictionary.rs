//! The dictionary of paths: a number for each, kept on disk and only partly in memory.
//!
//! A path is its parent and one segment, so `(parent, segment) -> number` names every path with one short record. A
//! bounded cache saves the look-ups of paths that recur; documents that use ids as keys only wear it out.
//!
//! Numbers given during a write are staged and count only once the write's commit has succeeded.

use alloc::vec::Vec;
use core::cell::RefCell;

use hashbrown::HashMap;

use super::keyspace;
use crate::storage::{Batch, Snapshot, StorageError};

// How a segment is told in a key.
const NAME: u8 = b'.';
const POSITION: u8 = b'#';
const LATER: u8 = b'+';
const MEMBER: u8 = b'*';

/// The number of a path; the document itself is 0.
pub type PathId = u32;

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'name> {
    /// The member of an object.
    Name(&'name str),
    /// The element of an array by its position, below [`POSITIONS_MAX`].
    Position(u32),
    /// What stands at later positions. It has no paths of its own: its posting says that there is more.
    Later,
    /// Any element of an array.
    Member,
}

/// How many elements of an array have paths of their own. Elements behind these are found by membership, so that a long
/// array takes no path for each of its elements.
pub const POSITIONS_MAX: u32 = 32;

/// How many paths the cache holds before it starts anew.
const CACHED_PATHS_MAX: usize = 1 << 16;

/// What is cached of the dictionary.
#[derive(Debug, Default)]
pub struct Dictionary {
    known: RefCell<HashMap<Vec<u8>, PathId>>,
}

impl Dictionary {
    /// The number of the path `parent`, `segment`, if any document ever had it.
    pub async fn find<S: Snapshot>(
        &self,
        snapshot: &S,
        parent: PathId,
        segment: Segment<'_>,
    ) -> Result<Option<PathId>, StorageError> {
        let mut key = Vec::new();
        write_key(parent, segment, &mut key);
        if let Some(id) = self.known.borrow().get(&key) {
            return Ok(Some(*id));
        }
        let found = snapshot.get(&key).await?.and_then(|value| read_id(&value));
        if let Some(id) = found {
            self.remember(key, id);
        }
        Ok(found)
    }

    /// Forgets all numbers, as all paths were deleted.
    pub fn clear(&self) {
        self.known.borrow_mut().clear();
    }

    /// Takes over the numbers that a committed write gave.
    pub fn adopt(&self, staged: HashMap<Vec<u8>, PathId>) {
        for (key, id) in staged {
            self.remember(key, id);
        }
    }

    fn remember(&self, key: Vec<u8>, id: PathId) {
        let mut known = self.known.borrow_mut();
        if known.len() >= CACHED_PATHS_MAX {
            known.clear();
        }
        known.insert(key, id);
    }
}

/// Gives numbers to paths during one write.
pub struct Interner<'dictionary, S> {
    dictionary: &'dictionary Dictionary,
    snapshot: &'dictionary S,
    staged: HashMap<Vec<u8>, PathId>,
    next: Option<PathId>,
    scratch: Vec<u8>,
    /// The paths of the latest document in the order in which it asked for them: the next one mostly asks the same.
    latest: Vec<(Vec<u8>, PathId)>,
    /// How many paths this document has asked for.
    asked: usize,
}

/// How many paths of a document are kept for the next one.
const LATEST_MAX: usize = 256;

impl<'dictionary, S: Snapshot> Interner<'dictionary, S> {
    /// An interner that has given no number yet.
    pub fn new(dictionary: &'dictionary Dictionary, snapshot: &'dictionary S) -> Self {
        Self {
            dictionary,
            snapshot,
            staged: HashMap::new(),
            next: None,
            scratch: Vec::new(),
            latest: Vec::new(),
            asked: 0,
        }
    }

    /// Another document begins.
    pub fn begin_document(&mut self) {
        self.asked = 0;
    }

    /// The number of the path `parent`, `segment`, a new one if it has none yet.
    pub async fn intern(&mut self, parent: PathId, segment: Segment<'_>) -> Result<PathId, StorageError> {
        write_key(parent, segment, &mut self.scratch);
        let place = self.asked;
        self.asked += 1;
        if let Some((key, id)) = self.latest.get(place)
            && *key == self.scratch
        {
            return Ok(*id);
        }
        let id = self.look_up(parent, segment).await?;
        match self.latest.get_mut(place) {
            Some((key, latest)) => {
                key.clone_from(&self.scratch);
                *latest = id;
            }
            None if place < LATEST_MAX => self.latest.push((self.scratch.clone(), id)),
            None => {}
        }
        Ok(id)
    }

    async fn look_up(&mut self, parent: PathId, segment: Segment<'_>) -> Result<PathId, StorageError> {
        if let Some(id) = self.staged.get(&self.scratch) {
            return Ok(*id);
        }
        if let Some(id) = self.dictionary.known.borrow().get(&self.scratch) {
            return Ok(*id);
        }
        if let Some(id) = self.dictionary.find(self.snapshot, parent, segment).await? {
            return Ok(id);
        }
        let id = match self.next {
            Some(next) => next,
            None => self.snapshot.get(keyspace::NEXT_PATH).await?.and_then(|value| read_id(&value)).unwrap_or(1),
        };
        let after = id.checked_add(1).ok_or_else(|| StorageError::Failed("there are too many paths".into()))?;
        self.next = Some(after);
        self.staged.insert(self.scratch.clone(), id);
        Ok(id)
    }

    /// Adds the new numbers to `batch` and hands them out for [`Dictionary::adopt`].
    #[must_use]
    pub fn stage(self, batch: &mut Batch) -> HashMap<Vec<u8>, PathId> {
        if let Some(next) = self.next {
            batch.put(keyspace::NEXT_PATH, &next.to_be_bytes());
        }
        for (key, id) in &self.staged {
            let id = id.to_be_bytes();
            batch.put(key, &id);
            let name = [[keyspace::PATH_NAME].as_slice(), &id].concat();
            batch.put(&name, key.get(1..).unwrap_or_default());
        }
        self.staged
    }
}

fn write_key(parent: PathId, segment: Segment<'_>, key: &mut Vec<u8>) {
    key.clear();
    key.push(keyspace::PATH);
    key.extend_from_slice(&parent.to_be_bytes());
    match segment {
        Segment::Name(name) => {
            key.push(NAME);
            key.extend_from_slice(name.as_bytes());
        }
        Segment::Position(position) => {
            key.push(POSITION);
            key.extend_from_slice(&position.to_be_bytes());
        }
        Segment::Later => key.push(LATER),
        Segment::Member => key.push(MEMBER),
    }
}

/// Reads the record of a path's name: the path, its parent and its last segment.
#[must_use]
pub fn read_name<'record>(key: &[u8], record: &'record [u8]) -> Option<(PathId, PathId, Segment<'record>)> {
    let path = read_id(key.strip_prefix(&[keyspace::PATH_NAME])?)?;
    let (parent, rest) = record.split_first_chunk()?;
    let (kind, rest) = rest.split_first()?;
    let segment = match *kind {
        NAME => Segment::Name(core::str::from_utf8(rest).ok()?),
        POSITION => Segment::Position(u32::from_be_bytes(rest.try_into().ok()?)),
        LATER => Segment::Later,
        MEMBER => Segment::Member,
        _ => return None,
    };
    Some((path, PathId::from_be_bytes(*parent), segment))
}

fn read_id(bytes: &[u8]) -> Option<PathId> {
    Some(PathId::from_be_bytes(bytes.try_into().ok()?))
}
