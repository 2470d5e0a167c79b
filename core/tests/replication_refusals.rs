//! What one side refuses, and peers that are none: reported, passed over, or a typed error.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use firkin_core::database::WriteOptions;
use firkin_core::effects::TransportError;
use firkin_core::replication::{Filter, Limits, Options, ReplicationError, State};
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Told, content, database, options, put};
use serde_json::json;

fn denials(client: &Client<'_>) -> Vec<(String, String)> {
    let mut denials: Vec<(String, String)> = (client.told().into_iter())
        .filter_map(|told| if let Told::Denied(id, error) = told { Some((id, error)) } else { None })
        .collect();
    denials.sort();
    denials
}

#[test]
fn refused_documents_are_named_and_the_rest_is_pushed() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for n in 0..20 {
            put(&here, &json!({"_id": format!("good{n:02}")}).to_string()).await;
        }
        put(&here, &json!({"_id": "no", "forbidden": true}).to_string()).await;
        put(&here, &json!({"_id": "poison", "unreadable": true}).to_string()).await;
        put(&here, &json!({"_id": "whale", "text": "x".repeat(3_000)}).to_string()).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.request_bytes_max.set(2_500);
        let client = Client::new(&here, &clock, 4);
        let status = client.push(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&there).await.len(), 20);
        assert_eq!((status.docs_written, status.doc_write_failures), (20, 3));
        let named = [("no", "forbidden"), ("poison", "bad_request"), ("whale", "too_large")];
        assert_eq!(denials(&client), named.map(|(id, error)| (id.into(), error.into())));
    });
}

#[test]
fn batches_are_cut_by_bytes_and_learn_what_the_peer_takes() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, further, here) = (database(1).await, database(2).await, database(3).await);
        for n in 0..300 {
            put(&here, &json!({"_id": format!("d{n}"), "text": "x".repeat(1_000)}).to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 4);
        let limits = Limits { batch_bytes: 20_000, ..Limits::default() };
        Client::new(&here, &clock, 5).push(&server, &Options { limits, ..options("peer") }).await.unwrap();
        // The documents asked about take up to 15,000 bytes; 20 documents of 1,100 bytes are the greatest batch.
        assert!((15_000..22_000).contains(&server.longest.get()), "{}", server.longest.get());
        assert_eq!(content(&there).await.len(), 300);

        let server = FakeServer::new(&further, &clock, 6);
        server.request_bytes_max.set(40_000);
        let limits = Limits { page_rows: 100, ..Limits::default() };
        Client::new(&here, &clock, 7).push(&server, &Options { limits, ..options("further") }).await.unwrap();
        // Only the first page runs into the limit.
        assert!((1..=3).contains(&server.too_long.get()), "{}", server.too_long.get());
        assert_eq!(content(&further).await.len(), 300);
    });
}

#[test]
fn nothing_but_what_was_offered_is_sent() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let first = put(&here, r#"{"_id":"a"}"#).await;
        let second = put(&here, &json!({"_id": "a", "_rev": first}).to_string()).await;
        let answer = json!({"a": {"missing": [first, second, "nonsense"]}, "b": {"missing": ["1-a"]}}).to_string();
        let server = FakeServer::new(&there, &clock, 3);
        server.script(move |request| (request.path == "_revs_diff").then(|| (200, answer.clone())));
        let status = Client::new(&here, &clock, 4).push(&server, &options("peer")).await.unwrap();
        assert_eq!((status.docs_read, status.docs_written), (1, 1));
        assert_eq!(content(&there).await, content(&here).await);
        // Of two leaves only the one that the peer lacks.
        let branch = json!({"_id": "a", "_rev": "2-x", "_revisions": {"start": 2, "ids": ["x", "y"]}}).to_string();
        here.bulk_docs(&[branch.as_bytes()], false, &WriteOptions::default()).await.unwrap();
        server.script(|_| None);
        let status = Client::new(&here, &clock, 5).push(&server, &options("peer")).await.unwrap();
        assert_eq!((status.docs_read, status.docs_written), (1, 1));
    });
}

