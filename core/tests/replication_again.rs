//! What was refused is offered again, and the rest is not stopped by it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use std::cell::Cell;
use std::rc::Rc;

use firkin_core::effects::{Clock, Request};
use firkin_core::replication::{Limits, Options, State};
use futures_util::future::join;
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Memory, Told, content, database, options, put};
use serde_json::{Value, json};

/// What the double refuses: documents that have a member `forbidden`, as long as `is_strict`.
fn refuses(is_strict: Rc<Cell<bool>>) -> impl Fn(&Request) -> Option<(u16, String)> {
    move |request| {
        if request.path != "_bulk_docs" || !is_strict.get() {
            return None;
        }
        let body: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
        let documents = body["docs"].as_array().unwrap();
        assert!(documents.iter().all(|document| document["secret"] == true), "only those were offered");
        let row = |document: &Value| json!({"id": document["_id"], "error": "forbidden", "reason": "not you"});
        Some((201, Value::Array(documents.iter().map(row).collect()).to_string()))
    }
}

async fn secrets(here: &Memory, count: usize) {
    for n in 0..count {
        put(here, &json!({"_id": format!("s{n:04}"), "secret": true}).to_string()).await;
    }
}

fn denials(client: &Client<'_>) -> usize {
    client.told().iter().filter(|told| matches!(told, Told::Denied(..))).count()
}

#[test]
fn refused_documents_are_offered_at_the_next_start_until_they_are_taken() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let is_strict = Rc::new(Cell::new(true));
        server.script(refuses(is_strict.clone()));
        secrets(&here, 3).await;
        for session in 0..3 {
            let client = Client::new(&here, &clock, 4 + session);
            let status = client.push(&server, &options("peer")).await.unwrap();
            assert_eq!((status.state, status.docs_written, status.doc_write_failures), (State::Complete, 0, 3));
            assert_eq!(denials(&client), 3);
        }
        // Another document goes its way meanwhile, and an edit of a refused one has its own verdict.
        is_strict.set(false);
        put(&here, r#"{"_id":"open"}"#).await;
        Client::new(&here, &clock, 8).push(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&there).await, content(&here).await);
        assert_eq!(content(&there).await.len(), 4);
        // Then there is nothing left to offer.
        server.requests.take();
        Client::new(&here, &clock, 9).push(&server, &options("peer")).await.unwrap();
        assert_eq!(server.requests_of("_revs_diff") + server.requests_of("_bulk_docs"), 0);
    });
}

#[test]
fn refused_documents_are_offered_again_after_credentials_were_renewed() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let is_strict = Rc::new(Cell::new(true));
        server.script(refuses(is_strict.clone()));
        secrets(&here, 2).await;
        let client = Client::new(&here, &clock, 4);
        let script = async {
            clock.sleep(10_000).await;
            assert_eq!((content(&there).await.len(), denials(&client)), (0, 2));
            // The session of somebody who may ends the other's.
            is_strict.set(false);
            server.locked.set(true);
            put(&here, r#"{"_id":"open"}"#).await;
            clock.sleep(10_000).await;
            assert_eq!(server.renewals.get(), 1);
            assert_eq!(content(&there).await, content(&here).await);
            client.control.cancel();
        };
        let live = Options { live: true, retry: true, ..options("peer") };
        let (status, ()) = join(client.push(&server, &live), script).await;
        assert_eq!(status.unwrap().doc_write_failures, 2);
    });
}

#[test]
fn document_that_was_too_long_is_fetched_again_at_the_next_start() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        put(&there, &json!({"_id": "whale", "text": "x".repeat(20_000)}).to_string()).await;
        put(&there, r#"{"_id":"shrimp"}"#).await;
        let server = FakeServer::new(&there, &clock, 3);
        let limits = Limits { answer_bytes_max: 10_000, ..Limits::default() };
        let narrow = Options { limits, ..options("peer") };
        let status = Client::new(&here, &clock, 4).pull(&server, &narrow).await.unwrap();
        assert_eq!((status.docs_written, status.doc_write_failures), (1, 1));
        let status = Client::new(&here, &clock, 5).pull(&server, &options("peer")).await.unwrap();
        assert_eq!((status.docs_written, status.doc_write_failures), (1, 0));
        assert_eq!(content(&here).await, content(&there).await);
        server.requests.take();
        Client::new(&here, &clock, 6).pull(&server, &options("peer")).await.unwrap();
        assert_eq!(server.requests_of("_bulk_get"), 0);
    });
}

#[test]
fn bounded_number_of_refused_documents_is_remembered() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.script(refuses(Rc::new(Cell::new(true))));
        secrets(&here, 1_300).await;
        let status = Client::new(&here, &clock, 4).push(&server, &options("peer")).await.unwrap();
        assert_eq!(status.doc_write_failures, 1_300);
        let status = Client::new(&here, &clock, 5).push(&server, &options("peer")).await.unwrap();
        assert_eq!(status.doc_write_failures, 1_000);
    });
}
