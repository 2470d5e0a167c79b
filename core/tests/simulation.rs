//! Whole replicas and a server, in one thread and in simulated time, while disks and the network fail and machines die.
//!
//! After quiet every replica that holds all has the same leaves and winners, and those that hold a part have that part; no edit
//! that was acknowledged is gone, unless its replica lost the power before it was synced or pushed; and every index answers as
//! a scan does. A failure names its seed: `FIRKIN_FIRST_SEED=17 FIRKIN_SEEDS=1 cargo test --test simulation` replays it, and
//! `FIRKIN_SEEDS=100000 cargo test --profile soak --test simulation` runs more.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod replication_support;
mod simulation_support;
#[allow(dead_code)]
mod storage_simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;

use firkin_core::database::{GetOptions, Settling, WriteError, WriteOptions};
use firkin_core::effects::Clock;
use firkin_core::query::FindQuery;
use futures_util::future::{join_all, select};
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Seeded, content};
use serde_json::{Value, json};
use simulation_support::decisions::{Decisions, MET};
use simulation_support::network::{Kind, Server, Weather};
use simulation_support::replica::{Part, Replica};
use simulation_support::{Engine, user};
use storage_simulation::Faults;

/// How often all may sync, with nothing in the way, before nothing moves any more.
const ROUNDS_MAX: usize = 5;

/// How many runs there are if nothing is said.
const SEEDS: u64 = 60;

/// What each document's leaves are.
type Content = BTreeMap<String, Vec<Value>>;

fn any_part(random: &Seeded) -> Part {
    match random.below(6) {
        0 => Part::Kind(user::KINDS[usize::try_from(random.below(2)).unwrap()]),
        1 => Part::Ids((0..1 + random.below(4)).map(|_| user::any_id(random, &|_| true)).collect()),
        _ => Part::All,
    }
}

/// Names the seed of a run that panics, wherever that is.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed that failed is {}", self.0);
        }
    }
}

fn run(seed: u64) {
    let _named = Named(seed);
    let clock = Rc::new(SimulatedClock::default());
    simulate(&clock, async {
        let random = Seeded::new(seed);
        let server = Server::new(clock.clone(), seed, random.below(3) == 0);
        let count = if random.below(8) == 0 { 2 + random.below(9) } else { 2 + random.below(2) };
        let part = |number| if number < 2 { Part::All } else { any_part(&random) };
        let replicas: Vec<Replica<'_>> =
            (0..count).map(|number| Replica::new(seed, number, part(number), &server)).collect();
        server.weather.set(Weather::any(&random));
        let [knows_bulk_get, gives_documents, takes_multipart] = [5, 3, 3].map(|often| random.below(often) > 0);
        server.kind.set(Kind { knows_bulk_get, gives_documents, takes_multipart });
        server.request_bytes_max.set(7_000 << random.below(4));
        let crash = if random.below(2) == 0 { 0 } else { 20 + random.below(100) };
        let refused_step = if random.below(2) == 0 { 0 } else { 20 + random.below(100) };
        server.set_faults(Faults { crash, refused_step, hang: 5, ..Faults::default() });
        let noise_ms = random.below(40_000);
        let course = async {
            join_all(replicas.iter().map(|replica| replica.run(noise_ms))).await;
            server.set_faults(Faults::default());
            server.weather.set(Weather { latency_ms: 20, ..Weather::default() });
            after_quiet(seed, &replicas, &server).await;
        };
        select(pin!(course), pin!(server.run())).await;
    });
}

