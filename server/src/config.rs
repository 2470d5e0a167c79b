//! What a server is started with, and which combinations are refused.
//!
//! **Nobody gets in unasked**: a server without an administrator serves this machine only, unless two flags say that
//! strangers are welcome.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::HeaderValue;

use crate::auth::Administrator;
use crate::clients::ClientLimits;
use crate::replication::endpoint::Remote;
use crate::tls::TlsFiles;

/// All that a server needs to know.
#[derive(Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free port.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// Who may read and write.
    pub access: Access,
    /// Which other origins' pages may ask.
    pub origins: Origins,
    /// How many iterations a new password's key is derived by.
    pub password_iterations: u32,
    /// Databases of clusters, each with which one here is kept the same.
    pub upstreams: Vec<Remote>,
    /// Speak TLS with these.
    pub tls: Option<TlsFiles>,
    /// What bounds clients.
    pub limits: Limits,
    /// What bounds each client.
    pub client_limits: ClientLimits,
}

/// CouchDB's number.
pub const PASSWORD_ITERATIONS_DEFAULT: u32 = 600_000;

/// Who may read and write.
#[derive(Debug)]
pub enum Access {
    /// Anyone who reaches the server.
    Open {
        /// Whether it may be asked by any host name. Otherwise only by one of this machine: a page of another site, whose name
        /// was made to point here, would ask by that name.
        by_any_name: bool,
    },
    /// Who gives the administrator's name and password.
    Administrator(Administrator),
}

/// Pages of which other origins may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Pages of any origin.
    Any,
    /// Pages of these origins; of none when empty.
    These(Vec<HeaderValue>),
}

/// What bounds a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body, once decompressed, in bytes.
    pub body_bytes_max: usize,
    /// The largest attachment in bytes, however it comes in a body of its own.
    pub attachment_bytes_max: u64,
    /// The largest document in bytes.
    pub document_bytes_max: usize,
    /// The longest URL in bytes, without scheme and host.
    pub url_bytes_max: usize,
    /// All headers of a request together, in bytes; 8,192 at least.
    pub header_bytes_max: usize,
    /// So many `_changes` requests may wait or stream at one time.
    pub feeds_max: usize,
    /// So many connections may be open at one time.
    pub connections_max: usize,
    /// The page cache of each open database in bytes.
    pub cache_bytes: usize,
    /// A client that sends nothing in the middle of a request, or takes nothing of its answer, for so long is cut off.
    pub slow_client_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            attachment_bytes_max: 64 << 20,
            document_bytes_max: 8 << 20,
            url_bytes_max: 16 << 10,
            header_bytes_max: 64 << 10,
            feeds_max: 2048,
            connections_max: 4096,
            cache_bytes: 32 << 20,
            slow_client_timeout_ms: 30_000,
        }
    }
}

/// A combination of flags that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `--admin` is not `NAME:PASSWORD`.
    #[error("--admin takes NAME:PASSWORD, neither of them empty")]
    BadAdministrator,
    /// `--admin` together with `--open`.
    #[error("--admin keeps strangers out and --open lets them in: give one of them")]
    AdministratorAndOpen,
    /// A server for everyone on an address that others reach.
    #[error(
        "{0} can be reached from other machines: give --admin NAME:PASSWORD, or --open together with --i-know to let anyone \
         read and write"
    )]
    OpenToOthers(SocketAddr),
    /// `--upstream` is no URL of a database.
    #[error("--upstream: {0}")]
    BadUpstream(String),
    /// One of `--tls-cert` and `--tls-key` without the other.
    #[error("--tls-cert and --tls-key belong together")]
    HalfTls,
    /// `--data` is missing.
    #[error("--data DIR says where the databases are")]
    NoData,
    /// `--cors` is no origin.
    #[error("--cors takes * or an origin such as https://app.example, not {0}")]
    BadOrigin(String),
}

