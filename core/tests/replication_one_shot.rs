//! One pull or push: what arrives, how many requests it takes, and where the next one begins.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use firkin_core::database::{Database, WriteOptions};
use firkin_core::effects::Clock;
use firkin_core::json;
use firkin_core::replication::{Filter, Limits, Options, State};
use firkin_core::storage::memory::MemoryKv;
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Told, content, database, options, put};
use serde_json::json;

async fn fill(database: &Database<MemoryKv>, from: usize, to: usize) {
    for n in from..to {
        put(database, &json!({"_id": format!("d{n:04}"), "n": n, "text": "x".repeat(n % 50)}).to_string()).await;
    }
}

/// Conflicts, deletions and ids that need care in URLs and JSON.
async fn odd_documents(database: &Database<MemoryKv>) {
    for text in [
        r#"{"_id":"c","_rev":"2-bbbb","_revisions":{"start":2,"ids":["bbbb","aaaa"]},"v":1,
            "_attachments":{"h.txt":{"content_type":"text/plain","revpos":1,"digest":"md5-iMaiC8wqiFlD2NjLTemvCQ==","data":"aGVsbG8="}}}"#,
        r#"{"_id":"c","_rev":"2-CCCC","_revisions":{"start":2,"ids":["CCCC","aaaa"]},"v":2}"#,
        r#"{"_id":"c","_rev":"5-x-y","_revisions":{"start":5,"ids":["x-y"]},"_deleted":true}"#,
        r#"{"_id":"ü/ \"%?&#+=","_rev":"1-ü €","v":3}"#,
        r#"{"_id":"_design/d","_rev":"1-a","language":"none","_attachments":{"x/y ü":{"data":""}}}"#,
        r#"{"_id":"gone","_rev":"2-b","_revisions":{"start":2,"ids":["b","a"]},"_deleted":true}"#,
    ] {
        let rows = database.bulk_docs(&[text.as_bytes()], false, &WriteOptions::default()).await.unwrap();
        assert!(rows.iter().all(Result::is_ok));
    }
}

#[test]
fn pull_brings_every_leaf_with_its_ancestry() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        for knows_bulk_get in [true, false] {
            let (there, here) = (database(1).await, database(2).await);
            fill(&there, 0, 40).await;
            odd_documents(&there).await;
            let server = FakeServer::new(&there, &clock, 3);
            server.knows_bulk_get.set(knows_bulk_get);
            let client = Client::new(&here, &clock, 4);
            let status = client.pull(&server, &options("there")).await.unwrap();
            assert_eq!(content(&here).await, content(&there).await);
            assert_eq!((status.state, status.docs_read, status.docs_written), (State::Complete, 46, 46));
            assert_eq!((status.pending, status.doc_write_failures), (Some(0), 0));
            assert_eq!(status.last_seq, format!("\"{}\"", there.info().await.unwrap().update_seq));
            assert_eq!(server.requests_of("open_revs") > 0, !knows_bulk_get);
        }
    });
}

#[test]
fn push_brings_every_leaf_with_its_ancestry() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        fill(&here, 0, 40).await;
        odd_documents(&here).await;
        let server = FakeServer::new(&there, &clock, 3);
        let status = Client::new(&here, &clock, 4).push(&server, &options("there")).await.unwrap();
        assert_eq!(content(&here).await, content(&there).await);
        assert_eq!((status.state, status.docs_read, status.docs_written), (State::Complete, 46, 46));
        assert_eq!((status.pending, status.doc_write_failures), (Some(0), 0));
    });
}

