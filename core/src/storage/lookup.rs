//! Reading the values of many keys: what is not at hand is read for all of them at once.
//!
//! Each key searches on its own: from segment to segment, newest first, and down the blocks of each. The searches go as far
//! as the cache takes them; the blocks at which they stop are read in one step of the platform, and all go on from there. So
//! the number of steps is the number of levels that are not at hand, whatever the number of keys.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use super::StorageError;
use super::block::BlockCursor;
use super::blocks::{BlockKey, Blocks};
use super::bytes::StoredValue;
use super::filter::{self, KeyHash};
use super::frame::{self, BlockKind};
use super::merge::LargeValue;
use super::reader::BlockReader;
use super::segment::Segment;
use super::version::Version;
use crate::sorting::sort_by;

/// How many blocks are read at once.
pub(super) const BLOCKS_AT_ONCE: usize = 64;

/// A search for one key, which stands before a block.
struct Search {
    /// Whose value it looks for.
    place: usize,
    hash: KeyHash,
    /// The segment, counted from the newest.
    segment: usize,
    /// Whether the segment's filter was asked.
    is_filtered: bool,
    depth: usize,
    block: u32,
}

/// Where a search came to.
enum Outcome {
    /// The block at which it stands is not at hand.
    Stopped(BlockKey, BlockKind),
    Found(Vec<u8>),
    FoundLarge(LargeValue),
    /// There is no value.
    Missing,
}

/// The values at `keys`, in their order.
pub(super) async fn get_many<B: Blocks>(
    version: &Version,
    reader: &BlockReader<B>,
    keys: &[Vec<u8>],
) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
    let mut values: Vec<Option<Vec<u8>>> = vec![None; keys.len()];
    let mut searches = Vec::new();
    for (place, (key, value)) in keys.iter().zip(&mut values).enumerate() {
        match version.memtable.get(key) {
            Some(found) => *value = found.map(<[u8]>::to_vec),
            None => {
                searches.extend(version.segments.first().map(|segment| Search::of(place, KeyHash::of(key), 0, segment)))
            }
        }
    }
    let begins = searches.iter().filter_map(|search| Some((keys.get(search.place)?.as_slice(), search.hash)));
    version.read_filters(reader, begins).await?;
    // What was read last, in the order of the names.
    let mut read: Vec<(BlockKey, Rc<[u8]>)> = Vec::new();
    while !searches.is_empty() {
        let mut wanted: Vec<(BlockKey, BlockKind)> = Vec::new();
        let mut stopped = Vec::new();
        for mut search in searches {
            let Some(key) = keys.get(search.place) else { continue };
            let found = match search.go_on(version, reader, &read, key)? {
                Outcome::Stopped(name, kind) => {
                    stopped.push(search);
                    // Keys in order stop at the same block one after the other.
                    if wanted.last().is_none_or(|(last, _)| *last != name) {
                        wanted.push((name, kind));
                    }
                    continue;
                }
                Outcome::Found(value) => Some(value),
                Outcome::FoundLarge(value) => Some(reader.large_value(value).await?),
                Outcome::Missing => None,
            };
            if let Some(value) = values.get_mut(search.place) {
                *value = found;
            }
        }
        sort_by(&mut wanted, |(left, _), (right, _)| left.cmp(right));
        wanted.dedup_by_key(|(name, _)| *name);
        // The others are asked for again.
        wanted.truncate(BLOCKS_AT_ONCE);
        let blocks = match reader.blocks(&wanted, true).await {
            // A filter only spares reading: where one is damaged, these searches go on without.
            Err(StorageError::Corrupt(_)) if wanted.iter().any(|(_, kind)| *kind == BlockKind::Filter) => {
                stopped.iter_mut().for_each(|search| search.is_filtered = true);
                wanted.retain(|(_, kind)| *kind != BlockKind::Filter);
                reader.blocks(&wanted, true).await?
            }
            blocks => blocks?,
        };
        read = wanted.into_iter().map(|(name, _)| name).zip(blocks).collect();
        searches = stopped;
    }
    Ok(values)
}

impl Search {
    fn of(place: usize, hash: KeyHash, number: usize, segment: &Segment) -> Self {
        Self { place, hash, segment: number, is_filtered: false, depth: 0, block: segment.root }
    }

    fn go_on<B: Blocks>(
        &mut self,
        version: &Version,
        reader: &BlockReader<B>,
        read: &[(BlockKey, Rc<[u8]>)],
        key: &[u8],
    ) -> Result<Outcome, StorageError> {
        let at_hand =
            |name| match read.binary_search_by_key(&name, |(name, _)| *name).ok().and_then(|place| read.get(place)) {
                Some((_, block)) => Some(Rc::clone(block)),
                None => reader.at_hand(name),
            };
        while let Some(segment) = version.segments.get(self.segment) {
            if let Some(name) = segment.filter_for(reader, key, self.hash).filter(|_| !self.is_filtered) {
                let Some(block) = at_hand(name) else { return Ok(Outcome::Stopped(name, BlockKind::Filter)) };
                self.is_filtered = true;
                if !filter::may_hold(frame::content(name, BlockKind::Filter, &block)?, key, self.hash) {
                    match version.segments.get(self.segment + 1) {
                        Some(older) => *self = Self::of(self.place, self.hash, self.segment + 1, older),
                        None => break,
                    }
                    continue;
                }
            }
            let (name, kind) = (segment.block(self.block), segment.kind_at(self.depth));
            let Some(block) = at_hand(name) else { return Ok(Outcome::Stopped(name, kind)) };
            let mut cursor = BlockCursor::new(name, kind, block)?;
            if kind == BlockKind::Index {
                if cursor.seek_before(key, true)? {
                    (self.depth, self.block) = (self.depth + 1, cursor.child()?);
                    continue;
                }
            } else if cursor.seek(key)? && cursor.key() == key {
                return Ok(match *cursor.value() {
                    StoredValue::Tombstone => Outcome::Missing,
                    StoredValue::Inline(_) => Outcome::Found(cursor.inline().to_vec()),
                    StoredValue::Large(first, bytes) => Outcome::FoundLarge(segment.large(first, bytes)),
                });
            }
            let next = self.segment + 1;
            match version.segments.get(next) {
                Some(older) => *self = Self::of(self.place, self.hash, next, older),
                None => break,
            }
        }
        Ok(Outcome::Missing)
    }
}
