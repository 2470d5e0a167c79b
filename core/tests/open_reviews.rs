//! The list of open reviews, and what stays of merges when their bodies go.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, get, put, replicate, stored, value};
use firkin_core::database::{Choice, Database, GetOptions, OpenReviews, Options, WriteOptions};
use firkin_core::document::keys;
use firkin_core::json::Object;
use firkin_core::merge::Policies;
use firkin_core::query::Selector;
use firkin_core::storage::memory::MemoryKv;
use firkin_core::storage::{Batch, Durability, Kv};
use pollster::block_on;
use serde_json::{Value, json};

type Replica = Database<MemoryKv>;

fn open_over(kv: MemoryKv, seed: u64) -> Replica {
    block_on(Database::open(kv, &Seeded::new(seed), Options::default())).unwrap()
}

/// A branch of `id` on top of the root, with these members.
fn branch(replica: &Replica, id: &str, root: &str, name: &str, members: &Value) {
    let mut document =
        json!({ "_id": id, "_rev": format!("2-{name}"), "_revisions": { "start": 2, "ids": [name, &root[2..]] } });
    document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    assert_eq!(replicate(replica, &[document]), []);
}

/// Two branches of one root: `z` wins.
fn fork(replica: &Replica, id: &str) {
    let root = put(replica, &json!({ "_id": id, "a": 0, "b": 0 })).unwrap();
    branch(replica, id, &root, "z", &json!({ "a": 1, "b": 0 }));
    branch(replica, id, &root, "a", &json!({ "a": 0, "b": 2 }));
}

fn three_way() -> Policies {
    Policies::parse(&value(&json!({ "*": "three-way" }))).unwrap()
}

fn merge(replica: &Replica, id: &str) -> String {
    let policies = three_way();
    let branches = block_on(replica.review(id, &policies)).unwrap().branches;
    let leaves: Vec<String> = branches.into_iter().map(|branch| branch.rev).collect();
    let (told, write) = (Object::new(), WriteOptions::default());
    let merged = replica.merge_review(id, &leaves, &Choice::Proposal, &told, &policies, &write);
    block_on(merged).unwrap().rev
}

fn open_ids(replica: &Replica) -> Vec<String> {
    let mut reviews = OpenReviews::new(Selector::everything());
    block_on(reviews.next(replica)).unwrap().open.into_iter().map(|review| review.id).collect()
}

#[test]
fn list_holds_the_documents_with_more_than_one_branch_through_all_that_happens_to_them() {
    let replica = open_over(MemoryKv::new(), 1);
    put(&replica, &json!({ "_id": "calm" })).unwrap();
    for id in ["d", "e", "f", "g"] {
        fork(&replica, id);
    }
    assert_eq!(open_ids(&replica), ["d", "e", "f", "g"]);
    merge(&replica, "d");
    block_on(replica.remove("e", "2-a", &WriteOptions::default())).unwrap();
    block_on(replica.purge("f", "2-z", &WriteOptions::default())).unwrap();
    assert_eq!(open_ids(&replica), ["g"]);
    assert_eq!(stored(&replica, keys::open_reviews()).len(), 1);
}

#[test]
fn list_is_made_anew_where_an_earlier_version_made_none() {
    let replica = open_over(MemoryKv::new(), 1);
    fork(&replica, "d");
    fork(&replica, "e");
    merge(&replica, "e");
    let before = stored(&replica, keys::open_reviews());
    let kv = replica.kv().clone();
    drop(replica);
    let mut batch = Batch::new();
    batch.delete(keys::OPEN_LISTED);
    batch.delete(&keys::open_review("d"));
    batch.put(&keys::open_review("gone"), &[0; 8]);
    block_on(kv.commit(batch, Durability::Relaxed)).unwrap();
    let replica = open_over(kv, 2);
    assert_eq!(stored(&replica, keys::open_reviews()), before);
    assert!(stored(&replica, keys::OPEN_LISTED).len() == 1);
}

