//! What came from a peer is not offered back to it, and what did not come from it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use std::ops::Range;

use firkin_core::database::{Database, Options as DatabaseOptions, WriteOptions};
use firkin_core::effects::Clock;
use firkin_core::replication::{Limits, Options};
use firkin_core::storage::memory::MemoryKv;
use futures_util::future::join;
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Memory, Seeded, content, database, options, put};
use serde_json::json;

async fn fill(database: &Memory, numbers: Range<usize>) {
    for n in numbers {
        put(database, &json!({"_id": format!("d{n:04}"), "n": n}).to_string()).await;
    }
}

#[test]
fn what_was_pulled_is_not_offered_back() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = database(1).await;
        fill(&there, 0..1_500).await;
        let server = FakeServer::new(&there, &clock, 3);
        let kv = MemoryKv::new();
        let here = Database::open(kv.clone(), &Seeded::new(2), DatabaseOptions::default()).await.unwrap();
        Client::new(&here, &clock, 4).pull(&server, &options("peer")).await.unwrap();
        put(&here, r#"{"_id":"own"}"#).await;
        // Not even after the database was opened again.
        drop(here);
        let here = Database::open(kv, &Seeded::new(5), DatabaseOptions::default()).await.unwrap();
        server.requests.take();
        let status = Client::new(&here, &clock, 6).push(&server, &options("peer")).await.unwrap();
        assert_eq!((status.docs_read, status.docs_written), (1, 1));
        assert_eq!(server.requests_of("_revs_diff"), 1, "{:?}", server.requests);
        assert!(server.longest.get() < 100_000, "all were offered back");
        assert_eq!(content(&there).await, content(&here).await);
        // Another peer knows nothing of that.
        let further = database(7).await;
        Client::new(&here, &clock, 8).push(&FakeServer::new(&further, &clock, 9), &options("further")).await.unwrap();
        assert_eq!(content(&further).await, content(&here).await);
    });
}

#[test]
fn live_sync_offers_nothing_back() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let (puller, pusher) = (Client::new(&here, &clock, 4), Client::new(&here, &clock, 5));
        let live = Options { live: true, retry: true, ..options("peer") };
        let script = async {
            for n in 0..30 {
                put(&there, &json!({"_id": format!("n{n}")}).to_string()).await;
                clock.sleep(300).await;
            }
            clock.sleep(10_000).await;
            assert_eq!(content(&here).await, content(&there).await);
            assert_eq!(server.requests_of("_revs_diff") + server.requests_of("_bulk_docs"), 0);
            puller.control.cancel();
            pusher.control.cancel();
        };
        let (ended, ()) = join(join(puller.pull(&server, &live), pusher.push(&server, &live)), script).await;
        ended.0.unwrap();
        ended.1.unwrap();
    });
}

#[test]
fn own_branch_beside_one_that_was_pulled_is_offered() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let first = put(&there, r#"{"_id":"a"}"#).await;
        let client = Client::new(&here, &clock, 4);
        client.pull(&server, &options("peer")).await.unwrap();
        put(&here, &json!({"_id": "a", "_rev": first, "by": "us"}).to_string()).await;
        put(&there, &json!({"_id": "a", "_rev": first, "by": "them"}).to_string()).await;
        put(&here, r#"{"_id":"b"}"#).await;
        // The pull moves our branch behind what it brings.
        client.pull(&server, &options("peer")).await.unwrap();
        client.push(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&there).await, content(&here).await);
        assert_eq!((content(&there).await.len(), content(&there).await["a"].len()), (2, 2));
    });
}

#[test]
fn peer_that_was_set_back_is_offered_what_it_once_gave() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, backup, here) = (database(1).await, database(1).await, database(2).await);
        let client = Client::new(&here, &clock, 3);
        fill(&there, 0..10).await;
        fill(&backup, 0..10).await;
        let limits = Limits { page_rows: 5, batch_documents: 5, checkpoint_ms: 0, ..Limits::default() };
        let small = Options { limits, ..options("peer") };
        let server = FakeServer::new(&there, &clock, 4);
        client.pull(&server, &small).await.unwrap();
        client.push(&server, &small).await.unwrap();
        // The backup has the checkpoints, and lacks what came after it.
        for checkpoint in server.written.take() {
            backup.put_local(checkpoint.to_string().as_bytes()).await.unwrap();
        }
        fill(&there, 10..20).await;
        client.pull(&server, &small).await.unwrap();
        let server = FakeServer::new(&backup, &clock, 5);
        client.push(&server, &small).await.unwrap();
        assert_eq!(content(&backup).await, content(&here).await);
        assert_eq!(content(&here).await.len(), 20);
    });
}

#[test]
fn purged_documents_and_those_of_a_peer_made_anew_are_offered_where_they_lack() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (first, second, here) = (database(1).await, database(2).await, database(3).await);
        fill(&first, 0..10).await;
        let client = Client::new(&here, &clock, 4);
        client.pull(&FakeServer::new(&first, &clock, 5), &options("peer")).await.unwrap();
        let leaf = content(&here).await["d0003"][0]["_rev"].clone();
        here.purge("d0003", leaf.as_str().unwrap(), &WriteOptions::default()).await.unwrap();
        // The same name, another database behind it.
        client.push(&FakeServer::new(&second, &clock, 6), &options("peer")).await.unwrap();
        assert_eq!(content(&second).await, content(&here).await);
        assert_eq!(content(&second).await.len(), 9);
    });
}
