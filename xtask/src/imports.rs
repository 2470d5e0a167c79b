//! What the modules import, held against committed lists: nothing reaches out that nobody has looked at.
//!
//! wasm-bindgen ends the names of imports in a hash of the crate's version; the lists leave it out.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context;
use wasmparser::{Parser, Payload};

use crate::layout::{Layout, MODULES, Module};

/// Fails where a module imports something that its list does not name, or no longer imports what it names.
pub fn check(layout: &Layout) -> anyhow::Result<()> {
    for module in &MODULES {
        let difference = difference(layout, module)?;
        anyhow::ensure!(
            difference.is_empty(),
            "the imports of {} are not those of {}:\n{}\nIf that is meant: cargo run -p firkin-xtask -- imports --accept",
            module.file,
            module.imports,
            difference.join("\n")
        );
        println!("{} imports what {} names, and nothing else", module.file, module.imports);
    }
    Ok(())
}

/// As [`check`] of one module, but only says so.
pub fn warn(layout: &Layout, module: &Module) -> anyhow::Result<()> {
    let difference = difference(layout, module)?;
    if !difference.is_empty() {
        println!("note: {} imports differ from {}", difference.len(), module.imports);
    }
    Ok(())
}

/// Makes the lists what the modules import.
pub fn accept(layout: &Layout) -> anyhow::Result<()> {
    for module in &MODULES {
        let mut text = actual(layout, module)?.into_iter().collect::<Vec<_>>().join("\n");
        text.push('\n');
        fs::write(layout.imports(module), text)?;
    }
    Ok(())
}

fn difference(layout: &Layout, module: &Module) -> anyhow::Result<Vec<String>> {
    let actual = actual(layout, module)?;
    let text =
        fs::read_to_string(layout.imports(module)).with_context(|| format!("{} cannot be read", module.imports))?;
    let expected: BTreeSet<String> = text.lines().map(String::from).collect();
    let new = actual.difference(&expected).map(|name| format!("+ {name}"));
    let gone = expected.difference(&actual).map(|name| format!("- {name}"));
    Ok(new.chain(gone).collect())
}

fn actual(layout: &Layout, module: &Module) -> anyhow::Result<BTreeSet<String>> {
    let module = fs::read(layout.module(module))
        .with_context(|| format!("there is no {}: run `make build` first", module.file))?;
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&module) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                names.insert(without_hash(import?.name).to_owned());
            }
        }
    }
    Ok(names)
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((start, end)) if end.len() == 16 && end.bytes().all(|byte| byte.is_ascii_hexdigit()) => start,
        _ => name,
    }
}
