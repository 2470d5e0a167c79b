//! What the engine says to, and asks of, the page: the one object that JavaScript hands in.

use firkin_core::json::{self, Value};
use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::RequestInit;

use crate::answer::ObjectWriter;
use crate::js;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r"
/** What the engine says to, and asks of, the page. */
export interface Host {
  /** Something happened; `json` tells the details. */
  event(name: string, json: string): void;
  /** The engine needs to know something; the answer is JSON. */
  ask(name: string, json: string): Promise<string>;
  /** Sends a request of the replication of this number, as `fetch` does. */
  fetch(replication: number, url: string, init: RequestInit): Promise<Response>;
}
";

#[wasm_bindgen]
extern "C" {
    /// The host object.
    #[wasm_bindgen(typescript_type = "Host")]
    #[derive(Clone)]
    pub type Host;
    #[wasm_bindgen(method, structural, catch, js_name = event)]
    fn raw_event(this: &Host, name: &str, json: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch, js_name = ask)]
    fn raw_ask(this: &Host, name: &str, json: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, structural, catch, js_name = fetch)]
    fn raw_fetch(this: &Host, replication: f64, url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

impl Host {
    /// Tells the page of an event. A page that fails to take it does not disturb the engine.
    pub fn event(&self, name: &str, details: ObjectWriter) {
        let _ = self.raw_event(name, &details.finish_text());
    }

    /// Sends a request of the replication of this number.
    ///
    /// # Errors
    /// As `fetch` has them.
    #[expect(clippy::cast_precision_loss, reason = "the page's numbers are exact in JavaScript")]
    pub async fn fetch(&self, replication: u64, url: &str, init: &RequestInit) -> Result<JsValue, JsValue> {
        self.raw_fetch(replication as f64, url, init)?.await
    }

    /// Asks the page.
    ///
    /// # Errors
    /// What the page threw, or that its answer is no JSON.
    pub async fn ask(&self, name: &str, details: ObjectWriter) -> Result<Value, String> {
        let text = self.ask_text(name, details).await?;
        json::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    /// Asks the page; the answer is not read.
    ///
    /// # Errors
    /// What the page threw, or that its answer is no text.
    pub async fn ask_text(&self, name: &str, details: ObjectWriter) -> Result<String, String> {
        let promise = self.raw_ask(name, &details.finish_text()).map_err(|error| js::describe(&error))?;
        let answer = promise.await.map_err(|error| js::describe(&error))?;
        answer.as_string().ok_or_else(|| "the answer is no text".into())
    }
}
