//! Times the engine alone: natively by `cargo bench`, then as a module under Node, then both side by side.
//!
//! The module is compiled and optimised as the published one is, but keeps its names, so that Node's profiler can tell them.

use std::env;
use std::process::Command;

use crate::layout::Layout;
use crate::wasm::{self, Mode};

/// Runs the cases whose names hold `filter`, or all.
pub fn run(layout: &Layout, filter: Option<&str>) -> anyhow::Result<()> {
    let compiled = wasm::compile(layout, "firkin-bench", Mode::Release)?;
    let module = compiled.with_extension("optimised.wasm");
    wasm::optimise(layout, &compiled, &module, &["--debuginfo"])?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut native = Command::new(cargo);
    native.current_dir(&layout.root).args(["bench", "--package", "firkin-bench", "--locked", "--", "--quiet"]);
    wasm::run(native.args(filter))?;
    let mut node = Command::new("node");
    node.arg(layout.root.join("bench/run.mjs")).arg(module).arg(layout.target.join("criterion"));
    wasm::run(node.args(filter))
}
