//! The conformance suite for the stores of core.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod storage_conformance;

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
