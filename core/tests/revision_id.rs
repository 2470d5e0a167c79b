//! Names of revisions: bounds, order, stored form, and the hash of an own edit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use firkin_core::json::{self, Object, Value};
use firkin_core::revision::{GENERATION_MAX, REVISIONS_MAX, Rev, RevError, RevHash, Revisions};
use proptest::prelude::*;

fn rev(text: &str) -> Rev {
    Rev::parse(text).unwrap()
}

fn object(text: &str) -> Object {
    json::parse(text.as_bytes()).unwrap().as_object().unwrap().clone()
}

#[test]
fn foreign_revisions_come_back_as_they_were_written() {
    let long = format!("7-{}", "x".repeat(255));
    for text in [
        "1-a",
        "1-A",
        "2-0123456789abcdef0123456789abcdef",
        "2-0123456789ABCDEF0123456789abcdef",
        "2-0123456789abcdef0123456789abcdeg",
        "3-0123456789abcdef",
        "9007199254740991-a-b-c",
        "4- ü€ ",
        &long,
    ] {
        assert_eq!(rev(text).to_string(), text);
    }
}

#[test]
fn what_is_no_revision_is_refused() {
    let long = format!("7-{}", "x".repeat(256));
    for text in [
        "",
        "-",
        "1",
        "1-",
        "-a",
        "0-a",
        "00-a",
        "01-a",
        "+1-a",
        "-1-a",
        "1.0-a",
        " 1-a",
        "x-a",
        "nonsense",
        "1-\n",
        "1-a\u{7f}",
        "1-\u{85}",
        "9007199254740992-a",
        "99999999999999999999999-a",
        "१-a",
        &long,
    ] {
        assert_eq!(Rev::parse(text), Err(RevError::Format), "{text:?}");
    }
    assert_eq!(RevError::Format.report().status, 400);
    assert_eq!(RevError::Format.report().name, "bad_request");
    assert_eq!(RevError::Format.report().reason, "Invalid rev format");
}

#[test]
fn order_is_by_generation_and_then_by_the_bytes_of_the_hash() {
    let ascending = [
        "2-ffffffffffffffffffffffffffffffff",
        // 32 hex digits count as the 16 bytes that they spell: 0x00…, then texts among them by their first byte.
        "10-00000000000000000000000000000000",
        "10-30",
        "10-A",
        "10-a",
        "10-aa",
        // 0x61…: the same bytes as the text of sixteen times `a`, so their texts decide.
        "10-61616161616161616161616161616161",
        "10-aaaaaaaaaaaaaaaa",
        "10-z",
        // Upper and lower case spell the same bytes; again their texts decide.
        "10-7AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "10-7aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "10-aBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
        "10-ffffffffffffffffffffffffffffffff",
    ];
    for (left_at, left) in ascending.iter().enumerate() {
        for (right_at, right) in ascending.iter().enumerate() {
            assert_eq!(rev(left).cmp(&rev(right)), left_at.cmp(&right_at), "{left} {right}");
        }
    }
}

/// Hashes that are near each other in the order: any case of hex, short texts, long ones.
fn hashes() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{32}",
        "[67]{31}[0-9a-fA-F]",
        "[aA]{32}",
        "[a-cA-C0-9]{1,3}",
        Just("aaaaaaaaaaaaaaaa".to_string()),
        Just("61616161616161616161616161616161".to_string()),
        "\\PC{1,40}",
    ]
}

fn revs() -> impl Strategy<Value = String> {
    let generations = prop_oneof![1..4_u64, 240..260_u64, 65_530..65_540_u64, GENERATION_MAX - 2..=GENERATION_MAX];
    (generations, hashes()).prop_map(|(generation, hash)| format!("{generation}-{hash}"))
}

fn hash_of(rev: &Rev) -> u64 {
    let mut hasher = DefaultHasher::new();
    Hash::hash(rev, &mut hasher);
    hasher.finish()
}

