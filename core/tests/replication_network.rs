//! A network that goes away and comes back: what is under way is sent anew, and what waits is counted meanwhile.
#![allow(clippy::unwrap_used)]

mod replication_support;

use std::future::Future;

use firkin_core::effects::Clock;
use firkin_core::replication::{Filter, Options};
use futures_util::future::join;
use replication_support::server::{FakeServer, Faults};
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, content, database, options, put};
use serde_json::json;

fn live() -> Options {
    Options { live: true, retry: true, ..options("peer") }
}

/// Runs `script` beside `replication`, which it cancels at the end.
async fn beside<R>(client: &Client<'_>, replication: impl Future<Output = R>, script: impl Future<Output = ()>) -> R {
    let script = async {
        script.await;
        client.control.cancel();
    };
    join(replication, script).await.0
}

#[test]
fn request_that_is_silent_is_sent_anew_when_the_network_is_back() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        put(&there, r#"{"_id":"a"}"#).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.silent.set(usize::MAX);
        let client = Client::new(&here, &clock, 4);
        let script = async {
            clock.sleep(500).await;
            client.control.wake();
            clock.sleep(500).await;
            assert_eq!(server.requests.borrow().len(), 1, "an answer may still come");
            server.silent.set(0);
            clock.sleep(3_500).await;
            assert_eq!(content(&here).await, content(&there).await);
            // The feed waits; its connection dies, and nobody says so.
            clock.sleep(5_000).await;
            server.requests.take();
            client.control.wake();
            clock.sleep(100).await;
            assert_eq!(server.requests_of("feed=longpoll"), 1);
            assert!(client.told().iter().all(|told| !matches!(told, replication_support::Told::BackingOff(_))));
        };
        beside(&client, client.pull(&server, &live()), script).await.unwrap();
    });
}

#[test]
fn all_dead_connections_of_a_pool_are_got_over() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        put(&there, r#"{"_id":"a"}"#).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.silent.set(6);
        let client = Client::new(&here, &clock, 4);
        let script = async {
            clock.sleep(5_000).await;
            client.control.wake();
            clock.sleep(20_000).await;
            assert_eq!(content(&here).await, content(&there).await);
            // A peer that is only slow is waited for.
            server.requests.take();
            server.latency_ms.set(50_000);
            put(&there, r#"{"_id":"b"}"#).await;
            client.control.wake();
            clock.sleep(120_000).await;
            assert_eq!(content(&here).await, content(&there).await);
        };
        beside(&client, client.pull(&server, &live()), script).await.unwrap();
    });
}

#[test]
fn dead_connections_of_a_pool_hold_up_no_later_request() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        let script = async {
            clock.sleep(5_000).await;
            // Nothing is under way: nobody hears that the connections which are kept have died.
            client.control.wake();
            server.silent.set(2);
            put(&here, r#"{"_id":"b"}"#).await;
            clock.sleep(10_000).await;
            assert_eq!(content(&there).await, content(&here).await);
            // Much later a peer is only slow.
            clock.sleep(120_000).await;
            server.requests.take();
            server.latency_ms.set(4_000);
            put(&here, r#"{"_id":"c"}"#).await;
            clock.sleep(30_000).await;
            assert_eq!(server.requests_of("_bulk_docs"), 1);
        };
        beside(&client, client.push(&server, &live()), script).await.unwrap();
    });
}

#[test]
fn answer_that_dies_in_its_middle_after_one_wake_and_before_another_is_asked_for_anew() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        put(&there, r#"{"_id":"a"}"#).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.dying.set(true);
        let client = Client::new(&here, &clock, 4);
        let script = async {
            // Between the two a chunk comes.
            clock.sleep(200).await;
            client.control.wake();
            clock.sleep(400).await;
            client.control.wake();
            clock.sleep(5_000).await;
            assert_eq!(content(&here).await, content(&there).await);
        };
        beside(&client, client.pull(&server, &live()), script).await.unwrap();
    });
}

#[test]
fn long_request_is_not_sent_anew_because_the_network_may_be_another() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        put(&here, &json!({"_id": "a", "text": "x".repeat(100_000)}).to_string()).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.latency_ms.set(3_000);
        let client = Client::new(&here, &clock, 4);
        let script = async {
            while server.requests_of("_bulk_docs") == 0 {
                clock.sleep(100).await;
            }
            clock.sleep(2_000).await;
            client.control.wake();
            clock.sleep(20_000).await;
            assert_eq!(server.requests_of("_bulk_docs"), 1);
            assert_eq!(content(&here).await, content(&there).await);
        };
        beside(&client, client.push(&server, &live()), script).await.unwrap();
    });
}

#[test]
fn changes_that_wait_are_counted_while_the_peer_is_away() {
    for (filter, counted) in [(Filter::Everything, 3), (Filter::ids(vec!["d0".into(), "d1".into()]), 2)] {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let (there, here) = (database(1).await, database(2).await);
            put(&here, r#"{"_id":"d0"}"#).await;
            let server = FakeServer::new(&there, &clock, 3);
            let gone = Faults { lost_requests: 100, ..Faults::default() };
            server.faults.set(gone);
            let client = Client::new(&here, &clock, 4);
            let options = Options { filter: filter.clone(), ..live() };
            let script = async {
                clock.sleep(1_000).await;
                assert_eq!(client.pending.get(), Some(1), "before the peer was ever reached");
                put(&here, r#"{"_id":"d1"}"#).await;
                put(&here, r#"{"_id":"d2"}"#).await;
                clock.sleep(1_000).await;
                assert_eq!(client.pending.get(), Some(counted));
                server.faults.set(Faults::default());
                client.control.wake();
                clock.sleep(10_000).await;
                assert_eq!((client.pending.get(), content(&there).await.len() as u64), (Some(0), counted));
                // What is there is not counted again, nor what came from there.
                put(&there, r#"{"_id":"theirs"}"#).await;
                server.faults.set(gone);
                put(
                    &here,
                    &json!({"_id": "d0", "_rev": content(&here).await["d0"].first().unwrap()["_rev"]}).to_string(),
                )
                .await;
                clock.sleep(1_000).await;
                assert_eq!(client.pending.get(), Some(1));
            };
            beside(&client, client.push(&server, &options), script).await.unwrap();
        });
    }
}

#[test]
fn changes_that_wait_are_counted_from_the_checkpoint_of_an_earlier_session() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for n in 0..20 {
            put(&here, &json!({"_id": format!("d{n}")}).to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 3);
        Client::new(&here, &clock, 4).push(&server, &options("peer")).await.unwrap();
        put(&here, r#"{"_id":"new"}"#).await;
        server.faults.set(Faults { lost_requests: 100, ..Faults::default() });
        let client = Client::new(&here, &clock, 5);
        let script = async {
            clock.sleep(5_000).await;
            assert_eq!(client.pending.get(), Some(1));
        };
        beside(&client, client.push(&server, &live()), script).await.unwrap();
    });
}
