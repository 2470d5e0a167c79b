//! The disks that fail, as one: of blocks, and of files that hold blocks.

use std::future::Future;

use firkin_core::storage::StorageError;
use firkin_core::storage::blocks::Blocks;
use firkin_core::storage::files::FileBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};

use crate::file_simulation::{FaultyFile, FaultyFiles};
use crate::storage_simulation::{Faults, FaultyBlocks};

/// A disk that fails. Clones share it.
pub trait Disk: Clone {
    type Blocks: Blocks;
    fn connect(&self) -> Result<Self::Blocks, StorageError>;
    fn set_faults(&self, faults: Faults);
    fn set_undisputed(&self, is_undisputed: bool);
    fn is_dead(&self) -> bool;
    fn restart(&self, power_lost: bool);
    fn drive<T>(&self, drops_hanging: bool, future: impl Future<Output = T>) -> Option<T>;
}

impl Disk for FaultyBlocks {
    type Blocks = Self;

    fn connect(&self) -> Result<Self, StorageError> {
        Ok(self.clone())
    }

    fn set_undisputed(&self, is_undisputed: bool) {
        self.set_undisputed(is_undisputed);
    }

    fn set_faults(&self, faults: Faults) {
        self.set_faults(faults);
    }

    fn is_dead(&self) -> bool {
        self.is_dead()
    }

    fn restart(&self, power_lost: bool) {
        self.restart(power_lost);
    }

    fn drive<T>(&self, drops_hanging: bool, future: impl Future<Output = T>) -> Option<T> {
        self.drive(drops_hanging, future)
    }
}

impl Disk for FaultyFiles {
    type Blocks = FileBlocks<FaultyFile>;

    fn connect(&self) -> Result<Self::Blocks, StorageError> {
        self.connect()
    }

    /// Files keep others out by themselves.
    fn set_undisputed(&self, _is_undisputed: bool) {}

    fn set_faults(&self, faults: Faults) {
        self.set_faults(faults);
    }

    fn is_dead(&self) -> bool {
        self.is_dead()
    }

    fn restart(&self, power_lost: bool) {
        self.restart(power_lost);
    }

    fn drive<T>(&self, _drops_hanging: bool, future: impl Future<Output = T>) -> Option<T> {
        self.drive(future)
    }
}

/// Opens the store, again and again if the machine dies meanwhile.
pub fn open<D: Disk>(disk: &D, options: &mut StoreOptions, faults: Faults) -> LogStore<D::Blocks> {
    // Enough is enough: in the end the machine stays up.
    for attempt in 0..100 {
        options.epoch = (u128::from_le_bytes(options.epoch) + 1).to_le_bytes();
        disk.set_faults(if attempt < 5 { faults } else { Faults::default() });
        match disk.drive(false, async { LogStore::open(disk.connect()?, options.clone()).await }) {
            Some(Ok(store)) => {
                disk.set_faults(faults);
                return store;
            }
            Some(Err(StorageError::QuotaExceeded | StorageError::Closed | StorageError::Failed(_))) => {}
            Some(Err(error)) => panic!("cannot open: {error}"),
            None => disk.restart(false),
        }
    }
    panic!("could not open in 100 attempts");
}
