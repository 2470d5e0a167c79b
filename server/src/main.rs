//! The command `firkin-server`: flags in, one line on standard output when it is ready, a clean stop on SIGTERM or SIGINT.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use firkin_server::Server;
use firkin_server::config::{Config, Limits, PASSWORD_ITERATIONS_DEFAULT, choose_access, choose_origins};
use tokio::signal::unix::{SignalKind, signal};

/// Serves CouchDB's HTTP API over a folder of databases.
#[derive(Debug, Parser)]
#[command(name = "firkin-server", version)]
struct Flags {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5984")]
    listen: SocketAddr,
    /// The folder that holds the databases; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The one account; without its name and password nobody reads or writes
    #[arg(long, value_name = "NAME:PASSWORD")]
    admin: Option<String>,
    /// Let anyone who reaches the server read and write
    #[arg(long)]
    open: bool,
    /// With --open: also on an address that other machines reach, and by any host name
    #[arg(long)]
    i_know: bool,
    /// Let pages of this origin ask (repeatable), or * for pages of any origin
    #[arg(long, value_name = "ORIGIN")]
    cors: Vec<String>,
    /// How many iterations the key of a new password is derived by
    #[arg(long, value_name = "COUNT", default_value_t = PASSWORD_ITERATIONS_DEFAULT)]
    password_iterations: u32,
    /// The largest request body in bytes, once decompressed
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body_bytes_max)]
    body_bytes_max: usize,
    /// The largest attachment in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().attachment_bytes_max)]
    attachment_bytes_max: u64,
    /// The largest document in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().document_bytes_max)]
    document_bytes_max: usize,
    /// How many _changes requests may be open at one time
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().feeds_max)]
    feeds_max: usize,
    /// How many connections may be open at one time
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections_max)]
    connections_max: usize,
    /// The page cache of each open database in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().cache_bytes)]
    cache_bytes: usize,
    /// Cut off a client that sends or takes nothing for so many milliseconds in the middle of a request
    #[arg(long, value_name = "MILLISECONDS", default_value_t = Limits::default().slow_client_timeout_ms)]
    slow_client_timeout_ms: u64,
}

impl Flags {
    fn into_config(self) -> Result<(Config, bool), firkin_server::config::ConfigError> {
        let (access, warn) = choose_access(self.admin.as_deref(), self.open, self.i_know, self.listen)?;
        let config = Config {
            listen: self.listen,
            data: self.data,
            access,
            origins: choose_origins(&self.cors)?,
            password_iterations: self.password_iterations,
            limits: Limits {
                body_bytes_max: self.body_bytes_max,
                attachment_bytes_max: self.attachment_bytes_max,
                document_bytes_max: self.document_bytes_max,
                feeds_max: self.feeds_max,
                connections_max: self.connections_max,
                cache_bytes: self.cache_bytes,
                slow_client_timeout_ms: self.slow_client_timeout_ms,
            },
        };
        Ok((config, warn))
    }
}

fn main() -> ExitCode {
    match Flags::parse().into_config() {
        Ok((config, warn)) => {
            if warn {
                eprintln!(
                    "firkin-server: anyone on this machine may read and write; --admin NAME:PASSWORD keeps others out, \
                     --open says that this is meant"
                );
            }
            match serve(config) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("firkin-server: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            eprintln!("firkin-server: {error}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config).await?;
    println!("listening on http://{}", server.address());
    server
        .run(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    Ok(())
}
