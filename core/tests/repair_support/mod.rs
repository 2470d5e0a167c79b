//! What the tests of repairs share: a small database of every kind of record, copies of it with damaged blocks, and what must hold
//! of a database that was repaired.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each suite uses a part of it"
)]

use std::collections::{BTreeMap, BTreeSet};

use firkin_core::database::{
    ChangesQuery, Database, GetOptions, LostRevision, OpenRev, OpenRevs, Options, Repaired, Since, WriteOptions,
};
use firkin_core::document::keys;
use firkin_core::query::FindQuery;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Durability, StorageError};
use pollster::block_on;
use serde_json::{Value, json};

use crate::common::{Seeded, content, get, put, replicate};

pub type Replica = Database<LogStore<MemoryBlocks>>;
pub type Image = BTreeMap<BlockKey, Vec<u8>>;
/// Documents by id and revision.
pub type Bodies = BTreeMap<(String, String), Value>;

/// A store, and all that was ever written to it.
pub struct Sample {
    pub image: Image,
    pub written: Bodies,
}

/// How a store is opened: with one great memtable, or with many small segments.
pub fn store_options(opening: u8, is_small: bool) -> StoreOptions {
    let options = StoreOptions { unfiltered: keys::WALKED, ..StoreOptions::new([opening; 16]) };
    if is_small { StoreOptions { memtable_bytes_max: 12_000, log_blocks_max: 12, ..options } } else { options }
}

pub fn open(blocks: &MemoryBlocks, opening: u8, is_small: bool) -> Result<Replica, StorageError> {
    block_on(async {
        let store = LogStore::open(blocks.clone(), store_options(opening, is_small)).await?;
        Database::open(store, &Seeded::new(opening.into()), Options::default()).await
    })
}

pub fn repair(image: &Image) -> (Replica, Repaired, MemoryBlocks) {
    let blocks = blocks_of(image);
    let (database, repaired) = block_on(try_repair(blocks.clone(), 77)).unwrap();
    (database, repaired, blocks)
}

/// Repairs and opens.
pub async fn try_repair<B: Blocks>(blocks: B, opening: u8) -> Result<(Database<LogStore<B>>, Repaired), StorageError> {
    let (random, options) = (Seeded::new(opening.into()), Options::default());
    let (store, repaired) = Database::repair(blocks, store_options(opening, true), &random, &options).await?;
    Ok((Database::open(store, &random, options).await?, repaired))
}

pub fn image_of(blocks: &MemoryBlocks) -> Image {
    let keys = block_on(blocks.keys(BlockKey::MANIFEST, BlockKey::epoch())).unwrap();
    let found = block_on(blocks.read(&keys)).unwrap();
    keys.into_iter().zip(found.into_iter().flatten()).collect()
}

pub fn blocks_of(image: &Image) -> MemoryBlocks {
    let blocks = MemoryBlocks::new();
    let puts = image.iter().map(|(key, block)| (*key, block.clone())).collect();
    block_on(blocks.commit(BlockBatch { puts, ..BlockBatch::default() }, Durability::Relaxed)).unwrap();
    blocks
}

/// The blocks that hold something of the store.
pub fn stored(image: &Image) -> Vec<BlockKey> {
    image.keys().copied().filter(|key| *key != BlockKey::epoch()).collect()
}

