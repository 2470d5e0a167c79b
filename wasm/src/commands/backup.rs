//! Copies of the store's blocks, read part by part.
//!
//! A copy under way holds what it copies, for a minute after each read (`leases.rs`).

use std::rc::Rc;

use async_lock::Mutex;
use firkin_core::error::ErrorReport;
use firkin_core::storage::FORMAT_VERSION;
use firkin_core::storage::backup::Backup;

use crate::answer::ObjectWriter;
use crate::blocks::PlatformBlocks;
use crate::engine::Opened;
use crate::failure::Failure;
use crate::leases::{self, Lease};
use crate::payload::Payload;

/// About how many bytes cross at a time.
const PART_BYTES: usize = 1024 * 1024;

/// A copy under way.
pub struct Copy {
    name: String,
    backup: Mutex<Backup<PlatformBlocks>>,
    pub lease: Lease,
}

/// `{ name }` → `{ format, bytes }`: begins a copy that the page calls by this name
pub async fn begin(engine: &Rc<Opened>, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let name = Payload::parse(payload)?.required_text("name")?;
    let backup = engine.database.kv().backup().await?;
    let head = ObjectWriter::new().number("format", FORMAT_VERSION.into()).number("bytes", backup.bytes);
    let copy = Copy { name, backup: Mutex::new(backup), lease: Lease::begin() };
    engine.copies.borrow_mut().push(Rc::new(copy));
    leases::watch(engine);
    Ok(head.finish())
}

/// `{ name }` → the next bytes of the copy, which are no JSON; none at its end. 404 `backup_gone` where there is no such copy any more.
pub async fn next(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let name = Payload::parse(payload)?.required_text("name")?;
    leases::end_idle(engine);
    let copy = engine.copies.borrow().iter().find(|copy| copy.name == name).cloned();
    let copy = copy.ok_or_else(|| {
        Failure(ErrorReport::new(
            404,
            "backup_gone",
            "The backup ended: it was not read for a minute, or another tab leads.",
        ))
    })?;
    let bytes = copy.backup.lock().await.next(PART_BYTES).await?;
    copy.lease.renew();
    if bytes.is_empty() {
        drop(copy);
        drop_copy(engine, &name);
    }
    Ok(bytes)
}

/// `{ name }` →
pub fn end(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let name = Payload::parse(payload)?.required_text("name")?;
    drop_copy(engine, &name);
    Ok(Vec::new())
}

fn drop_copy(engine: &Opened, name: &str) {
    engine.copies.borrow_mut().retain(|copy| copy.name != name);
    engine.database.kv().look_for_garbage();
    leases::release(engine);
}
