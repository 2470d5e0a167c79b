//! What several suites need: random JSON and golden files.
#![allow(dead_code, reason = "each suite uses a part of it")]

use firkin_core::json::{self, Value};
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
