//! Builds the browser's modules: cargo, then wasm-bindgen, then wasm-opt.
//!
//! Cargo knows by itself whether there is something to compile. What comes after it is skipped while the compiled module,
//! the mode and the optimiser are those of the last build: a stamp beside the glue holds their fingerprint.
//!
//! wasm-bindgen runs as a library: its version is the one in Cargo.lock, which is the one that the module was compiled
//! with. The optimiser comes from npm's `binaryen`; Debian's emits a broken module.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use wasm_bindgen_cli_support::Bindgen;

use crate::layout::{Layout, MODULES, Module};
use crate::{imports, size};

/// How much care the build takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As it is published.
    Release,
    /// Quickly: cargo's `dev` profile, names kept, not optimised.
    Dev,
}

/// Chosen by what the module weighs once compressed. The compiler has inlined what is worth it: more of that makes the
/// compressed module a twelfth larger.
const OPTIMISER_FLAGS: [&str; 4] =
    ["-Oz", "--skip-pass=inlining-optimizing", "--strip-producers", "--strip-target-features"];

/// What rustc's wasm32 target emits, and browsers have long had.
const FEATURE_FLAGS: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
];

/// Builds the modules, `js/*.wasm`, and their glue in `js/dist/wasm-glue`.
pub fn build(layout: &Layout, mode: Mode) -> anyhow::Result<()> {
    MODULES.iter().try_for_each(|module| build_module(layout, module, mode))
}

fn build_module(layout: &Layout, module: &Module, mode: Mode) -> anyhow::Result<()> {
    let compiled = compile(layout, module.package, mode)?;
    let fingerprint = fingerprint(layout, &compiled, mode)?;
    let stamp = layout.glue().join(format!("{}.stamp", module.glue));
    let current = fs::read_to_string(&stamp).is_ok_and(|text| text == fingerprint);
    let file = layout.module(module);
    if current && file.exists() {
        println!("{} is up to date", size::line(layout, &file)?);
        return Ok(());
    }
    bind(layout, module, &compiled, mode)?;
    fs::write(&stamp, fingerprint)?;
    println!("{}", size::line(layout, &file)?);
    imports::warn(layout, module)
}

/// Compiles the library of a package; where its module is.
pub fn compile(layout: &Layout, package: &str, mode: Mode) -> anyhow::Result<PathBuf> {
    let (profile, folder) = match mode {
        Mode::Release => ("wasm", "wasm"),
        Mode::Dev => ("dev", "debug"),
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&layout.root).args(["build", "--package", package, "--lib", "--locked"]);
    command.args(["--target", "wasm32-unknown-unknown", "--profile", profile]);
    if mode == Mode::Release {
        command.env("CARGO_ENCODED_RUSTFLAGS", remap_paths(layout).join("\x1f"));
    }
    run(&mut command)?;
    let module = package.replace('-', "_") + ".wasm";
    Ok(layout.target.join("wasm32-unknown-unknown").join(folder).join(module))
}

/// Keeps the paths of this machine, which messages of panics name, out of the module.
fn remap_paths(layout: &Layout) -> Vec<String> {
    let default_home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default_home);
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    cargo_home.iter().map(|home| remap(home, "cargo")).chain([remap(&layout.root, "firkin")]).collect()
}

/// Changes whenever what follows the compiler would give something else.
fn fingerprint(layout: &Layout, compiled: &Path, mode: Mode) -> anyhow::Result<String> {
    let module = fs::read(compiled).with_context(|| format!("{} is not there", compiled.display()))?;
    let optimiser = fs::read(layout.root.join("node_modules/binaryen/package.json")).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (module, optimiser, mode, OPTIMISER_FLAGS, FEATURE_FLAGS, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn bind(layout: &Layout, module: &Module, compiled: &Path, mode: Mode) -> anyhow::Result<()> {
    let glue = layout.glue();
    fs::create_dir_all(&glue)?;
    Bindgen::new()
        .input_path(compiled)
        .web(true)?
        .typescript(true)
        .out_name(module.glue)
        .omit_default_module_path(true)
        .keep_debug(mode == Mode::Dev)
        .remove_name_section(mode == Mode::Release)
        .remove_producers_section(true)
        .generate(&glue)
        .context("wasm-bindgen failed")?;
    let bound = glue.join(format!("{}_bg.wasm", module.glue));
    match mode {
        Mode::Release => optimise(layout, &bound, &layout.module(module), &[])?,
        Mode::Dev => {
            fs::copy(&bound, layout.module(module))?;
        }
    }
    fs::remove_file(&bound)?;
    let types = glue.join(format!("{}_bg.wasm.d.ts", module.glue));
    if types.exists() {
        fs::remove_file(types)?;
    }
    Ok(())
}

/// Makes a module smaller, as it is published; `flags` come on top.
pub fn optimise(layout: &Layout, from: &Path, to: &Path, flags: &[&str]) -> anyhow::Result<()> {
    let optimiser = layout.root.join("node_modules/.bin/wasm-opt");
    anyhow::ensure!(optimiser.exists(), "wasm-opt is missing: run `npm ci` first");
    run(Command::new(optimiser).args(OPTIMISER_FLAGS).args(FEATURE_FLAGS).args(flags).arg(from).arg("-o").arg(to))
}

/// Runs `command`; a failure names it.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("could not start {command:?}"))?;
    anyhow::ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
