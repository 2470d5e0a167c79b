//! What the browser has to load.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::layout::{Layout, MODULES};

/// Prints a line for each module and for each script of the npm package.
pub fn print(layout: &Layout) -> anyhow::Result<()> {
    let mut files: Vec<PathBuf> = MODULES.iter().map(|module| layout.module(module)).collect();
    scripts(&layout.root.join("js/dist"), &mut files)?;
    for file in files {
        println!("{}", line(layout, &file)?);
    }
    Ok(())
}

/// A file's name, its size and its size once compressed.
pub fn line(layout: &Layout, file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file).with_context(|| format!("{} is not there: run `make build` first", file.display()))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let compressed = encoder.finish()?.len();
    let name = file.strip_prefix(&layout.root).unwrap_or(file).display().to_string();
    Ok(format!("{name:<40} {:>8.1} KiB {:>8.1} KiB gzip", kibibytes(bytes.len()), kibibytes(compressed)))
}

fn kibibytes(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}

fn scripts(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            scripts(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "js") {
            files.push(path);
        }
    }
    Ok(())
}
