//! Reads blocks through the cache and checks them.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::StorageError;
use super::blocks::{BlockKey, Blocks};
use super::cache::BlockCache;
use super::frame::{self, BlockKind, CONTENT_BYTES_MAX, corrupt, segment_block};
use super::merge::LargeValue;
use super::store::StoreOptions;
use crate::progress::Listener;

/// How many blocks of a large value are read at once.
const PARTS_AT_ONCE: u32 = 16;

/// How many data blocks a point read reads at once: few at first, and twice as many after each time. So who asks for a single document
/// waits for little, and who asks for many has soon read all there is.
const REACH_MIN: usize = 4;
const REACH_MAX: usize = 32;

/// Blocks, with a cache before them.
#[derive(Debug)]
pub(super) struct BlockReader<B> {
    pub(super) blocks: B,
    /// What the epoch block holds for as long as nobody takes the store over: this opening's epoch, or that of the one before.
    epoch: RefCell<Vec<u8>>,
    /// The first bytes of keys that no filter is asked for.
    pub(super) unfiltered: &'static [u8],
    /// Who is told how far a long opening is.
    pub(super) progress: Listener,
    cache: RefCell<BlockCache>,
    reach: Cell<usize>,
    is_reaching: Cell<bool>,
}

/// The right to read more than one block; given back when it is dropped.
pub(super) struct Reach<'r> {
    blocks: &'r Cell<usize>,
    is_reaching: &'r Cell<bool>,
}

impl Reach<'_> {
    pub(super) fn blocks(&self) -> usize {
        self.blocks.get()
    }

    /// The blocks have come.
    pub(super) fn grow(&self) {
        self.blocks.set((2 * self.blocks.get()).min(REACH_MAX));
    }
}

impl Drop for Reach<'_> {
    fn drop(&mut self) {
        self.is_reaching.set(false);
    }
}

impl<B: Blocks> BlockReader<B> {
    /// A reader of `blocks` for a store that is opened with `options`.
    pub(super) fn of(blocks: B, options: &StoreOptions) -> Self {
        Self {
            blocks,
            epoch: RefCell::new(options.epoch.to_vec()),
            unfiltered: options.unfiltered,
            progress: options.progress.clone(),
            cache: RefCell::new(BlockCache::new(options.cache_bytes)),
            reach: Cell::new(REACH_MIN),
            is_reaching: Cell::new(false),
        }
    }

    /// What the epoch block holds for as long as nobody else takes the store over.
    pub(super) fn epoch(&self) -> Vec<u8> {
        self.epoch.borrow().clone()
    }

    /// The epoch block holds this from now on.
    pub(super) fn set_epoch(&self, epoch: Vec<u8>) {
        self.epoch.replace(epoch);
    }

    /// A data or index block, checked. It is kept in the cache if `cached`.
    pub(super) async fn block(&self, key: BlockKey, kind: BlockKind, cached: bool) -> Result<Rc<[u8]>, StorageError> {
        match self.at_hand(key) {
            Some(block) => Ok(block),
            None => self.blocks(&[(key, kind)], cached).await?.pop().ok_or_else(|| corrupt(key, "is missing")),
        }
    }

    /// The block, if it is in the cache.
    pub(super) fn at_hand(&self, key: BlockKey) -> Option<Rc<[u8]>> {
        self.cache.borrow_mut().get(key)
    }

    /// Whether the block is in the cache; that somebody asks is not taken for use.
    pub(super) fn holds(&self, key: BlockKey) -> bool {
        self.cache.borrow().holds(key)
    }

