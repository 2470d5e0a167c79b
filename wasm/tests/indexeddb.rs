//! Blocks in the browser's real IndexedDB.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::rc::Rc;

use firkin_core::effects::Clock;
use firkin_core::storage::blocks::{BLOCK_BYTES_MAX, BlockBatch, BlockKey, Blocks};
use firkin_core::storage::{Durability, StorageError};
use firkin_wasm::clock::BrowserClock;
use firkin_wasm::indexeddb::{self, IndexedDbBlocks};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A database of its own for each test, empty at first.
async fn fresh(name: &str) -> IndexedDbBlocks {
    indexeddb::destroy(name).await.unwrap();
    open(name).await
}

async fn open(name: &str) -> IndexedDbBlocks {
    IndexedDbBlocks::open(name, false, None, |_, _| {}).await.unwrap().unwrap()
}

fn puts(blocks: &[(BlockKey, &[u8])]) -> BlockBatch {
    BlockBatch { puts: blocks.iter().map(|(key, block)| (*key, block.to_vec())).collect(), ..BlockBatch::default() }
}

#[wasm_bindgen_test]
async fn blocks_come_back_in_the_order_asked_for() {
    let blocks = fresh("order").await;
    let batch = puts(&[(BlockKey::MANIFEST, b"manifest"), (BlockKey::log(7), b"log"), (BlockKey::segment(9), b"")]);
    blocks.commit(batch, Durability::Relaxed).await.unwrap();
    let asked = [BlockKey::segment(9), BlockKey::log(8), BlockKey::MANIFEST, BlockKey::log(7), BlockKey::log(7)];
    let found = blocks.read(&asked).await.unwrap();
    let expected: [Option<&[u8]>; 5] = [Some(b""), None, Some(b"manifest"), Some(b"log"), Some(b"log")];
    assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    assert_eq!(blocks.read(&[]).await.unwrap(), Vec::<Option<Vec<u8>>>::new());
}

#[wasm_bindgen_test]
async fn of_blocks_with_consecutive_keys_those_are_told_that_are_missing() {
    let blocks = fresh("rows").await;
    let keys: Vec<BlockKey> = (10..18).map(BlockKey::segment).collect();
    let contents: Vec<[u8; 1]> = (10..18).map(|number| [number]).collect();
    let stored: Vec<(BlockKey, &[u8])> = keys.iter().copied().zip(contents.iter().map(<[u8; 1]>::as_slice)).collect();
    blocks.commit(puts(&stored), Durability::Relaxed).await.unwrap();
    let whole: Vec<Option<Vec<u8>>> = contents.iter().map(|content| Some(content.to_vec())).collect();
    assert_eq!(blocks.read(&keys).await.unwrap(), whole);
    let backwards: Vec<BlockKey> = keys.iter().rev().copied().collect();
    assert_eq!(blocks.read(&backwards).await.unwrap(), whole.iter().rev().cloned().collect::<Vec<_>>());
    blocks.commit(BlockBatch { deletes: vec![keys[3]], ..BlockBatch::default() }, Durability::Relaxed).await.unwrap();
    let mut holed = whole.clone();
    holed[3] = None;
    assert_eq!(blocks.read(&keys).await.unwrap(), holed);
    let and_one_before = [&[BlockKey::segment(2)], keys.as_slice()].concat();
    assert_eq!(blocks.read(&and_one_before).await.unwrap(), [vec![None], holed].concat());
}

#[wasm_bindgen_test]
async fn a_strict_commit_is_there_after_reopening() {
    let blocks = fresh("reopen").await;
    let block: Vec<u8> = (0..BLOCK_BYTES_MAX).map(|at| at as u8).collect();
    blocks.commit(puts(&[(BlockKey::segment(1), &block)]), Durability::Strict).await.unwrap();
    drop(blocks);
    let blocks = open("reopen").await;
    assert_eq!(blocks.read(&[BlockKey::segment(1)]).await.unwrap(), vec![Some(block)]);
}

