//! JSON Patch (RFC 6902): a list of operations that turn one value into another.
//!
//! A patch is read whole before anything is applied, and applied to a copy: **one that fails has changed nothing**. What
//! it makes stays as bounded as what a text can hold: `copy` could double a value again and again, so the bytes that it
//! makes are counted, and the depth of all that is put somewhere is looked at first.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::pointer::{Pointer, position};
use super::{DEPTH_MAX, Object, Value, collate, write};
use crate::error::ErrorReport;

/// A patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    operations: Vec<Operation>,
}

#[derive(Clone, Debug, PartialEq)]
struct Operation {
    kind: Kind,
    path: Pointer,
    /// The whole value, and of no meaning, but for `move` and `copy`.
    from: Pointer,
    /// `null`, and of no meaning, but for `add`, `replace` and `test`.
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

/// Why a patch is none, or does not fit the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It is not a list of operations, each an object.
    #[error("a JSON Patch is an array of operations")]
    NotAList,
    /// An operation is not as RFC 6902 has it.
    #[error("operation {operation} of the patch: {what}")]
    Malformed {
        /// Its place in the patch, from 0.
        operation: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nothing stands where an operation takes something from, or there is nothing that it could be put into.
    #[error("operation {operation} of the patch: there is no {pointer:?}")]
    Missing {
        /// Its place in the patch, from 0.
        operation: usize,
        /// The JSON Pointer.
        pointer: String,
    },
    /// A `test` found another value.
    #[error("operation {operation} of the patch: the test of {pointer:?} failed")]
    TestFailed {
        /// Its place in the patch, from 0.
        operation: usize,
        /// The JSON Pointer.
        pointer: String,
    },
    /// What it makes is nested deeper than a document may be.
    #[error("operation {operation} of the patch: the value would be nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// Its place in the patch, from 0.
        operation: usize,
    },
    /// What it copies is longer than a document may be.
    #[error("operation {operation} of the patch: what is copied has more than {bytes_max} bytes")]
    TooLarge {
        /// Its place in the patch, from 0.
        operation: usize,
        /// The most that may be copied.
        bytes_max: usize,
    },
}

impl PatchError {
    /// What a caller is told: 409 where the patch does not fit what stands there, 400 where it fits nothing.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let (status, name) = match self {
            Self::NotAList | Self::Malformed { .. } | Self::TooDeep { .. } => (400, "bad_request"),
            Self::Missing { .. } | Self::TestFailed { .. } => (409, "conflict"),
            Self::TooLarge { .. } => (413, "too_large"),
        };
        ErrorReport::new(status, name, self.to_string())
    }
}

impl Patch {
    /// Reads a patch. Members that RFC 6902 does not know are passed over, as it says.
    ///
    /// # Errors
    /// [`PatchError::NotAList`] and [`PatchError::Malformed`].
    pub fn parse(patch: &Value) -> Result<Self, PatchError> {
        let operations = patch.as_array().ok_or(PatchError::NotAList)?.iter().enumerate();
        let parse = |(place, operation): (usize, &Value)| {
            let members = operation.as_object().ok_or(PatchError::NotAList)?;
            parse_operation(members).map_err(|what| PatchError::Malformed { operation: place, what })
        };
        Ok(Self { operations: operations.map(parse).collect::<Result<_, _>>()? })
    }

    /// Every place that the patch names.
    pub fn places(&self) -> impl Iterator<Item = &Pointer> {
        self.operations.iter().flat_map(|operation| [&operation.path, &operation.from])
    }

    /// What the patch makes of `value`, of which `copy` may add no more than `bytes_max` bytes of text.
    ///
    /// # Errors
    /// A [`PatchError`] that names the first operation that cannot be done.
    pub fn apply(&self, value: &Value, bytes_max: usize) -> Result<Value, PatchError> {
        let mut value = value.clone();
        let mut copied_bytes = 0;
        for (place, operation) in self.operations.iter().enumerate() {
            apply(operation, &mut value, &mut copied_bytes, bytes_max)
                .map_err(|refusal| refusal.at(place, bytes_max))?;
        }
        Ok(value)
    }
}

