//! Asking policies where no pull does: when a database is opened with other policies than before, and when revisions of others came
//! otherwise, as from a peer that pushes, or from a backup.
//!
//! A record tells of each open review which policies were asked about it, and at which change of the document. So **policies are asked
//! about a review once for each change**, whoever asks and however often the database is opened, and what was cut off is made good. A pull
//! asks by itself, as it can ask its peer for what is lacking; here nobody can be asked, and what policies lack something for stays open.
//!
//! ```text
//! w id -> the number of the change, 8 bytes; then what merges by the policies tell of them, as JSON
//! ```

use alloc::vec::Vec;

use event_listener::EventListener;

use super::open::Listed;
use crate::database::Database;
use crate::document::keys;
use crate::json;
use crate::merge::Policies;
use crate::storage::{Batch, Durability, Kv, Snapshot, StorageError};

/// Open reviews about which policies are being asked.
#[derive(Debug, Default)]
pub struct Settling {
    /// Those that are still to be asked about.
    pending: Vec<Listed>,
    asked: Vec<Listed>,
}

impl<K: Kv> Database<K> {
    /// Completes when revisions of others have come by [`bulk_docs`](Self::bulk_docs), about which policies are to be asked. Take it before
    /// settling.
    pub fn unsettled(&self) -> EventListener {
        self.unsettled.listen()
    }

    /// Asks the policies about one open review more of those that they were not asked about as they are; `false` if there is none.
    ///
    /// # Errors
    /// What the storage reports. The next call goes on.
    pub async fn settle_slice(&self, settling: &mut Settling) -> Result<bool, StorageError> {
        if *self.policies() == Policies::default() {
            return Ok(false);
        }
        if let Some(listed) = settling.pending.pop() {
            match self.settle(&listed.0).await {
                // Who reads it is told; the others go on. It is asked about again when it has changed, as by a repair.
                Ok(_) | Err(StorageError::Corrupt(_)) => settling.asked.push(listed),
                Err(error) => return Err(error),
            }
            return Ok(true);
        }
        let asked = core::mem::take(&mut settling.asked);
        self.note_asked(&asked).await?;
        let snapshot = self.kv.snapshot()?;
        let listed = self.listed(&snapshot).await?;
        let keys: Vec<Vec<u8>> = listed.iter().map(|(id, _)| keys::asked_review(id)).collect();
        let records = snapshot.get_many(&keys).await?;
        let is_new =
            |(listed, record): (Listed, Option<Vec<u8>>)| (record != Some(self.record(listed.1))).then_some(listed);
        settling.pending = listed.into_iter().zip(records).filter_map(is_new).collect();
        Ok(!settling.pending.is_empty())
    }

    /// Asks the policies about all open reviews that they were not asked about.
    ///
    /// # Errors
    /// As those of [`settle_slice`](Self::settle_slice).
    pub async fn settle_all(&self, settling: &mut Settling) -> Result<(), StorageError> {
        while self.settle_slice(settling).await? {}
        Ok(())
    }

    /// Notes that the policies were asked about these reviews, as far as they are open and as they were.
    pub(crate) async fn note_asked(&self, asked: &[Listed]) -> Result<(), StorageError> {
        if asked.is_empty() || *self.policies() == Policies::default() {
            return Ok(());
        }
        let _writer = self.writer.lock().await;
        let keys: Vec<Vec<u8>> = asked.iter().map(|(id, _)| keys::open_review(id)).collect();
        let open = self.kv.snapshot()?.get_many(&keys).await?;
        let mut batch = Batch::new();
        for ((id, seq), _) in
            asked.iter().zip(open).filter(|((_, seq), open)| *open == Some(seq.to_be_bytes().to_vec()))
        {
            batch.put(&keys::asked_review(id), &self.record(*seq));
        }
        if batch.is_empty() { Ok(()) } else { self.kv.commit(batch, Durability::Relaxed).await }
    }

    fn record(&self, seq: u64) -> Vec<u8> {
        let mut record = seq.to_be_bytes().to_vec();
        json::write(&self.policies().told(), &mut record);
        record
    }
}