/// The image with one block that cannot be read: a byte of it is another, or it is not there at all.
pub fn damaged(image: &Image, name: BlockKey, is_lost: bool) -> Image {
    let mut image = image.clone();
    if is_lost {
        image.remove(&name);
    } else {
        let block = image.get_mut(&name).unwrap();
        let place = block.len() / 2;
        block[place] ^= 0x10;
    }
    image
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Documents with histories, branches, tombstones, attachments that share contents, a purged one, old bodies that were dropped,
/// a local document, a consumer; of each enough to fill blocks. All that was written.
pub fn fill(database: &Replica, is_small: bool) -> Bodies {
    let documents = if is_small { 12 } else { 60 };
    for number in 0..documents {
        let id = format!("d{number:03}");
        let text = "words of a document ".repeat(10 + number % 7);
        let mut rev = None;
        for edit in 0..=number % 4 {
            let mut document =
                json!({ "_id": id, "edit": edit, "number": number % 5, "text": text, "deep": { "n": [number, edit] } });
            if let Some(rev) = &rev {
                document["_rev"] = json!(rev);
            }
            if number % 3 == 0 {
                let data = base64(format!("content {}", number % 2).as_bytes());
                document["_attachments"] = json!({ "a": { "content_type": "text/plain", "data": data } });
            }
            rev = Some(put(database, &document).unwrap());
        }
        if number % 6 == 5 {
            block_on(database.remove(&id, &rev.unwrap(), &WriteOptions::default())).unwrap();
        } else if number % 6 == 4 {
            let branch = json!({ "_id": id, "_rev": "2-ff", "_revisions": { "start": 2, "ids": ["ff", "ee"] }, "number": 9, "text": text });
            assert_eq!(replicate(database, &[branch]), []);
        }
    }
    let purged = put(database, &json!({ "_id": "purged", "secret": true })).unwrap();
    let mut written = bodies(database);
    block_on(database.purge("purged", &purged, &WriteOptions::default())).unwrap();
    block_on(database.put_local(b"{\"_id\":\"_local/here\",\"kept\":1}")).unwrap();
    block_on(database.open_consumer("reader", &Since::Now)).unwrap();
    block_on(database.compact()).unwrap();
    let long: Vec<u8> = (0..150_000_u32).map(|place| (place / 7) as u8).collect();
    let document = json!({ "_id": "long", "number": 1, "_attachments": { "file": { "data": base64(&long) } } });
    put(database, &document).unwrap();
    let large = json!({ "_id": "large", "number": 2, "text": "letters".repeat(43_000) });
    put(database, &large).unwrap();
    written.append(&mut bodies(database));
    written
}

/// A database in one segment, of whose blocks each holds few kinds of records.
pub fn in_one_segment() -> Sample {
    let blocks = MemoryBlocks::new();
    let database = open(&blocks, 1, false).unwrap();
    let written = fill(&database, false);
    let segments: BTreeSet<u64> = stored(&image_of(&blocks))
        .iter()
        .filter(|key| **key == BlockKey::segment(key.number()))
        .map(|key| key.number() >> 20)
        .collect();
    assert_eq!(segments.len(), 1);
    Sample { image: image_of(&blocks), written }
}

/// A database in several segments, merged ones and small ones, with something in the log.
pub fn in_many_segments() -> Sample {
    let blocks = MemoryBlocks::new();
    let database = open(&blocks, 1, true).unwrap();
    let mut written = fill(&database, true);
    put(&database, &json!({ "_id": "last", "number": 3 })).unwrap();
    written.append(&mut bodies(&database));
    let image = image_of(&blocks);
    assert!(image.keys().any(|key| *key == BlockKey::log(key.number())), "something is in the log");
    Sample { image, written }
}

/// What a database holds: of each document the leaves, the winner first, each with its text as far as it is here.
pub fn leaves(database: &Replica) -> BTreeMap<String, Vec<(String, Option<Value>)>> {
    let query = ChangesQuery { all_leaves: true, ..ChangesQuery::default() };
    let page = block_on(database.changes(&query)).unwrap();
    let mut all = BTreeMap::new();
    for row in page.rows {
        let leaf = |rev: &String| {
            let get = GetOptions { attachments: true, revs: true, ..GetOptions::default() };
            let mut opened = block_on(database.open_revs(&row.id, OpenRevs::These(vec![rev.clone()]), &get)).unwrap();
            let text = match opened.remove(0) {
                OpenRev::Ok(text) => Some(serde_json::from_slice(&text).unwrap()),
                OpenRev::Missing(_) => None,
            };
            (rev.clone(), text)
        };
        let leaves: Vec<_> = row.revs.iter().map(leaf).collect();
        assert!(all.insert(row.id.clone(), leaves).is_none(), "{} stands twice in the feed", row.id);
    }
    all
}

/// Every revision that can be read, with its body and without its history.
pub fn bodies(database: &Replica) -> Bodies {
    let mut bodies = BTreeMap::new();
    for (id, leaves) in leaves(database) {
        for (rev, _) in leaves {
            let get = GetOptions { rev: Some(rev), revs_info: true, ..GetOptions::default() };
            let Ok(document) = self::get(database, &id, &get) else { continue };
            for row in document["_revs_info"].as_array().unwrap() {
                let rev = row["rev"].as_str().unwrap().to_owned();
                let get = GetOptions { rev: Some(rev.clone()), ..GetOptions::default() };
                if let Ok(document) = self::get(database, &id, &get) {
                    bodies.insert((id.clone(), rev), document);
                }
            }
        }
    }
    bodies
}

fn all_docs(database: &Replica) -> Vec<Value> {
    let query = firkin_core::database::AllDocsQuery { include_docs: true, ..Default::default() };
    let answer: Value = serde_json::from_slice(&block_on(database.all_docs(&query)).unwrap()).unwrap();
    assert_eq!(answer["total_rows"], answer["rows"].as_array().unwrap().len());
    answer["rows"].as_array().unwrap().iter().map(|row| row["doc"].clone()).collect()
}

/// A repaired database agrees with itself: index, counts, feed and documents tell the same, and it can be written.
pub fn check_consistent(database: &Replica, what: &str) {
    let documents = all_docs(database);
    assert!(documents.iter().all(Value::is_object), "{what}");
    let found = |query: Value| -> BTreeSet<String> {
        let page = block_on(database.find(&FindQuery::parse(query.to_string().as_bytes()).unwrap()));
        let docs = page.unwrap_or_else(|error| panic!("{what}: {query}: {error}")).docs;
        docs.iter().map(|doc| serde_json::from_slice::<Value>(doc).unwrap()["_id"].as_str().unwrap().into()).collect()
    };
    let scanned = |matches: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
        documents.iter().filter(|doc| matches(doc)).map(|doc| doc["_id"].as_str().unwrap().into()).collect()
    };
    assert_eq!(found(json!({ "selector": {} })), scanned(&|_| true), "{what}");
    for number in 0..11 {
        let selector = json!({ "selector": { "number": number } });
        assert_eq!(found(selector), scanned(&|doc| doc["number"] == number), "{what}");
        let selector = json!({ "selector": { "deep.n": { "$elemMatch": { "$eq": number } } } });
        let holds = |doc: &Value| doc["deep"]["n"].as_array().is_some_and(|all| all.contains(&json!(number)));
        assert_eq!(found(selector), scanned(&holds), "{what}");
    }
    let info = block_on(database.info()).unwrap();
    assert_eq!(info.doc_count as usize, documents.len(), "{what}");
    let feed = block_on(database.changes(&ChangesQuery::default())).unwrap();
    assert_eq!(feed.rows.iter().filter(|row| row.deleted).count() as u64, info.doc_del_count, "{what}");
    assert_eq!(feed.last_seq, feed.rows.last().map_or(feed.last_seq.clone(), |row| row.seq.clone()), "{what}");
    let mut since = Since::Start;
    let mut walked = 0;
    loop {
        let page =
            block_on(database.changes(&ChangesQuery { since, limit: Some(3), ..ChangesQuery::default() })).unwrap();
        walked += page.rows.len();
        if page.rows.is_empty() {
            break;
        }
        since = Since::Token(page.last_seq);
    }
    assert_eq!(walked, feed.rows.len(), "{what}");
    for doc in documents.iter().filter(|doc| doc["_attachments"].is_object()) {
        let id = doc["_id"].as_str().unwrap();
        for name in doc["_attachments"].as_object().unwrap().keys() {
            let read = content(database, id, name, None);
            assert!(read.is_ok() || read.as_ref().is_err_and(|error| error.0 == 404), "{what}: {read:?}");
        }
    }
}

