//! Paths through the index: those of documents, and besides the elements of arrays wherever they stand.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::syntax::{Path, position, write_name};
use crate::json::Value;

/// What stands for all elements of an array.
const ELEMENTS: &str = "[]";

/// A step of an [`IndexPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A member of an object by its name or, if the name is a number, an element of an array by its position.
    Name(String),
    /// The elements of an array.
    Elements,
}

/// A path through the index, as `tags.[]` or `items.[].price`: a [`Path`] in which `[]` means all elements of an array.
/// A member that is called `[]` is written `\[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexPath {
    steps: Vec<Step>,
}

impl IndexPath {
    /// Reads a path; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut path = Self::default();
        let mut rest = text;
        loop {
            let (name, after) = split_name(rest);
            path.steps.push(match name {
                ELEMENTS => Step::Elements,
                _ => Step::Name(Path::parse(name).names().concat()),
            });
            match after {
                Some(after) => rest = after,
                None => return path,
            }
        }
    }

    /// This path, continued by the names of another.
    #[must_use]
    pub fn join(&self, path: &Path) -> Self {
        let names = path.names().iter().cloned().map(Step::Name);
        Self { steps: self.steps.iter().cloned().chain(names).collect() }
    }

    /// The elements of what stands at this path.
    #[must_use]
    pub fn elements(&self) -> Self {
        let mut path = self.clone();
        path.steps.push(Step::Elements);
        path
    }

    /// The steps along the path.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether this is the path of the document itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The names up to the first array whose elements are meant.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map_while(|step| if let Step::Name(name) = step { Some(name.as_str()) } else { None })
    }

    /// Whether the path goes through the elements of an array.
    #[must_use]
    pub fn has_elements(&self) -> bool {
        self.steps.contains(&Step::Elements)
    }

    /// Whether the index has no such path, whatever documents there are: elements of arrays inside of arrays are not
    /// posted by position.
    #[must_use]
    pub fn is_unposted(&self) -> bool {
        let mut below = self.steps.iter().skip_while(|step| **step != Step::Elements);
        below.any(|step| matches!(step, Step::Name(name) if position(name).is_some()))
    }

    /// All values at this path in `value`.
    #[must_use]
    pub fn find<'value>(&self, value: &'value Value) -> Vec<&'value Value> {
        let mut found = vec![value];
        for step in &self.steps {
            let mut below = Vec::new();
            for value in found {
                match (step, value) {
                    (Step::Elements, Value::Array(elements)) => below.extend(elements),
                    (Step::Name(name), Value::Object(object)) => below.extend(object.get(name)),
                    (Step::Name(name), Value::Array(elements)) => {
                        below.extend(position(name).and_then(|position| elements.get(position)));
                    }
                    _ => {}
                }
            }
            found = below;
        }
        found
    }
}

/// The first name of a path, escaped as it is, and what follows its dot.
fn split_name(text: &str) -> (&str, Option<&str>) {
    let mut is_escaped = false;
    for (place, character) in text.char_indices() {
        match character {
            '.' if !is_escaped => return (text.get(..place).unwrap_or_default(), text.get(place + 1..)),
            _ => is_escaped = character == '\\' && !is_escaped,
        }
    }
    (text, None)
}

impl From<&Path> for IndexPath {
    fn from(path: &Path) -> Self {
        Self { steps: path.names().iter().map(|name| Step::Name(name.to_owned())).collect() }
    }
}

impl fmt::Display for IndexPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            if place > 0 {
                formatter.write_str(".")?;
            }
            match step {
                Step::Elements => formatter.write_str(ELEMENTS)?,
                Step::Name(name) => write_step(name, formatter)?,
            }
        }
        Ok(())
    }
}

/// Writes the name of a member as a step of an [`IndexPath`].
pub fn write_step(name: &str, out: &mut impl fmt::Write) -> fmt::Result {
    if name == ELEMENTS {
        out.write_str("\\")?;
    }
    write_name(name, out)
}
