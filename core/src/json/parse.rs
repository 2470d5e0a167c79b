//! Reading values.
//!
//! What is open is kept in a list rather than on the stack, so that no text can exhaust the stack.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::number::number;
use super::{JsonError, Object, Reader, Value};

/// How deep arrays and objects may be nested.
pub const DEPTH_MAX: usize = 127;

/// From so many members on, names are checked for repetition by sorting them; below, comparing them all is cheaper.
const SMALL_OBJECT: usize = 16;

/// Reads one JSON value, which must be all that `text` holds.
///
/// # Errors
/// Malformed text, nesting deeper than [`DEPTH_MAX`], a name that occurs twice in one object, a lone surrogate, a number
/// that no double holds.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    read(text, Reader::value)
}

/// Reads one JSON value with `read`; it must be all that `text` holds.
///
/// # Errors
/// What `read` returns, and anything behind the value.
pub fn read<'text, T>(
    text: &'text [u8],
    read: impl FnOnce(&mut Reader<'text>) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    let mut reader = Reader::new(text)?;
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// An array or object whose end was not read yet.
enum Open {
    Array(Vec<Value>),
    /// The members so far, and the name of the next.
    Object(Vec<(String, Value)>, String),
}

/// What became of a value.
enum Placed {
    /// It is in what is open, which goes on.
    Inside,
    /// It was the last of what was open, which is whole now.
    Last(Value),
    /// Nothing is open: this is all.
    Alone(Value),
}

impl Reader<'_> {
    /// Reads a value.
    ///
    /// # Errors
    /// As those of [`parse`].
    pub fn value(&mut self) -> Result<Value, JsonError> {
        self.read(true)
    }

    /// Reads a value and forgets it.
    ///
    /// # Errors
    /// Malformed text. Depth, names that occur twice, lone surrogates and numbers beyond a double do not matter.
    pub fn pass_over(&mut self) -> Result<(), JsonError> {
        self.read(false).map(|_| ())
    }

    /// Reads a value; unless `keep`, what it holds is dropped as it is read.
    fn read(&mut self, keep: bool) -> Result<Value, JsonError> {
        let mut open = Vec::new();
        loop {
            let Some(mut value) = self.begin(&mut open, keep)? else { continue };
            loop {
                match self.place(value, &mut open, keep)? {
                    Placed::Inside => break,
                    Placed::Last(whole) => value = whole,
                    Placed::Alone(value) => return Ok(value),
                }
            }
        }
    }

    /// Reads a scalar or an empty container; `None` if a container was opened and its first value is next.
    fn begin(&mut self, open: &mut Vec<Open>, keep: bool) -> Result<Option<Value>, JsonError> {
        let value = match self.peek() {
            Some(b'"') if keep => Value::String(self.string()?.into_owned()),
            Some(b'"') => self.pass_over_string().map(|()| Value::Null)?,
            Some(b'-' | b'0'..=b'9') => {
                let text = self.number_text()?;
                if keep {
                    Value::Number(number(text).ok_or(JsonError::NumberTooGreat(self.position()))?)
                } else {
                    Value::Null
                }
            }
            Some(b'{') => {
                self.open(b'{', open.len(), keep)?;
                if self.peek() != Some(b'}') {
                    let name = self.member_name(keep)?;
                    open.push(Open::Object(Vec::new(), name));
                    return Ok(None);
                }
                self.take(b'}')?;
                Value::Object(Object::new())
            }
            Some(b'[') => {
                self.open(b'[', open.len(), keep)?;
                if self.peek() != Some(b']') {
                    open.push(Open::Array(Vec::new()));
                    return Ok(None);
                }
                self.take(b']')?;
                Value::Array(Vec::new())
            }
            Some(b't') => self.word("true").map(|()| Value::Bool(true))?,
            Some(b'f') => self.word("false").map(|()| Value::Bool(false))?,
            Some(b'n') => self.word("null").map(|()| Value::Null)?,
            _ => return Err(self.unexpected()),
        };
        Ok(Some(value))
    }

    fn open(&mut self, bracket: u8, depth: usize, keep: bool) -> Result<(), JsonError> {
        if keep && depth >= DEPTH_MAX {
            return Err(JsonError::TooDeep(self.position()));
        }
        self.take(bracket)
    }

    /// Puts a value where it belongs, and reads on to the next or to the end of what is open.
    fn place(&mut self, value: Value, open: &mut Vec<Open>, keep: bool) -> Result<Placed, JsonError> {
        match open.last_mut() {
            None => return Ok(Placed::Alone(value)),
            Some(Open::Array(elements)) => {
                if keep {
                    elements.push(value);
                }
                if self.goes_on(b']')? {
                    return Ok(Placed::Inside);
                }
            }
            Some(Open::Object(members, name)) => {
                if keep {
                    members.push((core::mem::take(name), value));
                }
                if self.goes_on(b'}')? {
                    *name = self.member_name(keep)?;
                    return Ok(Placed::Inside);
                }
            }
        }
        Ok(Placed::Last(match open.pop() {
            Some(Open::Array(elements)) => Value::Array(elements),
            Some(Open::Object(members, _)) => Value::Object(unique(members)?),
            None => Value::Null,
        }))
    }

    fn member_name(&mut self, keep: bool) -> Result<String, JsonError> {
        if keep {
            return self.name().map(Cow::into_owned);
        }
        self.pass_over_string()?;
        self.take(b':').map(|()| String::new())
    }
}

/// An object of these members; fails if two share a name.
fn unique(members: Vec<(String, Value)>) -> Result<Object, JsonError> {
    let object = Object::from_unique(members);
    let repeated = if object.len() < SMALL_OBJECT {
        let earlier = |place: usize, name: &str| object.iter().take(place).any(|(other, _)| other == name);
        object.iter().enumerate().find(|(place, (name, _))| earlier(*place, name)).map(|(_, (name, _))| name)
    } else {
        let sorted = object.sorted();
        let pairs = sorted.iter().zip(sorted.iter().skip(1));
        pairs.into_iter().find(|(left, right)| left.0 == right.0).map(|(name, _)| name.0)
    };
    match repeated {
        Some(name) => Err(JsonError::Repeated(name.into())),
        None => Ok(object),
    }
}