#[test]
fn followed_list_tells_what_opens_changes_and_closes_and_nothing_of_others() {
    let replica = open_over(MemoryKv::new(), 1);
    fork(&replica, "d");
    let selector = Selector::parse(&value(&json!({ "a": { "$lt": 5 } }))).unwrap();
    let mut reviews = OpenReviews::new(selector);
    let mut next = || {
        let news = block_on(reviews.next(&replica)).unwrap();
        let open: Vec<String> = news.open.into_iter().map(|review| review.id).collect();
        (open, news.closed)
    };
    let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(next(), (ids(&["d"]), ids(&[])));
    fork(&replica, "e");
    assert_eq!(next(), (ids(&["e"]), ids(&[])));
    put(&replica, &json!({ "_id": "d", "_rev": "2-z", "a": 3 })).unwrap();
    assert_eq!(next(), (ids(&["d"]), ids(&[])));
    // It is open still, but none of these.
    let rev = get(&replica, "d", &GetOptions::default()).unwrap()["_rev"].clone();
    put(&replica, &json!({ "_id": "d", "_rev": rev, "a": 9 })).unwrap();
    merge(&replica, "e");
    assert_eq!(next(), (ids(&[]), ids(&["d", "e"])));
}

#[test]
fn merge_can_be_taken_back_after_a_compaction_until_it_is_edited() {
    let replica = open_over(MemoryKv::new(), 1);
    fork(&replica, "d");
    let merged = merge(&replica, "d");
    block_on(replica.compact()).unwrap();
    block_on(replica.revert_merge("d", &merged, &Object::new(), &WriteOptions::default())).unwrap();
    assert_eq!(block_on(replica.review("d", &three_way())).unwrap().branches.len(), 2);

    fork(&replica, "e");
    let merged = merge(&replica, "e");
    put(&replica, &json!({ "_id": "e", "_rev": merged })).unwrap();
    block_on(replica.compact()).unwrap();
    let old = GetOptions { rev: Some("2-a".into()), ..GetOptions::default() };
    assert!(get(&replica, "e", &old).is_err());
}

#[test]
fn what_was_decided_stays_decided_when_the_body_of_the_merge_is_gone() {
    let replica = open_over(MemoryKv::new(), 1);
    fork(&replica, "d");
    let merged = merge(&replica, "d");
    put(&replica, &json!({ "_id": "d", "_rev": merged, "a": "decided", "b": 2 })).unwrap();
    block_on(replica.compact()).unwrap();
    // Somebody went on from the branch that was merged away.
    let tree = get(&replica, "d", &GetOptions { revs: true, ..GetOptions::default() }).unwrap();
    let root = tree["_revisions"]["ids"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    let late = json!({
        "_id": "d", "_rev": "3-late", "_revisions": { "start": 3, "ids": ["late", "a", root] }, "a": 0, "b": 2, "c": 1,
    });
    assert_eq!(replicate(&replica, &[late]), []);
    let review = block_on(replica.review("d", &three_way())).unwrap();
    assert_eq!(review.missing_bases, ["2-a"]);
    assert!(review.base.is_none());
}

#[test]
fn document_that_was_taken_back_stays_with_a_person_when_it_is_edited_and_compacted() {
    let replica = open_over(MemoryKv::new(), 1);
    fork(&replica, "d");
    let merged = merge(&replica, "d");
    let reverted = block_on(replica.revert_merge("d", &merged, &Object::new(), &WriteOptions::default())).unwrap().rev;
    put(&replica, &json!({ "_id": "d", "_rev": reverted, "a": 4, "b": 0 })).unwrap();
    block_on(replica.compact()).unwrap();
    assert!(block_on(replica.review("d", &three_way())).unwrap().is_pinned);
    assert_eq!(block_on(replica.settle_review("d", &three_way(), &WriteOptions::default())).unwrap(), None);
    // What a person merges then is open to policies again.
    merge(&replica, "d");
    let tree = get(&replica, "d", &GetOptions { revs: true, ..GetOptions::default() }).unwrap();
    let ids: Vec<&str> = tree["_revisions"]["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let start = tree["_revisions"]["start"].as_u64().unwrap();
    put(&replica, &json!({ "_id": "d", "_rev": tree["_rev"], "a": 5, "b": 2 })).unwrap();
    let ids = [&["other"], ids.as_slice()].concat();
    let other = json!({
        "_id": "d", "_rev": format!("{}-other", start + 1),
        "_revisions": { "start": start + 1, "ids": ids }, "a": 4, "b": 6,
    });
    assert_eq!(replicate(&replica, &[other]), []);
    assert!(!block_on(replica.review("d", &three_way())).unwrap().is_pinned);
}
