//! The promises that JavaScript waits on.
//!
//! **Every promise is settled**, also when the engine panics: the panic hook rejects all that are pending and every call
//! made after it, as the engine's state may be half-changed. (What is stored is not: a commit is one transaction.)

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Once;

use firkin_core::ordered::Map;
use js_sys::futures::spawn_local;
use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::Failure;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

#[derive(Default)]
struct Calls {
    rejects: Map<u64, Function>,
    started: u64,
    broken: Option<Failure>,
}

thread_local! {
    static CALLS: RefCell<Calls> = RefCell::default();
}

/// Runs `work` and settles the promise with what it brings.
pub fn promise(work: impl Future<Output = Result<JsValue, Failure>> + 'static) -> Promise {
    settle(Box::pin(work))
}

/// The same for every kind of work, so that it is compiled once.
fn settle(work: Pin<Box<dyn Future<Output = Result<JsValue, Failure>>>>) -> Promise {
    install_panic_hook();
    let broken = CALLS.with_borrow(|calls| calls.broken.as_ref().map(Failure::to_js));
    if let Some(failure) = broken {
        return Promise::reject(&failure);
    }
    let mut work = Some(work);
    Promise::new(&mut |resolve, reject| {
        if let Some(work) = work.take() {
            let call = begin(&reject);
            spawn_local(async move {
                let outcome = work.await;
                end(call);
                // The functions of a promise do not throw.
                let _ = match outcome {
                    Ok(value) => resolve.call1(&JsValue::UNDEFINED, &value),
                    Err(failure) => reject.call1(&JsValue::UNDEFINED, &failure.to_js()),
                };
            });
        }
    })
}

fn begin(reject: &Function) -> u64 {
    CALLS.with_borrow_mut(|calls| {
        calls.started += 1;
        calls.rejects.insert(calls.started, reject.clone());
        calls.started
    })
}

fn end(call: u64) {
    CALLS.with_borrow_mut(|calls| calls.rejects.remove(&call));
}

fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let reason = format!("a fault in the engine: {panic}");
            console_error(&reason);
            fail_all(&Failure::engine(&reason));
        }));
    });
}

fn fail_all(failure: &Failure) {
    let rejects = CALLS.with(|calls| {
        let mut calls = calls.try_borrow_mut().ok()?;
        calls.broken = Some(failure.clone());
        Some(std::mem::take(&mut calls.rejects))
    });
    for reject in rejects.into_iter().flatten().map(|(_, reject)| reject) {
        let _ = reject.call1(&JsValue::UNDEFINED, &failure.to_js());
    }
}
