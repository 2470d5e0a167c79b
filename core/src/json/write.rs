//! Writing compact JSON text.

use alloc::vec::Vec;

use super::reader::plain_bytes;
use super::{Object, Value};

/// Appends `value` as compact JSON, members in their own order, numbers as ECMAScript prints them.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Number(number) => write_number(*number, out),
        Value::String(string) => write_string(string, out),
        Value::Array(elements) => write_list(elements.iter(), [b'[', b']'], out, write),
        Value::Object(object) => write_object(object, out),
    }
}

/// Appends `object` as compact JSON, members in their own order.
pub fn write_object(object: &Object, out: &mut Vec<u8>) {
    write_list(object.iter(), [b'{', b'}'], out, |(name, member), out| {
        write_string(name, out);
        out.push(b':');
        write(member, out);
    });
}

/// Appends `items` between `brackets`, separated by commas.
pub(super) fn write_list<T>(
    items: impl Iterator<Item = T>,
    brackets: [u8; 2],
    out: &mut Vec<u8>,
    write_item: impl Fn(T, &mut Vec<u8>),
) {
    let [open, close] = brackets;
    out.push(open);
    for (position, item) in items.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_item(item, out);
    }
    out.push(close);
}

/// Appends `number` as ECMAScript's `Number::toString` gives it (RFC 8785, section 3.2.2.3).
pub(super) fn write_number(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
}

/// Appends `string` as a JSON string, escaping only what must be (RFC 8785, section 3.2.2.2).
pub fn write_string(string: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = string.as_bytes();
    loop {
        let (plain, escaped) = rest.split_at_checked(plain_bytes(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, after)) = escaped.split_first() else { break };
        write_escape(*byte, out);
        rest = after;
    }
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        0x00..=0x1f => b'u',
        _ => byte,
    };
    out.extend_from_slice(&[b'\\', short]);
    if short == b'u' {
        let low = HEX.get(usize::from(byte & 0x0f)).copied().unwrap_or(b'0');
        out.extend_from_slice(&[b'0', b'0', b'0' + (byte >> 4), low]);
    }
}
