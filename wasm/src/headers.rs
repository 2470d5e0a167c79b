//! What the app has a say in of each request: who sends it, and the headers that it adds, for which it is asked before the first
//! request, and once more when the peer answers 401.

use std::cell::RefCell;
use std::rc::Rc;

use async_lock::Mutex;
use firkin_core::effects::TransportError;
use firkin_core::json::Value;
use firkin_core::ordered::Map;
use wasm_bindgen::JsValue;
use web_sys::RequestInit;

use crate::answer::ObjectWriter;
use crate::host::Host;

/// Header names and their values.
pub type HeaderMap = Rc<Map<String, String>>;

/// Asks the app for headers, and keeps its latest answer.
pub struct AppHeaders {
    host: Host,
    replication: u64,
    url: String,
    latest: RefCell<Option<HeaderMap>>,
    // The first requests start at the same time: the app is asked once for all of them.
    asking: Mutex<()>,
}

impl AppHeaders {
    /// Headers for the replication `replication` with the database at `url`, which holds no credentials.
    #[must_use]
    pub fn new(host: Host, replication: u64, url: &str) -> Self {
        Self { host, replication, url: url.into(), latest: RefCell::new(None), asking: Mutex::new(()) }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As `fetch` has them.
    pub async fn fetch(&self, url: &str, init: &RequestInit) -> Result<JsValue, JsValue> {
        self.host.fetch(self.replication, url, init).await
    }

    /// The headers to send.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] where the app fails to say.
    pub async fn current(&self) -> Result<HeaderMap, TransportError> {
        let _asking = self.asking.lock().await;
        match self.known() {
            Some(headers) => Ok(headers),
            None => self.ask(false).await,
        }
    }

    /// Asks the app for other headers, as the peer answered 401 to the latest; `false` where it has none.
    pub async fn renew(&self) -> bool {
        let refused = self.known();
        let _asking = self.asking.lock().await;
        self.ask(true).await.is_ok_and(|fresh| Some(fresh) != refused)
    }

    fn known(&self) -> Option<HeaderMap> {
        self.latest.borrow().clone()
    }

    async fn ask(&self, unauthorized: bool) -> Result<HeaderMap, TransportError> {
        let question = ObjectWriter::new()
            .number("replication", self.replication)
            .text("url", &self.url)
            .boolean("unauthorized", unauthorized);
        let failed = |reason: &str| TransportError::Unreachable(format!("the app gave no headers: {reason}"));
        let answer = self.host.ask("headers", question).await.map_err(|error| failed(&error))?;
        let headers = Rc::new(header_map(&answer).ok_or_else(|| failed("they must be an object of strings"))?);
        self.latest.replace(Some(Rc::clone(&headers)));
        Ok(headers)
    }
}

fn header_map(answer: &Value) -> Option<Map<String, String>> {
    let mut headers = Map::new();
    for (name, value) in answer.as_object()?.iter() {
        headers.insert(name.into(), value.as_str()?.into());
    }
    Some(headers)
}
