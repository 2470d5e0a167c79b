//! The store behind each database: what core asks of ordered bytes, over a real file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use ::redb as redb_crate;
use firkin_core::storage::{Batch, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use firkin_server::redb_kv::RedbKv;
use pollster::block_on;
use storage_conformance::{Model, assert_equals, entries};

#[path = "../../core/tests/storage_conformance/mod.rs"]
mod storage_conformance;

/// A store over a file that has lost its name already, and goes with the store.
fn temporary() -> RedbKv {
    open(&tempfile::tempdir().expect("a folder").path().join("a.redb"))
}

mod conformance {
    use super::{storage_conformance, temporary};

    crate::conformance_tests!(temporary());
}

fn open(path: &Path) -> RedbKv {
    RedbKv::open(path, 1 << 20).expect("a store")
}

fn commit(kv: &RedbKv, operations: &[(&[u8], Option<&[u8]>)]) {
    let mut batch = Batch::new();
    for (key, value) in operations {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    block_on(kv.commit(batch, Durability::Relaxed)).expect("a commit");
}

fn range(start: &[u8], end: Option<&[u8]>) -> KeyRange {
    KeyRange { start: start.to_vec(), end: end.map(<[u8]>::to_vec) }
}

#[test]
fn what_was_committed_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.redb");
    let mut model = Model::new();
    for round in 0..10_u8 {
        let kv = open(&path);
        block_on(assert_equals(&kv.snapshot().expect("a snapshot"), &model));
        let (new, old) = ([round, 0xff], [round.wrapping_sub(3), 0xff]);
        commit(&kv, &[(&new, Some(&[round; 3])), (&old, None)]);
        model.insert(new.to_vec(), vec![round; 3]);
        model.remove(old.as_slice());
    }
    assert_eq!(model.len(), 3);
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let kv = temporary();
    commit(&kv, &[(b"a", Some(b"1")), (b"b", Some(b"2"))]);
    let snapshot = kv.snapshot().expect("a snapshot");
    for direction in [Direction::Forward, Direction::Backward] {
        for (start, end) in [(b"b", b"a"), (b"a", b"a")] {
            assert_eq!(block_on(entries(&snapshot, range(start, Some(end)), direction)), []);
        }
    }
}

#[test]
fn a_file_is_opened_once_and_rubbish_never() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.redb");
    let kv = open(&path);
    assert!(matches!(RedbKv::open(&path, 1 << 20), Err(StorageError::Failed(_))));
    drop(kv);
    open(&path);
    let rubbish = folder.path().join("b.redb");
    std::fs::write(&rubbish, "rubbish".repeat(1000)).expect("a file");
    assert!(RedbKv::open(&rubbish, 1 << 20).is_err());
}

#[test]
fn compaction_gives_space_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.redb");
    let kv = open(&path);
    let large = vec![1; 1 << 20];
    for key in 0..20_u8 {
        commit(&kv, &[(&[key], Some(&large))]);
    }
    for key in 1..20_u8 {
        commit(&kv, &[(&[key], None)]);
    }
    let bytes = || std::fs::metadata(&path).expect("a file").len();
    let before = bytes();
    block_on(kv.maintain_once());
    kv.compact().expect("compacted");
    assert!(bytes() < before / 2, "{} of {before}", bytes());
    let snapshot = kv.snapshot().expect("a snapshot");
    assert_eq!(block_on(snapshot.get(&[0])).expect("a read"), Some(large));
}

#[test]
fn a_file_from_before_blocks_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.redb");
    let mut model = Model::new();
    {
        let database = redb_crate::Database::create(&path).expect("a file");
        let transaction = database.begin_write().expect("a transaction");
        {
            let old: redb_crate::TableDefinition<'_, &[u8], &[u8]> = redb_crate::TableDefinition::new("entries");
            let mut table = transaction.open_table(old).expect("a table");
            for number in 0..3000_u32 {
                let (key, value) = (number.to_be_bytes(), vec![7; 1000]);
                table.insert(key.as_slice(), value.as_slice()).expect("an entry");
                model.insert(key.to_vec(), value);
            }
        }
        transaction.commit().expect("a commit");
    }
    for _ in 0..2 {
        let kv = open(&path);
        block_on(assert_equals(&kv.snapshot().expect("a snapshot"), &model));
    }
}
