//! The build helper. `cargo run -p firkin-xtask -- <command>`:
//!
//! - `wasm [--dev]` builds the browser's modules, `js/*.wasm`, and their glue in `js/dist/wasm-glue`. It does nothing
//!   where nothing has changed. `--dev` leaves out the optimiser.
//! - `imports [--accept]` compares what the modules import with the committed lists; `--accept` rewrites the lists.
//! - `bench-engine [FILTER]` times the engine alone, natively and as a module under Node, and prints both side by side;
//!   `FILTER` is a part of the names of cases.
//! - `size` prints what the modules and the scripts beside it weigh.
//! - `test-browser` runs the tests of `wasm/` in a headless Chromium (needs the feature `test-runner`).
//!
//! It runs from any folder of the workspace, and needs `npm ci` to have run. It never reaches the network itself.

mod bench_engine;
mod imports;
mod layout;
mod size;
#[cfg(feature = "test-runner")]
mod test_browser;
mod wasm;

use std::process::ExitCode;

const USAGE: &str =
    "usage: firkin-xtask wasm [--dev] | imports [--accept] | bench-engine [FILTER] | size | test-browser";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> anyhow::Result<()> {
    let layout = layout::Layout::find()?;
    match words {
        ["wasm"] => wasm::build(&layout, wasm::Mode::Release),
        ["wasm", "--dev"] => wasm::build(&layout, wasm::Mode::Dev),
        ["imports"] => imports::check(&layout),
        ["imports", "--accept"] => imports::accept(&layout),
        ["bench-engine"] => bench_engine::run(&layout, None),
        ["bench-engine", filter] => bench_engine::run(&layout, Some(filter)),
        ["size"] => size::print(&layout),
        #[cfg(feature = "test-runner")]
        ["test-browser", rest @ ..] => test_browser::run(&layout, rest),
        #[cfg(feature = "test-runner")]
        [test_browser::RUNNER, rest @ ..] => test_browser::run_module(rest),
        _ => anyhow::bail!(USAGE),
    }
}
