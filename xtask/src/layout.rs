//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A module of the npm package.
pub struct Module {
    /// The cargo package that it is made of.
    pub package: &'static str,
    /// Its name in the npm package.
    pub file: &'static str,
    /// The name of its glue.
    pub glue: &'static str,
    /// The list of what it may import.
    pub imports: &'static str,
}

/// The modules of the npm package: the engine, and what is loaded when it is asked for only.
pub const MODULES: [Module; 3] = [
    Module { package: "firkin-wasm", file: "firkin.wasm", glue: "engine", imports: "wasm/imports.txt" },
    Module { package: "firkin-rescue", file: "firkin-rescue.wasm", glue: "rescue", imports: "wasm/rescue/imports.txt" },
    Module {
        package: "firkin-automerge",
        file: "firkin-automerge.wasm",
        glue: "automerge",
        imports: "wasm/automerge/imports.txt",
    },
];

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

    /// A module that is packed into the npm package.
    pub fn module(&self, module: &Module) -> PathBuf {
        self.root.join("js").join(module.file)
    }

    /// The folder of the modules' glue.
    pub fn glue(&self) -> PathBuf {
        self.root.join("js/dist/wasm-glue")
    }

    /// The list of what a module may import.
    pub fn imports(&self, module: &Module) -> PathBuf {
        self.root.join(module.imports)
    }
}
