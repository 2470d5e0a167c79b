//! The data folder: which databases there are, and the mailbox of each that is in use.
//!
//! A database is opened when it is first asked for. A new one is made under another name, and renamed once it is whole, so
//! that a crash leaves no half-made database; the folder is synced before a creation or a deletion is acknowledged. One
//! server at a time: a lock on `server.id`, which also holds the server's identity.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use firkin_core::database::Options;
use firkin_core::error::ErrorReport;
use firkin_core::storage::StorageError;

use crate::database_name;
use crate::mailbox::{Mailbox, Opening};
use crate::random::random_id;
use crate::snapshots;

/// Marks the file of a database that is being made.
const HALF_MADE_ENDING: &str = ".new";
const IDENTITY_FILE: &str = "server.id";

type Slot = Arc<tokio::sync::Mutex<Option<Mailbox>>>;

/// Why the data folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another server runs over it.
    #[error("the data folder {} is in use by another firkin-server", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("the data folder {} cannot be used: {error}", .folder.display())]
    Refused {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Why a database could not be had, made or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseError {
    /// There is none of that name.
    Missing,
    /// There is one of that name already.
    Exists,
    /// CouchDB takes no such name.
    IllegalName(String),
    /// No file system takes a name as long.
    LongName(String),
    /// The server is stopping.
    Stopping,
    /// Its file failed.
    Storage(StorageError),
}

impl DatabaseError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        match self {
            Self::Missing => ErrorReport::new(404, "not_found", "Database does not exist."),
            Self::Exists => {
                ErrorReport::new(412, "file_exists", "The database could not be created, the file already exists.")
            }
            Self::IllegalName(name) => ErrorReport::new(
                400,
                "illegal_database_name",
                format!(
                    "Name: '{name}'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, \
                     -, and / are allowed. Must begin with a letter."
                ),
            ),
            Self::LongName(name) => ErrorReport::new(
                400,
                "database_name_too_long",
                format!("At least one path segment of `{name}` is too long."),
            ),
            Self::Stopping => ErrorReport::new(503, "closed", "The server is stopping."),
            Self::Storage(error) => error.report(),
        }
    }
}

/// The databases of one data folder.
#[derive(Debug)]
pub struct Databases {
    folder: PathBuf,
    identity: String,
    options: Options,
    cache_bytes: usize,
    /// `None` once the server is stopping.
    slots: Mutex<Option<HashMap<String, Slot>>>,
    /// Held locked for as long as this lives.
    _identity_file: File,
}

