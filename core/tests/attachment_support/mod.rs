//! What the tests of attachments share.
#![allow(dead_code, reason = "each test uses a part of it")]

use firkin_core::database::{Database, GetOptions, Options};
use firkin_core::document::GivenContent;
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;

use crate::common::{Seeded, told};

/// A little more than three parts.
pub const LONG_BYTES: usize = 3 * 1_044_480 + 7;

pub fn open() -> Database<MemoryKv> {
    block_on(Database::open(MemoryKv::new(), &Seeded::new(7), Options::default())).unwrap()
}

pub fn default<T: Default>() -> T {
    T::default()
}

pub fn with_data() -> GetOptions {
    GetOptions { attachments: true, ..default() }
}

pub fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place / 251) as u8 ^ place as u8).collect()
}

/// Stages `bytes` in chunks of `chunk_bytes`.
pub fn stage(database: &Database<MemoryKv>, name: &str, bytes: &[u8], chunk_bytes: usize) {
    block_on(database.stage(name, 0, &[])).unwrap();
    for (place, chunk) in bytes.chunks(chunk_bytes).enumerate() {
        block_on(database.stage(name, (place * chunk_bytes) as u64, chunk)).unwrap();
    }
}

pub fn put_attachment(
    database: &Database<MemoryKv>,
    (id, name, rev): (&str, &str, Option<&str>),
    content: GivenContent,
) -> Result<String, (u16, &'static str, String)> {
    let written = block_on(database.put_attachment(id, name, rev, "text/plain", content, &default()));
    written.map(|written| written.rev).map_err(|error| told(error.report()))
}

pub fn data(text: &str) -> GivenContent {
    GivenContent::Data(text.as_bytes().to_vec())
}
