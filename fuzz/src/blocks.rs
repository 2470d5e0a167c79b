//! Stored blocks: the manifest, the log and segments, damaged and then sealed again, so that no checksum stops the damage.
//!
//! The input says what happens to the blocks of a small store (see `damage`). The store opens, reads, writes and compacts, or
//! reports the damage.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use firkin_core::storage::blocks::{BLOCK_BYTES_MAX, BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use pollster::block_on;
use twox_hash::XxHash32;

use super::damage::{Entry, damaged};

/// A damaged index can send a search round and round; a store that reads this often is not waited for.
const READS_MAX: usize = 2_000;
const CHECKSUM_BYTES: usize = 4;

/// Damages a store as the input says and uses it.
pub fn run(input: &[u8]) {
    static SAMPLE: OnceLock<Vec<Entry>> = OnceLock::new();
    let sample = SAMPLE.get_or_init(|| block_on(sample()));
    let entries = damaged(sample.clone(), input);
    block_on(use_store(&entries));
}

fn options() -> StoreOptions {
    let (memtable_bytes_max, log_blocks_max) = (1_500, 8);
    StoreOptions { memtable_bytes_max, log_blocks_max, cache_bytes: 0, step_bytes: 4_096, ..StoreOptions::new([1; 16]) }
}

/// The blocks of a store with several segments, a large value, deletions and a log, without their checksums.
async fn sample() -> Vec<Entry> {
    let store = LogStore::open(MemoryBlocks::new(), options()).await.expect("memory does not fail");
    for round in 0..12_u32 {
        let mut batch = Batch::new();
        for number in 0..12 {
            let key = format!("a/path/{:03}", (number * 7 + round * 13) % 60).into_bytes();
            match number % 5 {
                0 => batch.delete(&key),
                _ => batch.put(&key, format!("{round}/{number}").as_bytes()),
            }
        }
        if round == 5 {
            batch.put(b"large", &[b'l'; 70_000]);
        }
        store.commit(batch, Durability::Relaxed).await.expect("memory does not fail");
    }
    let keys = store.blocks().keys(BlockKey::MANIFEST, BlockKey::epoch()).await.expect("memory does not fail");
    let blocks = store.blocks().read(&keys).await.expect("memory does not fail");
    let entry = |(key, block): (&BlockKey, Option<Vec<u8>>)| {
        let mut block = block.expect("it is listed");
        block.truncate(block.len() - CHECKSUM_BYTES);
        (key.as_u64().to_be_bytes().to_vec(), block)
    };
    keys.iter().zip(blocks).filter(|(key, _)| **key != BlockKey::epoch()).map(entry).collect()
}

async fn use_store(entries: &[Entry]) {
    let blocks = Bounded { blocks: MemoryBlocks::new(), reads: Cell::new(0) };
    let puts = entries.iter().filter_map(|(name, content)| {
        let number = u64::from_be_bytes(name.as_slice().try_into().ok()?);
        let key = BlockKey::from_u64(number);
        (content.len() + CHECKSUM_BYTES <= BLOCK_BYTES_MAX && key != BlockKey::epoch())
            .then(|| (key, sealed(number, content)))
    });
    let batch = BlockBatch { puts: puts.collect(), ..BlockBatch::default() };
    blocks.commit(batch, Durability::Relaxed).await.expect("memory does not fail");
    let Ok(store) = LogStore::open(blocks, options()).await else { return };
    let _ = read_all(&store).await;
    for round in 0..3_u8 {
        let mut batch = Batch::new();
        batch.put(b"a/path/007", &[round; 700]);
        batch.delete(b"large");
        if store.commit(batch, Durability::Relaxed).await.is_err() {
            return;
        }
    }
    let _ = read_all(&store).await;
    store.close().await;
}

async fn read_all(store: &LogStore<Bounded>) -> Result<(), StorageError> {
    let snapshot = store.snapshot()?;
    let mut found = BTreeMap::new();
    for direction in [Direction::Forward, Direction::Backward] {
        let mut cursor = snapshot.range(KeyRange::all(), direction)?;
        while cursor.advance().await? {
            found.insert(cursor.key().to_vec(), cursor.value().len());
        }
    }
    for key in found.keys() {
        snapshot.get(key).await?;
    }
    let mut cursor = snapshot
        .range(KeyRange { start: b"a/path/02".to_vec(), end: Some(b"a/path/05".to_vec()) }, Direction::Backward)?;
    while cursor.advance().await? {}
    Ok(())
}

fn sealed(number: u64, content: &[u8]) -> Vec<u8> {
    let checksum = XxHash32::oneshot(XxHash32::oneshot(0, &number.to_le_bytes()), content);
    [content, &checksum.to_le_bytes()].concat()
}

/// Blocks that fail after many reads.
struct Bounded {
    blocks: MemoryBlocks,
    reads: Cell<usize>,
}

impl Blocks for Bounded {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.reads.set(self.reads.get() + 1);
        if self.reads.get() > READS_MAX {
            return Err(StorageError::Failed("there is no end to it".into()));
        }
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        self.blocks.commit(batch, durability).await
    }
}