#[test]
fn malformed_documents_and_rows_are_named_and_the_rest_is_pulled() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let rows = json!({"results": [
            {"seq": 1, "id": "good", "changes": [{"rev": "1-a"}]},
            {"seq": 2, "id": "bad rev", "changes": [{"rev": "nonsense"}]},
            {"seq": 3, "id": 7, "changes": []},
            {"seq": 4, "id": "_local/steal", "changes": [{"rev": "1-a"}]},
            {"seq": 5, "id": "", "changes": [{"rev": "1-a"}]},
            {"seq": 6, "id": "poison", "changes": [{"rev": "1-a"}]},
            {"seq": 7, "id": "vanished", "changes": [{"rev": "1-a"}]},
            {"seq": 8, "id": "silent", "changes": [{"rev": "1-a"}]},
            {"seq": 9, "id": "last", "changes": [{"rev": "1-a"}]},
        ], "last_seq": 9})
        .to_string();
        let documents = json!({"results": [
            {"id": "good", "docs": [{"ok": {"_id": "good", "_rev": "1-a"}}]},
            {"id": "poison", "docs": [{"ok": {"_id": "poison", "_rev": "1-a", "_unknown": 1}}]},
            {"id": "vanished", "docs": [{"error": {"id": "vanished", "rev": "1-a", "error": "not_found", "reason": "missing"}}]},
            {"id": "last", "docs": [{"ok": {"_id": "last", "_rev": "1-a"}}]},
        ]}).to_string();
        let server = FakeServer::new(&there, &clock, 3);
        server.script(move |request| match request.path.split('?').next().unwrap() {
            "_changes" => Some((200, rows.clone())),
            "_bulk_get" => Some((200, documents.clone())),
            "silent" => Some((200, r#"[{"ok":{"_id":"silent","_rev":"1-a"}}]"#.into())),
            _ => None,
        });
        let client = Client::new(&here, &clock, 4);
        let status = client.pull(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&here).await.keys().collect::<Vec<_>>(), ["good", "last", "silent"]);
        assert_eq!((status.docs_written, status.doc_write_failures), (3, 6));
        let named = denials(&client);
        assert_eq!(named.iter().filter(|(id, error)| id.is_empty() && error == "malformed").count(), 4);
        assert!(named.contains(&("poison".into(), "doc_validation".into())), "{named:?}");
        assert!(named.contains(&("vanished".into(), "not_found".into())));
    });
}

#[test]
fn document_for_another_id_than_was_asked_is_not_taken() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        put(&there, r#"{"_id":"a"}"#).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.gives_documents.set(false);
        server.script(|request| {
            let answer = r#"{"results":[{"id":"a","docs":[{"ok":{"_id":"_local/x","_rev":"0-1"}}]}]}"#;
            request.path.starts_with("_bulk_get").then(|| (200, answer.into()))
        });
        let error = Client::new(&here, &clock, 4).pull(&server, &options("peer")).await.unwrap_err();
        assert!(matches!(error, ReplicationError::Malformed(_)), "{error:?}");
        assert_eq!(content(&here).await.len(), 0);
    });
}

#[test]
fn what_is_no_database_is_a_typed_error_and_changes_nothing() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let here = database(2).await;
        put(&here, r#"{"_id":"a"}"#).await;
        let there = database(1).await;
        let before = content(&here).await;
        type Expected = fn(&ReplicationError) -> bool;
        let no_server: Expected = |error| matches!(error, ReplicationError::NoServer(_));
        let cases: [(u16, &str, Expected); 8] = [
            (200, "<!doctype html><title>Hello</title>", no_server),
            (200, "", no_server),
            (200, "{\"couchdb\":\"Welcome\"}", no_server),
            (200, "[1]", no_server),
            (404, "<html>not here</html>", no_server),
            (404, r#"{"error":"not_found","reason":"Database does not exist."}"#, |error| {
                *error == ReplicationError::NoDatabase
            }),
            (403, r#"{"error":"forbidden","reason":"no"}"#, |error| matches!(error, ReplicationError::Forbidden(_))),
            (400, r#"{"error":"illegal_database_name","reason":"no"}"#, |error| {
                matches!(error, ReplicationError::Refused { status: 400, .. })
            }),
        ];
        for retry in [false, true] {
            for (status, body, expected) in cases {
                let server = FakeServer::new(&there, &clock, 3);
                server.script(move |_| Some((status, body.into())));
                let client = Client::new(&here, &clock, 4);
                let options = Options { retry, live: retry, ..options("peer") };
                for error in [client.pull(&server, &options).await, client.push(&server, &options).await] {
                    let error = error.unwrap_err();
                    assert!(expected(&error), "{status} {body}: {error:?}");
                }
                // Only an answer that may have been cut short is asked for again.
                let at_most = if retry && body.is_empty() { 12 } else { 2 };
                assert!(server.requests.borrow().len() <= at_most, "asked more than once: {body}");
            }
        }
        assert_eq!(content(&here).await, before);
        assert_eq!(content(&there).await.len(), 0);
    });
}

#[test]
fn network_failure_is_an_error_unless_retries_are_asked_for() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.faults.set(replication_support::server::Faults { lost_requests: 100, ..Default::default() });
        let error = Client::new(&here, &clock, 4).pull(&server, &options("peer")).await.unwrap_err();
        assert!(matches!(error, ReplicationError::Network(TransportError::Unreachable(_))));
        assert_eq!((error.report().status, error.report().name), (0, "network_failed"));
    });
}

