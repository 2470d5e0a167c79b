//! Requests that are asked again after a crash took their answer away.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
#[allow(dead_code)]
mod storage_simulation;

use std::collections::BTreeMap;

use common::Seeded;
use firkin_core::database::{Database, Done, GetOptions, Options, Request, WriteOptions};
use firkin_core::storage::blocks::{BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::memory::MemoryKv;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Cursor, Direction, KeyRange, Kv, Snapshot};
use pollster::block_on;
use serde_json::{Value, json};
use storage_simulation::{Faults, FaultyBlocks};

type Subject = Database<LogStore<FaultyBlocks>>;

fn open(disk: &FaultyBlocks, opening: u64) -> Subject {
    let mut epoch = [0; 16];
    epoch[..8].copy_from_slice(&opening.to_be_bytes());
    let options = StoreOptions { memtable_bytes_max: 3_000, step_bytes: 1_000, ..StoreOptions::new(epoch) };
    let store = block_on(LogStore::open(disk.clone(), options)).unwrap();
    block_on(Database::open(store, &Seeded::new(opening), Options::default())).unwrap()
}

fn open_memory() -> Database<MemoryKv> {
    block_on(Database::open(MemoryKv::new(), &Seeded::new(7), Options::default())).unwrap()
}

fn asked_by(request: Request) -> WriteOptions {
    WriteOptions { request: Some(request), ..WriteOptions::default() }
}

fn rev(row: &Done) -> &str {
    match row {
        Done::Rev(rev) => rev,
        other => panic!("{other:?} is no revision"),
    }
}

/// Whatever is under way when the engine crashes is asked for again, and no counter is left behind or ahead.
#[test]
fn a_write_that_is_asked_for_again_takes_effect_once() {
    let (mut done_before, mut not_done) = (0, 0);
    for seed in 0..100 {
        let (disk, random) = (FaultyBlocks::new(seed), Seeded::new(seed));
        let mut database = open(&disk, 0);
        let mut known: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for number in 1..25_u32 {
            let request = Request { client: seed % 3, slot: number % 2, number };
            let batch: Vec<String> = (0..1 + random.below(3)).map(|n| format!("d{n}")).collect();
            let documents: Vec<String> = batch
                .iter()
                .map(|id| match known.get(id) {
                    Some((n, rev)) => json!({ "_id": id, "_rev": rev, "n": n + 1 }).to_string(),
                    None => json!({ "_id": id, "n": 1 }).to_string(),
                })
                .collect();
            let texts: Vec<&[u8]> = documents.iter().map(String::as_bytes).collect();
            disk.set_faults(Faults { crash: 4, ..Faults::default() });
            let write = asked_by(request);
            let outcome = disk.drive(false, async { database.bulk_docs(&texts, true, &write).await });
            disk.set_faults(Faults::default());
            let revs: Vec<String> = match outcome {
                Some(rows) => rows.unwrap().into_iter().map(|row| row.unwrap().rev).collect(),
                None => {
                    disk.restart(false);
                    database = open(&disk, u64::from(number));
                    match block_on(database.done(&request)).unwrap() {
                        Some(rows) => {
                            done_before += 1;
                            rows.iter().map(|row| rev(row).to_owned()).collect()
                        }
                        None => {
                            not_done += 1;
                            let rows = block_on(database.bulk_docs(&texts, true, &asked_by(request))).unwrap();
                            rows.into_iter().map(|row| row.unwrap().rev).collect()
                        }
                    }
                }
            };
            for (id, rev) in batch.into_iter().zip(revs) {
                let n = known.get(&id).map_or(0, |(n, _)| *n) + 1;
                known.insert(id, (n, rev));
            }
        }
        for (id, (n, rev)) in &known {
            let text = block_on(database.get(id, &GetOptions::default())).unwrap();
            let document: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!((&document["n"], &document["_rev"]), (&json!(n), &json!(rev)), "seed {seed}: {id}");
        }
    }
    assert!(done_before > 20 && not_done > 20, "{done_before} done before, {not_done} not");
}

