//! Snapshots that are taken in while the disk dies, refuses steps or loses what was not synced, and while the app writes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod repair_support;
mod replication_support;
mod snapshot_support;
#[allow(dead_code, reason = "another test uses all of it")]
mod storage_simulation;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use firkin_core::database::{CommitOptions, Database, Options as DatabaseOptions, TransactionError, WriteOptions};
use firkin_core::document::keys;
use firkin_core::effects::Clock;
use firkin_core::replication::ReplicationError;
use firkin_core::storage::blocks::{BlockBatch, BlockKey, Blocks};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use firkin_core::storage::{Durability, StorageError};
use futures_util::future::{Either, join, select};
use repair_support::{check_consistent, check_writable, store_options};
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Seeded, content, options, put};
use snapshot_support::{filled, fresh};
use storage_simulation::{Faults, FaultyBlocks};

const DOCUMENTS: usize = 60;
const SEEDS: u64 = 60;

async fn opened<B: Blocks + Clone>(disk: &B, opening: u8) -> Database<LogStore<B>> {
    // So small that a snapshot is many steps.
    let options = StoreOptions { step_bytes: 4_000, ..store_options(opening, true) };
    let store = LogStore::open(disk.clone(), options).await.unwrap();
    Database::open(store, &Seeded::new(opening.into()), DatabaseOptions::default()).await.unwrap()
}

#[test]
fn disk_that_dies_leaves_a_fresh_database_or_all_of_the_snapshot() {
    let (mut fresh_again, mut whole) = (0, 0);
    for seed in 0..SEEDS {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let there = filled(1, DOCUMENTS).await;
            let server = FakeServer::new(&there, &clock, seed);
            server.pack("one").await;
            let expected = content(&there).await;
            let disk = FaultyBlocks::new(seed);
            let (mut opening, mut openings_whole) = (0, 0);
            loop {
                opening += 1;
                assert!(opening < 200, "seed {seed} comes to no end");
                let here = opened(&disk, opening).await;
                let found = content(&here).await;
                if found.is_empty() {
                    assert!(common::stored(&here, keys::heads()).is_empty(), "seed {seed}: a part of it counts");
                    fresh_again += u32::from(opening > 1);
                } else {
                    let counted = there.info().await.unwrap().doc_count;
                    assert_eq!(here.info().await.unwrap().doc_count, counted, "seed {seed}");
                    assert_eq!(found, expected, "seed {seed}");
                    whole += 1;
                    openings_whole += 1;
                }
                let faults = Faults { crash: 12, refused_step: 15, unknown_step: 40, failed_read: 30, hang: 0 };
                disk.set_faults(if opening < 20 { faults } else { Faults::default() });
                let client = Client::new(&here, &clock, seed + 100);
                let pulled = {
                    let options = options("peer");
                    let pull = pin!(client.pull_from_snapshot(&server, &options));
                    let died = pin!(poll_fn(|_| if disk.is_dead() { Poll::Ready(()) } else { Poll::Pending }));
                    match select(pull, died).await {
                        Either::Left((pulled, _)) => Some(pulled),
                        Either::Right(_) => None,
                    }
                };
                let died = disk.is_dead();
                disk.set_faults(Faults::default());
                match pulled {
                    Some(Ok(_)) if !died => {
                        assert_eq!(content(&here).await, expected, "seed {seed}");
                        break;
                    }
                    Some(Err(error)) => assert!(matches!(error, ReplicationError::Local(_)), "seed {seed}: {error}"),
                    _ => {}
                }
                drop(here);
                disk.restart(died && seed % 2 == 0);
            }
            // Nothing but the plain protocol asks for changes from the beginning: where the disk died right before the checkpoint.
            assert!(server.requests_of("since=0") <= openings_whole, "seed {seed}");
        });
    }
    assert!(fresh_again > 20 && whole > 5, "{fresh_again} fresh, {whole} whole");
}

/// A disk that takes so many steps and is dead then.
#[derive(Clone, Debug)]
struct Dying {
    blocks: MemoryBlocks,
    steps: Rc<Cell<usize>>,
}

impl Blocks for Dying {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        let left = self.steps.get().checked_sub(1).ok_or_else(|| StorageError::Failed("it is dead".into()))?;
        self.steps.set(left);
        self.blocks.commit(batch, durability).await
    }
}

