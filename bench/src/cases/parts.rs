//! Parts of the engine that need no database.

use std::cmp::Ordering;

use firkin_core::json::{self, Value, collate};
use firkin_core::path::{encode_value, value_length};
use firkin_core::revision::{RevHash, RevTree, Revisions};

use crate::documents::SplitMix;
use crate::fixture::Fixture;
use crate::{Case, Work};

pub(super) const CASES: &[Case] = &[
    Case { group: "parts", name: "merge-trees", what: "two revision trees, 300 revisions each", set_up: merge_trees },
    Case { group: "parts", name: "encode-keys", what: "1,000 values of documents as keys", set_up: encode_keys },
];

/// The revisions that the branches of a tree share.
const TRUNK: usize = 100;
const BRANCHES: u64 = 10;
const BRANCH: usize = 20;
const KEYS: usize = 1000;

/// Two replicas have ten branches each, of which they share half.
fn merge_trees(_: &Fixture) -> Work {
    let tree = |branches: std::ops::Range<u64>| {
        let mut tree = RevTree::new();
        for branch in branches {
            tree.merge_path(&path(branch), false);
        }
        tree
    };
    let (left, right) = (tree(0..BRANCHES), tree(BRANCHES / 2..BRANCHES + BRANCHES / 2));
    let expected = tree(0..BRANCHES + BRANCHES / 2);
    let run = move || {
        let mut merged = RevTree::new();
        merged.merge(&left);
        merged.merge(&right);
        merged
    };
    Work::new(run, move |merged| *merged == expected && merged.winner() == expected.winner())
}

/// The path of a branch: its own revisions, then those of the trunk, newest first.
fn path(branch: u64) -> Revisions {
    let hashes = |seed: u64, count: usize| {
        let mut random = SplitMix::new(seed);
        (0..count).map(move |_| RevHash::parse(&format!("{:016x}{:016x}", random.number(), random.number())).unwrap())
    };
    let ids: Vec<RevHash> = hashes(branch + 1, BRANCH).chain(hashes(0, TRUNK)).collect();
    Revisions::new(ids.len() as u64, ids).unwrap()
}

fn encode_keys(fixture: &Fixture) -> Work {
    let documents = fixture.texts().iter().cycle().map(|text| json::parse(text.as_bytes()).unwrap());
    let values: Vec<Value> = documents.flat_map(values_of).take(KEYS).collect();
    let checked = values.clone();
    let run = move || {
        let mut keys = Vec::new();
        for value in &values {
            encode_value(value, &mut keys);
        }
        keys
    };
    Work::new(run, move |keys| are_ordered_as(&checked, keys))
}

/// All values of a document, containers too.
fn values_of(document: Value) -> Vec<Value> {
    let (mut values, mut waiting) = (Vec::new(), Vec::from([document]));
    while let Some(value) = waiting.pop() {
        match &value {
            Value::Object(members) => waiting.extend(members.iter().map(|(_, member)| member.clone())),
            Value::Array(elements) => waiting.extend(elements.iter().cloned()),
            _ => {}
        }
        values.push(value);
    }
    values
}

/// Whether there is a key for each value, and no two keys stand in another order than their values.
fn are_ordered_as(values: &[Value], mut keys: &[u8]) -> bool {
    let mut last: Option<(&Value, &[u8])> = None;
    for value in values {
        let Some((key, rest)) = value_length(keys).and_then(|length| keys.split_at_checked(length)) else {
            return false;
        };
        if last.is_some_and(|(other, other_key)| match collate(other, value) {
            Ordering::Less => other_key > key,
            Ordering::Equal => other_key != key,
            Ordering::Greater => other_key < key,
        }) {
            return false;
        }
        (last, keys) = (Some((value, key)), rest);
    }
    keys.is_empty()
}
