//! A tree merges like a set: any order, any grouping and any repetition of the same paths give the same tree.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use firkin_core::revision::{Node, Rev, RevHash, RevTree, Revisions};
use proptest::prelude::*;

/// Few hashes of every kind, so that random paths meet, branch and name different parents for one revision.
const HASHES: [&str; 6] = [
    "a",
    "A",
    "0123456789abcdef0123456789abcdef",
    "0123456789ABCDEF0123456789ABCDEF",
    "ffffffffffffffffffffffffffffffff",
    "a rather long text that is no hash at all, as a peer is free to send",
];

fn paths() -> impl Strategy<Value = Vec<Revisions>> {
    let ids = prop::collection::vec(0..HASHES.len(), 1..5);
    let path = (ids, 0..3_u64).prop_map(|(ids, cut)| {
        let ids: Vec<RevHash> = ids.into_iter().map(|id| RevHash::parse(HASHES[id]).unwrap()).collect();
        Revisions::new(ids.len() as u64 + cut, ids).unwrap()
    });
    prop::collection::vec(path, 1..12)
}

/// Whether the body of `rev` is a tombstone: the same for all who send it, as honest peers do.
fn tombstone(rev: &Rev) -> bool {
    rev.to_string().bytes().map(u32::from).sum::<u32>() % 3 == 0
}

fn merge_path(tree: &mut RevTree, path: &Revisions) {
    tree.merge_path(path, tombstone(&path.iter().next().unwrap()));
}

fn tree(paths: &[Revisions]) -> RevTree {
    let mut tree = RevTree::new();
    paths.iter().for_each(|path| merge_path(&mut tree, path));
    tree
}

/// What the tree should hold, told plainly: of several parents the greatest; a leaf came with a body and is no parent.
fn model(paths: &[Revisions]) -> (BTreeMap<Rev, Option<Rev>>, Vec<Rev>) {
    let mut parents: BTreeMap<Rev, Option<Rev>> = BTreeMap::new();
    let mut inner = BTreeSet::new();
    for path in paths {
        let revs: Vec<Rev> = path.iter().collect();
        for (at, rev) in revs.iter().enumerate() {
            let parent = revs.get(at + 1).cloned();
            inner.extend(parent.clone());
            let known = parents.entry(rev.clone()).or_default();
            *known = parent.max(known.take());
        }
    }
    let mut leaves: Vec<Rev> = parents.keys().filter(|rev| !inner.contains(rev)).cloned().collect();
    leaves.sort_by(|left, right| (tombstone(left), right).cmp(&(tombstone(right), left)));
    (parents, leaves)
}

fn paths_with_order() -> impl Strategy<Value = (Vec<Revisions>, Vec<Revisions>, usize)> {
    paths().prop_flat_map(|paths| {
        let all = paths.clone();
        let repeated = prop::collection::vec(0..paths.len(), 0..6).prop_map({
            let paths = paths.clone();
            move |again| paths.iter().cloned().chain(again.into_iter().map(|at| paths[at].clone())).collect::<Vec<_>>()
        });
        let length = all.len();
        (Just(all), repeated.prop_shuffle(), 0..=length)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_order_and_repetition_give_the_tree_of_the_model((paths, again, _) in paths_with_order()) {
        let built = tree(&paths);
        let (parents, leaves) = model(&paths);
        prop_assert_eq!(built.iter().map(|(rev, _)| (rev.clone(), built.parent(rev).cloned())).collect::<BTreeMap<_, _>>(), parents);
        prop_assert_eq!(built.leaves().into_iter().cloned().collect::<Vec<_>>(), leaves);
        let other = tree(&again);
        prop_assert_eq!(&built, &other);
        prop_assert_eq!(built.leaves(), other.leaves());
        prop_assert_eq!(built.winner(), built.leaves().first().copied());
    }

    #[test]
    fn merging_trees_is_a_join((paths, again, middle) in paths_with_order(), at in 0..12_usize) {
        let whole = tree(&paths);
        let (a, b, c) = (tree(&paths[..middle]), tree(&paths[middle..]), tree(&again[..at.min(again.len())]));
        let join = |left: &RevTree, right: &RevTree| { let mut left = left.clone(); left.merge(right); left };
        let checked = |tree: RevTree| (tree.leaves().into_iter().cloned().collect::<Vec<_>>(), tree);
        prop_assert_eq!(checked(join(&a, &b)), checked(whole.clone()));
        prop_assert_eq!(checked(join(&b, &a)), checked(whole.clone()));
        prop_assert_eq!(checked(join(&join(&a, &c), &b)), checked(join(&a, &join(&c, &b))));
        prop_assert_eq!(checked(join(&whole, &whole)), checked(whole.clone()));
        prop_assert_eq!(whole.clone().merge(&a), vec![]);
    }

    #[test]
    fn nodes_reported_as_changed_are_all_that_storage_needs((paths, _, _) in paths_with_order()) {
        let mut tree = RevTree::new();
        let mut records: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for path in &paths {
            for rev in tree.merge_path(path, tombstone(&path.iter().next().unwrap())).changed {
                let (mut key, mut value) = (Vec::new(), Vec::new());
                rev.encode(&mut key);
                tree.node(&rev).unwrap().encode(&mut value);
                prop_assert!(records.insert(key, value.clone()) != Some(value));
            }
        }
        let mut reloaded = RevTree::new();
        for (key, value) in &records {
            reloaded.insert_stored(&Rev::decode(key).unwrap().0, Node::decode(value).unwrap().0);
        }
        prop_assert_eq!(reloaded.leaves(), tree.leaves());
        prop_assert_eq!(reloaded, tree);
    }

    #[test]
    fn stemmed_tree_keeps_its_leaves_and_their_newest_ancestors((paths, _, _) in paths_with_order(), limit in 1..5_u32) {
        let whole = tree(&paths);
        let mut cut = whole.clone();
        let removed = cut.stem(limit);
        prop_assert_eq!(removed.len() + cut.len(), whole.len());
        prop_assert_eq!(cut.leaves(), whole.leaves());
        let mut kept = BTreeSet::new();
        for leaf in whole.leaves() {
            kept.extend(whole.ancestry(leaf).take(limit as usize).cloned());
        }
        if whole.len() > limit as usize {
            prop_assert_eq!(cut.iter().map(|(rev, _)| rev.clone()).collect::<BTreeSet<_>>(), kept);
        }
    }

    #[test]
    fn ancestors_and_latest_agree_with_a_plain_walk((paths, _, _) in paths_with_order()) {
        let tree = tree(&paths);
        let revs: Vec<Rev> = tree.iter().map(|(rev, _)| rev.clone()).collect();
        for left in &revs {
            let above: Vec<&Rev> = tree.ancestry(left).collect();
            for right in &revs {
                let shared = tree.ancestry(right).find(|rev| above.contains(rev));
                prop_assert_eq!(tree.common_ancestor(left, right), shared);
            }
            let below: Vec<&Rev> = tree.leaves().into_iter().filter(|leaf| tree.ancestry(leaf).any(|rev| rev == left)).collect();
            prop_assert_eq!(tree.latest(std::slice::from_ref(left)), below);
        }
    }
}
