//! The network: `fetch`, the browser's or the app's, with the body of the response read as it arrives.
//!
//! Every wait, for the head of the response or for the next chunk, has the request's idle timeout. A request whose future
//! or body is dropped is aborted. A redirect is followed only where nothing secret is sent along.
//!
//! **Credentials never reach an error message**: they are kept apart from the URL from the start.

use std::future::Future;
use std::pin::pin;

use firkin_core::effects::{Clock, Request, Response, ResponseBody, Transport, TransportError, Upload};
use futures_util::future::{Either, select};
use js_sys::futures::JsFuture;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    AbortController, Blob, Headers, ReadableStreamDefaultReader, RequestCache, RequestCredentials, RequestInit,
    RequestRedirect,
};

use crate::address::Address;
use crate::clock::BrowserClock;
use crate::headers::{AppHeaders, HeaderMap};
use crate::js;

/// Sends requests to one database of a peer.
pub struct FetchTransport {
    address: Address,
    headers: AppHeaders,
    credentials: RequestCredentials,
}

impl FetchTransport {
    /// A transport to `address`. `credentials` says whether the browser's own (cookies) go along.
    #[must_use]
    pub fn new(address: Address, headers: AppHeaders, credentials: RequestCredentials) -> Self {
        Self { address, headers, credentials }
    }

    async fn exchange(&self, request: &Request, extra: &HeaderMap) -> Result<Response<FetchBody>, TransportError> {
        let abort = AbortOnDrop::new()?;
        let init = RequestInit::new();
        init.set_method(request.method.name());
        init.set_cache(RequestCache::NoStore);
        init.set_credentials(self.credentials);
        init.set_signal(Some(&abort.controller.signal()));
        init.set_headers_headers(&self.request_headers(request, extra)?);
        if self.address.authorization.is_some() || !extra.is_empty() {
            init.set_redirect(RequestRedirect::Error);
        }
        if let Some(body) = &request.body {
            init.set_body(&Uint8Array::from(body.as_slice()));
        }
        if let Some(upload) = &request.upload {
            init.set_body(blob(&**upload).await?.as_ref());
        }
        let url = self.address.join(&request.path);
        let answer = in_time(self.headers.fetch(&url, &init), request.idle_timeout_ms).await?;
        let response: web_sys::Response = answer.dyn_into().map_err(|_| unreachable("fetch gave no response"))?;
        let reader = match response.body() {
            Some(stream) => Some(ReadableStreamDefaultReader::new(&stream).map_err(|error| unreachable_by(&error))?),
            None => None,
        };
        let body = FetchBody { reader, idle_timeout_ms: request.idle_timeout_ms, _abort: abort };
        Ok(Response { status: response.status(), retry_after_ms: retry_after_ms(&response), body })
    }

    fn request_headers(&self, request: &Request, extra: &HeaderMap) -> Result<Headers, TransportError> {
        let headers = Headers::new().map_err(|error| unreachable_by(&error))?;
        let set = |name: &str, value: &str| {
            // The value may be a secret, and the browser's message quotes it.
            headers.set(name, value).map_err(|_| unreachable(&format!("the header {name:?} is refused by the browser")))
        };
        set("accept", "application/json")?;
        if request.body.is_some() {
            set("content-type", "application/json")?;
        }
        for (name, value) in &request.headers {
            set(name, value)?;
        }
        if let Some(upload) = &request.upload {
            set("content-type", &upload.content_type())?;
        }
        if let Some(authorization) = &self.address.authorization {
            set("authorization", authorization)?;
        }
        for (name, value) in extra.iter() {
            set(name, value)?;
        }
        Ok(headers)
    }
}

/// A body as the browser keeps it, outside of this module's memory: browsers can read a body while they send it over some
/// connections only.
async fn blob(upload: &dyn Upload) -> Result<Blob, TransportError> {
    let blob_of = |parts: &Array| Blob::new_with_u8_array_sequence(parts).map_err(|error| unreachable_by(&error));
    let parts = Array::new();
    let mut place = 0;
    while let Some(part) = upload.part(place).await? {
        let bytes = Array::new();
        bytes.push(&Uint8Array::from(part.as_slice()));
        parts.push(blob_of(&bytes)?.as_ref());
        place += 1;
    }
    blob_of(&parts)
}

impl Transport for FetchTransport {
    type Body = FetchBody;

    async fn send(&self, request: Request) -> Result<Response<FetchBody>, TransportError> {
        let headers = self.headers.current().await?;
        self.exchange(&request, &headers).await
    }

    async fn renew_credentials(&self) -> bool {
        self.headers.renew().await
    }
}

/// The body of a response, as it arrives.
pub struct FetchBody {
    reader: Option<ReadableStreamDefaultReader>,
    idle_timeout_ms: u64,
    _abort: AbortOnDrop,
}

impl ResponseBody for FetchBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let Some(reader) = &self.reader else { return Ok(None) };
        let read = in_time(JsFuture::from(reader.read()), self.idle_timeout_ms).await?;
        if js::property(&read, "done").is_truthy() {
            return Ok(None);
        }
        js::bytes(&js::property(&read, "value")).map(Some).ok_or_else(|| unreachable("the body is not made of bytes"))
    }
}

/// Ends its request, if it is still under way, when dropped.
struct AbortOnDrop {
    controller: AbortController,
}

impl AbortOnDrop {
    fn new() -> Result<Self, TransportError> {
        let controller = AbortController::new().map_err(|error| unreachable_by(&error))?;
        Ok(Self { controller })
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.controller.abort();
    }
}

/// What `waiting` brings within `limit_ms` milliseconds.
async fn in_time(
    waiting: impl Future<Output = Result<JsValue, JsValue>>,
    limit_ms: u64,
) -> Result<JsValue, TransportError> {
    let clock = BrowserClock;
    match select(pin!(waiting), pin!(clock.sleep(limit_ms))).await {
        Either::Left((answer, _)) => answer.map_err(|error| unreachable_by(&error)),
        Either::Right(_) => Err(TransportError::TimedOut),
    }
}

/// `Retry-After` in milliseconds: a number of seconds or a date.
fn retry_after_ms(response: &web_sys::Response) -> Option<u64> {
    let text = response.headers().get("retry-after").ok()??;
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let date_ms = js_sys::Date::parse(&text);
    date_ms.is_finite().then(|| (date_ms as u64).saturating_sub(BrowserClock.now_ms()))
}

fn unreachable(reason: &str) -> TransportError {
    TransportError::Unreachable(reason.into())
}

fn unreachable_by(error: &JsValue) -> TransportError {
    TransportError::Unreachable(js::describe(error))
}
