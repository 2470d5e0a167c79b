//! What is done with a data folder while no server runs over it: checking it, copying it, and making one of a copy.
//!
//! A copy is a data folder itself. Each database is written anew, entry by entry, so that it has no free space and every byte
//! was read, and goes under its name when it is whole and on the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use firkin_core::database::{AllDocsQuery, Database, Options};
use firkin_core::error::ErrorReport;
use firkin_core::storage::StorageError;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::databases::{Databases, FolderError, sync_folder};
use crate::random::SystemRandom;
use crate::redb_kv::RedbKv;

/// Enough to go through a file once.
const CACHE_BYTES: usize = 16 << 20;

/// So many documents are read at once.
const PAGE_DOCUMENTS: u64 = 200;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no data folder.
    #[error("{} is no data folder", .0.display())]
    NoFolder(PathBuf),
    /// What would be written over is not empty.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The system refused.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// Databases are damaged; each with what is wrong.
    #[error("damaged: {}", .0.join("; "))]
    Damaged(Vec<String>),
}

/// Copies the data folder `data` to `to`; what was copied.
///
/// # Errors
/// A server runs over it, a database in it is damaged, or `to` is there already. Whole databases may stand there then.
pub fn backup(data: &Path, to: &Path) -> Result<Vec<String>, MaintenanceError> {
    copy(data, to)
}

/// Makes the data folder `data` of the copy `from`; what was copied.
///
/// # Errors
/// As those of [`backup`].
pub fn restore(data: &Path, from: &Path) -> Result<Vec<String>, MaintenanceError> {
    copy(from, data)
}

/// Reads every entry and every document of the data folder; what was found.
///
/// # Errors
/// Something is damaged: all of it is told.
pub fn check(data: &Path) -> Result<Vec<String>, MaintenanceError> {
    let databases = open(data)?;
    let (mut lines, mut damaged) = (Vec::new(), Vec::new());
    for name in names(&databases, data)? {
        match databases.path_of(&name).map(|path| check_database(&path)) {
            Some(Ok(documents)) => lines.push(format!("{name}: {documents} documents, sound")),
            Some(Err(error)) => damaged.push(format!("{name}: {}", error.report().reason)),
            None => {}
        }
    }
    if damaged.is_empty() { Ok(lines) } else { Err(MaintenanceError::Damaged(damaged)) }
}

fn open(data: &Path) -> Result<Databases, MaintenanceError> {
    if !data.is_dir() {
        return Err(MaintenanceError::NoFolder(data.into()));
    }
    Ok(Databases::open(data, Options::default(), CACHE_BYTES)?)
}

fn names(databases: &Databases, folder: &Path) -> Result<Vec<String>, MaintenanceError> {
    databases.names().map_err(|error| MaintenanceError::Io { path: folder.into(), error })
}

fn copy(from: &Path, to: &Path) -> Result<Vec<String>, MaintenanceError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| MaintenanceError::Io { path, error }
    };
    let source = open(from)?;
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(MaintenanceError::NotEmpty(to.into()));
    }
    fs::create_dir_all(to).map_err(failed(to))?;
    let target = Databases::open_as(to, source.identity())?;
    let (mut lines, mut damaged) = (Vec::new(), Vec::new());
    for name in names(&source, from)? {
        let (Some(from), Some(to)) = (source.path_of(&name), target.path_of(&name)) else { continue };
        let half_made = to.with_extension("redb.new");
        let copied = RedbKv::open(&from, CACHE_BYTES).and_then(|kv| kv.copy_to(&half_made));
        match copied.map_err(Wrong::from).and_then(|()| check_database(&half_made)) {
            Ok(documents) => {
                fs::rename(&half_made, &to).map_err(failed(&to))?;
                lines.push(format!("{name}: {documents} documents"));
            }
            Err(error) => {
                let _ = fs::remove_file(&half_made);
                damaged.push(format!("{name}: {}", error.report().reason));
            }
        }
    }
    sync_folder(to).map_err(failed(to))?;
    if damaged.is_empty() { Ok(lines) } else { Err(MaintenanceError::Damaged(damaged)) }
}

/// What is wrong with a database.
#[derive(Debug)]
struct Wrong(ErrorReport);

impl Wrong {
    fn report(&self) -> &ErrorReport {
        &self.0
    }

    fn corrupt(what: impl Into<String>) -> Self {
        Self::from(StorageError::Corrupt(what.into()))
    }
}

impl From<StorageError> for Wrong {
    fn from(error: StorageError) -> Self {
        Self(error.report())
    }
}

/// Opens a database and reads each of its documents with its attachments; how many there are.
fn check_database(path: &Path) -> Result<u64, Wrong> {
    let kv = RedbKv::open(path, CACHE_BYTES)?;
    kv.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Wrong::from(StorageError::Failed(error.to_string())))?;
    runtime.block_on(async {
        let database = Database::open(kv, &SystemRandom, Options::default()).await?;
        let expected = database.info().await?.doc_count;
        let (mut documents, mut after) = (0, None);
        loop {
            let query = AllDocsQuery {
                start_key: after.clone(),
                skip: u64::from(after.is_some()),
                limit: Some(PAGE_DOCUMENTS),
                include_docs: true,
                attachments: true,
                ..AllDocsQuery::default()
            };
            let page = database.all_docs(&query).await.map_err(|error| Wrong(error.report()))?;
            let page: Page = serde_json::from_slice(&page).map_err(|error| Wrong::corrupt(error.to_string()))?;
            let Some(last) = page.rows.last() else { break };
            if let Some(row) = page.rows.iter().find(|row| row.doc.is_none()) {
                return Err(Wrong::corrupt(format!("the document {:?} cannot be read", row.id)));
            }
            after = Some(last.id.clone());
            documents += page.rows.len() as u64;
        }
        if documents == expected {
            Ok(documents)
        } else {
            Err(Wrong::corrupt(format!("{documents} documents, and {expected} are counted")))
        }
    })
}

#[derive(Deserialize)]
struct Page {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    doc: Option<IgnoredAny>,
}