#[test]
fn thousand_documents_take_few_requests_and_nothing_new_takes_three() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here, further) = (database(1).await, database(2).await, database(3).await);
        fill(&there, 0, 1_000).await;
        let server = FakeServer::new(&there, &clock, 4);
        server.latency_ms.set(50);
        let counted = |at_most: usize| {
            let requests = server.requests.take();
            assert!(requests.len() <= at_most, "{requests:?}");
        };
        let client = Client::new(&here, &clock, 5);
        client.pull(&server, &options("there")).await.unwrap();
        assert_eq!(server.requests_of("_bulk_get"), 0, "first revisions come with the feed");
        counted(4);
        client.pull(&server, &options("there")).await.unwrap();
        counted(3);
        let server = FakeServer::new(&further, &clock, 6);
        server.latency_ms.set(50);
        let counted = |at_most: usize| {
            let requests = server.requests.take();
            assert!(requests.len() <= at_most, "{requests:?}");
        };
        client.push(&server, &options("further")).await.unwrap();
        counted(6);
        client.push(&server, &options("further")).await.unwrap();
        counted(3);
        assert_eq!(content(&further).await, content(&there).await);
    });
}

#[test]
fn documents_that_were_edited_are_fetched_side_by_side() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for n in 0..1_000 {
            let id = format!("d{n:04}");
            let rev = put(&there, &json!({"_id": id}).to_string()).await;
            put(&there, &json!({"_id": id, "_rev": rev, "n": n}).to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 3);
        let limits = Limits { batch_documents: 250, ..Limits::default() };
        let options = Options { limits, ..options("there") };
        Client::new(&here, &clock, 4).pull(&server, &options).await.unwrap();
        assert!(server.in_flight_max.get() > 1, "batches are not fetched side by side");
        assert!(server.requests.borrow().len() <= 9, "{:?}", server.requests);
        assert_eq!(content(&here).await, content(&there).await);
    });
}

#[test]
fn initial_pull_of_ten_thousand_documents_takes_few_round_trips() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        fill(&there, 0, 10_000).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.latency_ms.set(50);
        let began_ms = clock.now_ms();
        let status = Client::new(&here, &clock, 4).pull(&server, &options("there")).await.unwrap();
        assert_eq!(status.docs_written, 10_000);
        println!("10,000 documents took {} requests", server.requests.borrow().len());
        assert!(server.requests.borrow().len() < 20, "{:?}", server.requests);
        assert!((clock.now_ms() - began_ms) / server.latency_ms.get() < 20, "took {} ms", clock.now_ms() - began_ms);
    });
}

#[test]
fn page_with_documents_that_is_too_long_is_asked_for_without() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for n in 0..100 {
            put(&there, &json!({"_id": format!("d{n}"), "text": "x".repeat(2_000)}).to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 3);
        let limits = Limits { answer_bytes_max: 10_000, ..Limits::default() };
        let status = Client::new(&here, &clock, 4).pull(&server, &Options { limits, ..options("peer") }).await.unwrap();
        assert_eq!((status.docs_written, status.doc_write_failures), (100, 0));
        assert_eq!(content(&here).await, content(&there).await);
    });
}

#[test]
fn next_session_begins_at_the_checkpoint_that_both_sides_know() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        let since =
            || server.requests.take().iter().find_map(|request| request.split("since=").nth(1).map(String::from));
        for (from, to) in [(0, 10), (10, 20), (20, 21)] {
            let before = if from == 0 { "0".into() } else { there.info().await.unwrap().update_seq };
            fill(&there, from, to).await;
            client.pull(&server, &options("there")).await.unwrap();
            assert_eq!(since().unwrap().split('&').next(), Some(before.as_str()));
            assert!(client.told().contains(&Told::Checkpoint));
        }
        // Another name for the peer, another filter: another checkpoint.
        let other = Options { filter: Filter::Ids(["d0001".into()].into()), ..options("there") };
        for options in [options("elsewhere"), other, Options { since: Some("0".into()), ..options("there") }] {
            client.pull(&server, &options).await.unwrap();
            assert!(since().unwrap().starts_with("0&"));
        }
    });
}