#[test]
fn what_a_request_did_is_known_until_the_next_takes_its_slot() {
    let database = open_memory();
    let of = |slot, number| Request { client: 0xfeed, slot, number };
    let done = |request: Request| block_on(database.done(&request)).unwrap();
    let first = block_on(database.put(br#"{"_id":"a"}"#, &asked_by(of(0, 1)))).unwrap();
    assert_eq!(done(of(0, 1)), Some(vec![Done::Rev(first.rev.clone())]));
    assert_eq!((done(of(0, 2)), done(of(1, 1))), (None, None));
    assert_eq!(done(Request { client: 0xfeee, ..of(0, 1) }), None);

    let documents: [&[u8]; 2] = [br#"{"_id":"a"}"#, br#"{"_id":"b"}"#];
    let rows = block_on(database.bulk_docs(&documents, true, &asked_by(of(0, 2)))).unwrap();
    let refused = rows[0].clone().unwrap_err().error;
    let told = Done::Refused { status: 409, name: "conflict".into(), reason: refused.reason };
    assert_eq!(done(of(0, 2)), Some(vec![told, Done::Rev(rows[1].clone().unwrap().rev)]));
    assert_eq!(done(of(0, 1)), None);

    // What did nothing leaves no record.
    block_on(database.put(br#"{"_id":"a"}"#, &asked_by(of(3, 3)))).unwrap_err();
    assert_eq!(done(of(3, 3)), None);

    let second = block_on(database.remove("a", &first.rev, &asked_by(of(1, 4)))).unwrap();
    assert_eq!(done(of(1, 4)), Some(vec![Done::Rev(second.rev.clone())]));
    let local = block_on(database.put(br#"{"_id":"_local/x"}"#, &asked_by(of(2, 5)))).unwrap();
    assert_eq!((local.rev.as_str(), done(of(2, 5))), ("0-1", Some(vec![Done::Rev("0-1".into())])));
    block_on(database.put(br#"{"_id":"_local/x","_deleted":true}"#, &asked_by(of(2, 6)))).unwrap();
    assert_eq!(done(of(2, 6)), Some(vec![Done::Rev("0-0".into())]));
    block_on(database.purge("a", &second.rev, &asked_by(of(1, 7)))).unwrap();
    assert_eq!(done(of(1, 7)), Some(vec![Done::Rev(second.rev), Done::Rev(first.rev), Done::Gone]));
}

#[test]
fn what_a_client_that_is_gone_has_left_goes_with_the_next_commit() {
    let database = open_memory();
    let records = || {
        let mut records = database.kv().snapshot().unwrap().range(KeyRange::prefix(b"q"), Direction::Forward).unwrap();
        let mut count = 0;
        while block_on(records.advance()).unwrap() {
            count += 1;
        }
        count
    };
    for number in 0..40_u32 {
        let request = Request { client: u64::from(number % 2), slot: number % 5, number };
        block_on(database.put(json!({ "_id": number.to_string() }).to_string().as_bytes(), &asked_by(request)))
            .unwrap();
    }
    assert_eq!((block_on(database.clients()).unwrap(), records()), (vec![0, 1], 10));
    block_on(database.forget_client(1)).unwrap();
    block_on(database.put(br#"{"_id":"next"}"#, &WriteOptions::default())).unwrap();
    assert_eq!((block_on(database.clients()).unwrap(), records()), (vec![0], 5));
}

/// A write costs one block of the log and one commit, with a record or without; of the bytes the record is a small part.
#[test]
fn a_record_costs_a_write_no_block_and_less_than_forty_bytes() {
    const WRITES: u32 = 200;
    let measure = |recorded: bool| {
        let blocks = MemoryBlocks::new();
        let store = block_on(LogStore::open(blocks.clone(), StoreOptions::new([1; 16]))).unwrap();
        let database = block_on(Database::open(store, &Seeded::new(7), Options::default())).unwrap();
        for number in 0..WRITES {
            let members: Vec<String> =
                (0..20).map(|n| format!("\"member{n}\":\"value {number} {n} and more\"")).collect();
            let document = format!("{{\"_id\":\"document {number}\",{}}}", members.join(","));
            let request = recorded.then_some(Request { client: u64::MAX / 3, slot: number % 4, number });
            let write = WriteOptions { request, ..WriteOptions::default() };
            block_on(database.put(document.as_bytes(), &write)).unwrap();
        }
        let count = block_on(blocks.keys(BlockKey::MANIFEST, BlockKey::from_u64(1 << 52))).unwrap().len();
        (count, blocks.bytes())
    };
    let ((blocks, bytes), (blocks_recorded, bytes_recorded)) = (measure(false), measure(true));
    let more = (bytes_recorded - bytes) as f64 / f64::from(WRITES);
    println!("{blocks} blocks, {} bytes a write; a record adds {more}", bytes / WRITES as usize);
    assert_eq!(blocks, blocks_recorded);
    assert!(more < 40.0, "{more} bytes");
}
