//! Repair: whatever block is damaged, what is left becomes a database that agrees with itself, tells nothing that was never written,
//! names what is lost, and gets it back from a peer.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod repair_support;

use std::collections::BTreeMap;

use common::{Seeded, get, put};
use firkin_core::database::{ChangesQuery, GetOptions, Loss, Repaired, Since};
use firkin_core::storage::StorageError;
use firkin_core::storage::blocks::{BlockKey, Blocks};
use pollster::block_on;
use repair_support::*;
use serde_json::json;

/// Damages every block in turn, and hands each outcome on.
fn with_each_block_damaged(sample: &Sample, mut check: impl FnMut(&Replica, &Repaired, &str)) {
    let Sample { image, written } = sample;
    let original = open(&blocks_of(image), 2, true).unwrap();
    for name in stored(image) {
        for is_lost in [false, true] {
            let what = format!("{name:?} {}", if is_lost { "lost" } else { "flipped" });
            let (database, repaired, blocks) = repair(&damaged(image, name, is_lost));
            check_consistent(&database, &what);
            check_lost(&database, &repaired.lost, &what);
            for (revision, document) in bodies(&database) {
                // Nothing but what was written is ever served, and that under its own name only.
                assert_eq!(written.get(&revision), Some(&document), "{what}");
            }
            check(&database, &repaired, &what);
            bring_back(&database, &original);
            for (id, leaves_there) in leaves(&original) {
                let here = leaves(&database);
                assert_eq!(here[&id][0].0, leaves_there[0].0, "{what}: the winner of {id}");
                for leaf in leaves_there {
                    let found = here[&id].iter().find(|(rev, _)| *rev == leaf.0);
                    let text = |leaf: &(String, Option<serde_json::Value>)| leaf.1.clone().map(without_history);
                    assert_eq!(found.map(text), Some(text(&leaf)), "{what}: {id}");
                }
            }
            check_consistent(&database, &what);
            block_on(database.kv().close());
            drop(database);
            let reopened = open(&blocks, 3, true).unwrap();
            check_consistent(&reopened, &what);
            check_writable(&reopened, &what);
        }
    }
}

/// Of a branch whose older nodes are lost the history is shorter.
fn without_history(mut document: serde_json::Value) -> serde_json::Value {
    document.as_object_mut().unwrap().remove("_revisions");
    document
}

#[test]
fn each_block_of_one_segment_damaged_in_turn_leaves_every_winner_or_says_that_it_is_lost() {
    let sample = in_one_segment();
    let original = leaves(&open(&blocks_of(&sample.image), 2, true).unwrap());
    let mut losses: BTreeMap<&str, usize> = BTreeMap::new();
    with_each_block_damaged(&sample, |database, repaired, what| {
        assert_eq!(repaired.blocks.len(), 1, "{what}: {:?}", repaired.blocks);
        let here = leaves(database);
        for (id, leaves) in &original {
            let revs = |leaves: &[(String, Option<serde_json::Value>)]| {
                leaves.iter().map(|(rev, _)| rev.clone()).collect::<Vec<_>>()
            };
            // Heads, nodes and bodies stand in different blocks: no leaf is forgotten, and none is made up.
            assert_eq!(here.get(id).map(|leaves| revs(leaves)), Some(revs(leaves)), "{what}: {id}");
            for (rev, text) in &here[id] {
                let is_told =
                    repaired.lost.iter().any(|lost| lost.id == *id && lost.rev == *rev && lost.loss != Loss::Ancestor);
                assert_eq!(text.is_none(), is_told, "{what}: {id} {rev}");
            }
        }
        assert_eq!(here.len(), original.len(), "{what}");
        for lost in &repaired.lost {
            *losses.entry(lost.loss.name()).or_default() += 1;
        }
    });
    assert!(losses["leaf"] > 30 && losses["attachments"] > 3, "{losses:?}");
}

#[test]
fn each_block_of_many_segments_damaged_in_turn_leaves_a_database_that_a_peer_completes() {
    let sample = in_many_segments();
    let mut blocks_named = 0;
    with_each_block_damaged(&sample, |_, repaired, _| blocks_named += repaired.blocks.len());
    assert!(blocks_named > stored(&sample.image).len());
}

#[test]
fn an_undamaged_database_loses_nothing_by_a_repair_and_is_another_replica() {
    for Sample { image, .. } in [in_one_segment(), in_many_segments()] {
        let original = open(&blocks_of(&image), 2, true).unwrap();
        let (database, repaired, _) = repair(&image);
        assert_eq!((repaired.blocks.as_slice(), repaired.lost.as_slice()), ([].as_slice(), [].as_slice()));
        assert_eq!(repaired.documents as usize, leaves(&original).len());
        assert_eq!(leaves(&database), leaves(&original));
        assert_eq!(get(&database, "_local/here", &GetOptions::default()).unwrap()["kept"], 1);
        let (before, after) = (block_on(original.info()).unwrap(), block_on(database.info()).unwrap());
        assert_eq!((before.doc_count, before.doc_del_count), (after.doc_count, after.doc_del_count));
        assert_ne!(before.identity, after.identity);
        // A sequence of before is worth nothing: whoever stood there is shown everything.
        let query = ChangesQuery { since: Since::Token(before.update_seq), ..ChangesQuery::default() };
        assert_eq!(block_on(database.changes(&query)).unwrap().rows.len(), leaves(&original).len());
    }
}

