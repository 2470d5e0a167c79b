//! Consumers of the changes feed: where they are is remembered, moves one way, and a crash hides nothing from them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::Seeded;
use firkin_core::database::{
    CONSUMER_NAME_BYTES_MAX, ChangesPage, ChangesQuery, Consumer, ConsumerError, Database, Options, Since, WriteOptions,
};
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, memory::MemoryKv};
use pollster::block_on;
use serde_json::json;

type Memory = Database<MemoryKv>;
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(kv: MemoryKv, seed: u64) -> Memory {
    block_on(Database::open(kv, &Seeded::new(seed), Options::default())).unwrap()
}

/// Writes the next revision of a document, whatever its latest is.
fn put(database: &Memory, id: &str, n: usize) {
    let write = WriteOptions { force: true, ..WriteOptions::default() };
    block_on(database.put(json!({ "_id": id, "n": n }).to_string().as_bytes(), &write)).unwrap();
}

fn page(database: &Memory, since: &str, limit: u64) -> ChangesPage {
    let query = ChangesQuery { since: Since::Token(since.into()), limit: Some(limit), ..ChangesQuery::default() };
    block_on(database.changes(&query)).unwrap()
}

fn ids(page: &ChangesPage) -> Vec<&str> {
    page.rows.iter().map(|row| row.id.as_str()).collect()
}

fn begin(database: &Memory, name: &str, since: Since) -> String {
    block_on(database.open_consumer(name, &since)).unwrap()
}

fn records(database: &Memory) -> Records {
    let mut cursor = database.kv().snapshot().unwrap().range(KeyRange::all(), Direction::Forward).unwrap();
    let mut records = Records::new();
    while block_on(cursor.advance()).unwrap() {
        records.insert(cursor.key().to_vec(), cursor.value().to_vec());
    }
    records
}

/// A store that holds what survived.
fn restored(records: &Records) -> MemoryKv {
    let kv = MemoryKv::new();
    let mut batch = Batch::new();
    records.iter().for_each(|(key, value)| batch.put(key, value));
    block_on(kv.commit(batch, Durability::Strict)).unwrap();
    kv
}

#[test]
fn new_consumer_begins_at_since_which_says_nothing_to_one_that_is_known() {
    let kv = MemoryKv::new();
    let database = open(kv.clone(), 1);
    put(&database, "a", 1);
    let second = page(&database, "0", 1).last_seq;
    put(&database, "b", 1);
    assert_eq!(begin(&database, "all", Since::Start), "0");
    assert_eq!(begin(&database, "some", Since::Token(second.clone())), second);
    let now = begin(&database, "new", Since::Now);
    put(&database, "c", 1);
    let reopened = open(kv, 2);
    for since in [Since::Start, Since::Now, Since::Token(second)] {
        assert_eq!(ids(&page(&reopened, &begin(&reopened, "all", since.clone()), 9)), ["a", "b", "c"]);
        assert_eq!(ids(&page(&reopened, &begin(&reopened, "some", since.clone()), 9)), ["b", "c"]);
        assert_eq!(begin(&reopened, "new", since), now);
    }
    assert_eq!(ids(&page(&reopened, &now, 9)), ["c"]);
}

#[test]
fn position_moves_forward_only_and_is_there_after_the_next_open() {
    let kv = MemoryKv::new();
    let database = open(kv.clone(), 1);
    for n in 0..4 {
        put(&database, &format!("d{n}"), n);
    }
    begin(&database, "mail", Since::Start);
    let (early, late) = (page(&database, "0", 1).last_seq, page(&database, "0", 3).last_seq);
    assert_eq!(block_on(database.acknowledge("mail", &late)), Ok(late.clone()));
    for earlier in [early.as_str(), "0", "3-00000000"] {
        assert_eq!(block_on(database.acknowledge("mail", earlier)), Ok(late.clone()));
    }
    let reopened = open(kv, 2);
    assert_eq!(block_on(reopened.consumer_position("mail")), Ok(Some(late.clone())));
    assert_eq!(ids(&page(&reopened, &late, 9)), ["d3"]);
    // A number without an epoch, and one beyond the end.
    let end = block_on(reopened.info()).unwrap().update_seq;
    assert_eq!(block_on(reopened.acknowledge("mail", "99999")), Ok(end));
}

