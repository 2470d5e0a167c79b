//! A fresh replica that begins with the peer's snapshot: what travels and what does not, breaks on the way, and beginning without.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod logic_support;
mod repair_support;
mod replication_support;
mod snapshot_support;

use std::rc::Rc;

use common::stored;
use firkin_core::database::{Database, Options as DatabaseOptions};
use firkin_core::document::keys;
use firkin_core::path::Path;
use firkin_core::replication::{Filter, Options, ReplicationError, State};
use firkin_core::storage::blocks::BlockKey;
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::LogStore;
use logic_support::Rules;
use repair_support::{Replica, check_consistent, check_writable, image_of, open, store_options};
use replication_support::server::{FakeServer, Faults};
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Seeded, Told, content, options, put};
use snapshot_support::{filled, fresh};

const DOCUMENTS: usize = 500;

fn is_segment(key: BlockKey) -> bool {
    key == BlockKey::segment(key.number())
}

/// Breaks do not end it.
fn patient() -> Options {
    Options { retry: true, ..options("peer") }
}

#[test]
fn fresh_replica_takes_documents_and_index_and_nothing_that_is_the_peers_alone() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        put(&there, r#"{"_id":"later","number":4,"deep":{"n":[4]}}"#).await;
        let (blocks, here) = fresh(2);
        put(&here, r#"{"_id":"_local/here","kept":1}"#).await;
        let identity = here.identity();
        let status = Client::new(&here, &clock, 4).pull_from_snapshot(&server, &options("peer")).await.unwrap();
        assert_eq!((status.state, status.doc_write_failures), (State::Complete, 0));
        assert_eq!(status.docs_written, DOCUMENTS as u64 + 4);
        assert_eq!(server.snapshot_bytes.borrow().len(), 1);
        assert_eq!(server.requests_of("since=0"), 0, "{:?}", server.requests);
        assert_eq!(content(&here).await, content(&there).await);
        assert_eq!(here.identity(), identity);
        assert_ne!(there.identity(), identity);
        for prefix in [keys::local("_local/there"), keys::consumers().to_vec(), keys::all_staged().to_vec()] {
            assert!(!stored(&there, &prefix).is_empty());
            assert!(stored(&here, &prefix).is_empty());
        }
        // What follows from documents beside the index.
        for prefix in [keys::open_reviews().to_vec(), keys::told_in("merge")] {
            assert!(!stored(&there, &prefix).is_empty());
            assert_eq!(stored(&here, &prefix), stored(&there, &prefix));
        }
        // Parts of contents that no document has are nobody's.
        let [ours, theirs] = [stored(&here, keys::all_parts()).len(), stored(&there, keys::all_parts()).len()];
        assert!(0 < ours && ours < theirs, "{ours} and {theirs}");
        assert_eq!(stored(&here, &keys::local("_local/here")).len(), 1);
        check_consistent(&here, "taken over");
        here.kv().close().await;
        let again = open(&blocks, 5, true).unwrap();
        assert_eq!(again.identity(), identity);
        assert_eq!(content(&again).await, content(&there).await);
        check_consistent(&again, "opened again");
        check_writable(&again, "opened again");
    });
}

#[test]
fn what_came_by_a_snapshot_is_neither_pulled_again_nor_offered_back() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        let (blocks, here) = fresh(2);
        Client::new(&here, &clock, 4).pull_from_snapshot(&server, &options("peer")).await.unwrap();
        here.kv().close().await;
        let here = open(&blocks, 5, true).unwrap();
        server.requests.take();
        let status = Client::new(&here, &clock, 6).push(&server, &options("peer")).await.unwrap();
        assert_eq!((status.docs_read, server.requests_of("_revs_diff")), (0, 0), "{:?}", server.requests);
        put(&here, r#"{"_id":"own"}"#).await;
        let status = Client::new(&here, &clock, 7).push(&server, &options("peer")).await.unwrap();
        assert_eq!(status.docs_written, 1);
        let status = Client::new(&here, &clock, 8).pull_from_snapshot(&server, &options("peer")).await.unwrap();
        assert_eq!(status.docs_read, 0);
        assert_eq!((server.requests_of("_snapshot"), server.requests_of("_bulk_get")), (0, 0));
        assert_eq!(content(&here).await, content(&there).await);
    });
}