#[wasm_bindgen_test]
async fn keys_are_ascending_and_both_ends_belong_to_the_range() {
    let blocks = fresh("keys").await;
    let last = BlockKey::log((1 << 48) - 1);
    let all = [BlockKey::log(0), BlockKey::log(2), last, BlockKey::segment(0), BlockKey::MANIFEST, BlockKey::epoch()];
    blocks.commit(puts(&all.map(|key| (key, b"x".as_slice()))), Durability::Relaxed).await.unwrap();
    let logs = blocks.keys(BlockKey::log(0), last).await.unwrap();
    assert_eq!(logs, vec![BlockKey::log(0), BlockKey::log(2), last]);
    assert_eq!(blocks.keys(BlockKey::log(3), BlockKey::log(9)).await.unwrap(), vec![]);
    let every = blocks.keys(BlockKey::MANIFEST, BlockKey::epoch()).await.unwrap();
    assert_eq!(every.len(), all.len());
    assert!(every.is_sorted());
}

#[wasm_bindgen_test]
async fn a_commit_writes_and_deletes_in_one_step() {
    let blocks = fresh("delete").await;
    blocks.commit(puts(&[(BlockKey::log(1), b"old"), (BlockKey::log(2), b"kept")]), Durability::Relaxed).await.unwrap();
    let mut batch = puts(&[(BlockKey::log(2), b"new")]);
    batch.deletes = vec![BlockKey::log(1), BlockKey::log(99)];
    blocks.commit(batch, Durability::Relaxed).await.unwrap();
    let found = blocks.read(&[BlockKey::log(1), BlockKey::log(2)]).await.unwrap();
    assert_eq!(found, vec![None, Some(b"new".to_vec())]);
}

#[wasm_bindgen_test]
async fn blocks_that_follow_one_another_are_deleted_and_their_neighbours_stay() {
    let blocks = fresh("neighbours").await;
    let keys: Vec<BlockKey> = (10..22).map(BlockKey::segment).collect();
    let stored: Vec<(BlockKey, &[u8])> = keys.iter().map(|key| (*key, b"a block".as_slice())).collect();
    blocks.commit(puts(&stored), Durability::Relaxed).await.unwrap();
    let guard = Some((BlockKey::epoch(), b"epoch of one who owns it".to_vec()));
    // Two beside each other, one alone, three downwards, and one that is not there.
    let deletes = [1, 2, 4, 9, 8, 7, 50].map(|place| BlockKey::segment(10 + place)).to_vec();
    blocks.commit(BlockBatch { guard, deletes, ..BlockBatch::default() }, Durability::Relaxed).await.unwrap();
    let left: Vec<BlockKey> = [0, 3, 5, 6, 10, 11].map(|place| BlockKey::segment(10 + place)).to_vec();
    assert_eq!(blocks.keys(BlockKey::segment(0), BlockKey::segment(100)).await.unwrap(), left);
}

#[wasm_bindgen_test]
async fn a_commit_whose_guard_fails_changes_nothing() {
    let blocks = fresh("guard").await;
    for epoch in [b"first".as_slice(), b"second", b"mine"] {
        blocks.commit(puts(&[(BlockKey::epoch(), epoch)]), Durability::Relaxed).await.unwrap();
    }
    blocks.commit(puts(&[(BlockKey::log(1), b"old")]), Durability::Relaxed).await.unwrap();
    for expected in [b"first".as_slice(), b"second"] {
        for durability in [Durability::Relaxed, Durability::Strict] {
            let mut batch = puts(&[(BlockKey::log(1), b"new"), (BlockKey::log(2), b"new")]);
            batch.deletes = vec![BlockKey::epoch()];
            batch.guard = Some((BlockKey::epoch(), expected.to_vec()));
            assert_eq!(blocks.commit(batch, durability).await, Err(StorageError::Fenced));
        }
    }
    let found = blocks.read(&[BlockKey::epoch(), BlockKey::log(1), BlockKey::log(2)]).await.unwrap();
    assert_eq!(found, vec![Some(b"mine".to_vec()), Some(b"old".to_vec()), None]);
}

