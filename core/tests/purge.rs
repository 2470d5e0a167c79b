//! Purging: what goes with a leaf, and that winner, index, counts and feed follow.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Seeded, get, put, replicate, stored, told};
use firkin_core::database::{ChangesQuery, Database, GetOptions, Options, Purged, Since};
use firkin_core::query::FindQuery;
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;
use serde_json::{Value, json};

fn open() -> Database<MemoryKv> {
    block_on(Database::open(MemoryKv::new(), &Seeded::new(7), Options::default())).unwrap()
}

fn purge(database: &Database<MemoryKv>, id: &str, rev: &str) -> Result<Purged, (u16, &'static str, String)> {
    block_on(database.purge(id, rev, &Default::default())).map_err(|error| told(error.report()))
}

fn purged(revs: &[&str], document_was_removed: bool) -> Purged {
    Purged { deleted_revs: revs.iter().map(|rev| (*rev).to_owned()).collect(), document_was_removed }
}

/// Replicates a revision, with what it says as `n`.
fn add(database: &Database<MemoryKv>, id: &str, path: &[&str], deleted: bool) {
    let rev = format!("{}-{}", path.len(), path[0]);
    let document = json!({
        "_id": id, "_rev": rev, "_revisions": { "start": path.len(), "ids": path }, "_deleted": deleted, "n": path[0],
    });
    assert_eq!(replicate(database, &[document]), []);
}

fn found(database: &Database<MemoryKv>, n: &str) -> Vec<String> {
    let query = json!({ "selector": { "n": n }, "fields": ["_id"] }).to_string();
    let page = block_on(database.find(&FindQuery::parse(query.as_bytes()).unwrap())).unwrap();
    page.docs.iter().map(|doc| serde_json::from_slice::<Value>(doc).unwrap()["_id"].as_str().unwrap().into()).collect()
}

/// How many documents, how many deleted ones.
fn counts(database: &Database<MemoryKv>) -> (u64, u64) {
    let info = block_on(database.info()).unwrap();
    (info.doc_count, info.doc_del_count)
}

#[test]
fn branch_goes_up_to_where_another_leaf_needs_it() {
    let database = open();
    add(&database, "d", &["a"], false);
    add(&database, "d", &["b", "a"], false);
    add(&database, "d", &["e", "c", "a"], false);
    assert_eq!((found(&database, "e"), found(&database, "b")), (vec!["d".into()], vec![]));
    let seq = block_on(database.info()).unwrap().update_seq;
    assert_eq!(purge(&database, "d", "3-e"), Ok(purged(&["3-e", "2-c"], false)));
    assert_eq!((found(&database, "e"), found(&database, "b")), (vec![], vec!["d".into()]));
    let asked = GetOptions { conflicts: true, revs: true, ..GetOptions::default() };
    let winner = json!({ "_id": "d", "_rev": "2-b", "n": "b", "_revisions": { "start": 2, "ids": ["b", "a"] } });
    assert_eq!(get(&database, "d", &asked).unwrap(), winner);
    // The feed tells of the new winner.
    let since = ChangesQuery { since: Since::Token(seq), ..ChangesQuery::default() };
    let page = block_on(database.changes(&since)).unwrap();
    assert_eq!(page.rows.iter().map(|row| row.revs.clone()).collect::<Vec<_>>(), [["2-b"]]);
    assert_eq!((stored(&database, b"r").len(), stored(&database, b"b").len()), (2, 2));
    let unknown =
        block_on(database.revs_diff(&[("d".into(), vec!["3-e".into(), "2-c".into(), "1-a".into()])])).unwrap();
    assert_eq!(unknown[0].missing, ["3-e", "2-c"]);
}

#[test]
fn last_branch_takes_the_document_along() {
    let database = open();
    add(&database, "other", &["o"], false);
    let empty: Vec<_> = stored(&database, b"").into_iter().filter(|(key, _)| !key.starts_with(b"m")).collect();
    add(&database, "d", &["b", "a"], false);
    add(&database, "gone", &["y", "x"], true);
    assert_eq!(counts(&database), (2, 1));
    let seq = block_on(database.info()).unwrap().update_seq;
    assert_eq!(purge(&database, "d", "2-b"), Ok(purged(&["2-b", "1-a"], true)));
    assert_eq!(purge(&database, "gone", "2-y"), Ok(purged(&["2-y", "1-x"], true)));
    assert_eq!(counts(&database), (1, 0));
    assert_eq!(get(&database, "d", &GetOptions::default()), Err((404, "not_found", "missing".into())));
    let left: Vec<_> = stored(&database, b"").into_iter().filter(|(key, _)| !key.starts_with(b"m")).collect();
    assert_eq!(left, empty);
    let info = block_on(database.info()).unwrap();
    assert_ne!(info.update_seq, seq);
    let page = block_on(database.changes(&ChangesQuery::default())).unwrap();
    assert_eq!(page.rows.len(), 1);
    let again =
        block_on(database.changes(&ChangesQuery { since: Since::Token(seq), ..ChangesQuery::default() })).unwrap();
    assert!(again.rows.is_empty());
    // The id is free, and the revision may come back.
    assert!(put(&database, &json!({ "_id": "d", "n": 1 })).unwrap().starts_with("1-"));
    add(&database, "gone", &["y", "x"], true);
    assert_eq!(counts(&database), (2, 1));
}

#[test]
fn tombstone_that_is_purged_lets_the_other_branch_win() {
    let database = open();
    add(&database, "d", &["b", "a"], true);
    assert_eq!(counts(&database), (0, 1));
    add(&database, "d", &["c", "a"], true);
    assert_eq!(purge(&database, "d", "2-c"), Ok(purged(&["2-c"], false)));
    assert_eq!(counts(&database), (0, 1));
    add(&database, "d", &["e", "d", "a"], false);
    assert_eq!((counts(&database), found(&database, "e")), ((1, 0), vec!["d".into()]));
    assert_eq!(purge(&database, "d", "3-e"), Ok(purged(&["3-e", "2-d"], false)));
    assert_eq!((counts(&database), found(&database, "e")), ((0, 1), vec![]));
    assert_eq!(get(&database, "d", &GetOptions::default()), Err((404, "not_found", "deleted".into())));
}

#[test]
fn what_is_no_leaf_is_refused_and_changes_nothing() {
    let database = open();
    add(&database, "d", &["b", "a"], false);
    let before = stored(&database, b"");
    assert_eq!(purge(&database, "d", "1-a"), Err((409, "conflict", "The requested revision is not a leaf".into())));
    for (id, rev) in [("d", "2-c"), ("d", "1-b"), ("none", "1-a"), ("_local/d", "1-a")] {
        assert_eq!(purge(&database, id, rev), Err((404, "not_found", "missing".into())), "{id} {rev}");
    }
    assert_eq!(purge(&database, "d", "b").unwrap_err().1, "bad_request");
    assert_eq!(purge(&database, "", "1-b").unwrap_err().1, "illegal_docid");
    assert_eq!(stored(&database, b""), before);
}

#[test]
fn compacted_branch_can_be_purged_and_edited_on() {
    let database = open();
    add(&database, "d", &["a"], false);
    add(&database, "d", &["b", "a"], false);
    add(&database, "d", &["c", "a"], false);
    block_on(database.compact()).unwrap();
    assert_eq!(purge(&database, "d", "2-c"), Ok(purged(&["2-c"], false)));
    let next = put(&database, &json!({ "_id": "d", "_rev": "2-b", "n": 3 })).unwrap();
    assert_eq!(purge(&database, "d", &next), Ok(purged(&[&next, "2-b", "1-a"], true)));
}
