//! Numbers are read as the nearest double, which the standard library's reader knows too.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use firkin_core::json::{self, Value};
use proptest::prelude::*;

/// Holds a number's text against the standard library.
fn check(text: &str) {
    let nearest: f64 = text.parse().unwrap();
    let read = json::parse(text.as_bytes()).ok().map(|value| match value {
        Value::Number(number) => number.to_bits(),
        other => panic!("{text} is read as {other:?}"),
    });
    let expected = nearest.is_finite().then(|| (nearest + 0.0).to_bits());
    assert_eq!(read, expected, "{text} is {nearest:e}");
}

/// Texts of the shapes that JSON allows.
fn any_text() -> impl Strategy<Value = String> {
    let digits = prop_oneof![5 => "0|[1-9][0-9]{0,25}", 1 => "[1-9][0-9]{300,900}"];
    let fraction = prop_oneof![2 => Just(String::new()), 5 => "\\.[0-9]{1,25}", 1 => "\\.0{0,330}[0-9]{1,900}"];
    let exponent = prop_oneof![
        3 => Just(String::new()),
        3 => "[eE][+-]?[0-9]{1,2}",
        3 => "[eE][+-]?[0-9]{3}",
        1 => "[eE][+-]?[0-9]{4,30}",
    ];
    ("-?", digits, fraction, exponent)
        .prop_map(|(sign, digits, fraction, exponent)| sign + &digits + &fraction + &exponent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn texts_of_every_shape_are_read_as_the_nearest_double(text in any_text()) {
        check(&text);
    }

    #[test]
    fn every_double_comes_back_whatever_it_was_printed_with(bits in any::<u64>(), digits in 15usize..22) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        for text in [format!("{number:?}"), format!("{number:e}"), format!("{number:.digits$e}"), format!("{number}")] {
            check(&text);
        }
    }

    #[test]
    fn the_middle_of_two_doubles_goes_to_the_even_one_and_a_trifle_beside_it_does_not(
        mantissa in (1u64 << 52)..(1 << 53), power in 0u32..30, beside in "(0{0,900}1)?"
    ) {
        // (mantissa + 1/2) / 2^power, written out in full.
        let digits = (u128::from(mantissa) * 2 + 1) * 5_u128.pow(power + 1);
        check(&format!("{digits}e-{}", power + 1));
        check(&format!("{digits}.{beside}0e-{}", power + 1));
        check(&format!("{}.9{beside}e-{}", digits - 1, power + 1));
    }
}

#[test]
fn the_ends_of_the_range_are_where_they_are() {
    let greatest = format!("{:?}", f64::MAX);
    let smallest = format!("{:.1100}", f64::from_bits(1));
    let subnormal = format!("{:.1100}", f64::from_bits((1 << 52) - 1));
    let halves = [
        // Half of the smallest double, a trifle more, and the middle between the greatest and what lies beyond.
        "2.4703282292062327208e-324".to_owned(),
        "2.4703282292062328e-324".to_owned(),
        "1.7976931348623158079e308".to_owned(),
        "1.7976931348623158080e308".to_owned(),
    ];
    for text in [&greatest, &smallest, &subnormal].into_iter().chain(&halves) {
        check(text);
    }
    for text in ["0", "-0", "0.0e999999999999999999999", "1e-999999999999999999999", "0e-5", "4.9406564584124654e-324"]
    {
        check(text);
    }
    for text in ["1e309", "-1e309", "1e999999999999999999999", "123456789e301"] {
        check(text);
        assert!(json::parse(text.as_bytes()).is_err(), "{text}");
    }
    check(&"9".repeat(400));
    check(&format!("0.{}1", "0".repeat(400)));
    check(&format!("{}e-400", "9".repeat(400)));
    check(&format!("{}1", "0.5".to_owned() + &"0".repeat(100_000)));
}