impl Databases {
    /// Takes the folder, making it if need be, and clears away databases that were half made when a server died.
    ///
    /// # Errors
    /// The folder is in use, or cannot be made, read or written.
    pub fn open(folder: &Path, options: Options, cache_bytes: usize) -> Result<Self, FolderError> {
        let refused = |error| FolderError::Refused { folder: folder.to_path_buf(), error };
        fs::create_dir_all(folder).map_err(refused)?;
        let mut identity_file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(IDENTITY_FILE))
            .map_err(refused)?;
        identity_file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => FolderError::InUse(folder.to_path_buf()),
            TryLockError::Error(error) => refused(error),
        })?;
        let identity = read_or_make_identity(&mut identity_file).map_err(refused)?;
        remove_half_made(folder).map_err(refused)?;
        sync_folder(folder).map_err(refused)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            identity,
            options,
            cache_bytes,
            slots: Mutex::new(Some(HashMap::new())),
            _identity_file: identity_file,
        })
    }

    /// As [`open`](Self::open), for an empty folder that takes over the identity of another.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub fn open_as(folder: &Path, identity: &str) -> Result<Self, FolderError> {
        let refused = |error| FolderError::Refused { folder: folder.to_path_buf(), error };
        let mut file = File::create_new(folder.join(IDENTITY_FILE)).map_err(refused)?;
        writeln!(file, "{identity}").and_then(|()| file.sync_all()).map_err(refused)?;
        Self::open(folder, Options::default(), 0)
    }

    /// The path of a database's file, whether or not there is one; `None` if its name is too long for a file system.
    #[must_use]
    pub fn path_of(&self, name: &str) -> Option<PathBuf> {
        self.path(name)
    }

    /// The server's identity: 32 hex digits, made once for a folder.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The options that every database is opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The names of all databases in order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            names.extend(entry?.file_name().to_str().and_then(database_name::from_file_name));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The database's mailbox; its file is opened if it is not yet.
    ///
    /// # Errors
    /// There is no such database, or its file cannot be opened.
    pub async fn get(&self, name: &str) -> Result<Mailbox, DatabaseError> {
        let path = self.existing_path(name)?;
        let slot = self.slot(name)?;
        let mut slot = slot.lock().await;
        if let Some(mailbox) = slot.as_ref().filter(|mailbox| !mailbox.is_closed()) {
            return Ok(mailbox.clone());
        }
        // It may have been deleted while this waited for the slot.
        let path = path.exists().then_some(path).ok_or(DatabaseError::Missing)?;
        let mailbox = Mailbox::open(self.opening(path)).await.map_err(DatabaseError::Storage)?;
        *slot = Some(mailbox.clone());
        Ok(mailbox)
    }

    /// Makes a database.
    ///
    /// # Errors
    /// The name is not allowed or taken, or the disk failed.
    pub async fn create(&self, name: &str) -> Result<(), DatabaseError> {
        if !database_name::is_legal(name) {
            return Err(DatabaseError::IllegalName(name.into()));
        }
        let path = self.path(name).ok_or_else(|| DatabaseError::LongName(name.into()))?;
        let slot = self.slot(name)?;
        let mut slot = slot.lock().await;
        if path.exists() {
            return Err(DatabaseError::Exists);
        }
        let mut half_made = path.clone().into_os_string();
        half_made.push(HALF_MADE_ENDING);
        let half_made = PathBuf::from(half_made);
        let mailbox = Mailbox::open(self.opening(half_made.clone())).await.map_err(DatabaseError::Storage)?;
        fs::rename(&half_made, &path).and_then(|()| sync_folder(&self.folder)).map_err(io_failed)?;
        *slot = Some(mailbox);
        Ok(())
    }

    /// Deletes a database once the jobs that wait for it are done.
    ///
    /// # Errors
    /// There is no such database, or the disk failed.
    pub async fn delete(&self, name: &str) -> Result<(), DatabaseError> {
        let path = self.existing_path(name)?;
        let slot = self.slot(name)?;
        let mut slot = slot.lock().await;
        if !path.exists() {
            return Err(DatabaseError::Missing);
        }
        if let Some(mailbox) = slot.take() {
            mailbox.stop().await;
        }
        fs::remove_file(&path).and_then(|()| sync_folder(&self.folder)).map_err(io_failed)
    }

    /// How many databases are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open =
            |slot: &Slot| slot.try_lock().map_or(true, |slot| slot.as_ref().is_some_and(|open| !open.is_closed()));
        slots.iter().flatten().filter(|(_, slot)| is_open(slot)).count()
    }

    /// The bytes of the database's file.
    ///
    /// # Errors
    /// There is no such database.
    pub fn file_bytes(&self, name: &str) -> Result<u64, DatabaseError> {
        let path = self.existing_path(name)?;
        fs::metadata(path).map(|metadata| metadata.len()).map_err(io_failed)
    }

    /// Finishes the jobs that wait, and closes every database. None can be had from then on.
    pub async fn close(&self) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner).take();
        for slot in slots.into_iter().flatten().map(|(_, slot)| slot) {
            if let Some(mailbox) = slot.lock().await.take() {
                mailbox.stop().await;
            }
        }
    }

    fn opening(&self, path: PathBuf) -> Opening {
        Opening { path, options: self.options.clone(), cache_bytes: self.cache_bytes }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        database_name::to_file_name(name).map(|file_name| self.folder.join(file_name))
    }

    /// Asking for names that are not there must leave nothing behind, so this is asked before a slot is made.
    fn existing_path(&self, name: &str) -> Result<PathBuf, DatabaseError> {
        let path = database_name::is_legal(name).then(|| self.path(name)).flatten();
        path.filter(|path| path.exists()).ok_or(DatabaseError::Missing)
    }

    fn slot(&self, name: &str) -> Result<Slot, DatabaseError> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = slots.as_mut().ok_or(DatabaseError::Stopping)?;
        if let Some(slot) = slots.get(name) {
            return Ok(slot.clone());
        }
        Ok(slots.entry(name.into()).or_default().clone())
    }
}

fn io_failed(error: io::Error) -> DatabaseError {
    DatabaseError::Storage(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::QuotaExceeded,
        _ => StorageError::Failed(error.to_string()),
    })
}

fn read_or_make_identity(file: &mut File) -> io::Result<String> {
    let mut identity = String::new();
    file.read_to_string(&mut identity)?;
    if identity.trim().is_empty() {
        identity = random_id();
        writeln!(file, "{identity}")?;
        file.sync_all()?;
    }
    Ok(identity.trim().to_owned())
}

fn remove_half_made(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let file_name = file_name.to_str().unwrap_or_default();
        let half_made = file_name.strip_suffix(HALF_MADE_ENDING).and_then(database_name::from_file_name);
        let snapshot = file_name.strip_suffix(snapshots::ENDING).and_then(database_name::from_file_name);
        if half_made.or(snapshot).is_some() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Puts the names in a folder on the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
