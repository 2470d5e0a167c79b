//! Queries through the planner and the index, held to CouchDB's answers and to a scan.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, any_value, golden, value};
use firkin_core::database::{Database, Options, WriteOptions};
use firkin_core::json::{self, Value};
use firkin_core::query::{FindQuery, Selector};
use firkin_core::storage::memory::MemoryKv;
use proptest::prelude::*;

fn database(documents: &[String]) -> Database<MemoryKv> {
    let database = pollster::block_on(Database::open(MemoryKv::new(), &Seeded::new(1), Options::default())).unwrap();
    let texts: Vec<&[u8]> = documents.iter().map(String::as_bytes).collect();
    let rows = pollster::block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    assert!(rows.iter().all(Result::is_ok), "{rows:?}");
    database
}

fn ids(database: &Database<MemoryKv>, query: &FindQuery) -> Vec<String> {
    let page = pollster::block_on(database.find(query)).unwrap();
    page.docs.iter().map(|doc| id_of(&json::parse(doc).unwrap())).collect()
}

fn id_of(document: &Value) -> String {
    document.as_object().unwrap().get("_id").unwrap().as_str().unwrap().to_owned()
}

#[test]
fn find_answers_as_couchdb_did() {
    let vectors = golden("mango.json");
    let documents: Vec<String> = vectors["docs"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let database = database(&documents);
    let (mut from_index, mut compared) = (0, 0);
    for case in vectors["cases"].as_array().unwrap() {
        let selector = Selector::parse(&value(&case["selector"])).unwrap();
        let query = FindQuery::new(selector);
        let expected: Vec<&str> = case["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(ids(&database, &query), expected, "{}", case["selector"]);
        from_index += usize::from(pollster::block_on(database.find(&query)).unwrap().stats.path.is_some());
        compared += 1;
    }
    assert!(compared == 900 && from_index > 300, "{from_index} of {compared} were served from the index");
}

/// Documents whose members share few names, so that selectors hit something.
fn any_documents() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(prop::collection::vec((any_name(), any_value()), 0..5), 1..25).prop_map(|documents| {
        let with_id = |(place, members): (usize, Vec<(String, Value)>)| {
            let mut text = format!("{{\"_id\":\"d{place:02}\"");
            let mut names = std::collections::BTreeSet::new();
            for (name, member) in members {
                if names.insert(name.clone()) {
                    let mut out = Vec::new();
                    json::write(&member, &mut out);
                    text += &format!(",{}:{}", serde_json::to_string(&name).unwrap(), String::from_utf8(out).unwrap());
                }
            }
            json::parse((text + "}").as_bytes()).unwrap()
        };
        documents.into_iter().enumerate().map(with_id).collect()
    })
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]", Just("a.b".to_owned()), Just("0".to_owned())]
}

fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof!["[abc01]", Just("a\\.b".to_owned())], 1..3).prop_map(|names| names.join("."))
}

/// A condition on a value that some document may hold.
fn any_condition(value: Value) -> impl Strategy<Value = String> {
    let mut out = Vec::new();
    json::write(&value, &mut out);
    let text = String::from_utf8(out).unwrap();
    prop_oneof![
        prop::sample::select(vec!["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]).prop_map({
            let text = text.clone();
            move |operator| format!("{{\"{operator}\":{text}}}")
        }),
        Just(format!("{{\"$in\":[{text},1]}}")),
        Just(format!("{{\"$elemMatch\":{{\"$gte\":{text}}}}}")),
        Just(format!("{{\"$all\":[{text}]}}")),
        prop::sample::select(vec![
            "{\"$exists\":true}",
            "{\"$exists\":false}",
            "{\"$type\":\"number\"}",
            "{\"$size\":2}"
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_selector() -> impl Strategy<Value = String> {
    let field = (any_path(), any_value().prop_flat_map(any_condition))
        .prop_map(|(path, condition)| format!("{{{}:{condition}}}", serde_json::to_string(&path).unwrap()));
    field.prop_recursive(2, 6, 3, |inner| {
        (prop::sample::select(vec!["$and", "$or", "$nor"]), prop::collection::vec(inner, 1..4))
            .prop_map(|(operator, parts)| format!("{{\"{operator}\":[{}]}}", parts.join(",")))
    })
}

fn naive(documents: &[Value], query: &FindQuery) -> Vec<String> {
    let mut matching: Vec<(Vec<Value>, String)> = documents
        .iter()
        .filter(|document| query.selector.matches(document))
        .filter_map(|document| Some((query.place_of(document)?, id_of(document))))
        .collect();
    matching.sort_by(|left, right| query.compare(&left.0, &right.0));
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    matching.into_iter().skip(query.skip as usize).take(limit).map(|(_, id)| id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn find_equals_a_scan(
        documents in any_documents(),
        selectors in prop::collection::vec(any_selector(), 1..4),
        sort in prop::collection::vec((any_path(), any::<bool>()), 0..3),
        limit in prop::option::of(0u64..8),
        skip in 0u64..3,
    ) {
        let texts: Vec<String> = documents.iter().map(|document| {
            let mut out = Vec::new();
            json::write(document, &mut out);
            String::from_utf8(out).unwrap()
        }).collect();
        let database = database(&texts);
        for selector in selectors {
            let sort: Vec<String> = sort.iter().map(|(path, ascending)| {
                format!("{{{}:\"{}\"}}", serde_json::to_string(path).unwrap(), if *ascending { "asc" } else { "desc" })
            }).collect();
            let request = format!("{{\"selector\":{selector},\"sort\":[{}],\"skip\":{skip}}}", sort.join(","));
            let mut query = FindQuery::parse(request.as_bytes()).unwrap();
            query.limit = limit;
            prop_assert_eq!(ids(&database, &query), naive(&documents, &query), "{}", request);
            // Pages of two, one after the other, are the whole answer.
            (query.skip, query.limit) = (0, Some(2));
            let mut pages = Vec::new();
            loop {
                let page = pollster::block_on(database.find(&query)).unwrap();
                pages.extend(page.docs.iter().map(|doc| id_of(&json::parse(doc).unwrap())));
                if page.docs.len() < 2 {
                    break;
                }
                let next = format!(
                    "{{\"selector\":{selector},\"sort\":[{}],\"limit\":2,\"bookmark\":{}}}",
                    sort.join(","),
                    serde_json::to_string(&page.bookmark).unwrap()
                );
                query = FindQuery::parse(next.as_bytes()).unwrap();
            }
            (query.bookmark, query.limit) = (None, None);
            prop_assert_eq!(pages, naive(&documents, &query), "pages of {}", request);
        }
    }
}
