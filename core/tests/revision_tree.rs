//! The revision tree by itself, with revisions of all kinds: what a merge reports, who wins, what is cut.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use firkin_core::revision::{Node, Outcome, Rev, RevHash, RevTree, Revisions};

const HEX: &str = "0123456789abcdef0123456789abcdef";
const UPPER: &str = "0123456789ABCDEF0123456789ABCDEF";

fn rev(text: &str) -> Rev {
    Rev::parse(text).unwrap()
}

fn path(start: u64, ids: &[&str]) -> Revisions {
    Revisions::new(start, ids.iter().map(|id| RevHash::parse(id).unwrap()).collect()).unwrap()
}

fn texts<'a>(revs: impl IntoIterator<Item = &'a Rev>) -> Vec<String> {
    revs.into_iter().map(ToString::to_string).collect()
}

#[test]
fn merge_reports_what_became_of_a_path_and_which_nodes_changed() {
    let mut tree = RevTree::new();
    let mut merge = |start, ids: &[&str], deleted| {
        let merged = tree.merge_path(&path(start, ids), deleted);
        (merged.outcome, texts(&merged.changed))
    };
    assert_eq!(merge(2, &["b"], false), (Outcome::NewLeaf, vec!["2-b".into()]));
    assert_eq!(merge(4, &[HEX, "c", "b"], false), (Outcome::NewLeaf, vec!["3-c".into(), format!("4-{HEX}")]));
    assert_eq!(merge(4, &[UPPER, "c", "b"], true), (Outcome::NewBranch, vec![format!("4-{UPPER}")]));
    assert_eq!(merge(7, &["x"], false), (Outcome::NewBranch, vec!["7-x".into()]));
    // The body of an ancestor, with more of its history.
    assert_eq!(merge(3, &["c", "b", "a"], false), (Outcome::Internal, vec!["1-a".into(), "2-b".into(), "3-c".into()]));
    assert_eq!(merge(3, &["c", "b", "a"], false), (Outcome::Known, vec![]));
    assert_eq!(merge(4, &[HEX, "c", "b"], false), (Outcome::Known, vec![]));
    // History alone that was not here yet.
    assert_eq!(merge(7, &["x", "w"], false), (Outcome::Known, vec!["6-w".into(), "7-x".into()]));
    assert_eq!(merge(6, &["w", "v"], false), (Outcome::Internal, vec!["5-v".into(), "6-w".into()]));
}

#[test]
fn first_body_of_a_revision_is_kept() {
    let mut tree = RevTree::new();
    tree.merge_path(&path(1, &["a"]), false);
    let merged = tree.merge_path(&path(1, &["a"]), true);
    assert_eq!((merged.outcome, merged.changed), (Outcome::Known, vec![]));
    assert!(!tree.node(&rev("1-a")).unwrap().deleted);
}

#[test]
fn winner_is_not_deleted_then_longest_then_greatest() {
    let mut tree = RevTree::new();
    let mut winner = |start, ids: &[&str], deleted| {
        tree.merge_path(&path(start, ids), deleted);
        tree.winner().unwrap().to_string()
    };
    assert_eq!(winner(5, &["z"], true), "5-z");
    assert_eq!(winner(6, &["a"], true), "6-a");
    assert_eq!(winner(1, &[UPPER], false), format!("1-{UPPER}"));
    assert_eq!(winner(1, &[HEX], false), format!("1-{HEX}"));
    assert_eq!(winner(1, &["B"], false), "1-B");
    assert_eq!(winner(1, &["a"], false), "1-a");
    assert_eq!(winner(1, &[&"f".repeat(32)], false), format!("1-{}", "f".repeat(32)));
    assert_eq!(winner(2, &["A", "B"], false), "2-A");
    let leaves = texts(tree.leaves());
    let f = format!("1-{}", "f".repeat(32));
    assert_eq!(leaves, ["2-A", &f, "1-a", &format!("1-{HEX}"), &format!("1-{UPPER}"), "6-a", "5-z"]);
    assert_eq!(texts(tree.conflicts()), leaves[1..5]);
    assert_eq!(texts(tree.deleted_conflicts()), leaves[5..]);
    assert_eq!(tree.deleted_conflicts().len() + tree.conflicts().len() + 1, tree.leaves().len());
}

