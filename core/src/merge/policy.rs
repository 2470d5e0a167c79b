//! What an app wants to become of changes that two branches made of one place.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::error::ErrorReport;
use crate::hex::hex;
use crate::json::{Object, Value, canonical};
use crate::path::Path;

use super::three_way::{ATTACHMENTS, FIRKIN};

/// What becomes of a place that branches changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A person decides on every change.
    Review,
    /// Changes of one side are taken; a person decides where both changed one place.
    ThreeWay,
    /// As three-way, where texts merge by character and lists by element.
    Automerge,
    /// The greater value, in the order of all values.
    Max,
    /// The smaller value.
    Min,
    /// An array is a set: what either side added is in it, what either took out is not.
    Union,
    /// An object counts for each replica on its own: the greater count of each.
    Counter,
    /// The side whose document has the greater value at this path.
    LastWriter(Path),
    /// A function of the app's logic.
    Module(String),
}

/// The policies of a database: one for each path that has its own, which holds for all below, and one for the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    rest: Policy,
    paths: Vec<(Path, Policy)>,
    /// The beginning of the hash of what was read, in hex digits: other policies have another name.
    name: String,
    version: u32,
}

/// Why policies are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// They are no object.
    #[error("merge policies are an object: a policy for each path, and one for '*'")]
    NotAnObject,
    /// There is no such policy.
    #[error("merge policies: what stands at {0:?} is no policy")]
    Unknown(String),
    /// No policy decides on special members.
    #[error("merge policies: {0:?} is no place that a merge is about")]
    Nowhere(String),
}

impl PolicyError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        ErrorReport::new(400, "bad_request", format!("{self}"))
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self { rest: Policy::Review, paths: Vec::new(), name: String::new(), version: 0 }
    }
}

impl Policies {
    /// Reads `{ path: policy }`, in which `*` stands for all other paths; without it a person decides on those.
    ///
    /// # Errors
    /// A [`PolicyError`].
    pub fn parse(value: &Value) -> Result<Self, PolicyError> {
        let mut policies = Self::default();
        for (path, value) in value.as_object().ok_or(PolicyError::NotAnObject)?.iter() {
            let policy = Policy::parse(value).ok_or_else(|| PolicyError::Unknown(path.into()))?;
            match path {
                "*" => policies.rest = policy,
                _ if !is_mergeable(&Path::parse(path)) => return Err(PolicyError::Nowhere(path.into())),
                _ => policies.paths.push((Path::parse(path), policy)),
            }
        }
        policies.add_deciding_fields();
        let mut text = Vec::new();
        canonical(value, &mut text);
        policies.name = hex(Sha256::digest(&text).get(..8).unwrap_or_default());
        Ok(policies)
    }

    /// These, as the app's version of that number: of what two versions made of the same branches, that of the greater stands.
    #[must_use]
    pub fn with_version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// What `firkin.policy` tells of a merge by these.
    #[must_use]
    pub fn told(&self) -> Value {
        let mut told = Object::new();
        told.insert("version", Value::Number(self.version.into()));
        told.insert("name", self.name.as_str().into());
        Value::Object(told)
    }

    /// The policy of the place that `names` lead to: that of the longest path which leads there or above.
    #[must_use]
    pub fn at(&self, names: &[&str]) -> &Policy {
        let leads = |path: &Path| {
            let own = path.names();
            own.len() <= names.len() && own.iter().zip(names).all(|(own, name)| own == name)
        };
        let leading = self.paths.iter().filter(|(path, _)| leads(path));
        leading.max_by_key(|(path, _)| path.names().len()).map_or(&self.rest, |(_, policy)| policy)
    }

    /// The field that says who wrote last goes with what it decides on, where it has no policy of its own.
    fn add_deciding_fields(&mut self) {
        let policies = self.paths.iter().map(|(_, policy)| policy).chain([&self.rest]);
        let fields: Vec<Path> = policies
            .filter_map(|policy| if let Policy::LastWriter(field) = policy { Some(field.clone()) } else { None })
            .collect();
        for field in fields {
            if self.paths.iter().all(|(path, _)| *path != field) {
                self.paths.push((field.clone(), Policy::LastWriter(field)));
            }
        }
    }

    /// Whether a person decides on everything.
    pub(super) fn are_none(&self) -> bool {
        self.rest == Policy::Review && self.paths.is_empty()
    }

    /// Whether a path below the place that `names` lead to has a policy of its own.
    pub(super) fn has_below(&self, names: &[&str]) -> bool {
        self.paths.iter().any(|(path, _)| is_below(path, names))
    }

    /// Whether a person decides on a change of what stands where `names` lead, or on a part of it.
    pub(super) fn leaves_to_a_person(&self, names: &[&str]) -> bool {
        let is_reviewed = |(path, policy): &(Path, Policy)| *policy == Policy::Review && is_below(path, names);
        *self.at(names) == Policy::Review || self.paths.iter().any(is_reviewed)
    }
}

/// Whether a merge is about the place: special members but `_attachments` take no part in it, nor does `firkin`.
pub(crate) fn is_mergeable(path: &Path) -> bool {
    path.names().first().is_some_and(|name| name == ATTACHMENTS || (name != FIRKIN && !name.starts_with('_')))
}

/// Whether the path leads to a place below the one that `names` lead to.
fn is_below(path: &Path, names: &[&str]) -> bool {
    path.names().len() > names.len() && path.names().iter().zip(names).all(|(own, name)| own == name)
}

impl Policy {
    fn parse(value: &Value) -> Option<Self> {
        if let Some(name) = value.as_str() {
            return Some(match name {
                "review" => Self::Review,
                "three-way" => Self::ThreeWay,
                "automerge" => Self::Automerge,
                "max" => Self::Max,
                "min" => Self::Min,
                "union" => Self::Union,
                "counter" => Self::Counter,
                _ => return None,
            });
        }
        let mut members = value.as_object()?.iter();
        match (members.next()?, members.next()) {
            (("lastWriter", path), None) => {
                Some(Self::LastWriter(Path::parse(path.as_str()?))).filter(|policy| match policy {
                    Self::LastWriter(field) => is_mergeable(field),
                    _ => true,
                })
            }
            (("module", name), None) => Some(Self::Module(name.as_str()?.into())),
            _ => None,
        }
    }
}
