//! Time: `Date.now` and `setTimeout`.

use firkin_core::effects::Clock;
use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// The longest delay that `setTimeout` takes, in milliseconds; it treats a longer one as none.
const DELAY_MS_MAX: i32 = i32::MAX;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &Function, delay_ms: i32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// The platform's clock and timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrowserClock;

impl Clock for BrowserClock {
    fn now_ms(&self) -> u64 {
        // Past 1970 and below 2^53, so the conversion loses nothing; a clock set before 1970 reads as 1970.
        js_sys::Date::now() as u64
    }

    async fn sleep(&self, duration_ms: u64) {
        let mut left_ms = duration_ms;
        loop {
            let delay_ms = i32::try_from(left_ms).unwrap_or(DELAY_MS_MAX);
            Timer::start(delay_ms).elapsed().await;
            left_ms = left_ms.saturating_sub(u64::from(delay_ms.unsigned_abs()));
            if left_ms == 0 {
                return;
            }
        }
    }
}

/// A timer that ends when it is dropped, so that nothing wakes up for a wait that was given up.
struct Timer {
    id: JsValue,
    promise: Promise,
}

impl Timer {
    fn start(delay_ms: i32) -> Self {
        let mut id = JsValue::UNDEFINED;
        let promise = Promise::new(&mut |resolve, _reject| id = set_timeout(&resolve, delay_ms));
        Self { id, promise }
    }

    async fn elapsed(&self) {
        // The promise is only ever fulfilled.
        let _ = self.promise.clone().await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}
