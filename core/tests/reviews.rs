//! Reviews: what they tell, and how they are closed and opened again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod branched_support;
mod common;

use branched_support::{Replica, leaves, open};
use common::{Seeded, content, get, put, replicate, told, value};
use firkin_core::database::{Choice, GetOptions, Pick, Review, WriteOptions};
use firkin_core::json::{self, Object};
use firkin_core::merge::Policies;
use firkin_core::path::Path;
use pollster::block_on;
use proptest::prelude::*;
use serde_json::{Value, json};

type Refusal = (u16, &'static str, String);

fn three_way() -> Policies {
    Policies::parse(&value(&json!({ "*": "three-way" }))).unwrap()
}

fn members(document: &Value) -> Object {
    value(document).as_object().unwrap().clone()
}

/// A base and branches that grew from it: the same revisions in each replica.
fn branches(replica: &Replica, base: &Value, branches: &[Value]) -> Vec<String> {
    let root = put(replica, &with(base, &json!({ "_id": "d" }))).unwrap();
    let mut revs = Vec::new();
    for branch in branches {
        let other = open(99);
        put(&other, &with(base, &json!({ "_id": "d" }))).unwrap();
        revs.push(put(&other, &with(branch, &json!({ "_id": "d", "_rev": root }))).unwrap());
        assert_eq!(bring(&other, replica), []);
    }
    revs
}

fn with(document: &Value, more: &Value) -> Value {
    let mut document = document.clone();
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

/// Brings all leaves from one replica to another, as replication does.
fn bring(from: &Replica, to: &Replica) -> Vec<Refusal> {
    replicate(to, &leaves(from))
}

fn review(replica: &Replica) -> Review {
    block_on(replica.review("d", &three_way())).unwrap()
}

fn revs(review: &Review) -> Vec<String> {
    review.branches.iter().map(|branch| branch.rev.clone()).collect()
}

fn merge(replica: &Replica, leaves: &[String], choice: &Choice) -> Result<String, Refusal> {
    let write = WriteOptions::default();
    let merged = block_on(replica.merge_review("d", leaves, choice, &Object::new(), &three_way(), &write));
    merged.map(|written| written.rev).map_err(|error| told(error.report()))
}

/// The document without its `_id`, `_rev` and `firkin`.
fn own(replica: &Replica) -> Value {
    let mut document = get(replica, "d", &GetOptions::default()).unwrap();
    document.as_object_mut().unwrap().retain(|name, _| name != "_id" && name != "_rev" && name != "firkin");
    document
}

fn text(value: &json::Value) -> Value {
    let mut text = Vec::new();
    json::write(value, &mut text);
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn review_tells_base_branches_clashes_differences_and_a_proposal() {
    let replica = open(1);
    branches(
        &replica,
        &json!({ "a": 1, "b": 1, "c": 1 }),
        &[json!({ "a": 2, "b": 2, "c": 1 }), json!({ "a": 3, "b": 1, "c": 3 })],
    );
    let review = review(&replica);
    let read = |document: &[u8]| serde_json::from_slice::<Value>(document).unwrap();
    assert_eq!(read(&review.base.as_ref().unwrap().document)["a"], 1);
    let winner = get(&replica, "d", &GetOptions { conflicts: true, ..GetOptions::default() }).unwrap();
    assert_eq!(revs(&review), [winner["_rev"].as_str().unwrap(), winner["_conflicts"][0].as_str().unwrap()]);
    assert_eq!(review.branches[0].history.len(), 2);
    let (ours, theirs) = (read(&review.branches[0].document), read(&review.branches[1].document));
    let clashes: Vec<String> = review.proposal.clashes.iter().map(|clash| clash.path.to_string()).collect();
    assert_eq!((clashes, review.proposal.is_decided), (vec!["a".to_owned()], false));
    let proposal = json!({ "a": ours["a"], "b": 2, "c": 3 });
    assert_eq!(text(&json::Value::Object(review.proposal.members.clone())), proposal);
    let replaced =
        |document: &Value, name: &str| json!({ "op": "replace", "path": format!("/{name}"), "value": document[name] });
    let changed: Vec<Value> =
        ["a", "b", "c"].iter().filter(|name| theirs[**name] != 1).map(|name| replaced(&theirs, name)).collect();
    assert_eq!(text(&review.diff(&review.branches[1].rev).unwrap()), json!(changed));
    assert_eq!(review.diff("2-none"), None);
}

#[test]
fn merge_closes_the_review_with_a_revision_on_the_winner_and_empty_tombstones() {
    let replica = open(1);
    branches(
        &replica,
        &json!({ "a": 1, "b": 1 }),
        &[json!({ "a": 2, "b": 1 }), json!({ "a": 1, "b": 2 }), json!({ "a": 1, "b": 1, "c": 1 })],
    );
    let open = revs(&review(&replica));
    let told = members(&json!({ "author": "Bob", "message": "all" }));
    let write = WriteOptions::default();
    let merged = block_on(replica.merge_review("d", &open, &Choice::Proposal, &told, &three_way(), &write)).unwrap();
    assert_eq!(own(&replica), json!({ "a": 2, "b": 2, "c": 1 }));
    let mut losers = open[1..].to_vec();
    losers.sort();
    let document = get(&replica, "d", &GetOptions { revs: true, conflicts: true, ..GetOptions::default() }).unwrap();
    assert_eq!(document["firkin"], json!({ "author": "Bob", "message": "all", "merged": losers }));
    assert_eq!(document.get("_conflicts"), None);
    assert_eq!(document["_revisions"]["ids"][1], open[0][2..]);
    for leaf in leaves(&replica).iter().filter(|leaf| leaf["_rev"] != merged.rev) {
        assert_eq!(leaf["_deleted"], true);
        assert_eq!(leaf.as_object().unwrap().keys().collect::<Vec<_>>(), ["_deleted", "_id", "_rev", "_revisions"]);
    }
    assert_eq!(revs(&review(&replica)), [merged.rev]);
}

#[test]
fn branch_places_or_another_document_can_be_chosen() {
    let chosen = |choice: &dyn Fn(&[String]) -> Choice| {
        let replica = open(1);
        let sides = [json!({ "a": { "x": 2 }, "b": 1 }), json!({ "a": { "x": 3 }, "b": 3 })];
        let made = branches(&replica, &json!({ "a": { "x": 1 }, "b": 1 }), &sides);
        merge(&replica, &revs(&review(&replica)), &choice(&made)).map(|_| own(&replica))
    };
    let at = |path: &str, pick: Pick| Choice::Paths(vec![(Path::parse(path), pick)]);
    assert_eq!(chosen(&|made| Choice::Branch(made[1].clone())), Ok(json!({ "a": { "x": 3 }, "b": 3 })));
    assert_eq!(
        chosen(&|_| Choice::Document(members(&json!({ "z": 1, "firkin": 1, "_rev": "9-x" })))),
        Ok(json!({ "z": 1 }))
    );
    assert_eq!(chosen(&|made| at("a.x", Pick::Branch(made[0].clone()))), Ok(json!({ "a": { "x": 2 }, "b": 3 })));
    assert_eq!(chosen(&|_| at("a.x", Pick::Base)), Ok(json!({ "a": { "x": 1 }, "b": 3 })));
    assert_eq!(chosen(&|_| at("a", Pick::Value(value(&json!(7))))), Ok(json!({ "a": 7, "b": 3 })));
    assert_eq!(chosen(&|_| at("n.m", Pick::Value(value(&json!(7))))).unwrap()["n"], json!({ "m": 7 }));
    assert_eq!(chosen(&|_| at("b.x", Pick::Base)).unwrap_err().0, 400);
    assert_eq!(chosen(&|_| Choice::Branch("2-none".into())).unwrap_err().0, 404);
}

#[test]
fn merge_of_other_branches_than_there_are_is_refused_and_writes_nothing() {
    let replica = open(1);
    branches(&replica, &json!({ "a": 1 }), &[json!({ "a": 2 }), json!({ "a": 3 })]);
    let stale = revs(&review(&replica));
    put(&replica, &json!({ "_id": "d", "_rev": stale[1], "a": 4 })).unwrap();
    let before = leaves(&replica);
    for leaves in [stale.clone(), vec![stale[0].clone()], Vec::new()] {
        assert_eq!(merge(&replica, &leaves, &Choice::Proposal).unwrap_err().0, 409);
    }
    assert_eq!(leaves(&replica), before);
    let one = merge(&replica, &revs(&review(&replica)), &Choice::Proposal).unwrap();
    // Nothing is open any more.
    assert_eq!(merge(&replica, &[one], &Choice::Proposal).unwrap_err().0, 404);
    let empty = open(2);
    assert_eq!(merge(&empty, &[], &Choice::Proposal).unwrap_err(), (404, "not_found", "missing".into()));
    assert!(block_on(empty.review("d", &three_way())).is_err());
}

#[test]
fn edit_of_a_branch_that_was_merged_away_is_reviewed_alone() {
    let (replica, other) = (open(1), open(2));
    branches(
        &replica,
        &json!({ "a": 1, "b": 1, "c": 1 }),
        &[json!({ "a": 2, "b": 1, "c": 1 }), json!({ "a": 3, "b": 1, "c": 1 })],
    );
    assert_eq!(bring(&replica, &other), []);
    let open = revs(&review(&replica));
    // The other replica goes on with the branch that loses here.
    put(&other, &json!({ "_id": "d", "_rev": open[1], "a": get(&other, "d", &GetOptions { rev: Some(open[1].clone()), ..GetOptions::default() }).unwrap()["a"], "b": 1, "c": 9 })).unwrap();
    merge(&replica, &open, &Choice::Document(members(&json!({ "a": "decided", "b": 1, "c": 1 })))).unwrap();
    assert_eq!(bring(&other, &replica), []);
    let again = review(&replica);
    assert_eq!((again.branches.len(), again.proposal.clashes.len(), again.proposal.is_decided), (2, 0, true));
    assert_eq!(again.base.as_ref().unwrap().rev, open[1]);
    merge(&replica, &revs(&again), &Choice::Proposal).unwrap();
    assert_eq!(own(&replica), json!({ "a": "decided", "b": 1, "c": 9 }));
}

#[test]
fn merge_can_be_taken_back_and_is_for_a_person_then() {
    let replica = open(1);
    branches(&replica, &json!({ "a": 1, "b": 1 }), &[json!({ "a": 2, "b": 1 }), json!({ "a": 1, "b": 2 })]);
    let before = review(&replica);
    let bodies = |review: &Review| {
        let own = |document: &[u8]| {
            let document: Value = serde_json::from_slice(document).unwrap();
            (document["a"].clone(), document["b"].clone())
        };
        let mut bodies: Vec<_> = review.branches.iter().map(|branch| own(&branch.document)).collect();
        bodies.sort_by_key(|body| format!("{body:?}"));
        bodies
    };
    let revert = |rev: &str| {
        let reverted = block_on(replica.revert_merge("d", rev, &Object::new(), &WriteOptions::default()));
        reverted.map_err(|error| told(error.report()).0)
    };
    assert_eq!(revert(&before.branches[0].rev), Err(404));
    let merged = merge(&replica, &revs(&before), &Choice::Proposal).unwrap();
    assert_eq!(revert(&before.branches[0].rev), Err(409));
    revert(&merged).unwrap();
    let again = review(&replica);
    assert_eq!(bodies(&again), bodies(&before));
    assert!(again.is_pinned && !before.is_pinned);
    // It is as open as it was: nothing counts as decided.
    assert_eq!(again.proposal.clashes, []);
    assert_eq!(text(&json::Value::Object(again.proposal.members)), json!({ "a": 2, "b": 2 }));
    assert_eq!(again.base.unwrap().rev, before.base.unwrap().rev);
}

#[test]
fn base_that_is_gone_makes_a_review_of_two_sides_and_names_what_is_missing() {
    let replica = open(1);
    for (hash, a) in [("x", 2), ("y", 3)] {
        let branch = json!({ "_id": "d", "_rev": format!("2-{hash}"), "_revisions": { "start": 2, "ids": [hash, "root"] }, "a": a, "same": 1 });
        assert_eq!(replicate(&replica, &[branch]), []);
    }
    let review = review(&replica);
    assert_eq!((review.base.is_none(), review.missing_bases.clone()), (true, vec![String::from("1-root")]));
    assert_eq!((review.proposal.clashes.len(), review.proposal.is_decided), (1, false));
    let patch = json!([{ "op": "replace", "path": "/a", "value": 2 }]);
    assert_eq!(text(&review.diff("2-x").unwrap()), patch);
}

#[test]
fn attachments_of_both_branches_are_in_the_merge() {
    let replica = open(1);
    let stub = json!({ "stub": true });
    let data = |data: &str| json!({ "content_type": "text/plain", "data": data });
    branches(
        &replica,
        &json!({ "_attachments": { "old": data("b2xk") } }),
        &[
            json!({ "_attachments": { "old": stub, "one": data("b25l") } }),
            json!({ "_attachments": { "old": stub, "two": data("dHdv") } }),
        ],
    );
    merge(&replica, &revs(&review(&replica)), &Choice::Proposal).unwrap();
    for name in ["old", "one", "two"] {
        assert_eq!(content(&replica, "d", name, None).unwrap(), name.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn replicas_that_merge_apart_make_the_same_revisions_whatever_came_first(
        count in 2..6_usize,
        edits in prop::collection::vec(prop::collection::btree_map("[a-d]", 0..4, 0..4), 5),
        seed in any::<u64>(),
    ) {
        let source = open(1);
        let made: Vec<Value> = edits[..count].iter().map(|edit| with(&json!({ "e": 0 }), &json!(edit))).collect();
        let mut made: Vec<Value> = made.into_iter().zip(0..).map(|(edit, n)| with(&edit, &json!({ "by": n }))).collect();
        made.dedup();
        branches(&source, &json!({ "a": 0, "b": 0, "e": 0 }), &made);
        let replicas: Vec<Replica> = (2..7).map(open).collect();
        let random = Seeded::new(seed);
        let root = put(&open(8), &json!({ "_id": "d", "a": 0, "b": 0, "e": 0 })).unwrap();
        for replica in &replicas {
            prop_assert_eq!(put(replica, &json!({ "_id": "d", "a": 0, "b": 0, "e": 0 })).unwrap(), root.clone());
            let mut leaves = leaves(&source);
            while !leaves.is_empty() {
                let leaf = leaves.swap_remove(random.below(leaves.len()));
                prop_assert_eq!(replicate(replica, &[leaf]), []);
            }
        }
        let proposals: Vec<Review> = replicas.iter().map(review).collect();
        prop_assert!(proposals.iter().all(|review| *review == proposals[0]));
        for (replica, review) in replicas.iter().zip(&proposals) {
            merge(replica, &revs(review), &Choice::Proposal).unwrap();
        }
        for replica in &replicas {
            prop_assert_eq!(bring(replica, &replicas[0]), []);
            prop_assert_eq!(leaves(replica), leaves(&replicas[0]));
        }
        prop_assert_eq!(review(&replicas[0]).branches.len(), 1);
    }
}
