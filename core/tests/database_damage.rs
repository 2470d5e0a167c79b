//! A database of which one block is damaged: what does not stand in that block is read as before, and what does is reported,
//! never passed over.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Seeded, get};
use firkin_core::database::{AllDocsQuery, Database, GetOptions, Options, WriteOptions};
use firkin_core::document::keys;
use firkin_core::query::FindQuery;
use firkin_core::storage::Durability;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use pollster::block_on;
use serde_json::{Value, json};

const DOCUMENTS: usize = 1_500;

type Replica = Database<LogStore<MemoryBlocks>>;

fn open(blocks: &MemoryBlocks) -> Option<Replica> {
    let options = StoreOptions { unfiltered: keys::WALKED, logged_batch_bytes_max: 1, ..StoreOptions::new([1; 16]) };
    block_on(async {
        let store = LogStore::open(blocks.clone(), options).await.ok()?;
        Database::open(store, &Seeded::new(1), Options::default()).await.ok()
    })
}

fn id(number: usize) -> String {
    format!("document {number:05}")
}

fn sample() -> MemoryBlocks {
    let blocks = MemoryBlocks::new();
    let database = open(&blocks).unwrap();
    let texts: Vec<String> = (0..DOCUMENTS)
        .map(|number| json!({ "_id": id(number), "number": number, "text": "words ".repeat(20) }).to_string())
        .collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    blocks
}

#[test]
fn what_does_not_stand_in_a_damaged_block_is_read_and_what_does_is_reported() {
    let image = sample();
    let names = block_on(image.keys(BlockKey::segment(0), BlockKey::segment((1 << 48) - 1))).unwrap();
    assert!(names.len() > 15, "{} blocks", names.len());
    let mut partly = 0;
    for name in &names {
        // A copy, of which this one block is damaged.
        let blocks = MemoryBlocks::new();
        let all = block_on(image.keys(BlockKey::MANIFEST, BlockKey::epoch())).unwrap();
        let mut puts: Vec<_> =
            all.iter().copied().zip(block_on(image.read(&all)).unwrap().into_iter().flatten()).collect();
        puts.iter_mut().filter(|(key, _)| key == name).for_each(|(_, block)| block[9] ^= 4);
        block_on(blocks.commit(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed)).unwrap();
        let Some(database) = open(&blocks) else { continue };
        let mut read = 0;
        for number in (0..DOCUMENTS).step_by(7) {
            match get(&database, &id(number), &GetOptions::default()) {
                Ok(document) => {
                    assert_eq!(document["number"], number);
                    read += 1;
                }
                Err((status, _, reason)) => {
                    assert_eq!(status, 500);
                    assert!(reason.contains(&format!("block {} of segment", name.number() % (1 << 20))), "{reason}");
                }
            }
        }
        let sampled = DOCUMENTS.div_ceil(7);
        partly += usize::from(read > sampled / 2 && read < sampled);
        // A walk over everything is whole, or says that it is not.
        if let Ok(answer) = block_on(database.all_docs(&AllDocsQuery { include_docs: true, ..AllDocsQuery::default() }))
        {
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!((answer["rows"].as_array().unwrap().len(), read), (DOCUMENTS, sampled));
        }
        for number in (0..DOCUMENTS).step_by(331) {
            let query = json!({ "selector": { "number": number } }).to_string();
            if let Ok(page) = block_on(database.find(&FindQuery::parse(query.as_bytes()).unwrap())) {
                assert_eq!(page.docs.len(), 1, "{query} with {name:?} damaged");
            }
        }
    }
    assert!(partly > 5, "of {} damaged blocks only {partly} left most documents readable and some not", names.len());
}
