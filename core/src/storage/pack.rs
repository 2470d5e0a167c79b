//! Packs sorted entries, to be taken in by another store ([`super::adoption`]).
//!
//! They stand in records as in the log ([`super::log`]), whose blocks count from 0, and in the frames of a copy
//! ([`super::backup`]). No structure travels that the other store would have to believe: it builds a segment of its own.

use alloc::vec::Vec;

use super::backup::append;
use super::log;
use super::run::Run;

/// Entries that are being packed.
#[derive(Debug, Default)]
pub struct Pack {
    record: Run,
    /// The number of the next block.
    next: u64,
}

impl Pack {
    /// Adds an entry; keys must ascend.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.record.push(key, Some(value));
    }

    /// Makes a record of what was added since the last; nothing if that is nothing.
    pub fn take(&mut self) -> Vec<u8> {
        let record = core::mem::take(&mut self.record);
        let mut out = Vec::new();
        if !record.is_empty() {
            for (name, block) in log::encode(&record, self.next) {
                append(name, &block, &mut out);
                self.next += 1;
            }
        }
        out
    }
}