#[test]
fn what_is_no_consumer_or_no_sequence_is_refused_and_changes_nothing() {
    let database = open(MemoryKv::new(), 1);
    put(&database, "a", 1);
    begin(&database, "mail", Since::Now);
    let before = records(&database);
    let long = "n".repeat(CONSUMER_NAME_BYTES_MAX + 1);
    for name in ["", &long] {
        assert_eq!(block_on(database.open_consumer(name, &Since::Start)), Err(ConsumerError::Name));
        assert_eq!(block_on(database.consumer_position(name)), Err(ConsumerError::Name));
        assert_eq!(block_on(database.remove_consumer(name)), Err(ConsumerError::Name));
    }
    let nonsense = Since::Token("nonsense".into());
    assert_eq!(block_on(database.open_consumer("other", &nonsense)), Err(ConsumerError::Sequence));
    assert_eq!(block_on(database.acknowledge("mail", "nonsense")), Err(ConsumerError::Sequence));
    assert_eq!(block_on(database.acknowledge("nobody", "0")), Err(ConsumerError::Missing));
    assert_eq!(block_on(database.remove_consumer("nobody")), Err(ConsumerError::Missing));
    assert_eq!(records(&database), before);
    let told = [ConsumerError::Name, ConsumerError::Sequence, ConsumerError::Missing].map(|error| error.report());
    assert_eq!(
        told.map(|report| (report.status, report.name)),
        [(400, "bad_request"), (400, "bad_request"), (404, "not_found")]
    );
}

#[test]
fn consumers_are_listed_and_forgotten_one_by_one() {
    let database = open(MemoryKv::new(), 1);
    put(&database, "a", 1);
    let end = begin(&database, "b", Since::Now);
    let longest = "x".repeat(CONSUMER_NAME_BYTES_MAX);
    for name in ["b c", "", &longest, "é"] {
        // The empty name is refused.
        let _ = block_on(database.open_consumer(name, &Since::Start));
    }
    let listed = || -> Vec<(String, String)> {
        let consumers = block_on(database.consumers()).unwrap();
        consumers.into_iter().map(|Consumer { name, position }| (name, position)).collect()
    };
    let rest = [("b c", "0"), (longest.as_str(), "0"), ("é", "0")].map(|(name, seq)| (name.into(), seq.into()));
    assert_eq!(listed(), [&[("b".into(), end)], rest.as_slice()].concat());
    block_on(database.remove_consumer("b")).unwrap();
    assert_eq!(listed(), rest);
    assert_eq!(block_on(database.consumer_position("b")), Ok(None));
    // Whoever comes by that name is new.
    assert_eq!(begin(&database, "b", Since::Start), "0");
}

#[test]
fn consumers_are_no_part_of_the_feed_and_wake_nobody() {
    let database = open(MemoryKv::new(), 1);
    put(&database, "a", 1);
    let info = block_on(database.info()).unwrap();
    let mut changed = database.changed();
    begin(&database, "mail", Since::Start);
    block_on(database.acknowledge("mail", &info.update_seq)).unwrap();
    block_on(database.remove_consumer("mail")).unwrap();
    assert_eq!(block_on(database.info()).unwrap(), info);
    assert_eq!(page(&database, "0", 9).rows.len(), 1);
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    assert!(std::pin::Pin::new(&mut changed).poll(&mut context).is_pending());
}

/// A reader takes pages, handles them, and says so late or never; now and then the database is cut back to what an earlier
/// commit left, so that sequences are used again. Whatever is there in the end was handled.
#[test]
fn nothing_is_skipped_whatever_a_crash_takes() {
    let (mut crashes, mut twice) = (0, 0);
    for seed in 0..400 {
        let random = Seeded::new(seed);
        let mut database = open(MemoryKv::new(), seed * 100);
        begin(&database, "mail", Since::Start);
        let mut commits = vec![records(&database)];
        let mut handled: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
        let mut reader = String::from("0");
        for step in 0..60 {
            match random.below(12) {
                0..5 => put(&database, &format!("d{}", random.below(6)), step),
                5..8 => {
                    let page = page(&database, &reader, 1 + random.below(3) as u64);
                    for row in page.rows {
                        twice += usize::from(!handled.insert((row.id, row.revs)));
                    }
                    reader = page.last_seq;
                }
                8..10 => {
                    block_on(database.acknowledge("mail", &reader)).unwrap();
                }
                10 => reader = begin(&database, "mail", Since::Now),
                _ => {
                    crashes += 1;
                    let lost = random.below(6);
                    commits.truncate(commits.len().saturating_sub(lost).max(1));
                    database = open(restored(commits.last().unwrap()), seed * 100 + step as u64 + 1);
                    // Whatever takes commits along takes the reader too; it may outlive the end of the engine alone.
                    if lost > 0 || random.below(2) == 0 {
                        reader = begin(&database, "mail", Since::Now);
                    }
                }
            }
            commits.push(records(&database));
        }
        let rest = page(&database, &begin(&database, "mail", Since::Now), u64::MAX);
        handled.extend(rest.rows.into_iter().map(|row| (row.id, row.revs)));
        for row in page(&database, "0", u64::MAX).rows {
            assert!(handled.contains(&(row.id.clone(), row.revs)), "seed {seed}: {} was skipped", row.id);
        }
    }
    assert!(crashes > 100 && twice > 0, "{crashes} crashes, {twice} delivered twice");
}
