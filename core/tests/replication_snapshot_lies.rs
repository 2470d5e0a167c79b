//! Snapshots of a peer that lies. Documents are its own to tell; nothing else that it says is believed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod repair_support;
mod replication_support;
mod snapshot_support;

use std::collections::BTreeMap;

use common::stored;
use firkin_core::database::SnapshotHead;
use firkin_core::document::keys;
use firkin_core::index::keyspace;
use firkin_core::json;
use firkin_core::storage::pack::Pack;
use pollster::block_on;
use repair_support::{check_consistent, check_writable};
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Memory, Told, content, options, put};
use snapshot_support::{filled, fresh};

const DOCUMENTS: usize = 12;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// What kinds of entries travel, and whether one of the kind says nothing but what follows from others.
const KINDS: [(&[u8], bool); 12] = [
    (keys::all_parts(), false),
    (&[keyspace::PATH_NAME], false),
    (keys::all_attached(), false),
    (keys::all_bodies(), false),
    (keys::contents(), true),
    (keys::heads(), true),
    (&[keyspace::POSTING], true),
    (&[keyspace::CARDINALITY], true),
    (&[keyspace::PATH], true),
    (keys::all_nodes(), false),
    (keys::changes(), true),
    (keys::all_uses(), true),
];

/// What an honest snapshot of `there` has.
fn honest(there: &Memory) -> (SnapshotHead, Entries) {
    let staged: Vec<_> =
        stored(there, keys::all_staged()).into_keys().filter_map(|key| keys::staged_number(&key)).collect();
    let mut entries = Entries::new();
    for (kind, _) in KINDS {
        let found = stored(there, kind);
        assert!(!found.is_empty(), "{kind:?}");
        entries.extend(found);
    }
    entries.retain(|key, _| !keys::part_number(key).is_some_and(|number| staged.contains(&number)));
    (block_on(there.pack()).unwrap().head, entries)
}

/// A snapshot of these entries, each a record of its own.
fn packed<'e>(head: &SnapshotHead, entries: impl IntoIterator<Item = (&'e Vec<u8>, &'e Vec<u8>)>) -> Vec<u8> {
    let (mut pack, mut blocks) = (Pack::default(), Vec::new());
    for (key, value) in entries {
        pack.add(key, value);
        blocks.extend(pack.take());
    }
    [head.line("told", blocks.len() as u64), blocks].concat()
}

/// Whether a fresh database refuses the snapshot. Then it has all by the plain protocol; and in any case it agrees with itself.
async fn refuses(there: &Memory, clock: &SimulatedClock, snapshot: Vec<u8>, what: &str) -> bool {
    let server = FakeServer::new(there, clock, 3);
    server.snapshot.replace(Some(("told".into(), snapshot)));
    let (_, here) = fresh(2);
    let client = Client::new(&here, clock, 4);
    client.pull_from_snapshot(&server, &options("peer")).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let refused = client.told().contains(&Told::BackingOff(0));
    if refused {
        assert_eq!(content(&here).await, content(there).await, "{what}");
    }
    check_consistent(&here, what);
    put(&here, r#"{"_id":"own","number":3}"#).await;
    check_consistent(&here, what);
    refused
}

#[test]
fn honest_snapshot_is_taken_in_records_of_any_length() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let (head, entries) = honest(&there);
        assert!(!refuses(&there, &clock, packed(&head, &entries), "honest").await);
    });
}

#[test]
fn what_does_not_follow_from_the_documents_is_refused_and_they_come_without_it() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let (head, entries) = honest(&there);
        for (kind, follows) in KINDS {
            let of_kind: Vec<_> = entries.iter().filter(|(key, _)| key.starts_with(kind)).collect();
            let mut refused = 0;
            for (key, value) in of_kind.iter().step_by(of_kind.len().div_ceil(4)) {
                let mut lies = Vec::new();
                let mut lie = |change: &dyn Fn(&mut Entries)| {
                    let mut changed = entries.clone();
                    change(&mut changed);
                    if changed != entries {
                        lies.push(changed);
                    }
                };
                lie(&|entries| drop(entries.remove(*key)));
                for place in [1, key.len() / 2, key.len() - 1] {
                    let mut other = (*key).clone();
                    other[place] ^= 1;
                    lie(&|entries| drop(entries.insert(other.clone(), (*value).clone())));
                    lie(&|entries| {
                        entries.remove(*key);
                        entries.insert(other.clone(), (*value).clone());
                    });
                }
                for place in [0, value.len() / 2, value.len().saturating_sub(1)] {
                    let mut other = (*value).clone();
                    if let Some(byte) = other.get_mut(place) {
                        *byte ^= 1;
                    }
                    lie(&|entries| drop(entries.insert((*key).clone(), other.clone())));
                }
                lie(&|entries| drop(entries.insert((*key).clone(), Vec::new())));
                lie(&|entries| entries.get_mut(*key).unwrap().push(0));
                for (number, lie) in lies.iter().enumerate() {
                    let what = format!("lie {number} about {}", String::from_utf8_lossy(key));
                    let is_refused = refuses(&there, &clock, packed(&head, lie), &what).await;
                    assert!(is_refused || !follows, "{what} is believed");
                    refused += usize::from(is_refused);
                }
            }
            assert!(refused > 0, "{kind:?}");
        }
    });
}

