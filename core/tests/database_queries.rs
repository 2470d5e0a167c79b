//! Queries through the planner and the index, held to CouchDB's answers and to a scan.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod query_support;

use std::collections::BTreeMap;

use common::{Seeded, golden, value};
use firkin_core::database::{Database, DistinctValue, KnownPath, Options, Way, WriteOptions};
use firkin_core::json::{self, TypeName, Value, collate};
use firkin_core::path::{IndexPath, Path, encode_value};
use firkin_core::query::{FindQuery, Selector};
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;
use proptest::prelude::*;
use query_support::{any_documents, any_path, any_selector, any_sort, quoted, text_of};

fn database(documents: &[String]) -> Database<MemoryKv> {
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(1), Options::default())).unwrap();
    let texts: Vec<&[u8]> = documents.iter().map(String::as_bytes).collect();
    let rows = block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
    assert!(rows.iter().all(Result::is_ok), "{rows:?}");
    database
}

fn ids(database: &Database<MemoryKv>, query: &FindQuery) -> Vec<String> {
    let page = block_on(database.find(query)).unwrap();
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
        from_index += usize::from(block_on(database.find(&query)).unwrap().stats.way != Way::Scan);
        compared += 1;
    }
    assert!(compared == 900 && from_index > 300, "{from_index} of {compared} were served from the index");
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
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn find_equals_a_scan(
        documents in any_documents(),
        selectors in prop::collection::vec(any_selector(), 1..4),
        sort in any_sort(),
        limit in prop::option::of(0u64..8),
        skip in 0u64..3,
        excluded in prop::option::weighted(0.2, any_path()),
    ) {
        let database = database_without(&documents, excluded.as_deref());
        for selector in selectors {
            let request = format!("{{\"selector\":{selector},\"sort\":{sort},\"skip\":{skip}}}");
            let mut query = FindQuery::parse(request.as_bytes()).unwrap();
            query.limit = limit;
            prop_assert_eq!(ids(&database, &query), naive(&documents, &query), "{}", request);
            (query.skip, query.limit) = (0, None);
            prop_assert_eq!(pages_of_two(&database, &selector, &sort), naive(&documents, &query), "pages of {}", request);
            query.fields = Some(vec![Path::parse("_id")]);
            prop_assert_eq!(ids(&database, &query), naive(&documents, &query), "only ids of {}", request);
            let matching = documents.iter().filter(|document| query.selector.matches(document)).count();
            let (count, _) = block_on(database.count(&query.selector)).unwrap();
            prop_assert_eq!(count, matching as u64, "count of {}", request);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn distinct_values_are_those_of_a_scan(documents in any_documents(), path in any_path(), elements in 0usize..3, excluded in prop::option::weighted(0.2, any_path())) {
        let database = database_without(&documents, excluded.as_deref());
        let path = IndexPath::parse(&format!("{}{}", path.replace("[]", "\\[]"), ".[]".repeat(elements)));
        let mut expected: Vec<DistinctValue> = Vec::new();
        for document in &documents {
            let mut values: Vec<&Value> = path.find(document);
            values.sort_by(|left, right| collate(left, right));
            values.dedup_by(|left, right| collate(left, right).is_eq());
            for value in values {
                match expected.iter_mut().find(|known| collate(&known.value, value).is_eq()) {
                    Some(known) => known.count += 1,
                    None => expected.push(DistinctValue { value: value.clone(), count: 1 }),
                }
            }
        }
        expected.sort_by(|left, right| collate(&left.value, &right.value));
        let same = |found: &[DistinctValue]| {
            found.len() == expected.len()
                && found.iter().zip(&expected).all(|(left, right)| collate(&left.value, &right.value).is_eq())
        };
        let counted = block_on(database.distinct(&path, true)).unwrap();
        prop_assert!(same(&counted), "{path}: {counted:?}, not {expected:?}");
        prop_assert!(counted.iter().zip(&expected).all(|(left, right)| left.count == right.count));
        prop_assert!(same(&block_on(database.distinct(&path, false)).unwrap()), "{path} without counts");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn paths_and_their_counts_follow_updates_and_deletions(before in any_documents(), after in any_documents(), gone in 0usize..10) {
        let database = database_without(&before, None);
        let mut documents: BTreeMap<String, Value> = before.iter().map(|document| (id_of(document), document.clone())).collect();
        for document in after {
            block_on(database.put(text_of(&document).as_bytes(), &WriteOptions { force: true, ..WriteOptions::default() })).unwrap();
            documents.insert(id_of(&document), document);
        }
        for id in documents.keys().take(gone).cloned().collect::<Vec<_>>() {
            let text = format!("{{\"_id\":{},\"_deleted\":true}}", quoted(&id));
            block_on(database.put(text.as_bytes(), &WriteOptions { force: true, ..WriteOptions::default() })).unwrap();
            documents.remove(&id);
        }
        let mut expected: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
        for document in documents.values() {
            count_paths(document, &mut expected);
        }
        let known = block_on(database.paths()).unwrap();
        let found: BTreeMap<String, BTreeMap<&str, u64>> = known
            .into_iter()
            .map(|known| (known.path, known.types.into_iter().map(|(name, count)| (name.name(), count)).collect()))
            .collect();
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_index_with_other_exclusions_is_made_anew(documents in any_documents(), selector in any_selector(), excluded in prop::collection::vec(any_path(), 0..3)) {
        let kv = MemoryKv::new();
        for exclude in [excluded, Vec::new()] {
            let options = Options { exclude: exclude.iter().map(|path| Path::parse(path)).collect(), ..Options::default() };
            let database = block_on(Database::open(kv.clone(), &Seeded::new(1), options)).unwrap();
            write_all(&database, &documents);
            let query = FindQuery::new(Selector::parse(&json::parse(selector.as_bytes()).unwrap()).unwrap());
            prop_assert_eq!(ids(&database, &query), naive(&documents, &query));
            let exclude: Vec<String> = exclude.iter().map(|path| IndexPath::from(&Path::parse(path)).to_string()).collect();
            let excluded = |known: &KnownPath| {
                exclude.iter().any(|path| known.path == *path || known.path.starts_with(&format!("{path}.")))
            };
            prop_assert!(!block_on(database.paths()).unwrap().iter().any(excluded));
        }
        let fresh = database_without(&documents, None);
        let reopened = block_on(Database::open(kv, &Seeded::new(1), Options::default())).unwrap();
        prop_assert_eq!(block_on(reopened.paths()).unwrap(), block_on(fresh.paths()).unwrap());
    }
}

/// A database that keeps one path out of its index.
fn database_without(documents: &[Value], excluded: Option<&str>) -> Database<MemoryKv> {
    let options = Options { exclude: excluded.map(Path::parse).into_iter().collect(), ..Options::default() };
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(1), options)).unwrap();
    write_all(&database, documents);
    database
}

/// Writes documents that may be there already, with the same bodies.
fn write_all(database: &Database<MemoryKv>, documents: &[Value]) {
    let texts: Vec<String> = documents.iter().map(text_of).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
}

fn pages_of_two(database: &Database<MemoryKv>, selector: &str, sort: &str) -> Vec<String> {
    let mut bookmark = String::from("nil");
    let mut all = Vec::new();
    loop {
        let request =
            format!("{{\"selector\":{selector},\"sort\":{sort},\"limit\":2,\"bookmark\":{}}}", quoted(&bookmark));
        let page = block_on(database.find(&FindQuery::parse(request.as_bytes()).unwrap())).unwrap();
        all.extend(page.docs.iter().map(|doc| id_of(&json::parse(doc).unwrap())));
        // A page that is asked for again and again shows up as too long an answer.
        if page.docs.len() < 2 || all.len() > 100 {
            return all;
        }
        bookmark = page.bookmark;
    }
}

/// Adds what [`Database::paths`] tells of one document.
fn count_paths(document: &Value, counts: &mut BTreeMap<String, BTreeMap<&'static str, u64>>) {
    let mut seen: Vec<(String, &Value)> = Vec::new();
    let mut waiting: Vec<(String, &Value)> = Vec::new();
    let escaped =
        |name: &str| IndexPath::from(&Path::parse(&name.replace('\\', "\\\\").replace('.', "\\."))).to_string();
    let members = document.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with('_'));
    waiting.extend(members.map(|(name, value)| (escaped(name), value)));
    while let Some((path, value)) = waiting.pop() {
        match value {
            Value::Object(object) => {
                waiting.extend(object.iter().map(|(name, value)| (format!("{path}.{}", escaped(name)), value)));
            }
            Value::Array(elements) => {
                waiting.extend(elements.iter().map(|value| (format!("{path}.[]"), value)));
            }
            _ => {}
        }
        // Values that begin alike share a posting, where a document has several at one path.
        let encoded = |value: &Value| {
            let mut bytes = Vec::new();
            encode_value(value, &mut bytes);
            bytes
        };
        if !seen.iter().any(|(known, other)| *known == path && encoded(other) == encoded(value)) {
            *counts.entry(path.clone()).or_default().entry(TypeName::of(value).name()).or_default() += 1;
            seen.push((path, value));
        }
    }
}
