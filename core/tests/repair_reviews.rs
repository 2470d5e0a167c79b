//! A repair makes anew what reviews keep beside the revisions: the list of those that are open, and what revisions tell of merges.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod repair_support;

use std::collections::BTreeMap;

use common::{put, replicate, stored, value};
use firkin_core::database::{Choice, Review, WriteOptions};
use firkin_core::document::keys;
use firkin_core::json::Object;
use firkin_core::merge::Policies;
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::{Batch, Durability, Kv};
use pollster::block_on;
use repair_support::{Replica, image_of, open, repair};
use serde_json::json;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn three_way() -> Policies {
    Policies::parse(&value(&json!({ "*": "three-way" }))).unwrap()
}

/// Two branches of one root; the rev of the root.
fn fork(replica: &Replica, id: &str) -> String {
    let root = put(replica, &json!({ "_id": id, "a": 0, "b": 0 })).unwrap();
    for (hash, member) in [("aa", "a"), ("bb", "b")] {
        let revisions = json!({ "start": 2, "ids": [hash, &root[2..]] });
        let branch = json!({ "_id": id, "_rev": format!("2-{hash}"), "_revisions": revisions, member: 1 });
        assert_eq!(replicate(replica, &[branch]), []);
    }
    root
}

fn merge(replica: &Replica, id: &str) -> String {
    let leaves = review(replica, id).branches.into_iter().map(|branch| branch.rev).collect::<Vec<_>>();
    let (told, write) = (Object::new(), WriteOptions::default());
    block_on(replica.merge_review(id, &leaves, &Choice::Proposal, &told, &three_way(), &write)).unwrap().rev
}

fn review(replica: &Replica, id: &str) -> Review {
    block_on(replica.review(id, &three_way())).unwrap()
}

/// What reviews keep of these documents: the list, and what is told.
fn kept(replica: &Replica) -> [Records; 2] {
    let told = ["open", "merged", "late", "reverted"].iter().flat_map(|id| stored(replica, &keys::told_in(id)));
    [stored(replica, keys::open_reviews()), told.collect()]
}

/// A database with a review that is open, one that was closed, one of somebody who went on from a branch that was merged away, and one
/// that was taken back.
fn sample() -> (MemoryBlocks, Replica) {
    let blocks = MemoryBlocks::new();
    let replica = open(&blocks, 1, true).unwrap();
    fork(&replica, "open");
    fork(&replica, "merged");
    merge(&replica, "merged");
    let root = fork(&replica, "late");
    let merged = merge(&replica, "late");
    put(&replica, &json!({ "_id": "late", "_rev": merged, "a": "decided" })).unwrap();
    let revisions = json!({ "start": 3, "ids": ["cc", "aa", &root[2..]] });
    let late = json!({ "_id": "late", "_rev": "3-cc", "_revisions": revisions, "a": 1, "c": 1 });
    assert_eq!(replicate(&replica, &[late]), []);
    fork(&replica, "reverted");
    let merged = merge(&replica, "reverted");
    block_on(replica.revert_merge("reverted", &merged, &Object::new(), &WriteOptions::default())).unwrap();
    (blocks, replica)
}

#[test]
fn list_of_open_reviews_and_what_merges_tell_are_after_a_repair_what_they_were() {
    for damage in ["lost", "other bytes", "others"] {
        let (blocks, replica) = sample();
        let before = kept(&replica);
        let reviews = ["open", "late", "reverted"].map(|id| review(&replica, id));
        assert_eq!(before.each_ref().map(BTreeMap::len), [3, 5], "{before:?}");
        let mut batch = Batch::new();
        for key in before.iter().flat_map(BTreeMap::keys) {
            match damage {
                "lost" => batch.delete(key),
                "other bytes" => batch.put(key, b"{\"merged\":7"),
                _ => batch.put(key, &[0; 8]),
            }
        }
        batch.put(&keys::open_review("merged"), &[0; 8]);
        batch.put(&keys::asked_review("open"), b"asked");
        block_on(replica.kv().commit(batch, Durability::Relaxed)).unwrap();
        assert_ne!(kept(&replica), before);
        let (repaired, told, _) = repair(&image_of(&blocks));
        assert_eq!((told.blocks.len(), told.lost.len()), (0, 0));
        assert_eq!(kept(&repaired), before, "{damage}");
        assert_eq!(["open", "late", "reverted"].map(|id| review(&repaired, id)), reviews, "{damage}");
        // Policies are asked anew.
        assert_eq!(stored(&repaired, keys::asked_reviews()).len(), 0);
    }
}
