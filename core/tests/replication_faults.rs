//! Replications whose network fails as a seed says, which are cancelled and resumed, and which run live.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod replication_support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firkin_core::database::WriteOptions;
use firkin_core::effects::Clock;
use firkin_core::replication::{Limits, Options, State};
use futures_util::future::join;
use replication_support::server::{FakeServer, Faults};
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, Memory, Seeded, Told, content, database, options, put};
use serde_json::{Value, json};

const FAULTS: Faults = Faults { lost_requests: 8, lost_answers: 8, cut_bodies: 8, errors: 8 };

/// Small batches, so that there are many requests to go wrong.
fn faulty(name: &str, random: &Seeded) -> Options {
    let limits = Limits {
        page_rows: 1 + random.below(12),
        batch_documents: usize::try_from(1 + random.below(6)).unwrap(),
        checkpoint_ms: random.below(500),
        ..Limits::default()
    };
    Options { retry: true, limits, ..options(name) }
}

/// Edits, deletions and new documents, as a seed says.
async fn edit(database: &Memory, random: &Seeded, tag: &str) {
    let id = format!("d{}", random.below(12));
    let known = content(database).await.remove(&id).unwrap_or_default();
    let content = (0..3 + random.below(4)).map(|byte| byte as u8).collect::<Vec<u8>>();
    let attachments = match random.below(3) {
        0 => json!({"a": {"content_type": "a/b", "data": STANDARD.encode(content)}}),
        _ => json!({}),
    };
    let leaf = |at: u64| known[usize::try_from(at).unwrap()]["_rev"].as_str().unwrap().to_string();
    if known.is_empty() || known[0]["_deleted"] == true {
        put(
            database,
            &json!({"_id": id, "by": tag, "n": random.below(1_000), "_attachments": attachments}).to_string(),
        )
        .await;
    } else if random.below(4) == 0 {
        let leaf = leaf(0);
        database.remove(&id, &leaf, &WriteOptions::default()).await.unwrap();
    } else {
        let alive: Vec<&Value> = known.iter().filter(|leaf| leaf["_deleted"] != true).collect();
        let at = random.below(alive.len() as u64);
        // Half of the edits keep what is attached.
        let kept = known[usize::try_from(at).unwrap()]["_attachments"]["a"]["digest"].as_str();
        let attachments = match kept {
            Some(digest) if random.below(2) == 0 => json!({"a": {"stub": true, "digest": digest}}),
            _ => attachments,
        };
        let rev = leaf(at);
        let n = random.below(1_000);
        put(database, &json!({"_id": id, "_rev": rev, "by": tag, "n": n, "_attachments": attachments}).to_string())
            .await;
    }
}

#[test]
fn replicas_agree_after_any_faults() {
    for seed in 0..150 {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let random = Seeded::new(seed);
            let (master, left, right) =
                (database(seed).await, database(seed + 1_000).await, database(seed + 2_000).await);
            let server = FakeServer::new(&master, &clock, seed);
            server.faults.set(FAULTS);
            let clients = [Client::new(&left, &clock, seed), Client::new(&right, &clock, seed + 5_000)];
            for round in 0..4 {
                for (client, tag) in clients.iter().zip(["left", "right"]) {
                    for _ in 0..random.below(15) {
                        edit(client.database, &random, tag).await;
                    }
                    if round % 2 == 0 && random.below(3) == 0 {
                        server.locked.set(true);
                    }
                    // Both ways at once, as a live sync runs them.
                    let options = faulty("master", &random);
                    let (pulled, pushed) = join(client.pull(&server, &options), client.push(&server, &options)).await;
                    assert_eq!(pulled.unwrap().state, State::Complete, "seed {seed}");
                    assert_eq!(pushed.unwrap().doc_write_failures, 0, "seed {seed}");
                }
            }
            for client in &clients {
                client.pull(&server, &faulty("master", &random)).await.unwrap();
            }
            let agreed = content(&master).await;
            assert!(!agreed.is_empty());
            assert_eq!(content(&left).await, agreed, "seed {seed}");
            assert_eq!(content(&right).await, agreed, "seed {seed}");
        });
    }
}

