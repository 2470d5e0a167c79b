//! Attachments: fetched if they are missing, by revision, short ones with their documents and long ones by themselves; brought
//! the same ways.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firkin_core::replication::{Limits, Options, State};
use replication_support::server::{FakeServer, Faults};
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Memory, content, database, options, put};
use serde_json::{Value, json};

fn data(bytes: usize, mark: usize) -> Value {
    let content: Vec<u8> = (0..bytes).map(|place| (place / 100 + mark) as u8).collect();
    json!({"content_type": "a/b", "data": STANDARD.encode(content)})
}

/// Documents with short attachments, and one with long ones, one of them with a name that needs care.
async fn fill(database: &Memory) {
    for n in 0..20 {
        let attachments = json!({"short": data(1_000, n), "shorter": data(10, n)});
        put(database, &json!({"_id": format!("d{n:02}"), "_attachments": attachments}).to_string()).await;
    }
    let attachments = json!({"a/b \"ü\"\n?": data(200_000, 1), "empty": data(0, 0), "long": data(3_000_000, 2)});
    put(database, &json!({"_id": "ü/ long", "_attachments": attachments}).to_string()).await;
}

#[test]
fn pulled_attachments_are_those_of_the_peer_whatever_it_knows() {
    for knows_bulk_get in [true, false] {
        for gives_documents in [true, false] {
            let clock = SimulatedClock::default();
            simulate(&clock, async {
                let (there, here) = (database(1).await, database(2).await);
                fill(&there).await;
                let server = FakeServer::new(&there, &clock, 3);
                server.knows_bulk_get.set(knows_bulk_get);
                server.gives_documents.set(gives_documents);
                let status = Client::new(&here, &clock, 4).pull(&server, &options("peer")).await.unwrap();
                assert_eq!((status.docs_written, status.doc_write_failures), (21, 0));
                assert_eq!(content(&here).await, content(&there).await);
                if knows_bulk_get {
                    // Twenty documents share a request; of the three attachments of the last each has its own.
                    assert_eq!(server.requests_of("attachments=true"), 1, "{:?}", server.requests);
                    assert_eq!(server.requests_of("?rev="), 3);
                }
                assert!(server.in_flight_max.get() <= 4);
            });
        }
    }
}

#[test]
fn attachments_that_are_here_are_not_fetched_again() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        fill(&there).await;
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        client.pull(&server, &options("peer")).await.unwrap();
        let before = client.pull(&server, &options("peer")).await.unwrap().bytes_read;
        // An edit keeps what is attached, and adds something.
        let mut document = content(&there).await["ü/ long"][0].clone();
        for (_, attachment) in document["_attachments"].as_object_mut().unwrap() {
            attachment.as_object_mut().unwrap().remove("data");
            attachment["stub"] = json!(true);
        }
        document["_attachments"]["new"] = data(100_000, 9);
        document.as_object_mut().unwrap().remove("_revisions");
        put(&there, &document.to_string()).await;
        server.requests.take();
        let status = client.pull(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&here).await, content(&there).await);
        assert_eq!(server.requests_of("?rev="), 1, "{:?}", server.requests);
        assert!((100_000..before + 110_000).contains(&status.bytes_read), "{}", status.bytes_read);
    });
}

#[test]
fn pushed_attachments_are_ours_whatever_the_peer_takes() {
    for takes_multipart in [true, false] {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let (there, here) = (database(1).await, database(2).await);
            fill(&here).await;
            let server = FakeServer::new(&there, &clock, 3);
            server.takes_multipart.set(takes_multipart);
            let client = Client::new(&here, &clock, 4);
            let status = client.push(&server, &options("peer")).await.unwrap();
            assert_eq!((status.docs_written, status.doc_write_failures), (21, 0));
            assert_eq!(content(&there).await, content(&here).await);
            assert_eq!(server.requests_of("new_edits=false"), 1);
            assert_eq!(server.requests_of("_bulk_docs"), if takes_multipart { 1 } else { 2 });
        });
    }
}

#[test]
fn attachments_that_the_peer_has_are_not_sent_again() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let long = json!({"_id": "a", "_attachments": {"long": data(500_000, 1)}});
        let rev = put(&here, &long.to_string()).await;
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        client.push(&server, &options("peer")).await.unwrap();
        let stub = json!({"long": {"stub": true}, "new": data(100_000, 2)});
        put(&here, &json!({"_id": "a", "_rev": rev, "_attachments": stub}).to_string()).await;
        let status = client.push(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&there).await, content(&here).await);
        assert!((100_000..110_000).contains(&status.bytes_written), "{}", status.bytes_written);
    });
}

#[test]
fn peer_that_lacks_what_an_ancestor_brought_gets_it() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let long = json!({"_id": "a", "_attachments": {"long": data(500_000, 1)}});
        let rev = put(&here, &long.to_string()).await;
        let stub = json!({"long": {"stub": true}});
        put(&here, &json!({"_id": "a", "_rev": rev, "_attachments": stub}).to_string()).await;
        let server = FakeServer::new(&there, &clock, 3);
        // It says that it has the ancestor, and has dropped its content.
        let answer = json!({"a": {"missing": [content(&here).await["a"][0]["_rev"]], "possible_ancestors": [rev]}});
        server.script(move |request| (request.path == "_revs_diff").then(|| (200, answer.to_string())));
        let status = Client::new(&here, &clock, 4).push(&server, &options("peer")).await.unwrap();
        assert_eq!((status.docs_written, status.doc_write_failures), (1, 0));
        assert_eq!(content(&there).await, content(&here).await);
        assert_eq!(server.requests_of("new_edits=false"), 2);
    });
}

#[test]
fn one_attachment_that_is_gone_sets_its_document_aside() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        fill(&there).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.script(|request| {
            let gone = || (404, r#"{"error":"not_found","reason":"Document is missing attachment"}"#.into());
            request.path.contains("/long?rev=").then(gone)
        });
        let client = Client::new(&here, &clock, 4);
        let status = client.pull(&server, &options("peer")).await.unwrap();
        assert_eq!((status.state, status.docs_written, status.doc_write_failures), (State::Complete, 20, 1));
    });
}

#[test]
fn long_attachments_come_whole_through_a_network_that_cuts_them() {
    for seed in 0..30 {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let (there, here, further) = (database(1).await, database(2).await, database(3).await);
            fill(&there).await;
            let limits = Limits { inline_bytes: 500, batch_bytes: 20_000, ..Limits::default() };
            let patient = Options { retry: true, limits, ..options("peer") };
            let server = FakeServer::new(&there, &clock, seed);
            server.faults.set(Faults { lost_requests: 10, lost_answers: 10, cut_bodies: 15, errors: 10 });
            let status = Client::new(&here, &clock, seed).pull(&server, &patient).await.unwrap();
            assert_eq!(status.doc_write_failures, 0, "seed {seed}");
            assert_eq!(content(&here).await, content(&there).await, "seed {seed}");
            let server = FakeServer::new(&further, &clock, seed);
            server.faults.set(Faults { lost_requests: 10, lost_answers: 10, cut_bodies: 15, errors: 10 });
            Client::new(&here, &clock, seed).push(&server, &patient).await.unwrap();
            assert_eq!(content(&further).await, content(&there).await, "seed {seed}");
        });
    }
}
