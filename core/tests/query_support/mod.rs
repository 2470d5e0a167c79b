//! Random documents, and random selectors with every operator, that have something to do with each other.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::BTreeSet;

use firkin_core::json::{self, Value};
use proptest::prelude::*;

use crate::common::any_value;

/// The JSON text of a value.
pub fn text_of(value: &Value) -> String {
    let mut out = Vec::new();
    json::write(value, &mut out);
    String::from_utf8(out).unwrap()
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Names of which documents share few.
pub fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[abc]", 1 => Just("a.b".to_owned()), 1 => Just("[]".to_owned()), 1 => Just("0".to_owned()), 1 => Just("40".to_owned())]
}

/// Values that documents and selectors share: of each type, arrays of arrays and of objects, and strings that a key cuts.
fn few_values() -> Vec<String> {
    let plain =
        ["null", "true", "1", "2", "\"x\"", "\"xy\"", "[]", "[1,2]", "[\"x\",[1]]", "[[1],[2]]", "[[1,2]]", "{}"];
    let objects = ["{\"a\":1}", "[{\"a\":1,\"b\":1}]", "[{\"a\":1,\"b\":2},{\"a\":2,\"b\":1}]"];
    let long = ["", "y", "yy"].map(|end| format!("\"{}{end}\"", "x".repeat(64)));
    plain.iter().chain(&objects).map(|text| (*text).to_owned()).chain(long).collect()
}

/// A value of a document: few different ones, so that selectors hit, some of any kind, and some long arrays.
fn any_member() -> impl Strategy<Value = Value> {
    let few = prop::sample::select(few_values()).prop_map(|text| json::parse(text.as_bytes()).unwrap());
    let inner = prop_oneof![4 => few, 1 => any_value()];
    inner.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            (inner.clone(), inner.clone(), 38usize..44).prop_map(|(one, other, length)| {
                let element = |place| if place + 2 < length { one.clone() } else { other.clone() };
                Value::Array((0..length).map(element).collect())
            }),
            prop::collection::btree_map(any_name(), inner, 0..3).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, member)| format!("{}:{}", quoted(name), text_of(member))).collect();
                json::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap()
            }),
        ]
    })
}

/// The members of a document, as the inside of a JSON object; each comes with a comma before it.
pub fn any_members() -> impl Strategy<Value = String> {
    prop::collection::vec((any_name(), any_member()), 0..5).prop_map(|members| {
        let mut names = BTreeSet::new();
        let unique = members.iter().filter(|(name, _)| names.insert(name.clone()));
        unique.map(|(name, member)| format!(",{}:{}", quoted(name), text_of(member))).collect()
    })
}

/// Documents with ids that ascend.
pub fn any_documents() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(any_members(), 1..25).prop_map(|documents| {
        let with_id = |(place, members): (usize, String)| {
            json::parse(format!("{{\"_id\":\"d{place:02}\"{members}}}").as_bytes()).unwrap()
        };
        documents.into_iter().enumerate().map(with_id).collect()
    })
}

/// A path that some document may have.
pub fn any_path() -> impl Strategy<Value = String> {
    let name = prop_oneof![8 => "[abc]", 2 => "[01]", 1 => Just("40".to_owned()), 1 => Just("a\\.b".to_owned()), 1 => Just("[]".to_owned())];
    prop::collection::vec(name, 1..3).prop_map(|names| names.join("."))
}

fn any_argument() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(few_values()),
        1 => any_value().prop_map(|value| text_of(&value)),
    ]
}

/// What can be asked of one value: every operator but the combinations.
pub fn any_condition() -> impl Strategy<Value = String> {
    let simple = prop_oneof![
        (prop::sample::select(vec!["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]), any_argument())
            .prop_map(|(operator, argument)| format!("{{\"{operator}\":{argument}}}")),
        (prop::sample::select(vec!["$in", "$nin", "$all"]), prop::collection::vec(any_argument(), 0..3))
            .prop_map(|(operator, arguments)| format!("{{\"{operator}\":[{}]}}", arguments.join(","))),
        (any_argument(), any_argument()).prop_map(|(low, high)| format!("{{\"$gte\":{low},\"$lt\":{high}}}")),
        prop::sample::select(vec![
            "{\"$exists\":true}",
            "{\"$exists\":false}",
            "{\"$size\":2}",
            "{\"$size\":40}",
            "{\"$mod\":[2,1]}",
            "{\"$regex\":\"^x\"}",
            "{\"$regex\":\"[xy]$\"}",
            "{\"$beginsWith\":\"x\"}",
            "{\"$beginsWith\":\"\"}",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec!["null", "boolean", "number", "string", "array", "object"])
            .prop_map(|name| format!("{{\"$type\":\"{name}\"}}")),
        prop::sample::select(vec![
            "{\"$elemMatch\":{\"a\":1,\"b\":1}}",
            "{\"$elemMatch\":{\"$all\":[1,2]}}",
            "{\"$elemMatch\":{\"$in\":[2]}}",
        ])
        .prop_map(str::to_owned),
        (63usize..67).prop_map(|length| format!("{{\"$beginsWith\":\"{}\"}}", "x".repeat(length))),
    ];
    simple.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (prop::sample::select(vec!["$elemMatch", "$allMatch", "$keyMapMatch", "$not"]), inner.clone())
                .prop_map(|(operator, inner)| format!("{{\"{operator}\":{inner}}}")),
            (
                prop::sample::select(vec!["$elemMatch", "$allMatch"]),
                any_path(),
                inner.clone(),
                any_path(),
                inner.clone()
            )
                .prop_filter("one member each", |(_, one, _, other, _)| one != other)
                .prop_map(|(operator, path, inner, other_path, other)| format!(
                    "{{\"{operator}\":{{{}:{inner},{}:{other}}}}}",
                    quoted(&path),
                    quoted(&other_path)
                )),
            (prop::sample::select(vec!["$and", "$or", "$nor"]), prop::collection::vec(inner, 1..3))
                .prop_map(|(operator, parts)| format!("{{\"{operator}\":[{}]}}", parts.join(","))),
        ]
    })
}

/// A selector, with ids among its paths.
pub fn any_selector() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        12 => (any_path(), any_condition()).prop_map(|(path, condition)| format!("{{{}:{condition}}}", quoted(&path))),
        1 => (0usize..25).prop_map(|place| format!("{{\"_id\":\"d{place:02}\"}}")),
        1 => (0usize..25, 0usize..25).prop_map(|(one, other)| format!("{{\"_id\":{{\"$in\":[\"d{one:02}\",\"d{other:02}\",3]}}}}")),
        1 => (0usize..25).prop_map(|place| format!("{{\"_id\":{{\"$gte\":\"d{place:02}\"}}}}")),
    ];
    field.prop_recursive(2, 6, 3, |inner| {
        (prop::sample::select(vec!["$and", "$and", "$or", "$nor"]), prop::collection::vec(inner, 1..4))
            .prop_map(|(operator, parts)| format!("{{\"{operator}\":[{}]}}", parts.join(",")))
    })
}

/// An order of up to two paths, as JSON.
pub fn any_sort() -> impl Strategy<Value = String> {
    let path = prop_oneof![8 => any_path(), 1 => Just("_id".to_owned())];
    prop::collection::vec((path, any::<bool>()), 0..3).prop_map(|sort| {
        let fields: Vec<String> = sort
            .iter()
            .map(|(path, ascending)| format!("{{{}:\"{}\"}}", quoted(path), if *ascending { "asc" } else { "desc" }))
            .collect();
        format!("[{}]", fields.join(","))
    })
}
