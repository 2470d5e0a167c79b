//! The canonical form of RFC 8785 (JSON Canonicalization Scheme): one text for one value.

use alloc::vec::Vec;
use core::cmp::Ordering;

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
    sort_by(&mut members, |left, right| utf16_order(left.0, right.0));
    write_list(members.into_iter(), [b'{', b'}'], out, |(name, member), out| {
        write_string(name, out);
        out.push(b':');
        canonical(member, out);
    });
}

/// The order of the UTF-16 code units. It is that of the UTF-8 bytes, except that characters behind U+FFFF, of four bytes, come
/// before those from U+E000 on.
fn utf16_order(left: &str, right: &str) -> Ordering {
    let rank = |byte: u8| (matches!(byte, 0xee | 0xef), byte);
    match left.bytes().zip(right.bytes()).find(|(left, right)| left != right) {
        Some((left, right)) => rank(left).cmp(&rank(right)),
        None => left.len().cmp(&right.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::utf16_order;

    #[test]
    fn names_are_ordered_by_their_utf_16_code_units() {
        let names = [
            "",
            "a",
            "ab",
            "b",
            "\u{7ff}",
            "\u{d7ff}",
            "\u{e000}",
            "\u{fb33}",
            "\u{ffff}",
            "\u{10000}",
            "\u{1f600}b",
            "\u{10ffff}",
        ];
        for left in names {
            for right in names {
                let expected = left.encode_utf16().cmp(right.encode_utf16());
                assert_eq!(utf16_order(left, right), expected, "{left:?} and {right:?}");
            }
        }
    }
}
