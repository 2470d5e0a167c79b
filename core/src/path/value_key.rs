//! The order-preserving encoding of values.
//!
//! ```text
//! null 10 · false 11 · true 12
//! number  20, then the double's bits, big-endian: all flipped if negative, else the sign alone
//! string  30, then its UTF-8 bytes, bounded
//! array   40, then its elements' encodings, bounded as if they were a string
//! object  50, then its members' names and values ordered by name, bounded likewise
//! ```
//!
//! Bounded bytes: 00 is written 00 ff; after at most [`VALUE_BYTES_MAX`] bytes stands 00 if that was all, 01 if it was
//! cut. No encoding is a prefix of another, so a document's id can follow, and ff never follows a closing 00. Inside an
//! array or object nothing is cut by itself, and 00 closes each string, array and object.

use alloc::string::String;
use alloc::vec::Vec;

use crate::json::{Object, TypeName, Value};

/// How many bytes of a string, or of a container's encoding, a key holds.
pub const VALUE_BYTES_MAX: usize = 64;

const NULL: u8 = 0x10;
const FALSE: u8 = 0x11;
const TRUE: u8 = 0x12;
const NUMBER: u8 = 0x20;
const STRING: u8 = 0x30;
const ARRAY: u8 = 0x40;
const OBJECT: u8 = 0x50;

const CLOSE: u8 = 0x00;
const CUT: u8 = 0x01;
const ESCAPED_ZERO: u8 = 0xff;

/// Whether an encoding holds the whole value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// Values with this encoding are equal.
    Whole,
    /// Values with this encoding begin alike; the documents decide.
    Cut,
}

/// Appends the encoding of `value`.
pub fn encode_value(value: &Value, out: &mut Vec<u8>) -> Encoded {
    match value {
        Value::String(string) => {
            out.push(STRING);
            encode_bounded(string.as_bytes(), out)
        }
        Value::Array(_) | Value::Object(_) => {
            let mut inner = Vec::with_capacity(2 * VALUE_BYTES_MAX);
            encode_inside(value, &mut inner);
            let (tag, inside) = inner.split_first().map_or((ARRAY, [].as_slice()), |(tag, inside)| (*tag, inside));
            out.push(tag);
            encode_bounded(inside, out)
        }
        _ => {
            encode_inside(value, out);
            Encoded::Whole
        }
    }
}

/// With what the encodings of this type's values start: the least and the greatest first byte.
#[must_use]
pub fn type_prefix(name: TypeName) -> (u8, u8) {
    match name {
        TypeName::Null => (NULL, NULL),
        TypeName::Boolean => (FALSE, TRUE),
        TypeName::Number => (NUMBER, NUMBER),
        TypeName::String => (STRING, STRING),
        TypeName::Array => (ARRAY, ARRAY),
        TypeName::Object => (OBJECT, OBJECT),
    }
}

/// The type of the value that `bytes` encode, by their first byte.
#[must_use]
pub fn type_of_encoded(bytes: &[u8]) -> Option<TypeName> {
    Some(match *bytes.first()? {
        NULL => TypeName::Null,
        FALSE | TRUE => TypeName::Boolean,
        NUMBER => TypeName::Number,
        STRING => TypeName::String,
        ARRAY => TypeName::Array,
        OBJECT => TypeName::Object,
        _ => return None,
    })
}

/// The length of the encoded value that `bytes` start with; `None` if they start with none.
#[must_use]
pub fn value_length(bytes: &[u8]) -> Option<usize> {
    match *bytes.first()? {
        NULL | FALSE | TRUE => Some(1),
        NUMBER => (bytes.len() >= 9).then_some(9),
        STRING | ARRAY | OBJECT => bounded_length(bytes),
        _ => None,
    }
}

fn bounded_length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut content) = (1, 0);
    while content < VALUE_BYTES_MAX {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (&CLOSE, Some(&ESCAPED_ZERO)) => at += 2,
            (&CLOSE, _) => return Some(at + 1),
            _ => at += 1,
        }
        content += 1;
    }
    matches!(bytes.get(at)?, &(CLOSE | CUT)).then_some(at + 1)
}

fn encode_bounded(bytes: &[u8], out: &mut Vec<u8>) -> Encoded {
    let (kept, rest) = bytes.split_at_checked(VALUE_BYTES_MAX).unwrap_or((bytes, &[]));
    escape(kept, out);
    if rest.is_empty() {
        out.push(CLOSE);
        return Encoded::Whole;
    }
    out.push(CUT);
    Encoded::Cut
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.contains(&0) {
        return out.extend_from_slice(bytes);
    }
    for (place, part) in bytes.split(|byte| *byte == 0).enumerate() {
        if place > 0 {
            out.extend_from_slice(&[0, ESCAPED_ZERO]);
        }
        out.extend_from_slice(part);
    }
}