#[test]
fn a_database_that_does_not_open_is_repaired() {
    let Sample { image, .. } = in_many_segments();
    let log: Vec<BlockKey> = image.keys().copied().filter(|key| *key == BlockKey::log(key.number())).collect();
    for (name, says) in
        [(BlockKey::MANIFEST, "the manifest".to_owned()), (log[0], format!("log block {}", log[0].number()))]
    {
        for is_lost in [false, true] {
            if is_lost && name == log[0] && log.len() == 1 {
                continue;
            }
            let image = damaged(&image, name, is_lost);
            let refused = open(&blocks_of(&image), 2, true).map(drop);
            assert!(matches!(&refused, Err(StorageError::Corrupt(what)) if what.starts_with(&says)), "{refused:?}");
            let (database, repaired, _) = repair(&image);
            assert!(repaired.blocks.iter().any(|block| block.starts_with(&says)), "{:?}", repaired.blocks);
            assert!(leaves(&database).len() > 10);
        }
    }
}

#[test]
fn a_repair_that_does_not_come_to_its_end_is_begun_again_and_tells_the_same() {
    let Sample { image, .. } = in_many_segments();
    let name = *image.keys().find(|key| **key == BlockKey::segment(key.number())).unwrap();
    let (_, expected, _) = repair(&damaged(&image, name, false));
    let mut cut_short = 0;
    for steps in 0..200 {
        let blocks = blocks_of(&damaged(&image, name, false));
        let limited = Limited { blocks: blocks.clone(), steps: std::cell::Cell::new(steps) };
        if block_on(try_repair(limited, 9)).is_ok() {
            break;
        }
        cut_short += 1;
        // It is as damaged as it was, or says that a repair is to be finished.
        if let Ok(database) = open(&blocks, 4, true) {
            assert!(repair(&image_of(&blocks)).1.blocks == expected.blocks);
            drop(database);
        }
        let again = block_on(try_repair(blocks, 10)).unwrap();
        assert_eq!(again.1, expected, "after {steps} steps");
        check_consistent(&again.0, &format!("after {steps} steps"));
    }
    assert!(cut_short > 10, "{cut_short}");
}

#[test]
fn a_tombstone_whose_body_is_lost_is_proven_by_its_revision() {
    let Sample { image, .. } = in_one_segment();
    let removed: Vec<String> = leaves(&open(&blocks_of(&image), 2, true).unwrap())
        .into_iter()
        .filter(|(_, leaves)| leaves[0].1.as_ref().unwrap()["_deleted"] == true)
        .map(|(id, _)| id)
        .collect();
    assert!(removed.len() > 5);
    for name in stored(&image) {
        let (database, repaired, _) = repair(&damaged(&image, name, false));
        for id in &removed {
            assert!(repaired.lost.iter().all(|lost| lost.id != *id || lost.loss != Loss::Leaf), "{id} with {name:?}");
            let (status, _, reason) = get(&database, id, &GetOptions::default()).unwrap_err();
            assert_eq!((status, reason.as_str()), (404, "deleted"), "{id} with {name:?}");
        }
    }
}

#[test]
fn what_was_lost_can_be_written_over_by_who_names_it() {
    let Sample { image, .. } = in_one_segment();
    let mut written_over = 0;
    for name in stored(&image) {
        let (database, repaired, _) = repair(&damaged(&image, name, false));
        for lost in repaired.lost.iter().filter(|lost| lost.loss == Loss::Leaf) {
            let leaves = &leaves(&database)[&lost.id];
            assert_eq!(put(&database, &json!({ "_id": lost.id, "n": 1 })).unwrap_err().0, 409);
            if leaves[0].0 == lost.rev {
                put(&database, &json!({ "_id": lost.id, "_rev": lost.rev, "n": 1 })).unwrap();
                assert_eq!(get(&database, &lost.id, &GetOptions::default()).unwrap()["n"], 1);
                written_over += 1;
            }
        }
        check_consistent(&database, &format!("{name:?}"));
    }
    assert!(written_over > 20);
}

/// Blocks that take so many steps and no more.
struct Limited<B> {
    blocks: B,
    steps: std::cell::Cell<usize>,
}

impl<B: Blocks> Blocks for Limited<B> {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.blocks.read(keys).await
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        self.blocks.keys(first, last).await
    }

    async fn commit(
        &self,
        batch: firkin_core::storage::blocks::BlockBatch,
        durability: firkin_core::storage::Durability,
    ) -> Result<(), StorageError> {
        match self.steps.get().checked_sub(1) {
            Some(left) => self.steps.set(left),
            None => return Err(StorageError::Failed("no more steps".into())),
        }
        self.blocks.commit(batch, durability).await
    }
}

#[test]
fn several_blocks_damaged_at_once_leave_a_database_that_agrees_with_itself() {
    let seeds = std::env::var("FIRKIN_SEEDS").map_or(40, |seeds| seeds.parse().unwrap());
    for sample in [in_one_segment(), in_many_segments()] {
        let names = stored(&sample.image);
        let original = open(&blocks_of(&sample.image), 2, true).unwrap();
        for seed in 0..seeds {
            let dice = Seeded::new(seed);
            let mut image = sample.image.clone();
            for _ in 0..2 + dice.below(6) {
                let name = names[dice.below(names.len())];
                if image.contains_key(&name) {
                    image = damaged(&image, name, dice.below(2) == 0);
                }
            }
            let what = format!("seed {seed}");
            let (database, repaired, _) = repair(&image);
            check_consistent(&database, &what);
            check_lost(&database, &repaired.lost, &what);
            for (revision, document) in bodies(&database) {
                assert_eq!(sample.written.get(&revision), Some(&document), "{what}");
            }
            bring_back(&database, &original);
            let here = leaves(&database);
            assert!(leaves(&original).keys().all(|id| here[id][0].1.is_some()), "{what}");
            check_writable(&database, &what);
        }
    }
}