#[test]
fn lost_checkpoints_and_peers_made_anew_cost_time_and_no_data() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (first, second, here) = (database(1).await, database(2).await, database(3).await);
        fill(&first, 0, 30).await;
        fill(&second, 20, 35).await;
        let client = Client::new(&here, &clock, 4);
        client.pull(&FakeServer::new(&first, &clock, 5), &options("peer")).await.unwrap();
        client.push(&FakeServer::new(&first, &clock, 5), &options("peer")).await.unwrap();
        // The same URL, but another database behind it, with sequences that mean something else.
        client.pull(&FakeServer::new(&second, &clock, 6), &options("peer")).await.unwrap();
        client.push(&FakeServer::new(&second, &clock, 6), &options("peer")).await.unwrap();
        assert_eq!(content(&here).await.len(), 35);
        assert_eq!(content(&second).await, content(&here).await);
        // A peer that never takes checkpoints, and one whose checkpoint is nonsense.
        for body in ["{\"history\":[{\"session_id\":3}]}", "[]", "<html>", "{\"history\":{}}"] {
            let server = FakeServer::new(&second, &clock, 7);
            server.script(move |request| {
                request.path.starts_with("_local/").then(|| match request.body {
                    Some(_) => (403, r#"{"error":"forbidden","reason":"read only"}"#.into()),
                    None => (200, body.into()),
                })
            });
            let late = format!("late {body}");
            put(&second, &json!({"_id": late}).to_string()).await;
            let client = Client::new(&here, &clock, 8);
            let status = client.pull(&server, &options("peer")).await.unwrap();
            assert_eq!((status.state, status.docs_written), (State::Complete, 1));
            assert!(!client.told().contains(&Told::Checkpoint));
        }
        assert_eq!(content(&second).await, content(&here).await);
    });
}

#[test]
fn peer_set_back_to_a_backup_is_read_from_the_older_checkpoint() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, backup, here) = (database(1).await, database(1).await, database(2).await);
        let limits = Limits { page_rows: 5, batch_documents: 5, checkpoint_ms: 0, ..Limits::default() };
        let options = Options { limits, ..options("peer") };
        let client = Client::new(&here, &clock, 3);
        fill(&there, 0, 10).await;
        // The backup is taken while a session is under way: it holds that session's first checkpoint and first documents.
        fill(&backup, 0, 10).await;
        let server = FakeServer::new(&there, &clock, 4);
        client.pull(&server, &options).await.unwrap();
        let checkpoints: Vec<serde_json::Value> = {
            // Replay what was written to the peer, but only the first of two checkpoints of the same session.
            let written = server.written.borrow();
            assert!(written.len() >= 2);
            written.clone()
        };
        backup.put_local(checkpoints[0].to_string().as_bytes()).await.unwrap();
        fill(&backup, 50, 53).await;
        let server = FakeServer::new(&backup, &clock, 5);
        client.pull(&server, &options).await.unwrap();
        let since = format!("since={}&", checkpoints[0]["source_last_seq"].as_str().unwrap());
        assert_eq!(server.requests_of(&since), 1, "{:?}", server.requests);
        assert_eq!(content(&here).await.len(), 13);
    });
}

