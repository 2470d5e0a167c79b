//! Mango's path syntax.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::json::Value;

/// A path into a document: `a.b`, `tags.0`, `a\.b` for a name that holds a dot. The empty path is the value itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    names: Vec<String>,
}

impl Path {
    /// Reads a path. A backslash takes the character after it as it is; every text is a path.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut path = Self::default();
        path.extend(text);
        path
    }

    /// The path of these names.
    pub fn of_names(names: impl Iterator<Item = String>) -> Self {
        Self { names: names.collect() }
    }

    /// This path, continued by what `text` says.
    #[must_use]
    pub fn join(&self, text: &str) -> Self {
        let mut path = self.clone();
        path.extend(text);
        path
    }

    /// The names along the path.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether this is the path of the value itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether this is the path of one top-level member called `name`.
    #[must_use]
    pub fn is_member(&self, name: &str) -> bool {
        matches!(self.names.as_slice(), [only] if only == name)
    }

    /// What stands at this path in `value`.
    #[must_use]
    pub fn find<'value>(&self, value: &'value Value) -> Found<'value> {
        let mut current = value;
        for name in &self.names {
            let next = match current {
                Value::Object(object) => object.get(name).ok_or(Found::Missing),
                Value::Array(elements) => {
                    position(name).and_then(|position| elements.get(position)).ok_or(Found::Blocked)
                }
                _ => Err(Found::Blocked),
            };
            match next {
                Ok(value) => current = value,
                Err(found) => return found,
            }
        }
        Found::Value(current)
    }

    fn extend(&mut self, text: &str) {
        let mut name = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '.' => self.names.push(core::mem::take(&mut name)),
                '\\' => name.push(characters.next().unwrap_or('\\')),
                _ => name.push(character),
            }
        }
        self.names.push(name);
    }
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'value> {
    /// A value.
    Value(&'value Value),
    /// Nothing, though something could.
    Missing,
    /// Nothing, since the path leads through a scalar, or to no element of an array.
    Blocked,
}

/// The array position that `name` denotes, if it does.
#[must_use]
pub(crate) fn position(name: &str) -> Option<usize> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names.iter().enumerate() {
            if place > 0 {
                formatter.write_str(".")?;
            }
            write_name(name, formatter)?;
        }
        Ok(())
    }
}

/// Writes a name as it stands in a path.
pub(super) fn write_name(name: &str, out: &mut impl fmt::Write) -> fmt::Result {
    for character in name.chars() {
        if matches!(character, '.' | '\\') {
            out.write_char('\\')?;
        }
        out.write_char(character)?;
    }
    Ok(())
}
