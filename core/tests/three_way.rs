//! Documents put together: by examples, and by what holds of any.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{any_value, value};
use firkin_core::json::{Object, Value, collate};
use firkin_core::merge::{Clash, Merged, Policies, three_way};
use proptest::prelude::*;
use serde_json::json;

fn members(document: &serde_json::Value) -> Object {
    value(document).as_object().unwrap().clone()
}

fn policies(policies: &serde_json::Value) -> Policies {
    Policies::parse(&value(policies)).unwrap()
}

fn merge(policy: &serde_json::Value, sides: &serde_json::Value) -> Merged {
    three_way(Some(&members(&sides[0])), &members(&sides[1]), &members(&sides[2]), &policies(policy))
}

#[track_caller]
fn assert_merged(merged: &Merged, expected: &serde_json::Value) {
    let merged = Value::Object(merged.members.clone());
    assert!(collate(&merged, &value(expected)).is_eq(), "{merged:?}");
}

/// What a policy makes of base, ours and theirs at `v`, with fields at `t` that may say who wrote last.
#[track_caller]
fn assert_decided(policy: &serde_json::Value, sides: &serde_json::Value, expected: &serde_json::Value) {
    let sides: Vec<serde_json::Value> =
        sides.as_array().unwrap().iter().zip(1..).map(|(v, t)| json!({ "v": v, "t": t })).collect();
    let merged = merge(&json!({ "*": "three-way", "t": "max", "v": policy }), &json!(sides));
    assert!(merged.is_decided);
    assert_merged(&merged, &json!({ "v": expected, "t": 3 }));
}

#[test]
fn changes_of_one_side_win_and_equal_changes_agree() {
    let merged = merge(
        &json!({ "*": "three-way" }),
        &json!([
            { "a": 1, "gone": 1, "both": 1, "in": { "x": 1, "y": [1], "z": 0 }, "firkin": { "author": "A" } },
            { "a": 2, "gone": 1, "both": 2, "in": { "x": 1, "y": [1, 2] }, "new": { "p": 1 }, "firkin": { "author": "B" } },
            { "both": 2, "a": 1, "in": { "z": 0, "y": [1], "x": 3 }, "new": { "q": 1 } },
        ]),
    );
    assert!(merged.is_decided);
    assert_merged(&merged, &json!({ "a": 2, "both": 2, "in": { "x": 3, "y": [1, 2] }, "new": { "p": 1, "q": 1 } }));
}

#[test]
fn clashes_are_listed_by_path_and_ours_stands() {
    let sides = json!([
        { "in": { "a.b": 1, "edited": { "n": 1 } }, "list": [1] },
        { "in": { "a.b": 2 }, "list": [1, 2] },
        { "in": { "a.b": 3, "edited": { "n": 2 } }, "list": [0, 1] },
    ]);
    let merged = merge(&json!({ "*": "three-way" }), &sides);
    assert!(!merged.is_decided);
    assert_merged(&merged, &json!({ "in": { "a.b": 2 }, "list": [1, 2] }));
    let told: Vec<(String, Option<Value>)> =
        merged.clashes.iter().map(|Clash { path, theirs, .. }| (path.to_string(), theirs.clone())).collect();
    let expected = [("in.a\\.b", json!(3)), ("in.edited", json!({ "n": 2 })), ("list", json!([0, 1]))];
    assert_eq!(told, expected.map(|(path, theirs)| (path.to_owned(), Some(value(&theirs)))));
    assert_eq!(merged.clashes[1].ours, None);
    assert_eq!(merged.clashes[1].base, Some(value(&json!({ "n": 1 }))));
}

#[test]
fn policies_decide_where_both_sides_changed_a_place() {
    assert_decided(&json!("max"), &json!([1, 5, 3]), &json!(5));
    assert_decided(&json!("max"), &json!([1, 3, 5]), &json!(5));
    assert_decided(&json!("min"), &json!([1, 5, 3]), &json!(3));
    assert_decided(&json!("min"), &json!([9, "b", "a"]), &json!("a"));
    // A side that changed nothing does not count, however great its value.
    assert_decided(&json!("max"), &json!([9, 9, 3]), &json!(3));
    assert_decided(&json!({ "lastWriter": "t" }), &json!([0, "ours", "theirs"]), &json!("theirs"));
    assert_decided(&json!("union"), &json!([["a", "b"], ["b", "c"], ["a", "b", "d", "c"]]), &json!(["b", "c", "d"]));
    assert_decided(
        &json!("counter"),
        &json!([{ "one": 1 }, { "one": 4, "two": 2 }, { "one": 1, "two": 1, "three": 7 }]),
        &json!({ "one": 4, "two": 2, "three": 7 }),
    );
}

