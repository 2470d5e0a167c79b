//! Policies are asked about open reviews that no pull brought: once for each change, and by each new version of the policies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use common::{Seeded, get, put, replicate, stored, value};
use firkin_core::database::{Database, GetOptions, Options, Settling};
use firkin_core::document::keys;
use firkin_core::json::Value as EngineValue;
use firkin_core::logic::{Contested, Logic, LogicError, Proposal, Verdict};
use firkin_core::merge::Policies;
use firkin_core::storage::memory::MemoryKv;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};
use pollster::block_on;
use serde_json::{Value, json};

type Replica = Database<MemoryKv>;

/// Leaves every clash to a person, and counts how often it was asked.
#[derive(Default)]
struct Undecided(Cell<usize>);

impl Logic for Undecided {
    fn judge(&self, proposals: Vec<Proposal>) -> LocalBoxFuture<'_, Result<Vec<Verdict>, LogicError>> {
        Box::pin(ready(Ok(proposals.iter().map(|_| Verdict::Accept).collect())))
    }

    fn merge(&self, clashes: Vec<Contested>) -> LocalBoxFuture<'_, Result<Vec<Option<EngineValue>>, LogicError>> {
        self.0.set(self.0.get() + 1);
        Box::pin(ready(Ok(clashes.iter().map(|_| None).collect())))
    }
}

fn open(kv: MemoryKv, policy: &Value, version: u32) -> Replica {
    let policies = Policies::parse(&value(&json!({ "*": policy }))).unwrap().with_version(version);
    let database = block_on(Database::open(kv, &Seeded::new(version.into()), Options::default())).unwrap();
    database.with_policies(policies)
}

fn reopen(replica: Replica, policy: &Value, version: u32) -> Replica {
    let kv = replica.kv().clone();
    drop(replica);
    open(kv, policy, version)
}

fn settle(replica: &Replica) {
    block_on(replica.settle_all(&mut Settling::default())).unwrap();
}

/// Brings a branch of `id` as a peer that pushes does.
fn push(replica: &Replica, id: &str, root: &str, hash: &str, a: i32) {
    let revisions = json!({ "start": 2, "ids": [hash, &root[2..]] });
    let branch = json!({ "_id": id, "_rev": format!("2-{hash}"), "_revisions": revisions, "a": a });
    assert_eq!(replicate(replica, &[branch]), []);
}

fn fork(replica: &Replica, id: &str) {
    let root = put(replica, &json!({ "_id": id, "a": 0 })).unwrap();
    push(replica, id, &root, "aa", 1);
    push(replica, id, &root, "bb", 2);
}

fn winner(replica: &Replica, id: &str) -> Value {
    get(replica, id, &GetOptions { conflicts: true, ..GetOptions::default() }).unwrap()
}

#[test]
fn branches_that_a_peer_pushes_are_told_of_and_closed() {
    let replica = open(MemoryKv::new(), &json!("max"), 1);
    let root = put(&replica, &json!({ "_id": "d", "a": 0 })).unwrap();
    let unsettled = replica.unsettled();
    push(&replica, "d", &root, "aa", 5);
    assert!(pin!(unsettled).now_or_never().is_some());
    push(&replica, "d", &root, "bb", 2);
    settle(&replica);
    assert_eq!((&winner(&replica, "d")["a"], winner(&replica, "d").get("_conflicts")), (&json!(5), None));
    let told = replica.unsettled();
    put(&replica, &json!({ "_id": "own" })).unwrap();
    assert!(pin!(told).now_or_never().is_none(), "an own edit opens nothing");
}

#[test]
fn other_policies_than_before_decide_on_what_is_open() {
    let replica = open(MemoryKv::new(), &json!("review"), 1);
    fork(&replica, "d");
    fork(&replica, "e");
    settle(&replica);
    assert_eq!(winner(&replica, "d")["_conflicts"].as_array().unwrap().len(), 1);
    let replica = reopen(replica, &json!("max"), 1);
    settle(&replica);
    for id in ["d", "e"] {
        assert_eq!((&winner(&replica, id)["a"], winner(&replica, id).get("_conflicts")), (&json!(2), None));
    }
    assert_eq!(stored(&replica, keys::asked_reviews()).len(), 0);
}

#[test]
fn same_policies_are_asked_once_for_each_change_however_often_the_database_is_opened() {
    let mut replica = open(MemoryKv::new(), &json!({ "module": "f" }), 1);
    fork(&replica, "d");
    fork(&replica, "e");
    let asked = |replica: Replica, version| {
        let logic = Rc::new(Undecided::default());
        let replica = reopen(replica, &json!({ "module": "f" }), version).with_logic(logic.clone());
        settle(&replica);
        (replica, logic.0.get())
    };
    let mut counts = Vec::new();
    for version in [1, 1, 2, 2] {
        let count;
        (replica, count) = asked(replica, version);
        counts.push(count);
    }
    let rev = winner(&replica, "e")["_rev"].clone();
    put(&replica, &json!({ "_id": "e", "_rev": rev, "a": 7 })).unwrap();
    let (_, changed) = asked(replica, 2);
    assert_eq!((counts, changed), (vec![2, 0, 2, 0], 1));
}

#[test]
fn base_that_nobody_holds_leaves_what_came_to_a_person() {
    let replica = open(MemoryKv::new(), &json!("max"), 1);
    push(&replica, "d", "1-root", "aa", 1);
    push(&replica, "d", "1-root", "bb", 2);
    settle(&replica);
    assert_eq!(winner(&replica, "d")["_conflicts"].as_array().unwrap().len(), 1);
}

#[test]
fn where_a_person_decides_on_all_nothing_is_asked_and_nothing_is_noted() {
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(1), Options::default())).unwrap();
    fork(&database, "d");
    settle(&database);
    assert_eq!(stored(&database, keys::asked_reviews()).len(), 0);
    // Policies that come later are asked about it.
    let database = reopen(database, &json!("max"), 0);
    settle(&database);
    assert_eq!(winner(&database, "d").get("_conflicts"), None);
}