    /// How many blocks a point read may take at once. One at a time takes more than its own: what others are reading is not known
    /// yet to be at hand.
    pub(super) fn reach(&self) -> Option<Reach<'_>> {
        (!self.is_reaching.replace(true)).then_some(Reach { blocks: &self.reach, is_reaching: &self.is_reaching })
    }

    /// Whether the cache could hold all of a store of so many bytes.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        bytes <= self.cache.borrow().bytes_max as u64
    }

    /// Whether the cache could hold so many bytes and still be of use to others.
    pub(super) fn has_room_for(&self, bytes: u64) -> bool {
        bytes <= self.cache.borrow().bytes_max as u64 / 2
    }

    /// Several data or index blocks, checked, in one step of the platform for those that are not in the cache.
    pub(super) async fn blocks(
        &self,
        wanted: &[(BlockKey, BlockKind)],
        cached: bool,
    ) -> Result<Vec<Rc<[u8]>>, StorageError> {
        let mut found: Vec<Option<Rc<[u8]>>> = wanted.iter().map(|(key, _)| self.at_hand(*key)).collect();
        let missing: Vec<BlockKey> =
            wanted.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|((key, _), _)| *key).collect();
        let mut read = Vec::new();
        if !missing.is_empty() {
            read = self.blocks.read(&missing).await?;
        }
        let mut read = read.into_iter();
        for ((key, kind), found) in wanted.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            let Some(block) = read.next().flatten() else { return Err(self.missing(*key).await) };
            frame::unseal(*key, *kind, &block)?;
            let block: Rc<[u8]> = block.into();
            if cached {
                self.cache.borrow_mut().insert(*key, Rc::clone(&block));
            }
            *found = Some(block);
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// As [`Self::blocks`], of which only the first is needed: if others are damaged, they are left out.
    /// It is reported by whoever needs it.
    pub(super) async fn block_and_more(
        &self,
        wanted: &[(BlockKey, BlockKind)],
        cached: bool,
    ) -> Result<Vec<Rc<[u8]>>, StorageError> {
        match self.blocks(wanted, cached).await {
            Err(StorageError::Corrupt(_)) if wanted.len() > 1 => {
                self.blocks(wanted.get(..1).unwrap_or_default(), cached).await
            }
            blocks => blocks,
        }
    }

    /// The blocks that can be read, each with what it says that it is; of the others why they cannot.
    pub(super) async fn each(&self, names: &[BlockKey]) -> Result<Vec<Result<(u8, Vec<u8>), String>>, StorageError> {
        let mut found = Vec::with_capacity(names.len());
        let mut at_once = names.len();
        while found.len() < names.len() {
            let asked = names.get(found.len()..).unwrap_or_default();
            let asked = asked.get(..at_once).unwrap_or(asked);
            let (blocks, why) = match self.blocks.read(asked).await {
                Ok(blocks) => (blocks, String::new()),
                // One that cannot be read keeps no other from being read.
                Err(StorageError::Corrupt(_)) if at_once > 1 => {
                    at_once = 1;
                    continue;
                }
                Err(error) => (Vec::from([Some(Vec::new())]), reason(error)?),
            };
            for (name, block) in asked.iter().zip(blocks) {
                let read = match block {
                    Some(block) if why.is_empty() => frame::kind_of(*name, &block).map(|kind| (kind, block)),
                    Some(_) => Err(StorageError::Corrupt(why.clone())),
                    None => Err(self.missing(*name).await),
                };
                found.push(match read {
                    Ok(read) => Ok(read),
                    Err(error) => Err(reason(error)?),
                });
            }
        }
        Ok(found)
    }

    /// Puts a block that was just written into the cache.
    pub(super) fn remember(&self, key: BlockKey, block: &[u8]) {
        self.cache.borrow_mut().insert(key, block.into());
    }

    /// A value that stands in blocks of its own.
    pub(super) async fn large_value(&self, value: LargeValue) -> Result<Vec<u8>, StorageError> {
        let bytes = value.bytes as usize;
        let parts = bytes.div_ceil(CONTENT_BYTES_MAX) as u32;
        let mut whole = Vec::new();
        for first in (0..parts).step_by(PARTS_AT_ONCE as usize) {
            let keys: Vec<BlockKey> = (first..parts.min(first + PARTS_AT_ONCE))
                .map(|part| segment_block(value.segment, value.first_block.saturating_add(part)))
                .collect();
            let blocks = self.blocks.read(&keys).await?;
            for (index, key) in keys.into_iter().enumerate() {
                let Some(block) = blocks.get(index).and_then(Option::as_deref) else {
                    return Err(self.missing(key).await);
                };
                let content = frame::unseal(key, BlockKind::Value, block)?;
                if content.len() != (bytes - whole.len()).min(CONTENT_BYTES_MAX) {
                    return Err(corrupt(key, "is not as long as the value needs"));
                }
                whole.extend_from_slice(content);
            }
        }
        Ok(whole)
    }

    /// Why a block that should be there is not: either this store was taken over, and its successor has cleared the
    /// segments that old snapshots still read, or the block is lost.
    pub(super) async fn missing(&self, key: BlockKey) -> StorageError {
        match self.blocks.read(&[BlockKey::epoch()]).await {
            Ok(found) if found.first().and_then(Option::as_ref) == Some(&self.epoch()) => corrupt(key, "is missing"),
            Ok(_) => StorageError::Fenced,
            Err(error) => error,
        }
    }
}

/// What is damaged; any other error stays one.
pub(super) fn reason(error: StorageError) -> Result<String, StorageError> {
    match error {
        StorageError::Corrupt(reason) => Ok(reason),
        error => Err(error),
    }
}
