//! Opens a store: takes it over, at once or with its first write, and reads the manifest and the tail of the log.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::blocks::{BlockBatch, BlockKey, Blocks, Looked};
use super::flush::Writer;
use super::frame::{SEGMENT_BLOCKS_MAX, SEGMENTS_MAX, corrupt, segment_block, segment_of};
use super::log::Recovered;
use super::manifest::Manifest;
use super::reader::BlockReader;
use super::run::Run;
use super::version::Version;
use super::{Durability, StorageError, log};

/// How a store has its blocks.
#[derive(Debug)]
pub(super) enum Ownership {
    /// It was taken over: nobody else can write.
    Own,
    /// Nobody else can write as it is, and it is taken over with the first write.
    Claim(Rc<Claim>),
    /// There was no room to take it over, and who had it may be writing still.
    Guest,
}

/// What was found of a store that nobody else can write.
#[derive(Debug)]
pub(super) struct Claim {
    manifest: Manifest,
    /// The blocks of the log that count.
    log: Vec<BlockKey>,
    /// The blocks of a last record of the log that is not whole.
    torn: Vec<BlockKey>,
}

/// The state that the blocks hold.
pub(super) struct Found<B> {
    pub(super) version: Version,
    pub(super) writer: Writer<B>,
    pub(super) ownership: Ownership,
}

/// Reads the state of the store, and takes it over before, unless that can wait for the first write. Where there is no room to take it
/// over it is read as whoever had it has left it.
pub(super) async fn recover<B: Blocks>(reader: &BlockReader<B>) -> Result<Found<B>, StorageError> {
    // A store that this build cannot read is left to who can: it is not taken over.
    let mut looked = reader.blocks.look(&[BlockKey::MANIFEST, BlockKey::epoch()], &[log::range(0)]).await?;
    let (epoch, manifest, log) = (looked.blocks.pop().flatten(), looked.blocks.pop().flatten(), looked.keys.pop());
    let seen = manifest.map(|block| Manifest::decode(&block)).transpose()?;
    if let (Some(manifest), Some(epoch), true) = (&seen, epoch, reader.blocks.is_undisputed()) {
        reader.set_epoch(epoch);
        return claim(reader, manifest.clone(), log.unwrap_or_default()).await;
    }
    match take_over(reader, &reader.epoch(), Vec::new(), None).await {
        Err(StorageError::QuotaExceeded) if seen.is_some() && reader.blocks.are_left_alone() => {
            return look_at(reader).await;
        }
        taken => taken?,
    }
    let (manifest, Around { mut log, orphans }) = look_around(reader, seen).await?;
    let (recovered, mut writer) = loop {
        let recovered = log::recover(reader, manifest.first_log, &log).await?;
        match begin_writing(reader, manifest.first_log, &recovered).await {
            // Whoever had the store has written one more record meanwhile: the one that the bar keeps from another.
            Err(StorageError::Fenced)
                if is_there(reader, BlockKey::log(recovered.next)).await? && owns(reader).await? =>
            {
                let (first, last) = log::range(manifest.first_log);
                log = reader.blocks.keys(first, last).await?;
            }
            writer => break (recovered, writer?),
        }
    };
    doom(&manifest, orphans, &mut writer);
    let version = Version { memtable: recovered.memtable, segments: manifest.segments.into() };
    Ok(Found { version, writer, ownership: Ownership::Own })
}

/// The state of a store that nobody else can write, of whose log these blocks are there.
async fn claim<B: Blocks>(
    reader: &BlockReader<B>,
    manifest: Manifest,
    mut log: Vec<BlockKey>,
) -> Result<Found<B>, StorageError> {
    log.retain(|key| key.number() >= manifest.first_log);
    let recovered = log::recover(reader, manifest.first_log, &log).await?;
    log.retain(|key| !recovered.torn.contains(key));
    let mut writer = Writer::behind(manifest.first_log, recovered.next, recovered.bytes);
    writer.next_segment = manifest.next_segment;
    let version = Version { memtable: recovered.memtable, segments: manifest.segments.clone().into() };
    let ownership = Ownership::Claim(Rc::new(Claim { manifest, log, torn: recovered.torn }));
    Ok(Found { version, writer, ownership })
}

/// Takes such a store over at last, as `epoch`; refused where another has done so since it was opened, or has written all the same: then it
/// is to be opened anew.
pub(super) async fn make_good<B: Blocks>(
    reader: &BlockReader<B>,
    Claim { manifest, log, torn }: &Claim,
    epoch: &[u8],
    writer: &mut Writer<B>,
) -> Result<(), StorageError> {
    let since = (BlockKey::epoch(), reader.epoch());
    match take_over(reader, epoch, torn.clone(), Some(since)).await {
        // An earlier attempt has, of which nobody heard.
        Err(StorageError::Fenced) if read_epoch(reader).await?.as_deref() == Some(epoch) => {}
        taken => taken?,
    }
    // Nobody writes any more. Whoever was thought to be gone may have until then, under the epoch that was found.
    let (found, around) = look_by(reader, manifest).await?;
    if found.as_ref() != Some(manifest) || around.log != *log {
        return Err(StorageError::Fenced);
    }
    reader.set_epoch(epoch.to_vec());
    doom(manifest, around.orphans, writer);
    Ok(())
}

