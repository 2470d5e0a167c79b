//! What is lost when merges arrive without what belongs to them: no branch that a person opened again, and no whole document.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod branched_support;
mod common;

use std::collections::BTreeSet;

use branched_support::{Replica, leaves, open, policies};
use common::{get, put, replicate};
use firkin_core::database::{Choice, GetOptions, WriteError, WriteOptions};
use firkin_core::json::Object;
use firkin_core::merge::Policies;
use pollster::block_on;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Settles the document as far as it goes.
fn settle(replica: &Replica, policies: &Policies) {
    let step = || match block_on(replica.settle_review("d", policies, &WriteOptions::default())) {
        // Only tombstones have come so far.
        Err(WriteError::NotFound) => None,
        settled => settled.unwrap(),
    };
    assert!(std::iter::from_fn(step).take(20).count() < 20);
}

/// The revisions of the branches that are open.
fn branches(replica: &Replica) -> BTreeSet<String> {
    let alive = leaves(replica).into_iter().filter(|leaf| leaf["_deleted"] != json!(true));
    alive.map(|leaf| leaf["_rev"].as_str().unwrap().to_owned()).collect()
}

/// Merges all branches that are open, as a person does.
fn merge(replica: &Replica) -> String {
    let (told, policies, write) = (Object::new(), Policies::default(), WriteOptions::default());
    let open: Vec<String> = branches(replica).into_iter().collect();
    block_on(replica.merge_review("d", &open, &Choice::Proposal, &told, &policies, &write)).unwrap().rev
}

/// Takes a merge back; the revision that says so, if it can be.
fn take_back(replica: &Replica, merge: &str) -> Option<String> {
    let reverted = block_on(replica.revert_merge("d", merge, &Object::new(), &WriteOptions::default()));
    reverted.ok().map(|written| written.rev)
}

/// Everything that a replica ever had of a document whose merge a person took back, as its peers could get it at any time; and the
/// branches that are open in the end.
fn taken_back() -> (Vec<Value>, BTreeSet<String>) {
    let replica = open(1);
    let root = put(&replica, &json!({ "_id": "d", "a": 1, "b": 1 })).unwrap();
    let mut had = Vec::new();
    for (hash, a, b) in [("aa", 2, 1), ("bb", 1, 2)] {
        let revisions = json!({ "start": 2, "ids": [hash, &root[2..]] });
        let branch = json!({ "_id": "d", "_rev": format!("2-{hash}"), "_revisions": revisions, "a": a, "b": b });
        assert_eq!(replicate(&replica, &[branch]), []);
    }
    had.extend(leaves(&replica));
    let merged = merge(&replica);
    had.extend(leaves(&replica));
    take_back(&replica, &merged).unwrap();
    had.extend(leaves(&replica));
    let open = branches(&replica);
    assert_eq!((had.len(), open.len()), (6, 2));
    (had, open)
}

/// Has the replicas tell each other of all that they have until nobody has anything to tell.
fn exchange(replicas: &[(Replica, Policies)]) {
    let all = || replicas.iter().map(|(replica, _)| leaves(replica)).collect::<Vec<_>>();
    for _ in 0..10 {
        let before = all();
        for (replica, policies) in replicas {
            for told in &before {
                assert_eq!(replicate(replica, told), []);
            }
            settle(replica, policies);
        }
        if all() == before {
            return;
        }
    }
    panic!("they write without an end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn branches_that_were_opened_again_stay_open_in_whatever_order_what_was_done_arrives(
        orders in prop::array::uniform3(Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle()),
        settled in prop::array::uniform3(any::<u8>()),
        has_base in any::<bool>(),
    ) {
        let (had, open_again) = taken_back();
        let rules = [json!({}), json!({ "*": "three-way" }), json!({ "*": "max" })];
        let replicas: Vec<(Replica, Policies)> = rules.iter().zip(2..).map(|(rules, seed)| (open(seed), policies(rules))).collect();
        for (((replica, policies), order), settled) in replicas.iter().zip(&orders).zip(settled) {
            if has_base {
                put(replica, &json!({ "_id": "d", "a": 1, "b": 1 })).unwrap();
            }
            for place in order {
                prop_assert_eq!(replicate(replica, &had[*place..=*place]), []);
                if settled & 1 << place != 0 {
                    settle(replica, policies);
                }
            }
            settle(replica, policies);
            let open = branches(replica);
            prop_assert!(open.is_superset(&open_again), "{open:?} lacks some of {open_again:?}");
            if *policies == Policies::default() {
                prop_assert_eq!(&open, &open_again);
            }
        }
        exchange(&replicas);
        let open: Vec<BTreeSet<String>> = replicas.iter().map(|(replica, _)| branches(replica)).collect();
        prop_assert!(open[0].is_superset(&open_again));
        prop_assert!(open.iter().all(|other| *other == open[0]), "{open:?}");
    }
}

#[test]
fn merges_of_which_each_ends_another_one_do_not_end_the_document() {
    let replica = open(1);
    // Each says that it merged the first: that one itself too, which no revision made here can say. So the second tells that the first is
    // merged away, and the version of the first that it stands instead of the second.
    for (hash, version) in [("aa", 9), ("bb", 1)] {
        let firkin = json!({ "merged": ["2-aa"], "policy": { "name": hash, "version": version } });
        let revisions = json!({ "start": 2, "ids": [hash, "root"] });
        let merge = json!({ "_id": "d", "_rev": format!("2-{hash}"), "_revisions": revisions, "firkin": firkin });
        assert_eq!(replicate(&replica, &[merge]), []);
    }
    settle(&replica, &Policies::default());
    assert!(get(&replica, "d", &GetOptions::default()).is_ok());
}

#[test]
fn branch_that_was_opened_again_and_was_a_merge_itself_is_not_taken_back_to_a_tombstone() {
    let replica = open(1);
    let root = put(&replica, &json!({ "_id": "d", "a": 0 })).unwrap();
    let bring = |parents: &[&str], a: i32| {
        let ids: Vec<&str> = parents.iter().copied().chain([&root[2..]]).collect();
        let rev = format!("{}-{}", ids.len(), ids[0]);
        let branch = json!({ "_id": "d", "_rev": rev, "_revisions": { "start": ids.len(), "ids": ids }, "a": a });
        assert_eq!(replicate(&replica, &[branch]), []);
    };
    bring(&["aa"], 1);
    bring(&["bb"], 2);
    merge(&replica);
    // A longer branch wins over the merge, which is merged into it, and opened again.
    bring(&["c3", "c2", "c1"], 3);
    let winner = merge(&replica);
    let reverted = take_back(&replica, &winner).unwrap();
    put(&replica, &json!({ "_id": "d", "_rev": reverted, "_deleted": true })).unwrap();
    let before = get(&replica, "d", &GetOptions::default()).unwrap();
    assert_eq!(before["a"], 2);
    assert!(take_back(&replica, before["_rev"].as_str().unwrap()).is_none());
    assert_eq!(get(&replica, "d", &GetOptions::default()).unwrap(), before);
}
