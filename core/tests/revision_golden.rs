//! The revision trees that a real CouchDB built from the same edits.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use firkin_core::json::parse;
use firkin_core::revision::{Rev, RevTree, Revisions};
use serde_json::{Value, json};

fn documents() -> Vec<Value> {
    serde_json::from_str(include_str!("../../tests/vectors/revision-trees.json")).unwrap()
}

fn revisions(value: &Value) -> Revisions {
    Revisions::from_json(&parse(value.to_string().as_bytes()).unwrap()).unwrap()
}

fn edits(document: &Value) -> Vec<(Revisions, bool)> {
    let edit = |edit: &Value| {
        let path = revisions(&edit["_revisions"]);
        assert_eq!(path.iter().next().unwrap().to_string(), edit["_rev"].as_str().unwrap());
        (path, edit["_deleted"] == true)
    };
    document["edits"].as_array().unwrap().iter().map(edit).collect()
}

fn tree(edits: &[(Revisions, bool)]) -> RevTree {
    let mut tree = RevTree::new();
    for (path, deleted) in edits {
        tree.merge_path(path, *deleted);
    }
    tree
}

fn texts(revs: &[&Rev]) -> Vec<String> {
    revs.iter().map(ToString::to_string).collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().map_or(Vec::new(), |list| list.iter().map(|text| text.as_str().unwrap().into()).collect())
}

fn assert_as_couchdb(document: &Value, tree: &RevTree) {
    let id = &document["id"];
    let winner = tree.winner().unwrap();
    if tree.node(winner).unwrap().deleted {
        // A plain read answers 404 then, and tells neither the winner nor its conflicts.
        assert_eq!((&document["status"], &document["winner"]), (&json!(404), &Value::Null), "{id}");
        assert_eq!(texts(&tree.conflicts()), Vec::<String>::new(), "{id}");
    } else {
        assert_eq!((&document["status"], &document["winner"]), (&json!(200), &json!(winner.to_string())), "{id}");
        assert_eq!(texts(&tree.conflicts()), strings(&document["conflicts"]), "{id}");
        assert_eq!(texts(&tree.deleted_conflicts()), strings(&document["deleted_conflicts"]), "{id}");
    }
    assert_eq!(document["changes"][0]["deleted"], tree.node(winner).unwrap().deleted, "{id}");
    assert_eq!(texts(&tree.leaves()), strings(&document["changes"][0]["revs"]), "{id}");
    let leaves = document["leaves"].as_array().unwrap();
    assert_eq!(tree.leaves().len(), leaves.len(), "{id}");
    for leaf in leaves {
        let rev = Rev::parse(leaf["rev"].as_str().unwrap()).unwrap();
        assert!(tree.is_leaf(&rev), "{id} {rev}");
        assert_eq!(tree.node(&rev).unwrap().deleted, leaf["deleted"] == true, "{id} {rev}");
        assert_eq!(tree.revisions_of(&rev).unwrap(), revisions(&leaf["revisions"]), "{id} {rev}");
    }
}

#[test]
fn edits_as_they_arrived_give_the_tree_of_couchdb() {
    let documents = documents();
    assert_eq!(documents.len(), 150);
    for document in &documents {
        assert_as_couchdb(document, &tree(&edits(document)));
    }
}

#[test]
fn edits_in_any_order_give_the_tree_of_couchdb() {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for document in &documents() {
        let mut edits = edits(document);
        let arrived = tree(&edits);
        for _ in 0..24 {
            for position in (1..edits.len()).rev() {
                edits.swap(position, below(position + 1));
            }
            let shuffled = tree(&edits);
            assert_as_couchdb(document, &shuffled);
            assert_eq!(shuffled, arrived);
        }
    }
}