#[test]
fn cancelled_at_any_point_and_resumed_nothing_is_lost() {
    for seed in 0..200 {
        let clock = SimulatedClock::default();
        simulate(&clock, async {
            let random = Seeded::new(seed);
            let (there, here, further) = (database(1).await, database(2).await, database(3).await);
            for n in 0..60 {
                put(&there, &json!({"_id": format!("d{n}"), "n": n}).to_string()).await;
            }
            let (source, target) = (FakeServer::new(&there, &clock, seed), FakeServer::new(&further, &clock, seed));
            source.faults.set(Faults { lost_answers: 5, ..Faults::default() });
            target.faults.set(Faults { lost_answers: 5, ..Faults::default() });
            let mut cancelled = 0;
            loop {
                let client = Client::new(&here, &clock, random.next());
                let options = faulty("peer", &random);
                let cancel = async {
                    clock.sleep(random.below(150)).await;
                    client.control.cancel();
                };
                let work = async {
                    let pulled = client.pull(&source, &options).await.unwrap().state;
                    (pulled, client.push(&target, &options).await.unwrap().state)
                };
                let ((pulled, pushed), ()) = join(work, cancel).await;
                assert!([pulled, pushed].iter().all(|state| [State::Complete, State::Cancelled].contains(state)));
                // What was written up to the checkpoint is here, whatever was cancelled.
                if pulled == State::Complete {
                    assert_eq!(content(&here).await, content(&there).await, "seed {seed}");
                }
                if pushed == State::Complete {
                    break;
                }
                cancelled += 1;
                assert!(cancelled < 500, "seed {seed} never gets through");
            }
            assert_eq!(content(&further).await, content(&there).await, "seed {seed}");
            // And nothing is done again for ever: the checkpoints of both were written.
            let quiet = Options { retry: true, ..options("peer") };
            let client = Client::new(&here, &clock, seed);
            source.faults.set(Faults::default());
            assert_eq!(client.pull(&source, &quiet).await.unwrap().docs_read, 0);
        });
    }
}

#[test]
fn cancelling_ends_a_wait_at_once() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.faults.set(Faults { lost_requests: 100, ..Faults::default() });
        let client = Client::new(&here, &clock, 4);
        let options = Options { live: true, retry: true, ..options("peer") };
        let cancel = async {
            clock.sleep(100_000).await;
            client.control.cancel();
        };
        let (status, ()) = join(client.pull(&server, &options), cancel).await;
        assert_eq!((status.unwrap().state, clock.now_ms()), (State::Cancelled, 100_000));
        // Cancelled before it began: it asks nothing.
        server.requests.take();
        assert_eq!(client.push(&server, &options).await.unwrap().state, State::Cancelled);
        assert_eq!(server.requests.borrow().len(), 0);
    });
}

#[test]
fn back_off_grows_within_bounds_honours_retry_after_and_ends_when_woken() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.latency_ms.set(0);
        let client = Client::new(&here, &clock, 4);
        let options = Options { live: true, retry: true, ..options("peer") };
        let script = async {
            // The first checkpoint is written by then.
            clock.sleep(10_000).await;
            server.faults.set(Faults { lost_requests: 100, ..Faults::default() });
            clock.sleep(600_000).await;
            let waits: Vec<u64> = (client.told().into_iter())
                .filter_map(|told| if let Told::BackingOff(delay_ms) = told { Some(delay_ms) } else { None })
                .collect();
            for (attempt, delay_ms) in waits.iter().enumerate() {
                let longest = (500_u64 << attempt.min(20)).min(60_000);
                assert!((longest / 2..=longest).contains(delay_ms), "{waits:?}");
            }
            assert!((10..30).contains(&waits.len()), "{waits:?}");
            // A wake-up is worth a request at once.
            server.requests.take();
            server.faults.set(Faults::default());
            client.control.wake();
            clock.sleep(1).await;
            assert!(!server.requests.borrow().is_empty());
            server.script(|_| None);
            client.control.cancel();
        };
        join(client.pull(&server, &options), script).await.0.unwrap();

        let server = FakeServer::new(&there, &clock, 5);
        server.retry_after_ms.set(Some(90_000));
        server.faults.set(Faults { errors: 100, ..Faults::default() });
        let client = Client::new(&here, &clock, 6);
        let cancel = async {
            clock.sleep(200_000).await;
            client.control.cancel();
        };
        join(client.pull(&server, &options), cancel).await.0.unwrap();
        assert_eq!(server.requests.borrow().len(), 3);
    });
}

#[test]
fn backing_off_is_told_until_the_failing_request_is_answered() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        for n in 0..30 {
            put(&there, &json!({"_id": format!("d{n:02}")}).to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 3);
        server.gives_documents.set(false);
        // One of several batches in flight fails; the others are answered meanwhile.
        server.script(|request| {
            let fails = request.body.as_ref().is_some_and(|body| String::from_utf8_lossy(body).contains("\"d00\""));
            fails.then(|| (503, "{}".into()))
        });
        let client = Client::new(&here, &clock, 4);
        let limits = Limits { batch_documents: 10, ..Limits::default() };
        let options = Options { retry: true, limits, ..options("peer") };
        let script = async {
            clock.sleep(30_000).await;
            let told = client.told();
            assert!(!told.is_empty() && told.iter().all(|told| matches!(told, Told::BackingOff(_))), "{told:?}");
            server.script(|_| None);
            client.control.wake();
        };
        let (status, ()) = join(client.pull(&server, &options), script).await;
        assert_eq!((status.unwrap().state, content(&here).await.len()), (State::Complete, 30));
        assert_eq!(client.told().iter().filter(|told| **told == Told::Active).count(), 1);
    });
}

