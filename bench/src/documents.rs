//! The documents that the cases work on: made from their place, the same in each run and on each machine.
//!
//! Each is about 800 bytes of JSON with 20 paths that hold a scalar or a container, elements of arrays apart, as an app's own
//! would be: an order with its owner, its state, an amount, times, an address, tags and a note.

use std::fmt::Write;

/// How many documents one owner has.
pub const DOCUMENTS_OF_OWNER: usize = 100;
/// One document in so many is in each state.
pub const STATES: [&str; 5] = ["draft", "open", "paid", "sent", "closed"];
/// Amounts lie below this, evenly spread.
pub const AMOUNT_END: usize = 100_000;

const CITIES: [&str; 8] = ["Aachen", "Bergen", "Córdoba", "Delft", "Évora", "Fribourg", "Gdańsk", "Harlem"];
const WORDS: [&str; 16] = [
    "barrel",
    "copper",
    "cellar",
    "harvest",
    "orchard",
    "river",
    "stone",
    "valley",
    "delivered",
    "before",
    "without",
    "between",
    "notes",
    "again",
    "slowly",
    "morning",
];
/// How long the note is, about.
const NOTE_BYTES: usize = 435;

/// The id of the document at `place`.
#[must_use]
pub fn id(place: usize) -> String {
    format!("order-{place:07}")
}

/// Whose the document at `place` is, of so many documents; an owner's documents are spread over all ids.
#[must_use]
pub fn owner(place: usize, documents: usize) -> String {
    format!("owner-{:05}", place % (documents / DOCUMENTS_OF_OWNER).max(1))
}

/// The JSON text of the document at `place` of `documents`, as it is after so many edits; without `_rev`.
#[must_use]
pub fn text(place: usize, documents: usize, edits: usize) -> String {
    let mut random = SplitMix::new(place as u64);
    let mut below = |end: usize| random.below(end);
    let (id, owner, state) = (id(place), owner(place, documents), STATES[below(STATES.len())]);
    let (title, other) = (WORDS[below(WORDS.len())], WORDS[below(WORDS.len())]);
    let amount = (below(AMOUNT_END) + edits * 7919) % AMOUNT_END;
    let (month, day, hour, minute) = (1 + below(12), 1 + below(28), below(24), below(60));
    let (city, number, postcode) = (CITIES[below(CITIES.len())], 1 + below(200), 10_000 + below(90_000));
    let (latitude, longitude) = (36 + below(28), below(24));
    let [first, second, third] = [below(200), 200 + below(200), 400 + below(200)];
    let (priority, starred) = (below(5), below(10) == 0);
    let mut note = String::new();
    while note.len() < NOTE_BYTES {
        note.push_str(WORDS[below(WORDS.len())]);
        note.push(' ');
    }
    let mut text = String::with_capacity(900);
    write!(
        text,
        r#"{{"_id":"{id}","type":"order","title":"{title} {other} {place}","owner":"{owner}","state":"{state}","#
    )
    .unwrap();
    write!(text, r#""amount":{}.{:02},"priority":{priority},"starred":{starred},"#, amount / 100, amount % 100)
        .unwrap();
    write!(text, r#""created":"2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z","edits":{edits},"#).unwrap();
    write!(text, r#""address":{{"street":"{other} street {number}","city":"{city}","postcode":"{postcode}","#).unwrap();
    write!(text, r#""place":{{"latitude":{latitude}.{number:03},"longitude":{longitude}.{day:02}}}}},"#).unwrap();
    write!(text, r#""tags":["tag {first}","tag {second}","tag {third}"],"note":"{}"}}"#, note.trim_end()).unwrap();
    text
}

/// SplitMix64, by Steele, Lea and Flood: numbers from a seed, well mixed.
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// A source that starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }
}
