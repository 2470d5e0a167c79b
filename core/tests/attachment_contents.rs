//! How often the content of attachments is stored, and when it goes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod attachment_support;
mod common;

use attachment_support::*;
use base64::Engine;
use common::{Seeded, content, get, put, replicate, stored, told};
use firkin_core::database::{Database, Options};
use firkin_core::document::GivenContent;
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::memory::MemoryKv;
use firkin_core::storage::store::{LogStore, StoreOptions};
use pollster::block_on;
use serde_json::{Value, json};

#[test]
fn content_is_stored_once_however_it_came_and_goes_with_its_last_use() {
    let database = open();
    let long = bytes(LONG_BYTES);
    for chunk_bytes in [100_000, 1_044_480, LONG_BYTES] {
        let name = format!("upload {chunk_bytes}");
        stage(&database, &name, &long, chunk_bytes);
        assert!(stored(&database, b"C").len() >= 3, "a long content does not wait in memory");
        let id = format!("d{chunk_bytes}");
        put_attachment(&database, (&id, "film", None), GivenContent::Staged(name.clone())).unwrap();
        assert_eq!(content(&database, &id, "film", None).unwrap(), long);
        // It is staged no more.
        let again = put_attachment(&database, ("again", "film", None), GivenContent::Staged(name));
        assert_eq!(again.unwrap_err().1, "content_lost");
        assert_eq!((stored(&database, b"c").len(), stored(&database, b"C").len()), (1, 4), "one content of four parts");
        assert!(stored(&database, b"t").is_empty());
    }
    let mut reader = block_on(database.get_attachment("d100000", "film", None)).unwrap();
    for position in [0, 1, 1_044_479, 1_044_480, LONG_BYTES - 1] {
        reader.seek(position as u64);
        let part = block_on(reader.part()).unwrap().unwrap();
        assert_eq!(part, long[position..position + part.len()]);
    }
    assert_eq!(block_on(reader.part()), Ok(None));

    let written: Vec<(String, String)> = ["d100000", "d1044480", &format!("d{LONG_BYTES}")]
        .map(|id| (id.into(), get(&database, id, &default()).unwrap()["_rev"].as_str().unwrap().into()))
        .into();
    for (place, (id, rev)) in written.iter().enumerate() {
        assert_eq!(stored(&database, b"u").len(), 3 - place);
        assert_eq!(stored(&database, b"c").len(), 1);
        block_on(database.purge(id, rev, &default())).unwrap();
    }
    for kind in [b"a", b"c", b"C", b"t", b"u"] {
        assert!(stored(&database, kind).is_empty(), "{:?} is left", kind[0] as char);
    }
}

#[test]
fn contents_of_one_batch_are_stored_once() {
    let database = open();
    let same = bytes(LONG_BYTES);
    stage(&database, "one", &same, 1_000_000);
    stage(&database, "two", &same, LONG_BYTES);
    let document = |id: &str, attachments: Value| json!({ "_id": id, "_attachments": attachments }).to_string();
    let texts = [
        document("a", json!({ "x": { "staged": "one" }, "y": { "staged": "one" } })),
        document("b", json!({ "x": { "staged": "two" } })),
        document("c", json!({ "x": { "data": base64::engine::general_purpose::STANDARD.encode(&same) } })),
    ];
    let rows = block_on(database.bulk_docs(&texts.each_ref().map(|text| text.as_bytes()), true, &default())).unwrap();
    assert!(rows.iter().all(Result::is_ok), "{rows:?}");
    assert_eq!(
        (stored(&database, b"c").len(), stored(&database, b"C").len(), stored(&database, b"t").len()),
        (1, 4, 0)
    );
    for (id, name) in [("a", "x"), ("a", "y"), ("b", "x"), ("c", "x")] {
        assert_eq!(content(&database, id, name, None).unwrap(), same);
    }
    for name in ["one", "two"] {
        assert_eq!(
            put(&database, &json!({ "_id": "d", "_attachments": { "x": { "staged": name } } })).unwrap_err().0,
            404
        );
    }
}

#[test]
fn content_that_is_refused_with_its_document_can_be_tried_again() {
    let database = open();
    let rev = put(&database, &json!({ "_id": "a" })).unwrap();
    stage(&database, "up", &bytes(LONG_BYTES), 1_000_000);
    assert_eq!(put_attachment(&database, ("a", "x", None), GivenContent::Staged("up".into())).unwrap_err().0, 409);
    put_attachment(&database, ("a", "x", Some(&rev)), GivenContent::Staged("up".into())).unwrap();
    assert_eq!(content(&database, "a", "x", None).unwrap(), bytes(LONG_BYTES));
}