#[test]
fn live_sync_carries_edits_both_ways_and_rests_between_them() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (master, left, right) = (database(1).await, database(2).await, database(3).await);
        let server = FakeServer::new(&master, &clock, 4);
        server.latency_ms.set(50);
        let clients = [
            (Client::new(&left, &clock, 5), Client::new(&left, &clock, 6)),
            (Client::new(&right, &clock, 7), Client::new(&right, &clock, 8)),
        ];
        let live = Options { live: true, retry: true, ..options("master") };
        let sync = async |pair: &(Client<'_>, Client<'_>)| {
            let (pulled, pushed) = join(pair.0.pull(&server, &live), pair.1.push(&server, &live)).await;
            (pulled.unwrap(), pushed.unwrap())
        };
        let script = async {
            clock.sleep(5_000).await;
            assert_eq!(clients[0].0.told().iter().rfind(|told| **told != Told::Checkpoint), Some(&Told::Paused));
            put(&left, r#"{"_id":"a"}"#).await;
            let began = clock.now_ms();
            while content(&right).await.is_empty() {
                clock.sleep(5).await;
            }
            // Revs_diff, bulk_docs; then changes (waiting already) and bulk_get.
            assert!(clock.now_ms() - began <= 260, "took {} ms", clock.now_ms() - began);
            clock.sleep(60_000).await;
            // A night without anything: one longpoll now and then, and no checkpoints.
            server.requests.take();
            clock.sleep(3_600_000).await;
            assert_eq!(server.requests_of("PUT"), 0);
            assert!(server.requests.borrow().len() <= 2 * 3_600 / 20);
            // The connection breaks, edits go on, it comes back.
            server.faults.set(Faults { lost_requests: 100, ..Faults::default() });
            put(&left, r#"{"_id":"offline left"}"#).await;
            put(&right, r#"{"_id":"offline right"}"#).await;
            clock.sleep(500_000).await;
            assert!(matches!(clients[0].1.told().last(), Some(Told::BackingOff(_))));
            server.faults.set(Faults::default());
            clients.iter().for_each(|pair| {
                pair.0.control.wake();
                pair.1.control.wake();
            });
            clock.sleep(2_000).await;
            assert_eq!(content(&left).await.len(), 3);
            assert_eq!(content(&right).await, content(&left).await);
            assert_eq!(clients[0].1.told().last(), Some(&Told::Checkpoint));
            clients.iter().for_each(|pair| {
                pair.0.control.cancel();
                pair.1.control.cancel();
            });
        };
        let (statuses, ()) = join(join(sync(&clients[0]), sync(&clients[1])), script).await;
        for status in [statuses.0.0, statuses.0.1, statuses.1.0, statuses.1.1] {
            assert_eq!((status.state, status.doc_write_failures), (State::Cancelled, 0));
        }
    });
}

#[test]
fn live_pull_is_up_to_date_soon_after_its_peer_is_back_though_nothing_is_new() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        let client = Client::new(&here, &clock, 4);
        let options = Options { live: true, retry: true, ..options("peer") };
        let script = async {
            clock.sleep(5_000).await;
            server.faults.set(Faults { lost_requests: 100, ..Faults::default() });
            clock.sleep(200_000).await;
            assert!(matches!(client.told().last(), Some(Told::BackingOff(_))));
            server.faults.set(Faults::default());
            server.requests.take();
            client.control.wake();
            clock.sleep(1_000).await;
            assert_eq!(client.told().last(), Some(&Told::Paused));
            // It is held again, and no more than that.
            clock.sleep(1_000).await;
            assert_eq!(
                (server.requests_of("_changes"), server.requests_of("longpoll")),
                (2, 1),
                "{:?}",
                server.requests
            );
            client.control.cancel();
        };
        join(client.pull(&server, &options), script).await.0.unwrap();
    });
}

#[test]
fn spaced_live_writes_share_requests() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.latency_ms.set(50);
        let client = Client::new(&here, &clock, 4);
        let options = Options { live: true, retry: true, ..options("peer") };
        let writes = async {
            clock.sleep(5_000).await;
            server.requests.take();
            for n in 0..20 {
                put(&here, &json!({"_id": format!("n{n}")}).to_string()).await;
                clock.sleep(50).await;
            }
            clock.sleep(10_000).await;
            println!("20 spaced live writes took {} requests", server.requests.borrow().len());
            assert!(server.requests.borrow().len() <= 25, "{:?}", server.requests);
            assert_eq!(server.requests_of("_revs_diff"), 0, "new edits are brought without asking");
            assert_eq!(content(&there).await, content(&here).await);
            client.control.cancel();
        };
        join(client.push(&server, &options), writes).await.0.unwrap();
    });
}

#[test]
fn longpoll_that_answers_nothing_at_once_is_paced() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let (there, here) = (database(1).await, database(2).await);
        let server = FakeServer::new(&there, &clock, 3);
        server.script(|request| {
            let nothing = (200, r#"{"results":[],"last_seq":0,"pending":0}"#.into());
            request.path.starts_with("_changes").then_some(nothing)
        });
        let client = Client::new(&here, &clock, 4);
        let cancel = async {
            clock.sleep(60_000).await;
            client.control.cancel();
        };
        let options = Options { live: true, retry: true, ..options("peer") };
        join(client.pull(&server, &options), cancel).await.0.unwrap();
        assert!(server.requests.borrow().len() < 70, "{}", server.requests.borrow().len());
    });
}
