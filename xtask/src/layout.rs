//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folders and files of the workspace that the build touches.
pub struct Layout {
    /// The workspace's folder.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Layout {
    /// The layout of the workspace that this helper was built from.
    pub fn find() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?.to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self { root, target })
    }

    /// The module that is packed into the npm package.
    pub fn module(&self) -> PathBuf {
        self.root.join("js/firkin.wasm")
    }

    /// The folder of the module's glue.
    pub fn glue(&self) -> PathBuf {
        self.root.join("js/dist/wasm-glue")
    }

    /// The list of what the module may import.
    pub fn imports(&self) -> PathBuf {
        self.root.join("wasm/imports.txt")
    }
}
