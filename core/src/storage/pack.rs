//! Packs sorted entries into one segment, to be taken in by another store ([`super::adoption`]).
//!
//! It is written as a copy of a store is ([`super::backup`]): the blocks of segment 0, and a manifest that names no other. Of a
//! segment of any size little is in memory.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::StorageError;
use super::backup::append;
use super::blocks::BlockKey;
use super::manifest::Manifest;
use super::segment_writer::SegmentWriter;

/// A segment that is being packed.
#[derive(Debug)]
pub struct Pack {
    segment: SegmentWriter,
}

impl Pack {
    /// An empty one, whose filter leaves out keys with these first bytes.
    #[must_use]
    pub fn new(unfiltered: &'static [u8]) -> Self {
        Self { segment: SegmentWriter::new(0, unfiltered) }
    }

    /// Adds an entry; keys must ascend.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.segment.add(key, Some(value))
    }

    /// Takes the blocks that are finished.
    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, block) in self.segment.take_ready(usize::MAX) {
            append(name, &block, &mut out);
        }
        out
    }

    /// The rest.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn finish(mut self) -> Result<Vec<u8>, StorageError> {
        let segments: Vec<_> = self.segment.finish()?.map(Rc::new).into_iter().collect();
        let manifest = Manifest { next_segment: 1, segments, ..Manifest::default() };
        let mut out = self.take();
        append(BlockKey::MANIFEST, &manifest.encode()?, &mut out);
        Ok(out)
    }
}
