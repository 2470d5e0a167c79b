//! Documents that use ids as the names of their members: memory follows the caches' bounds, not the number of names.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod counting_allocator;

use std::sync::atomic::Ordering;

use common::Seeded;
use counting_allocator::IN_USE;
use firkin_core::database::{Database, Options, WriteOptions};
use firkin_core::path::Path;
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use pollster::block_on;

const NAMES_A_DOCUMENT: usize = 50;

/// A document whose member `seen` has a name for each of some ids that no other document mentions.
fn document(place: usize) -> String {
    let names: Vec<String> = (0..NAMES_A_DOCUMENT)
        .map(|name| {
            format!(
                "\"{:032x}\":true",
                ((place * NAMES_A_DOCUMENT + name) as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            )
        })
        .collect();
    format!("{{\"_id\":\"d{place:06}\",\"kind\":{},\"seen\":{{{}}}}}", place % 10, names.join(","))
}

struct Run {
    database: Database<LogStore<MemoryBlocks>>,
    blocks: MemoryBlocks,
    baseline: usize,
    written: usize,
}

impl Run {
    fn begin(exclude: &[&str]) -> Self {
        let blocks = MemoryBlocks::new();
        let baseline = IN_USE.load(Ordering::Relaxed);
        let mut store = StoreOptions::new([1; 16]);
        store.cache_bytes = 1024 * 1024;
        let options = Options { exclude: exclude.iter().map(|path| Path::parse(path)).collect(), ..Options::default() };
        let kv = block_on(LogStore::open(blocks.clone(), store)).unwrap();
        let database = block_on(Database::open(kv, &Seeded::new(1), options)).unwrap();
        Self { database, blocks, baseline, written: 0 }
    }

    /// Writes documents with so many names in all.
    fn write(&mut self, names: usize) {
        let until = self.written + names / NAMES_A_DOCUMENT;
        while self.written < until {
            let texts: Vec<String> = (self.written..self.written + 100).map(document).collect();
            let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
            block_on(self.database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
            self.written += 100;
        }
    }

    /// What the engine holds in memory beside what it has stored.
    fn memory(&self) -> usize {
        IN_USE.load(Ordering::Relaxed) - self.baseline - self.blocks.bytes()
    }
}

#[test]
fn memory_is_bounded_whatever_the_number_of_names() {
    let mut run = Run::begin(&[]);
    run.write(100_000);
    let after_100_000 = run.memory();
    assert!(block_on(run.database.paths()).unwrap().len() > 100_000);
    run.write(100_000);
    let after_200_000 = run.memory();
    println!("in memory after 100,000 names: {after_100_000} bytes, after 200,000: {after_200_000}");
    assert!(after_100_000 < 32 * 1024 * 1024 && after_200_000 < 32 * 1024 * 1024);

    let mut excluding = Run::begin(&["seen"]);
    excluding.write(100_000);
    let paths = block_on(excluding.database.paths()).unwrap();
    assert_eq!(paths.iter().map(|known| known.path.as_str()).collect::<Vec<_>>(), ["kind"]);
    println!(
        "with the names kept out: {} bytes; stored {} instead of {}",
        excluding.memory(),
        excluding.blocks.bytes(),
        run.blocks.bytes()
    );
    assert!(excluding.memory() * 4 < after_100_000);
}