#[wasm_bindgen_test]
async fn those_that_are_gone_need_no_fence() {
    let take_over = async |living: &[&str], epoch: &[u8]| {
        let living = living.iter().map(|owner| String::from(*owner)).collect();
        let blocks = IndexedDbBlocks::open("fences", false, Some(living), |_, _| {}).await.unwrap().unwrap();
        blocks.commit(puts(&[(BlockKey::epoch(), epoch)]), Durability::Relaxed).await.unwrap();
        blocks
    };
    drop(fresh("fences").await);
    let write = async |blocks: &IndexedDbBlocks, epoch: &[u8]| {
        let guard = Some((BlockKey::epoch(), epoch.to_vec()));
        let batch = BlockBatch { guard, ..puts(&[(BlockKey::log(1), epoch)]) };
        blocks.commit(batch, Durability::Relaxed).await
    };
    let [one, other] = ["000000000000000a", "000000000000000b"];
    let [first, second, third] = [b"\0\0\0\0\0\0\0\x0aaaaa", b"\0\0\0\0\0\0\0\x0bbbbb", b"\0\0\0\0\0\0\0\x0acccc"];
    take_over(&[one, other], first).await;
    take_over(&[one, other], second).await;
    let blocks = take_over(&[one, other], third).await;
    for epoch in [first, second] {
        assert_eq!(write(&blocks, epoch).await, Err(StorageError::Fenced));
    }
    assert_eq!(write(&blocks, third).await, Ok(()));
    // The other is gone, so that nothing keeps its epoch out any more.
    let blocks = take_over(&[one], first).await;
    assert_eq!(write(&blocks, third).await, Err(StorageError::Fenced));
    assert_eq!(write(&blocks, second).await, Ok(()));
}

#[wasm_bindgen_test]
async fn a_takeover_under_a_guard_is_refused_where_another_has_taken_over_since() {
    drop(fresh("claims").await);
    let owner = String::from("000000000000000a");
    let told = Rc::new(RefCell::new(Vec::new()));
    let hears = Rc::clone(&told);
    let alone = IndexedDbBlocks::open("claims", false, Some(vec![owner.clone()]), move |name, _| {
        hears.borrow_mut().push(String::from(name));
    });
    let alone = alone.await.unwrap().unwrap();
    assert!(alone.is_undisputed());
    let others = IndexedDbBlocks::open("claims", false, Some(vec![owner, "b".repeat(16)]), |_, _| {});
    let others = others.await.unwrap().unwrap();
    assert!(!others.is_undisputed());
    let take_over = async |blocks: &IndexedDbBlocks, since: &[u8], epoch: &[u8]| {
        let batch = BlockBatch {
            guard: Some((BlockKey::epoch(), since.to_vec())),
            deletes: vec![BlockKey::log(1)],
            ..puts(&[(BlockKey::epoch(), epoch)])
        };
        blocks.commit(batch, Durability::Relaxed).await
    };
    others
        .commit(puts(&[(BlockKey::epoch(), b"first"), (BlockKey::log(1), b"torn")]), Durability::Relaxed)
        .await
        .unwrap();
    assert_eq!(take_over(&alone, b"other", b"late").await, Err(StorageError::Fenced));
    let found = alone.read(&[BlockKey::epoch(), BlockKey::log(1)]).await.unwrap();
    assert_eq!(found, vec![Some(b"first".to_vec()), Some(b"torn".to_vec())]);
    assert_eq!(take_over(&alone, b"first", b"second").await, Ok(()));
    assert_eq!(alone.read(&[BlockKey::epoch(), BlockKey::log(1)]).await.unwrap(), vec![Some(b"second".to_vec()), None]);
    assert_eq!(take_over(&others, b"first", b"third").await, Err(StorageError::Fenced));
    assert_eq!(*told.borrow(), ["writes", "writes"]);
}

#[wasm_bindgen_test]
async fn a_commit_whose_guard_holds_goes_through_and_may_replace_the_guard() {
    let blocks = fresh("guarded").await;
    blocks.commit(puts(&[(BlockKey::epoch(), b"1")]), Durability::Relaxed).await.unwrap();
    let mut batch = puts(&[(BlockKey::epoch(), b"2"), (BlockKey::log(1), b"new")]);
    batch.guard = Some((BlockKey::epoch(), b"1".to_vec()));
    blocks.commit(batch, Durability::Strict).await.unwrap();
    let found = blocks.read(&[BlockKey::epoch(), BlockKey::log(1)]).await.unwrap();
    assert_eq!(found, vec![Some(b"2".to_vec()), Some(b"new".to_vec())]);
}

