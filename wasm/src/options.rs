//! The options that the page opens a database with, as the engine takes them.

use firkin_core::database::Options;
use firkin_core::document::keys;
use firkin_core::effects::Random;
use firkin_core::merge::Policies;
use firkin_core::path::Path;
use firkin_core::progress::{Listener, Progress};
use firkin_core::storage::store::StoreOptions;

use crate::answer::ObjectWriter;
use crate::failure::Failure;
use crate::host::Host;
use crate::payload::{self, Payload};
use crate::random::CryptoRandom;

/// Tells the page how far something is, by events named `progress`: `{ task, done, total }`.
pub fn listener(host: &Host) -> Listener {
    let host = host.clone();
    Listener::new(move |Progress { task, done, total }| {
        let told = ObjectWriter::new().text("task", task.name()).number("done", done);
        host.event("progress", total.into_iter().fold(told, |told, total| told.number("total", total)));
    })
}

/// What a store is opened with.
pub fn store_options(asked: &Payload<'_>) -> Result<StoreOptions, Failure> {
    let mut epoch = [0; 16];
    CryptoRandom.fill(&mut epoch);
    if let Some(client) = asked.text("client")? {
        let owner = u64::from_str_radix(&client, 16).map_err(|_| payload::wrong("client", "16 hex digits"))?;
        let (first, _) = epoch.split_at_mut(8);
        first.copy_from_slice(&owner.to_be_bytes());
    }
    let mut options = StoreOptions { unfiltered: keys::WALKED, ..StoreOptions::new(epoch) };
    if let Some(bytes) = asked.count("cacheBytes")? {
        options.cache_bytes = bytes;
    }
    Ok(options)
}

/// What a database is opened with.
pub fn database_options(asked: &Payload<'_>) -> Result<Options, Failure> {
    let mut options = Options::default();
    if let Some(durability) = asked.durability("durability")? {
        options.durability = durability;
    }
    if let Some(limit) = asked.count("revsLimit")? {
        options.revs_limit = u32::try_from(limit).unwrap_or(u32::MAX);
    }
    let excluded = asked.object("index")?.texts("exclude")?.unwrap_or_default();
    options.exclude = excluded.iter().map(|path| Path::parse(path)).collect();
    if let Some(bytes) = asked.count("documentBytesMax")? {
        options.document_bytes_max = bytes;
    }
    Ok(options)
}

/// What becomes of documents with several branches, if the page says.
pub fn policies(asked: &Payload<'_>) -> Result<Option<Policies>, Failure> {
    let Some(policies) = asked.value("merge")? else { return Ok(None) };
    let policies = Policies::parse(&policies).map_err(|error| Failure(error.report()))?;
    let version = asked.count("mergeVersion")?.and_then(|version| u32::try_from(version).ok());
    Ok(Some(policies.with_version(version.unwrap_or_default())))
}