#[test]
fn snapshot_goes_on_where_it_broke_whatever_breaks() {
    let mut resumed = 0;
    for seed in 0..16 {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let there = filled(1, DOCUMENTS).await;
            let server = FakeServer::new(&there, &clock, seed);
            server.pack("one").await;
            server.faults.set(Faults { lost_requests: 10, lost_answers: 10, cut_bodies: 30, errors: 10 });
            let (_, here) = fresh(2);
            Client::new(&here, &clock, seed + 50).pull_from_snapshot(&server, &patient()).await.unwrap();
            assert_eq!(content(&here).await, content(&there).await, "seed {seed}");
            check_consistent(&here, &format!("seed {seed}"));
            let asked = server.snapshot_bytes.borrow();
            resumed += asked.windows(2).filter(|pair| pair[1] < pair[0]).count();
        });
    }
    assert!(resumed >= 4, "{resumed} went on");
}

#[test]
fn snapshot_that_ends_midway_leaves_an_empty_database_that_begins_again() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        let (blocks, here) = fresh(2);
        server.breaks_at.set(Some("_snapshot"));
        let segments = |blocks: &MemoryBlocks| image_of(blocks).keys().filter(|key| is_segment(**key)).count();
        for _ in 0..3 {
            let pulled = Client::new(&here, &clock, 4).pull_from_snapshot(&server, &options("peer")).await;
            assert!(matches!(pulled, Err(ReplicationError::Network(_))), "{pulled:?}");
            assert_eq!(here.info().await.unwrap().doc_count, 0);
            assert!(content(&here).await.is_empty());
            assert!(segments(&blocks) > 0, "some of it was written");
            while here.kv().maintain(100_000).await.unwrap() {}
            assert_eq!(segments(&blocks), 0, "and deleted");
        }
        server.breaks_at.set(None);
        here.kv().close().await;
        let here = open(&blocks, 6, true).unwrap();
        Client::new(&here, &clock, 7).pull_from_snapshot(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&here).await, content(&there).await);
        check_consistent(&here, "begun again");
    });
}

#[test]
fn snapshot_that_the_peer_has_no_more_is_begun_anew() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        let whole = server.snapshot.borrow().clone().unwrap().1;
        // The first half of it, and then there is another.
        server.snapshot.replace(Some(("one".into(), whole[..whole.len() / 2].to_vec())));
        let (_, here) = fresh(2);
        let replace = async {
            while server.snapshot_bytes.borrow().is_empty() {
                firkin_core::effects::Clock::sleep(&clock, 1).await;
            }
            put(&there, r#"{"_id":"later","number":4,"deep":{"n":[4]}}"#).await;
            server.pack("two").await;
        };
        let client = Client::new(&here, &clock, 4);
        let options = patient();
        let (pulled, ()) = futures_util::future::join(client.pull_from_snapshot(&server, &options), replace).await;
        assert_eq!(pulled.unwrap().state, State::Complete);
        assert_eq!(server.requests_of("_snapshot"), 3, "{:?}", server.requests);
        assert_eq!(content(&here).await, content(&there).await);
        check_consistent(&here, "the second");
    });
}

/// Pulls, and expects all of it without the snapshot; whether a setback was told.
async fn pull_without(server: &FakeServer<'_>, here: &Replica, clock: &SimulatedClock, asked: usize) -> bool {
    let there = server.database.get();
    let client = Client::new(here, clock, 4);
    client.pull_from_snapshot(server, &options("peer")).await.unwrap();
    assert_eq!(server.requests_of("_snapshot"), asked, "{:?}", server.requests);
    assert!(server.requests_of("_changes") > 0);
    assert_eq!(content(here).await, content(there).await);
    client.told().contains(&Told::BackingOff(0))
}