#[wasm_bindgen_test]
async fn new_blocks_are_added_once_and_of_none_that_is_there_anything_changes() {
    let blocks = fresh("new").await;
    let add = async |numbers: &[u64], bytes: &'static [u8]| {
        let new: Vec<(BlockKey, &[u8])> = numbers.iter().map(|number| (BlockKey::log(*number), bytes)).collect();
        blocks.commit(BlockBatch { are_new: true, ..puts(&new) }, Durability::Relaxed).await
    };
    assert_eq!(add(&[1, 2], b"first").await, Ok(()));
    assert_eq!(add(&[3, 2], b"second").await, Err(StorageError::Fenced));
    let found = blocks.read(&[1, 2, 3].map(BlockKey::log)).await.unwrap();
    assert_eq!(found, vec![Some(b"first".to_vec()), Some(b"first".to_vec()), None]);
}

#[wasm_bindgen_test]
async fn new_blocks_whose_guard_does_not_hold_are_not_told_to_be_there() {
    let blocks = fresh("new and guarded").await;
    blocks.commit(puts(&[(BlockKey::epoch(), b"1")]), Durability::Relaxed).await.unwrap();
    let add = async |number: u64, epoch: &[u8]| {
        let guard = Some((BlockKey::epoch(), epoch.to_vec()));
        let batch = BlockBatch { guard, are_new: true, ..puts(&[(BlockKey::log(number), b"new")]) };
        blocks.commit(batch, Durability::Relaxed).await
    };
    assert_eq!(add(1, b"1").await, Ok(()));
    assert_eq!(add(2, b"0").await, Err(StorageError::Fenced));
}

#[wasm_bindgen_test]
async fn of_two_commits_with_one_guard_only_the_first_goes_through() {
    let blocks = fresh("race").await;
    let rival = open("race").await;
    blocks.commit(puts(&[(BlockKey::epoch(), b"1")]), Durability::Relaxed).await.unwrap();
    let take_over = |name: &[u8]| BlockBatch {
        guard: Some((BlockKey::epoch(), b"1".to_vec())),
        ..puts(&[(BlockKey::epoch(), name)])
    };
    let (first, second) = futures_util::join!(
        blocks.commit(take_over(b"first"), Durability::Relaxed),
        rival.commit(take_over(b"second"), Durability::Relaxed),
    );
    assert_eq!((first, second), (Ok(()), Err(StorageError::Fenced)));
    assert_eq!(blocks.read(&[BlockKey::epoch()]).await.unwrap(), vec![Some(b"first".to_vec())]);
}

#[wasm_bindgen_test]
async fn a_commit_asks_the_browser_for_the_durability_that_it_was_given() {
    let blocks = fresh("durability").await;
    let spy = js_sys::eval(
        "(() => { const plain = IDBDatabase.prototype.transaction, seen = []
            IDBDatabase.prototype.transaction = function (...all) {
                const transaction = plain.apply(this, all); seen.push(transaction.durability); return transaction }
            return () => { IDBDatabase.prototype.transaction = plain; return seen.join() } })()",
    );
    let spy: js_sys::Function = spy.unwrap().into();
    for durability in [Durability::Strict, Durability::Relaxed] {
        blocks.commit(puts(&[(BlockKey::log(1), b"x")]), durability).await.unwrap();
    }
    assert_eq!(spy.call0(&JsValue::UNDEFINED).unwrap().as_string().unwrap(), "strict,relaxed");
}

#[wasm_bindgen_test]
async fn destroying_takes_the_database_from_those_who_hold_it_open() {
    indexeddb::destroy("lost").await.unwrap();
    let (blocks, heard) = open_listening("lost").await;
    blocks.commit(puts(&[(BlockKey::log(1), b"x")]), Durability::Relaxed).await.unwrap();
    indexeddb::destroy("lost").await.unwrap();
    assert_eq!(*heard.borrow(), ["closed"]);
    let written = blocks.commit(puts(&[(BlockKey::log(1), b"x")]), Durability::Relaxed).await;
    assert_eq!(written, Err(StorageError::Closed));
    assert_eq!(blocks.read(&[BlockKey::log(1)]).await, Err(StorageError::Closed));
    assert_eq!(blocks.keys(BlockKey::log(0), BlockKey::log(9)).await, Err(StorageError::Closed));
    assert_eq!(open("lost").await.read(&[BlockKey::log(1)]).await.unwrap(), vec![None]);
}

