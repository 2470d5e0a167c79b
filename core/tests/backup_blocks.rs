//! Copies of a store's blocks: byte for byte, checked, into a place that holds nothing, and another replica there.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod repair_support;

use common::{get, put};
use firkin_core::database::{Database, GetOptions, WriteOptions};
use firkin_core::storage::StorageError;
use firkin_core::storage::blocks::BlockKey;
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::restore::RestoreError;
use pollster::block_on;
use repair_support::*;
use serde_json::json;

const FORMAT: u32 = firkin_core::storage::FORMAT_VERSION;

fn copy(database: &Replica, bytes: usize) -> Vec<u8> {
    let mut backup = block_on(database.kv().backup()).unwrap();
    let mut copy = Vec::new();
    loop {
        let part = block_on(backup.next(bytes)).unwrap();
        if part.is_empty() {
            assert_eq!(copy.len() as u64, backup.bytes);
            return copy;
        }
        copy.extend(part);
    }
}

/// Writes a copy, handed on in pieces, to `blocks`.
fn restore(blocks: &MemoryBlocks, copy: &[u8], piece: usize) -> Result<(), RestoreError> {
    block_on(async {
        let mut restore = Database::begin_restore(blocks.clone(), store_options(40, true), FORMAT).await?;
        for piece in copy.chunks(piece) {
            restore.add(piece).await?;
        }
        Database::end_restore(restore).await
    })
}

/// An empty database that was opened before.
fn empty() -> MemoryBlocks {
    let blocks = MemoryBlocks::new();
    block_on(open(&blocks, 30, true).unwrap().kv().close());
    blocks
}

fn segments_of(blocks: &MemoryBlocks) -> Image {
    image_of(blocks).into_iter().filter(|(name, _)| *name == BlockKey::segment(name.number())).collect()
}

#[test]
fn a_copy_is_the_same_database_block_by_block_and_another_replica() {
    for sample in [in_one_segment(), in_many_segments()] {
        let blocks = blocks_of(&sample.image);
        let original = open(&blocks, 2, true).unwrap();
        for (bytes, piece) in [(1, 1_000_000), (100_000, 7), (1_000_000_000, 4_096)] {
            let copy = copy(&original, bytes);
            let there = empty();
            restore(&there, &copy, piece).unwrap();
            assert_eq!(segments_of(&there), segments_of(&blocks));
            let restored = open(&there, 41, true).unwrap();
            assert_eq!(leaves(&restored), leaves(&original));
            assert_eq!(get(&restored, "_local/here", &GetOptions::default()).unwrap()["kept"], 1);
            let identities = [&original, &restored].map(|one| block_on(one.info()).unwrap().identity);
            assert_ne!(identities[0], identities[1]);
            check_consistent(&restored, "restored");
            block_on(restored.kv().close());
            let again = open(&there, 42, true).unwrap();
            assert_eq!(block_on(again.info()).unwrap().identity, identities[1], "it has its identity for good");
            check_writable(&again, "restored");
        }
    }
}

#[test]
fn a_copy_holds_what_was_there_when_it_was_begun_whatever_happens_meanwhile() {
    let blocks = blocks_of(&in_many_segments().image);
    let database = open(&blocks, 2, true).unwrap();
    let expected = leaves(&database);
    let mut backup = block_on(database.kv().backup()).unwrap();
    let mut copy = block_on(backup.next(10_000)).unwrap();
    for n in 0..200 {
        put(&database, &json!({ "_id": format!("later {n}"), "text": "words ".repeat(100) })).unwrap();
        while block_on(database.kv().maintain(100_000)).unwrap() {}
    }
    loop {
        let part = block_on(backup.next(50_000)).unwrap();
        if part.is_empty() {
            break;
        }
        copy.extend(part);
    }
    let there = empty();
    restore(&there, &copy, 10_000).unwrap();
    assert_eq!(leaves(&open(&there, 41, true).unwrap()), expected);
    // A copy that is dropped holds nothing any more: what was merged away goes.
    let held = image_of(&blocks).len();
    drop(backup);
    while block_on(database.kv().maintain(100_000)).unwrap() {}
    assert!(image_of(&blocks).len() < held, "{held} blocks");
}

