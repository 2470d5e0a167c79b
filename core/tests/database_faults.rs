//! A database on a disk that fails on purpose: edits, attachments, purges, compactions and reopenings, in random order.
//!
//! Whatever happened, what is stored agrees with itself: the index answers as a scan does, counts and feed are those of the
//! documents, every attachment can be read and is the content that its name says, and no content is stored that nothing uses.
//! What was acknowledged is known, unless the power went or it was purged. A failure names its seed;
//! `FIRKIN_SEEDS=10000 cargo test --release --test database_faults` runs more.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[allow(dead_code)]
mod storage_simulation;

use std::collections::{BTreeMap, BTreeSet};

use common::{Seeded, get, stored};
use firkin_core::database::{
    ChangesQuery, Compaction, Database, GetOptions, OpenRev, OpenRevs, Options, WriteError, WriteOptions,
};
use firkin_core::document::{GivenContent, keys};
use firkin_core::query::FindQuery;
use firkin_core::storage::StorageError;
use firkin_core::storage::store::{LogStore, StoreOptions};
use pollster::block_on;
use serde_json::{Value, json};
use storage_simulation::{Dice, Faults, FaultyBlocks};

const STEPS: usize = 50;
/// Longer than a part.
const LONG_BYTES: usize = 1_044_480 + 99;
const PART_BYTES: u64 = 1_044_480;

type Replica = Database<LogStore<FaultyBlocks>>;

struct World {
    seed: u64,
    dice: Dice,
    disk: FaultyBlocks,
    faults: Faults,
    openings: u128,
    database: Replica,
    compaction: Compaction,
    /// The revisions that were acknowledged.
    known: BTreeMap<String, BTreeSet<String>>,
}

