//! What several suites need: random JSON, golden files, and a database that is asked in one line.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::BTreeMap;

use firkin_core::database::{Database, GetOptions, WriteOptions};
use firkin_core::error::ErrorReport;
use firkin_core::json::{self, Value};
use firkin_core::storage::{Cursor, Direction, KeyRange, Kv, Snapshot};
use pollster::block_on;
use proptest::prelude::*;

/// Values of every type, with the corners of the encoding among them: zeros, long strings, negative numbers.
pub fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        prop_oneof![
            (-20i32..20).prop_map(f64::from),
            (-20i32..20).prop_map(|number| f64::from(number) / 4.0),
            any::<f64>().prop_filter("JSON has finite numbers only", |number| number.is_finite()),
        ]
        .prop_map(|number| format!("{number:?}")),
        any_string().prop_map(|string| serde_json::to_string(&string).unwrap()),
    ];
    let text = scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::btree_map(any_string(), inner, 0..5).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{}:{value}", serde_json::to_string(name).unwrap()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    text.prop_map(|text| json::parse(text.as_bytes()).unwrap())
}

/// Strings that share beginnings, hold zeros, and are longer than a key keeps.
pub fn any_string() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab\u{0}\u{1}\u{ff}é]{0,4}",
        (60usize..70, "[ab\u{0}]{0,6}").prop_map(|(length, end)| "x".repeat(length) + &end),
        "\\PC{0,8}",
    ]
}

/// A golden file of `tests/vectors`.
pub fn golden(name: &str) -> serde_json::Value {
    let path = format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The engine's form of a value that a test made.
pub fn value(value: &serde_json::Value) -> Value {
    json::parse(value.to_string().as_bytes()).unwrap()
}

/// Randomness from a seed, the same in each run.
pub struct Seeded(pub std::cell::Cell<u64>);

impl Seeded {
    /// A source that starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(std::cell::Cell::new(seed))
    }

    /// The next number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        // SplitMix64, by Steele, Lea and Flood: one step from each state, well mixed.
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

impl firkin_core::effects::Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.below(256) as u8;
        }
    }
}

/// Writes a document; its revision, or the status, name and reason of the refusal.
pub fn put<K: Kv>(database: &Database<K>, document: &serde_json::Value) -> Result<String, (u16, &'static str, String)> {
    let written = block_on(database.put(document.to_string().as_bytes(), &WriteOptions::default()));
    written.map(|written| written.rev).map_err(|error| told(error.report()))
}

/// Writes documents with the revisions that they have; how each was refused that was.
pub fn replicate<K: Kv>(database: &Database<K>, documents: &[serde_json::Value]) -> Vec<(u16, &'static str, String)> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let rows = block_on(database.bulk_docs(&texts, false, &WriteOptions::default())).unwrap();
    rows.into_iter().filter_map(Result::err).map(|refused| told(refused.error)).collect()
}

/// A document as it is read.
pub fn get<K: Kv>(
    database: &Database<K>,
    id: &str,
    options: &GetOptions,
) -> Result<serde_json::Value, (u16, &'static str, String)> {
    let read = block_on(database.get(id, options));
    read.map(|text| serde_json::from_slice(&text).unwrap()).map_err(|error| told(error.report()))
}

/// The content of an attachment of the winner, or of a revision.
pub fn content<K: Kv>(
    database: &Database<K>,
    id: &str,
    name: &str,
    rev: Option<&str>,
) -> Result<Vec<u8>, (u16, &'static str, String)> {
    let mut reader = block_on(database.get_attachment(id, name, rev)).map_err(|error| told(error.report()))?;
    let mut content = Vec::new();
    while let Some(part) = block_on(reader.part()).map_err(|error| told(error.report()))? {
        content.extend(part);
    }
    assert_eq!(content.len() as u64, reader.length);
    Ok(content)
}

/// What a caller is told of an error.
pub fn told(report: ErrorReport) -> (u16, &'static str, String) {
    (report.status, report.name, report.reason)
}

/// The stored entries whose keys start with `prefix`.
pub fn stored<K: Kv>(database: &Database<K>, prefix: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut cursor = database.kv().snapshot().unwrap().range(KeyRange::prefix(prefix), Direction::Forward).unwrap();
    let mut entries = BTreeMap::new();
    while block_on(cursor.advance()).unwrap() {
        entries.insert(cursor.key().to_vec(), cursor.value().to_vec());
    }
    entries
}
