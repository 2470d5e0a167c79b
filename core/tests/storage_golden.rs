//! Golden files of the stored format: a store of every released version is read, and this version writes what it always wrote.
//!
//! `FIRKIN_WRITE_GOLDEN=1 cargo test -p firkin-core --test storage_golden` writes the file of the current version, for a format
//! that has not been released. A file is a row of blocks: name (8 bytes), length (4), both highest byte first, then the bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code, unused_macros)]
mod storage_conformance;

use std::fs;
use std::path::PathBuf;

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Durability, FORMAT_VERSION, Kv};
use pollster::block_on;
use storage_conformance::{Model, assert_equals};

fn path(version: u32) -> PathBuf {
    PathBuf::from(format!("{}/../tests/vectors/store/format-{version}.blocks", env!("CARGO_MANIFEST_DIR")))
}

fn options() -> StoreOptions {
    StoreOptions { unfiltered: b"i", ..StoreOptions::new(*b"the golden epoch") }
}

/// What the golden stores hold: a segment with an index, a filter and a large value, one that was merged away, and a log.
async fn sample() -> (MemoryBlocks, Model) {
    let options = StoreOptions { logged_batch_bytes_max: 5_000, ..options() };
    let store = LogStore::open(MemoryBlocks::new(), options).await.unwrap();
    let mut model = Model::new();
    for round in 0..5_u32 {
        let mut batch = Batch::new();
        let mut put = |key: Vec<u8>, value: Vec<u8>| {
            batch.put(&key, &value);
            model.insert(key, value);
        };
        // The last round stays in the log.
        for number in 0..if round == 4 { 10 } else { 200 } {
            put(
                format!("d/{:04}", number * 4 + round).into_bytes(),
                format!("{round}/{number} ").repeat(6).into_bytes(),
            );
        }
        if round == 1 {
            put(b"large".to_vec(), (0..62_000_u32).map(|place| (place / 300) as u8).collect());
            put(Vec::new(), b"the empty key".to_vec());
        }
        for number in (0..40).step_by(3) {
            let key = format!("d/{:04}", number * 4).into_bytes();
            batch.delete(&key);
            model.remove(&key);
        }
        store.commit(batch, Durability::Relaxed).await.unwrap();
        if round == 3 {
            while store.maintain(10_000).await.unwrap() {}
        }
    }
    (store.blocks().clone(), model)
}

async fn to_file(blocks: &MemoryBlocks) -> Vec<u8> {
    let keys = blocks.keys(BlockKey::MANIFEST, BlockKey::epoch()).await.unwrap();
    let mut file = Vec::new();
    for (key, block) in keys.iter().zip(blocks.read(&keys).await.unwrap().into_iter().flatten()) {
        file.extend_from_slice(&key.as_u64().to_be_bytes());
        file.extend_from_slice(&(block.len() as u32).to_be_bytes());
        file.extend_from_slice(&block);
    }
    file
}

async fn from_file(mut file: &[u8]) -> MemoryBlocks {
    let mut puts = Vec::new();
    while let Some((key, rest)) = file.split_first_chunk() {
        let (bytes, rest) = rest.split_first_chunk().unwrap();
        let (block, rest) = rest.split_at(u32::from_be_bytes(*bytes) as usize);
        puts.push((BlockKey::from_u64(u64::from_be_bytes(*key)), block.to_vec()));
        file = rest;
    }
    let blocks = MemoryBlocks::new();
    blocks.commit(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed).await.unwrap();
    blocks
}

#[test]
fn stores_of_every_version_are_read_and_written_to() {
    block_on(async {
        let (written, mut model) = sample().await;
        if std::env::var_os("FIRKIN_WRITE_GOLDEN").is_some() {
            fs::create_dir_all(path(FORMAT_VERSION).parent().unwrap()).unwrap();
            fs::write(path(FORMAT_VERSION), to_file(&written).await).unwrap();
        }
        for version in 1..=FORMAT_VERSION {
            let blocks = from_file(&fs::read(path(version)).unwrap()).await;
            let store = LogStore::open(blocks, options()).await.unwrap();
            assert_equals(&store.snapshot().unwrap(), &model).await;
            let mut batch = Batch::new();
            batch.put(b"later", b"value");
            store.commit(batch, Durability::Relaxed).await.unwrap();
            model.insert(b"later".to_vec(), b"value".to_vec());
            let store = LogStore::open(store.blocks().clone(), options()).await.unwrap();
            assert_equals(&store.snapshot().unwrap(), &model).await;
            model.remove(&b"later"[..]);
        }
    });
}

#[test]
fn this_version_writes_what_its_golden_file_holds() {
    block_on(async {
        let (written, _) = sample().await;
        assert!(to_file(&written).await == fs::read(path(FORMAT_VERSION)).unwrap(), "the stored format has changed");
    });
}
