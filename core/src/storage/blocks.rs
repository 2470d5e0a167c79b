//! The place where the log-structured store keeps its blocks: a platform's record store, reduced to two verbs.

use alloc::vec::Vec;

use super::{Durability, StorageError};

/// No block may be larger: from 64 KiB on, Chromium moves an IndexedDB value into a file of its own.
pub const BLOCK_BYTES_MAX: usize = 60 * 1024;

/// The name of a block: a kind and a number, ordered, and small enough for a JavaScript number (below 2^53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey(u64);

const KIND_SHIFT: u32 = 48;

impl BlockKey {
    /// The one block that says which others count.
    pub const MANIFEST: Self = Self(0);

    /// A record of the write-ahead log.
    #[must_use]
    pub fn log(number: u64) -> Self {
        Self((1 << KIND_SHIFT) | number)
    }

    /// A block of a segment.
    #[must_use]
    pub fn segment(number: u64) -> Self {
        Self((2 << KIND_SHIFT) | number)
    }

    /// The block that names the tab which may write; commits are guarded by it.
    #[must_use]
    pub fn epoch() -> Self {
        Self(3 << KIND_SHIFT)
    }

    /// Whether it names a block of a segment.
    #[must_use]
    pub fn is_of_segment(self) -> bool {
        self.0 >> KIND_SHIFT == 2
    }

    /// The key as a number, below 2^53.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The key with this number.
    #[must_use]
    pub fn from_u64(key: u64) -> Self {
        Self(key)
    }

    /// The number within its kind.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0 & ((1 << KIND_SHIFT) - 1)
    }
}

/// Blocks to write and to delete in one atomic step.
#[derive(Clone, Debug, Default)]
pub struct BlockBatch {
    /// The step is taken only if this block holds these bytes at that moment; otherwise it fails with
    /// [`StorageError::Fenced`] and changes nothing.
    pub guard: Option<(BlockKey, Vec<u8>)>,
    /// Whether the blocks to write are new: the step fails with [`StorageError::Fenced`] if one of them exists. **Where the guard
    /// of such a step does not hold, its blocks may be written all the same**; it fails nevertheless. A medium may find out
    /// cheaper then. Ignored where blocks are deleted.
    pub are_new: bool,
    /// Blocks to write, none larger than [`BLOCK_BYTES_MAX`].
    pub puts: Vec<(BlockKey, Vec<u8>)>,
    /// Blocks to delete, whether or not they exist.
    pub deletes: Vec<BlockKey>,
}

/// What [`Blocks::look`] has found.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The blocks, in the order in which they were asked for.
    pub blocks: Vec<Option<Vec<u8>>>,
    /// The keys of each range.
    pub keys: Vec<Vec<BlockKey>>,
}

/// A store of blocks.
pub trait Blocks {
    /// The blocks at `keys`, in that order; `None` for one that does not exist.
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError>;

    /// The keys that exist from `first` to `last`, both included, in ascending order.
    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError>;

    /// The blocks at `keys`, as [`read`](Self::read) answers them, and of each range the keys as [`keys`](Self::keys) answers them: what
    /// an opening looks at. A medium that has its price for each step may take one for all.
    async fn look(&self, keys: &[BlockKey], ranges: &[(BlockKey, BlockKey)]) -> Result<Looked, StorageError> {
        let mut looked = Looked { blocks: self.read(keys).await?, keys: Vec::with_capacity(ranges.len()) };
        for (first, last) in ranges {
            looked.keys.push(self.keys(*first, *last).await?);
        }
        Ok(looked)
    }

    /// Whether anybody who had the blocks before may be about to write still. Where it is not known, it may.
    fn has_rivals(&self) -> bool {
        true
    }

    /// Whether nobody but who asks can write; and should somebody take the store over all the same, a step that takes it over under a guard
    /// is refused. Then a store is taken over with its first write, and who only reads writes nothing.
    fn is_undisputed(&self) -> bool {
        false
    }

    /// Whether an opening that found no room to take the store over has left it as it was, so that it can be read.
    fn are_left_alone(&self) -> bool {
        true
    }

    /// Takes the whole step or none of it; once this returns `Ok` the step is durable as `durability` says.
    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError>;
}