#[test]
fn fresh_credentials_are_asked_for_once_and_the_work_goes_on() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for n in 0..200 {
            put(&there, &json!({"_id": format!("d{n}")}).to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 3);
        server.gives_documents.set(false);
        let limits = Limits { batch_documents: 10, ..Limits::default() };
        let options = Options { limits, ..options("peer") };
        let client = Client::new(&here, &clock, 4);
        // The session ends while several batches are in flight: all of them share one renewal.
        server.lock_at.set(Some("_bulk_get"));
        let status = client.pull(&server, &options).await.unwrap();
        assert_eq!((status.state, status.docs_written), (State::Complete, 200));
        assert_eq!(server.renewals.get(), 1);
        // Credentials that are no good either.
        server.locked.set(true);
        server.renewable.set(false);
        for error in [client.pull(&server, &options).await, client.push(&server, &options).await] {
            let error = error.unwrap_err();
            assert!(matches!(error, ReplicationError::Unauthorized(_)), "{error:?}");
            assert_eq!((error.report().status, error.report().name), (401, "unauthorized"));
        }
        assert_eq!(server.renewals.get(), 3);
    });
}

#[test]
fn answers_that_make_no_sense_end_in_a_typed_error() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        put(&there, r#"{"_id":"a"}"#).await;
        put(&here, r#"{"_id":"b"}"#).await;
        let deep = "[".repeat(100_000);
        let bodies =
            ["", "null", "{}", "[]", "7", "{\"results\":{}}", "{\"results\":[{\"id\":\"a\"}]}", "\u{0}", &deep];
        for retry in [false, true] {
            for endpoint in ["_changes", "_bulk_get", "_revs_diff", "_bulk_docs"] {
                for (at, body) in bodies.map(String::from).into_iter().enumerate() {
                    let server = FakeServer::new(&there, &clock, 3);
                    server.gives_documents.set(false);
                    let answer = body.clone();
                    server.script(move |request| request.path.starts_with(endpoint).then(|| (200, answer.clone())));
                    let client = Client::new(&here, &clock, 4);
                    let options = Options { retry, ..options(&format!("{endpoint} {retry} {at}")) };
                    let ended = if endpoint.starts_with("_revs") || endpoint == "_bulk_docs" {
                        client.push(&server, &options).await
                    } else {
                        client.pull(&server, &options).await
                    };
                    // `{}` to `_revs_diff` and `[]` to `_bulk_docs` are proper answers.
                    let proper = matches!((endpoint, body.as_str()), ("_revs_diff", "{}") | ("_bulk_docs", "[]"));
                    match ended {
                        Ok(_) => assert!(proper, "{endpoint} {body:?}"),
                        Err(error) => {
                            assert!(matches!(error, ReplicationError::Malformed(_)), "{endpoint} {body:?} {error:?}")
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn feed_that_repeats_itself_ends_in_a_typed_error() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let rows = r#"{"results":[{"seq":5,"id":"a","changes":[{"rev":"1-a"}]}],"last_seq":5,"pending":9}"#;
        let server = FakeServer::new(&there, &clock, 3);
        server.script(move |request| request.path.starts_with("_changes").then(|| (200, rows.into())));
        let options = Options { filter: Filter::Ids(["b".into()].into()), ..options("peer") };
        let error = Client::new(&here, &clock, 4).pull(&server, &options).await.unwrap_err();
        assert!(matches!(error, ReplicationError::Malformed(_)), "{error:?}");
    });
}

#[test]
fn answers_that_are_too_long_are_asked_for_in_halves() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for n in 0..30 {
            put(&there, &json!({"_id": format!("d{n}"), "text": "x".repeat(1_000)}).to_string()).await;
        }
        put(&there, &json!({"_id": "whale", "text": "x".repeat(20_000)}).to_string()).await;
        for knows_bulk_get in [true, false] {
            let server = FakeServer::new(&there, &clock, 3);
            server.knows_bulk_get.set(knows_bulk_get);
            let limits = Limits { answer_bytes_max: 10_000, ..Limits::default() };
            let client = Client::new(&here, &clock, 4);
            let options = Options { limits, ..options(if knows_bulk_get { "peer" } else { "old peer" }) };
            let status = client.pull(&server, &options).await.unwrap();
            assert_eq!(status.docs_written, if knows_bulk_get { 30 } else { 0 });
            assert_eq!(denials(&client), [("whale".into(), "too_large".into())]);
        }
        assert_eq!(content(&here).await.len(), 30);
    });
}
