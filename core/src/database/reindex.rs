//! Making the index anew, when other paths are to be kept out of it than before.
//!
//! Which paths are kept out is a record of the database. While the index is made anew the record says that none is there,
//! so that whoever opens the database after a crash begins again; nobody reads the index before it is whole.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::state::State;
use super::text::read_body;
use crate::document::{Head, keys};
use crate::index::{PathIndex, keyspace};
use crate::json::{self, Value};
use crate::progress::{Listener, Task};
use crate::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};

/// How many keys are deleted in one commit.
const KEYS_AT_ONCE: usize = 20_000;

/// How many documents are posted in one commit.
const DOCUMENTS_AT_ONCE: usize = 500;

/// What the record says while there is no index.
const NONE: &[u8] = b"none";

/// Makes the stored index the one that `index` describes, if it is not.
pub(super) async fn fit<K: Kv>(kv: &K, index: &PathIndex, progress: &Listener) -> Result<(), StorageError> {
    let wanted = record(index);
    let stored = kv.snapshot()?.get(keyspace::EXCLUDED).await?;
    if stored.as_deref().unwrap_or(b"[]") == wanted {
        return Ok(());
    }
    drop_index(kv).await?;
    let documents = State::read_doc_count(&kv.snapshot()?).await?;
    post_all(kv, index, Task::Index, documents, progress).await?;
    write_record(kv, &wanted).await
}

/// Deletes all that the index has stored.
pub(super) async fn drop_index<K: Kv>(kv: &K) -> Result<(), StorageError> {
    write_record(kv, NONE).await?;
    for prefix in [keyspace::POSTING, keyspace::CARDINALITY, keyspace::PATH, keyspace::PATH_NAME] {
        delete_all(kv, &[prefix]).await?;
    }
    Ok(())
}

/// Adds to `batch` that the index is the one that `index` describes.
pub(super) fn note(index: &PathIndex, batch: &mut Batch) {
    batch.put(keyspace::EXCLUDED, &record(index));
}

/// The paths that are kept out, as a JSON array.
fn record(index: &PathIndex) -> Vec<u8> {
    let paths = index.exclusions.paths().iter().map(|path| Value::String(path.to_string()));
    let mut out = Vec::new();
    json::write(&Value::Array(paths.collect()), &mut out);
    out
}

/// The same, as text.
pub(super) fn excluded(index: &PathIndex) -> String {
    String::from_utf8(record(index)).unwrap_or_default()
}

async fn write_record<K: Kv>(kv: &K, record: &[u8]) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    batch.put(keyspace::EXCLUDED, record);
    kv.commit(batch, Durability::Relaxed).await
}

/// Deletes all records whose keys start with `prefix`.
pub(super) async fn delete_all<K: Kv>(kv: &K, prefix: &[u8]) -> Result<(), StorageError> {
    loop {
        let mut batch = Batch::new();
        let mut cursor = kv.snapshot()?.range(KeyRange::prefix(prefix), Direction::Forward)?;
        while batch.len() < KEYS_AT_ONCE && cursor.advance().await? {
            batch.delete(cursor.key());
        }
        if batch.is_empty() {
            return Ok(());
        }
        kv.commit(batch, Durability::Relaxed).await?;
    }
}

/// Posts all documents, of which there are about `total`, to an index that holds nothing.
pub(super) async fn post_all<K: Kv>(
    kv: &K,
    index: &PathIndex,
    task: Task,
    total: u64,
    progress: &Listener,
) -> Result<(), StorageError> {
    let mut done: u64 = 0;
    let mut range = KeyRange::prefix(keys::heads());
    loop {
        let snapshot = kv.snapshot()?;
        let mut update = index.update(&snapshot);
        let mut batch = Batch::new();
        let mut heads = snapshot.range(range.clone(), Direction::Forward)?;
        let mut last: Option<String> = None;
        for _ in 0..DOCUMENTS_AT_ONCE {
            if !heads.advance().await? {
                break;
            }
            let id = keys::head_id(heads.key()).unwrap_or_default();
            last = Some(id.to_string());
            done += 1;
            let head = Head::decode(heads.value())?;
            if let Some(winner) = head.alive().filter(|_| !id.starts_with('_')) {
                let body = read_body(&snapshot, id, &winner.rev).await?;
                update.replace(id, None, Some(&body), &mut batch).await?;
            }
        }
        let Some(last) = last else { return Ok(()) };
        let updated = update.stage(&mut batch).await?;
        kv.commit(batch, Durability::Relaxed).await?;
        index.adopt(updated);
        range.start = [keys::head(&last).as_slice(), &[0]].concat();
        progress.tell(task, done, Some(total.max(done)));
    }
}
