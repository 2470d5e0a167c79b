//! What policies close by themselves: replicas agree, and other versions of the policies settle.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod branched_support;
mod common;

use branched_support::{Replica, leaves, open, policies};
use common::{get, put, replicate};
use firkin_core::database::{Choice, GetOptions, WriteOptions};
use firkin_core::json::Object;
use firkin_core::merge::Policies;
use pollster::block_on;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Settles the document as far as it goes; how many steps that took.
fn settle(replica: &Replica, policies: &Policies) -> usize {
    let step = || block_on(replica.settle_review("d", policies, &WriteOptions::default())).unwrap();
    std::iter::from_fn(step).take(20).count()
}

fn bring(from: &Replica, to: &Replica) {
    assert_eq!(replicate(to, &leaves(from)), []);
}

/// Two replicas, each of which has edited the same document.
fn apart(base: &Value, edits: [&Value; 2]) -> [Replica; 2] {
    let with = |document: &Value, more: Value| {
        let mut document = document.clone();
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document
    };
    let replicas = [open(1), open(2)];
    for (replica, edit) in replicas.iter().zip(edits) {
        let root = put(replica, &with(base, json!({ "_id": "d" }))).unwrap();
        put(replica, &with(edit, json!({ "_id": "d", "_rev": root }))).unwrap();
    }
    replicas
}

fn exchange([one, other]: &[Replica; 2]) {
    bring(one, other);
    bring(other, one);
}

fn winner(replica: &Replica) -> Value {
    get(replica, "d", &GetOptions { conflicts: true, ..GetOptions::default() }).unwrap()
}

#[test]
fn same_policies_make_the_same_merge_on_every_replica() {
    let replicas = apart(&json!({ "a": 1, "b": 1 }), [&json!({ "a": 2, "b": 1 }), &json!({ "a": 1, "b": 2 })]);
    exchange(&replicas);
    let policies = policies(&json!({ "*": "three-way" })).with_version(3);
    for replica in &replicas {
        assert_eq!(settle(replica, &policies), 1);
    }
    let merged = winner(&replicas[0]);
    assert_eq!(merged, winner(&replicas[1]));
    assert_eq!((&merged["a"], &merged["b"], &merged["firkin"]["policy"]["version"]), (&json!(2), &json!(2), &json!(3)));
    assert_eq!(
        (merged["firkin"].get("author"), merged["firkin"].get("time"), merged.get("_conflicts")),
        (None, None, None)
    );
    exchange(&replicas);
    assert_eq!(replicas.each_ref().map(|replica| settle(replica, &policies)), [0, 0]);
}

#[test]
fn clash_a_lost_base_and_a_reverted_merge_are_left_to_a_person() {
    let three_way = policies(&json!({ "*": "three-way" }));
    let clashing = apart(&json!({ "a": 1 }), [&json!({ "a": 2 }), &json!({ "a": 3 })]);
    exchange(&clashing);
    assert_eq!(settle(&clashing[0], &three_way), 0);
    assert_eq!(settle(&clashing[0], &policies(&json!({ "*": "max" }))), 1);

    let lost = open(3);
    for hash in ["x", "y"] {
        let branch = json!({ "_id": "d", "_rev": format!("2-{hash}"), "_revisions": { "start": 2, "ids": [hash, "root"] }, hash: 1 });
        assert_eq!(replicate(&lost, &[branch]), []);
    }
    assert_eq!(settle(&lost, &three_way), 0);

    let [replica, _] = {
        let replicas = apart(&json!({ "a": 1, "b": 1 }), [&json!({ "a": 2, "b": 1 }), &json!({ "a": 1, "b": 2 })]);
        exchange(&replicas);
        replicas
    };
    assert_eq!(settle(&replica, &three_way), 1);
    let merged = winner(&replica)["_rev"].as_str().unwrap().to_owned();
    block_on(replica.revert_merge("d", &merged, &Object::new(), &WriteOptions::default())).unwrap();
    assert_eq!(settle(&replica, &three_way), 0);
    let open: Vec<String> =
        block_on(replica.review("d", &three_way)).unwrap().branches.into_iter().map(|branch| branch.rev).collect();
    block_on(replica.merge_review("d", &open, &Choice::Proposal, &Object::new(), &three_way, &WriteOptions::default()))
        .unwrap();
    assert_eq!(winner(&replica).get("_conflicts"), None);
}