#[test]
fn staged_content_is_taken_at_its_end_only_and_can_be_given_up() {
    let database = open();
    let stage_at = |name: &str, position, bytes: &[u8]| {
        block_on(database.stage(name, position, bytes)).map_err(|error| told(error.report()))
    };
    let lost = || Err((404, "content_lost", "The content is not here any more; send it again.".into()));
    assert_eq!(stage_at("page/1", 3, b"def"), lost(), "it was never begun");
    stage_at("page/1", 0, b"abc").unwrap();
    assert_eq!(stage_at("page/1", 2, b"cd"), lost());
    assert_eq!(stage_at("page/1", 3, b"def"), lost(), "it is lost for good");
    // A long one that begins again leaves nothing of the first attempt, and leaves alone what is called alike.
    stage(&database, "page/10", &bytes(LONG_BYTES), 1_000_000);
    stage(&database, "page/1", &bytes(LONG_BYTES), 1_000_000);
    stage(&database, "page/1", b"abcdef", 2);
    assert_eq!((stored(&database, b"t").len(), stored(&database, b"C").len()), (1, 3));
    stage(&database, "other", b"kept", 2);
    block_on(database.unstage("page/")).unwrap();
    assert_eq!((stored(&database, b"t").len(), stored(&database, b"C").len()), (0, 0));
    assert_eq!(stage_at("page/1", 6, b"g"), lost());
    put_attachment(&database, ("a", "x", None), GivenContent::Staged("other".into())).unwrap();
}

#[test]
fn what_was_staged_before_the_database_was_opened_again_is_lost_and_compacted_away() {
    let blocks = MemoryBlocks::new();
    let open = |seed: u8| {
        let store = block_on(LogStore::open(blocks.clone(), StoreOptions::new([seed; 16]))).unwrap();
        block_on(Database::open(store, &Seeded::new(seed.into()), Options::default())).unwrap()
    };
    let before = open(1);
    block_on(before.stage("up", 0, &bytes(LONG_BYTES))).unwrap();
    assert_eq!(block_on(before.compact()).unwrap().contents_incoming, 1);
    assert_eq!(stored(&before, b"C").len(), 3, "what is still coming in is not compacted away");
    let after = open(2);
    assert_eq!(stored(&after, b"C").len(), 3);
    let error = block_on(after.stage("up", LONG_BYTES as u64, b"more")).unwrap_err();
    assert_eq!(error.report().name, "content_lost");
    let compacted = block_on(after.compact()).unwrap();
    assert_eq!((compacted.contents_dropped, compacted.contents_kept), (1, 0));
    assert!(stored(&after, b"C").is_empty() && stored(&after, b"t").is_empty());
}

#[test]
fn history_that_is_cut_takes_its_contents_along() {
    let limited = Options { revs_limit: 2, ..Options::default() };
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(7), limited)).unwrap();
    let mut rev = None;
    for n in 0..6 {
        rev = Some(put_attachment(&database, ("a", "x", rev.as_deref()), data(&format!("content {n}"))).unwrap());
    }
    assert_eq!(
        (stored(&database, b"c").len(), stored(&database, b"C").len(), stored(&database, b"u").len()),
        (2, 2, 2)
    );
    // The last use may end in the commit in which the next begins.
    let one = Options { revs_limit: 1, ..Options::default() };
    let short = block_on(Database::open(MemoryKv::new(), &Seeded::new(7), one)).unwrap();
    let first = put_attachment(&short, ("a", "x", None), data("kept")).unwrap();
    put_attachment(&short, ("a", "y", Some(&first)), data("other")).unwrap();
    assert_eq!(content(&short, "a", "x", None).unwrap(), b"kept");
    assert_eq!((stored(&short, b"c").len(), stored(&short, b"u").len()), (2, 2));
    // Also within one write, in which a revision comes and goes.
    let ids: Vec<String> = (1..=6).rev().map(|n| format!("{n}")).collect();
    let documents: Vec<Value> = (1..=6)
        .map(|n: usize| {
            let attachment = json!({ "data": if n.is_multiple_of(2) { "ZXZlbg==" } else { "b2Rk" } });
            let path = json!({ "start": n, "ids": &ids[6 - n..] });
            json!({ "_id": "b", "_rev": format!("{n}-{n}"), "_revisions": path, "_attachments": { "x": attachment } })
        })
        .collect();
    assert_eq!(replicate(&database, &documents), []);
    assert_eq!(content(&database, "b", "x", None).unwrap(), b"even");
    assert_eq!(content(&database, "b", "x", Some("5-5")).unwrap(), b"odd");
    assert_eq!((stored(&database, b"c").len(), stored(&database, b"u").len()), (4, 4));
}
