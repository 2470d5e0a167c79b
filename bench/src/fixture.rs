//! The database that the cases begin with.
//!
//! It is filled once, as an app would: most documents in bulk, which go to segments, the last ones each on its own, which
//! stay in the memtable. Each case opens a store of its own over a copy of the blocks, so that none sees what another wrote.

use std::cell::RefCell;

use firkin_core::database::{Database, Options, WriteOptions};
use firkin_core::effects::Random;
use firkin_core::json::{self, Value};
use firkin_core::query::FindQuery;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Durability, Kv};

use crate::documents::{self, SplitMix};
use crate::now;

/// The store of browsers, over blocks in memory.
pub type Store = LogStore<MemoryBlocks>;
/// The engine over it.
pub type Engine = Database<Store>;

/// How many documents are written at once.
const AT_ONCE: usize = 1000;
/// How many are written each on its own.
const ONE_BY_ONE: usize = 100;

/// Documents, and the blocks of a database that holds them.
#[derive(Debug)]
pub struct Fixture {
    texts: Vec<String>,
    blocks: MemoryBlocks,
}

impl Fixture {
    /// A database of so many documents.
    #[must_use]
    pub fn new(documents: usize) -> Self {
        let texts: Vec<String> = (0..documents).map(|place| documents::text(place, documents, 0)).collect();
        let (in_bulk, one_by_one) = texts.split_at(documents.saturating_sub(ONE_BY_ONE));
        let database = open(empty_store());
        for texts in in_bulk.chunks(AT_ONCE) {
            write_all(&database, texts);
        }
        for text in one_by_one {
            now(database.put(text.as_bytes(), &WriteOptions::default())).unwrap();
        }
        let blocks = database.kv().blocks().clone();
        Self { texts, blocks }
    }

    /// How many documents there are.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.texts.len()
    }

    /// The JSON texts of the documents, as they were written.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The filled database, for one case alone.
    #[must_use]
    pub fn database(&self) -> Engine {
        self.copies()()
    }

    /// Makes one filled database after the other, for a case whose iterations each need their own.
    pub fn copies(&self) -> impl Fn() -> Engine + use<> {
        let blocks = self.blocks.clone();
        move || {
            let copy = copy(&blocks);
            open(now(LogStore::open(copy, StoreOptions::new(*b"the second epoch"))).unwrap())
        }
    }

    /// The ids of the documents that answer `query`, in its order, found without an index.
    #[must_use]
    pub fn answer(&self, query: &FindQuery) -> Vec<String> {
        let documents = self.texts.iter().map(|text| json::parse(text.as_bytes()).unwrap());
        let matching = documents.filter(|document| query.selector.matches(document));
        let mut places: Vec<Vec<Value>> = matching.filter_map(|document| query.place_of(&document)).collect();
        places.sort_by(|left, right| query.compare(left, right));
        places.truncate(query.limit.map_or(usize::MAX, |limit| limit as usize));
        places.iter().map(|place| place.last().unwrap().as_str().unwrap().to_owned()).collect()
    }
}

fn copy(blocks: &MemoryBlocks) -> MemoryBlocks {
    let keys = now(blocks.keys(BlockKey::MANIFEST, BlockKey::from_u64(u64::MAX))).unwrap();
    let contents = now(blocks.read(&keys)).unwrap();
    let puts = keys.into_iter().zip(contents.into_iter().flatten()).collect();
    let copy = MemoryBlocks::new();
    now(copy.commit(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed)).unwrap();
    copy
}

/// A store without a block.
#[must_use]
pub fn empty_store() -> Store {
    now(LogStore::open(MemoryBlocks::new(), StoreOptions::new(*b"the first epoch!"))).unwrap()
}

/// The engine over `kv`.
pub fn open<K: Kv>(kv: K) -> Database<K> {
    now(Database::open(kv, &Seeded(RefCell::new(SplitMix::new(1))), Options::default())).unwrap()
}

/// Writes new documents as one commit; how many were written.
pub fn write_all<K: Kv, T: AsRef<[u8]>>(database: &Database<K>, texts: &[T]) -> usize {
    let texts: Vec<&[u8]> = texts.iter().map(AsRef::as_ref).collect();
    let rows = now(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    rows.iter().filter(|row| row.is_ok()).count()
}

struct Seeded(RefCell<SplitMix>);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.0.borrow_mut().below(256) as u8);
    }
}