#[test]
fn selector_brings_what_matches_and_no_deletion_is_hidden() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let keep = put(&there, r#"{"_id":"keep","kind":"a"}"#).await;
        put(&there, r#"{"_id":"other","kind":"b"}"#).await;
        let never = put(&there, r#"{"_id":"never","kind":"b"}"#).await;
        there.remove("never", &never, &WriteOptions::default()).await.unwrap();
        let filter = Filter::selector(json::parse(br#"{"kind":"a"}"#).unwrap()).unwrap();
        let options = Options { filter, ..options("peer") };
        let client = Client::new(&here, &clock, 3);
        let server = FakeServer::new(&there, &clock, 4);
        client.pull(&server, &options).await.unwrap();
        // The tombstone of a document that was never here stays away.
        assert_eq!(content(&here).await.keys().collect::<Vec<_>>(), ["keep"]);
        there.remove("keep", &keep, &WriteOptions::default()).await.unwrap();
        client.pull(&server, &options).await.unwrap();
        assert_eq!(content(&here).await["keep"], content(&there).await["keep"]);
        assert_eq!(content(&here).await["keep"][0]["_deleted"], true);
        // A further branch of what is deleted here comes along; a tombstone of what never was here does not, even one that
        // would match.
        for text in [
            r#"{"_id":"keep","_rev":"1-0","_deleted":true}"#,
            r#"{"_id":"ghost","_rev":"1-a","kind":"a","_deleted":true}"#,
        ] {
            there.bulk_docs(&[text.as_bytes()], false, &WriteOptions::default()).await.unwrap();
        }
        client.pull(&server, &options).await.unwrap();
        assert_eq!(content(&here).await.keys().collect::<Vec<_>>(), ["keep"]);
        assert_eq!(content(&here).await["keep"].len(), 2);
        // A push by selector: what matches, and tombstones.
        let further = database(5).await;
        put(&here, r#"{"_id":"mine","kind":"a"}"#).await;
        put(&here, r#"{"_id":"private","kind":"b"}"#).await;
        client.push(&FakeServer::new(&further, &clock, 6), &options).await.unwrap();
        assert_eq!(content(&further).await.keys().collect::<Vec<_>>(), ["keep", "mine"]);
    });
}

#[test]
fn selector_is_held_against_what_arrives_and_conflicts_of_what_takes_part_come_along() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for text in [
            r#"{"_id":"both","_rev":"2-b","_revisions":{"start":2,"ids":["b","z"]},"kind":"a"}"#,
            r#"{"_id":"both","_rev":"2-a","_revisions":{"start":2,"ids":["a","z"]},"kind":"b"}"#,
            r#"{"_id":"other","_rev":"1-a","kind":"b"}"#,
        ] {
            there.bulk_docs(&[text.as_bytes()], false, &WriteOptions::default()).await.unwrap();
        }
        let filter = Filter::selector(json::parse(br#"{"kind":"a"}"#).unwrap()).unwrap();
        // A peer that takes no notice of the selector.
        let all = r#"{"results":[{"seq":"2","id":"both","changes":[{"rev":"2-b"},{"rev":"2-a"}]},
            {"seq":"3","id":"other","changes":[{"rev":"1-a"}]}],"last_seq":"3","pending":0}"#;
        let server = FakeServer::new(&there, &clock, 3);
        server.script(move |request| request.path.starts_with("_changes").then(|| (200, all.into())));
        let client = Client::new(&here, &clock, 4);
        client.pull(&server, &Options { filter, ..options("peer") }).await.unwrap();
        let here = content(&here).await;
        assert_eq!(here.keys().collect::<Vec<_>>(), ["both"]);
        assert_eq!(here["both"].len(), 2);
    });
}

#[test]
fn ids_bring_those_documents_alone() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here, further) = (database(1).await, database(2).await, database(3).await);
        fill(&there, 0, 10).await;
        let options = Options { filter: Filter::Ids(["d0003".into(), "d0007".into()].into()), ..options("peer") };
        let client = Client::new(&here, &clock, 4);
        let server = FakeServer::new(&there, &clock, 5);
        client.pull(&server, &options).await.unwrap();
        assert_eq!(content(&here).await.keys().collect::<Vec<_>>(), ["d0003", "d0007"]);
        // A peer that takes no notice of the filter.
        let (everything, here) = (FakeServer::new(&there, &clock, 6), database(7).await);
        let all: Vec<serde_json::Value> = (content(&there).await.iter().enumerate())
            .map(|(at, (id, leaves))| json!({"seq": at + 1, "id": id, "changes": [{"rev": leaves[0]["_rev"]}]}))
            .collect();
        let all = json!({"results": all, "last_seq": 10}).to_string();
        everything.script(move |request| request.path.starts_with("_changes").then(|| (200, all.clone())));
        Client::new(&here, &clock, 8).pull(&everything, &options).await.unwrap();
        assert_eq!(content(&here).await.keys().collect::<Vec<_>>(), ["d0003", "d0007"]);
        fill(&here, 20, 22).await;
        Client::new(&here, &clock, 9).push(&FakeServer::new(&further, &clock, 10), &options).await.unwrap();
        assert_eq!(content(&further).await.keys().collect::<Vec<_>>(), ["d0003", "d0007"]);
    });
}
