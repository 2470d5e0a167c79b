//! What the module imports, held against a committed list: nothing reaches out that nobody has looked at.
//!
//! wasm-bindgen ends the names of imports in a hash of the crate's version; the list leaves it out.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context;
use wasmparser::{Parser, Payload};

use crate::layout::Layout;

/// Fails where the module imports something that the list does not name, or no longer imports what it names.
pub fn check(layout: &Layout) -> anyhow::Result<()> {
    let difference = difference(layout)?;
    anyhow::ensure!(
        difference.is_empty(),
        "the module's imports are not those of wasm/imports.txt:\n{}\nIf that is meant: cargo run -p firkin-xtask -- imports --accept",
        difference.join("\n")
    );
    println!("the module imports what wasm/imports.txt names, and nothing else");
    Ok(())
}

/// As [`check`], but only says so.
pub fn warn(layout: &Layout) -> anyhow::Result<()> {
    let difference = difference(layout)?;
    if !difference.is_empty() {
        println!("note: {} imports differ from wasm/imports.txt", difference.len());
    }
    Ok(())
}

/// Makes the list what the module imports.
pub fn accept(layout: &Layout) -> anyhow::Result<()> {
    let mut text = actual(layout)?.into_iter().collect::<Vec<_>>().join("\n");
    text.push('\n');
    fs::write(layout.imports(), text)?;
    Ok(())
}

fn difference(layout: &Layout) -> anyhow::Result<Vec<String>> {
    let actual = actual(layout)?;
    let text = fs::read_to_string(layout.imports()).context("wasm/imports.txt cannot be read")?;
    let expected: BTreeSet<String> = text.lines().map(String::from).collect();
    let new = actual.difference(&expected).map(|name| format!("+ {name}"));
    let gone = expected.difference(&actual).map(|name| format!("- {name}"));
    Ok(new.chain(gone).collect())
}

fn actual(layout: &Layout) -> anyhow::Result<BTreeSet<String>> {
    let module = fs::read(layout.module()).context("there is no js/firkin.wasm: run `make build` first")?;
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
