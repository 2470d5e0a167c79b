//! The address of a peer's database: what may be shown, and what is secret in it.

use firkin_core::effects::TransportError;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Url;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen]
    fn btoa(bytes: &str) -> String;
}

/// A peer's database, taken from a URL.
///
/// **Name and password of the URL live in `authorization` only**: `url` can be shown, stored and sent anywhere.
#[derive(Clone)]
pub struct Address {
    /// The URL without credentials, query, fragment and trailing slash.
    pub url: String,
    /// The `Authorization` header that the URL's `name:password@` stands for.
    pub authorization: Option<String>,
}

impl Address {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// [`TransportError::BadUrl`], which never quotes the URL, as it may hold a password.
    pub fn parse(text: &str) -> Result<Self, TransportError> {
        let bad = |reason: &str| TransportError::BadUrl(reason.into());
        let url = Url::new(text).map_err(|_| bad("it cannot be parsed as an absolute URL"))?;
        if !matches!(url.protocol().as_str(), "http:" | "https:") {
            return Err(bad("only http: and https: can be synced with"));
        }
        if !url.search().is_empty() {
            return Err(bad("the URL of a database has no query"));
        }
        let database = url.pathname();
        let database = database.trim_end_matches('/');
        if database.is_empty() {
            return Err(bad("it names no database"));
        }
        Ok(Self { url: format!("{}{database}", url.origin()), authorization: authorization(&url) })
    }

    /// The URL of `path` below the database; the database's own for an empty path.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        if path.is_empty() { self.url.clone() } else { format!("{}/{path}", self.url) }
    }
}

fn authorization(url: &Url) -> Option<String> {
    let (name, password) = (url.username(), url.password());
    if name.is_empty() && password.is_empty() {
        return None;
    }
    let credentials = format!("{}:{}", decode(&name), decode(&password));
    // btoa takes a string of bytes.
    let bytes: String = credentials.bytes().map(char::from).collect();
    Some(format!("Basic {}", btoa(&bytes)))
}

/// The text that was percent-encoded; as it stands where it was not well encoded.
fn decode(text: &str) -> String {
    js_sys::decode_uri_component(text).map_or_else(|_| text.into(), String::from)
}
