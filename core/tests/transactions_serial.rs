//! Transactions side by side, against a model that runs them one after the other.
//!
//! Random scripts run at once on one database, with writes beside them, on a disk that takes its time; whoever finds
//! what it read changed runs again. Then the model runs all that was committed in the order of the commits, and one that
//! only read where it began: each must read and write there what it did here, and both end with the same documents.
//! `FIRKIN_SEEDS=100000 cargo test --release --test transactions_serial` runs more seeds; a failure names its own.
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
mod transaction_support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;

use common::Seeded;
use firkin_core::database::{CommitOptions, Database, GetOptions, Options, TransactionError, WriteOptions};
use firkin_core::query::FindQuery;
use firkin_core::storage::store::{LogStore, StoreOptions};
use serde_json::{Value, json};
use storage_simulation::{Faults, FaultyBlocks};
use transaction_support::{Engine, Model, Script, Store, body, run_side_by_side, yield_now};

type Subject = Database<LogStore<FaultyBlocks>>;

/// What counts as done, in its order.
#[derive(Debug)]
enum Done {
    Transaction {
        script: Script,
        log: Vec<Value>,
        written: Vec<(String, String)>,
    },
    /// A write beside all transactions.
    Forced {
        document: Value,
        rev: String,
    },
}

#[derive(Default)]
struct World {
    done: RefCell<Vec<Done>>,
    /// Transactions that only read, and how much was done when they began.
    readers: RefCell<Vec<(usize, Script, Vec<Value>)>>,
    runs: RefCell<usize>,
    reruns: RefCell<usize>,
}

async fn open(seed: u64) -> Subject {
    let disk = FaultyBlocks::new(seed);
    let options = StoreOptions {
        memtable_bytes_max: [2_000, 20_000, 1_000_000][(seed % 3) as usize],
        ..StoreOptions::new([1; 16])
    };
    let store = LogStore::open(disk.clone(), options).await.unwrap();
    disk.set_faults(Faults { hang: 3, ..Faults::default() });
    Database::open(store, &Seeded::new(seed), Options::default()).await.unwrap()
}

async fn run_transaction(database: &Subject, script: Script, world: &World) {
    for attempt in 0..20 {
        // Whoever lost twice goes first.
        let transaction = match attempt {
            0 | 1 => database.begin(),
            _ => database.begin_in_turn().await,
        };
        let began = world.done.borrow().len();
        *world.runs.borrow_mut() += 1;
        let mut engine = Engine { database, transaction: transaction.unwrap() };
        let log = script.run(&mut engine).await;
        match database.commit(engine.transaction, &CommitOptions::default()).await {
            Ok(written) if written.is_empty() => {
                world.readers.borrow_mut().push((began, script, log));
                return;
            }
            Ok(written) => {
                let written = written.into_iter().map(|written| (written.id, written.rev)).collect();
                world.done.borrow_mut().push(Done::Transaction { script, log, written });
                return;
            }
            Err(TransactionError::Changed { ids }) => {
                assert!(!ids.is_empty());
                *world.reruns.borrow_mut() += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("a script never came through: {script:?}");
}

/// A write beside the transactions: it waits for none of them, so there are few.
async fn force(database: &Subject, random: &Seeded, world: &World) {
    for _ in 0..random.below(30) {
        yield_now().await;
    }
    let deleted = random.below(3) == 0;
    let mut document = json!({ "_id": format!("d{}", random.below(7)), "n": random.below(6), "tag": "b" });
    if deleted {
        document["_deleted"] = true.into();
    }
    let options = WriteOptions { force: true, ..WriteOptions::default() };
    // As a batch of its own: a single document may be written together with others that wait, and is told of later than it is
    // done, so that the order in which they are told would not be that of the commits.
    let mut rows = database.bulk_docs(&[document.to_string().as_bytes()], true, &options).await.unwrap();
    let written = rows.remove(0).unwrap();
    world.done.borrow_mut().push(Done::Forced { document, rev: written.rev });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let (mut future, mut context) = (Box::pin(future), std::task::Context::from_waker(std::task::Waker::noop()));
    for _ in 0..1_000_000 {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("it waits for ever");
}

fn assert_serial(seed: u64) -> (usize, usize) {
    let random = Seeded::new(seed);
    let (database, world) = (block_on(open(seed)), World::default());
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for _ in 0..random.below(8) {
        tasks.push(Box::pin(force(&database, &random, &world)));
    }
    for _ in 0..2 + random.below(6) {
        tasks.push(Box::pin(run_transaction(&database, Script::random(&random), &world)));
    }
    run_side_by_side(&random, tasks);

    let mut model = Model::default();
    let mut readers = world.readers.take();
    let done = world.done.take();
    for place in 0..=done.len() {
        for (_, script, log) in readers.extract_if(.., |(began, ..)| *began == place) {
            assert_eq!(block_on(script.run(&mut model.clone())), log, "seed {seed}: a reader {script:?}");
        }
        match done.get(place) {
            Some(Done::Transaction { script, log, written }) => {
                assert_eq!(&block_on(script.run(&mut model)), log, "seed {seed}: {script:?}");
                // Of several revisions of one document, the last stays.
                let newest: BTreeMap<&String, &String> = written.iter().map(|(id, rev)| (id, rev)).collect();
                for (id, rev) in newest {
                    assert_eq!(&model.documents[id].0, rev, "seed {seed}");
                }
            }
            Some(Done::Forced { document, rev }) => {
                let id = document["_id"].as_str().unwrap();
                let forced = model.force(id, document.get("_deleted").is_some(), body(document));
                assert_eq!(&forced, rev, "seed {seed}");
            }
            None => {}
        }
    }
    assert!(readers.is_empty());
    assert_same(&database, &mut model, &random, seed);
    (world.runs.take(), world.reruns.take())
}

/// The database holds what the model does, and its index says so too.
fn assert_same(database: &Subject, model: &mut Model, random: &Seeded, seed: u64) {
    for id in (0..7).map(|id| format!("d{id}")) {
        let here = block_on(database.get(&id, &GetOptions::default())).map_err(|error| error.to_string());
        let here = here.map(|text| serde_json::from_slice(&text).unwrap());
        let expected: Result<Value, String> =
            block_on(model.get(&id)).map_err(|error| error.trim_start_matches("404 not_found: ").to_owned());
        assert_eq!(here, expected, "seed {seed}: {id}");
    }
    for _ in 0..5 {
        let query = transaction_support::any_query(random);
        let page = block_on(database.find(&FindQuery::parse(query.to_string().as_bytes()).unwrap())).unwrap();
        let docs: Vec<Value> = page.docs.iter().map(|doc| serde_json::from_slice(doc).unwrap()).collect();
        let expected = block_on(model.find(&query)).unwrap();
        assert_eq!(json!({ "docs": docs, "bookmark": page.bookmark }), expected, "seed {seed}: {query}");
    }
}

#[test]
fn what_transactions_side_by_side_read_and_write_is_what_they_do_one_after_the_other() {
    let seeds = std::env::var("FIRKIN_SEEDS").map_or(1500, |seeds| seeds.parse().unwrap());
    let (mut runs, mut reruns) = (0, 0);
    for seed in 0..seeds {
        let (ran, again) = assert_serial(seed);
        (runs, reruns) = (runs + ran, reruns + again);
    }
    // Nothing would be shown if they never met.
    assert!(reruns * 10 > runs, "{reruns} of {runs} runs were in vain");
    println!("{runs} runs, {reruns} of them in vain");
}
