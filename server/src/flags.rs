//! The configuration: flags count over the environment, that over a TOML file, that over what is usual.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, Parser, Subcommand, ValueEnum};
use firkin_server::clients::ClientLimits;
use firkin_server::config::{Config, ConfigError, Limits, PASSWORD_ITERATIONS_DEFAULT, choose_access, choose_origins};
use firkin_server::replication::endpoint::Remote;
use firkin_server::tls::TlsFiles;
use serde::Deserialize;

/// Where a server listens if nothing is said.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5984);

/// Serves CouchDB's HTTP API over a folder of databases.
#[derive(Debug, Parser)]
#[command(name = "firkin-server", version, args_conflicts_with_subcommands = true)]
pub struct Flags {
    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
    /// A TOML file of settings, named like the flags
    #[arg(long, value_name = "FILE", env = "FIRKIN_CONFIG")]
    config: Option<PathBuf>,
}

/// What is done with a folder over which no server runs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copies a data folder, checked and without free space
    Backup {
        /// The data folder
        #[arg(long, value_name = "DIR", env = "FIRKIN_DATA")]
        data: PathBuf,
        /// Where the copy goes; it must not be there yet, or be empty
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Makes a data folder of a copy
    Restore {
        /// The data folder; it must not be there yet, or be empty
        #[arg(long, value_name = "DIR", env = "FIRKIN_DATA")]
        data: PathBuf,
        /// The copy
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Reads all that a data folder holds, and tells what is damaged
    Check {
        /// The data folder
        #[arg(long, value_name = "DIR", env = "FIRKIN_DATA")]
        data: PathBuf,
    },
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// An object a line
    Json,
}

/// What can be set, each where it was.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    /// The address and port to listen on; port 0 takes a free one [127.0.0.1:5984]
    #[arg(long, value_name = "ADDRESS:PORT", env = "FIRKIN_LISTEN")]
    listen: Option<SocketAddr>,
    /// The folder that holds the databases; it is made if it is not there
    #[arg(long, value_name = "DIR", env = "FIRKIN_DATA")]
    data: Option<PathBuf>,
    /// The server's administrator
    #[arg(long, value_name = "NAME:PASSWORD", env = "FIRKIN_ADMIN", hide_env_values = true)]
    admin: Option<String>,
    /// Let anyone who reaches the server read and write
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "FIRKIN_OPEN")]
    open: Option<bool>,
    /// With --open: also on an address that other machines reach, and by any host name
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "FIRKIN_I_KNOW")]
    i_know: Option<bool>,
    /// Let pages of this origin ask (repeatable), or * for pages of any origin
    #[arg(long, value_name = "ORIGIN", env = "FIRKIN_CORS", value_delimiter = ',')]
    cors: Option<Vec<String>>,
    /// Keep the database at this URL and the one of its name here the same (repeatable)
    #[arg(long, value_name = "URL", env = "FIRKIN_UPSTREAM", value_delimiter = ',', hide_env_values = true)]
    upstream: Option<Vec<String>>,
    /// Speak TLS with this certificate, a PEM file with its chain
    #[arg(long, value_name = "FILE", env = "FIRKIN_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, a PEM file
    #[arg(long, value_name = "FILE", env = "FIRKIN_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// What is logged on standard error: error, warn, info, debug (each request) [info]
    #[arg(long, value_name = "LEVEL", env = "FIRKIN_LOG")]
    log: Option<String>,
    /// How lines of the log look [text]
    #[arg(long, value_name = "FORMAT", env = "FIRKIN_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// How many iterations the key of a new password is derived by [600000]
    #[arg(long, value_name = "COUNT", env = "FIRKIN_PASSWORD_ITERATIONS")]
    password_iterations: Option<u32>,
    /// The largest request body in bytes, once decompressed [64 MiB]
    #[arg(long, value_name = "BYTES", env = "FIRKIN_BODY_BYTES_MAX")]
    body_bytes_max: Option<usize>,
    /// The largest attachment in bytes [64 MiB]
    #[arg(long, value_name = "BYTES", env = "FIRKIN_ATTACHMENT_BYTES_MAX")]
    attachment_bytes_max: Option<u64>,
    /// The largest document in bytes [8 MiB]
    #[arg(long, value_name = "BYTES", env = "FIRKIN_DOCUMENT_BYTES_MAX")]
    document_bytes_max: Option<usize>,
    /// The longest URL in bytes [16 KiB]
    #[arg(long, value_name = "BYTES", env = "FIRKIN_URL_BYTES_MAX")]
    url_bytes_max: Option<usize>,
    /// All headers of a request together in bytes [64 KiB]
    #[arg(long, value_name = "BYTES", env = "FIRKIN_HEADER_BYTES_MAX")]
    header_bytes_max: Option<usize>,
    /// How many _changes requests may be open at one time [2048]
    #[arg(long, value_name = "COUNT", env = "FIRKIN_FEEDS_MAX")]
    feeds_max: Option<usize>,
    /// How many of them one client may have [256 for clients on other machines]
    #[arg(long, value_name = "COUNT", env = "FIRKIN_FEEDS_PER_CLIENT_MAX")]
    feeds_per_client_max: Option<usize>,
    /// How many requests one client may have answered at one time [256 for clients on other machines]
    #[arg(long, value_name = "COUNT", env = "FIRKIN_REQUESTS_PER_CLIENT_MAX")]
    requests_per_client_max: Option<usize>,
    /// How many connections may be open at one time [4096]
    #[arg(long, value_name = "COUNT", env = "FIRKIN_CONNECTIONS_MAX")]
    connections_max: Option<usize>,
    /// The page cache of each open database in bytes [32 MiB]
    #[arg(long, value_name = "BYTES", env = "FIRKIN_CACHE_BYTES")]
    cache_bytes: Option<usize>,
    /// Cut off a client that sends or takes nothing for so many milliseconds in the middle of a request [30000]
    #[arg(long, value_name = "MILLISECONDS", env = "FIRKIN_SLOW_CLIENT_TIMEOUT_MS")]
    slow_client_timeout_ms: Option<u64>,
}

