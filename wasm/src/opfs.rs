//! Blocks in files of the origin's private file system (OPFS).
//!
//! JavaScript opens the files and closes them (`js/src/opfs.ts`); here they are read and written, by synchronous access handles.
//! A handle that is closed answers [`StorageError::Closed`] from then on.

use firkin_core::storage::StorageError;
use firkin_core::storage::files::{File, FileBlocks, Files, Lane, Limits};
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

use crate::indexeddb::storage_error;

/// An open file.
#[derive(Debug)]
pub struct OpfsFile(FileSystemSyncAccessHandle);

/// Blocks in such files.
pub type OpfsBlocks = FileBlocks<OpfsFile>;

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(offset as f64);
    options
}

impl File for OpfsFile {
    fn bytes(&self) -> Result<u64, StorageError> {
        self.0.get_size().map(|bytes| bytes as u64).map_err(|error| storage_error(&error))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StorageError> {
        let read = self.0.read_with_u8_array_and_options(into, &at(offset));
        read.map(|bytes| bytes as usize).map_err(|error| storage_error(&error))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let written =
            self.0.write_with_u8_array_and_options(bytes, &at(offset)).map_err(|error| storage_error(&error))?;
        // The disk is full where the browser does not say so.
        if written as usize == bytes.len() { Ok(()) } else { Err(StorageError::QuotaExceeded) }
    }

    fn truncate(&self, bytes: u64) -> Result<(), StorageError> {
        self.0.truncate_with_f64(bytes as f64).map_err(|error| storage_error(&error))
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.0.flush().map_err(|error| storage_error(&error))
    }
}

/// Opens the store in these files: the fence, and for each lane whether it is this opening's own, its two journals and its data.
///
/// # Errors
/// [`StorageError::Failed`] where they are something else; those of [`FileBlocks::open`].
pub fn open(files: &Array) -> Result<OpfsBlocks, StorageError> {
    let mut items = files.iter();
    let mut lanes = Vec::new();
    let fence = file(items.next())?;
    while let Some(is_own) = items.next() {
        let [one, other, data] = [(); 3].map(|()| file(items.next()));
        lanes.push(Lane { journals: [one?, other?], data: data?, is_own: is_own.is_truthy() });
    }
    FileBlocks::open(Files { fence, lanes }, Limits::default())
}

fn file(handle: Option<JsValue>) -> Result<OpfsFile, StorageError> {
    let handle = handle.filter(JsValue::is_object);
    let handle = handle.ok_or_else(|| StorageError::Failed("a database in OPFS is opened with its files".into()))?;
    Ok(OpfsFile(handle.unchecked_into()))
}
