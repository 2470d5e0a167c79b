//! Opens a store: takes it over, and reads the manifest and the tail of the log.

use alloc::vec::Vec;

use super::blocks::{BlockBatch, BlockKey, Blocks};
use super::flush::Writer;
use super::frame::{SEGMENT_BLOCKS_MAX, SEGMENTS_MAX, corrupt, segment_block, segment_of};
use super::log::Recovered;
use super::manifest::Manifest;
use super::reader::BlockReader;
use super::run::Run;
use super::version::Version;
use super::{Durability, StorageError, log};

/// The state that the blocks hold.
pub(super) struct Found<B> {
    pub(super) version: Version,
    pub(super) writer: Writer<B>,
    /// Whether the store was taken over. There may be no room for that where all can be read.
    pub(super) is_owner: bool,
}

/// Takes the store over and reads its state. Where there is no room to take it over it is read as whoever had it has left it.
pub(super) async fn recover<B: Blocks>(reader: &mut BlockReader<B>) -> Result<Found<B>, StorageError> {
    // A store that this build cannot read is left to who can: it is not taken over.
    let is_new = read_manifest(reader).await?.is_none();
    match take_over(reader, &reader.epoch, None).await {
        Err(StorageError::QuotaExceeded) if !is_new && reader.blocks.are_left_alone() => return look_at(reader).await,
        taken => taken?,
    }
    let manifest = match read_manifest(reader).await? {
        Some(manifest) => manifest,
        None => create(reader).await?,
    };
    let (recovered, mut writer) = loop {
        let recovered = log::recover(reader, manifest.first_log).await?;
        match begin_writing(reader, manifest.first_log, &recovered).await {
            // Whoever had the store has written one more record meanwhile: the one that the bar keeps from another.
            Err(StorageError::Fenced)
                if is_there(reader, BlockKey::log(recovered.next)).await? && owns(reader).await? => {}
            writer => break (recovered, writer?),
        }
    };
    collect_orphans(reader, &manifest, &mut writer).await?;
    let version = Version { memtable: recovered.memtable, segments: manifest.segments.into() };
    Ok(Found { version, writer, is_owner: true })
}

/// The state as whoever had the store has left it; what is in the middle of a change is looked at again.
async fn look_at<B: Blocks>(reader: &mut BlockReader<B>) -> Result<Found<B>, StorageError> {
    loop {
        let Some(manifest) = read_manifest(reader).await? else { return Err(StorageError::QuotaExceeded) };
        reader.epoch = read_epoch(reader).await?.unwrap_or_default();
        let recovered = log::recover(reader, manifest.first_log).await;
        if read_manifest(reader).await? == Some(manifest.clone()) {
            let recovered = recovered?;
            let mut writer = Writer::behind(manifest.first_log, recovered.next, recovered.bytes);
            // A commit that will be refused makes blocks of a segment first, and the cache has them: under numbers of their own.
            collect_orphans(reader, &manifest, &mut writer).await?;
            let version = Version { memtable: recovered.memtable, segments: manifest.segments.into() };
            return Ok(Found { version, writer, is_owner: false });
        }
    }
}

/// Keeps whoever has had the store from writing: from here on nobody else changes anything but for one record of the log, until
/// that is barred. Refused where another has done so `since` then.
pub(super) async fn take_over<B: Blocks>(
    reader: &BlockReader<B>,
    epoch: &[u8],
    since: Option<(BlockKey, Vec<u8>)>,
) -> Result<(), StorageError> {
    let epoch = (BlockKey::epoch(), epoch.to_vec());
    let takeover = BlockBatch { puts: Vec::from([epoch]), guard: since, ..BlockBatch::default() };
    reader.blocks.commit(takeover, Durability::Relaxed).await
}

