//! The frame around every stored block: a byte that says what it is, and a checksum at the end.
//!
//! The checksum covers the block's name as well, so that a block that turns up in another's place is recognised. It is
//! XXH32, which needs no table: those of a fast CRC would be a twentieth of what a browser has to load.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use twox_hash::XxHash32;

use super::StorageError;
use super::blocks::{BLOCK_BYTES_MAX, BlockKey};

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum BlockKind {
    /// Entries of a segment.
    Data = 1,
    /// The blocks of a segment and where each begins.
    Index = 2,
    /// A part of a large value.
    Value = 3,
    /// A part of a record of the write-ahead log.
    Log = 4,
    /// The manifest.
    Manifest = 5,
    /// Which keys a segment may hold.
    Filter = 6,
}

const CHECKSUM_BYTES: usize = 4;
/// What the frame adds to the bytes inside.
pub(super) const FRAME_BYTES: usize = 1 + CHECKSUM_BYTES;
/// The most that fits into a frame.
pub(super) const CONTENT_BYTES_MAX: usize = BLOCK_BYTES_MAX - FRAME_BYTES;

/// The beginning of a block; its content is to follow, and then [`seal`].
pub(super) fn begin(kind: BlockKind, capacity: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(capacity);
    block.push(kind as u8);
    block
}

/// Ends a block with its checksum.
pub(super) fn seal(key: BlockKey, mut block: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(key, &block);
    block.extend_from_slice(&checksum.to_le_bytes());
    block
}

/// The content of a block, after its checksum and its kind were checked.
pub(super) fn unseal(key: BlockKey, kind: BlockKind, block: &[u8]) -> Result<&[u8], StorageError> {
    unseal_as(key, kind as u8, block)
}

fn unseal_as(key: BlockKey, kind: u8, block: &[u8]) -> Result<&[u8], StorageError> {
    let (framed, stored) = block.split_last_chunk().ok_or_else(|| corrupt(key, "is cut off"))?;
    if checksum(key, framed) != u32::from_le_bytes(*stored) {
        return Err(corrupt(key, "does not match its checksum"));
    }
    content_as(key, kind, block)
}

/// What a block says that it is, after its checksum was checked.
pub(super) fn kind_of(key: BlockKey, block: &[u8]) -> Result<u8, StorageError> {
    let kind = block.first().copied().unwrap_or_default();
    unseal_as(key, kind, block).map(|_| kind)
}

/// The content of a block that was checked before.
pub(super) fn content(key: BlockKey, kind: BlockKind, block: &[u8]) -> Result<&[u8], StorageError> {
    content_as(key, kind as u8, block)
}

fn content_as(key: BlockKey, kind: u8, block: &[u8]) -> Result<&[u8], StorageError> {
    let framed = block.split_last_chunk::<CHECKSUM_BYTES>().and_then(|(framed, _)| framed.split_first());
    match framed {
        Some((found, content)) if *found == kind => Ok(content),
        _ => Err(corrupt(key, "is of another kind")),
    }
}

/// The error for a block whose bytes are not what was written.
pub(super) fn corrupt(key: BlockKey, what: &str) -> StorageError {
    StorageError::Corrupt(format!("{} {what}", name(key)))
}

/// How many bits of a segment block's number count the block; those above count the segment.
const SEGMENT_SHIFT: u32 = 20;
/// How many blocks a segment can have.
pub(super) const SEGMENT_BLOCKS_MAX: u32 = 1 << SEGMENT_SHIFT;
/// How many segments a store can have had in its life.
pub(super) const SEGMENTS_MAX: u64 = 1 << (48 - SEGMENT_SHIFT);

/// The name of a block of a segment.
pub(super) fn segment_block(segment: u64, block: u32) -> BlockKey {
    BlockKey::segment((segment << SEGMENT_SHIFT) | u64::from(block))
}

/// The segment that a block belongs to.
pub(super) fn segment_of(key: BlockKey) -> u64 {
    key.number() >> SEGMENT_SHIFT
}

/// What people call a block.
fn name(key: BlockKey) -> String {
    let number = key.number();
    if key == BlockKey::MANIFEST {
        "the manifest".into()
    } else if key == BlockKey::log(number) {
        format!("log block {number}")
    } else if key == BlockKey::segment(number) {
        format!("block {} of segment {}", number % u64::from(SEGMENT_BLOCKS_MAX), segment_of(key))
    } else {
        format!("block {}", key.as_u64())
    }
}

fn checksum(key: BlockKey, framed: &[u8]) -> u32 {
    XxHash32::oneshot(XxHash32::oneshot(0, &key.as_u64().to_le_bytes()), framed)
}
