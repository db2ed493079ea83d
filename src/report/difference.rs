//! Cuts long values around the place where they differ.
use super::wording::sanitize;
use crate::{event::AssertionResult, secrets::before_token};

/// The expected and the actual value, without control characters, each at most `max` bytes around their first difference.
pub fn sides(f: &AssertionResult, max: usize) -> (String, String) {
    let (expected, actual) = (sanitize(&f.expected), sanitize(&f.actual));
    let at = common_bytes(&expected, &actual);
    (around(&expected, at, max), around(&actual, at, max))
}

fn common_bytes(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

/// At most `max` bytes of a text, around an offset.
pub fn around(text: &str, at: usize, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let max = max.saturating_sub(2 * '…'.len_utf8());
    let start = at.saturating_sub(max / 4).min(text.len() - max);
    let start = before_token(text, text.floor_char_boundary(start));
    let end = before_token(text, text.floor_char_boundary(start + max)).max(start);
    let (before, after) = (if start > 0 { "…" } else { "" }, if end < text.len() { "…" } else { "" });
    format!("{before}{}{after}", &text[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::result;

    #[test]
    fn long_values_are_cut_around_their_difference() {
        let long = |middle: &str| format!("{}{middle}{}", "a".repeat(500), "b".repeat(500));
        let (expected, actual) = sides(&result("x", false, &long("1"), &long("é")), 60);
        assert!(expected.contains("a1b") && actual.contains("aéb"), "{expected} {actual}");
        assert!(expected.len() <= 60 && expected.starts_with('…') && expected.ends_with('…'), "{expected}");
        assert_eq!(sides(&result("x", false, "201", "500"), 60), ("201".into(), "500".into()));
    }
}