#[test]
fn field_that_says_who_wrote_last_goes_with_what_it_decides_on() {
    let sides = json!([{ "v": 0, "at": 1 }, { "v": "ours", "at": 2 }, { "v": "theirs", "at": 3 }]);
    for policies in [
        json!({ "*": "three-way", "v": { "lastWriter": "at" } }),
        json!({ "v": { "lastWriter": "at" } }),
        json!({ "*": { "lastWriter": "at" } }),
    ] {
        let merged = merge(&policies, &sides);
        assert_merged(&merged, &sides[2]);
        assert!(merged.is_decided, "{policies}");
    }
    assert!(!merge(&json!({ "v": { "lastWriter": "at" }, "at": "review" }), &sides).is_decided);
}

#[test]
fn policy_that_cannot_decide_leaves_a_clash() {
    for (policy, sides) in [
        (json!("union"), json!([[1], [2], "three"])),
        (json!("counter"), json!([{}, { "one": 1 }, { "one": "1" }])),
        (json!({ "module": "f" }), json!([1, 2, 3])),
        (json!("automerge"), json!(["a", "b", "c"])),
    ] {
        let merged = merge(
            &json!({ "*": "three-way", "v": policy }),
            &json!([{ "v": sides[0] }, { "v": sides[1] }, { "v": sides[2] }]),
        );
        assert_eq!((merged.is_decided, merged.clashes.len()), (false, 1), "{policy}");
        assert_merged(&merged, &json!({ "v": sides[1] }));
    }
}

#[test]
fn person_decides_on_changes_of_paths_under_review_and_where_no_base_is_known() {
    let sides = json!([{ "a": 1, "in": { "b": 1, "c": 1 } }, { "a": 2, "in": { "b": 1, "c": 1 } }, { "a": 1, "in": { "b": 1, "c": 2 } }]);
    let decided = |policies: serde_json::Value| merge(&policies, &sides).is_decided;
    assert!(decided(json!({ "*": "three-way" })));
    assert!(decided(json!({ "*": "three-way", "in.b": "review" })));
    assert!(!decided(json!({ "*": "three-way", "in.c": "review" })));
    assert!(!decided(json!({ "*": "three-way", "in": "review" })));
    assert!(decided(json!({ "a": "max", "in": "three-way" })));
    assert!(!decided(json!({ "a": "max" })));
    assert!(!decided(json!({})));
    let merged = three_way(None, &members(&sides[1]), &members(&sides[2]), &policies(&json!({ "*": "three-way" })));
    assert_eq!((merged.is_decided, merged.clashes.len()), (false, 2));
}

#[test]
fn attachments_merge_by_name_and_digest() {
    let stub = |digest: &str, revpos: u64| json!({ "content_type": "text/plain", "digest": digest, "revpos": revpos, "stub": true });
    let merged = merge(
        &json!({ "*": "three-way" }),
        &json!([
            { "_attachments": { "same": stub("md5-1", 1), "gone": stub("md5-2", 1), "clash": stub("md5-3", 1) } },
            { "_attachments": { "same": stub("md5-1", 2), "gone": stub("md5-2", 1), "clash": stub("md5-4", 2) } },
            { "_attachments": { "same": stub("md5-1", 3), "new": stub("md5-6", 2), "clash": stub("md5-5", 2) } },
        ]),
    );
    let Some(Value::Object(attachments)) = merged.members.get("_attachments") else { panic!("there are none") };
    let names: Vec<&str> = attachments.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["clash", "same", "new"]);
    assert_eq!(merged.clashes.iter().map(|clash| clash.path.to_string()).collect::<Vec<_>>(), ["_attachments.clash"]);
}

#[test]
fn what_is_no_policy_is_refused() {
    for bad in [
        json!([]),
        json!({ "a": "none" }),
        json!({ "a": 1 }),
        json!({ "a": { "lastWriter": 1 } }),
        json!({ "a": { "module": "f", "x": 1 } }),
    ] {
        assert_eq!(Policies::parse(&value(&bad)).unwrap_err().report().status, 400, "{bad}");
    }
}

