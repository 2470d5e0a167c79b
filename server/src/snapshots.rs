//! The snapshot of a database that fresh replicas begin with, kept until it is too old.
//!
//! It is made by a task on the database's thread, entry by entry, between the jobs of others, and written to a file that has no
//! name any more: it is gone with the last who reads it, or with the server. Those who ask meanwhile wait for the one that is
//! being made. **A snapshot is given out for as long as the feed tells all that happened since**, and that is not too much;
//! whoever holds a part of one that was replaced begins anew.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use firkin_core::database::SnapshotHead;
use firkin_core::storage::StorageError;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::mailbox::{Closed, Engine, Mailbox};

/// Marks the file of a snapshot, for the moment in which it has a name.
pub const ENDING: &str = ".snapshot";

/// About so many bytes of entries are packed between two turns of others.
const PACKED_BYTES: usize = 256 << 10;

/// A fresh replica pulls so many changes after a snapshot at most, or the part of all that they may be.
const CHANGES_BEHIND: u64 = 1_000;
const PART_BEHIND: u64 = 20;

/// A snapshot.
#[derive(Debug)]
pub struct Made {
    head: SnapshotHead,
    line: Vec<u8>,
    /// What tells it from others: the SHA-256 of its line and its blocks, in hex digits.
    pub tag: String,
    /// Those who read take turns.
    blocks: std::sync::Mutex<File>,
    /// How many bytes it has.
    pub length: u64,
}

impl Made {
    /// The bytes from `position` on, at most `bytes`; none at the end.
    ///
    /// # Errors
    /// The disk failed.
    pub fn read(&self, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let Some(place) = position.checked_sub(self.line.len() as u64) else {
            let start = usize::try_from(position).unwrap_or(self.line.len());
            return Ok(self.line.iter().skip(start).take(bytes).copied().collect());
        };
        let left = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut read = vec![0; bytes.min(left)];
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.seek(SeekFrom::Start(place))?;
        blocks.read_exact(&mut read)?;
        Ok(read)
    }
}

/// The latest snapshot of one database.
#[derive(Clone, Debug, Default)]
pub struct Cache(Arc<Mutex<Option<Arc<Made>>>>);

impl Cache {
    /// A snapshot that can be given out, made if need be.
    ///
    /// # Errors
    /// The database is closed; inside, what its store or the disk says.
    pub async fn get(&self, mailbox: &Mailbox, path: &Path) -> Result<Result<Arc<Made>, StorageError>, Closed> {
        let mut latest = self.0.lock().await;
        if let Some(made) = &*latest {
            let last = made.head.last;
            if let Some(behind) = mailbox.run(async move |database| database.changes_since(last)).await?
                && behind <= CHANGES_BEHIND.max(last / PART_BEHIND)
            {
                return Ok(Ok(made.clone()));
            }
        }
        *latest = None;
        let mut marked = path.as_os_str().to_owned();
        marked.push(ENDING);
        let path = PathBuf::from(marked);
        let made = mailbox.run_beside(async move |database| make(database, path).await).await?;
        Ok(made.map(|made| latest.insert(Arc::new(made)).clone()))
    }

    /// The one with this tag, if it is still there.
    pub async fn tagged(&self, tag: &str) -> Option<Arc<Made>> {
        self.0.lock().await.clone().filter(|made| made.tag == tag)
    }

    /// Forgets it: something that it holds must not be given out any more.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

async fn make(database: &Engine, path: PathBuf) -> Result<Made, StorageError> {
    let mut packing = database.pack().await?;
    let mut blocks = File::options().read(true).write(true).create(true).truncate(true).open(&path).map_err(told)?;
    fs::remove_file(&path).map_err(told)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    loop {
        let part = packing.next(PACKED_BYTES).await?;
        if part.is_empty() {
            break;
        }
        hash.update(&part);
        bytes += part.len() as u64;
        blocks.write_all(&part).map_err(told)?;
        tokio::task::yield_now().await;
    }
    let head = packing.head;
    hash.update(head.line("", bytes));
    let tag: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let line = head.line(&tag, bytes);
    let length = bytes + line.len() as u64;
    Ok(Made { head, line, tag, blocks: std::sync::Mutex::new(blocks), length })
}

fn told(error: io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::QuotaExceeded,
        _ => StorageError::Failed(error.to_string()),
    }
}
