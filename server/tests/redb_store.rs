//! The store behind each database: what core asks of ordered bytes, over a real file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;

use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use firkin_server::redb_kv::{RedbKv, RedbSnapshot};
use pollster::block_on;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

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

fn walk(snapshot: &RedbSnapshot, range: KeyRange, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor = snapshot.range(range, direction).expect("a cursor");
    assert!(cursor.key().is_empty() && cursor.value().is_empty(), "before the first");
    let mut entries = Vec::new();
    while block_on(cursor.advance()).expect("a step") {
        entries.push((cursor.key().to_vec(), cursor.value().to_vec()));
    }
    assert!(cursor.key().is_empty() && cursor.value().is_empty(), "after the last");
    assert!(!block_on(cursor.advance()).expect("no step"), "the end stays the end");
    entries
}

fn range(start: &[u8], end: Option<&[u8]>) -> KeyRange {
    KeyRange { start: start.to_vec(), end: end.map(<[u8]>::to_vec) }
}

/// A generator of the same numbers each time (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Short keys of few letters meet often, and 0x00 and 0xff are the ends of all orders.
    fn key(&mut self) -> Vec<u8> {
        (0..=self.below(3)).map(|_| [0, 1, b'a', 0xfe, 0xff][usize::try_from(self.below(5)).unwrap()]).collect()
    }
}

#[test]
fn it_holds_what_a_map_would_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.redb");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut model = Model::new();
    let mut kv = open(&path);
    for round in 0..60 {
        let mut batch = Batch::new();
        for _ in 0..numbers.below(20) {
            let key = numbers.key();
            if numbers.below(3) == 0 {
                batch.delete(&key);
                model.remove(&key);
            } else {
                let value = vec![7; usize::try_from(numbers.below(300)).unwrap()];
                batch.put(&key, &value);
                model.insert(key, value);
            }
        }
        block_on(kv.commit(batch, Durability::Strict)).expect("a commit");
        if round % 20 == 19 {
            drop(kv);
            kv = open(&path);
        }
        let snapshot = kv.snapshot().expect("a snapshot");
        for _ in 0..10 {
            let (start, end) = (numbers.key(), numbers.key());
            let end = (numbers.below(4) > 0).then_some(end);
            let asked = range(&start, end.as_deref());
            let mut expected: Vec<_> = model
                .iter()
                .filter(|(key, _)| asked.contains(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            assert_eq!(walk(&snapshot, asked.clone(), Direction::Forward), expected, "{asked:?}");
            expected.reverse();
            assert_eq!(walk(&snapshot, asked.clone(), Direction::Backward), expected, "{asked:?}");
            assert_eq!(block_on(snapshot.get(&start)).expect("a read"), model.get(&start).cloned());
        }
    }
    let all = walk(&kv.snapshot().expect("a snapshot"), KeyRange::all(), Direction::Forward);
    assert_eq!(all, model.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_snapshot_and_its_cursors_stay_at_their_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let kv = open(&folder.path().join("a.redb"));
    commit(&kv, &[(b"a", Some(b"1")), (b"b", Some(b"2")), (b"c", Some(b""))]);
    let snapshot = kv.snapshot().expect("a snapshot");
    let mut cursor = snapshot.clone().range(KeyRange::all(), Direction::Forward).expect("a cursor");
    assert!(block_on(cursor.advance()).expect("a step"));
    commit(&kv, &[(b"a", Some(b"new")), (b"b", None), (b"d", Some(b"4"))]);
    assert_eq!((cursor.key(), cursor.value()), (&b"a"[..], &b"1"[..]));
    assert_eq!(block_on(snapshot.get(b"b")).expect("a read").as_deref(), Some(&b"2"[..]));
    drop(snapshot);
    assert!(block_on(cursor.advance()).expect("a step"));
    assert_eq!((cursor.key(), cursor.value()), (&b"b"[..], &b"2"[..]));
    let now = walk(&kv.snapshot().expect("a snapshot"), KeyRange::all(), Direction::Forward);
    let keys: Vec<&[u8]> = now.iter().map(|(key, _)| key.as_slice()).collect();
    assert_eq!(keys, [b"a", b"c", b"d"]);
}

#[test]
fn of_several_operations_on_a_key_the_last_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let kv = open(&folder.path().join("a.redb"));
    commit(
        &kv,
        &[(b"a", Some(b"1")), (b"a", Some(b"2")), (b"b", Some(b"1")), (b"b", None), (b"c", None), (b"c", Some(b"3"))],
    );
    commit(&kv, &[]);
    let snapshot = kv.snapshot().expect("a snapshot");
    let entries = walk(&snapshot, KeyRange::all(), Direction::Forward);
    assert_eq!(entries, [(b"a".to_vec(), b"2".to_vec()), (b"c".to_vec(), b"3".to_vec())]);
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let kv = open(&folder.path().join("a.redb"));
    commit(&kv, &[(b"a", Some(b"1")), (b"b", Some(b"2"))]);
    let snapshot = kv.snapshot().expect("a snapshot");
    for direction in [Direction::Forward, Direction::Backward] {
        for (start, end) in [(b"b", b"a"), (b"a", b"a")] {
            assert_eq!(walk(&snapshot, range(start, Some(end)), direction), []);
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
fn compaction_gives_space_back_once_no_snapshot_is_alive() {
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
    let snapshot = kv.snapshot().expect("a snapshot");
    assert!(kv.compact().is_err(), "a snapshot is alive");
    drop(snapshot);
    kv.compact().expect("compacted");
    assert!(bytes() < before / 2, "{} of {before}", bytes());
    let snapshot = kv.snapshot().expect("a snapshot");
    assert_eq!(block_on(snapshot.get(&[0])).expect("a read"), Some(large));
}