#[test]
fn peer_without_snapshots_is_pulled_from_as_ever() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        for status in [400, 403, 404, 405, 501] {
            let server = FakeServer::new(&there, &clock, 3);
            server.pack("one").await;
            server.script(move |request| {
                let answer = r#"{"error":"other","reason":"not here"}"#;
                (request.path == "_snapshot").then(|| (status, answer.into()))
            });
            assert!(!pull_without(&server, &fresh(2).1, &clock, 1).await, "{status}");
        }
        // Whoever says nothing of snapshots is not asked.
        assert!(!pull_without(&FakeServer::new(&there, &clock, 3), &fresh(2).1, &clock, 0).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        server.script(|request| (request.path == "_snapshot").then(|| (200, "<html>\n welcome".into())));
        assert!(pull_without(&server, &fresh(2).1, &clock, 1).await);
    });
}

#[test]
fn damaged_or_foreign_snapshot_is_told_and_done_without() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        let whole = server.snapshot.borrow().clone().unwrap().1;
        let line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for place in (line..whole.len()).step_by(whole.len() / 13) {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x40;
            server.snapshot.replace(Some(("one".into(), damaged)));
            server.requests.take();
            let (_, here) = fresh(2);
            assert!(pull_without(&server, &here, &clock, 1).await, "byte {place}");
            check_consistent(&here, "without");
        }
        // Of a newer version, of a newer format, with paths kept out of the index: nothing is wrong, but it is for others.
        let text = String::from_utf8(whole[..line].to_vec()).unwrap();
        for (from, to) in [
            (r#""firkin_snapshot":1"#, r#""firkin_snapshot":2"#),
            (r#""format":1"#, r#""format":99"#),
            (r#""exclude":[]"#, r#""exclude":["text"]"#),
        ] {
            assert!(text.contains(from));
            let other = [text.replace(from, to).as_bytes(), &whole[line..]].concat();
            server.snapshot.replace(Some(("one".into(), other)));
            server.requests.take();
            assert!(!pull_without(&server, &fresh(2).1, &clock, 1).await, "{to}");
        }
        // A change behind the last: it was counted wrongly.
        let last = there.info().await.unwrap().update_seq;
        let last = last.split('-').next().unwrap();
        let other = text.replace(&format!("\"last\":{last}"), "\"last\":7");
        assert_ne!(other, text);
        server.snapshot.replace(Some(("one".into(), [other.as_bytes(), &whole[line..]].concat())));
        server.requests.take();
        assert!(pull_without(&server, &fresh(2).1, &clock, 1).await);
    });
}

#[test]
fn snapshot_is_not_asked_for_where_it_would_not_do() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        let (_, written) = fresh(2);
        put(&written, r#"{"_id":"own"}"#).await;
        Client::new(&written, &clock, 4).pull_from_snapshot(&server, &options("peer")).await.unwrap();
        let judged = Database::open(
            LogStore::open(MemoryBlocks::new(), store_options(3, true)).await.unwrap(),
            &Seeded::new(3),
            DatabaseOptions::default(),
        )
        .await
        .unwrap()
        .with_logic(Rc::new(Rules::default()));
        Client::new(&judged, &clock, 5).pull_from_snapshot(&server, &options("peer")).await.unwrap();
        let filter = Filter::ids(vec!["d0001".into()]);
        let partly = Options { filter, ..options("peer") };
        let (_, part) = fresh(4);
        Client::new(&part, &clock, 6).pull_from_snapshot(&server, &partly).await.unwrap();
        assert_eq!(part.info().await.unwrap().doc_count, 1);
        assert_eq!(server.requests_of("_snapshot"), 0);
        let (_, unwilling) = fresh(7);
        let without = Options { snapshot: false, ..options("peer") };
        Client::new(&unwilling, &clock, 8).pull_from_snapshot(&server, &without).await.unwrap();
        assert_eq!(content(&unwilling).await, content(&there).await);
        assert_eq!(server.requests_of("_snapshot"), 0);
        // Whose own index is another takes none either.
        let exclude = vec![Path::parse("text")];
        let store = LogStore::open(MemoryBlocks::new(), store_options(5, true)).await.unwrap();
        let options_here = DatabaseOptions { exclude, ..DatabaseOptions::default() };
        let other = Database::open(store, &Seeded::new(5), options_here).await.unwrap();
        assert!(!pull_without(&server, &other, &clock, 1).await);
    });
}