#[test]
fn deleted_winner_is_none_of_its_conflicts() {
    let mut tree = RevTree::new();
    tree.merge_path(&path(2, &["b", "a"]), true);
    tree.merge_path(&path(2, &["c", "a"]), true);
    assert_eq!(tree.winner(), Some(&rev("2-c")));
    assert_eq!(texts(tree.conflicts()), Vec::<String>::new());
    assert_eq!(texts(tree.deleted_conflicts()), ["2-b"]);
    assert_eq!(RevTree::new().winner(), None);
}

/// 1-a - 2-b - 3-c - 4-d
///          \- 3-C
/// 3-x - 4-y
fn branched() -> RevTree {
    let mut tree = RevTree::new();
    tree.merge_path(&path(4, &["d", "c", "b", "a"]), false);
    tree.merge_path(&path(3, &["C", "b"]), false);
    tree.merge_path(&path(4, &["y", "x"]), true);
    tree
}

#[test]
fn ancestors_and_descendants_are_found() {
    let tree = branched();
    assert_eq!(texts(tree.ancestry(&rev("3-C"))), ["3-C", "2-b", "1-a"]);
    assert_eq!(tree.revisions_of(&rev("4-y")), Some(path(4, &["y", "x"])));
    assert_eq!(tree.revisions_of(&rev("4-z")), None);
    assert_eq!(texts(tree.children(&rev("2-b"))), ["3-C", "3-c"]);
    assert_eq!(texts(tree.children(&rev("4-d"))), Vec::<String>::new());
    let ancestor = |left, right| tree.common_ancestor(&rev(left), &rev(right)).map(ToString::to_string);
    assert_eq!(ancestor("4-d", "3-C").as_deref(), Some("2-b"));
    assert_eq!(ancestor("3-C", "4-d").as_deref(), Some("2-b"));
    assert_eq!(ancestor("4-d", "2-b").as_deref(), Some("2-b"));
    assert_eq!(ancestor("4-d", "4-d").as_deref(), Some("4-d"));
    assert_eq!(ancestor("4-d", "4-y"), None);
    assert_eq!(ancestor("4-d", "4-none"), None);
    assert_eq!(texts(tree.latest(&[rev("2-b")])), ["4-d", "3-C"]);
    assert_eq!(texts(tree.latest(&[rev("4-y"), rev("3-c"), rev("1-a"), rev("9-none")])), ["4-d", "3-C", "4-y"]);
    assert_eq!(texts(tree.latest(&[rev("9-none")])), Vec::<String>::new());
}

#[test]
fn missing_revisions_and_possible_ancestors_are_as_couchdb_names_them() {
    let mut tree = RevTree::new();
    tree.merge_path(&path(2, &["bbbb", "aaaa"]), false);
    tree.merge_path(&path(2, &["cccc", "aaaa"]), false);
    let asked = [rev("2-bbbb"), rev("3-dddd"), rev("1-aaaa")];
    let missing = tree.missing(&asked);
    assert_eq!(texts(missing.iter().copied()), ["3-dddd"]);
    assert_eq!(texts(tree.possible_ancestors(&missing)), ["2-cccc", "2-bbbb"]);
    assert_eq!(texts(tree.possible_ancestors(&[&rev("2-x")])), Vec::<String>::new());
}

#[test]
fn stemming_keeps_the_newest_of_each_branch() {
    let mut tree = branched();
    // 4-d alone would let 1-a go at a limit of 3; the shorter branch of 3-C still holds it.
    assert_eq!(texts(&tree.stem(3)), Vec::<String>::new());
    assert_eq!(texts(&tree.stem(2)), ["1-a"]);
    assert_eq!(tree.revisions_of(&rev("3-C")), Some(path(3, &["C", "b"])));
    assert_eq!(texts(&tree.stem(1)), ["2-b", "3-c", "3-x"]);
    assert_eq!(texts(tree.leaves()), ["4-d", "3-C", "4-y"]);
    assert_eq!(tree.revisions_of(&rev("4-d")), Some(path(4, &["d"])));
    assert_eq!(texts(&tree.stem(0)), Vec::<String>::new());
    assert_eq!(tree.len(), 3);
}

#[test]
fn cut_revision_that_arrives_again_is_no_new_branch() {
    let mut tree = RevTree::new();
    tree.merge_path(&path(3, &["c", "b", "a"]), false);
    tree.stem(1);
    assert!(!tree.contains(&rev("2-b")));
    assert_eq!(tree.merge_path(&path(2, &["b"]), false).outcome, Outcome::Internal);
    assert_eq!(texts(tree.leaves()), ["3-c"]);
}

