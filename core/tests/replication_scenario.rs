//! Alice, Iko and Bob: a conflict made offline, seen, merged and spread.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use firkin_core::database::WriteOptions;
use firkin_core::replication::State;
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, content, database, get, options, put};
use serde_json::json;

#[test]
fn conflict_made_offline_is_seen_merged_and_spread_to_all() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (master, alice, iko, bob) = (database(1).await, database(2).await, database(3).await, database(4).await);
        let server = FakeServer::new(&master, &clock, 5);
        let options = options("master");
        let [with_alice, with_iko, with_bob] =
            [(&alice, 6), (&iko, 7), (&bob, 8)].map(|(replica, seed)| Client::new(replica, &clock, seed));

        let a = put(&alice, r#"{"_id":"note","text":"a"}"#).await;
        with_alice.push(&server, &options).await.unwrap();
        with_iko.pull(&server, &options).await.unwrap();
        with_bob.pull(&server, &options).await.unwrap();

        let b = put(&alice, &json!({"_id": "note", "_rev": a, "text": "b"}).to_string()).await;
        with_alice.push(&server, &options).await.unwrap();
        with_iko.pull(&server, &options).await.unwrap();
        assert_eq!(get(&iko, "note").await["text"], "b");

        let c = put(&bob, &json!({"_id": "note", "_rev": a, "text": "c"}).to_string()).await;
        with_bob.push(&server, &options).await.unwrap();
        with_bob.pull(&server, &options).await.unwrap();
        let seen = get(&bob, "note").await;
        let branches = [seen["_rev"].as_str().unwrap(), seen["_conflicts"][0].as_str().unwrap()];
        assert!(branches.contains(&b.as_str()) && branches.contains(&c.as_str()));

        let [winner, loser] = branches;
        let d = put(&bob, &json!({"_id": "note", "_rev": winner, "text": "d"}).to_string()).await;
        bob.remove("note", loser, &WriteOptions::default()).await.unwrap();
        with_bob.push(&server, &options).await.unwrap();
        for (replica, client) in [(&alice, &with_alice), (&iko, &with_iko)] {
            let status = client.pull(&server, &options).await.unwrap();
            assert_eq!(status.state, State::Complete);
            assert_eq!(get(replica, "note").await, json!({"_id": "note", "_rev": d, "text": "d"}));
        }
        assert_eq!(get(&bob, "note").await, json!({"_id": "note", "_rev": d, "text": "d"}));
        for replica in [&alice, &iko, &bob] {
            assert_eq!(content(replica).await, content(&master).await);
        }
    });
}
