//! The order-preserving encoding, held to the collation of values.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::any_value;
use firkin_core::json::{Value, collate};
use firkin_core::path::{Encoded, decode_value, encode_value, value_length};
use proptest::prelude::*;

fn encode(value: &Value) -> (Vec<u8>, Encoded) {
    let mut bytes = Vec::new();
    let encoded = encode_value(value, &mut bytes);
    (bytes, encoded)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn encoded_order_is_collation_order(left in any_value(), right in any_value()) {
        let ((left_bytes, left_form), (right_bytes, right_form)) = (encode(&left), encode(&right));
        let order = left_bytes.cmp(&right_bytes);
        if order.is_eq() && left_form == Encoded::Cut {
            prop_assert_eq!(right_form, Encoded::Cut);
        } else {
            prop_assert_eq!(order, collate(&left, &right));
        }
    }

    #[test]
    fn what_follows_a_value_never_changes_its_order(left in any_value(), right in any_value(), ids in any::<(char, char)>()) {
        let ((mut left_bytes, _), (mut right_bytes, _)) = (encode(&left), encode(&right));
        let order = left_bytes.cmp(&right_bytes);
        prop_assume!(order.is_ne());
        left_bytes.extend_from_slice(ids.0.to_string().as_bytes());
        right_bytes.extend_from_slice(ids.1.to_string().as_bytes());
        prop_assert_eq!(left_bytes.cmp(&right_bytes), order);
    }

    #[test]
    fn length_of_an_encoded_value_is_found_whatever_follows(value in any_value(), id in "\\PC{1,12}") {
        let (mut bytes, _) = encode(&value);
        let length = bytes.len();
        bytes.extend_from_slice(id.as_bytes());
        prop_assert_eq!(value_length(&bytes), Some(length));
    }

    #[test]
    fn a_whole_value_is_read_back_and_a_cut_one_is_not(value in any_value()) {
        let (bytes, form) = encode(&value);
        match decode_value(&bytes) {
            Some(decoded) => prop_assert!(form == Encoded::Whole && collate(&decoded, &value).is_eq(), "{decoded:?}"),
            None => prop_assert_eq!(form, Encoded::Cut),
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(value_length(&bytes).is_none_or(|length| length <= bytes.len()));
        let _ = decode_value(&bytes);
    }

    #[test]
    fn damaged_encodings_are_read_without_panic(value in any_value(), place in any::<prop::sample::Index>(), byte: u8) {
        let (mut bytes, _) = encode(&value);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = decode_value(&bytes);
    }
}
