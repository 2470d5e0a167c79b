//! The revision tree of a document, put together from what is left of it.
//!
//! There are three witnesses: nodes, bodies, and the head, of which the feed has a copy. Nothing that one of them names is
//! forgotten: **a leaf whose body is lost stays a leaf**, so that no ancestor of it is taken for what the document says, and
//! peers are asked for it. Where nodes between a leaf and older ones are lost, the older ones would look like leaves: those that
//! the head does not name and that may stand below such a hole are none.

use alloc::vec::Vec;

use crate::document::Head;
use crate::ordered::Set;
use crate::revision::{Node, Rev, RevTree};

/// The tree of a document with these nodes, and these bodies, of which those that are `empty` may be tombstones.
pub(super) fn mend(nodes: Vec<(Rev, Node)>, bodies: &Set<Rev>, empty: &Set<Rev>, head: Option<&Head>) -> RevTree {
    let mut tree = RevTree::new();
    for (rev, node) in nodes {
        let available = bodies.contains(&rev);
        tree.insert_stored(&rev, Node { available, ..node });
    }
    let named = head.map(|head| head.leaves.as_slice()).unwrap_or_default();
    for leaf in named {
        let node = Node { deleted: leaf.deleted, available: bodies.contains(&leaf.rev), ..Node::default() };
        tree.insert_stored(&leaf.rev, node);
    }
    // Of these nothing but the body is left.
    let mut alone = Set::new();
    for rev in bodies.iter().filter(|rev| !tree.contains(rev)) {
        alone.insert(rev.clone());
    }
    for rev in alone.iter() {
        let node = Node { deleted: empty.contains(rev), available: true, ..Node::default() };
        tree.insert_stored(rev, node);
    }
    let greatest_named = named.iter().map(|leaf| leaf.rev.generation()).max().unwrap_or(0);
    let is_named = |rev: &Rev| named.iter().any(|leaf| leaf.rev == *rev);
    // The generations below which each leaf has a hole.
    let holes: Vec<(&Rev, u64)> =
        tree.leaves().into_iter().filter_map(|leaf| Some((leaf, hole(&tree, leaf, head)?))).collect();
    let is_inner = |leaf: &Rev| {
        let is_below_a_hole = holes.iter().any(|(above, hole)| *above != leaf && leaf.generation() < *hole);
        !is_named(leaf) && (is_below_a_hole || (alone.contains(leaf) && leaf.generation() <= greatest_named))
    };
    let inner: Vec<(Rev, Node)> = tree
        .leaves()
        .into_iter()
        .filter(|leaf| is_inner(leaf))
        .filter_map(|leaf| Some((leaf.clone(), Node { superseded: true, ..tree.node(leaf)?.clone() })))
        .collect();
    for (rev, node) in inner {
        tree.insert_stored(&rev, node);
    }
    tree
}

/// The generation of the oldest revision that is known of the branch of `leaf`, if there were older ones once.
fn hole(tree: &RevTree, leaf: &Rev, head: Option<&Head>) -> Option<u64> {
    let bottom = tree.ancestry(leaf).last()?;
    let named = head.and_then(|head| head.leaves.iter().find(|named| named.rev == *leaf));
    let oldest = named.map_or(1, |named| named.oldest);
    (bottom.generation() > oldest).then(|| bottom.generation())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Leaf;

    fn rev(text: &str) -> Rev {
        Rev::parse(text).unwrap()
    }

    fn node(parent: Option<&str>) -> Node {
        Node { parent: parent.map(|parent| rev(parent).hash().clone()), available: true, ..Node::default() }
    }

    fn set(revs: &[&str]) -> Set<Rev> {
        let mut set = Set::new();
        set.extend(revs.iter().map(|text| rev(text)));
        set
    }

    fn head(leaves: &[(&str, u64)]) -> Head {
        let leaf = |(text, oldest): &(&str, u64)| Leaf { rev: rev(text), deleted: false, lost: false, oldest: *oldest };
        Head { seq: 1, leaves: leaves.iter().map(leaf).collect() }
    }

    fn leaves(nodes: &[(&str, Option<&str>)], bodies: &[&str], head: Option<&Head>) -> Vec<alloc::string::String> {
        let nodes = nodes.iter().map(|(text, parent)| (rev(text), node(*parent))).collect();
        let tree = mend(nodes, &set(bodies), &Set::new(), head);
        tree.leaves().into_iter().map(alloc::string::ToString::to_string).collect()
    }

    #[test]
    fn a_leaf_without_a_body_stays_the_leaf() {
        let nodes = [("1-a", None), ("2-b", Some("1-a"))];
        assert_eq!(leaves(&nodes, &["1-a"], Some(&head(&[("2-b", 1)]))), ["2-b"]);
        assert_eq!(leaves(&nodes, &["1-a"], None), ["2-b"]);
    }

    #[test]
    fn a_leaf_of_which_nothing_but_its_name_is_left_stays_the_leaf() {
        assert_eq!(leaves(&[("1-a", None)], &["1-a"], Some(&head(&[("2-b", 1)]))), ["2-b"]);
        assert_eq!(leaves(&[], &[], Some(&head(&[("2-b", 1), ("2-a", 1)]))), ["2-b", "2-a"]);
    }

    #[test]
    fn what_stands_below_a_hole_is_no_branch() {
        let nodes = [("1-a", None), ("2-b", Some("1-a")), ("4-d", Some("3-c"))];
        assert_eq!(leaves(&nodes, &["2-b", "4-d"], Some(&head(&[("4-d", 1)]))), ["4-d"]);
        assert_eq!(leaves(&nodes, &["2-b", "4-d"], None), ["4-d"]);
    }

    #[test]
    fn branches_that_the_head_names_stay_and_so_do_those_that_came_after_it() {
        let nodes = [("1-a", None), ("2-b", Some("1-a")), ("2-c", Some("1-a")), ("4-d", Some("3-c"))];
        assert_eq!(leaves(&nodes, &["2-b", "2-c"], Some(&head(&[("4-d", 1), ("2-b", 1)]))), ["4-d", "2-b"]);
        let nodes = [("1-a", None), ("2-b", Some("1-a")), ("3-c", Some("2-b")), ("2-d", Some("1-a"))];
        assert_eq!(leaves(&nodes, &["3-c", "2-d"], Some(&head(&[("2-b", 1)]))), ["3-c", "2-d"]);
    }

    #[test]
    fn a_branch_that_was_cut_by_its_limit_has_no_hole() {
        let nodes = [("5-e", Some("4-d")), ("6-f", Some("5-e")), ("5-x", Some("4-d"))];
        assert_eq!(leaves(&nodes, &["6-f", "5-x"], Some(&head(&[("6-f", 5), ("5-x", 5)]))), ["6-f", "5-x"]);
    }

    #[test]
    fn bodies_alone_are_served_if_nothing_newer_is_known() {
        assert_eq!(leaves(&[], &["1-a", "2-b"], None), ["2-b"]);
        let nodes = [("1-a", None), ("2-b", Some("1-a"))];
        assert_eq!(leaves(&nodes, &["2-b", "3-c"], Some(&head(&[("2-b", 1)]))), ["3-c", "2-b"]);
        assert_eq!(leaves(&nodes, &["2-b", "2-c"], Some(&head(&[("2-b", 1)]))), ["2-b"]);
    }
}
