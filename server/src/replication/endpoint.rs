//! The ends of a replication: a database here, or one at a URL.
//!
//! **Credentials are kept apart from the URL from the start**, so that they reach no log, no status and no checkpoint.

use axum::http::uri::Uri;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// An end of a replication.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A database of this server.
    Here(String),
    /// A database of another.
    There(Remote),
}

/// A database of another server.
#[derive(Clone)]
pub struct Remote {
    /// Its URL, without credentials and without a slash at the end.
    pub url: String,
    /// What is sent along with each request, credentials included.
    pub headers: HeaderMap,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// As `_replicate` names it: a database's name, a URL, or `{url, headers, auth: {basic: {username, password}}}`.
    ///
    /// # Errors
    /// It is none of these; what is wrong.
    pub fn parse(value: &Value) -> Result<Self, String> {
        if let Some(text) = value.as_str() {
            return if text.contains("://") {
                Remote::parse(text).map(Self::There)
            } else {
                Ok(Self::Here(text.into()))
            };
        }
        let url = value
            .get("url")
            .and_then(Value::as_str)
            .ok_or("an endpoint must be a name, a URL or an object with one")?;
        let mut remote = Remote::parse(url)?;
        for (name, value) in value.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| "a header's name is none".to_owned())?;
            let text = value.as_str().unwrap_or_default();
            remote.headers.insert(name, secret(text).ok_or("a header's value is none")?);
        }
        if let Some(basic) = value.pointer("/auth/basic") {
            let text = |name: &str| basic.get(name).and_then(Value::as_str).unwrap_or_default();
            remote.log_in(text("username"), text("password"))?;
        }
        Ok(Self::There(remote))
    }

    /// What people and checkpoints call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Here(name) => name,
            Self::There(remote) => &remote.url,
        }
    }
}

impl Remote {
    /// A URL such as `https://name:password@couch.example/db`.
    ///
    /// # Errors
    /// It is none; what is wrong, without its credentials.
    pub fn parse(url: &str) -> Result<Self, String> {
        let bad = || "a URL must be like https://couch.example/database".to_owned();
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(bad)?;
        let authority = uri.authority().ok_or_else(bad)?.as_str();
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let path = uri.path().trim_end_matches('/');
        if path.is_empty() || host.is_empty() || uri.query().is_some() {
            return Err(bad());
        }
        let mut remote = Self { url: format!("{scheme}://{host}{path}"), headers: HeaderMap::new() };
        if let Some(user) = user {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let decoded = |text| percent_decode_str(text).decode_utf8().map_err(|_| bad());
            remote.log_in(&decoded(name)?, &decoded(password)?)?;
        }
        Ok(remote)
    }

    /// The name of the database at the URL.
    #[must_use]
    pub fn database(&self) -> String {
        let last = self.url.rsplit('/').next().unwrap_or_default();
        percent_decode_str(last).decode_utf8_lossy().into_owned()
    }

    fn log_in(&mut self, name: &str, password: &str) -> Result<(), String> {
        let encoded = BASE64_STANDARD.encode(format!("{name}:{password}"));
        let value = secret(&format!("Basic {encoded}")).ok_or("the credentials cannot be sent")?;
        self.headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_kept_apart_from_the_url() {
        let remote = Remote::parse("https://iko:p%40ss@couch.example:6984/team%2Fnotes/").expect("a URL");
        assert_eq!(
            (remote.url.as_str(), remote.database().as_str()),
            ("https://couch.example:6984/team%2Fnotes", "team/notes")
        );
        assert_eq!(remote.headers[header::AUTHORIZATION], format!("Basic {}", BASE64_STANDARD.encode("iko:p@ss")));
        assert!(!format!("{remote:?}").contains("ss"), "{remote:?}");
        for bad in ["", "couch.example/db", "ftp://a/b", "http://a", "http://a/", "http://a/b?c", "http:///b"] {
            assert!(Remote::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_a_name_a_url_or_an_object() {
        assert!(matches!(Endpoint::parse(&json!("notes")), Ok(Endpoint::Here(name)) if name == "notes"));
        let object = json!({"url": "http://a/b", "headers": {"x-a": "1"}, "auth": {"basic": {"username": "u", "password": "p"}}});
        let Ok(Endpoint::There(remote)) = Endpoint::parse(&object) else { panic!("an endpoint") };
        assert_eq!((remote.url.as_str(), remote.headers.len()), ("http://a/b", 2));
        for bad in [json!(1), json!({}), json!({"url": 1}), json!({"url": "http://a/b", "headers": {"a b": "c"}})] {
            assert!(Endpoint::parse(&bad).is_err(), "{bad}");
        }
    }
}