async fn after_quiet(seed: u64, replicas: &[Replica<'_>], server: &Server) {
    // What the network still holds arrives.
    server.clock.sleep(10_000).await;
    let databases: Vec<Engine> = replicas.iter().map(Replica::open_without_policies).collect();
    check_agreement(seed, replicas, &databases, server).await;
    check_decisions(seed, replicas, &databases, server).await;
    drop(databases);
    // What policies close then is closed for all.
    let databases: Vec<Engine> = replicas.iter().map(Replica::open).collect();
    for database in &databases {
        Box::pin(database.settle_all(&mut Settling::default())).await.unwrap();
    }
    check_agreement(seed, replicas, &databases, server).await;
    for database in &databases {
        for id in content(database).await.keys() {
            let write = WriteOptions::default();
            let settled = Box::pin(database.settle_review(id, database.policies(), &write)).await;
            assert!(matches!(settled, Ok(None) | Err(WriteError::NotFound)), "seed {seed}: {id}: {settled:?}");
        }
    }
}

/// Syncs until nothing moves any more; all hold the same then.
async fn check_agreement(seed: u64, replicas: &[Replica<'_>], databases: &[Engine], server: &Server) {
    let mut rounds = 0;
    loop {
        let mut moved = 0;
        for (replica, database) in replicas.iter().zip(databases) {
            moved += replica.settle(database).await;
        }
        if moved == 0 {
            break;
        }
        rounds += 1;
        assert!(rounds <= ROUNDS_MAX, "seed {seed}: something moves for ever");
    }
    let master = server.database().await;
    let agreed = content(&*master).await;
    check_index(seed, &master, &agreed).await;
    for (replica, database) in replicas.iter().zip(databases) {
        let here = content(database).await;
        check_content(seed, &replica.part, &here, &agreed);
        check_index(seed, database, &here).await;
        for (id, revs) in replica.known() {
            let asked = [(id.clone(), revs.into_iter().collect())];
            for database in [database, &*master] {
                let lost = database.revs_diff(&asked).await.unwrap();
                assert!(lost.is_empty(), "seed {seed}: acknowledged and gone: {lost:?}");
            }
        }
    }
}

/// What was decided stays decided, on parts of the data too.
async fn check_decisions(seed: u64, replicas: &[Replica<'_>], databases: &[Engine], server: &Server) {
    let (master, mut decisions) = (server.database().await, Decisions::default());
    let agreed = content(&*master).await;
    decisions.add(&master, agreed.keys()).await;
    for database in databases {
        decisions.add(database, content(database).await.keys()).await;
    }
    decisions.count_versions();
    for (replica, database) in replicas.iter().zip(databases) {
        Box::pin(decisions.check(seed, &replica.part, database, &content(database).await)).await;
    }
}

/// A replica holds what the server holds, as far as it takes part: but of documents that it never had no tombstones.
fn check_content(seed: u64, part: &Part, here: &Content, there: &Content) {
    for (id, leaves) in there {
        match here.get(id) {
            Some(own) if own != leaves => {
                let revs = |leaves: &[Value]| leaves.iter().map(|leaf| leaf["_rev"].to_string()).collect::<Vec<_>>();
                panic!("seed {seed}: {id} of {part:?}: {:?}, there {:?}", revs(own), revs(leaves));
            }
            Some(_) => {}
            None => {
                let is_deleted = leaves[0]["_deleted"] == true;
                assert!(
                    !part.has(id) || (matches!(part, Part::Kind(_)) && is_deleted),
                    "seed {seed}: {id} of {part:?}"
                );
            }
        }
    }
    let surplus: BTreeSet<&String> = here.keys().filter(|id| !there.contains_key(*id) || !part.has(id)).collect();
    assert!(surplus.is_empty(), "seed {seed}: {surplus:?} of {part:?}");
}

/// Queries answer as a scan of the winners does.
async fn check_index(seed: u64, database: &Engine, content: &Content) {
    let mut winners: Vec<Value> = Vec::new();
    for (id, leaves) in content {
        let winner = database.get(id, &GetOptions::default()).await;
        assert_eq!(winner.is_ok(), leaves[0]["_deleted"] != true, "seed {seed}: {id}");
        if let Ok(text) = winner {
            let winner: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(winner["_rev"], leaves[0]["_rev"], "seed {seed}: {id}");
            winners.push(winner);
        }
    }
    for n in 0..user::VALUES {
        for kind in user::KINDS {
            let queries = [
                (json!({ "n": n, "kind": kind }), true),
                (json!({ "m": { "$elemMatch": { "$eq": n } }, "kind": { "$lt": "c" } }), false),
            ];
            for (selector, by_kind) in queries {
                let query = json!({ "selector": selector, "fields": ["_id"] }).to_string();
                let page = database.find(&FindQuery::parse(query.as_bytes()).unwrap()).await.unwrap();
                let found: BTreeSet<String> = page
                    .docs
                    .iter()
                    .map(|text| serde_json::from_slice::<Value>(text).unwrap()["_id"].to_string())
                    .collect();
                let has_element = |winner: &Value| winner["m"].as_array().unwrap().contains(&json!(n));
                let is_match = |winner: &&Value| match by_kind {
                    true => winner["n"] == n && winner["kind"] == kind,
                    false => has_element(winner),
                };
                let matching = winners.iter().filter(is_match);
                let expected: BTreeSet<String> = matching.map(|winner| winner["_id"].to_string()).collect();
                assert_eq!(found, expected, "seed {seed}: {query}");
            }
        }
    }
}

#[test]
fn replicas_agree_after_quiet_and_no_acknowledged_edit_is_gone() {
    let (first, seeds) = storage_simulation::seeds(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            // A debug build has large frames.
            let builder = std::thread::Builder::new().stack_size(16 << 20);
            let run_all = move || (first + thread as u64..first + seeds).step_by(threads).for_each(run);
            builder.spawn_scoped(scope, run_all).unwrap();
        }
    });
    // A run that is replayed need not meet all of it.
    assert!(seeds < SEEDS || MET.all().iter().all(|met| *met > 0), "too seldom: {:?}", MET.all());
}
