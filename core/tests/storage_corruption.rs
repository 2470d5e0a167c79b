//! Damage: whatever happens to a block, what is served is right or the error names the block.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use pollster::block_on;
use twox_hash::XxHash32;

type Image = BTreeMap<BlockKey, Vec<u8>>;
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> StoreOptions {
    StoreOptions { memtable_bytes_max: 4_000, log_blocks_max: 8, ..StoreOptions::new([1; 16]) }
}

async fn image_of(blocks: &impl Blocks) -> Image {
    let keys = blocks.keys(BlockKey::MANIFEST, BlockKey::epoch()).await.unwrap();
    let found = blocks.read(&keys).await.unwrap();
    keys.into_iter().zip(found.into_iter().flatten()).collect()
}

async fn blocks_of(image: &Image) -> MemoryBlocks {
    let blocks = MemoryBlocks::new();
    let puts = image.iter().map(|(key, block)| (*key, block.clone())).collect();
    blocks.commit(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed).await.unwrap();
    blocks
}

/// A store with several segments, a deep index, large values, old versions, deletions and a log tail.
async fn sample() -> (Image, Model) {
    let store = LogStore::open(MemoryBlocks::new(), options()).await.unwrap();
    let mut model = Model::new();
    for round in 0..17_u32 {
        let mut batch = Batch::new();
        for number in 0..30 {
            let key = format!("a/path/{:03}", (number * 7 + round * 13) % 200).into_bytes();
            if number % 5 == 0 {
                batch.delete(&key);
                model.remove(&key);
            } else {
                let value = format!("{round}/{number}").into_bytes();
                batch.put(&key, &value);
                model.insert(key, value);
            }
        }
        if round == 9 {
            let value: Vec<u8> = (0..70_000_u32).map(|position| (position / 11) as u8).collect();
            batch.put(b"large", &value);
            model.insert(b"large".to_vec(), value);
        }
        store.commit(batch, Durability::Relaxed).await.unwrap();
    }
    let mut batch = Batch::new();
    batch.put(b"in the log", &[b'x'; 1000]);
    model.insert(b"in the log".to_vec(), vec![b'x'; 1000]);
    store.commit(batch, Durability::Relaxed).await.unwrap();
    let image = image_of(store.blocks()).await;
    assert!(image.keys().any(|key| *key == BlockKey::log(key.number())), "something is in the log");
    (image, model)
}