fn parse_operation(members: &Object) -> Result<Operation, &'static str> {
    let kind = match members.get("op").and_then(Value::as_str) {
        Some("add") => Kind::Add,
        Some("remove") => Kind::Remove,
        Some("replace") => Kind::Replace,
        Some("move") => Kind::Move,
        Some("copy") => Kind::Copy,
        Some("test") => Kind::Test,
        _ => return Err("its op is none of add, remove, replace, move, copy and test"),
    };
    let pointer = |name| {
        let text = members.get(name).and_then(Value::as_str);
        text.and_then(Pointer::parse).ok_or("its path or from is no JSON Pointer")
    };
    let path = pointer("path")?;
    let from = if matches!(kind, Kind::Move | Kind::Copy) { pointer("from")? } else { Pointer::default() };
    let value = match (kind, members.get("value")) {
        (Kind::Add | Kind::Replace | Kind::Test, Some(value)) => value.clone(),
        (Kind::Add | Kind::Replace | Kind::Test, None) => return Err("it has no value"),
        _ => Value::Null,
    };
    if kind == Kind::Remove && path.tokens().is_empty() {
        return Err("nothing would be left");
    }
    if kind == Kind::Move && path.is_within(&from) {
        return Err("a value cannot be moved into itself");
    }
    Ok(Operation { kind, path, from, value })
}

/// Why one operation cannot be done.
enum Refusal {
    Missing(String),
    TestFailed(String),
    TooDeep,
    TooLarge,
}

impl Refusal {
    fn missing(pointer: &Pointer) -> Self {
        Self::Missing(pointer.to_string())
    }

    fn at(self, operation: usize, bytes_max: usize) -> PatchError {
        match self {
            Self::Missing(pointer) => PatchError::Missing { operation, pointer },
            Self::TestFailed(pointer) => PatchError::TestFailed { operation, pointer },
            Self::TooDeep => PatchError::TooDeep { operation },
            Self::TooLarge => PatchError::TooLarge { operation, bytes_max },
        }
    }
}

fn apply(operation: &Operation, root: &mut Value, copied_bytes: &mut usize, bytes_max: usize) -> Result<(), Refusal> {
    let Operation { kind, path, from, value } = operation;
    match kind {
        Kind::Add => put(root, path, value.clone()),
        Kind::Remove => take(root, path).map(drop),
        Kind::Replace => {
            check_depth(path, value)?;
            *path.find_mut(root).ok_or_else(|| Refusal::missing(path))? = value.clone();
            Ok(())
        }
        Kind::Move if from == path => match from.find(root) {
            Some(_) => Ok(()),
            None => Err(Refusal::missing(from)),
        },
        Kind::Move => {
            let value = take(root, from)?;
            put(root, path, value)
        }
        Kind::Copy => {
            let value = from.find(root).ok_or_else(|| Refusal::missing(from))?.clone();
            let mut text = Vec::new();
            write(&value, &mut text);
            *copied_bytes = copied_bytes.saturating_add(text.len());
            if *copied_bytes > bytes_max {
                return Err(Refusal::TooLarge);
            }
            put(root, path, value)
        }
        Kind::Test => {
            let found = path.find(root).ok_or_else(|| Refusal::missing(path))?;
            if collate(found, value).is_eq() { Ok(()) } else { Err(Refusal::TestFailed(path.to_string())) }
        }
    }
}

/// Puts a value somewhere: a new member, or over an old one; before an element of an array, or behind the last (`-`).
fn put(root: &mut Value, path: &Pointer, value: Value) -> Result<(), Refusal> {
    check_depth(path, &value)?;
    let missing = || Refusal::missing(path);
    if path.tokens().is_empty() {
        *root = value;
        return Ok(());
    }
    match path.parent_in(root).ok_or_else(missing)? {
        (name, Value::Object(object)) => object.insert(name, value),
        ("-", Value::Array(elements)) => elements.push(value),
        (token, Value::Array(elements)) => {
            let position = position(token).filter(|position| *position <= elements.len()).ok_or_else(missing)?;
            elements.insert(position, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

/// Takes out what stands somewhere inside of the value.
fn take(root: &mut Value, path: &Pointer) -> Result<Value, Refusal> {
    let taken = match path.parent_in(root) {
        Some((name, Value::Object(object))) => object.remove(name),
        Some((token, Value::Array(elements))) => {
            position(token).filter(|position| *position < elements.len()).map(|position| elements.remove(position))
        }
        _ => None,
    };
    taken.ok_or_else(|| Refusal::missing(path))
}

fn check_depth(path: &Pointer, value: &Value) -> Result<(), Refusal> {
    if path.tokens().len() + depth(value) > DEPTH_MAX { Err(Refusal::TooDeep) } else { Ok(()) }
}

/// How deep containers are nested in `value`; no deeper than [`DEPTH_MAX`], as all that is here came from a text or was
/// looked at before.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.iter().map(|(_, member)| depth(member)).max().unwrap_or(0),
        _ => 0,
    }
}
