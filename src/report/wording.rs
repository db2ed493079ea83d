//! How reports word what they know: durations, counts, results; and what makes a text from the world safe to show. Owns no
//! format: Markdown and terminal each escape for themselves.
use crate::{event::AssertionResult, outcome::Tier, value::Value};
use std::time::Duration;

/// The longest piece of a foreign text that is shown within a line.
pub const SHORT: usize = 160;

/// Without what could move the cursor, turn the direction of writing or hide: control characters are shown as their pictures.
/// Line ends become `\n`.
pub fn clean(text: &str) -> String {
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

/// An output as evidence: of lines their texts, of all else JSON.
pub fn observed(value: &Value) -> String {
    match value.get("lines").and_then(Value::as_list) {
        Some(lines) => lines.iter().filter_map(|l| l.get("text")?.as_str()).collect::<Vec<_>>().join("\n"),
        None => {
            let own =
                |(k, v): (&String, &Value)| (!["at", "took"].contains(&k.as_str())).then(|| (k.clone(), v.clone()));
            let own = value.as_map().map(|m| Value::map(m.iter().filter_map(own)));
            serde_json::to_string_pretty(own.as_ref().unwrap_or(value)).unwrap_or_default()
        }
    }
}

/// In one line of at most `max` characters, white space run together.
pub fn one_line(text: &str, max: usize) -> String {
    // Only so much of a huge text is looked at as could be shown.
    let start = &text[..text.floor_char_boundary(max.saturating_mul(8).saturating_add(1024))];
    let mut out = String::new();
    for word in clean(start).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    let cut = out.char_indices().nth(max).map(|(i, _)| i);
    match cut {
        Some(i) => {
            out.truncate(i);
            out.push('…');
        }
        None if start.len() < text.len() => out.push('…'),
        None => {}
    }
    out
}

/// The first `lines` lines, each at most `width` characters; and how many lines were left out.
pub fn head(text: &str, lines: usize, width: usize) -> (String, usize) {
    let text = clean(text);
    let all: Vec<&str> = text.trim_matches('\n').lines().collect();
    let kept: Vec<String> = all
        .iter()
        .take(lines)
        .map(|l| match l.char_indices().nth(width) {
            Some((i, _)) => format!("{}…", &l[..i]),
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

/// `1 case`, `3 cases`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub fn and<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

pub fn tiers(tiers: &[Tier]) -> String {
    and(&tiers.iter().map(|t| t.word()).collect::<Vec<_>>())
}

/// Whether a result is of a relation (`a + b == c`) and not of a field.
pub fn is_check(f: &AssertionResult) -> bool {
    f.expected == "true" && f.subject.contains(|c: char| "=<>!&|()? ".contains(c))
}

/// What a result is about; the root of a picture has no name.
pub fn subject(f: &AssertionResult) -> &str {
    if f.subject.is_empty() { "output" } else { &f.subject }
}

/// Whether a reason only says in words what a result beside it says.
pub fn repeats(reason: &str, results: &[AssertionResult]) -> bool {
    results
        .iter()
        .any(|f| !f.holds && reason.strip_prefix('`').is_some_and(|r| r.starts_with(&format!("{}`", f.subject))))
}

/// What was seen where a result holds: subject, and the value that it had.
pub fn held(f: &AssertionResult) -> (&str, Option<&str>) {
    (subject(f), (!is_check(f) && !f.actual.is_empty()).then_some(&f.actual))
}

/// A result that does not hold, with names and values in backticks.
pub fn unmet(f: &AssertionResult) -> String {
    unmet_in(f, "`")
}

/// The same, with other quotes or none.
pub fn unmet_in(f: &AssertionResult, quote: &str) -> String {
    let tick = |s: &str| format!("{quote}{}{quote}", one_line(s, 80));
    if is_check(f) {
        let operands: Vec<String> =
            f.operands.iter().take(4).map(|(name, value)| format!("{} is {}", tick(name), tick(value))).collect();
        match (f.actual.as_str(), operands.is_empty()) {
            ("false" | "", true) => format!("{} does not hold", tick(subject(f))),
            ("false" | "", false) => format!("{} does not hold: {}", tick(subject(f)), and(&operands)),
            // It could not even be worked out.
            (why, _) => format!("{} does not hold: {}", tick(subject(f)), one_line(why, SHORT)),
        }
    } else {
        format!("{}: expected {}, was {}", tick(subject(f)), tick(&f.expected), tick(&f.actual))
    }
}

/// The first of several, and how many more.
pub fn all_unmet(results: &[AssertionResult]) -> String {
    let mut said: Vec<String> = results.iter().filter(|f| !f.holds).take(2).map(unmet).collect();
    let more = results.iter().filter(|f| !f.holds).count() - said.len();
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_speech() {
        for (ms, said) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (1_249, "1.2 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min"),
            (125_400, "2 min 5 s"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), said);
        }
    }

    #[test]
    fn a_line_is_one_line_and_short() {
        assert_eq!(one_line(" a\r\nb\t c\u{1b}[31m", 99), "a b c␛[31m");
        assert_eq!(one_line(&"é".repeat(10_000), 5), "ééééé…");
        assert_eq!(one_line(&format!("{}x", " ".repeat(100_000)), 5), "…");
        assert_eq!(clean("a\u{202e}b\rc"), "a�b␍c");
    }

    #[test]
    fn a_head_says_what_it_left_out() {
        assert_eq!(head("a\r\nbcd\ne\n", 2, 2), ("a\nbc…".into(), 1));
        assert_eq!(head("", 2, 2), (String::new(), 0));
    }
}
