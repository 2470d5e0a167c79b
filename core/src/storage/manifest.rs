//! The manifest: the one block that says which others count.
//!
//! Writing it is what makes a flush happen: segments that it does not name do not exist, log records before its mark are
//! part of its segments.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::StorageError;
use super::blocks::{BLOCK_BYTES_MAX, BlockKey};
use super::bytes::{Reader, write_number};
use super::frame::{self, BlockKind, SEGMENT_BLOCKS_MAX, SEGMENTS_MAX, corrupt};
use super::segment::Segment;

/// The version of the stored format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// What every manifest begins with. Later versions keep this, the version behind it and the checksum at the end.
const MAGIC: &[u8] = b"firkin";
/// A segment with more levels would have more blocks than there are numbers.
const HEIGHT_MAX: u32 = 16;

/// The state of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The number of the next segment.
    pub(super) next_segment: u64,
    /// The number of the first log block whose record is in no segment.
    pub(super) first_log: u64,
    /// The segments, newest first.
    pub(super) segments: Vec<Rc<Segment>>,
    /// The numbers of segments that are to be deleted.
    pub(super) retired: Vec<u64>,
}

impl Manifest {
    /// The block.
    pub(super) fn encode(&self) -> Result<Vec<u8>, StorageError> {
        let mut block = frame::begin(BlockKind::Manifest, 256);
        block.extend_from_slice(MAGIC);
        block.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        for number in [self.next_segment, self.first_log, self.segments.len() as u64] {
            write_number(&mut block, number);
        }
        for segment in &self.segments {
            write_number(&mut block, segment.number);
            write_number(&mut block, u64::from(segment.root));
            write_number(&mut block, u64::from(segment.height));
            write_number(&mut block, u64::from(segment.blocks));
            write_number(&mut block, segment.bytes);
        }
        write_number(&mut block, self.retired.len() as u64);
        for number in &self.retired {
            write_number(&mut block, *number);
        }
        let block = frame::seal(BlockKey::MANIFEST, block);
        if block.len() > BLOCK_BYTES_MAX {
            return Err(StorageError::Failed("snapshots that are still held keep too many old segments".into()));
        }
        Ok(block)
    }

    /// Reads the block; refuses one of a newer format.
    pub(super) fn decode(block: &[u8]) -> Result<Self, StorageError> {
        let content = frame::unseal(BlockKey::MANIFEST, BlockKind::Manifest, block)?;
        let malformed = || corrupt(BlockKey::MANIFEST, "is malformed");
        let versioned = content.strip_prefix(MAGIC).ok_or_else(malformed)?;
        let (version, content) = versioned.split_first_chunk().ok_or_else(malformed)?;
        let found = u32::from_le_bytes(*version);
        if found > FORMAT_VERSION {
            return Err(StorageError::FormatTooNew { found, supported: FORMAT_VERSION });
        }
        Self::read(&mut Reader::new(content, 0)).ok_or_else(malformed)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut manifest = Self { next_segment: reader.number()?, first_log: reader.number()?, ..Self::default() };
        for _ in 0..reader.number()? {
            let segment = Segment {
                number: reader.number()?,
                root: reader.small_number()?,
                height: reader.small_number()?,
                blocks: reader.small_number()?,
                bytes: reader.number()?,
            };
            // What is counted by these numbers later must come to an end, and their sums must fit.
            let is_valid = segment.number < manifest.next_segment
                && segment.root < segment.blocks
                && segment.blocks <= SEGMENT_BLOCKS_MAX
                && segment.bytes <= u64::from(segment.blocks) * BLOCK_BYTES_MAX as u64
                && (1..=HEIGHT_MAX).contains(&segment.height);
            is_valid.then(|| manifest.segments.push(Rc::new(segment)))?;
        }
        for _ in 0..reader.number()? {
            manifest.retired.push(reader.number()?);
        }
        (reader.is_at_end() && manifest.next_segment <= SEGMENTS_MAX).then_some(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_formats_are_refused_and_damage_is_told_apart() {
        let block = Manifest::default().encode().unwrap();
        assert_eq!(Manifest::decode(&block), Ok(Manifest::default()));
        let mut newer = block.clone();
        newer[1 + MAGIC.len()] = 9;
        assert!(matches!(Manifest::decode(&newer), Err(StorageError::Corrupt(_))));
        newer.truncate(newer.len() - 4);
        newer.extend_from_slice(b"what a later version added");
        let newer = frame::seal(BlockKey::MANIFEST, newer);
        let refused = StorageError::FormatTooNew { found: 9, supported: FORMAT_VERSION };
        assert_eq!(Manifest::decode(&newer), Err(refused));
    }

    #[test]
    fn impossible_segments_are_refused() {
        let segment = Segment { number: 3, root: 7, height: 2, blocks: 8, bytes: 1000 };
        let of = |segment| Manifest { next_segment: 4, segments: [Rc::new(segment)].into(), ..Manifest::default() };
        let decode = |segment| Manifest::decode(&of(segment).encode().unwrap());
        assert_eq!(decode(segment), Ok(of(segment)));
        for wrong in [
            Segment { number: 4, ..segment },
            Segment { root: 8, ..segment },
            Segment { height: 0, ..segment },
            Segment { height: 17, ..segment },
            Segment { blocks: SEGMENT_BLOCKS_MAX + 1, ..segment },
            Segment { bytes: 8 * BLOCK_BYTES_MAX as u64 + 1, ..segment },
        ] {
            assert!(decode(wrong).is_err(), "{wrong:?}");
        }
    }
}
