//! Logic beside the data, when a replication brings documents: what is refused is named and passed over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod logic_support;
mod replication_support;

use firkin_core::database::GetOptions;
use firkin_core::logic::LogicError;
use firkin_core::replication::{ReplicationError, State};
use logic_support::open;
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Told, options};
use serde_json::{Value, json};

fn denials(client: &Client<'_>) -> Vec<(String, String)> {
    let mut denials: Vec<(String, String)> = (client.told().into_iter())
        .filter_map(|told| if let Told::Denied(id, error) = told { Some((id, error)) } else { None })
        .collect();
    denials.sort();
    denials
}

#[test]
fn pull_names_what_the_rules_refuse_and_brings_the_rest() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, (here, rules)) = (replication_support::database(1).await, open());
        for n in 0..250 {
            let document = match n % 10 {
                7 => json!({ "_id": format!("d{n:03}"), "no": "not here" }),
                _ => json!({ "_id": format!("d{n:03}"), "n": n }),
            };
            replication_support::put(&there, &document.to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        let status = client.pull(&server, &options("peer")).await.unwrap();
        assert_eq!(
            (status.state, status.docs_read, status.docs_written, status.doc_write_failures),
            (State::Complete, 250, 225, 25)
        );
        let expected: Vec<(String, String)> = (0..25).map(|n| (format!("d{n:02}7"), "forbidden".into())).collect();
        assert_eq!(denials(&client), expected);
        assert_eq!(here.info().await.unwrap().doc_count, 225);
        let calls = rules.take();
        assert!(calls.len() < 10 && calls.iter().flatten().all(|(_, _, replicated)| *replicated), "{}", calls.len());
        // They are passed; an edit that may be here brings the document after all.
        let text = there.get("d007", &GetOptions::default()).await.unwrap();
        let rev = serde_json::from_slice::<Value>(&text).unwrap()["_rev"].clone();
        replication_support::put(&there, &json!({ "_id": "d007", "_rev": rev, "n": 7 }).to_string()).await;
        let later = Client::new(&here, &clock, 5);
        let status = later.pull(&server, &options("peer")).await.unwrap();
        // What was refused is asked for again, beside the change.
        assert_eq!((status.docs_read, status.doc_write_failures), (25 + 1, 24));
        assert_eq!(denials(&later), expected.iter().skip(1).cloned().collect::<Vec<_>>());
        assert_eq!(here.info().await.unwrap().doc_count, 226);
    });
}

#[test]
fn document_that_the_rules_are_stuck_on_is_passed_over_by_a_pull() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, (here, rules)) = (replication_support::database(1).await, open());
        for n in 0..40 {
            replication_support::put(&there, &json!({ "_id": format!("d{n:02}") }).to_string()).await;
        }
        rules.slow.set(Some("d13"));
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        let status = client.pull(&server, &options("peer")).await.unwrap();
        assert_eq!((status.docs_written, status.doc_write_failures), (39, 1));
        assert_eq!(denials(&client), [("d13".into(), "logic_failed".into())]);
    });
}

#[test]
fn pull_ends_where_the_rules_cannot_be_asked_and_goes_on_when_they_can() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, (here, rules)) = (replication_support::database(1).await, open());
        for n in 0..40 {
            replication_support::put(&there, &json!({ "_id": format!("d{n:02}") }).to_string()).await;
        }
        rules.failure.replace(Some(LogicError::Failed("it could not be loaded".into())));
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        let ended = client.pull(&server, &options("peer")).await;
        let Err(ReplicationError::Local(report)) = ended else { panic!("{ended:?}") };
        assert_eq!((report.status, report.name), (500, "logic_failed"));
        assert_eq!((denials(&client), here.info().await.unwrap().doc_count), (vec![], 0));
        rules.failure.replace(None);
        let status = Client::new(&here, &clock, 5).pull(&server, &options("peer")).await.unwrap();
        assert_eq!(status.docs_written, 40);
    });
}