#[test]
fn what_is_another_replicas_alone_is_refused() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let (head, entries) = honest(&there);
        let foreign = [
            keys::STATE.to_vec(),
            keyspace::NEXT_PATH.to_vec(),
            keyspace::EXCLUDED.to_vec(),
            keys::REPAIR.to_vec(),
            keys::local("_local/x"),
            keys::request(1, 1),
            keys::consumer("c"),
            keys::staged(&[7; 12]),
            vec![0],
            vec![255; 9],
        ];
        for key in foreign {
            let mut entries = entries.clone();
            entries.insert(key.clone(), vec![0; 40]);
            assert!(refuses(&there, &clock, packed(&head, &entries), &format!("{key:?}")).await);
        }
        for (id, what) in [("", "no id"), ("_reserved", "a reserved id"), ("_local/x", "a local id")] {
            let mut entries = entries.clone();
            let (_, head_record) = stored(&there, &keys::head("d0001")).into_iter().next().unwrap();
            entries.insert(keys::head(id), head_record);
            assert!(refuses(&there, &clock, packed(&head, &entries), what).await);
        }
    });
}

#[test]
fn bodies_that_nobody_writes_are_refused() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let (head, entries) = honest(&there);
        // Of the tombstone, so that the index has nothing of it.
        let (key, body) = stored(&there, &keys::bodies("gone")).into_iter().next().unwrap();
        assert_eq!(body, b"{}");
        for body in ["", "[]", "7", "{", "{ }", " {}", "{}\n", "{\"_id\":\"x\"}", "{\"a\":1,\"a\":2}", "{}{}"] {
            let mut entries = entries.clone();
            entries.insert(key.clone(), body.into());
            assert!(refuses(&there, &clock, packed(&head, &entries), body).await, "{body}");
        }
    });
}

#[test]
fn disorder_and_excess_and_what_is_cut_off_are_refused() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let (head, entries) = honest(&there);
        let honest = packed(&head, &entries);
        assert!(refuses(&there, &clock, packed(&head, entries.iter().rev()), "backwards").await);
        assert!(refuses(&there, &clock, packed(&head, entries.iter().chain(entries.iter().take(1))), "twice").await);
        assert!(refuses(&there, &clock, packed(&head, []), "nothing").await);
        assert!(refuses(&there, &clock, [honest.as_slice(), b"more"].concat(), "more than it says").await);
        let line = honest.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let blocks = &honest[line..];
        for part in (0..blocks.len()).step_by(blocks.len() / 7) {
            let cut = [&head.line("told", part as u64), &blocks[..part]].concat();
            assert!(refuses(&there, &clock, cut, &format!("{part} bytes")).await);
        }
        assert!(refuses(&there, &clock, vec![b'x'; 100_000], "an endless line").await);
        assert!(refuses(&there, &clock, [&honest[..line], &[255; 40_000]].concat(), "endless blocks").await);
    });
}

#[test]
fn counts_that_are_not_those_of_the_documents_are_refused() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let (honest, entries) = honest(&there);
        let lies: [&dyn Fn(&mut SnapshotHead); 6] = [
            &|head| head.doc_count += 1,
            &|head| head.doc_count -= 1,
            &|head| head.doc_del_count += 1,
            &|head| head.last -= 1,
            // No room for a change of our own.
            &|head| head.last = (1 << 53) - 1,
            &|head| head.last = u64::MAX,
        ];
        for (number, lie) in lies.iter().enumerate() {
            let mut head = honest.clone();
            lie(&mut head);
            assert!(refuses(&there, &clock, packed(&head, &entries), &format!("lie {number}")).await);
        }
        for line in ["{}", "[]", "{\"firkin_snapshot\":1}", "{\"firkin_snapshot\":\"1\"}", "\u{0}"] {
            assert!(json::parse(line.as_bytes()).is_ok() || line == "\u{0}");
            assert!(refuses(&there, &clock, [line, "\n"].concat().into_bytes(), line).await);
        }
    });
}

#[test]
fn refused_snapshot_leaves_nothing_behind() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let (head, mut entries) = honest(&there);
        let (posting, _) = stored(&there, &[keyspace::POSTING]).into_iter().next_back().unwrap();
        entries.remove(&posting);
        let server = FakeServer::new(&there, &clock, 3);
        server.snapshot.replace(Some(("told".into(), packed(&head, &entries))));
        // The plain protocol does not come to anything.
        server.script(|request| (request.path.starts_with("_changes")).then(|| (403, "{}".into())));
        let (blocks, here) = fresh(2);
        put(&here, r#"{"_id":"_local/own","kept":1}"#).await;
        let before = stored(&here, &[]);
        Client::new(&here, &clock, 4).pull_from_snapshot(&server, &options("peer")).await.unwrap_err();
        while here.kv().maintain(100_000).await.unwrap() {}
        assert_eq!(stored(&here, &[]), before);
        let names: Vec<_> = repair_support::image_of(&blocks).into_keys().collect();
        assert!(!names.iter().any(|name| *name == firkin_core::storage::blocks::BlockKey::segment(name.number())));
        check_consistent(&here, "as it was");
        check_writable(&here, "as it was");
    });
}
