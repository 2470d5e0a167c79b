//! What takes long says how far it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{Seeded, put};
use firkin_core::database::{Database, Options, WriteOptions};
use firkin_core::path::Path;
use firkin_core::progress::{Listener, Progress, Task};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use pollster::block_on;
use serde_json::json;

type Told = Rc<RefCell<Vec<Progress>>>;

fn listener() -> (Listener, Told) {
    let told = Told::default();
    let heard = Rc::clone(&told);
    (Listener::new(move |progress| heard.borrow_mut().push(progress)), told)
}

/// What was told of `task`: it only goes up, and ends with all.
fn of(told: &Told, task: Task) -> Vec<u64> {
    let told: Vec<Progress> = told.take().into_iter().filter(|progress| progress.task == task).collect();
    let done: Vec<u64> = told.iter().map(|progress| progress.done).collect();
    assert!(done.is_sorted(), "{done:?}");
    assert_eq!(told.last().and_then(|last| last.total), done.last().copied());
    done
}

fn open(blocks: &MemoryBlocks, progress: &Listener, exclude: &[&str]) -> Database<LogStore<MemoryBlocks>> {
    let options = StoreOptions { progress: progress.clone(), ..StoreOptions::new([1; 16]) };
    let exclude = exclude.iter().map(|path| Path::parse(path)).collect();
    let options_of_database = Options { exclude, ..Options::default() };
    block_on(async {
        let store = LogStore::open(blocks.clone(), options).await.unwrap();
        Database::open_with(store, &Seeded::new(1), options_of_database, progress.clone()).await.unwrap()
    })
}

fn write(database: &Database<LogStore<MemoryBlocks>>, count: usize) {
    let texts: Vec<String> = (0..count).map(|n| json!({ "_id": format!("{n}"), "n": n }).to_string()).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    block_on(database.bulk_docs(&texts, true, &WriteOptions::default())).unwrap();
}

#[test]
fn a_write_of_many_documents_an_index_made_anew_and_a_long_log_tell_how_far_they_are() {
    let (progress, told) = listener();
    let blocks = MemoryBlocks::new();
    let database = open(&blocks, &progress, &[]);
    write(&database, 1_700);
    assert_eq!(of(&told, Task::Write), [0, 500, 1_000, 1_500, 1_700]);
    for n in 0..200 {
        put(&database, &json!({ "_id": format!("single {n}") })).unwrap();
    }
    assert!(of(&told, Task::Write).is_empty());
    drop(database);

    let database = open(&blocks, &progress, &["n"]);
    let all = told.borrow().clone();
    let replayed = of(&Rc::new(RefCell::new(all)), Task::Open);
    assert!(replayed.len() > 2 && replayed.last() >= Some(&200), "{replayed:?}");
    let posted = of(&told, Task::Index);
    assert_eq!((posted.len(), posted.last()), (4, Some(&1_900)));
    drop(database);

    open(&blocks, &progress, &["n"]);
    assert!(of(&told, Task::Index).is_empty(), "the index was as it should be");
}

#[test]
fn a_repair_tells_how_far_it_is() {
    let (progress, told) = listener();
    let blocks = MemoryBlocks::new();
    write(&open(&blocks, &Listener::default(), &[]), 1_700);
    let options = StoreOptions { progress, ..StoreOptions::new([2; 16]) };
    let repaired = block_on(Database::repair(blocks, options, &Seeded::new(2), &Options::default()));
    assert_eq!(repaired.unwrap().1.documents, 1_700);
    let repairs = told.borrow().iter().filter(|progress| progress.task == Task::Repair).count();
    assert!(repairs > 8, "{repairs}");
    assert_eq!(told.borrow().last().map(|last| (last.done, last.total)), Some((1_700, Some(1_700))));
}