/// The content that the attachment `c{kind}` has.
fn content_of(kind: u64) -> Vec<u8> {
    let bytes = if kind == 5 { LONG_BYTES } else { 3 + kind as usize * 400 };
    (0..bytes).map(|place| (place as u64 / 255 + kind) as u8).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn open(disk: &FaultyBlocks, openings: u128) -> Option<Replica> {
    let options = StoreOptions { memtable_bytes_max: 20_000, ..StoreOptions::new(openings.to_le_bytes()) };
    let opened = disk.drive(true, async {
        let store = LogStore::open(disk.clone(), options).await?;
        Database::open(store, &Seeded::new(openings as u64), Options { revs_limit: 6, ..Options::default() }).await
    });
    match opened {
        Some(Ok(database)) => Some(database),
        None | Some(Err(StorageError::QuotaExceeded | StorageError::Closed | StorageError::Failed(_))) => None,
        Some(Err(error)) => panic!("cannot open: {error}"),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let disk = FaultyBlocks::new(seed ^ 0xf1);
        let mut odds = |from: u64| if dice.once_in(2) { 0 } else { from + dice.below(60) };
        let faults = Faults {
            crash: odds(15),
            refused_step: odds(10),
            unknown_step: odds(30),
            failed_read: odds(40),
            hang: odds(30),
        };
        let database = open(&disk, 1).unwrap();
        disk.set_faults(faults);
        let (compaction, known) = (Compaction::default(), BTreeMap::new());
        Self { seed, dice, disk, faults, openings: 1, database, compaction, known }
    }

    fn id(&mut self) -> String {
        format!("d{}", self.dice.below(5))
    }

    /// Some attachments: each says by its name what it is.
    fn attachments(&mut self) -> Value {
        let mut attachments = json!({});
        for _ in 0..self.dice.below(3) {
            let kind = self.dice.below(5);
            attachments[format!("c{kind}")] = json!({ "data": base64(&content_of(kind)) });
        }
        attachments
    }

    fn document(&mut self, id: &str) -> Value {
        let n = self.dice.below(4);
        json!({ "_id": id, "n": n, "m": [n], "_attachments": self.attachments() })
    }

    /// Something that happened to the database; it may have died of that.
    fn run<T>(&mut self, work: impl AsyncFnOnce(&Replica) -> Result<T, WriteError>) -> Option<T> {
        let drops = self.dice.once_in(3);
        match self.disk.drive(drops, work(&self.database)) {
            Some(Ok(done)) => return Some(done),
            Some(Err(WriteError::Storage(StorageError::Closed))) | None => self.reopen(),
            Some(Err(WriteError::Storage(StorageError::Corrupt(what)))) => panic!("seed {}: {what}", self.seed),
            Some(Err(_)) => {}
        }
        None
    }

    fn reopen(&mut self) {
        if self.disk.is_dead() {
            let power_lost = self.dice.once_in(2);
            self.disk.restart(power_lost);
            if power_lost {
                self.known.clear();
            }
        }
        self.disk.set_faults(Faults::default());
        self.openings += 1;
        self.database = open(&self.disk, self.openings).unwrap();
        self.check();
        self.disk.set_faults(self.faults);
    }

    fn note(&mut self, id: &str, rev: String) {
        self.known.entry(id.into()).or_default().insert(rev);
    }

    fn leaves(&self, id: &str) -> Vec<Value> {
        let whole = GetOptions { revs: true, attachments: true, ..GetOptions::default() };
        let opened = block_on(self.database.open_revs(id, OpenRevs::All, &whole)).unwrap_or_default();
        let leaf = |leaf: &OpenRev| match leaf {
            OpenRev::Ok(text) => serde_json::from_slice(text).unwrap(),
            OpenRev::Missing(rev) => panic!("seed {}: the leaf {rev} of {id} has no body", self.seed),
        };
        opened.iter().map(leaf).collect()
    }

    fn edit(&mut self) {
        let id = self.id();
        let text = self.document(&id).to_string();
        let write = WriteOptions { force: true, ..WriteOptions::default() };
        if let Some(written) = self.run(async |database| database.put(text.as_bytes(), &write).await) {
            self.note(&id, written.rev);
        }
    }

    /// The winner again, with its attachments as stubs.
    fn edit_with_stubs(&mut self) {
        let id = self.id();
        self.disk.set_faults(Faults::default());
        let winner = get(&self.database, &id, &GetOptions::default());
        self.disk.set_faults(self.faults);
        let Ok(mut document) = winner else { return };
        let n = self.dice.below(4);
        (document["n"], document["m"]) = (json!(n), json!([n]));
        document["_deleted"] = json!(self.dice.once_in(5));
        let text = document.to_string();
        let write = WriteOptions::default();
        if let Some(written) = self.run(async |database| database.put(text.as_bytes(), &write).await) {
            self.note(&id, written.rev);
        }
    }

    /// A revision of another replica, on a branch of its own or on top of a leaf.
    fn replicate(&mut self) {
        let id = self.id();
        self.disk.set_faults(Faults::default());
        let leaves = self.leaves(&id);
        self.disk.set_faults(self.faults);
        let mut ids: Vec<Value> = match leaves.is_empty() {
            true => Vec::new(),
            false => {
                let leaf = &leaves[self.dice.below(leaves.len() as u64) as usize];
                let path = leaf["_revisions"]["ids"].as_array().unwrap().clone();
                let start = leaf["_revisions"]["start"].as_u64().unwrap() as usize;
                // A history that was cut cannot be told from its beginning.
                if start == path.len() {
                    path[self.dice.below(path.len() as u64) as usize..].to_vec()
                } else {
                    Vec::new()
                }
            }
        };
        ids.insert(0, json!(format!("{:032x}", self.dice.below(1 << 40))));
        let mut document = self.document(&id);
        let rev = format!("{}-{}", ids.len(), ids[0].as_str().unwrap());
        document["_rev"] = json!(rev);
        document["_revisions"] = json!({ "start": ids.len(), "ids": ids });
        let text = document.to_string();
        let write = WriteOptions::default();
        let work = async |database: &Replica| database.bulk_docs(&[text.as_bytes()], false, &write).await;
        if self.run(work).is_some_and(|rows| rows[0].is_ok()) {
            self.note(&id, rev);
        }
    }

    /// A long content in chunks; the last step, which gives it a document, may be missing.
    fn stage(&mut self) {
        let (id, name) = (self.id(), format!("up{}", self.dice.below(3)));
        let bytes = content_of(5);
        for (place, chunk) in bytes.chunks(900_000).enumerate() {
            let work = async |database: &Replica| database.stage(&name, place as u64 * 900_000, chunk).await;
            if self.run(work).is_none() {
                return;
            }
        }
        if self.dice.once_in(3) {
            return;
        }
        let text = json!({ "_id": id, "n": 1, "m": [1], "_attachments": { "c5": { "staged": name } } }).to_string();
        let write = WriteOptions { force: true, ..WriteOptions::default() };
        if let Some(written) = self.run(async |database| database.put(text.as_bytes(), &write).await) {
            self.note(&id, written.rev);
        }
    }

    fn put_attachment(&mut self) {
        let (id, kind) = (self.id(), self.dice.below(5));
        self.disk.set_faults(Faults::default());
        let winner = get(&self.database, &id, &GetOptions::default());
        self.disk.set_faults(self.faults);
        let Ok(winner) = winner else { return };
        let rev = winner["_rev"].as_str();
        let content = GivenContent::Data(content_of(kind));
        let write = WriteOptions::default();
        let work = async |database: &Replica| {
            database.put_attachment(&id, &format!("c{kind}"), rev, "a/b", content, &write).await
        };
        if let Some(written) = self.run(work) {
            self.note(&id, written.rev);
        }
    }

    fn purge(&mut self) {
        let id = self.id();
        self.disk.set_faults(Faults::default());
        let leaves = self.leaves(&id);
        self.disk.set_faults(self.faults);
        if leaves.is_empty() {
            return;
        }
        let rev = leaves[self.dice.below(leaves.len() as u64) as usize]["_rev"].as_str().unwrap().to_owned();
        self.known.remove(&id);
        let write = WriteOptions::default();
        if let Some(purged) = self.run(async |database| database.purge(&id, &rev, &write).await) {
            assert_eq!(purged.deleted_revs[0], rev);
            assert_eq!(purged.document_was_removed, leaves.len() == 1, "seed {}", self.seed);
        }
    }

    fn compact(&mut self) {
        let mut compaction = std::mem::take(&mut self.compaction);
        for _ in 0..1 + self.dice.below(4) {
            let work = async |database: &Replica| Ok(database.compact_slice(&mut compaction).await?);
            match self.run(work) {
                Some(true) => {}
                Some(false) => compaction = Compaction::default(),
                // The engine may have died; a compaction does not outlive it.
                None => return,
            }
        }
        self.compaction = compaction;
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..6 => self.edit(),
            6..9 => self.edit_with_stubs(),
            9..12 => self.replicate(),
            12 => self.stage(),
            13..15 => self.put_attachment(),
            15..17 => self.purge(),
            17..19 => self.compact(),
            _ => self.reopen(),
        }
    }

    /// Whether what is stored agrees with itself.
    fn check(&self) {
        let seed = self.seed;
        let page =
            block_on(self.database.changes(&ChangesQuery { all_leaves: true, ..ChangesQuery::default() })).unwrap();
        let (mut alive, mut values) = (0, BTreeMap::<u64, BTreeSet<String>>::new());
        for row in &page.rows {
            let leaves = self.leaves(&row.id);
            assert_eq!(leaves.len(), row.revs.len(), "seed {seed}");
            for leaf in &leaves {
                for (name, attachment) in leaf["_attachments"].as_object().into_iter().flatten() {
                    let content = base64(&content_of(name[1..].parse().unwrap()));
                    assert_eq!(
                        attachment["data"].as_str(),
                        Some(content.as_str()),
                        "seed {seed}: {name} of {}",
                        row.id
                    );
                }
            }
            match get(&self.database, &row.id, &GetOptions::default()) {
                Ok(winner) => {
                    alive += 1;
                    values.entry(winner["n"].as_u64().unwrap()).or_default().insert(row.id.clone());
                    assert!(!row.deleted, "seed {seed}");
                }
                Err(error) => assert!(row.deleted && error.2 == "deleted", "seed {seed}: {error:?}"),
            }
        }
        let heads: BTreeSet<String> =
            stored(&self.database, b"d").keys().map(|key| keys::head_id(key).unwrap().to_owned()).collect();
        assert_eq!(page.rows.iter().map(|row| row.id.clone()).collect::<BTreeSet<_>>(), heads, "seed {seed}");
        assert_eq!(page.rows.len(), heads.len(), "seed {seed}: a document is in the feed once");
        let info = block_on(self.database.info()).unwrap();
        assert_eq!((info.doc_count, info.doc_del_count), (alive, page.rows.len() as u64 - alive), "seed {seed}");
        self.check_index(&values);
        self.check_contents();
        for (id, revs) in &self.known {
            let asked = [(id.clone(), revs.iter().cloned().collect())];
            // What a limit of six revisions has cut off is known no more.
            let oldest =
                self.leaves(id).iter().map(|leaf| leaf["_revisions"]["start"].as_u64().unwrap()).max().unwrap_or(0);
            for row in block_on(self.database.revs_diff(&asked)).unwrap() {
                let generation = |rev: &String| rev.split_once('-').unwrap().0.parse::<u64>().unwrap();
                let lost: Vec<&String> = row.missing.iter().filter(|rev| generation(rev) + 6 > oldest).collect();
                assert!(lost.is_empty(), "seed {seed}: {lost:?} of {id} was acknowledged");
            }
        }
    }

    fn check_index(&self, values: &BTreeMap<u64, BTreeSet<String>>) {
        for n in 0..4 {
            for selector in [json!({ "n": n }), json!({ "m": { "$elemMatch": { "$eq": n } } })] {
                let query = json!({ "selector": selector, "fields": ["_id"] }).to_string();
                let page = block_on(self.database.find(&FindQuery::parse(query.as_bytes()).unwrap())).unwrap();
                let id =
                    |text: &Vec<u8>| serde_json::from_slice::<Value>(text).unwrap()["_id"].as_str().unwrap().to_owned();
                let found: BTreeSet<String> = page.docs.iter().map(id).collect();
                assert_eq!(found, values.get(&n).cloned().unwrap_or_default(), "seed {}: {query}", self.seed);
            }
        }
        let documents: usize = values.values().map(BTreeSet::len).sum();
        for path in block_on(self.database.paths()).unwrap().iter().filter(|path| path.path == "n") {
            let counted: u64 = path.types.iter().map(|(_, count)| count).sum();
            assert_eq!(counted, documents as u64, "seed {}", self.seed);
        }
        // `n`, `m`, its element by position and by membership.
        assert_eq!(stored(&self.database, b"i").len(), documents * 4, "seed {}", self.seed);
    }

    /// Contents, their parts and their uses are those that the attachments of stored revisions need.
    fn check_contents(&self) {
        let seed = self.seed;
        let mut uses = BTreeSet::new();
        let mut used = BTreeSet::new();
        for (key, hashes) in stored(&self.database, b"a") {
            assert!(!stored(&self.database, &[b"b", &key[1..]].concat()).is_empty(), "seed {seed}: no body");
            for hash in hashes.chunks(32) {
                uses.insert([b"u", hash, &key[1..]].concat());
                used.insert([b"c", hash].concat());
            }
        }
        assert_eq!(stored(&self.database, b"u").into_keys().collect::<BTreeSet<_>>(), uses, "seed {seed}");
        let contents = stored(&self.database, b"c");
        assert_eq!(contents.keys().cloned().collect::<BTreeSet<_>>(), used, "seed {seed}");
        let mut parts = BTreeSet::new();
        for record in contents.values() {
            let length = u64::from_be_bytes(record[12..20].try_into().unwrap());
            parts.extend(
                (0..length.div_ceil(PART_BYTES))
                    .map(|part| [b"C", &record[..12], &(part as u32).to_be_bytes()].concat()),
            );
        }
        let staged: BTreeSet<Vec<u8>> = stored(&self.database, b"t").into_keys().map(|key| key[1..].to_vec()).collect();
        let is_staged = |key: &Vec<u8>| staged.contains(&key[1..13]);
        let there: BTreeSet<Vec<u8>> = stored(&self.database, b"C").into_keys().filter(|key| !is_staged(key)).collect();
        assert_eq!(there, parts, "seed {seed}");
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    // In the end all that can go has gone.
    world.disk.set_faults(Faults::default());
    world.faults = Faults::default();
    if world.disk.is_dead() {
        world.disk.restart(false);
    }
    world.reopen();
    block_on(world.database.compact()).unwrap();
    world.check();
    assert!(stored(&world.database, b"t").is_empty(), "seed {seed}");
    let leaves: usize =
        stored(&world.database, b"d").keys().map(|key| world.leaves(keys::head_id(key).unwrap()).len()).sum();
    let bodies = stored(&world.database, b"b").len();
    assert!(bodies >= leaves && bodies <= leaves.saturating_mul(2), "seed {seed}: {bodies} bodies of {leaves} leaves");
}

#[test]
fn what_is_stored_agrees_with_itself_whatever_happened() {
    let (first, seeds) = storage_simulation::seeds(80);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || (first + thread as u64..first + seeds).step_by(threads).for_each(run));
        }
    });
}
