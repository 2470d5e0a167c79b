//! Documents that left the selector of a pull are purged: without a tombstone, so that no push deletes them elsewhere.
//!
//! A peer that filters by a selector does not say when a document stops matching. So a second feed, which is not filtered, lists
//! ids and revisions; only of documents that are here more is fetched. A document has left if its winner does not match while
//! what it was before did: the nearest ancestor whose body is here, or a branch that lost. One that never matched is none of this
//! pull's. **What the peer does not have is never purged**: an edit that is still to be pushed keeps its document.

use alloc::string::{String, ToString};

use super::ReplicationError;
use super::options::SelectorFilter;
use crate::database::{Database, GetOptions, WriteError, WriteOptions};
use crate::error::ErrorReport;
use crate::json::{self, Value};
use crate::storage::Kv;

fn local(report: ErrorReport) -> ReplicationError {
    ReplicationError::Local(report)
}

/// Purges a document that has left, if `revs`, its leaves at the peer, are all that is here of it.
pub(super) async fn drop_if_left<K: Kv>(
    database: &Database<K>,
    filter: &SelectorFilter,
    id: &str,
    revs: &[String],
) -> Result<(), ReplicationError> {
    let leaves = database.leaves(id).await.map_err(|error| local(error.report()))?;
    if leaves.iter().any(|leaf| !revs.contains(leaf)) || !has_left(database, filter, id, &leaves).await? {
        return Ok(());
    }
    for leaf in leaves {
        match database.purge(id, &leaf, &WriteOptions::default()).await {
            // It was edited meanwhile: then it stays.
            Ok(_) | Err(WriteError::NotALeaf | WriteError::NotFound) => {}
            Err(error) => return Err(local(error.report())),
        }
    }
    Ok(())
}

async fn has_left<K: Kv>(
    database: &Database<K>,
    filter: &SelectorFilter,
    id: &str,
    leaves: &[String],
) -> Result<bool, ReplicationError> {
    let get = GetOptions { revs_info: true, ..GetOptions::default() };
    let Some(winner) = read(database, id, &get).await? else { return Ok(false) };
    if filter.selector.matches(&winner) {
        return Ok(false);
    }
    for rev in nearest_ancestor(&winner).into_iter().chain(leaves.iter().skip(1).cloned()) {
        let get = GetOptions { rev: Some(rev), ..GetOptions::default() };
        if read(database, id, &get).await?.is_some_and(|before| filter.selector.matches(&before)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The newest revision before this one whose body is here.
fn nearest_ancestor(document: &Value) -> Option<String> {
    let info = document.as_object()?.get("_revs_info")?.as_array()?;
    let available = info.iter().skip(1).filter_map(Value::as_object);
    let mut available = available.filter(|row| row.get("status").and_then(Value::as_str) == Some("available"));
    Some(available.next()?.get("rev")?.as_str()?.to_string())
}

/// A revision, if it is here and, unless it is asked for by name, not deleted.
async fn read<K: Kv>(database: &Database<K>, id: &str, get: &GetOptions) -> Result<Option<Value>, ReplicationError> {
    match database.get(id, get).await.map_err(|error| error.report()) {
        Ok(text) => Ok(Some(json::parse(&text)?)),
        Err(report) if report.status == 404 => Ok(None),
        Err(report) => Err(local(report)),
    }
}
