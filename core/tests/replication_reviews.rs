//! Reviews beside replication: bases that never came are asked for, and policies close what they decide on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use std::cell::Cell;
use std::rc::Rc;

use firkin_core::database::{Choice, Database, GetOptions, Options, Settling, WriteOptions};
use firkin_core::json::{self, Object};
use firkin_core::merge::Policies;
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::memory::MemoryKv;
use firkin_core::storage::store::{LogStore, StoreOptions};
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Seeded, content, database, get, options, put};
use serde_json::json;

fn policies(text: &str) -> Policies {
    Policies::parse(&json::parse(text.as_bytes()).unwrap()).unwrap()
}

/// A server, and a replica that edits `note` on its own after the server got a branch of the same base: `(server, first, second)`.
async fn parted(clock: &SimulatedClock, rules: &str) -> [Database<MemoryKv>; 3] {
    let master = database(1).await;
    let replicas = [2, 3].map(async |seed| database(seed).await.with_policies(policies(rules)));
    let [first, second] = replicas;
    let (first, second) = (first.await, second.await);
    let server = FakeServer::new(&master, clock, 5);
    let options = options("master");
    let base = put(&master, r#"{"_id":"note","a":0,"b":0}"#).await;
    for (replica, seed) in [(&first, 6), (&second, 7)] {
        Client::new(replica, clock, seed).pull(&server, &options).await.unwrap();
    }
    put(&first, &json!({ "_id": "note", "_rev": base, "a": 1, "b": 0 }).to_string()).await;
    put(&second, &json!({ "_id": "note", "_rev": base, "a": 0, "b": 2 }).to_string()).await;
    for (replica, seed) in [(&first, 8), (&second, 9)] {
        Client::new(replica, clock, seed).push(&server, &options).await.unwrap();
    }
    [master, first, second]
}

#[test]
fn policies_close_after_a_pull_what_they_decide_on_and_replicas_agree() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let [master, first, second] = parted(&clock, r#"{"*":"three-way"}"#).await;
        let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
        for (replica, seed) in [(&first, 10), (&second, 11)] {
            Client::new(replica, &clock, seed).pull(&server, &options).await.unwrap();
        }
        let merged = get(&first, "note").await;
        assert_eq!((&merged["a"], &merged["b"], &merged["_conflicts"]), (&json!(1), &json!(2), &json!(null)));
        assert_eq!(content(&first).await, content(&second).await);
        Client::new(&first, &clock, 12).push(&server, &options).await.unwrap();
        assert_eq!(content(&first).await, content(&master).await);
    });
}

#[test]
fn merge_that_comes_before_the_tombstones_of_what_it_merged_is_not_merged_again() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let [master, first, second] = parted(&clock, r#"{"*":"three-way"}"#).await;
        let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
        let merger = database(12).await.with_policies(policies(r#"{"*":"three-way"}"#));
        Client::new(&merger, &clock, 13).pull(&server, &options).await.unwrap();
        let merge = get(&merger, "note").await["_rev"].clone();
        // Somewhere only the merge has arrived.
        let with_history = GetOptions { revs: true, ..GetOptions::default() };
        let document = merger.get("note", &with_history).await.unwrap();
        let halfway = database(14).await;
        let rows = halfway.bulk_docs(&[&document], false, &WriteOptions::default()).await.unwrap();
        assert!(rows.iter().all(Result::is_ok));
        let server = FakeServer::new(&halfway, &clock, 15);
        for (replica, seed) in [(&first, 16), (&second, 17)] {
            Client::new(replica, &clock, seed).pull(&server, &options).await.unwrap();
            let note = get(replica, "note").await;
            assert_eq!((&note["_rev"], &note["_conflicts"]), (&merge, &json!(null)));
        }
        Client::new(&first, &clock, 18).push(&FakeServer::new(&second, &clock, 19), &options).await.unwrap();
        assert_eq!(content(&second).await, content(&merger).await);
    });
}

