//! Live queries over a storage that takes its time: commits that are there before they are published, reads that commits
//! overtake, and readers that give up midway. Every run is told by its seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod live_support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use common::Seeded;
use firkin_core::database::Database;
use firkin_core::query::FindQuery;
use firkin_core::storage::memory::{MemoryCursor, MemoryKv, MemorySnapshot};
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use live_support::{Reader, any_query, any_write, find, many, open, parse, put, write};
use serde_json::json;

/// A store in memory that lets others run before, during and after whatever it does.
#[derive(Clone)]
struct SlowKv {
    inner: MemoryKv,
    random: Rc<Seeded>,
    /// How many commits there were.
    commits: Rc<Cell<usize>>,
}

#[derive(Clone)]
struct SlowSnapshot {
    inner: MemorySnapshot,
    random: Rc<Seeded>,
}

struct SlowCursor {
    inner: MemoryCursor,
    random: Rc<Seeded>,
}

/// Pending for a while: for `shortest` polls, or up to `longest`.
async fn dawdle(random: &Seeded, shortest: usize, longest: usize) {
    for _ in 0..shortest + random.below(longest + 1 - shortest) {
        let mut has_waited = false;
        let wait = |context: &mut Context<'_>| {
            if std::mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        };
        std::future::poll_fn(wait).await;
    }
}

impl Kv for SlowKv {
    type Snapshot = SlowSnapshot;

    fn snapshot(&self) -> Result<SlowSnapshot, StorageError> {
        Ok(SlowSnapshot { inner: self.inner.snapshot()?, random: Rc::clone(&self.random) })
    }

    async fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StorageError> {
        dawdle(&self.random, 0, 3).await;
        self.inner.commit(batch, durability).await?;
        self.commits.set(self.commits.get() + 1);
        // It is there, and whoever waits for the commit does not know it yet. (The oracle is asked between two polls.)
        dawdle(&self.random, 1, 40).await;
        Ok(())
    }
}

impl Snapshot for SlowSnapshot {
    type Cursor = SlowCursor;

    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        dawdle(&self.random, 0, 1).await;
        self.inner.get(key).await
    }

    fn range(&self, range: KeyRange, direction: Direction) -> Result<SlowCursor, StorageError> {
        Ok(SlowCursor { inner: self.inner.range(range, direction)?, random: Rc::clone(&self.random) })
    }
}

impl Cursor for SlowCursor {
    async fn advance(&mut self) -> Result<bool, StorageError> {
        dawdle(&self.random, 0, 1).await;
        self.inner.advance().await
    }

    fn key(&self) -> &[u8] {
        self.inner.key()
    }

    fn value(&self) -> &[u8] {
        self.inner.value()
    }
}

/// The answers that a query had, one after the other, without what was the same twice.
type Answers = RefCell<Vec<Vec<String>>>;

/// Reads on and on; now and then gives a reading up and begins it again.
async fn follow(
    database: &Database<SlowKv>,
    query: &FindQuery,
    answers: &Answers,
    list: &RefCell<Vec<String>>,
    random: Seeded,
) {
    dawdle(&random, 0, 200).await;
    let mut reader = Reader::new(database, query);
    let mut at = 0;
    loop {
        let difference = {
            let patience = if random.below(3) == 0 { random.below(20) } else { usize::MAX };
            let mut next = std::pin::pin!(reader.live.next(database));
            let mut polls = 0;
            std::future::poll_fn(|context| {
                polls += 1;
                match next.as_mut().poll(context) {
                    Poll::Pending if polls > patience => Poll::Ready(None),
                    poll => poll.map(Some),
                }
            })
            .await
        };
        let Some(difference) = difference else { continue };
        let is_slow = random.below(2) == 0;
        reader.apply(&difference.unwrap());
        // It is what the query answered at one moment, and never an earlier one than before.
        let later = answers.borrow().iter().skip(at).position(|answer| *answer == reader.list);
        at += later.unwrap_or_else(|| {
            panic!("{query:?}: {:#?} was never the answer after {:#?}", reader.list, answers.borrow()[at])
        });
        list.replace(reader.list.clone());
        dawdle(&random, 0, if is_slow { 200 } else { 0 }).await;
    }
}

