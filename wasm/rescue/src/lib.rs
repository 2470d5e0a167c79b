//! What is seldom needed of Firkin in a browser, in a module of its own, so that no page loads it in vain: repairs.
//!
//! It works on the blocks of a database that no engine has open, and takes it over from whoever had it.
#![cfg(target_arch = "wasm32")]

use firkin_core::database::{Database, LostRevision, Repaired};
use firkin_core::storage::store::StoreOptions;
use firkin_wasm::answer::{ObjectWriter, array};
use firkin_wasm::calls;
use firkin_wasm::host::Host;
use firkin_wasm::indexeddb::IndexedDbBlocks;
use firkin_wasm::options::{database_options, listener, store_options};
use firkin_wasm::payload::Payload;
use firkin_wasm::random::CryptoRandom;
use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;

/// Repairs the database `name` of IndexedDB; `options` are those that an engine is opened with. The host hears how far it is.
///
/// → `{ ok, blocks, lost: [{ id, rev, lost }], documents }`
#[wasm_bindgen(unchecked_return_type = "Promise<string>")]
pub fn repair(name: String, options: String, host: Host) -> Promise {
    calls::promise(async move {
        let asked = Payload::parse(options.as_bytes())?;
        let options = StoreOptions { progress: listener(&host), ..store_options(&asked)? };
        let blocks = IndexedDbBlocks::open(&name, asked.texts("living")?, |_| {}).await?;
        let (store, repaired) = Database::repair(blocks, options, &CryptoRandom, &database_options(&asked)?).await?;
        store.close().await;
        Ok(answer(&repaired).into())
    })
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
