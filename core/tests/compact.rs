//! Compaction: what it drops, what it keeps, and that it works in slices.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, content, get, put, replicate, stored};
use firkin_core::database::{Compaction, Database, GetOptions, Options};
use firkin_core::document::keys;
use firkin_core::storage::memory::MemoryKv;
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use pollster::block_on;
use serde_json::{Value, json};

fn open() -> Database<MemoryKv> {
    block_on(Database::open(MemoryKv::new(), &Seeded::new(7), Options::default())).unwrap()
}

/// The document as an edit of the revision.
fn after(rev: Option<&str>, mut document: Value) -> Value {
    if let Some(rev) = rev {
        document["_rev"] = json!(rev);
    }
    document
}

fn revision(database: &Database<MemoryKv>, id: &str, rev: &str) -> Result<Value, (u16, &'static str, String)> {
    get(database, id, &GetOptions { rev: Some(rev.into()), ..GetOptions::default() })
}

fn history(database: &Database<MemoryKv>, id: &str, rev: &str) -> Vec<(String, String)> {
    let asked = GetOptions { rev: Some(rev.into()), revs_info: true, ..GetOptions::default() };
    let info = get(database, id, &asked).unwrap()["_revs_info"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    info.iter().map(|row| (text(&row["rev"]), text(&row["status"]))).collect()
}

/// A document with branches: `paths` are hashes separated by dots, the oldest first; a tombstone ends in `!`.
fn branches(database: &Database<MemoryKv>, id: &str, paths: &[&str]) {
    for path in paths {
        let names: Vec<&str> = path.trim_end_matches('!').split('.').collect();
        for length in 1..=names.len() {
            let ids: Vec<&str> = names[..length].iter().rev().copied().collect();
            let rev = format!("{length}-{}", ids[0]);
            let deleted = length == names.len() && path.ends_with('!');
            let attachment = json!({ "data": "eA==", "digest": format!("md5-{}", ids[0]) });
            let document = json!({
                "_id": id, "_rev": rev, "_revisions": { "start": length, "ids": ids }, "_deleted": deleted,
                "n": ids[0], "_attachments": { "of": attachment },
            });
            assert_eq!(replicate(database, &[document]), []);
        }
    }
}

/// The revisions of which the body is here.
fn bodies(database: &Database<MemoryKv>, id: &str) -> Vec<String> {
    let all = ["1-a", "2-b", "2-c", "2-d", "3-e", "3-f", "3-g", "4-h"];
    all.into_iter().filter(|rev| revision(database, id, rev).is_ok()).map(String::from).collect()
}

#[test]
fn bodies_of_old_revisions_go_and_their_nodes_stay() {
    let database = open();
    let mut revs = Vec::<String>::new();
    for (n, data) in ["MA==", "MQ==", "Mg==", "Mw=="].into_iter().enumerate() {
        let attachment = json!({ "x": { "content_type": "text/plain", "data": data } });
        let document = json!({ "_id": "a", "n": n, "_attachments": attachment });
        revs.push(put(&database, &after(revs.last().map(String::as_str), document)).unwrap());
    }
    put(&database, &json!({ "_id": "single" })).unwrap();
    let compacted = block_on(database.compact()).unwrap();
    assert_eq!((compacted.documents, compacted.revisions), (2, 3));
    assert_eq!((compacted.contents_dropped, compacted.contents_kept, compacted.contents_kept_bytes), (3, 1, 1));
    let last = revs.last().unwrap();
    assert_eq!(content(&database, "a", "x", None).unwrap(), b"3");
    for rev in &revs[..3] {
        assert_eq!(revision(&database, "a", rev), Err((404, "not_found", "missing".into())));
        assert_eq!(content(&database, "a", "x", Some(rev)), Err((404, "not_found", "missing".into())));
    }
    let statuses: Vec<String> = history(&database, "a", last).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["available", "missing", "missing", "missing"]);
    let known = block_on(database.revs_diff(&[("a".into(), revs.clone())])).unwrap();
    assert!(known.is_empty(), "a replica still knows what it has seen");
    assert_eq!(stored(&database, b"b").len(), 2);
    assert_eq!(
        (stored(&database, b"c").len(), stored(&database, b"C").len(), stored(&database, b"u").len()),
        (1, 1, 1)
    );
    // The next edit goes on from there.
    put(&database, &json!({ "_id": "a", "_rev": last, "_attachments": { "x": { "stub": true } } })).unwrap();
    assert_eq!(content(&database, "a", "x", None).unwrap(), b"3");
}

