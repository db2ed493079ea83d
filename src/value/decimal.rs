//! The decimal value of a number as it is spelled.
use std::cmp::Ordering;

/// Longer numbers are not divided.
const MAX_DIVIDEND_DIGITS: usize = 10_000;

/// Equal for two spellings of one number: `1.50` and `15e-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten by which the digits are multiplied.
    exponent: i64,
}

impl Decimal {
    /// Reads `[+-] digits [. digits] [e exponent]`. `None` for any other text, and for an exponent beyond 64 bits.
    pub fn parse(text: &str) -> Option<Decimal> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - digits.len()).ok()?;
        let digits = digits.trim_start_matches('0').to_string();
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, exponent: 0 });
        }
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(zeros)?;
        Some(Decimal { negative: text.starts_with('-'), digits, exponent })
    }

    /// The shortest decimal that is read as this double; `None` unless it is finite. Where there are two, the one that is written as
    /// JSON.
    pub fn of(f: f64) -> Option<Decimal> {
        Decimal::parse(&serde_json::Number::from_f64(f)?.to_string())
    }

    /// The integer, if it is one and fits.
    pub fn integer(&self) -> Option<i128> {
        let zeros = usize::try_from(self.exponent).ok().filter(|n| n + self.digits.len() <= 38)?;
        let n: i128 = format!("0{}{}", self.digits, "0".repeat(zeros)).parse().ok()?;
        Some(if self.negative { -n } else { n })
    }

    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// Whether it is an integer times `divisor`. `None`: one of them has too many digits to tell.
    pub fn is_multiple_of(&self, divisor: &Decimal) -> Option<bool> {
        if self.digits.is_empty() || divisor.digits.is_empty() {
            return Some(self.digits.is_empty());
        }
        let shared = self.exponent.min(divisor.exponent);
        let zeros = |exponent: i64| usize::try_from(exponent.checked_sub(shared)?).ok();
        let scale = u128::try_from(zeros(divisor.exponent)?).ok().and_then(|n| 10u128.checked_pow(n.try_into().ok()?));
        // the remainder of each digit must fit
        let scaled = scale.and_then(|scale| divisor.digits.parse::<u128>().ok()?.checked_mul(scale)?.checked_mul(10));
        let Some(divisor_by_ten) = scaled else {
            return (self.magnitude() < divisor.magnitude()).then_some(false);
        };
        let (divisor, zeros) = (divisor_by_ten / 10, zeros(self.exponent)?);
        if self.digits.len().saturating_add(zeros) > MAX_DIVIDEND_DIGITS {
            return None;
        }
        let digits = self.digits.bytes().map(|b| u128::from(b - b'0')).chain(std::iter::repeat_n(0, zeros));
        Some(digits.fold(0, |rest, digit| (rest * 10 + digit) % divisor) == 0)
    }

    /// Orders decimals of one sign by their distance from zero.
    fn magnitude(&self) -> (i128, &str) {
        (i128::from(self.exponent) + self.digits.len() as i128, &self.digits)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let sign = |d: &Decimal| {
            if d.digits.is_empty() {
                0
            } else if d.negative {
                -1
            } else {
                1
            }
        };
        sign(self).cmp(&sign(other)).then_with(|| match self.negative {
            true => other.magnitude().cmp(&self.magnitude()),
            false => self.magnitude().cmp(&other.magnitude()),
        })
    }
}

impl From<i128> for Decimal {
    fn from(i: i128) -> Decimal {
        let digits = i.unsigned_abs().to_string();
        let kept = digits.trim_end_matches('0');
        match kept.len() {
            0 => Decimal { negative: false, digits: String::new(), exponent: 0 },
            n => Decimal { negative: i < 0, digits: kept.into(), exponent: (digits.len() - n) as i64 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    fn value(text: &str) -> Decimal {
        Decimal::parse(text).expect("a number")
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for (a, b) in [("1.50", "15e-1"), ("-0.0", "0e999"), ("100", "1E+2"), ("+.5", "0.5"), ("1e400", "10e399")] {
            assert_eq!(value(a), value(b), "{a} and {b}");
        }
        for (a, b) in [("1", "-1"), ("1e400", "1e401"), ("9007199254740993", "9007199254740992"), ("0.1", "0.10000001")]
        {
            assert_ne!(value(a), value(b), "{a} and {b}");
        }
        for text in ["", "-", ".", "e5", "1e", "0x1", "1_000", "NaN", "1e99999999999999999999", "1 "] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(value("1e2").integer(), Some(100));
        assert_eq!(value("1.5").integer(), None);
        assert_eq!(value("1e400").integer(), None);
    }

    #[test]
    fn numbers_of_any_size_are_divided_or_undecided() {
        for (a, b, expected) in [
            ("100000000000000000000000000000000000000000000007", "7", Some(false)),
            ("700000000000000000000000000000000000000000000007", "7", Some(true)),
            ("1e400", "3", Some(false)),
            ("1e400", "1e399", Some(true)),
            ("1e-400", "1e-399", Some(false)),
            ("0.30000000000000000000000001", "0.1", Some(false)),
            ("1e1000000", "3", None),
            ("5", "1e300", Some(false)),
            ("5e300", "123456789012345678901234567890123456789012", None),
        ] {
            assert_eq!(value(a).is_multiple_of(&value(b)), expected, "{a} {b}");
        }
    }

    /// Whether the decimal of a double is read as the double, and is as short as the one that Rust prints. Of two, each may choose the
    /// other one.
    fn is_shortest_of(f: f64) -> bool {
        let Some(Decimal { negative, digits, exponent }) = Decimal::of(f) else { return false };
        let text = format!("{}0{digits}e{exponent}", if negative { "-" } else { "" });
        text.parse() == Ok(f) && digits.len() == value(&f.to_string()).digits.len()
    }

    #[test]
    fn of_two_shortest_decimals_one_is_chosen() {
        let between: f64 = "-2034338894567532.25".parse().unwrap();
        assert!(is_shortest_of(between) && is_shortest_of(0.1) && is_shortest_of(-0.0));
    }

    proptest! {
        #[test]
        fn moving_the_point_keeps_the_value(digits in "[0-9]{1,40}", places in 0..30usize, negative: bool) {
            let sign = if negative { "-" } else { "" };
            let whole = format!("{sign}{digits}{}", "0".repeat(places));
            prop_assert_eq!(value(&format!("{sign}{digits}e{places}")), value(&whole));
            prop_assert_eq!(value(&format!("{whole}e-{places}")), value(&format!("{sign}{digits}")));
        }

        #[test]
        fn integers_and_doubles_keep_their_value(i: i64, f: f64) {
            prop_assert_eq!(Decimal::from(i128::from(i)), value(&i.to_string()));
            prop_assert_eq!(value(&i.to_string()).integer(), Some(i128::from(i)));
            prop_assert!(is_shortest_of(f), "{f}");
        }

        #[test]
        fn decimals_are_ordered_and_divided_like_their_values(a in -5000..5000i64, b in -500..500i64, places in 0..4i32) {
            let spelled = |n: i64| value(&format!("{n}e-{places}"));
            prop_assert_eq!(spelled(a).cmp(&spelled(b)), a.cmp(&b));
            prop_assert_eq!(spelled(a).is_multiple_of(&spelled(b)), Some(if b == 0 { a == 0 } else { a % b == 0 }));
            prop_assert_eq!(spelled(a).is_integer(), a % 10i64.pow(places.unsigned_abs()) == 0);
        }
    }
}
