//! A transaction of IndexedDB, and what goes into it and comes out of it in the platform's values.

use std::fmt::Write;

use firkin_core::storage::StorageError;
use firkin_core::storage::blocks::{BlockBatch, BlockKey};
use js_sys::futures::JsFuture;
use js_sys::{Promise, Uint8Array};
use wasm_bindgen::JsValue;
use web_sys::{IdbKeyRange, IdbObjectStore, IdbRequest, IdbTransaction};

use super::FENCE;
use crate::js;

/// Whether a request failed because there is a record already.
pub(super) fn failed_there(request: &IdbRequest) -> bool {
    request.error().is_ok_and(|error| error.is_some_and(|error| error.name() == "ConstraintError"))
}

/// A batch in the platform's values.
pub(super) struct Sent {
    pub(super) fence: Option<JsValue>,
    pub(super) takes_over: bool,
    pub(super) puts: Vec<(JsValue, JsValue)>,
    deletes: Vec<JsValue>,
}

impl Sent {
    pub(super) fn new(batch: &BlockBatch) -> Result<Self, JsValue> {
        Ok(Self {
            fence: batch.guard.as_ref().map(|(_, epoch)| fence(epoch).into()),
            takes_over: batch.puts.iter().any(|(key, _)| *key == BlockKey::epoch()),
            puts: batch
                .puts
                .iter()
                .map(|(key, block)| (number(*key), Uint8Array::from(block.as_slice()).into()))
                .collect(),
            deletes: rows(&batch.deletes).map(key_of).collect::<Result<_, _>>()?,
        })
    }
}

/// The parts of `keys` in which they follow one another.
pub(super) fn rows(keys: &[BlockKey]) -> impl Iterator<Item = &[BlockKey]> {
    keys.chunk_by(|key, next| key.as_u64() + 1 == next.as_u64())
}

/// The keys from `first` to `last`, both included.
pub(super) fn range(first: BlockKey, last: BlockKey) -> Result<IdbKeyRange, JsValue> {
    IdbKeyRange::bound(&number(first), &number(last))
}

/// By what the blocks of a row are deleted. A platform takes about a tenth of a millisecond for each request, and hardly more for one
/// that names a range.
fn key_of(row: &[BlockKey]) -> Result<JsValue, JsValue> {
    match row {
        [first, .., last] => range(*first, *last).map(JsValue::from),
        _ => Ok(row.first().map_or(JsValue::UNDEFINED, |key| number(*key))),
    }
}

/// A transaction and the future of its end.
pub(super) struct Transaction {
    pub(super) inner: IdbTransaction,
    pub(super) store: IdbObjectStore,
    pub(super) ended: JsFuture,
}

impl Transaction {
    /// Fails the transaction where there is this fence. The request tells of that.
    pub(super) fn pass(&self, fence: &JsValue) -> Result<IdbRequest, JsValue> {
        let request = self.store.add_with_key(&JsValue::TRUE, fence)?;
        self.store.delete(fence)?;
        Ok(request)
    }

    pub(super) fn send(&self, sent: &Sent) -> Result<(), JsValue> {
        for (key, block) in &sent.puts {
            self.store.put_with_key(block, key)?;
        }
        for key in &sent.deletes {
            self.store.delete(key)?;
        }
        self.end()
    }

    /// Nothing follows in it. Without this the transaction ends only when this thread has seen the answers.
    pub(super) fn end(&self) -> Result<(), JsValue> {
        #[expect(deprecated, reason = "web-sys takes it for Mozilla's old extension; it is part of IndexedDB 3.0")]
        self.inner.commit()
    }
}

/// The bytes of a block that was read, if it is there.
pub(super) fn block(key: BlockKey, value: &JsValue) -> Result<Option<Vec<u8>>, StorageError> {
    if value.is_undefined() {
        return Ok(None);
    }
    let foreign = || StorageError::Corrupt(format!("block {} holds something else than bytes", key.as_u64()));
    js::bytes(value).map(Some).ok_or_else(foreign)
}

pub(super) fn number(key: BlockKey) -> JsValue {
    // Keys are below 2^53.
    JsValue::from_f64(key.as_u64() as f64)
}

pub(super) fn block_key(value: &JsValue) -> Option<BlockKey> {
    let number = value.as_f64()?;
    let whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    whole.then_some(BlockKey::from_u64(number as u64))
}

/// The result of a request once it is there, or the request's error.
pub(super) async fn result(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let settled = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(settled).await {
        Ok(_) => request.result(),
        Err(_) => Err(request.error()?.map_or(JsValue::UNDEFINED, JsValue::from)),
    }
}

/// The key of the fence that keeps the owner of this epoch from writing.
pub(super) fn fence(epoch: &[u8]) -> String {
    epoch.iter().fold(FENCE.into(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
