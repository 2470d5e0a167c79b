//! Which paths an answer depends on: whoever keeps an answer up to date looks at nothing else.

use alloc::vec::Vec;

use super::{FindQuery, Selector};
use crate::json::{Object, Value};
use crate::path::{Found, Path};
use crate::sorting::sort_by;

/// The paths that decide whether a document belongs to an answer, where it stands, and what of it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Sorted; none lies below another.
    paths: Vec<Path>,
    /// Whether documents are shown whole, so that any change of one that belongs to the answer counts.
    shows_whole: bool,
    /// Whether a document that has nothing at any of the paths belongs to the answer.
    takes_blank: bool,
}

impl Watched {
    /// What the answer of `query` depends on.
    #[must_use]
    pub fn of(query: &FindQuery) -> Self {
        let mut paths = Vec::new();
        gather(&query.selector, &mut paths);
        paths.extend(query.sort.iter().map(|field| field.path.clone()));
        paths.extend(query.fields.iter().flatten().cloned());
        sort_by(&mut paths, Path::cmp);
        // What stands below a path that is watched cannot change without it.
        paths.dedup_by(|below, above| below.names().starts_with(above.names()));
        Self {
            paths,
            shows_whole: query.fields.is_none(),
            takes_blank: query.sort.is_empty() && query.selector.matches(&Value::Object(Object::new())),
        }
    }

    /// Whether documents are shown whole: then what belongs to the answer changes with each revision.
    #[must_use]
    pub fn shows_whole(&self) -> bool {
        self.shows_whole
    }

    /// Whether a document that was `before` and is `after`, `None` where it is not there, may have entered the answer,
    /// left it or changed its place in it, or shows other values at the paths that are shown by name.
    #[must_use]
    pub fn is_touched(&self, before: Option<&Value>, after: Option<&Value>) -> bool {
        self.paths.iter().any(|path| find(path, before) != find(path, after))
            || (self.takes_blank && before.is_some() != after.is_some())
    }
}

/// A document that is not there has nothing at any path.
fn find<'document>(path: &Path, document: Option<&'document Value>) -> Found<'document> {
    document.map_or(Found::Missing, |document| path.find(document))
}

fn gather(selector: &Selector, paths: &mut Vec<Path>) {
    match selector {
        Selector::And(parts) | Selector::Or(parts) => parts.iter().for_each(|part| gather(part, paths)),
        // Conditions on what the value holds (`$elemMatch` and the like) see nothing but the value.
        Selector::Field(path, _) => paths.push(path.clone()),
    }
}