#[test]
fn a_copy_that_is_damaged_cut_off_or_goes_on_is_refused_and_the_database_stays_empty() {
    let original = open(&blocks_of(&in_many_segments().image), 2, true).unwrap();
    let copy = copy(&original, 100_000);
    let there = empty();
    let mut refused = 0;
    for place in (0..copy.len()).step_by(copy.len() / 97) {
        let mut damaged = copy.clone();
        damaged[place] ^= 0x40;
        for broken in [damaged, copy[..place].to_vec()] {
            match restore(&there, &broken, 5_000) {
                Err(RestoreError::Malformed(_)) => refused += 1,
                other => panic!("byte {place}: {other:?}"),
            }
            let database = open(&there, 43, true).unwrap();
            assert_eq!(leaves(&database).len(), 0);
            block_on(database.kv().close());
        }
    }
    assert!(refused > 190);
    let twice = [copy.as_slice(), &copy].concat();
    assert!(matches!(restore(&there, &twice, 5_000), Err(RestoreError::Malformed(_))));
    // And still a whole one is taken.
    restore(&there, &copy, 5_000).unwrap();
    assert_eq!(leaves(&open(&there, 44, true).unwrap()), leaves(&original));
}

#[test]
fn a_database_that_is_not_empty_and_a_newer_format_are_refused() {
    let original = open(&blocks_of(&in_many_segments().image), 2, true).unwrap();
    let copy = copy(&original, 100_000);
    let newer = block_on(Database::begin_restore(empty(), store_options(40, true), FORMAT + 1)).map(drop);
    let too_new = StorageError::FormatTooNew { found: FORMAT + 1, supported: FORMAT };
    assert_eq!(newer, Err(RestoreError::Storage(too_new)));
    type Write = fn(&Replica);
    let writes: [Write; 3] = [
        |database| drop(put(database, &json!({ "_id": "a" })).unwrap()),
        |database| drop(block_on(database.put_local(b"{\"_id\":\"_local/a\"}")).unwrap()),
        |database| drop(block_on(database.open_consumer("a", &firkin_core::database::Since::Now)).unwrap()),
    ];
    for write in writes {
        let there = empty();
        let database = open(&there, 31, true).unwrap();
        write(&database);
        block_on(database.kv().close());
        let before = image_of(&there);
        assert_eq!(restore(&there, &copy, 5_000), Err(RestoreError::NotEmpty));
        let after = image_of(&there);
        assert!(
            before
                .iter()
                .filter(|(name, _)| **name != BlockKey::epoch())
                .all(|(name, block)| after.get(name) == Some(block))
        );
    }
}

#[test]
fn a_damaged_database_is_not_copied() {
    let Sample { image, .. } = in_one_segment();
    let name = *image.keys().find(|name| **name == BlockKey::segment(name.number())).unwrap();
    let database = open(&blocks_of(&damaged(&image, name, false)), 2, true).unwrap();
    let mut backup = block_on(database.kv().backup()).unwrap();
    let outcome = loop {
        match block_on(backup.next(100_000)) {
            Ok(part) if part.is_empty() => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    assert!(matches!(outcome, Err(StorageError::Corrupt(_))), "{outcome:?}");
}

#[test]
fn writes_of_whoever_had_the_database_do_not_reach_a_copy_that_is_taken() {
    let original = open(&blocks_of(&in_many_segments().image), 2, true).unwrap();
    let copy = copy(&original, 100_000);
    let there = empty();
    let other = open(&there, 31, true).unwrap();
    restore(&there, &copy, 5_000).unwrap();
    let written = block_on(other.put(b"{\"_id\":\"late\"}", &WriteOptions::default()));
    assert!(written.is_err());
    let restored = open(&there, 32, true).unwrap();
    assert_eq!(leaves(&restored), leaves(&original));
}
