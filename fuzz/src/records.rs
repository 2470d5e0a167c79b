//! Stored records: keys, heads, revisions, nodes, postings and counters, read by the decoders and by a database over them.
//!
//! The input is given to the decoders as it is, and as damage (see `damage`) to the records of a small database.
//! Everything that can be asked of such a database is asked: it answers or reports the damage.

use std::sync::OnceLock;

use firkin_core::database::{AllDocsQuery, ChangesQuery, Database, GetOptions, OpenRevs, Options, Since, WriteOptions};
use firkin_core::document::{Head, keys};
use firkin_core::path::{Encoded, decode_value, encode_value, value_length};
use firkin_core::query::FindQuery;
use firkin_core::revision::{Node, Rev};
use firkin_core::storage::memory::MemoryKv;
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KEY_BYTES_MAX, KeyRange, Kv, Snapshot};
use pollster::block_on;

use super::damage::{Entry, damaged};
use super::query::Constant;

/// Decodes the input, then damages a database as it says.
pub fn run(input: &[u8]) {
    decode(input);
    static SAMPLE: OnceLock<Vec<Entry>> = OnceLock::new();
    let sample = SAMPLE.get_or_init(|| block_on(sample()));
    block_on(use_database(damaged(sample.clone(), input)));
}

/// What decodes must encode to bytes that decode to the same.
fn decode(input: &[u8]) {
    if let Some(length) = value_length(input) {
        assert_eq!(value_length(&input[..length]), Some(length), "an encoded value delimits itself");
    }
    let mut bytes = Vec::new();
    if let Some(value) = decode_value(input) {
        let whole = encode_value(&value, &mut bytes) == Encoded::Whole;
        assert!(whole, "what was read was not cut");
        assert_eq!(decode_value(&bytes), Some(value), "a value reads as it was written");
    }
    bytes.clear();
    if let Some((rev, rest)) = Rev::decode(input) {
        rev.encode(&mut bytes);
        assert_eq!([bytes.as_slice(), rest].concat(), input, "a revision has one stored form");
        assert_eq!(Rev::parse(&rev.to_string()).as_ref(), Ok(&rev), "a revision reads as it was written");
    }
    bytes.clear();
    if let Some((node, rest)) = Node::decode(input) {
        node.encode(&mut bytes);
        assert_eq!([bytes.as_slice(), rest].concat(), input, "a node has one stored form");
    }
    bytes.clear();
    if let Ok(head) = Head::decode(input) {
        head.encode(&mut bytes);
        assert_eq!(bytes, input, "a head has one stored form");
    }
    let _ = (keys::head_id(input), keys::change_seq(input));
}

const DOCUMENTS: [&str; 5] = [
    r#"{"_id":"a","name":"Alice","age":-1.5,"tags":["x","y",["z",{"deep":null}]]}"#,
    r#"{"_id":"b","name":"a text that is longer than sixty-four bytes, which is what a key keeps of a text","s":{"0":1}}"#,
    r#"{"_id":"c","name":"gone"}"#,
    r#"{"_id":"_design/d","views":{}}"#,
    r#"{"_id":"_local/l","checkpoint":7}"#,
];

const BRANCHES: [&str; 3] = [
    r#"{"_id":"e","_rev":"3-c","_revisions":{"start":3,"ids":["c","b","a"]},"name":"left","age":3}"#,
    r#"{"_id":"e","_rev":"3-d","_revisions":{"start":3,"ids":["d","b","a"]},"name":"right","age":4}"#,
    r#"{"_id":"e","_rev":"2-f","_revisions":{"start":2,"ids":["f","a"]},"_deleted":true}"#,
];

const QUERIES: [&str; 6] = [
    r#"{"selector":{}}"#,
    r#"{"selector":{"age":{"$gt":-2}}}"#,
    r#"{"selector":{"name":{"$beginsWith":"a text that is longer than sixty-four bytes, which is what a key"}}}"#,
    r#"{"selector":{},"sort":[{"name":"desc"}],"limit":2}"#,
    r#"{"selector":{"tags":{"$elemMatch":{"$eq":"x"}},"s.0":{"$exists":false}},"fields":["tags"]}"#,
    r#"{"selector":{"_id":{"$gte":"b"}},"sort":[{"_id":"desc"}]}"#,
];

/// The records of a small database that has one of everything.
async fn sample() -> Vec<Entry> {
    let database = open(MemoryKv::new()).await.expect("memory does not fail");
    let write = WriteOptions::default();
    for document in DOCUMENTS {
        database.put(document.as_bytes(), &write).await.expect("the documents are sound");
    }
    let gone = database.get("c", &GetOptions { revs: true, ..GetOptions::default() }).await.expect("it was written");
    let rev = String::from_utf8(gone).expect("JSON is text").split('"').nth(7).expect("_rev stands second").to_owned();
    database.remove("c", &rev, &write).await.expect("its revision is the leaf");
    database.bulk_docs(&BRANCHES.map(str::as_bytes), false, &write).await.expect("the branches are sound");
    let mut records = database.kv().snapshot().expect("open").range(KeyRange::all(), Direction::Forward).expect("open");
    let mut entries = Vec::new();
    while records.advance().await.expect("memory does not fail") {
        entries.push((records.key().to_vec(), records.value().to_vec()));
    }
    entries
}

async fn open(kv: MemoryKv) -> Option<Database<MemoryKv>> {
    Database::open(kv, &Constant, Options { revs_limit: 2, ..Options::default() }).await.ok()
}

/// Reads and writes in every way; nothing is expected of the answers.
async fn use_database(entries: Vec<Entry>) {
    let kv = MemoryKv::new();
    let mut batch = Batch::new();
    for (key, value) in entries.iter().filter(|(key, _)| key.len() <= KEY_BYTES_MAX) {
        batch.put(key, value);
    }
    kv.commit(batch, Durability::Relaxed).await.expect("memory does not fail");
    let Some(database) = open(kv).await else { return };
    let _ = database.info().await;
    for descending in [false, true] {
        let _ = database
            .all_docs(&AllDocsQuery { include_docs: true, conflicts: true, descending, ..AllDocsQuery::default() })
            .await;
        let (since, all_leaves) = (Since::Token("3-07070707".into()), descending);
        let changes = ChangesQuery { since, descending, include_docs: true, all_leaves, ..ChangesQuery::default() };
        if let Ok(page) = database.changes(&changes).await {
            page.rows.iter().for_each(|row| drop(row.to_json()));
        }
    }
    for query in QUERIES {
        let _ = database.find(&FindQuery::parse(query.as_bytes()).expect("the queries are sound")).await;
    }
    let get =
        GetOptions { revs: true, revs_info: true, conflicts: true, deleted_conflicts: true, ..GetOptions::default() };
    let force = WriteOptions { force: true, ..WriteOptions::default() };
    for id in ["a", "b", "c", "e", "_local/l"] {
        let _ = database.get(id, &GetOptions::default()).await;
        let _ = database.get(id, &get).await;
        let latest = GetOptions { latest: true, revs: true, attachments: true, ..GetOptions::default() };
        let _ = database.open_revs(id, OpenRevs::All, &latest).await;
        let asked = [(id.to_owned(), vec!["3-c".to_owned(), "4-x".to_owned()])];
        let _ = database.revs_diff(&asked).await;
        let _ = database.put(format!(r#"{{"_id":"{id}","name":"new"}}"#).as_bytes(), &force).await;
    }
    let _ = database.bulk_docs(&BRANCHES.map(str::as_bytes), false, &force).await;
    let _ = database.remove("e", "3-d", &force).await;
}