/// Also the names of the events that it tells.
async fn open_listening(name: &str) -> (IndexedDbBlocks, Rc<RefCell<Vec<String>>>) {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&heard);
    let on_event = move |event: &str, _: &str| log.borrow_mut().push(event.to_owned());
    (IndexedDbBlocks::open(name, false, None, on_event).await.unwrap().unwrap(), heard)
}

#[wasm_bindgen_test]
async fn a_database_that_is_known_is_opened_and_not_created() {
    indexeddb::destroy("known").await.unwrap();
    let open_known = async || IndexedDbBlocks::open("known", true, None, |_, _| {}).await.unwrap();
    assert!(open_known().await.is_none());
    assert!(!indexeddb::list().await.unwrap().contains(&"known".to_owned()));
    drop(open("known").await);
    assert!(open_known().await.is_some());
}

/// What a page sees when the browser closes a connection by itself: its transactions are aborted, then it hears of it.
const DISCONNECT: &str = "(() => { const plain = IDBDatabase.prototype.transaction
    IDBDatabase.prototype.transaction = function (...all) {
        const transaction = plain.apply(this, all); IDBDatabase.prototype.transaction = plain
        transaction.abort(); this.close(); setTimeout(() => this.dispatchEvent(new Event('close')))
        return transaction } })()";

#[wasm_bindgen_test]
async fn what_is_under_way_when_the_connection_is_lost_is_refused_as_closed_and_leaves_nothing_half_written() {
    indexeddb::destroy("disconnected").await.unwrap();
    let all: Vec<(BlockKey, &[u8])> = (0..50).map(|number| (BlockKey::log(number), b"x".as_slice())).collect();
    for at in 0..3 {
        let (blocks, heard) = open_listening("disconnected").await;
        js_sys::eval(DISCONNECT).unwrap();
        let failure = match at {
            0 => blocks.commit(puts(&all), Durability::Strict).await.err(),
            1 => blocks.read(&[BlockKey::log(1)]).await.err(),
            _ => blocks.keys(BlockKey::log(0), BlockKey::log(99)).await.err(),
        };
        assert_eq!(failure, Some(StorageError::Closed));
        assert_eq!(blocks.read(&[BlockKey::log(1)]).await, Err(StorageError::Closed));
        // That comes in a task of its own.
        for _ in 0..200 {
            if heard.borrow().is_empty() {
                BrowserClock.sleep(10).await;
            }
        }
        assert_eq!(*heard.borrow(), ["disconnected"]);
    }
    assert_eq!(open("disconnected").await.keys(BlockKey::log(0), BlockKey::log(99)).await.unwrap(), []);
}

#[wasm_bindgen_test]
async fn a_commit_that_was_given_up_half_way_leaves_all_or_nothing_and_the_next_goes_through() {
    let blocks = fresh("dropped").await;
    let all: Vec<(BlockKey, &[u8])> = (0..50).map(|number| (BlockKey::log(number), b"x".as_slice())).collect();
    {
        let commit = std::pin::pin!(blocks.commit(puts(&all), Durability::Relaxed));
        assert!(futures_util::poll!(commit).is_pending());
    }
    blocks.commit(puts(&[(BlockKey::segment(1), b"next")]), Durability::Relaxed).await.unwrap();
    let found = blocks.keys(BlockKey::log(0), BlockKey::log(99)).await.unwrap();
    assert!(found.is_empty() || found.len() == all.len(), "{} of {} blocks", found.len(), all.len());
}

#[wasm_bindgen_test]
async fn the_list_names_databases_until_they_are_destroyed() {
    drop(fresh("listed: Größe/€").await);
    assert!(indexeddb::list().await.unwrap().contains(&"listed: Größe/€".to_owned()));
    indexeddb::destroy("listed: Größe/€").await.unwrap();
    assert!(!indexeddb::list().await.unwrap().contains(&"listed: Größe/€".to_owned()));
}
