//! Wording shared by all reports: durations, counts and assertion results, and sanitizing of foreign
//! text. Each report escapes for its own format.
use crate::{event::AssertionResult, outcome::Tier, secrets::before_token};
use std::time::Duration;

/// Maximum number of characters of a foreign text within a line.
pub const MAX_INLINE_CHARS: usize = 160;

/// Replaces characters that move the cursor, change the direction of text or are invisible; control
/// characters become visible symbols, line ends become `\n`.
pub fn sanitize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\t' => out.push(c),
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('�')),
            '\x7f' => out.push('␡'),
            '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('�')
            }
            '\u{2028}' | '\u{2029}' | '\u{feff}' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// Collapses white space to single blanks and cuts after `max` characters.
pub fn one_line(text: &str, max: usize) -> String {
    // Bounds the work for a huge text.
    let start = text.floor_char_boundary(max.saturating_mul(8).saturating_add(1024));
    let start = &text[..before_token(text, start)];
    let mut out = String::new();
    for word in sanitize(start).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    let cut = out.char_indices().nth(max).map(|(i, _)| i);
    match cut {
        Some(i) => {
            out.truncate(before_token(&out, i));
            out.push('…');
        }
        None if start.len() < text.len() => out.push('…'),
        None => {}
    }
    out
}

/// The first `lines` lines, each at most `width` characters, and the number of lines omitted.
pub fn first_lines(text: &str, lines: usize, width: usize) -> (String, usize) {
    let text = sanitize(text);
    let all: Vec<&str> = text.trim_matches('\n').lines().collect();
    let kept: Vec<String> = all
        .iter()
        .take(lines)
        .map(|l| match l.char_indices().nth(width) {
            Some((i, _)) => format!("{}…", &l[..before_token(l, i)]),
            None => (*l).to_owned(),
        })
        .collect();
    (kept.join("\n"), all.len().saturating_sub(lines))
}

/// `340 ms`, `1.2 s`, `2 min 5 s`.
pub fn duration(d: Duration) -> String {
    let ms = d.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..59_950 => {
            let tenths = (ms + 50) / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        _ => {
            let s = (ms + 500) / 1000;
            match (s / 60, s % 60) {
                (m, 0) => format!("{m} min"),
                (m, s) => format!("{m} min {s} s"),
            }
        }
    }
}

/// What the verdict of a case that ran out of time adds: `, out of time (limit 5 min)`.
pub fn out_of_time(limit: Option<Duration>) -> String {
    limit.map(|limit| format!(", out of time (limit {})", duration(limit))).unwrap_or_default()
}

/// `1 case`, `3 cases`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// How often each of `kinds` occurs, without those that do not.
pub fn tally<T: Copy + PartialEq>(items: impl Iterator<Item = T>, kinds: &[T]) -> Vec<(usize, T)> {
    let items: Vec<T> = items.collect();
    let count = |kind: &T| (items.iter().filter(|i| *i == kind).count(), *kind);
    kinds.iter().map(count).filter(|(n, _)| *n > 0).collect()
}

/// `a`, `a and b`, `a, b and c`.
pub fn join_with_and<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

pub fn tiers(tiers: &[Tier]) -> String {
    join_with_and(&tiers.iter().map(|t| t.as_str()).collect::<Vec<_>>())
}

/// Whether a result is about a CEL expression (`a + b == c`) and not about a field.
pub fn is_expression(f: &AssertionResult) -> bool {
    f.expected == "true" && f.subject.contains(|c: char| "=<>!&|()? ".contains(c))
}

/// The field or expression that a result is about; `output` for the root of a pattern, which has no name.
pub fn subject(f: &AssertionResult) -> &str {
    if f.subject.is_empty() { "output" } else { &f.subject }
}

/// Whether a reason only restates one of the unmet results.
pub fn restates(reason: &str, results: &[AssertionResult]) -> bool {
    results
        .iter()
        .any(|f| !f.holds && reason.strip_prefix('`').is_some_and(|r| r.starts_with(&format!("{}`", f.subject))))
}

/// Subject of a result that holds, and the value observed.
pub fn subject_and_value(f: &AssertionResult) -> (&str, Option<&str>) {
    (subject(f), (!is_expression(f) && !f.actual.is_empty()).then_some(&f.actual))
}

/// A result that does not hold, with names and values in backticks.
pub fn unmet_text(f: &AssertionResult) -> String {
    unmet_with_quotes(f, "`")
}

/// A result that does not hold, with names and values between `quote`s.
pub fn unmet_with_quotes(f: &AssertionResult, quote: &str) -> String {
    let tick = |s: &str| format!("{quote}{}{quote}", one_line(s, 80));
    if is_expression(f) {
        let operands: Vec<String> =
            f.operands.iter().take(4).map(|(name, value)| format!("{} is {}", tick(name), tick(value))).collect();
        match (f.actual.as_str(), operands.is_empty()) {
            ("false" | "", true) => format!("{} does not hold", tick(subject(f))),
            ("false" | "", false) => format!("{} does not hold: {}", tick(subject(f)), join_with_and(&operands)),
            // The expression could not be evaluated.
            (why, _) => format!("{} does not hold: {}", tick(subject(f)), one_line(why, MAX_INLINE_CHARS)),
        }
    } else {
        format!("{}: expected {}, found {}", tick(subject(f)), tick(&f.expected), tick(&f.actual))
    }
}

/// The first two unmet results, and how many more there are.
pub fn all_unmet(results: &[AssertionResult]) -> String {
    let mut texts: Vec<String> = results.iter().filter(|f| !f.holds).take(2).map(unmet_text).collect();
    let more = results.iter().filter(|f| !f.holds).count() - texts.len();
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_or_two_units() {
        for (ms, text) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (1_249, "1.2 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min"),
            (125_400, "2 min 5 s"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn one_line_collapses_white_space_and_cuts() {
        assert_eq!(one_line(" a\r\nb\t c\u{1b}[31m", 99), "a b c␛[31m");
        assert_eq!(one_line(&"é".repeat(10_000), 5), "ééééé…");
        assert_eq!(one_line(&format!("{}x", " ".repeat(100_000)), 5), "…");
        assert_eq!(sanitize("a\u{202e}b\rc"), "a�b␍c");
    }

    #[test]
    fn first_lines_counts_omitted_lines() {
        assert_eq!(first_lines("a\r\nbcd\ne\n", 2, 2), ("a\nbc…".into(), 1));
        assert_eq!(first_lines("", 2, 2), (String::new(), 0));
    }
}
