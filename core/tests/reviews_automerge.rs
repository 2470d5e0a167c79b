//! Reviews whose policy merges texts by character and lists by element, with the crate that does so.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod branched_support;
mod common;

use std::cell::Cell;
use std::rc::Rc;

use branched_support::{Replica, leaves};
use common::{Seeded, get, put, replicate, value};
use firkin_core::database::{Database, GetOptions, Options, WriteOptions};
use firkin_core::logic::LogicError;
use firkin_core::merge::{Concurrent, Policies, Sequences, Woven};
use firkin_core::storage::memory::MemoryKv;
use futures_util::future::{LocalBoxFuture, ready};
use pollster::block_on;
use serde_json::{Value, json};

/// The crate, as long as it can be had.
#[derive(Default)]
struct Automerge {
    is_lost: Rc<Cell<bool>>,
}

impl Sequences for Automerge {
    fn merge(&self, places: Vec<Concurrent>) -> LocalBoxFuture<'_, Result<Vec<Option<Woven>>, String>> {
        let place = |Concurrent { sides: [base, ours, theirs], names }: Concurrent| {
            let merged = firkin_automerge::merge(&base, &ours, &theirs, [&names[0], &names[1]])?;
            Some(Woven { value: merged.value, is_clash: merged.is_clash })
        };
        let merged = places.into_iter().map(place).collect();
        Box::pin(ready(if self.is_lost.get() { Err("the network is down".into()) } else { Ok(merged) }))
    }
}

fn open(seed: u64, sequences: Automerge) -> Replica {
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(seed), Options::default())).unwrap();
    database.with_sequences(Rc::new(sequences))
}

fn policies() -> Policies {
    Policies::parse(&value(&json!({ "*": "automerge" }))).unwrap()
}

/// Replicas that all have the branches.
fn replicas<const N: usize>(base: &Value, branches: &[Value]) -> [Replica; N] {
    let document = |body: &Value, rev: Option<&str>| {
        let mut document = body.clone();
        document.as_object_mut().unwrap().insert("_id".into(), "d".into());
        if let Some(rev) = rev {
            document.as_object_mut().unwrap().insert("_rev".into(), rev.into());
        }
        document
    };
    let authors: Vec<Replica> = (0..)
        .zip(branches)
        .map(|(seed, branch)| {
            let author = open(seed, Automerge::default());
            let root = put(&author, &document(base, None)).unwrap();
            put(&author, &document(branch, Some(&root))).unwrap();
            author
        })
        .collect();
    std::array::from_fn(|seed| {
        let replica = open(50 + seed as u64, Automerge::default());
        put(&replica, &document(base, None)).unwrap();
        // They come in another order to each.
        for turn in 0..authors.len() {
            let leaves = leaves(&authors[(turn + seed) % authors.len()]);
            assert_eq!(replicate(&replica, &leaves), []);
        }
        replica
    })
}

fn settle(replica: &Replica) -> bool {
    block_on(replica.settle_review("d", &policies(), &WriteOptions::default())).unwrap().is_some()
}

fn read(replica: &Replica) -> Value {
    get(replica, "d", &GetOptions { conflicts: true, ..GetOptions::default() }).unwrap()
}

#[test]
fn a_text_that_three_edited_at_different_words_is_merged_alike_on_every_replica() {
    let base = json!({ "text": "A small barrel for the browser, with an index of every path." });
    let branches = [
        json!({ "text": "A small wooden barrel for the browser, with an index of every path." }),
        json!({ "text": "A small barrel for any browser, with an index of every path." }),
        json!({ "text": "A small barrel for the browser, with an index of every path and value." }),
    ];
    let replicas: [Replica; 3] = replicas(&base, &branches);
    for replica in &replicas {
        assert!(settle(replica));
        let merged = read(replica);
        assert_eq!(merged["text"], "A small wooden barrel for any browser, with an index of every path and value.");
        assert_eq!((&merged["_rev"], &merged["_conflicts"]), (&read(&replicas[0])["_rev"], &Value::Null));
    }
}

#[test]
fn a_word_rewritten_in_two_ways_waits_for_a_person_with_the_rest_put_together() {
    let base = json!({ "text": "draft", "list": [1] });
    let [replica] = replicas(
        &base,
        &[json!({ "text": "approved", "list": [1, 2] }), json!({ "text": "rejected", "list": [0, 1] })],
    );
    assert!(!settle(&replica));
    let review = block_on(replica.review("d", &policies())).unwrap();
    let clashes: Vec<String> = review.proposal.clashes.iter().map(|clash| clash.path.to_string()).collect();
    assert_eq!(clashes, ["text"]);
    assert_eq!(review.proposal.members.get("list"), Some(&value(&json!([0, 1, 2]))));
    let winner = read(&replica);
    assert_eq!(review.proposal.members.get("text"), Some(&value(&winner["text"])));
}

#[test]
fn where_the_merger_cannot_be_had_the_review_says_so_and_waits() {
    let base = json!({ "text": "one two" });
    let [replica] = replicas(&base, &[json!({ "text": "one two three" }), json!({ "text": "zero one two" })]);
    let merger = Automerge::default();
    let is_lost = Rc::clone(&merger.is_lost);
    let replica = replica.with_sequences(Rc::new(merger));
    is_lost.set(true);
    assert!(!settle(&replica));
    let review = block_on(replica.review("d", &policies())).unwrap();
    assert_eq!(review.failure, Some(LogicError::Unmerged("the network is down".into())));
    assert_eq!(review.proposal.clashes.len(), 1);
    is_lost.set(false);
    assert!(settle(&replica));
    assert_eq!(read(&replica)["text"], "zero one two three");
}