#[test]
fn base_of_open_branches_is_kept_until_they_are_merged() {
    let database = open();
    branches(&database, "two", &["a.b.e.h", "a.b.f"]);
    branches(&database, "three", &["a.b.e", "a.b.f", "a.c.g"]);
    branches(&database, "closed", &["a.b.e", "a.b.f!"]);
    branches(&database, "apart", &["a.b.e", "c"]);
    block_on(database.compact()).unwrap();
    assert_eq!(bodies(&database, "two"), ["2-b", "3-f", "4-h"]);
    assert_eq!(bodies(&database, "three"), ["1-a", "2-b", "3-e", "3-f", "3-g"]);
    assert_eq!(bodies(&database, "closed"), ["3-e", "3-f"]);
    assert_eq!(bodies(&database, "apart"), ["3-e"], "and the root `1-c`");
    assert_eq!(content(&database, "two", "of", Some("2-b")).unwrap(), b"x");
    // A merge closes the branches of `two`; what changed is looked at again, and nothing else.
    let ids = ["z", "f", "b", "a"];
    let tombstone = json!({
        "_id": "two", "_rev": "4-z", "_revisions": { "start": 4, "ids": ids }, "_deleted": true,
    });
    assert_eq!(replicate(&database, &[tombstone]), []);
    let compacted = block_on(database.compact()).unwrap();
    assert_eq!((compacted.documents, compacted.revisions), (1, 2));
    assert_eq!(bodies(&database, "two"), ["4-h"]);
}

#[test]
fn compaction_takes_many_slices_between_which_others_write() {
    let database = open();
    let edit = |id: &str, rev: Option<&str>, n: usize| {
        let document = json!({ "_id": id, "n": n, "_attachments": { "x": { "data": "eA==" } } });
        put(&database, &after(rev, document)).unwrap()
    };
    let ids: Vec<String> = (0..700).map(|n| format!("d{n}")).collect();
    for id in &ids {
        let first = edit(id, None, 1);
        edit(id, Some(&first), 2);
    }
    let mut long = edit("long", None, 0);
    for n in 1..900 {
        long = edit("long", Some(&long), n);
    }
    let (mut compaction, mut slices) = (Compaction::default(), 0);
    while block_on(database.compact_slice(&mut compaction)).unwrap() {
        slices += 1;
        long = edit("long", Some(&long), 1000 + slices);
    }
    assert!(slices >= 3, "{slices}");
    assert!(!block_on(database.compact_slice(&mut compaction)).unwrap(), "it is over");
    let mut again = Compaction::default();
    loop {
        let before = again.done.revisions;
        let goes_on = block_on(database.compact_slice(&mut again)).unwrap();
        assert!(again.done.revisions - before < 600, "no commit is large: one document may take several");
        if !goes_on {
            break;
        }
    }
    let second = again.done;
    assert_eq!(second.documents, 1, "only `long` has changed since");
    assert_eq!(compaction.done.revisions + second.revisions, 700 + 899 + slices as u64);
    assert_eq!(stored(&database, b"b").len(), 701);
    assert_eq!(stored(&database, b"u").len(), 701);
    assert_eq!((second.contents_kept, second.contents_dropped), (1, 0));
    assert_eq!(block_on(database.compact()).unwrap().documents, 0);
}

#[test]
fn body_that_comes_again_after_it_was_dropped_goes_again() {
    let database = open();
    branches(&database, "d", &["a.b.e"]);
    block_on(database.compact()).unwrap();
    assert_eq!(bodies(&database, "d"), ["3-e"]);
    branches(&database, "d", &["a.b"]);
    assert_eq!(bodies(&database, "d"), ["1-a", "2-b", "3-e"]);
    assert_eq!(content(&database, "d", "of", Some("1-a")).unwrap(), b"x");
    block_on(database.compact()).unwrap();
    assert_eq!(bodies(&database, "d"), ["3-e"]);
    assert_eq!(stored(&database, b"u").len(), 1);
}

#[test]
fn damaged_length_of_a_content_neither_deletes_without_end_nor_overflows() {
    let database = open();
    let attachment = |data: &str| json!({ "x": { "content_type": "text/plain", "data": data } });
    let mut last = String::new();
    for (id, data) in [("a", "MA=="), ("b", "MQ==")] {
        last = put(&database, &json!({ "_id": id, "_attachments": attachment(data) })).unwrap();
    }
    let mut records =
        database.kv().snapshot().unwrap().range(KeyRange::prefix(keys::contents()), Direction::Forward).unwrap();
    let mut damage = Batch::new();
    while block_on(records.advance()).unwrap() {
        let mut record = records.value().to_vec();
        record[12..20].fill(0xff);
        damage.put(records.key(), &record);
    }
    block_on(database.kv().commit(damage, Durability::Relaxed)).unwrap();
    let compacted = block_on(database.compact()).unwrap();
    assert_eq!((compacted.contents_kept, compacted.contents_kept_bytes), (2, u64::MAX));
    put(&database, &json!({ "_id": "b", "_rev": last })).unwrap();
    let refused = block_on(database.compact()).unwrap_err();
    assert!(matches!(refused, StorageError::Corrupt(_)), "{refused}");
}