/// Each document of the database can be written, and what is written is found.
pub fn check_writable(database: &Replica, what: &str) {
    for (id, leaves) in leaves(database) {
        let (rev, _) = &leaves[0];
        let written = put(database, &json!({ "_id": id, "_rev": rev, "number": 10 }));
        assert!(written.is_ok(), "{what}: {id}: {written:?}");
    }
    put(database, &json!({ "_id": "new", "number": 10 })).unwrap();
    block_on(database.compact()).unwrap();
    check_consistent(database, what);
}

/// Brings what `here` lacks of `there`, as a replication does.
pub fn bring_back(here: &Replica, there: &Replica) {
    for (id, leaves) in leaves(there) {
        let asked = vec![(id.clone(), leaves.iter().map(|(rev, _)| rev.clone()).collect())];
        for row in block_on(here.revs_diff(&asked)).unwrap() {
            let sent: Vec<Value> = leaves
                .iter()
                .filter(|(rev, _)| row.missing.contains(rev))
                .filter_map(|(_, text)| text.clone())
                .collect();
            assert_eq!(replicate(here, &sent), []);
        }
    }
}

/// What is told of a loss reads as lost.
pub fn check_lost(database: &Replica, lost: &[LostRevision], what: &str) {
    for LostRevision { id, rev, loss } in lost {
        let attachments = *loss == firkin_core::database::Loss::Attachments;
        let get = GetOptions { rev: Some(rev.clone()), attachments, ..GetOptions::default() };
        assert_eq!(self::get(database, id, &get), Err((404, "not_found", "missing".into())), "{what}: {id} {rev}");
    }
}
