//! Reading by path: one value of one document.

use alloc::vec::Vec;

use super::read::read_head;
use super::text::winner_value;
use super::{Database, ReadError};
use crate::json;
use crate::path::{Found, Path};
use crate::storage::{Kv, Snapshot};

impl<K: Kv> Database<K> {
    /// The JSON text of what stands at `path` in the winning revision of a document; `None` if nothing does.
    ///
    /// # Errors
    /// [`ReadError::Missing`] and [`ReadError::Deleted`] for a document that is not there.
    pub async fn get_value(&self, id: &str, path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
        value_in(&self.kv.snapshot()?, id, path).await
    }
}

/// The JSON text of what stands at `path` in the winning revision that a snapshot holds.
pub(super) async fn value_in<S: Snapshot>(snapshot: &S, id: &str, path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
    let head = read_head(snapshot, id).await?.ok_or(ReadError::Missing)?;
    let document = winner_value(snapshot, id, &head).await?.ok_or(ReadError::Deleted)?;
    let Found::Value(value) = path.find(&document) else { return Ok(None) };
    let mut text = Vec::new();
    json::write(value, &mut text);
    Ok(Some(text))
}
