//! The canonical form of RFC 8785 (JSON Canonicalization Scheme): one text for one value.

use alloc::vec::Vec;

use super::write::{write_list, write_number, write_string};
use super::{Object, Value};
use crate::sorting::sort_by;

/// Appends the canonical form of `value`: members ordered by the UTF-16 code units of their names, no white space.
pub fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => write_number(*number, out),
        Value::Array(elements) => write_list(elements.iter(), [b'[', b']'], out, canonical),
        Value::Object(object) => canonical_object(object, out),
        _ => super::write(value, out),
    }
}

/// Appends the canonical form of `object`.
pub fn canonical_object(object: &Object, out: &mut Vec<u8>) {
    let mut members: Vec<(&str, &Value)> = object.iter().collect();
    sort_by(&mut members, |left, right| left.0.encode_utf16().cmp(right.0.encode_utf16()));
    write_list(members.into_iter(), [b'{', b'}'], out, |(name, member), out| {
        write_string(name, out);
        out.push(b':');
        canonical(member, out);
    });
}
