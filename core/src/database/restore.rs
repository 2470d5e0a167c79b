//! Taking a copy of another database's store in the place of one that holds nothing.

use super::Database;
use crate::document::keys;
use crate::storage::blocks::Blocks;
use crate::storage::restore::{Restore, RestoreError};
use crate::storage::store::{LogStore, StoreOptions};
use crate::storage::{Batch, Cursor, Direction, KeyRange, Kv, Snapshot};

impl<B: Blocks> Database<LogStore<B>> {
    /// Begins to write a copy in `format` into `blocks`, where nothing was ever written but what a database begins with.
    ///
    /// # Errors
    /// [`RestoreError::NotEmpty`]; [`crate::storage::StorageError::FormatTooNew`], and what the storage reports.
    pub async fn begin_restore(blocks: B, store: StoreOptions, format: u32) -> Result<Restore<B>, RestoreError> {
        let store = LogStore::open(blocks, store).await?;
        let mut records = store.snapshot()?.range(KeyRange::all(), Direction::Forward)?;
        while records.advance().await? {
            if records.key().first() != keys::STATE.first() || records.key().starts_with(keys::consumers()) {
                return Err(RestoreError::NotEmpty);
            }
        }
        store.into_restore(format).await
    }

    /// Makes the copy count. When it is opened it becomes another replica, with an identity of its own.
    ///
    /// # Errors
    /// [`RestoreError::Malformed`] for a copy that is cut off; what the storage reports.
    pub async fn end_restore(restore: Restore<B>) -> Result<(), RestoreError> {
        let mut batch = Batch::new();
        batch.put(keys::RESTORED, &[]);
        restore.finish(batch).await
    }
}