#[test]
fn death_before_any_step_leaves_a_fresh_database_or_all_of_the_snapshot() {
    let (mut fresh_again, mut whole) = (0, 0);
    for steps in 0.. {
        let clock = SimulatedClock::default();
        let is_over = simulate(&clock, async {
            let there = filled(1, 10 * DOCUMENTS).await;
            let server = FakeServer::new(&there, &clock, 3);
            server.pack("one").await;
            let expected = content(&there).await;
            let disk = Dying { blocks: MemoryBlocks::new(), steps: Rc::new(Cell::new(usize::MAX)) };
            let here = opened(&disk, 1).await;
            disk.steps.set(steps);
            let pulled = Client::new(&here, &clock, 4).pull_from_snapshot(&server, &options("peer")).await;
            drop(here);
            disk.steps.set(usize::MAX);
            let here = opened(&disk, 2).await;
            let found = content(&here).await;
            if found.is_empty() {
                assert!(common::stored(&here, keys::heads()).is_empty(), "step {steps}: a part of it counts");
                fresh_again += 1;
            } else {
                let [found_info, info] = [here.info().await.unwrap(), there.info().await.unwrap()];
                assert_eq!((found, found_info.doc_count), (expected.clone(), info.doc_count), "step {steps}");
                whole += 1;
            }
            Client::new(&here, &clock, 5).pull_from_snapshot(&server, &options("peer")).await.unwrap();
            assert_eq!(content(&here).await, expected, "step {steps}");
            pulled.is_ok()
        });
        if is_over {
            break;
        }
    }
    assert!(fresh_again > 5 && whole > 0, "{fresh_again} fresh, {whole} whole");
}

#[test]
fn what_the_app_writes_meanwhile_is_kept_whenever_it_does() {
    let (mut taken, mut given_up) = (0, 0);
    for seed in 0..SEEDS {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let there = filled(1, DOCUMENTS).await;
            let server = FakeServer::new(&there, &clock, seed);
            server.pack("one").await;
            let disk = FaultyBlocks::new(seed);
            disk.set_faults(Faults { hang: 2, ..Faults::default() });
            let here = opened(&disk, 1).await;
            let client = Client::new(&here, &clock, seed + 100);
            let documents = Cell::new(0);
            let write = async {
                Clock::sleep(&clock, seed / 2).await;
                put(&here, r#"{"_id":"_local/own","kept":1}"#).await;
                let text =
                    br#"{"_id":"d0001","_rev":"3-own","_revisions":{"start":3,"ids":["own","b","a"]},"number":3}"#;
                let rows = here.bulk_docs(&[text], false, &WriteOptions::default()).await.unwrap();
                assert!(rows.iter().all(Result::is_ok));
                documents.set(here.info().await.unwrap().doc_count);
            };
            let options = options("peer");
            let (pulled, ()) = join(client.pull_from_snapshot(&server, &options), write).await;
            pulled.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            if server.requests_of("since=0") == 0 {
                taken += 1
            } else {
                given_up += 1
            }
            let found = content(&here).await;
            let leaves = |id: &str| found.iter().filter(|leaf| format!("{leaf:?}").contains(id)).count();
            assert!(leaves("3-own") > 0, "seed {seed}");
            assert_eq!(found.len(), content(&there).await.len(), "seed {seed}: no document is missing");
            let local = common::stored(&here, &keys::local("_local/own"));
            assert_eq!(local.len(), 1, "seed {seed}");
        });
    }
    assert!(taken > 3 && given_up > 3, "{taken} were taken, {given_up} were not");
}

#[test]
fn what_was_asked_before_is_answered_anew_and_a_transaction_that_began_before_overwrites_nothing() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        let (_, here) = fresh(2);
        let expected = content(&there).await;
        let mut transaction = here.begin().unwrap();
        transaction.put(&here, br#"{"_id":"d0001","number":99}"#).await.unwrap();
        let found = here.find(&firkin_core::query::FindQuery::parse(br#"{"selector":{"number":3}}"#).unwrap()).await;
        assert!(found.unwrap().docs.is_empty());
        Client::new(&here, &clock, 4).pull_from_snapshot(&server, &options("peer")).await.unwrap();
        let lost = here.commit(transaction, &CommitOptions::default()).await;
        assert!(matches!(lost, Err(TransactionError::Changed { .. })), "{lost:?}");
        assert_eq!(content(&here).await, expected);
        check_consistent(&here, "asked before");
        check_writable(&here, "asked before");
    });
}

#[test]
fn two_pulls_at_once_do_each_other_no_harm() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = filled(1, DOCUMENTS).await;
        let server = FakeServer::new(&there, &clock, 3);
        server.pack("one").await;
        let (blocks, here) = fresh(2);
        let clients = [Client::new(&here, &clock, 4), Client::new(&here, &clock, 5)];
        let options = ["peer", "same peer by another name"].map(options);
        let [first, second] = [0, 1].map(|one| clients[one].pull_from_snapshot(&server, &options[one]));
        let (first, second) = join(first, second).await;
        assert_eq!((first.unwrap().doc_write_failures, second.unwrap().doc_write_failures), (0, 0));
        assert_eq!(content(&here).await, content(&there).await);
        check_consistent(&here, "pulled twice");
        while here.kv().maintain(100_000).await.unwrap() {}
        here.kv().close().await;
        let again = repair_support::open(&blocks, 9, true).unwrap();
        check_consistent(&again, "opened again");
        check_writable(&again, "opened again");
    });
}
