//! The number that a JSON text spells.

/// The double nearest to the number that `text` spells, -0 being 0; `None` if it lies beyond all doubles.
///
/// `text` is a number as JSON writes it.
pub(super) fn number(text: &str) -> Option<f64> {
    let number = match integer(text) {
        Some(integer) => integer,
        None => text.parse().ok()?,
    };
    // Adding zero turns -0 into 0 and leaves every other number as it is.
    f64::is_finite(number).then_some(number + 0.0)
}

/// An integer of so few digits that 64 bits hold it, which is most of what there is.
#[expect(clippy::cast_precision_loss, reason = "numbers are doubles, and this rounds to the nearest")]
fn integer(text: &str) -> Option<f64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if digits.len() > 19 {
        return None;
    }
    let mut integer: u64 = 0;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        integer = integer * 10 + u64::from(byte - b'0');
    }
    Some(if negative { -(integer as f64) } else { integer as f64 })
}
