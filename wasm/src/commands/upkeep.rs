//! Compaction and purging.

use firkin_core::database::{Compacted, Compaction, Purged};

use super::Asked;
use super::documents::write_options;
use crate::answer::ObjectWriter;
use crate::engine::{Opened, Store};
use crate::failure::Failure;
use crate::payload::Payload;

/// → `{ ok, documents, revisions, contents_dropped, contents_kept, contents_kept_bytes,
/// contents_incoming }`. Meanwhile the page gets events
/// named `progress`.
pub async fn compact(engine: &Opened) -> Result<Vec<u8>, Failure> {
    let mut compaction = Compaction::default();
    while engine.database.compact_slice(&mut compaction).await? {
        if engine.is_closing() {
            return Err(Failure::closed());
        }
        let told = ObjectWriter::new().text("task", "compact").number("done", compaction.done.documents);
        engine.host.event("progress", counts(told, &compaction.done));
    }
    Ok(counts(ObjectWriter::new().boolean("ok", true), &compaction.done).finish())
}

fn counts(writer: ObjectWriter, done: &Compacted) -> ObjectWriter {
    writer
        .number("documents", done.documents)
        .number("revisions", done.revisions)
        .number("contents_dropped", done.contents_dropped)
        .number("contents_kept", done.contents_kept)
        .number("contents_kept_bytes", done.contents_kept_bytes)
        .number("contents_incoming", done.contents_incoming)
}

/// `{ id, rev, options }` → `{ ok, deletedRevs, documentWasRemovedCompletely }`
pub async fn purge(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let (id, rev) = (payload.required_text("id")?, payload.text("rev")?.unwrap_or_default());
    let purged = database.purge(&id, &rev, &write_options(&payload, asked.request)?).await?;
    Ok(purged_answer(&purged))
}

/// `{ ok, deletedRevs, documentWasRemovedCompletely }`
pub fn purged_answer(purged: &Purged) -> Vec<u8> {
    ObjectWriter::new()
        .boolean("ok", true)
        .texts("deletedRevs", &purged.deleted_revs)
        .boolean("documentWasRemovedCompletely", purged.document_was_removed)
        .finish()
}