#[test]
fn two_parents_for_one_revision_leave_one_tree_whatever_the_order() {
    let claims = [path(3, &["x", "A", "r"]), path(3, &["x", "b", "r"]), path(3, &["x", HEX, "r"]), path(3, &["x"])];
    let expected: Vec<String> = vec!["1-r".into(), format!("2-{HEX}"), "2-A".into(), "2-b".into(), "3-x".into()];
    for rotation in 0..claims.len() {
        let mut tree = RevTree::new();
        let mut stored = RevTree::new();
        for turn in 0..claims.len() {
            for changed in tree.merge_path(&claims[(rotation + turn) % claims.len()], false).changed {
                stored.insert_stored(&changed, tree.node(&changed).unwrap().clone());
            }
        }
        assert_eq!(texts(tree.iter().map(|(rev, _)| rev)), expected);
        assert_eq!(tree.parent(&rev("3-x")), Some(&rev("2-b")));
        // Those that lost the child do not come up as leaves without a body.
        assert_eq!(texts(tree.leaves()), ["3-x"]);
        // The nodes that were reported as changed are enough to have the same tree after a restart.
        let mut reloaded = RevTree::new();
        for (rev, _) in tree.iter().rev() {
            reloaded.insert_stored(rev, stored.node(rev).unwrap().clone());
        }
        assert_eq!(reloaded, tree);
        assert_eq!(reloaded.leaves(), tree.leaves());
    }
}

#[test]
fn first_generation_has_no_parent_whatever_is_stored() {
    let mut tree = RevTree::new();
    let parent = Some(RevHash::parse("x").unwrap());
    tree.insert_stored(&rev("1-a"), Node { parent, available: true, ..Node::default() });
    assert_eq!(tree.revisions_of(&rev("1-a")), Some(path(1, &["a"])));
    assert_eq!(tree.node(&rev("1-a")).unwrap().parent, None);
}

#[test]
fn stored_nodes_come_back() {
    for flags in 0..8_u8 {
        for parent in [None, Some("a"), Some(HEX), Some(UPPER)] {
            let node = Node {
                parent: parent.map(|hash| RevHash::parse(hash).unwrap()),
                deleted: flags & 1 != 0,
                available: flags & 2 != 0,
                superseded: flags & 4 != 0,
            };
            let mut bytes = Vec::new();
            node.encode(&mut bytes);
            let length = bytes.len();
            bytes.extend_from_slice(b"rest");
            assert_eq!(Node::decode(&bytes), Some((node, b"rest".as_slice())));
            for cut in 0..length {
                assert_eq!(Node::decode(&bytes[..cut]), None);
            }
        }
    }
    assert_eq!(Node::decode(&[16]), None);
    assert_eq!(Node::decode(&[8, 1, b'\n']), None);
}

#[test]
fn deep_and_wide_trees_cost_no_stack_and_no_square() {
    let count: u32 = 20_000;
    let started = std::time::Instant::now();
    let hashes: Vec<RevHash> = (0..count).map(|n| RevHash::parse(&format!("{n:032x}")).unwrap()).collect();
    let history = (0..count).map(|n| RevHash::parse(&format!("h{n}")).unwrap()).collect();
    let mut deep = RevTree::new();
    deep.merge_path(&Revisions::new(u64::from(count), history).unwrap(), false);
    let mut wide = RevTree::new();
    for hash in &hashes {
        let root = RevHash::parse("root").unwrap();
        wide.merge_path(&Revisions::new(2, vec![hash.clone(), root]).unwrap(), false);
    }
    // One child that a hostile peer hangs under ever greater parents.
    let mut torn = RevTree::new();
    for hash in &hashes {
        let child = RevHash::parse("child").unwrap();
        torn.merge_path(&Revisions::new(2, vec![child, hash.clone()]).unwrap(), false);
    }
    assert_eq!((deep.leaves().len(), wide.leaves().len(), torn.leaves().len()), (1, 20_000, 1));
    assert_eq!(wide.latest(&[rev("1-root")]).len(), 20_000);
    let mut merged = deep.clone();
    merged.merge(&wide);
    merged.merge(&torn);
    assert_eq!(merged.leaves().len(), 20_002);
    // All but ten of the history, and every parent that lost the child to a greater one.
    assert_eq!(merged.stem(10).len() as u32, (count - 10) + (count - 1));
    // A square of 20,000 nodes takes minutes here; what is done above takes a fraction of a second.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
