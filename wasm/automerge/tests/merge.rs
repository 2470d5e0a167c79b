//! Texts and lists that two sides changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use firkin_automerge::{BYTES_MAX, Merged, merge};
use firkin_core::json::{Value, collate, parse};
use proptest::prelude::*;

const NAMES: [&str; 2] = ["2-aaaa", "2-bbbb"];

fn json(text: &str) -> Value {
    parse(text.as_bytes()).unwrap()
}

fn merged(base: &str, ours: &str, theirs: &str) -> Merged {
    merge(&json(base), &json(ours), &json(theirs), NAMES).unwrap()
}

/// Holds if the two sides are put together as `wanted`, whichever is called ours, and nobody has to decide.
fn agrees(base: &str, ours: &str, theirs: &str, wanted: &str) {
    let here = merged(base, ours, theirs);
    assert!(!here.is_clash && is_same(&here.value, &json(wanted)), "{here:?}");
    assert_eq!(merge(&json(base), &json(theirs), &json(ours), [NAMES[1], NAMES[0]]), Some(here));
}

#[test]
fn edits_at_different_words_of_a_paragraph_are_both_kept() {
    agrees(
        r#""Firkin keeps documents as trees. Every path is indexed, and conflicts are branches.""#,
        r#""Firkin keeps JSON documents as trees. Every path is indexed, and conflicts are branches.""#,
        r#""Firkin keeps documents as trees. Each path is indexed, and conflicts are branches that people close.""#,
        r#""Firkin keeps JSON documents as trees. Each path is indexed, and conflicts are branches that people close.""#,
    );
}

