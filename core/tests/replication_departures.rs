//! Pulls by selector that do not keep what no longer matches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use std::collections::BTreeSet;

use firkin_core::database::WriteOptions;
use firkin_core::effects::Clock;
use firkin_core::json;
use firkin_core::replication::{Filter, Options};
use futures_util::future::join;
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Memory, Seeded, content, database, get, options, put};
use serde_json::json;

fn open_ones(keep: bool) -> Options {
    let filter = Filter::selector(json::parse(br#"{"open":true}"#).unwrap()).unwrap();
    Options { filter, keep, ..options("peer") }
}

async fn ids(database: &Memory) -> Vec<String> {
    content(database).await.into_keys().collect()
}

#[test]
fn documents_that_leave_the_selector_are_dropped_here_and_stay_elsewhere() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let mut revs = Vec::new();
        for n in 0..4 {
            revs.push(put(&there, &json!({"_id": format!("d{n}"), "open": true}).to_string()).await);
        }
        put(&there, r#"{"_id":"never","open":false}"#).await;
        put(&here, r#"{"_id":"private","open":false}"#).await;
        let client = Client::new(&here, &clock, 4);
        client.pull(&server, &open_ones(false)).await.unwrap();
        assert_eq!(ids(&here).await, ["d0", "d1", "d2", "d3", "private"]);
        // One is closed there, one here and pushed, one deleted.
        put(&there, &json!({"_id": "d0", "_rev": revs[0], "open": false}).to_string()).await;
        put(&here, &json!({"_id": "d1", "_rev": revs[1], "open": false}).to_string()).await;
        there.remove("d2", &revs[2], &WriteOptions::default()).await.unwrap();
        // An edit that was not pushed keeps its document.
        client.pull(&server, &open_ones(false)).await.unwrap();
        assert_eq!(ids(&here).await, ["d1", "d2", "d3", "private"]);
        assert_eq!(content(&here).await["d2"], content(&there).await["d2"]);
        Client::new(&here, &clock, 5).push(&server, &options("peer")).await.unwrap();
        client.pull(&server, &open_ones(false)).await.unwrap();
        assert_eq!(ids(&here).await, ["d2", "d3", "private"]);
        // Nothing of this is pushed.
        let before = content(&there).await;
        Client::new(&here, &clock, 6).push(&server, &options("peer")).await.unwrap();
        assert_eq!(content(&there).await, before);
        // And what matches again comes again.
        let rev = get(&there, "d0").await["_rev"].clone();
        put(&there, &json!({"_id": "d0", "_rev": rev, "open": true}).to_string()).await;
        client.pull(&server, &open_ones(false)).await.unwrap();
        assert_eq!(ids(&here).await, ["d0", "d2", "d3", "private"]);
    });
}

#[test]
fn documents_that_leave_are_kept_unless_it_is_said_otherwise() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let rev = put(&there, r#"{"_id":"a","open":true}"#).await;
        let client = Client::new(&here, &clock, 4);
        client.pull(&server, &open_ones(true)).await.unwrap();
        put(&there, &json!({"_id": "a", "_rev": rev, "open": false}).to_string()).await;
        client.pull(&server, &open_ones(true)).await.unwrap();
        assert_eq!(get(&here, "a").await["open"], true);
    });
}

#[test]
fn what_never_matched_is_none_of_the_pulls_business() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        put(&there, r#"{"_id":"closed","open":false}"#).await;
        put(&there, r#"{"_id":"open","open":true}"#).await;
        Client::new(&here, &clock, 4).pull(&server, &options("peer")).await.unwrap();
        Client::new(&here, &clock, 5).pull(&server, &open_ones(false)).await.unwrap();
        assert_eq!(ids(&here).await, ["closed", "open"]);
    });
}

#[test]
fn live_pull_holds_exactly_what_matches() {
    for seed in 0..20 {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let (there, here) = (database(1).await, database(2).await);
            let server = FakeServer::new(&there, &clock, seed);
            let client = Client::new(&here, &clock, 4);
            let random = Seeded::new(seed);
            let script = async {
                for _ in 0..60 {
                    let id = format!("d{}", random.below(8));
                    let mut document = json!({"_id": id, "open": random.below(2) == 0, "n": random.below(9)});
                    if ids(&there).await.contains(&id) {
                        document["_rev"] = get(&there, &id).await["_rev"].clone();
                    }
                    put(&there, &document.to_string()).await;
                    clock.sleep(random.below(300)).await;
                }
                clock.sleep(20_000).await;
                let mut matching = BTreeSet::new();
                for id in ids(&there).await {
                    if get(&there, &id).await["open"] == true {
                        matching.insert(id);
                    }
                }
                assert_eq!(ids(&here).await.into_iter().collect::<BTreeSet<_>>(), matching, "seed {seed}");
                client.control.cancel();
            };
            let live = Options { live: true, retry: true, ..open_ones(false) };
            join(client.pull(&server, &live), script).await.0.unwrap();
        });
    }
}
