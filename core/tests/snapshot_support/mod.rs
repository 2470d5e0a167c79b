//! Databases of which snapshots are made, and fresh ones that take them.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each test uses a part of it, and fails by panicking")]

use firkin_core::database::{Database, Options as DatabaseOptions, Since, WriteOptions};
use firkin_core::storage::blocks::Blocks;
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use pollster::block_on;
use serde_json::json;

use crate::repair_support::{Replica, store_options};
use crate::replication_support::{Memory, Seeded, database, put};

/// Documents of most kinds, and records that are the replica's alone.
pub async fn filled(seed: u64, documents: usize) -> Memory {
    let there = database(seed).await;
    let texts: Vec<String> = (0..documents)
        .map(|n| {
            let deep = json!({"n": [n % 11, (n + 1) % 11]});
            json!({"_id": format!("d{n:04}"), "number": n % 11, "deep": deep, "text": "words ".repeat(n % 60)})
                .to_string()
        })
        .collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    there.bulk_docs(&texts, true, &WriteOptions::default()).await.unwrap();
    for text in [
        r#"{"_id":"c","_rev":"2-bbbb","_revisions":{"start":2,"ids":["bbbb","aaaa"]},"number":1,
            "_attachments":{"h.txt":{"content_type":"text/plain","revpos":1,"digest":"md5-iMaiC8wqiFlD2NjLTemvCQ==","data":"aGVsbG8="}}}"#,
        r#"{"_id":"c","_rev":"2-CCCC","_revisions":{"start":2,"ids":["CCCC","aaaa"]},"number":2}"#,
        r#"{"_id":"merge","_rev":"2-bbbb","_revisions":{"start":2,"ids":["bbbb","aaaa"]},"firkin":{"merged":["2-cccc"]}}"#,
        r#"{"_id":"gone","_rev":"2-b","_revisions":{"start":2,"ids":["b","a"]},"_deleted":true}"#,
    ] {
        let rows = there.bulk_docs(&[text.as_bytes()], false, &WriteOptions::default()).await.unwrap();
        assert!(rows.iter().all(Result::is_ok));
    }
    put(&there, r#"{"_id":"_local/there","secret":true}"#).await;
    there.open_consumer("there", &Since::Start).await.unwrap();
    there.stage("unfinished", 0, &vec![7; 2_500_000]).await.unwrap();
    there
}

/// Opens a store that writes in small steps.
pub fn opened<B: Blocks>(blocks: B, seed: u8) -> Database<LogStore<B>> {
    let options = StoreOptions { step_bytes: 20_000, ..store_options(seed, true) };
    let store = block_on(LogStore::open(blocks, options)).unwrap();
    block_on(Database::open(store, &Seeded::new(seed.into()), DatabaseOptions::default())).unwrap()
}

pub fn fresh(seed: u8) -> (MemoryBlocks, Replica) {
    let blocks = MemoryBlocks::new();
    (blocks.clone(), opened(blocks, seed))
}
