//! Paths that are kept out of the index, with all that lies below them.
//!
//! They lead through objects only: what stands inside of an array is not reached. A query on such a path reads documents.

use alloc::string::String;
use alloc::vec::Vec;

use crate::path::Path;
use crate::sorting::sort_by;

/// The paths that are not posted.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    paths: Vec<Path>,
    root: Exclusion,
}

/// What is kept out below one path.
#[derive(Clone, Debug, Default)]
pub struct Exclusion {
    members: Vec<(String, Exclusion)>,
    is_whole: bool,
}

impl Exclusions {
    /// Keeps these paths out.
    #[must_use]
    pub fn new(mut paths: Vec<Path>) -> Self {
        sort_by(&mut paths, Path::cmp);
        paths.dedup();
        let mut root = Exclusion::default();
        for path in &paths {
            root.add(path.names());
        }
        Self { paths, root }
    }

    /// The paths, in order.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// What is kept out of whole documents.
    #[must_use]
    pub fn root(&self) -> &Exclusion {
        &self.root
    }

    /// Whether what stands at `names` is kept out, since it or something above it is.
    pub fn cover<'name>(&self, names: impl Iterator<Item = &'name str>) -> bool {
        let mut node = &self.root;
        for name in names {
            match node.below(name) {
                Some(below) if below.is_whole => return true,
                Some(below) => node = below,
                None => return false,
            }
        }
        false
    }
}

impl Exclusion {
    /// What is kept out below the member called `name`, if anything is.
    #[must_use]
    pub fn below(&self, name: &str) -> Option<&Self> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, below)| below)
    }

    /// Whether everything is kept out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn add(&mut self, names: &[String]) {
        let Some((first, rest)) = names.split_first() else {
            self.is_whole = true;
            return;
        };
        if !self.members.iter().any(|(member, _)| member == first) {
            self.members.push((first.clone(), Self::default()));
        }
        if let Some((_, below)) = self.members.iter_mut().find(|(member, _)| member == first) {
            below.add(rest);
        }
    }
}