/// What a server is started with.
#[derive(Debug)]
pub struct Start {
    /// The server's part.
    pub config: Config,
    /// Anyone on this machine may read and write, and nobody said that this is meant.
    pub is_open_unasked: bool,
    /// What is logged.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

/// Why nothing can be started.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// The settings contradict each other, or are none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The TOML file cannot be read.
    #[error("the file of settings {}: {error}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The TOML file is none, or sets what there is not.
    #[error("the file of settings {}: {error}", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where and what is wrong, without quoting the line: it may hold a password.
        error: String,
    },
}

impl Settings {
    fn of_file(file: &Path) -> Result<Self, FlagsError> {
        let unreadable = |error| FlagsError::Unreadable { file: file.into(), error };
        let text = fs::read_to_string(file).map_err(unreadable)?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let place =
                error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            FlagsError::Malformed { file: file.into(), error: format!("line {place}: {}", error.message()) }
        })
    }
}

/// Takes each member from the first of two that has it.
macro_rules! over {
    ($first:ident, $second:ident; $($member:ident),* $(,)?) => {
        Settings { $($member: $first.$member.or($second.$member)),* }
    };
}

impl Flags {
    /// All that is set.
    ///
    /// # Errors
    /// The file cannot be read, or the settings are none that a server can start with.
    pub fn into_start(self) -> Result<Start, FlagsError> {
        let file = self.config.as_deref().map(Settings::of_file).transpose()?.unwrap_or_default();
        let flags = self.settings;
        let settings = over!(flags, file; listen, data, admin, open, i_know, cors, upstream, tls_cert, tls_key, log,
            log_format, password_iterations, body_bytes_max, attachment_bytes_max, document_bytes_max, url_bytes_max,
            header_bytes_max, feeds_max, feeds_per_client_max, requests_per_client_max, connections_max, cache_bytes,
            slow_client_timeout_ms);
        settings.into_start()
    }
}

impl Settings {
    fn into_start(self) -> Result<Start, FlagsError> {
        let listen = self.listen.unwrap_or(LISTEN_DEFAULT);
        let (open, i_know) = (self.open.unwrap_or(false), self.i_know.unwrap_or(false));
        let (access, is_open_unasked) = choose_access(self.admin.as_deref(), open, i_know, listen)?;
        let upstreams = self.upstream.unwrap_or_default();
        let upstreams = upstreams.iter().map(|url| Remote::parse(url).map_err(ConfigError::BadUpstream));
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            _ => return Err(ConfigError::HalfTls.into()),
        };
        let usual = Limits::default();
        let config = Config {
            listen,
            data: self.data.ok_or(ConfigError::NoData)?,
            access,
            origins: choose_origins(&self.cors.unwrap_or_default())?,
            password_iterations: self.password_iterations.unwrap_or(PASSWORD_ITERATIONS_DEFAULT),
            upstreams: upstreams.collect::<Result<_, _>>()?,
            tls,
            limits: Limits {
                body_bytes_max: self.body_bytes_max.unwrap_or(usual.body_bytes_max),
                attachment_bytes_max: self.attachment_bytes_max.unwrap_or(usual.attachment_bytes_max),
                document_bytes_max: self.document_bytes_max.unwrap_or(usual.document_bytes_max),
                url_bytes_max: self.url_bytes_max.unwrap_or(usual.url_bytes_max),
                header_bytes_max: self.header_bytes_max.unwrap_or(usual.header_bytes_max),
                feeds_max: self.feeds_max.unwrap_or(usual.feeds_max),
                connections_max: self.connections_max.unwrap_or(usual.connections_max),
                cache_bytes: self.cache_bytes.unwrap_or(usual.cache_bytes),
                slow_client_timeout_ms: self.slow_client_timeout_ms.unwrap_or(usual.slow_client_timeout_ms),
            },
            client_limits: ClientLimits {
                requests_max: self.requests_per_client_max,
                feeds_max: self.feeds_per_client_max,
            },
        };
        let log = self.log.unwrap_or_else(|| "info".into());
        Ok(Start { config, is_open_unasked, log, log_format: self.log_format.unwrap_or_default() })
    }
}
