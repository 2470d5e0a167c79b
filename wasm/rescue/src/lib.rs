//! What is seldom needed of Firkin in a browser, in a module of its own, so that no page loads it in vain: repairs,
//! and taking in a copy of a store.
//!
//! It works on the blocks of a database that no engine has open, and takes it over from whoever had it.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::rc::Rc;

use firkin_core::database::{Database, LostRevision, Repaired};
use firkin_core::storage::restore;
use firkin_core::storage::store::StoreOptions;
use firkin_wasm::answer::{ObjectWriter, array};
use firkin_wasm::blocks::PlatformBlocks;
use firkin_wasm::calls;
use firkin_wasm::failure::Failure;
use firkin_wasm::host::Host;
use firkin_wasm::options::{database_options, listener, store_options};
use firkin_wasm::payload::Payload;
use firkin_wasm::random::CryptoRandom;
use js_sys::{Array, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Repairs the database `name`; `options` and, in OPFS, `files` are those that an engine is opened with. The host hears how far it is.
///
/// → `{ ok, blocks, lost: [{ id, rev, lost }], documents }`
#[wasm_bindgen(unchecked_return_type = "Promise<string>")]
pub fn repair(name: String, options: String, host: Host, files: Option<Array>) -> Promise {
    calls::promise(async move {
        let asked = Payload::parse(options.as_bytes())?;
        let options = StoreOptions { progress: listener(&host), ..store_options(&asked)? };
        let blocks = PlatformBlocks::open(&name, &asked, false, files, |_, _| {}).await?;
        let (store, repaired) = Database::repair(blocks, options, &CryptoRandom, &database_options(&asked)?).await?;
        store.close().await;
        Ok(answer(&repaired).into())
    })
}

/// A copy of a store that is being written into a database.
#[wasm_bindgen]
pub struct Restore {
    // Empty while it is at work, and once it has failed or ended.
    restore: Rc<RefCell<Option<restore::Restore<PlatformBlocks>>>>,
}

#[wasm_bindgen]
impl Restore {
    /// Begins to write a copy in `format` into the database `name`, which must be empty; `options` and, in OPFS, `files` are those
    /// that an engine is opened with.
    #[wasm_bindgen(unchecked_return_type = "Promise<Restore>")]
    pub fn begin(name: String, options: String, format: u32, files: Option<Array>) -> Promise {
        calls::promise(async move {
            let asked = Payload::parse(options.as_bytes())?;
            let blocks = PlatformBlocks::open(&name, &asked, false, files, |_, _| {}).await?;
            let restore = Database::begin_restore(blocks, store_options(&asked)?, format).await?;
            Ok(Self { restore: Rc::new(RefCell::new(Some(restore))) }.into())
        })
    }

    /// Takes in the next bytes of the copy. One call is made after the other.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn add(&self, bytes: Vec<u8>) -> Promise {
        let place = Rc::clone(&self.restore);
        calls::promise(async move {
            let mut restore = place.take().ok_or_else(Failure::closed)?;
            restore.add(&bytes).await?;
            place.replace(Some(restore));
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Makes the copy count; the next to open the database finds it.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn finish(&self) -> Promise {
        let restore = self.restore.take();
        calls::promise(async move {
            Database::end_restore(restore.ok_or_else(Failure::closed)?).await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}

fn answer(repaired: &Repaired) -> String {
    let row = |LostRevision { id, rev, loss }: &LostRevision| {
        ObjectWriter::new().text("id", id).text("rev", rev).text("lost", loss.name()).finish()
    };
    ObjectWriter::new()
        .boolean("ok", true)
        .texts("blocks", &repaired.blocks)
        .json("lost", &array(repaired.lost.iter().map(row)))
        .number("documents", repaired.documents)
        .finish_text()
}
