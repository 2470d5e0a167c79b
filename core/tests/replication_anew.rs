//! A peer's database that is deleted and made anew, or set back, while a replication with it runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use std::cell::Cell;
use std::rc::Rc;

use firkin_core::effects::{Clock, Method};
use firkin_core::replication::{Limits, Options};
use futures_util::future::join;
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, content, database, options, put};
use serde_json::json;

fn live() -> Options {
    Options { live: true, retry: true, ..options("peer") }
}

#[test]
fn live_push_brings_all_again_to_a_database_that_was_made_anew() {
    for tells_identity in [true, false] {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let (first, second, here) = (database(1).await, database(2).await, database(3).await);
            for n in 0..5 {
                put(&here, &json!({"_id": format!("d{n}")}).to_string()).await;
            }
            let server = FakeServer::new(&first, &clock, 4);
            let instance = Rc::new(Cell::new(1));
            let told = instance.clone();
            server.script(move |request| {
                let info = json!({"db_name": "fake", "uuid": told.get().to_string(), "instance_start_time": "0"});
                (tells_identity && request.path.is_empty()).then(|| (200, info.to_string()))
            });
            let client = Client::new(&here, &clock, 5);
            let script = async {
                clock.sleep(30_000).await;
                assert_eq!(content(&first).await, content(&here).await);
                server.database.set(&second);
                instance.set(2);
                put(&here, r#"{"_id":"late"}"#).await;
                clock.sleep(30_000).await;
                assert_eq!(content(&second).await, content(&here).await);
                client.control.cancel();
            };
            join(client.push(&server, &live()), script).await.0.unwrap();
        });
    }
}

#[test]
fn peer_that_keeps_no_checkpoints_is_not_asked_for_all_again_and_again() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.script(|request| {
            let is_kept = request.path.starts_with("_local/");
            is_kept.then(|| match request.method {
                Method::Put => (201, r#"{"ok":true,"rev":"0-1"}"#.into()),
                _ => (404, r#"{"error":"not_found","reason":"missing"}"#.into()),
            })
        });
        let client = Client::new(&here, &clock, 4);
        let script = async {
            for n in 0..100 {
                put(&here, &json!({"_id": format!("d{n}")}).to_string()).await;
                clock.sleep(5_000).await;
            }
            assert_eq!(content(&there).await, content(&here).await);
            // All from the start is asked about a few times only, and not after every checkpoint.
            let beginnings = server.requests.borrow().iter().filter(|request| *request == "GET ").count();
            assert!(server.requests_of("_revs_diff") < 130, "{} of {beginnings}", server.requests_of("_revs_diff"));
            client.control.cancel();
        };
        join(client.push(&server, &live()), script).await.0.unwrap();
    });
}

#[test]
fn checkpoint_that_the_peer_cannot_take_does_not_hold_up_the_rest() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.script(|request| {
            (request.path.starts_with("_local/") && request.method == Method::Put)
                .then(|| (503, r#"{"error":"busy","reason":"later"}"#.into()))
        });
        for n in 0..50 {
            put(&there, &json!({"_id": format!("d{n}")}).to_string()).await;
        }
        let limits = Limits { page_rows: 5, checkpoint_ms: 0, ..Limits::default() };
        let client = Client::new(&here, &clock, 4);
        let status = client.pull(&server, &Options { retry: true, limits, ..options("peer") }).await.unwrap();
        assert_eq!(status.docs_written, 50);
        assert_eq!(content(&here).await, content(&there).await);
    });
}