/// Who may read and write, as the flags say; `true` beside it when a person should be warned that anyone on this machine may.
///
/// # Errors
/// The flags contradict each other, or would open the server to other machines without saying so twice.
pub fn choose_access(
    administrator: Option<&str>,
    open: bool,
    i_know: bool,
    listen: SocketAddr,
) -> Result<(Access, bool), ConfigError> {
    if let Some(credentials) = administrator {
        if open {
            return Err(ConfigError::AdministratorAndOpen);
        }
        let administrator = Administrator::parse(credentials).ok_or(ConfigError::BadAdministrator)?;
        return Ok((Access::Administrator(administrator), false));
    }
    if listen.ip().is_loopback() || (open && i_know) {
        return Ok((Access::Open { by_any_name: open && i_know }, !open));
    }
    Err(ConfigError::OpenToOthers(listen))
}

/// The origins that the `--cors` flags name.
///
/// # Errors
/// One of them is neither `*` nor an origin.
pub fn choose_origins(flags: &[String]) -> Result<Origins, ConfigError> {
    if flags.iter().any(|flag| flag == "*") {
        return Ok(Origins::Any);
    }
    flags.iter().map(|flag| parse_origin(flag)).collect::<Result<_, _>>().map(Origins::These)
}

/// An origin is a scheme, a host and perhaps a port. Browsers send it in lower case and without a path.
fn parse_origin(flag: &str) -> Result<HeaderValue, ConfigError> {
    let bad = || ConfigError::BadOrigin(flag.into());
    let (scheme, authority) = flag.split_once("://").ok_or_else(bad)?;
    let is_plain = |text: &str| {
        !text.is_empty()
            && text.chars().all(|char| char.is_ascii_graphic() && !matches!(char, '/' | '?' | '#' | '@' | '*'))
    };
    if !is_plain(scheme) || !is_plain(authority) {
        return Err(bad());
    }
    HeaderValue::from_str(&flag.to_ascii_lowercase()).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn loopback_runs_open_with_a_warning() {
        for listen in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:0"] {
            let (access, warn) = choose_access(None, false, false, address(listen)).expect("allowed");
            assert!(matches!(access, Access::Open { by_any_name: false }) && warn, "{listen}");
            let (access, warn) = choose_access(None, true, false, address(listen)).expect("allowed");
            assert!(matches!(access, Access::Open { by_any_name: false }) && !warn, "{listen}");
        }
    }

    #[test]
    fn other_addresses_need_an_administrator_or_two_flags() {
        for listen in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1"] {
            let listen = address(listen);
            for (open, i_know) in [(false, false), (true, false), (false, true)] {
                let refused = choose_access(None, open, i_know, listen).expect_err("refused");
                assert_eq!(refused, ConfigError::OpenToOthers(listen));
            }
            assert!(matches!(choose_access(None, true, true, listen), Ok((Access::Open { by_any_name: true }, false))));
            assert!(matches!(choose_access(Some("a:b"), false, false, listen), Ok((Access::Administrator(_), false))));
        }
    }

    #[test]
    fn an_administrator_has_a_name_and_a_password_and_a_closed_door() {
        let listen = address("127.0.0.1:1");
        for bad in ["", "a", ":", "a:", ":b"] {
            let refused = choose_access(Some(bad), false, false, listen).expect_err(bad);
            assert_eq!(refused, ConfigError::BadAdministrator, "{bad}");
        }
        let refused = choose_access(Some("a:b"), true, true, listen).expect_err("both");
        assert_eq!(refused, ConfigError::AdministratorAndOpen);
    }

    #[test]
    fn origins_are_origins() {
        let flags = |flags: &[&str]| flags.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(choose_origins(&[]), Ok(Origins::These(Vec::new())));
        assert_eq!(choose_origins(&flags(&["https://a.example", "*"])), Ok(Origins::Any));
        assert_eq!(
            choose_origins(&flags(&["https://A.example:8443", "http://[::1]:1"])),
            Ok(Origins::These(vec![
                HeaderValue::from_static("https://a.example:8443"),
                HeaderValue::from_static("http://[::1]:1")
            ]))
        );
        for bad in ["", "a.example", "https://", "https://a.example/", "https://*.example", "https://a@b"] {
            assert_eq!(choose_origins(&flags(&[bad])), Err(ConfigError::BadOrigin(bad.into())), "{bad}");
        }
    }
}
