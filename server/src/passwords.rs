//! Passwords as CouchDB's accounts keep them: a key derived by PBKDF2, with its salt and the number of iterations.
//!
//! Deriving is made to cost, so it is done beside the threads that answer, one at a time for each core. What was found right
//! is remembered for a while under a digest with a key of this process, **never the password itself**. Digests and keys are
//! compared in constant time, and for an account that is not there a key is derived all the same.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pbkdf2::pbkdf2_hmac;
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::random::random_id;

/// More would keep a core busy for seconds: such an account was not made by CouchDB, and lets nobody in.
const ITERATIONS_MAX: u32 = 5_000_000;
const REMEMBERED_MAX: usize = 4096;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// The members of an account's document that its password is checked by.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Stored {
    #[serde(default)]
    password_scheme: String,
    #[serde(default)]
    pbkdf2_prf: Option<String>,
    #[serde(default)]
    salt: String,
    #[serde(default)]
    iterations: u32,
    #[serde(default)]
    derived_key: String,
}

/// Checks passwords.
#[derive(Debug)]
pub struct Passwords {
    iterations: u32,
    secret: String,
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
    at_work: Semaphore,
}

impl Passwords {
    /// New passwords get so many iterations.
    #[must_use]
    pub fn new(iterations: u32) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (remembered, at_work) = (Mutex::default(), Semaphore::new(cores.div_ceil(2)));
        Self { iterations: iterations.clamp(1, ITERATIONS_MAX), secret: random_id(), remembered, at_work }
    }

    /// The members that keep this password in an account's document.
    pub async fn keep(&self, password: String) -> Vec<(&'static str, serde_json::Value)> {
        let (salt, iterations) = (random_id(), self.iterations);
        let key = self.derive(Prf::Sha256, password, salt.clone(), iterations).await;
        vec![
            ("password_scheme", "pbkdf2".into()),
            ("pbkdf2_prf", "sha256".into()),
            ("iterations", iterations.into()),
            ("salt", salt.into()),
            ("derived_key", key.into()),
        ]
    }

    /// Whether this is the account's password; `None` is an account that is not there.
    pub async fn is_right(&self, stored: Option<&Stored>, name: &str, password: &str) -> bool {
        let nobody = Stored::default();
        let is_usable = stored.is_some_and(|stored| {
            stored.password_scheme == "pbkdf2"
                && !stored.salt.is_empty()
                && !stored.derived_key.is_empty()
                && (1..=ITERATIONS_MAX).contains(&stored.iterations)
        });
        let stored = stored.filter(|_| is_usable).unwrap_or(&nobody);
        let digest = self.digest(&[name, password, &stored.salt, &stored.derived_key]);
        if is_usable && self.remembers(&digest) {
            return true;
        }
        let prf =
            if is_usable && stored.pbkdf2_prf.as_deref().unwrap_or("sha") == "sha" { Prf::Sha1 } else { Prf::Sha256 };
        let iterations = if is_usable { stored.iterations } else { self.iterations };
        let key = self.derive(prf, password.to_owned(), stored.salt.clone(), iterations).await;
        let is_right =
            is_usable && bool::from(key.as_bytes().ct_eq(stored.derived_key.to_ascii_lowercase().as_bytes()));
        if is_right {
            self.remember(digest);
        }
        is_right
    }

    async fn derive(&self, prf: Prf, password: String, salt: String, iterations: u32) -> String {
        let _at_work = self.at_work.acquire().await;
        let derived = tokio::task::spawn_blocking(move || prf.derive(&password, &salt, iterations));
        derived.await.unwrap_or_default()
    }

    fn digest(&self, parts: &[&str]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [self.secret.as_str()].iter().chain(parts) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(digest).is_some_and(|since| since.elapsed() < REMEMBERED_FOR)
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, since| since.elapsed() < REMEMBERED_FOR);
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
        }
        remembered.insert(digest, Instant::now());
    }
}

/// The pseudo-random functions of CouchDB's accounts.
#[derive(Clone, Copy)]
enum Prf {
    Sha1,
    Sha256,
}

impl Prf {
    /// The derived key in hex, as long as the function's output.
    fn derive(self, password: &str, salt: &str, iterations: u32) -> String {
        let (password, salt) = (password.as_bytes(), salt.as_bytes());
        match self {
            Self::Sha1 => {
                let mut key = [0; 20];
                pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut key);
                hex(&key)
            }
            Self::Sha256 => {
                let mut key = [0; 32];
                pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key);
                hex(&key)
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(members: serde_json::Value) -> Stored {
        serde_json::from_value(members).expect("an account")
    }

    #[tokio::test]
    async fn keys_are_those_of_the_rfcs() {
        // RFC 6070 and RFC 7914, section 11.
        assert_eq!(Prf::Sha1.derive("password", "salt", 2), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
        assert!(Prf::Sha256.derive("passwd", "salt", 1).starts_with("55ac046e56e3089fec1691c22544b605"));
    }

    #[tokio::test]
    async fn a_kept_password_is_right_and_no_other() {
        let passwords = Passwords::new(10);
        let kept = stored(passwords.keep("secret".into()).await.into_iter().collect());
        for _ in 0..2 {
            assert!(passwords.is_right(Some(&kept), "iko", "secret").await);
            assert!(!passwords.is_right(Some(&kept), "iko", "Secret").await);
            assert!(!passwords.is_right(None, "iko", "secret").await);
        }
        let again = stored(passwords.keep("other".into()).await.into_iter().collect());
        assert!(!passwords.is_right(Some(&again), "iko", "secret").await, "a new password ends the old one");
    }

    #[tokio::test]
    async fn accounts_of_older_couchdbs_are_read_and_unusable_ones_let_nobody_in() {
        let passwords = Passwords::new(10);
        let key = Prf::Sha1.derive("secret", "abc", 10);
        let old = |scheme: &str, iterations: u32, key: &str| {
            stored(serde_json::json!({
                "password_scheme": scheme, "iterations": iterations, "salt": "abc", "derived_key": key,
            }))
        };
        assert!(passwords.is_right(Some(&old("pbkdf2", 10, &key)), "iko", "secret").await);
        for unusable in [
            old("simple", 10, &key),
            old("pbkdf2", 0, &key),
            old("pbkdf2", ITERATIONS_MAX + 1, &key),
            old("pbkdf2", 10, ""),
            Stored::default(),
        ] {
            assert!(!passwords.is_right(Some(&unusable), "iko", "secret").await, "{unusable:?}");
        }
    }
}
