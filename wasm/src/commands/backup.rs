//! Copies of the store's blocks, read part by part.
//!
//! A copy under way holds what it copies. **One that nobody has read from for a minute ends**, so that a tab that is gone, or
//! sleeps, holds nothing.

use std::cell::Cell;
use std::rc::Rc;

use async_lock::Mutex;
use firkin_core::effects::Clock;
use firkin_core::error::ErrorReport;
use firkin_core::storage::FORMAT_VERSION;
use firkin_core::storage::backup::Backup;
use js_sys::futures::spawn_local;

use crate::answer::ObjectWriter;
use crate::blocks::PlatformBlocks;
use crate::clock::BrowserClock;
use crate::engine::Opened;
use crate::failure::Failure;
use crate::payload::Payload;

/// How long a copy may go unread.
const IDLE_MS_MAX: u64 = 60_000;
/// About how many bytes cross at a time.
const PART_BYTES: usize = 1024 * 1024;

/// A copy under way.
pub struct Copy {
    name: String,
    backup: Mutex<Backup<PlatformBlocks>>,
    read_ms: Cell<u64>,
}

/// `{ name }` → `{ format, bytes }`: begins a copy that the page calls by this name
pub async fn begin(engine: &Rc<Opened>, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let name = Payload::parse(payload)?.required_text("name")?;
    let backup = engine.database.kv().backup().await?;
    let head = ObjectWriter::new().number("format", FORMAT_VERSION.into()).number("bytes", backup.bytes);
    let copy = Copy { name, backup: Mutex::new(backup), read_ms: Cell::new(BrowserClock.now_ms()) };
    let (copy, engine_of_lease) = (Rc::new(copy), Rc::downgrade(engine));
    engine.copies.borrow_mut().push(Rc::clone(&copy));
    let copy = Rc::downgrade(&copy);
    spawn_local(async move {
        loop {
            BrowserClock.sleep(IDLE_MS_MAX).await;
            let (Some(engine), Some(copy)) = (engine_of_lease.upgrade(), copy.upgrade()) else { return };
            if BrowserClock.now_ms().saturating_sub(copy.read_ms.get()) >= IDLE_MS_MAX {
                engine.copies.borrow_mut().retain(|other| !Rc::ptr_eq(other, &copy));
                return;
            }
        }
    });
    Ok(head.finish())
}

/// `{ name }` → the next bytes of the copy, which are no JSON; none at its end. 404 `backup_gone` where there is no such copy any more.
pub async fn next(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let name = Payload::parse(payload)?.required_text("name")?;
    let copy = engine.copies.borrow().iter().find(|copy| copy.name == name).cloned();
    let copy = copy.ok_or_else(|| {
        Failure(ErrorReport::new(
            404,
            "backup_gone",
            "The backup ended: it was not read for a minute, or another tab leads.",
        ))
    })?;
    let bytes = copy.backup.lock().await.next(PART_BYTES).await?;
    copy.read_ms.set(BrowserClock.now_ms());
    if bytes.is_empty() {
        engine.copies.borrow_mut().retain(|other| other.name != name);
    }
    Ok(bytes)
}

/// `{ name }` →
pub fn end(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let name = Payload::parse(payload)?.required_text("name")?;
    engine.copies.borrow_mut().retain(|copy| copy.name != name);
    Ok(Vec::new())
}