proptest! {
    #[test]
    fn order_is_total_and_agrees_with_equality(a in revs(), b in revs(), c in revs()) {
        let (left, right, third) = (rev(&a), rev(&b), rev(&c));
        prop_assert_eq!(left == right, a == b);
        prop_assert_eq!(left.cmp(&right) == Ordering::Equal, a == b);
        prop_assert_eq!(left.cmp(&right), right.cmp(&left).reverse());
        if left <= right && right <= third {
            prop_assert!(left <= third);
        }
        if left == right {
            prop_assert_eq!(hash_of(&left), hash_of(&right));
        }
    }

    #[test]
    fn any_text_is_refused_or_comes_back(text in "\\PC{0,4}-?\\PC{0,40}") {
        if let Ok(rev) = Rev::parse(&text) {
            prop_assert_eq!(rev.to_string(), text);
        }
    }

    #[test]
    fn stored_form_comes_back_and_delimits_itself(text in revs(), tail in prop::collection::vec(any::<u8>(), 0..4)) {
        let rev = rev(&text);
        let mut bytes = Vec::new();
        rev.encode(&mut bytes);
        let length = bytes.len();
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(Rev::decode(&bytes), Some((rev, tail.as_slice())));
        for cut in 0..length {
            prop_assert_eq!(Rev::decode(&bytes[..cut]), None);
        }
    }

    #[test]
    fn stored_forms_order_by_generation(a in 1..=GENERATION_MAX, b in prop_oneof![1..1000_u64, 1..=GENERATION_MAX]) {
        let form = |generation: u64| {
            let mut bytes = Vec::new();
            Rev::new(generation, RevHash::parse("x").unwrap()).unwrap().encode(&mut bytes);
            bytes
        };
        prop_assert_eq!(form(a).cmp(&form(b)), a.cmp(&b));
    }

    #[test]
    fn foreign_bytes_are_refused_or_are_what_would_be_stored(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Some((rev, rest)) = Rev::decode(&bytes) {
            let mut again = Vec::new();
            rev.encode(&mut again);
            again.extend_from_slice(rest);
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn hex_hashes_are_stored_in_seventeen_bytes() {
    let mut bytes = Vec::new();
    rev("1-0123456789abcdef0123456789abcdef").encode(&mut bytes);
    assert_eq!(bytes.len(), 18);
    // The same hash stored as text is not what would be stored, so it is damage.
    let mut text = vec![1, 32];
    text.extend_from_slice(b"0123456789abcdef0123456789abcdef");
    assert_eq!(Rev::decode(&text), None);
    assert_eq!(Rev::decode(&[248, 7, 1, b'a']), None);
}

#[test]
fn own_edit_is_hashed_over_the_canonical_form() {
    // Each hash was computed apart from this code: the first 32 digits of the SHA-256 of the text in the comment.
    // [null,false,{},{}]
    let first = Rev::of_edit(None, false, &Object::new(), &Object::new()).unwrap();
    assert_eq!(first.to_string(), "1-ff6f42e2046d11d06c27f3d403687774");
    // ["1-ff6f42e2046d11d06c27f3d403687774",true,{"a":[1,0.5,1e+21],"z":"€"},{"p.png":["image/png","sha256-x"]}]
    let body = object(r#"{"z":"\u20ac","a":[1.0,5e-1,1000000000000000000000]}"#);
    let attachments = object(r#"{"p.png":["image/png","sha256-x"]}"#);
    let second = Rev::of_edit(Some(&first), true, &body, &attachments).unwrap();
    assert_eq!(second.to_string(), "2-0a494e288280575f95cbee5ae3f11413");
    // ["3-Anything",false,{"firkin":{"author":"Alice"},"n":-1.5},{}]
    let body = object(r#"{"n":-1.5,"firkin":{"author":"Alice"}}"#);
    let fourth = Rev::of_edit(Some(&rev("3-Anything")), false, &body, &Object::new()).unwrap();
    assert_eq!(fourth.to_string(), "4-b42237d232412509f9f34cac10c57b35");
}

#[test]
fn own_edit_ignores_the_order_of_members_and_nothing_else() {
    let empty = Object::new();
    let parent = rev("1-a");
    let edit = |parent: Option<&Rev>, deleted, body: &str, attachments: &str| {
        Rev::of_edit(parent, deleted, &object(body), &object(attachments)).unwrap()
    };
    let base = edit(Some(&parent), false, r#"{"a":1,"b":{"c":-0.0,"d":2}}"#, "{}");
    assert_eq!(base, edit(Some(&parent), false, r#"{"b":{"d":2e0,"c":0},"a":1}"#, "{}"));
    let others = [
        edit(Some(&rev("1-b")), false, r#"{"a":1,"b":{"c":0,"d":2}}"#, "{}"),
        edit(None, false, r#"{"a":1,"b":{"c":0,"d":2}}"#, "{}"),
        edit(Some(&parent), true, r#"{"a":1,"b":{"c":0,"d":2}}"#, "{}"),
        edit(Some(&parent), false, r#"{"a":1,"b":{"c":0,"d":3}}"#, "{}"),
        edit(Some(&parent), false, r#"{"a":1,"b":{"c":0,"d":2},"firkin":{}}"#, "{}"),
        edit(Some(&parent), false, r#"{"a":1,"b":{"c":0,"d":2}}"#, r#"{"x":["a/b","sha256-1"]}"#),
    ];
    for other in &others {
        assert_ne!(base.hash(), other.hash());
    }
    let last = Rev::new(GENERATION_MAX, RevHash::parse("a").unwrap()).unwrap();
    assert_eq!(Rev::of_edit(Some(&last), false, &empty, &empty), Err(RevError::Exhausted));
}

#[test]
fn paths_are_read_within_their_bounds() {
    let read = |text: &str| Revisions::from_json(&json::parse(text.as_bytes()).unwrap());
    let path = read(r#"{"start":3,"ids":["c","b"]}"#).unwrap();
    assert_eq!(path.iter().map(|rev| rev.to_string()).collect::<Vec<_>>(), ["3-c", "2-b"]);
    assert_eq!(Revisions::from_json(&path.to_json()), Ok(path));
    for (text, error) in [
        (r#"[]"#, RevError::Start),
        (r#"{"ids":["a"]}"#, RevError::Start),
        (r#"{"start":"1","ids":["a"]}"#, RevError::Start),
        (r#"{"start":1.5,"ids":["a"]}"#, RevError::Start),
        (r#"{"start":-1,"ids":["a"]}"#, RevError::Start),
        (r#"{"start":0,"ids":["a"]}"#, RevError::Start),
        (r#"{"start":1,"ids":["b","a"]}"#, RevError::Start),
        (r#"{"start":9007199254740992,"ids":["a"]}"#, RevError::Start),
        (r#"{"start":1e300,"ids":["a"]}"#, RevError::Start),
        (r#"{"start":1}"#, RevError::Ids),
        (r#"{"start":1,"ids":"a"}"#, RevError::Ids),
        (r#"{"start":1,"ids":[]}"#, RevError::Ids),
        (r#"{"start":1,"ids":[1]}"#, RevError::Id),
        (r#"{"start":1,"ids":[""]}"#, RevError::Id),
    ] {
        assert_eq!(read(text), Err(error), "{text}");
    }
    let long = |length: usize| {
        let mut object = Object::new();
        object.insert("start", Value::Number(1e6));
        object.insert("ids", Value::Array(vec![Value::from("a"); length]));
        Revisions::from_json(&Value::Object(object))
    };
    assert!(long(REVISIONS_MAX).is_ok());
    assert_eq!(long(REVISIONS_MAX + 1), Err(RevError::Ids));
}