#[test]
fn edits_at_different_characters_of_a_word_are_both_kept() {
    agrees(r#""colour""#, r#""Colour""#, r#""colours""#, r#""Colours""#);
}

#[test]
fn an_edit_that_both_made_is_made_once() {
    agrees(r#""one two three""#, r#""one 2 three""#, r#""one 2 three, four""#, r#""one 2 three, four""#);
    agrees("[1]", "[1,5]", "[1,5]", "[1,5]");
    agrees("[1,2,3]", "[0,1,2,3]", "[0,1,3]", "[0,1,3]");
}

#[test]
fn a_word_rewritten_in_two_ways_is_a_clash_in_which_ours_stands_and_the_rest_is_kept() {
    let one = merged(r#""state: draft, by nobody""#, r#""state: approved, by nobody""#, r#""state: rejected, by Ann""#);
    assert_eq!(one, Merged { value: json(r#""state: approved, by Ann""#), is_clash: true });
}

#[test]
fn what_both_take_out_is_gone_also_where_they_do_so_in_part() {
    agrees(r#""a b c d e""#, r#""a d e""#, r#""a e""#, r#""a e""#);
    agrees("[1,2,3,4]", "[1,4]", "[1]", "[1]");
}

#[test]
fn elements_that_are_added_changed_and_taken_out_apart_are_all_kept() {
    agrees("[1,2,3]", "[1,2,3,4]", "[0,1,2,3]", "[0,1,2,3,4]");
    agrees("[1,2,3]", "[1,9,3]", "[1,2]", "[1,9]");
    agrees(r#"["a","b"]"#, r#"["a","b","c"]"#, r#"["b"]"#, r#"["b","c"]"#);
    agrees("[1,2,3]", "[1]", "[1,2,3]", "[1]");
}

#[test]
fn what_both_insert_at_one_place_is_there_side_by_side() {
    let both = merged("[1]", "[1,2]", "[1,3]");
    assert!(!both.is_clash);
    assert!([json("[1,2,3]"), json("[1,3,2]")].contains(&both.value), "{both:?}");
    assert_eq!(merge(&json("[1]"), &json("[1,3]"), &json("[1,2]"), [NAMES[1], NAMES[0]]), Some(both));
}

#[test]
fn the_order_of_what_both_insert_does_not_depend_on_who_is_called_ours_where_they_made_another_edit_alike() {
    let (base, ours, theirs) = (json("[{},null]"), json("[[],{}]"), json("[0,{}]"));
    let here = merge(&base, &ours, &theirs, NAMES).unwrap();
    assert!(!here.is_clash);
    assert_eq!(merge(&base, &theirs, &ours, [NAMES[1], NAMES[0]]), Some(here));
}

#[test]
fn an_element_that_both_changed_is_put_together_member_by_member() {
    agrees(
        r#"[{"task":"buy milk","done":false,"tags":["food"]},{"task":"rest"}]"#,
        r#"[{"task":"buy milk","done":true,"tags":["food","now"]},{"task":"rest"}]"#,
        r#"[{"task":"buy oat milk","done":false,"tags":["food"],"by":"Ann"},{"task":"rest"}]"#,
        r#"[{"task":"buy oat milk","done":true,"tags":["food","now"],"by":"Ann"},{"task":"rest"}]"#,
    );
}

#[test]
fn an_element_changed_in_two_ways_or_changed_and_taken_out_is_a_clash_in_which_ours_stands() {
    let clash = |value: &str| Merged { value: json(value), is_clash: true };
    assert_eq!(merged("[1,2]", "[1,8]", "[1,9]"), clash("[1,8]"));
    assert_eq!(merged("[1,2]", r#"[1,{"a":1}]"#, r#"[1,"two"]"#), clash(r#"[1,{"a":1}]"#));
    assert_eq!(merged(r#"[{"a":1}]"#, r#"[{"a":2}]"#, r#"[{"a":3}]"#), clash(r#"[{"a":2}]"#));
    assert_eq!(merged(r#"[{"a":1}]"#, r#"[{}]"#, r#"[{"a":3}]"#), clash("[{}]"));
    assert_eq!(merged("[1,2,3]", "[1,2]", "[1,2,9]"), clash("[1,2]"));
}

#[test]
fn what_is_no_text_and_no_list_on_all_sides_is_not_put_together() {
    for (base, ours, theirs) in [("null", r#""a""#, r#""b""#), ("1", "2", "3"), ("{}", "{}", "{}"), ("[]", "[]", "{}")]
    {
        assert_eq!(merge(&json(base), &json(ours), &json(theirs), NAMES), None);
    }
    assert_eq!(merge(&json("[]"), &json("[1]"), &json("[2]"), ["2-aaaa"; 2]), None);
}

#[test]
fn what_is_too_long_is_not_put_together() {
    let long = Value::String("x".repeat(BYTES_MAX));
    assert_eq!(merge(&long, &json(r#""a""#), &json(r#""b""#), NAMES), None);
}

fn texts() -> impl Strategy<Value = Value> {
    "([ab]{0,2}[ \u{e9}\u{1f600}.]){0,6}".prop_map(Value::String)
}

fn lists() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), (0..4_u8).prop_map(|n| Value::Number(n.into())), texts()];
    let element = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map("[abc]", inner, 0..3).prop_map(|members| {
                let mut object = firkin_core::json::Object::new();
                members.into_iter().for_each(|(name, value)| object.insert(&name, value));
                Value::Object(object)
            }),
        ]
    });
    proptest::collection::vec(element, 0..5).prop_map(Value::Array)
}

fn three() -> impl Strategy<Value = [Value; 3]> {
    prop_oneof![[texts(), texts(), texts()], [lists(), lists(), lists()]]
}

fn is_same(left: &Value, right: &Value) -> bool {
    collate(left, right).is_eq()
}

proptest! {
    #[test]
    fn a_side_that_changed_nothing_gives_way_to_the_other_whole([base, ours, _] in three()) {
        let theirs = merge(&base, &base, &ours, NAMES).unwrap();
        prop_assert!(is_same(&theirs.value, &ours) && !theirs.is_clash, "{theirs:?}");
        let mine = merge(&base, &ours, &base, NAMES).unwrap();
        prop_assert!(is_same(&mine.value, &ours) && !mine.is_clash, "{mine:?}");
    }

    #[test]
    fn what_both_sides_made_alike_is_that([base, ours, _] in three()) {
        let both = merge(&base, &ours, &ours, NAMES).unwrap();
        prop_assert!(is_same(&both.value, &ours) && !both.is_clash, "{both:?}");
    }

    #[test]
    fn either_side_computes_the_same_where_nothing_clashes([base, ours, theirs] in three()) {
        let here = merge(&base, &ours, &theirs, NAMES).unwrap();
        let there = merge(&base, &theirs, &ours, [NAMES[1], NAMES[0]]).unwrap();
        prop_assert_eq!(here.is_clash, there.is_clash);
        prop_assert!(here.is_clash || is_same(&here.value, &there.value), "{:?} {:?}", here, there);
    }
}
