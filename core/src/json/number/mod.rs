//! The double that a JSON number spells: always the nearest, of two equally near ones the even one.
//!
//! Nearly all numbers have few digits, and then one or two exact operations round once and rightly. All others are divided as
//! long integers, slowly, and without the tables by which the standard library does it: those alone would be a thirtieth of
//! what a browser has to load.

mod long;

use long::Long;

/// So many significant digits decide how any number is rounded; of the rest only whether it is nothing.
const DIGITS_MAX: usize = 768;

/// The powers of ten up to which few digits are scaled at once; doubles hold them exactly.
const TENS: [f64; 20] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19];

/// The double nearest to the number that `text` spells, -0 being 0; `None` if it lies beyond all doubles.
///
/// `text` is a number as JSON writes it.
pub(super) fn number(text: &str) -> Option<f64> {
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let number = Decimal::read(text).nearest();
    // Adding zero turns -0 into 0 and leaves every other number as it is.
    number.is_finite().then_some(if is_negative { -number } else { number } + 0.0)
}

/// `digits * 10^exponent`, and what `text` says beyond these digits.
struct Decimal<'text> {
    text: &'text str,
    /// The first significant digits, as many as fit.
    digits: u64,
    exponent: i64,
    /// Whether `digits` are all.
    is_whole: bool,
}

impl<'text> Decimal<'text> {
    fn read(text: &'text str) -> Self {
        let mut decimal = Self { text, digits: 0, exponent: 0, is_whole: true };
        let mut is_fraction = false;
        let mut bytes = text.bytes();
        for byte in bytes.by_ref() {
            match byte {
                b'0'..=b'9' => {
                    let fits = decimal.digits < 10_u64.pow(18);
                    if fits {
                        decimal.digits = decimal.digits * 10 + u64::from(byte - b'0');
                    }
                    decimal.is_whole &= fits || byte == b'0';
                    // A digit that does not fit raises the exponent, unless it stands behind the point.
                    decimal.exponent += i64::from(!fits) - i64::from(is_fraction);
                }
                b'.' => is_fraction = true,
                _ => {
                    decimal.exponent = decimal.exponent.saturating_add(exponent(bytes));
                    break;
                }
            }
        }
        decimal
    }

    fn nearest(&self) -> f64 {
        if self.digits == 0 {
            return 0.0;
        }
        match self.exponent {
            -19..=19 if self.is_whole => self.nearest_of_few(),
            // The first digit stands far beyond what doubles reach.
            310.. => f64::INFINITY,
            ..-400 if self.is_whole => 0.0,
            _ => self.nearest_of_many(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "rounding to the nearest is what is asked for, and happens once")]
    fn nearest_of_few(&self) -> f64 {
        let power = usize::try_from(self.exponent.unsigned_abs()).unwrap_or_default();
        let is_exact = self.digits < 1 << f64::MANTISSA_DIGITS;
        match (TENS.get(power), self.exponent >= 0) {
            (Some(ten), true) if is_exact => self.digits as f64 * ten,
            (Some(ten), false) if is_exact => self.digits as f64 / ten,
            (_, true) => (u128::from(self.digits) * 10_u128.pow(power as u32)) as f64,
            (_, false) => {
                let shift = 64 + self.digits.leading_zeros();
                let (divided, divisor) = (u128::from(self.digits) << shift, 10_u128.pow(power as u32));
                // The quotient has ten bits more than a double; in the last of them stands that there was a rest.
                let quotient = (divided / divisor) | u128::from(divided % divisor != 0);
                scaled(quotient as f64, -i64::from(shift))
            }
        }
    }

    /// Reads the digits again, now as many as can matter.
    fn nearest_of_many(&self) -> f64 {
        let (mut digits, mut count, mut exponent) = (Long::default(), 0, self.exponent);
        let mut has_more = false;
        let mantissa = self.text.split(['e', 'E']).next().unwrap_or_default();
        for digit in mantissa.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0') {
            if count < DIGITS_MAX {
                digits.multiply_add(10, digit.into());
                count += usize::from(count > 0 || digit > 0);
                // The exponent counts from behind the digits that fitted into 64 bits.
                exponent -= i64::from(count > 19);
            } else {
                has_more |= digit > 0;
            }
        }
        if has_more {
            digits.multiply_add(10, 1);
            exponent -= 1;
        }
        let mut divisor = Long::from(1);
        match exponent {
            ..-1_200 => return 0.0,
            310.. => return f64::INFINITY,
            -1_200..0 => divisor.raise(exponent.unsigned_abs()),
            0..310 => digits.raise(exponent.unsigned_abs()),
        }
        let (quotient, power, has_rest) = digits.divide(divisor);
        rounded(quotient, power, has_rest)
    }
}

/// The number behind an `e`; what lies far beyond all doubles is as good as any other such number.
fn exponent(digits: impl Iterator<Item = u8>) -> i64 {
    let (mut exponent, mut is_negative) = (0, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => exponent = (exponent * 10 + i64::from(byte - b'0')).min(1 << 40),
            other => is_negative = other == b'-',
        }
    }
    if is_negative { -exponent } else { exponent }
}

/// The double nearest to `quotient * 2^power`, and a bit more if `has_rest`. The highest bit of `quotient` is set.
#[expect(clippy::cast_precision_loss, reason = "what is converted has no more bits than a double")]
fn rounded(quotient: u64, power: i64, has_rest: bool) -> f64 {
    // The smallest doubles have fewer bits, down to none.
    let bits = (power + 64 + 1074).clamp(-1, 53);
    let Ok(dropped @ 1..=64) = u32::try_from(64 - bits) else { return 0.0 };
    let (quotient, half) = (u128::from(quotient), 1_u128 << (dropped - 1));
    let (mut kept, rest) = (quotient >> dropped, quotient & (2 * half - 1));
    if rest > half || (rest == half && (has_rest || kept & 1 == 1)) {
        kept += 1;
    }
    scaled(kept as f64, power + i64::from(dropped))
}

/// `number * 2^power`, which is a double or beyond all of them.
fn scaled(number: f64, power: i64) -> f64 {
    let two_to_the = |power: i64| f64::from_bits((power + 1023).unsigned_abs() << (f64::MANTISSA_DIGITS - 1));
    let first = power.clamp(-1000, 1000);
    number * two_to_the(first) * two_to_the((power - first).clamp(-1000, 1000))
}
