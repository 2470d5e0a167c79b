//! The command `firkin-server`: settings in, one line on standard output when it is ready, a clean stop on SIGTERM or SIGINT.

mod flags;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use firkin_server::{Server, maintenance};
use flags::{Command, Flags, LogFormat, Start};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let done = match flags.command {
        Some(Command::Backup { data, to }) => maintenance::backup(&data, &to),
        Some(Command::Restore { data, from }) => maintenance::restore(&data, &from),
        Some(Command::Check { data }) => maintenance::check(&data),
        None => return start(flags),
    };
    match done {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("firkin-server: {error}");
    ExitCode::FAILURE
}

fn start(flags: Flags) -> ExitCode {
    let start = match flags.into_start() {
        Ok(start) => start,
        Err(error) => {
            failed(&error);
            return ExitCode::from(2);
        }
    };
    if let Err(error) = begin_log(&start) {
        failed(&*error);
        return ExitCode::from(2);
    }
    if start.is_open_unasked {
        tracing::warn!(
            "anyone on this machine may read and write; --admin NAME:PASSWORD keeps others out, --open says that this is meant"
        );
    }
    if !start.config.listen.ip().is_loopback() && start.config.tls.is_none() {
        tracing::warn!(
            "passwords and documents cross the network as they are: give --tls-cert and --tls-key, or put a proxy in front"
        );
    }
    match serve(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&*error),
    }
}

fn begin_log(start: &Start) -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&start.log)?;
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false).with_ansi(false);
    match start.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
}

#[tokio::main]
async fn serve(start: Start) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(start.config).await?;
    let (scheme, address) = (server.scheme(), server.address());
    println!("listening on {scheme}://{address}");
    tracing::info!(%address, scheme, version = env!("CARGO_PKG_VERSION"), "started");
    server
        .run(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    tracing::info!("stopped");
    Ok(())
}
