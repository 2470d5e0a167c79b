//! What every `Kv` must do, whatever it is made of: one suite for all implementations.
//!
//! A test crate includes this file as a module (one of another crate by `#[path]`) and calls [`conformance_tests!`] with an
//! expression that makes an empty store; each case becomes a test of its own. [`assert_equals`] holds a snapshot against a
//! [`Model`].

use std::collections::BTreeMap;

use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot};

/// What a store should hold.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Makes a test of each case, for the store that the expression opens.
#[macro_export]
macro_rules! conformance_tests {
    (@cases $open:tt $($case:ident,)*) => {
        $(#[test] fn $case() { pollster::block_on(async { storage_conformance::$case(&$open).await; }); })*
    };
    ($($open:tt)*) => {
        $crate::conformance_tests!(@cases { $($open)* }
            what_was_put_is_found,
            deleted_keys_are_gone,
            the_last_operation_on_a_key_counts,
            ranges_are_half_open_and_ordered_both_ways,
            prefixes_end_where_they_should,
            snapshots_do_not_change,
            cursors_do_not_change,
            empty_keys_and_values_are_entries,
            large_values_come_back_whole,
            an_empty_batch_changes_nothing,
            many_commits_agree_with_a_map,
        );
    };
}

/// All entries of a range, in the direction's order.
pub async fn entries<S: Snapshot>(snapshot: &S, range: KeyRange, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor = snapshot.range(range, direction).unwrap();
    let mut found = Vec::new();
    assert_eq!((cursor.key(), cursor.value()), (&b""[..], &b""[..]), "before the first entry");
    while cursor.advance().await.unwrap() {
        found.push((cursor.key().to_vec(), cursor.value().to_vec()));
    }
    assert_eq!((cursor.key(), cursor.value()), (&b""[..], &b""[..]), "after the last entry");
    assert!(!cursor.advance().await.unwrap(), "the end stays the end");
    found
}

/// Holds a snapshot against a model: every key by itself, everything in both directions, and some ranges.
pub async fn assert_equals<S: Snapshot>(snapshot: &S, model: &Model) {
    for (key, value) in model {
        assert_eq!(snapshot.get(key).await.unwrap().as_ref(), Some(value), "get {key:?}");
    }
    // Out of order, and with keys between that are not there.
    let mut wanted: Vec<Vec<u8>> = model.keys().flat_map(|key| [key.clone(), [key, &b"\0"[..]].concat()]).collect();
    wanted.reverse();
    let expected: Vec<Option<Vec<u8>>> = wanted.iter().map(|key| model.get(key).cloned()).collect();
    assert!(snapshot.get_many(&wanted).await.unwrap() == expected, "many at once");
    let some_keys: Vec<&Vec<u8>> = model.keys().step_by(model.len() / 3 + 1).collect();
    let mut ranges = vec![KeyRange::all()];
    for (index, start) in some_keys.iter().enumerate() {
        ranges.push(KeyRange { start: start.to_vec(), end: some_keys.get(index + 1).map(|end| end.to_vec()) });
        ranges.push(KeyRange { start: Vec::new(), end: Some(start.to_vec()) });
        ranges.push(KeyRange { start: [start, &b"\0"[..]].concat(), end: None });
    }
    for range in ranges {
        let mut expected: Vec<_> = model
            .iter()
            .filter(|(key, _)| range.contains(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert!(entries(snapshot, range.clone(), Direction::Forward).await == expected, "forward {range:?}");
        expected.reverse();
        assert!(entries(snapshot, range.clone(), Direction::Backward).await == expected, "backward {range:?}");
    }
}

async fn put_all<K: Kv>(kv: &K, pairs: &[(&[u8], &[u8])]) {
    let mut batch = Batch::new();
    for (key, value) in pairs {
        batch.put(key, value);
    }
    kv.commit(batch, Durability::Relaxed).await.unwrap();
}

fn model_of(pairs: &[(&[u8], &[u8])]) -> Model {
    pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

pub async fn what_was_put_is_found<K: Kv>(kv: &K) {
    let pairs: [(&[u8], &[u8]); 3] = [(b"b", b"2"), (b"a", b"1"), (b"c", b"3")];
    put_all(kv, &pairs).await;
    let snapshot = kv.snapshot().unwrap();
    assert_equals(&snapshot, &model_of(&pairs)).await;
    assert_eq!(snapshot.get(b"d").await.unwrap(), None);
    assert_eq!(snapshot.get(b"").await.unwrap(), None);
}

pub async fn deleted_keys_are_gone<K: Kv>(kv: &K) {
    put_all(kv, &[(b"a", b"1"), (b"b", b"2")]).await;
    let mut batch = Batch::new();
    batch.delete(b"a");
    batch.delete(b"never was");
    kv.commit(batch, Durability::Strict).await.unwrap();
    let snapshot = kv.snapshot().unwrap();
    assert_eq!(snapshot.get(b"a").await.unwrap(), None);
    assert_equals(&snapshot, &model_of(&[(b"b", b"2")])).await;
    put_all(kv, &[(b"a", b"again")]).await;
    assert_equals(&kv.snapshot().unwrap(), &model_of(&[(b"a", b"again"), (b"b", b"2")])).await;
}

pub async fn the_last_operation_on_a_key_counts<K: Kv>(kv: &K) {
    let mut batch = Batch::new();
    batch.put(b"a", b"1");
    batch.put(b"b", b"1");
    batch.delete(b"a");
    batch.delete(b"b");
    batch.put(b"b", b"2");
    batch.put(b"c", b"1");
    batch.put(b"c", b"2");
    kv.commit(batch, Durability::Relaxed).await.unwrap();
    assert_equals(&kv.snapshot().unwrap(), &model_of(&[(b"b", b"2"), (b"c", b"2")])).await;
}

pub async fn ranges_are_half_open_and_ordered_both_ways<K: Kv>(kv: &K) {
    put_all(kv, &[(b"a", b""), (b"b", b""), (b"ba", b""), (b"c", b"")]).await;
    let snapshot = kv.snapshot().unwrap();
    let keys = async |start: &[u8], end: Option<&[u8]>, direction| {
        let range = KeyRange { start: start.to_vec(), end: end.map(<[u8]>::to_vec) };
        let found = entries(&snapshot, range, direction).await;
        found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(keys(b"b", Some(b"c"), Direction::Forward).await, ["b", "ba"]);
    assert_eq!(keys(b"b", Some(b"c"), Direction::Backward).await, ["ba", "b"]);
    assert_eq!(keys(b"b", None, Direction::Backward).await, ["c", "ba", "b"]);
    assert_eq!(keys(b"aa", Some(b"b\0"), Direction::Forward).await, ["b"]);
    assert!(keys(b"b", Some(b"b"), Direction::Forward).await.is_empty());
    assert!(keys(b"c", Some(b"a"), Direction::Forward).await.is_empty());
    assert!(keys(b"c", Some(b"a"), Direction::Backward).await.is_empty());
    assert!(keys(b"d", None, Direction::Backward).await.is_empty());
}

pub async fn prefixes_end_where_they_should<K: Kv>(kv: &K) {
    let pairs: [(&[u8], &[u8]); 5] =
        [(b"\x01\xfe", b"1"), (b"\x01\xff", b"2"), (b"\x01\xff\xff", b"3"), (b"\x02", b"4"), (b"\xff\xff", b"5")];
    put_all(kv, &pairs).await;
    let snapshot = kv.snapshot().unwrap();
    for (prefix, expected) in [(&b"\x01\xff"[..], 1..3), (b"\x01", 0..3), (b"\xff", 4..5), (b"", 0..5), (b"\x03", 0..0)]
    {
        let expected: Vec<_> = model_of(&pairs[expected]).into_iter().collect();
        assert_eq!(entries(&snapshot, KeyRange::prefix(prefix), Direction::Forward).await, expected, "{prefix:?}");
    }
}

pub async fn snapshots_do_not_change<K: Kv>(kv: &K) {
    let mut model = Model::new();
    let mut moments = vec![(kv.snapshot().unwrap(), model.clone())];
    for round in 0..40_u8 {
        let mut batch = Batch::new();
        for number in 0..20_u8 {
            let key = [number.wrapping_mul(round), number];
            let value = vec![round; usize::from(number)];
            batch.put(&key, &value);
            model.insert(key.to_vec(), value);
        }
        batch.delete(&[0, 0]);
        model.remove(&[0, 0][..]);
        kv.commit(batch, Durability::Relaxed).await.unwrap();
        moments.push((kv.snapshot().unwrap(), model.clone()));
    }
    for (snapshot, model) in &moments {
        assert_equals(&snapshot.clone(), model).await;
    }
}

pub async fn cursors_do_not_change<K: Kv>(kv: &K) {
    put_all(kv, &[(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]).await;
    let mut cursor = kv.snapshot().unwrap().range(KeyRange::all(), Direction::Forward).unwrap();
    assert!(cursor.advance().await.unwrap());
    let mut batch = Batch::new();
    batch.delete(b"b");
    batch.put(b"bb", b"new");
    kv.commit(batch, Durability::Relaxed).await.unwrap();
    assert_eq!(cursor.key(), b"a");
    assert!(cursor.advance().await.unwrap());
    assert_eq!((cursor.key(), cursor.value()), (&b"b"[..], &b"2"[..]));
    assert!(cursor.advance().await.unwrap());
    assert_eq!(cursor.key(), b"c");
}

pub async fn empty_keys_and_values_are_entries<K: Kv>(kv: &K) {
    let pairs: [(&[u8], &[u8]); 3] = [(b"", b"empty key"), (b"\0", b""), (b"a", b"")];
    put_all(kv, &pairs).await;
    assert_equals(&kv.snapshot().unwrap(), &model_of(&pairs)).await;
}

pub async fn large_values_come_back_whole<K: Kv>(kv: &K) {
    let mut model = Model::new();
    let mut batch = Batch::new();
    for (number, bytes) in [1, 1000, 16_383, 16_384, 16_385, 61_000, 200_000, 9_000_000].into_iter().enumerate() {
        let value: Vec<u8> = (0..bytes).map(|position: usize| (position * 31 / 7 + number) as u8).collect();
        let key = vec![b'k'; number * 1000 + 1];
        batch.put(&key, &value);
        model.insert(key, value);
    }
    kv.commit(batch, Durability::Relaxed).await.unwrap();
    assert_equals(&kv.snapshot().unwrap(), &model).await;
}

pub async fn an_empty_batch_changes_nothing<K: Kv>(kv: &K) {
    put_all(kv, &[(b"a", b"1")]).await;
    kv.commit(Batch::new(), Durability::Relaxed).await.unwrap();
    kv.commit(Batch::new(), Durability::Strict).await.unwrap();
    assert_equals(&kv.snapshot().unwrap(), &model_of(&[(b"a", b"1")])).await;
}

pub async fn many_commits_agree_with_a_map<K: Kv>(kv: &K) {
    let mut model = Model::new();
    let mut state = 7_u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    for _ in 0..200 {
        let mut batch = Batch::new();
        for _ in 0..next(60) {
            let key = format!("path/{}/{}", next(9), next(150)).into_bytes();
            if next(3) == 0 {
                batch.delete(&key);
                model.remove(&key);
            } else {
                let value = vec![b'v'; next(40) as usize * next(12) as usize];
                batch.put(&key, &value);
                model.insert(key, value);
            }
        }
        kv.commit(batch, Durability::Relaxed).await.unwrap();
    }
    assert_equals(&kv.snapshot().unwrap(), &model).await;
}