/// The writer that goes on behind the log, which is barred with a record without entries against whoever had the store before:
/// that one's next record would have the same number. What it could write until then is part of the log; it is not told that
/// it could.
pub(super) async fn begin_writing<B: Blocks>(
    reader: &BlockReader<B>,
    first_log: u64,
    recovered: &Recovered,
) -> Result<Writer<B>, StorageError> {
    if !recovered.torn.is_empty() {
        // Their numbers are about to be used again.
        write(reader, BlockBatch { deletes: recovered.torn.clone(), ..BlockBatch::default() }).await?;
    }
    let bar = if reader.blocks.has_rivals() { log::encode(&Run::default(), recovered.next) } else { Vec::new() };
    let (blocks, bytes) = (bar.len() as u64, bar.iter().map(|(_, block)| block.len()).sum::<usize>());
    if blocks > 0 {
        write(reader, BlockBatch { puts: bar, are_new: true, ..BlockBatch::default() }).await?;
    }
    Ok(Writer::behind(first_log, recovered.next + blocks, recovered.bytes + bytes))
}

async fn is_there<B: Blocks>(reader: &BlockReader<B>, key: BlockKey) -> Result<bool, StorageError> {
    Ok(!reader.blocks.keys(key, key).await?.is_empty())
}

/// Whether nobody else has taken the store over.
async fn owns<B: Blocks>(reader: &BlockReader<B>) -> Result<bool, StorageError> {
    Ok(read_epoch(reader).await?.as_ref() == Some(&reader.epoch))
}

async fn read_epoch<B: Blocks>(reader: &BlockReader<B>) -> Result<Option<Vec<u8>>, StorageError> {
    Ok(reader.blocks.read(&[BlockKey::epoch()]).await?.pop().flatten())
}

pub(super) async fn read_manifest<B: Blocks>(reader: &BlockReader<B>) -> Result<Option<Manifest>, StorageError> {
    let block = reader.blocks.read(&[BlockKey::MANIFEST]).await?.pop().flatten();
    block.map(|block| Manifest::decode(&block)).transpose()
}

/// Makes an empty store. A store gets its manifest before anything else, so where there are other blocks it is lost.
pub(super) async fn create<B: Blocks>(reader: &BlockReader<B>) -> Result<Manifest, StorageError> {
    let last = segment_block(SEGMENTS_MAX - 1, SEGMENT_BLOCKS_MAX - 1);
    if !reader.blocks.keys(BlockKey::log(0), last).await?.is_empty() {
        return Err(corrupt(BlockKey::MANIFEST, "is missing"));
    }
    let manifest = Manifest::default();
    let puts = Vec::from([(BlockKey::MANIFEST, manifest.encode()?)]);
    write(reader, BlockBatch { puts, ..BlockBatch::default() }).await?;
    Ok(manifest)
}

/// Finds the blocks that nothing refers to: those of segments that were merged away, and those of segments that were not
/// finished. They are deleted bit by bit with later commits, and the numbers of new segments begin behind them.
pub(super) async fn collect_orphans<B: Blocks>(
    reader: &BlockReader<B>,
    manifest: &Manifest,
    writer: &mut Writer<B>,
) -> Result<(), StorageError> {
    for segment in &manifest.retired {
        let (first, last) = (segment_block(*segment, 0), segment_block(*segment, SEGMENT_BLOCKS_MAX - 1));
        writer.garbage.doom(reader.blocks.keys(first, last).await?);
    }
    if let Some(before) = manifest.first_log.checked_sub(1) {
        // Bars that kept others out, and what one wrote that was kept out.
        writer.garbage.doom(reader.blocks.keys(BlockKey::log(0), BlockKey::log(before)).await?);
    }
    writer.next_segment = manifest.next_segment;
    let last = segment_block(SEGMENTS_MAX - 1, SEGMENT_BLOCKS_MAX - 1);
    let unfinished = reader.blocks.keys(segment_block(manifest.next_segment, 0), last).await?;
    if let Some(last) = unfinished.last() {
        // Their numbers are not used again, lest a block be deleted that counts.
        writer.next_segment = segment_of(*last) + 1;
    }
    writer.garbage.doom(unfinished);
    Ok(())
}

pub(super) async fn write<B: Blocks>(reader: &BlockReader<B>, mut batch: BlockBatch) -> Result<(), StorageError> {
    batch.guard = Some((BlockKey::epoch(), reader.epoch.clone()));
    reader.blocks.commit(batch, Durability::Relaxed).await
}