fn run(seed: u64) {
    let random = Rc::new(Seeded::new(seed));
    let (kv, commits) = (MemoryKv::new(), Rc::new(Cell::new(0)));
    let database = open(SlowKv { inner: kv.clone(), random: Rc::clone(&random), commits: Rc::clone(&commits) });
    let ids = if seed.is_multiple_of(2) { 15 } else { 80 };
    pollster::block_on(write(&database, &many(&random, ids)));
    // The oracle reads the same content at once.
    let oracle = || open(kv.clone());
    let queries: Vec<FindQuery> = (0..3).map(|_| parse(&any_query(&random))).collect();
    let answers: Vec<Answers> = queries.iter().map(|query| RefCell::new(vec![find(&oracle(), query)])).collect();
    let lists: Vec<RefCell<Vec<String>>> = queries.iter().map(|_| RefCell::default()).collect();
    let is_written = Cell::new(false);
    let writer = async {
        for _ in 0..25 {
            write(&database, &any_write(&random, &oracle(), ids)).await;
            dawdle(&random, 0, 30).await;
        }
        is_written.set(true);
    };
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = vec![Box::pin(writer)];
    for ((query, answers), list) in queries.iter().zip(&answers).zip(&lists) {
        let random = Seeded::new(seed + tasks.len() as u64);
        tasks.push(Box::pin(follow(&database, query, answers, list, random)));
    }
    let mut context = Context::from_waker(Waker::noop());
    let (mut seen, mut rest) = (commits.get(), 20_000);
    while rest > 0 {
        let task = random.below(tasks.len());
        if task == 0 && is_written.get() {
            rest -= 1;
            continue;
        }
        let _ = tasks[task].as_mut().poll(&mut context);
        if commits.get() > seen {
            seen = commits.get();
            for (query, answers) in queries.iter().zip(&answers) {
                let answer = find(&oracle(), query);
                if answers.borrow().last() != Some(&answer) {
                    answers.borrow_mut().push(answer);
                }
            }
        }
        let are_done =
            || lists.iter().zip(&answers).all(|(list, answers)| answers.borrow().last() == Some(&*list.borrow()));
        if is_written.get() && rest > 500 && are_done() {
            rest = 500;
        }
    }
    for (list, answers) in lists.iter().zip(&answers) {
        assert_eq!(Some(&*list.borrow()), answers.borrow().last(), "seed {seed}: the last difference was not told");
    }
}

#[test]
fn a_commit_that_is_there_and_not_published_is_not_mixed_into_a_window() {
    let commits = Rc::new(Cell::new(0));
    let kv = SlowKv { inner: MemoryKv::new(), random: Rc::new(Seeded::new(1)), commits: Rc::clone(&commits) };
    let database = open(kv);
    let document = |n: usize| json!({ "_id": format!("d{n}"), "n": n });
    let revs: Vec<String> = (10..90).map(|n| put(&database, &document(n))).collect();
    let query = parse(&json!({ "selector": {}, "sort": ["n"], "limit": 2, "fields": ["_id"] }));
    let mut reader = Reader::new(&database, &query);
    reader.wait(&database);
    let rows = reader.live.stats().rows as usize;
    let gone = |n: usize| json!({ "_id": format!("d{}", n + 10), "_rev": revs[n], "_deleted": true }).to_string();
    pollster::block_on(write(&database, &((0..rows).map(gone).collect(), true)));
    // The first document behind the rows that were kept goes to the front.
    let next = json!({ "_id": format!("d{}", rows + 10), "_rev": revs[rows], "n": -1 }).to_string();
    let write = (vec![next], true);
    let mut writing = std::pin::pin!(live_support::write(&database, &write));
    let seen = commits.get();
    while commits.get() == seen {
        assert!(writing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    reader.wait(&database);
    let shown = |n: usize| json!({ "_id": format!("d{}", n + 10) }).to_string();
    assert_eq!(reader.list, [shown(rows), shown(rows + 1)]);
}

#[test]
fn whatever_overtakes_what_every_list_was_once_the_answer_and_the_last_one_is() {
    for seed in 0..150 {
        run(seed);
    }
}