#[test]
fn policies_are_asked_about_what_another_peer_pushes_while_a_pull_asks_for_a_base() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let [master, ..] = parted(&clock, r#"{"*":"three-way"}"#).await;
        let root = put(&master, r#"{"_id":"other","a":0}"#).await;
        let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
        let fresh = Rc::new(database(12).await.with_policies(policies(r#"{"*":"three-way"}"#)));
        let (pushed_to, is_pushed) = (Rc::clone(&fresh), Rc::new(Cell::new(false)));
        let seen = Rc::clone(&is_pushed);
        server.script(move |request| {
            let is_here = pollster::block_on(pushed_to.get("other", &GetOptions::default())).is_ok();
            if request.path.starts_with("_bulk_get") && is_here && !seen.replace(true) {
                for (hash, name) in [("aa", "b"), ("bb", "c")] {
                    let revisions = json!({ "start": 2, "ids": [hash, &root[2..]] });
                    let rev = format!("2-{hash}");
                    let branch =
                        json!({ "_id": "other", "_rev": rev, "_revisions": revisions, "a": 0, name: 1 }).to_string();
                    let write = WriteOptions::default();
                    let rows = pollster::block_on(pushed_to.bulk_docs(&[branch.as_bytes()], false, &write)).unwrap();
                    assert!(rows.iter().all(Result::is_ok));
                }
            }
            None
        });
        Client::new(&fresh, &clock, 13).pull(&server, &options).await.unwrap();
        assert!(is_pushed.get());
        fresh.settle_all(&mut Settling::default()).await.unwrap();
        let other = get(&fresh, "other").await;
        assert_eq!((&other["b"], &other["c"], &other["_conflicts"]), (&json!(1), &json!(1), &json!(null)));
    });
}

#[test]
fn what_policies_leave_to_a_person_stays_open_after_a_pull() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let [master, first, _] = parted(&clock, r#"{"*":"three-way","b":"review"}"#).await;
        let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
        Client::new(&first, &clock, 10).pull(&server, &options).await.unwrap();
        assert_eq!(get(&first, "note").await["_conflicts"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn base_that_never_came_is_asked_from_the_peer() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let [master, ..] = parted(&clock, r#"{"*":"review"}"#).await;
        let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
        let fresh = database(20).await.with_policies(policies(r#"{"*":"review"}"#));
        Client::new(&fresh, &clock, 21).pull(&server, &options).await.unwrap();
        let review = fresh.review("note", &Policies::default()).await.unwrap();
        let base = review.base.map(|base| serde_json::from_slice::<serde_json::Value>(&base.document).unwrap());
        assert_eq!((base.unwrap()["a"].clone(), review.missing_bases), (json!(0), vec![]));
        assert_eq!(content(&fresh).await, content(&master).await);
    });
}

#[test]
fn policies_close_what_came_with_a_snapshot() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let [master, ..] = parted(&clock, r#"{"*":"review"}"#).await;
        let server = FakeServer::new(&master, &clock, 5);
        server.pack("one").await;
        let store = LogStore::open(MemoryBlocks::new(), StoreOptions::new([7; 16])).await.unwrap();
        let fresh = Database::open(store, &Seeded::new(20), Options::default()).await.unwrap();
        let fresh = fresh.with_policies(policies(r#"{"*":"three-way"}"#));
        Client::new(&fresh, &clock, 21).pull_from_snapshot(&server, &options("master")).await.unwrap();
        assert_eq!((server.requests_of("_snapshot"), server.requests_of("since=0")), (1, 0), "{:?}", server.requests);
        let merged = get(&fresh, "note").await;
        assert_eq!((&merged["a"], &merged["b"], &merged["_conflicts"]), (&json!(1), &json!(2), &json!(null)));
        // It is this replica's own, and goes to the peer.
        Client::new(&fresh, &clock, 22).push(&server, &options("master")).await.unwrap();
        assert_eq!(content(&fresh).await, content(&master).await);
    });
}

/// `first` merges the two branches as it proposes, and the merge is edited before anybody hears of it; what the merge is.
async fn merge_and_edit(master: &Database<MemoryKv>, first: &Database<MemoryKv>, clock: &SimulatedClock) -> String {
    let (server, options) = (FakeServer::new(master, clock, 5), options("master"));
    Client::new(first, clock, 30).pull(&server, &options).await.unwrap();
    let policies = Policies::default();
    let branches = first.review("note", &policies).await.unwrap().branches;
    let leaves: Vec<String> = branches.into_iter().map(|branch| branch.rev).collect();
    let (told, write) = (Object::new(), WriteOptions::default());
    let merged = first.merge_review("note", &leaves, &Choice::Proposal, &told, &policies, &write).await.unwrap().rev;
    put(first, &json!({ "_id": "note", "_rev": merged, "a": "decided", "b": "decided" }).to_string()).await;
    merged
}

/// Edits the branch that lost.
async fn edit_branch_that_was_merged_away(replica: &Database<MemoryKv>, merged_away: &str) {
    let document = json!({ "_id": "note", "_rev": merged_away, "a": 0, "b": 2, "c": "late" });
    put(replica, &document.to_string()).await;
}

/// The branch that `second` wrote; the parted replicas with policies of their own, so that `second`'s is the one that loses.
async fn parted_for_a_merge(clock: &SimulatedClock) -> ([Database<MemoryKv>; 3], String) {
    let [master, first, second] = parted(clock, r#"{"*":"review"}"#).await;
    let own = get(&second, "note").await["_rev"].as_str().unwrap().to_owned();
    ([master, first, second.with_policies(policies(r#"{"*":"max"}"#))], own)
}

#[test]
fn merge_that_was_edited_before_it_was_pushed_stays_known_to_whoever_goes_on_from_a_branch_it_merged() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let ([master, first, second], own) = parted_for_a_merge(&clock).await;
        let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
        merge_and_edit(&master, &first, &clock).await;
        Client::new(&first, &clock, 31).push(&server, &options).await.unwrap();
        edit_branch_that_was_merged_away(&second, &own).await;
        Client::new(&second, &clock, 32).pull(&server, &options).await.unwrap();
        let merged = get(&second, "note").await;
        // The greater value would be 2: it is not asked for again.
        let values = [&merged["a"], &merged["b"], &merged["c"], &merged["_conflicts"]];
        assert_eq!(values, [&json!("decided"), &json!("decided"), &json!("late"), &json!(null)]);
    });
}

#[test]
fn what_may_have_been_decided_is_left_to_a_person_where_nobody_can_tell() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let ([master, first, second], own) = parted_for_a_merge(&clock).await;
        let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
        let merge = merge_and_edit(&master, &first, &clock).await;
        Client::new(&first, &clock, 31).push(&server, &options).await.unwrap();
        master.compact().await.unwrap();
        edit_branch_that_was_merged_away(&second, &own).await;
        Client::new(&second, &clock, 32).pull(&server, &options).await.unwrap();
        let review = second.review("note", second.policies()).await.unwrap();
        assert_eq!((review.branches.len(), review.missing_merges, review.proposal.is_decided), (2, vec![merge], false));
        // Who knows the merge goes on by policy.
        Client::new(&second, &clock, 33).push(&server, &options).await.unwrap();
        let first = first.with_policies(policies(r#"{"*":"max"}"#));
        Client::new(&first, &clock, 34).pull(&server, &options).await.unwrap();
        let merged = get(&first, "note").await;
        assert_eq!(
            (&merged["a"], &merged["c"], &merged["_conflicts"]),
            (&json!("decided"), &json!("late"), &json!(null))
        );
    });
}

#[test]
fn merge_that_was_taken_back_stays_with_a_person_whichever_branch_was_edited_before_the_push() {
    for edited in ["a", "b"] {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let ([master, first, second], _) = parted_for_a_merge(&clock).await;
            let (server, options) = (FakeServer::new(&master, &clock, 5), options("master"));
            Client::new(&first, &clock, 30).pull(&server, &options).await.unwrap();
            let policies = Policies::default();
            let branches = first.review("note", &policies).await.unwrap().branches;
            let leaves: Vec<String> = branches.into_iter().map(|branch| branch.rev).collect();
            let (told, write) = (Object::new(), WriteOptions::default());
            let merge = first.merge_review("note", &leaves, &Choice::Proposal, &told, &policies, &write);
            let merge = merge.await.unwrap().rev;
            first.revert_merge("note", &merge, &told, &write).await.unwrap();
            let open = first.review("note", &policies).await.unwrap().branches;
            let branch = open.iter().find(|branch| {
                let document: serde_json::Value = serde_json::from_slice(&branch.document).unwrap();
                document[edited] != json!(0)
            });
            let rev = &branch.unwrap().rev;
            put(&first, &json!({ "_id": "note", "_rev": rev, "a": 7, "b": 8 }).to_string()).await;
            Client::new(&first, &clock, 31).push(&server, &options).await.unwrap();
            Client::new(&second, &clock, 32).pull(&server, &options).await.unwrap();
            let review = second.review("note", second.policies()).await.unwrap();
            assert_eq!((review.branches.len(), review.is_pinned), (2, true), "{edited}");
        });
    }
}
