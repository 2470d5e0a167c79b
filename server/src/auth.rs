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

use crate::random::random_id;

/// CouchDB's name of the session cookie.
pub const COOKIE: &str = "AuthSession";

/// The role of who may do everything.
pub const ADMIN_ROLE: &str = "_admin";

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

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    None,
    /// By Basic credentials.
    Basic,
    /// By the cookie of a session.
    Cookie,
    /// It is a part of this server.
    Inside,
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's name; `None` for who did not say.
    pub name: Option<String>,
    /// Its roles; `_admin` is the server's administrator.
    pub roles: Vec<String>,
    /// How that is known.
    pub proof: Proof,
}

impl Caller {
    /// Nobody who said so.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: None, roles: Vec::new(), proof: Proof::None }
    }

    /// An account.
    #[must_use]
    pub fn named(name: String, roles: Vec<String>) -> Self {
        Self { name: Some(name), roles, proof: Proof::Basic }
    }

    /// Everyone, where everyone is an administrator.
    #[must_use]
    pub fn everyone() -> Self {
        Self { roles: vec![ADMIN_ROLE.into()], ..Self::anonymous() }
    }

    /// A part of this server.
    #[must_use]
    pub fn inside() -> Self {
        Self { proof: Proof::Inside, ..Self::everyone() }
    }

    /// Whether this is the server's administrator.
    #[must_use]
    pub fn is_server_admin(&self) -> bool {
        self.roles.iter().any(|role| role == ADMIN_ROLE)
    }
}

/// The credentials of an `Authorization: Basic` header; inside, `None` where they cannot be read.
#[must_use]
pub fn basic_credentials(headers: &HeaderMap) -> Option<Option<(String, String)>> {
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

#[derive(Debug)]
struct Session {
    name: String,
    last_used: Instant,
}

/// The open sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    /// Opens a session of an account and gives its token.
    pub fn open(&self, name: &str, now: Instant) -> String {
        let token = random_id();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| now.duration_since(session.last_used) < SESSION_LIFETIME);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.last_used).map(|(token, _)| token.clone());
            oldest.and_then(|token| sessions.remove(&token));
        }
        sessions.insert(token.clone(), Session { name: name.into(), last_used: now });
        token
    }

    /// Whose session it is that is open under this token, which is used at `now`.
    pub fn touch(&self, token: &str, now: Instant) -> Option<String> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(token)?;
        if now.duration_since(session.last_used) >= SESSION_LIFETIME {
            return None;
        }
        session.last_used = now;
        Some(session.name.clone())
    }

    /// Ends a session.
    pub fn close(&self, token: &str) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a header value"))])
    }

    #[test]
    fn the_administrators_credentials_are_told_from_others() {
        let administrator = Administrator::parse("iko:pass:word").expect("credentials");
        assert!(administrator.accepts("iko", "pass:word"));
        for (name, password) in [("iko", "pass"), ("iko", ""), ("", ""), ("ikop", "ass:word"), ("IKO", "pass:word")] {
            assert!(!administrator.accepts(name, password), "{name} {password}");
        }
    }

    #[test]
    fn credentials_and_cookies_are_read_from_headers() {
        let basic = |text: &str| basic_credentials(&headers(header::AUTHORIZATION, text));
        assert_eq!(basic("basic aWtvOnBhc3M6d29yZA=="), Some(Some(("iko".into(), "pass:word".into()))));
        assert_eq!(basic("Basic ***"), Some(None));
        assert_eq!(basic("Basic"), Some(None));
        assert_eq!(basic("Bearer x"), None);
        assert_eq!(cookie(&headers(header::COOKIE, "a=b; AuthSession=t")), Some("t"));
        assert_eq!(cookie(&headers(header::COOKIE, "AuthSession=; other=1")), None);
        assert_eq!(cookie(&HeaderMap::new()), None);
    }

    #[test]
    fn a_session_lives_as_long_as_it_is_used() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let token = sessions.open("iko", start);
        let almost = SESSION_LIFETIME - Duration::from_secs(1);
        assert_eq!(sessions.touch(&token, start + almost).as_deref(), Some("iko"));
        assert_eq!(sessions.touch(&token, start + almost + almost).as_deref(), Some("iko"));
        assert_eq!(sessions.touch(&token, start + almost + almost + SESSION_LIFETIME), None);
        assert_eq!(sessions.touch("", start), None);
    }

    #[test]
    fn a_closed_session_is_gone() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let token = sessions.open("iko", now);
        sessions.close(&token);
        assert_eq!(sessions.touch(&token, now), None);
    }

    #[test]
    fn sessions_are_bounded_and_the_longest_unused_goes_first() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let first = sessions.open("iko", start);
        for _ in 1..=SESSIONS_MAX {
            sessions.open("iko", start + Duration::from_secs(1));
        }
        assert_eq!(sessions.touch(&first, start + Duration::from_secs(1)), None);
        assert_eq!(sessions.sessions.lock().expect("not poisoned").len(), SESSIONS_MAX);
    }

    #[test]
    fn an_account_is_printed_without_its_password() {
        assert!(!format!("{:?}", Administrator::parse("iko:password")).contains("password"));
    }
}
