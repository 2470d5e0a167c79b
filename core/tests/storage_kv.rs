//! The conformance suite for the stores of core.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)]
mod file_simulation;
#[allow(unused_macros)]
mod storage_conformance;
#[allow(dead_code)]
mod storage_simulation;

mod memory {
    use firkin_core::storage::memory::MemoryKv;

    use crate::storage_conformance;

    crate::conformance_tests!(MemoryKv::new());
}

mod log {
    use firkin_core::storage::blocks_memory::MemoryBlocks;
    use firkin_core::storage::store::{LogStore, StoreOptions};

    use crate::storage_conformance;

    crate::conformance_tests!(LogStore::open(MemoryBlocks::new(), StoreOptions::new([1; 16])).await.unwrap());
}

/// A memtable so small that everything stands in segments, and a cache that holds one block.
mod log_of_segments {
    use firkin_core::storage::blocks_memory::MemoryBlocks;
    use firkin_core::storage::store::{LogStore, StoreOptions};

    use crate::storage_conformance;

    async fn open() -> LogStore<MemoryBlocks> {
        let options = StoreOptions { memtable_bytes_max: 300, cache_bytes: 40_000, ..StoreOptions::new([1; 16]) };
        LogStore::open(MemoryBlocks::new(), options).await.unwrap()
    }

    crate::conformance_tests!(open().await);
}

/// Blocks in files that are flushed, followed by others and cut off all the time.
mod log_in_files {
    use firkin_core::storage::files::{FileBlocks, Limits};
    use firkin_core::storage::store::{LogStore, StoreOptions};

    use crate::file_simulation::{FaultyFile, FaultyFiles};
    use crate::storage_conformance;

    async fn open() -> LogStore<FileBlocks<FaultyFile>> {
        let limits = Limits { unflushed_bytes: 1_000, journal_bytes: 1_000, tail_bytes: 0 };
        let options = StoreOptions { memtable_bytes_max: 300, cache_bytes: 40_000, ..StoreOptions::new([1; 16]) };
        LogStore::open(FaultyFiles::new(1, limits).connect().unwrap(), options).await.unwrap()
    }

    crate::conformance_tests!(open().await);
}
