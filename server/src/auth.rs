//! Who is asking: Basic credentials, or the cookie of a session that was opened with them.
//!
//! Names and passwords are hashed before they are compared, and the digests are compared in constant time, so that an answer's
//! time tells nothing of either. Sessions are kept in memory under random tokens: a restart ends them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Access;
use crate::random::random_id;

/// CouchDB's name of the session cookie.
pub const COOKIE: &str = "AuthSession";

/// A session ends after so long without a request.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(600);

/// So many sessions are kept; the one unused for longest makes room.
const SESSIONS_MAX: usize = 4096;

/// The one account of a server.
pub struct Administrator {
    name: String,
    digest: [u8; 32],
}

impl std::fmt::Debug for Administrator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Administrator").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Administrator {
    /// From `NAME:PASSWORD`; `None` if either is missing.
    #[must_use]
    pub fn parse(credentials: &str) -> Option<Self> {
        let (name, password) = credentials.split_once(':')?;
        (!name.is_empty() && !password.is_empty()).then(|| Self { name: name.into(), digest: digest(name, password) })
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether these are the account's name and password.
    #[must_use]
    pub fn accepts(&self, name: &str, password: &str) -> bool {
        self.digest.ct_eq(&digest(name, password)).into()
    }
}

/// The name ends where its length says, so that no other pair of name and password has the same digest.
fn digest(name: &str, password: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update((name.len() as u64).to_be_bytes());
    hasher.update(name);
    hasher.update(password);
    hasher.finalize().into()
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody who said so.
    Anonymous,
    /// The administrator, by Basic credentials.
    Basic,
    /// The administrator, by the cookie of a session.
    Cookie,
}

/// Credentials that are not the administrator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongCredentials;

/// Tells who sent a request with these headers.
///
/// # Errors
/// There are Basic credentials, and they are wrong.
pub fn identify(access: &Access, sessions: &Sessions, headers: &HeaderMap) -> Result<Caller, WrongCredentials> {
    let Access::Administrator(administrator) = access else {
        return Ok(Caller::Anonymous);
    };
    if let Some(given) = basic_credentials(headers) {
        let accepted = given.is_some_and(|(name, password)| administrator.accepts(&name, &password));
        return if accepted { Ok(Caller::Basic) } else { Err(WrongCredentials) };
    }
    let session = cookie(headers).is_some_and(|token| sessions.touch(token, Instant::now()));
    Ok(if session { Caller::Cookie } else { Caller::Anonymous })
}

/// The credentials of an `Authorization: Basic` header; inside, `None` where they cannot be read.
fn basic_credentials(headers: &HeaderMap) -> Option<Option<(String, String)>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("basic").then(|| {
        let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
        decoded.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
    })
}

/// The session token that the request's cookies hold.
#[must_use]
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, token)| *name == COOKIE && !token.is_empty())
        .map(|(_, token)| token)
}

/// The open sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    last_used: Mutex<HashMap<String, Instant>>,
}

impl Sessions {
    /// Opens a session and gives its token.
    pub fn open(&self, now: Instant) -> String {
        let token = random_id();
        let mut last_used = self.last_used.lock().unwrap_or_else(PoisonError::into_inner);
        last_used.retain(|_, used| now.duration_since(*used) < SESSION_LIFETIME);
        if last_used.len() >= SESSIONS_MAX {
            let oldest = last_used.iter().min_by_key(|(_, used)| **used).map(|(token, _)| token.clone());
            oldest.and_then(|token| last_used.remove(&token));
        }
        last_used.insert(token.clone(), now);
        token
    }

    /// Whether the token is of an open session, which is used at `now`.
    pub fn touch(&self, token: &str, now: Instant) -> bool {
        let mut last_used = self.last_used.lock().unwrap_or_else(PoisonError::into_inner);
        match last_used.get_mut(token) {
            Some(used) if now.duration_since(*used) < SESSION_LIFETIME => {
                *used = now;
                true
            }
            _ => false,
        }
    }

    /// Ends a session.
    pub fn close(&self, token: &str) {
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a header value"))])
    }

    fn access() -> Access {
        Access::Administrator(Administrator::parse("iko:pass:word").expect("credentials"))
    }

    fn basic(credentials: &str) -> HeaderMap {
        headers(header::AUTHORIZATION, &format!("Basic {}", BASE64_STANDARD.encode(credentials)))
    }

    #[test]
    fn the_administrators_credentials_are_told_from_others() {
        let sessions = Sessions::default();
        assert_eq!(identify(&access(), &sessions, &basic("iko:pass:word")), Ok(Caller::Basic));
        for wrong in ["iko:pass", "iko:", "iko", "ikop:ass:word", "IKO:pass:word", "", ":"] {
            assert_eq!(identify(&access(), &sessions, &basic(wrong)), Err(WrongCredentials), "{wrong}");
        }
        let unreadable = headers(header::AUTHORIZATION, "Basic ***");
        assert_eq!(identify(&access(), &sessions, &unreadable), Err(WrongCredentials));
    }

    #[test]
    fn without_credentials_a_caller_is_anonymous() {
        let sessions = Sessions::default();
        for headers in [
            HeaderMap::new(),
            headers(header::AUTHORIZATION, ""),
            headers(header::AUTHORIZATION, "Bearer x"),
            headers(header::COOKIE, "AuthSession=; other=1"),
            headers(header::COOKIE, "AuthSession=0123456789abcdef0123456789abcdef"),
        ] {
            assert_eq!(identify(&access(), &sessions, &headers), Ok(Caller::Anonymous), "{headers:?}");
        }
    }

    #[test]
    fn a_session_lives_as_long_as_it_is_used() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let token = sessions.open(start);
        let almost = SESSION_LIFETIME - Duration::from_secs(1);
        assert!(sessions.touch(&token, start + almost));
        assert!(sessions.touch(&token, start + almost + almost));
        assert!(!sessions.touch(&token, start + almost + almost + SESSION_LIFETIME));
        assert!(!sessions.touch("", start));
    }

    #[test]
    fn a_closed_session_is_gone() {
        let sessions = Sessions::default();
        let token = sessions.open(Instant::now());
        let cookies = headers(header::COOKIE, &format!("a=b; AuthSession={token}"));
        assert_eq!(identify(&access(), &sessions, &cookies), Ok(Caller::Cookie));
        sessions.close(&token);
        assert_eq!(identify(&access(), &sessions, &cookies), Ok(Caller::Anonymous));
    }

    #[test]
    fn sessions_are_bounded_and_the_longest_unused_goes_first() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let first = sessions.open(start);
        for _ in 1..=SESSIONS_MAX {
            sessions.open(start + Duration::from_secs(1));
        }
        assert!(!sessions.touch(&first, start + Duration::from_secs(1)));
        assert_eq!(sessions.last_used.lock().expect("not poisoned").len(), SESSIONS_MAX);
    }

    #[test]
    fn an_account_is_printed_without_its_password() {
        assert!(!format!("{:?}", access()).contains("pass"));
    }
}