/// Appends the encoding that a value has inside a container, and stops early once no more of it could be kept.
fn encode_inside(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Number(number) => {
            out.push(NUMBER);
            out.extend_from_slice(&ordered_bits(*number).to_be_bytes());
        }
        Value::String(string) => encode_string_inside(string, out),
        Value::Array(elements) => {
            out.push(ARRAY);
            for element in elements {
                if is_full(out) {
                    return;
                }
                encode_inside(element, out);
            }
            out.push(CLOSE);
        }
        Value::Object(object) => {
            out.push(OBJECT);
            for (name, member) in object.sorted() {
                if is_full(out) {
                    return;
                }
                encode_string_inside(name, out);
                encode_inside(member, out);
            }
            out.push(CLOSE);
        }
    }
}

fn encode_string_inside(string: &str, out: &mut Vec<u8>) {
    out.push(STRING);
    let bytes = string.as_bytes();
    // What lies past the cut need not be written, only that there is more.
    escape(bytes.get(..2 * VALUE_BYTES_MAX).unwrap_or(bytes), out);
    out.push(CLOSE);
}

fn is_full(out: &[u8]) -> bool {
    out.len() > VALUE_BYTES_MAX + 1
}

/// The value that `bytes` encode, and nothing else; `None` if it was cut, or if they encode none.
#[must_use]
pub fn decode_value(bytes: &[u8]) -> Option<Value> {
    match bytes.split_first()? {
        (&STRING, content) => String::from_utf8(unbounded(content)?).ok().map(Value::String),
        (&(ARRAY | OBJECT), content) => {
            let tag = bytes.first().copied();
            let inside: Vec<u8> = tag.into_iter().chain(unbounded(content)?).collect();
            decode_whole(&inside)
        }
        _ => decode_whole(bytes),
    }
}

/// The content of bounded bytes that were not cut.
fn unbounded(content: &[u8]) -> Option<Vec<u8>> {
    let (last, escaped) = content.split_last()?;
    // More is never kept, so that what is read is nested no deeper than that.
    (*last == CLOSE).then(|| unescape(escaped)).flatten().filter(|content| content.len() <= VALUE_BYTES_MAX)
}

/// Takes back what [`escape`] did; `None` if these bytes are not its work.
fn unescape(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.iter();
    while let Some(byte) = rest.next() {
        bytes.push(*byte);
        if *byte == 0 && rest.next() != Some(&ESCAPED_ZERO) {
            return None;
        }
    }
    Some(bytes)
}

fn decode_whole(bytes: &[u8]) -> Option<Value> {
    let (value, rest) = decode_inside(bytes)?;
    rest.is_empty().then_some(value)
}

/// Reads one value as it stands inside a container, and what follows it.
fn decode_inside(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    Some(match *tag {
        NULL => (Value::Null, rest),
        FALSE => (Value::Bool(false), rest),
        TRUE => (Value::Bool(true), rest),
        NUMBER => {
            let (bits, rest) = rest.split_first_chunk()?;
            (Value::Number(number_of(u64::from_be_bytes(*bits))?), rest)
        }
        STRING => decode_string_inside(rest).map(|(string, rest)| (Value::String(string), rest))?,
        ARRAY => {
            let (mut elements, mut rest) = (Vec::new(), rest);
            while *rest.first()? != CLOSE {
                let (element, after) = decode_inside(rest)?;
                elements.push(element);
                rest = after;
            }
            (Value::Array(elements), rest.get(1..)?)
        }
        OBJECT => {
            let (mut object, mut rest) = (Object::new(), rest);
            while let Some(after) = rest.strip_prefix(&[STRING]) {
                let (name, after) = decode_string_inside(after)?;
                let (member, after) = decode_inside(after)?;
                object.insert(&name, member);
                rest = after;
            }
            (Value::Object(object), rest.strip_prefix(&[CLOSE])?)
        }
        _ => return None,
    })
}

fn decode_string_inside(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut end = 0;
    while *bytes.get(end)? != CLOSE || bytes.get(end + 1) == Some(&ESCAPED_ZERO) {
        end += if *bytes.get(end)? == CLOSE { 2 } else { 1 };
    }
    let string = String::from_utf8(unescape(bytes.get(..end)?)?).ok()?;
    Some((string, bytes.get(end + 1..)?))
}

/// The number with these [`ordered_bits`], if it is one that JSON has.
fn number_of(ordered: u64) -> Option<f64> {
    let bits = if ordered >> 63 == 0 { !ordered } else { ordered ^ (1 << 63) };
    Some(f64::from_bits(bits)).filter(|number| number.is_finite() && (*number != 0.0 || number.is_sign_positive()))
}

/// Bits that compare as the numbers do.
fn ordered_bits(number: f64) -> u64 {
    let bits = number.to_bits();
    if number.is_sign_negative() { !bits } else { bits ^ (1 << 63) }
}