#[test]
fn merge_by_the_greater_version_stands_and_no_third_one_is_made() {
    let replicas = apart(&json!({ "a": 1, "b": 1 }), [&json!({ "a": 2, "b": 1 }), &json!({ "a": 3, "b": 1 })]);
    exchange(&replicas);
    let versions = [policies(&json!({ "*": "max" })).with_version(2), policies(&json!({ "*": "min" })).with_version(1)];
    for _ in 0..3 {
        for (replica, policies) in replicas.iter().zip(&versions) {
            settle(replica, policies);
        }
        exchange(&replicas);
    }
    let [one, other] = replicas.each_ref().map(winner);
    assert_eq!(one, other);
    assert_eq!((&one["a"], one.get("_conflicts")), (&json!(3), None));
    assert!(one["_rev"].as_str().unwrap().starts_with("3-"), "no merge was made of the two");
}

/// The document with a change, and with what it tells of a merge, as an app writes it that has read it.
fn edit(replica: &Replica, name: &str, value: i32) {
    let mut document = get(replica, "d", &GetOptions::default()).unwrap();
    document.as_object_mut().unwrap().insert(name.into(), value.into());
    put(replica, &document).unwrap();
}

#[test]
fn edits_of_a_policys_merge_that_carry_its_member_along_are_merged_as_any_others() {
    let replicas = apart(&json!({ "a": 1, "b": 1 }), [&json!({ "a": 2, "b": 1 }), &json!({ "a": 1, "b": 2 })]);
    exchange(&replicas);
    let policies = policies(&json!({ "*": "three-way" }));
    for replica in &replicas {
        assert_eq!(settle(replica, &policies), 1);
    }
    let [one, other] = &replicas;
    edit(one, "a", 5);
    edit(other, "b", 6);
    exchange(&replicas);
    for replica in &replicas {
        assert_eq!(settle(replica, &policies), 1);
        assert_eq!((&winner(replica)["a"], &winner(replica)["b"]), (&json!(5), &json!(6)));
    }
    edit(one, "a", 7);
    edit(other, "a", 8);
    exchange(&replicas);
    for replica in &replicas {
        assert_eq!(settle(replica, &policies), 0);
        assert_eq!(block_on(replica.review("d", &policies)).unwrap().proposal.clashes.len(), 1);
    }
}

#[test]
fn edit_that_carries_the_pin_of_a_review_that_was_closed_pins_no_later_one() {
    let replicas = apart(&json!({ "a": 1, "b": 1 }), [&json!({ "a": 2, "b": 1 }), &json!({ "a": 1, "b": 2 })]);
    exchange(&replicas);
    let policies = policies(&json!({ "*": "three-way" }));
    let [one, other] = &replicas;
    assert_eq!(settle(one, &policies), 1);
    let merge = winner(one)["_rev"].as_str().unwrap().to_owned();
    block_on(one.revert_merge("d", &merge, &Object::new(), &WriteOptions::default())).unwrap();
    assert_eq!(settle(one, &policies), 0);
    let loser = winner(one)["_conflicts"][0].as_str().unwrap().to_owned();
    put(one, &json!({ "_id": "d", "_rev": loser, "_deleted": true })).unwrap();
    edit(one, "c", 1);
    bring(one, other);
    edit(one, "a", 5);
    edit(other, "b", 6);
    exchange(&replicas);
    for replica in &replicas {
        assert_eq!(settle(replica, &policies), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replicas_come_to_the_same_end_whoever_settles_when(
        edits in prop::array::uniform2(prop::collection::btree_map("[a-c]", 0..4, 1..4)),
        rules in prop::array::uniform2(prop::sample::select(vec!["three-way", "max", "min"])),
        versions in prop::array::uniform2(0..2_u32),
        order in prop::collection::vec(0..3_u8, 0..6),
    ) {
        let [one, other] = edits.map(|edit| json!(edit));
        let replicas = apart(&json!({ "a": 0, "b": 0 }), [&one, &other]);
        let policies: Vec<Policies> =
            rules.iter().zip(versions).map(|(rule, version)| policies(&json!({ "*": rule })).with_version(version)).collect();
        for step in order {
            match step {
                0 | 1 => drop(settle(&replicas[usize::from(step)], &policies[usize::from(step)])),
                _ => bring(&replicas[0], &replicas[1]),
            }
        }
        for _ in 0..4 {
            exchange(&replicas);
            for (replica, policies) in replicas.iter().zip(&policies) {
                settle(replica, policies);
            }
        }
        exchange(&replicas);
        prop_assert_eq!(leaves(&replicas[0]), leaves(&replicas[1]));
        for (replica, policies) in replicas.iter().zip(&policies) {
            prop_assert_eq!(settle(replica, policies), 0);
        }
    }
}