/// Opens a damaged store and reads everything; `true` if some of it was reported as damaged.
async fn reports_or_is_right(image: &Image, model: &Model, what: &str) -> bool {
    let store = match LogStore::open(blocks_of(image).await, options()).await {
        Ok(store) => store,
        Err(StorageError::Corrupt(_)) => return true,
        Err(error) => panic!("{what}: {error}"),
    };
    let snapshot = store.snapshot().unwrap();
    let mut is_reported = false;
    for (key, value) in model {
        match snapshot.get(key).await {
            Ok(found) => assert_eq!(found.as_ref(), Some(value), "{what}"),
            Err(StorageError::Corrupt(_)) => is_reported = true,
            Err(error) => panic!("{what}: {error}"),
        }
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let mut cursor = snapshot.range(KeyRange::all(), direction).unwrap();
        let mut expected: Vec<_> = model.iter().collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        let mut expected = expected.into_iter();
        loop {
            match cursor.advance().await {
                Ok(true) => {
                    assert!(expected.next() == Some((&cursor.key().to_vec(), &cursor.value().to_vec())), "{what}")
                }
                Ok(false) => break assert!(expected.next().is_none(), "{what}"),
                Err(StorageError::Corrupt(_)) => break is_reported = true,
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
    is_reported
}

/// The epoch says who may write, not what is stored: every open replaces it.
fn stored(image: &Image) -> Vec<BlockKey> {
    image.keys().copied().filter(|key| *key != BlockKey::epoch()).collect()
}

#[test]
fn a_flipped_byte_is_never_served() {
    block_on(async {
        let (image, model) = sample().await;
        assert!(!reports_or_is_right(&image, &model, "nothing is damaged").await);
        let mut reported = 0;
        for key in stored(&image) {
            let bytes = image[&key].len();
            // Every byte of a small block; of a large one the ends, and some between.
            for position in (0..bytes).filter(|at| bytes < 3_000 || at % 611 == 0 || at + 24 > bytes || *at < 8) {
                let mut damaged = image.clone();
                damaged.get_mut(&key).unwrap()[position] ^= 1 << (position % 8);
                reported += usize::from(reports_or_is_right(&damaged, &model, &format!("{key:?} at {position}")).await);
            }
        }
        assert!(reported > 1_000, "only {reported} flips were noticed");
    });
}

#[test]
fn cut_lost_and_exchanged_blocks_are_never_served() {
    block_on(async {
        let (image, model) = sample().await;
        let keys = stored(&image);
        let mut noticed = 0;
        for key in &keys {
            for kept in [0, 1, 4, 5, 6, image[key].len() / 2, image[key].len() - 1] {
                let mut damaged = image.clone();
                damaged.get_mut(key).unwrap().truncate(kept);
                noticed += usize::from(reports_or_is_right(&damaged, &model, &format!("{key:?} cut to {kept}")).await);
            }
            for other in keys.iter().filter(|other| *other != key) {
                let mut damaged = image.clone();
                damaged.insert(*key, image[other].clone());
                noticed += usize::from(reports_or_is_right(&damaged, &model, &format!("{other:?} at {key:?}")).await);
            }
            // The last log record may be lost with the power: nobody can tell that it was there.
            if Some(key) != keys.iter().rfind(|key| **key == BlockKey::log(key.number())) {
                let mut damaged = image.clone();
                damaged.remove(key);
                noticed += usize::from(reports_or_is_right(&damaged, &model, &format!("{key:?} lost")).await);
            }
        }
        assert!(noticed > keys.len() * 3);
    });
}

/// The names of the log's blocks after three commits: the bar of the open, one block, two and four.
async fn log_sample() -> (Image, Vec<BlockKey>) {
    let store = LogStore::open(MemoryBlocks::new(), StoreOptions::new([1; 16])).await.unwrap();
    for (key, bytes) in [(b"1", 10), (b"2", 100_000), (b"3", 200_000)] {
        let mut batch = Batch::new();
        batch.put(key, &vec![7; bytes]);
        store.commit(batch, Durability::Strict).await.unwrap();
    }
    let image = image_of(store.blocks()).await;
    let log = image.keys().copied().filter(|key| *key == BlockKey::log(key.number())).collect();
    (image, log)
}

async fn keys_after(image: &Image) -> Result<Vec<Vec<u8>>, StorageError> {
    // Twice, with a commit between: what the first open tidies must not trip the second.
    let mut found = Vec::new();
    let blocks = blocks_of(image).await;
    for epoch in 2..4 {
        let store = LogStore::open(blocks.clone(), StoreOptions::new([epoch; 16])).await?;
        let mut cursor = store.snapshot()?.range(KeyRange::prefix(b""), Direction::Forward)?;
        found.clear();
        while cursor.advance().await? {
            found.push(cursor.key().to_vec());
        }
        found.retain(|key| key != b"later");
        let mut batch = Batch::new();
        batch.put(b"later", b"");
        store.commit(batch, Durability::Relaxed).await?;
    }
    Ok(found)
}

#[test]
fn a_suffix_of_the_log_may_be_lost_but_never_a_hole() {
    block_on(async {
        let (image, log) = log_sample().await;
        assert_eq!(log.len(), 1 + 1 + 2 + 4);
        for kept in 0..=log.len() {
            let mut cut = image.clone();
            log[kept..].iter().for_each(|key| drop(cut.remove(key)));
            let records = usize::from(kept >= 2) + usize::from(kept >= 4) + usize::from(kept >= 8);
            assert_eq!(keys_after(&cut).await.unwrap().len(), records, "{kept} of 8 blocks");
        }
        for (hole, block) in log.iter().enumerate().take(log.len() - 1) {
            let mut cut = image.clone();
            cut.remove(block);
            assert_eq!(keys_after(&cut).await, Err(StorageError::Corrupt(format!("log block {hole} is missing"))),);
        }
    });
}

#[test]
fn a_lost_manifest_is_not_taken_for_an_empty_store() {
    block_on(async {
        let (mut image, _) = sample().await;
        image.remove(&BlockKey::MANIFEST);
        let opened = LogStore::open(blocks_of(&image).await, options()).await.map(drop);
        assert_eq!(opened, Err(StorageError::Corrupt("the manifest is missing".into())));
    });
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_left_alone() {
    block_on(async {
        let (mut image, _) = sample().await;
        let manifest = image.get_mut(&BlockKey::MANIFEST).unwrap();
        // Kind, magic, version, …, checksum over the name and the rest.
        manifest[7] = 2;
        let framed = manifest.len() - 4;
        let of_name = XxHash32::oneshot(0, &BlockKey::MANIFEST.as_u64().to_le_bytes());
        let checksum = XxHash32::oneshot(of_name, &manifest[..framed]);
        manifest[framed..].copy_from_slice(&checksum.to_le_bytes());
        let blocks = blocks_of(&image).await;
        let opened = LogStore::open(blocks.clone(), StoreOptions::new([9; 16])).await.map(drop);
        assert_eq!(opened, Err(StorageError::FormatTooNew { found: 2, supported: 1 }));
        assert_eq!(image_of(&blocks).await, image, "nobody is fenced off");
    });
}
