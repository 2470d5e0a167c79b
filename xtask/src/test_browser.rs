//! Runs the tests of `wasm/` in a headless Chromium through chromedriver.
//!
//! Cargo is given this very program as the runner of the test modules; wasm-bindgen's own runner, used as a library so
//! that its version is the one in Cargo.lock, does the rest.

use std::env;
use std::process::Command;

use anyhow::Context;

use crate::layout::Layout;
use crate::wasm;

/// The word by which cargo asks this program to run a test module.
pub const RUNNER: &str = "run-test-module";

/// Builds the test modules and runs them; `filters` go to the test runner.
pub fn run(layout: &Layout, filters: &[&str]) -> anyhow::Result<()> {
    let this = env::current_exe().context("the path of this program is not known")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&layout.root).args(["test", "--package", "firkin-wasm", "--locked"]);
    command.args(["--target", "wasm32-unknown-unknown", "--"]).args(filters);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", format!("{} {RUNNER}", this.display()));
    command.env("WASM_BINDGEN_TEST_ONLY_WEB", "1");
    wasm::run(&mut command)
}

/// Runs one test module, as cargo asks.
pub fn run_module(arguments: &[&str]) -> anyhow::Result<()> {
    let words = std::iter::once(RUNNER).chain(arguments.iter().copied());
    wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(words)
}
