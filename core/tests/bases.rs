//! The bodies that local edits grew from and that a peer has stay, whatever compaction drops.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, get, put, replicate, stored};
use firkin_core::database::{Database, GetOptions, Options};
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;
use serde_json::json;

fn open() -> Database<MemoryKv> {
    reopen(MemoryKv::new(), 7)
}

fn reopen(kv: MemoryKv, seed: u64) -> Database<MemoryKv> {
    block_on(Database::open(kv, &Seeded::new(seed), Options::default())).unwrap()
}

/// Edits the document so many times; the revisions.
fn edit(database: &Database<MemoryKv>, mut rev: Option<String>, times: usize) -> Vec<String> {
    let mut revs = Vec::new();
    for n in 0..times {
        let mut document = json!({ "_id": "d", "n": n, "after": rev });
        if let Some(rev) = &rev {
            document["_rev"] = json!(rev);
        }
        let written = put(database, &document).unwrap();
        revs.push(written.clone());
        rev = Some(written);
    }
    revs
}

/// The peer says that it has all changes up to this one.
fn checkpoint(database: &Database<MemoryKv>, peer: &str, seq: &str) {
    let document = json!({ "_id": format!("_local/{peer}"), "source_last_seq": seq });
    block_on(database.put_local(document.to_string().as_bytes())).unwrap();
}

fn synced(database: &Database<MemoryKv>, peer: &str) {
    checkpoint(database, peer, &block_on(database.info()).unwrap().update_seq);
}

/// Those of `revs` of which the body is here after a compaction.
fn kept<'r>(database: &Database<MemoryKv>, revs: &'r [String]) -> Vec<&'r str> {
    block_on(database.compact()).unwrap();
    let read = |rev: &str| get(database, "d", &GetOptions { rev: Some(rev.into()), ..GetOptions::default() });
    revs.iter().map(String::as_str).filter(|rev| read(rev).is_ok()).collect()
}

#[test]
fn what_a_peer_has_is_kept_as_the_base_of_later_edits_until_the_peer_has_these() {
    let database = open();
    let mut revs = edit(&database, None, 3);
    synced(&database, "one");
    revs.extend(edit(&database, revs.last().cloned(), 3));
    assert_eq!(kept(&database, &revs), [&revs[2], &revs[5]]);
    // A branch of the peer that grew from there has its base.
    let ids = ["other", &revs[2][2..], &revs[1][2..], &revs[0][2..]];
    let branch = json!({ "_id": "d", "_rev": "4-other", "_revisions": { "start": 4, "ids": ids } });
    assert_eq!(replicate(&database, &[branch]), []);
    assert_eq!(kept(&database, &revs), [&revs[2], &revs[5]]);
    block_on(database.remove("d", "4-other", &Default::default())).unwrap();
    assert_eq!(kept(&database, &revs), [&revs[2], &revs[5]]);
    synced(&database, "one");
    assert_eq!(kept(&database, &revs), [&revs[5]]);
    assert!(stored(&database, b"k").is_empty());
}

#[test]
fn each_peer_has_a_base_of_its_own_also_after_the_database_was_opened_anew() {
    let database = open();
    let mut revs = edit(&database, None, 1);
    synced(&database, "one");
    revs.extend(edit(&database, revs.last().cloned(), 2));
    synced(&database, "two");
    let kv = database.kv().clone();
    drop(database);
    let database = reopen(kv, 8);
    revs.extend(edit(&database, revs.last().cloned(), 2));
    assert_eq!(kept(&database, &revs), [&revs[0], &revs[2], &revs[4]]);
    synced(&database, "two");
    assert_eq!(kept(&database, &revs), [&revs[0], &revs[4]]);
    synced(&database, "one");
    assert_eq!(kept(&database, &revs), [&revs[4]]);
}

#[test]
fn no_base_is_kept_of_what_no_peer_has() {
    let database = open();
    let mut revs = edit(&database, None, 2);
    // The sequence of another database, and no sequence at all.
    for (peer, seq) in [("one", "5-ffffffff"), ("two", "9"), ("three", "9-abc def"), ("four", "")] {
        checkpoint(&database, peer, seq);
    }
    revs.extend(edit(&database, revs.last().cloned(), 1));
    assert_eq!(kept(&database, &revs), [&revs[2]]);
    assert!(stored(&database, b"k").is_empty());
}

#[test]
fn base_goes_with_the_document() {
    let database = open();
    let mut revs = edit(&database, None, 1);
    synced(&database, "one");
    revs.extend(edit(&database, revs.last().cloned(), 1));
    assert_eq!(stored(&database, b"k").len(), 1);
    block_on(database.purge("d", &revs[1], &Default::default())).unwrap();
    assert!(stored(&database, b"k").is_empty());
}