/// Documents that share names, so that their changes meet.
fn document() -> impl Strategy<Value = Object> {
    let member = prop_oneof![
        any_value(),
        any_value().prop_map(|inner| {
            let mut object = Object::new();
            object.insert("in", inner);
            Value::Object(object)
        })
    ];
    prop::collection::btree_map("[a-d]", member, 0..4).prop_map(|members| {
        let mut object = Object::new();
        members.iter().for_each(|(name, value)| object.insert(name, value.clone()));
        object
    })
}

fn any_policies() -> impl Strategy<Value = Policies> {
    let policy = prop::sample::select(vec!["review", "three-way", "max", "min", "union", "counter"]);
    prop::collection::btree_map("[ab]|[ab]\\.in|\\*", policy, 0..3).prop_map(|rules| policies(&json!(rules)))
}

fn is_equal(left: &Object, right: &Object) -> bool {
    collate(&Value::Object(left.clone()), &Value::Object(right.clone())).is_eq()
}

proptest! {
    #[test]
    fn union_holds_what_was_added_and_not_what_was_taken_out_ours_first(
        sides in prop::array::uniform3(prop::collection::vec(0..6_u8, 0..8)),
    ) {
        let [base, ours, theirs] = &sides;
        let mut expected: Vec<u8> = Vec::new();
        for element in ours.iter().chain(theirs) {
            let is_kept = !base.contains(element) || (ours.contains(element) && theirs.contains(element));
            if is_kept && !expected.contains(element) {
                expected.push(*element);
            }
        }
        // A change of one side alone is taken as it is.
        prop_assume!(base != ours && base != theirs && ours != theirs);
        let merged = merge(&json!({ "*": "union" }), &json!([{ "v": base }, { "v": ours }, { "v": theirs }]));
        assert_merged(&merged, &json!({ "v": expected }));
    }

    #[test]
    fn merge_with_an_unchanged_side_is_the_other_side(base in document(), changed in document(), policies in any_policies()) {
        for (ours, theirs) in [(&base, &changed), (&changed, &base)] {
            let merged = three_way(Some(&base), ours, theirs, &policies);
            prop_assert!(is_equal(&merged.members, &changed));
            prop_assert!(merged.clashes.is_empty());
        }
    }

    #[test]
    fn merge_of_equal_sides_is_each_of_them(base in document(), changed in document(), policies in any_policies()) {
        let merged = three_way(Some(&base), &changed, &changed, &policies);
        prop_assert!(is_equal(&merged.members, &changed));
        prop_assert!(merged.clashes.is_empty());
    }

    #[test]
    fn change_of_one_side_is_never_lost(base in document(), ours in document(), theirs in document(), policies in any_policies()) {
        let merged = three_way(Some(&base), &ours, &theirs, &policies);
        let same = |left: Option<&Value>, right: Option<&Value>| match (left, right) {
            (Some(left), Some(right)) => collate(left, right).is_eq(),
            (left, right) => left.is_none() && right.is_none(),
        };
        for name in ["a", "b", "c", "d"] {
            let [before, mine, other, after] = [&base, &ours, &theirs, &merged.members].map(|members| members.get(name));
            if same(before, mine) {
                prop_assert!(same(after, other), "{name}");
            } else if same(before, other) {
                prop_assert!(same(after, mine), "{name}");
            }
        }
    }

    #[test]
    fn sides_swapped_clash_at_the_same_places_and_differ_nowhere_else_than_in_their_order(
        base in document(), ours in document(), theirs in document(),
    ) {
        let policies = policies(&json!({ "*": "three-way", "a": "max", "b": "min" }));
        let [one, other] = [(&ours, &theirs), (&theirs, &ours)].map(|(ours, theirs)| three_way(Some(&base), ours, theirs, &policies));
        prop_assert_eq!(one.is_decided, other.is_decided);
        let places = |merged: &Merged| {
            let mut places: Vec<String> = merged.clashes.iter().map(|clash| clash.path.to_string()).collect();
            places.sort();
            places
        };
        prop_assert_eq!(places(&one), places(&other));
        if one.is_decided {
            prop_assert!(is_equal(&one.members, &other.members));
        }
    }
}