/// The names of what there is beside the segments that count.
struct Around {
    /// The log's blocks.
    log: Vec<BlockKey>,
    /// As [`doom`] takes them.
    orphans: Vec<Vec<BlockKey>>,
}

/// Looks in one step at the manifest that is there, and at what there is around it if it is `manifest`.
async fn look_by<B: Blocks>(
    reader: &BlockReader<B>,
    manifest: &Manifest,
) -> Result<(Option<Manifest>, Around), StorageError> {
    let ranges = [Vec::from([log::range(manifest.first_log)]), orphan_ranges(manifest)].concat();
    let Looked { mut blocks, keys } = reader.blocks.look(&[BlockKey::MANIFEST], &ranges).await?;
    let found = blocks.pop().flatten().map(|block| Manifest::decode(&block)).transpose()?;
    let mut keys = keys.into_iter();
    Ok((found, Around { log: keys.next().unwrap_or_default(), orphans: keys.collect() }))
}

/// The manifest and what is around it: found in one step if it is the one that was `seen` before. Makes an empty store where there is none.
async fn look_around<B: Blocks>(
    reader: &BlockReader<B>,
    seen: Option<Manifest>,
) -> Result<(Manifest, Around), StorageError> {
    let mut manifest = seen.unwrap_or_default();
    loop {
        let (found, around) = look_by(reader, &manifest).await?;
        let found = match found {
            Some(found) => found,
            None => create(reader).await?,
        };
        if found == manifest {
            return Ok((manifest, around));
        }
        manifest = found;
    }
}

/// The state as whoever had the store has left it; what is in the middle of a change is looked at again.
async fn look_at<B: Blocks>(reader: &BlockReader<B>) -> Result<Found<B>, StorageError> {
    loop {
        let Some(manifest) = read_manifest(reader).await? else { return Err(StorageError::QuotaExceeded) };
        reader.set_epoch(read_epoch(reader).await?.unwrap_or_default());
        let (first, last) = log::range(manifest.first_log);
        let log = reader.blocks.keys(first, last).await?;
        let recovered = log::recover(reader, manifest.first_log, &log).await;
        if read_manifest(reader).await? == Some(manifest.clone()) {
            let recovered = recovered?;
            let mut writer = Writer::behind(manifest.first_log, recovered.next, recovered.bytes);
            // A commit that will be refused makes blocks of a segment first, and the cache has them: under numbers of their own.
            collect_orphans(reader, &manifest, &mut writer).await?;
            let version = Version { memtable: recovered.memtable, segments: manifest.segments.into() };
            return Ok(Found { version, writer, ownership: Ownership::Guest });
        }
    }
}

/// Keeps whoever has had the store from writing: from here on nobody else changes anything but for one record of the log, until
/// that is barred. Refused where another has done so `since` then. Blocks that are `torn` go with it.
pub(super) async fn take_over<B: Blocks>(
    reader: &BlockReader<B>,
    epoch: &[u8],
    torn: Vec<BlockKey>,
    since: Option<(BlockKey, Vec<u8>)>,
) -> Result<(), StorageError> {
    let epoch = (BlockKey::epoch(), epoch.to_vec());
    let takeover = BlockBatch { puts: Vec::from([epoch]), deletes: torn, guard: since, ..BlockBatch::default() };
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
    Ok(read_epoch(reader).await?.as_ref() == Some(&reader.epoch()))
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
/// finished. They are deleted bit by bit beside later commits, and the numbers of new segments begin behind them.
pub(super) async fn collect_orphans<B: Blocks>(
    reader: &BlockReader<B>,
    manifest: &Manifest,
    writer: &mut Writer<B>,
) -> Result<(), StorageError> {
    let looked = reader.blocks.look(&[], &orphan_ranges(manifest)).await?;
    doom(manifest, looked.keys, writer);
    Ok(())
}

/// Where such blocks can be: first those of segments that were not finished.
fn orphan_ranges(manifest: &Manifest) -> Vec<(BlockKey, BlockKey)> {
    let last = segment_block(SEGMENTS_MAX - 1, SEGMENT_BLOCKS_MAX - 1);
    let mut ranges = Vec::from([(segment_block(manifest.next_segment, 0), last)]);
    if let Some(before) = manifest.first_log.checked_sub(1) {
        // Bars that kept others out, and what one wrote that was kept out.
        ranges.push((BlockKey::log(0), BlockKey::log(before)));
    }
    for segment in &manifest.retired {
        ranges.push((segment_block(*segment, 0), segment_block(*segment, SEGMENT_BLOCKS_MAX - 1)));
    }
    ranges
}

/// Has the blocks of these ranges deleted, of which the first holds those of segments that were not finished.
fn doom<B: Blocks>(manifest: &Manifest, orphans: Vec<Vec<BlockKey>>, writer: &mut Writer<B>) {
    // Their numbers are not used again, lest a block be deleted that counts.
    let unfinished = orphans.first().and_then(|unfinished| unfinished.last());
    writer.next_segment = unfinished.map_or(manifest.next_segment, |last| segment_of(*last) + 1);
    for orphans in orphans {
        writer.garbage.doom(orphans);
    }
}

pub(super) async fn write<B: Blocks>(reader: &BlockReader<B>, mut batch: BlockBatch) -> Result<(), StorageError> {
    batch.guard = Some((BlockKey::epoch(), reader.epoch()));
    reader.blocks.commit(batch, Durability::Relaxed).await
}
