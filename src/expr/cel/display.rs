//! Values as messages show them: JSON, with secrets masked, characters escaped that cannot be seen, and long texts cut,
//! in that order.
use crate::{
    secrets::{Secrets, before_token},
    value::Value,
};
use std::{
    fmt::{self, Write},
    ops::Range,
};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark, is_nfc, is_nfd};

const MAX_SHOWN_CHARS: usize = 300;
/// What is read of a value of which the beginning is shown: room for secrets, which are shorter when they are masked.
const MAX_READ_BYTES: usize = 64 << 10;
/// Longer values are cut around the first difference, so that no report cuts the difference.
const MAX_COMPARED_CHARS: usize = 80;
/// How much of a cut value is before the difference, and after it.
const CONTEXT_CHARS: usize = 30;
/// Letters and digits that look alike in many fonts.
const LOOK_ALIKE: [&str; 3] = ["l1I|", "O0", "`'"];

pub fn show(v: &Value, secrets: &Secrets) -> String {
    window(&beginning(v, secrets), 0..MAX_SHOWN_CHARS, None)
}

/// The beginning of a value, which may be long; a short one as a whole.
fn beginning(v: &Value, secrets: &Secrets) -> String {
    let mut text = Beginning(String::new());
    let is_whole = match v {
        Value::Text(s) if s.len() > MAX_READ_BYTES => write!(text, "{s}").is_ok(),
        Value::Text(_) => return json(v, secrets),
        other => write!(text, "{other}").is_ok(),
    };
    let Beginning(mut text) = text;
    if !is_whole {
        secrets.trim_cut(&mut text);
        text.push('…');
    }
    match v {
        Value::Text(_) => serde_json::Value::from(secrets.masked(text)).to_string(),
        _ => secrets.masked(text),
    }
}

/// Takes the first [`MAX_READ_BYTES`] of a text, and then fails.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(MAX_READ_BYTES - self.0.len());
        self.0.push_str(&text[..end]);
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Masks and cuts a text that may contain a value.
pub fn cut(text: String, secrets: &Secrets) -> String {
    window(&secrets.masked(text), 0..MAX_SHOWN_CHARS, None)
}

/// The value with its type: `int 3`.
pub fn describe(v: &Value, secrets: &Secrets) -> String {
    match v {
        Value::Null | Value::Unset(_) => show(v, secrets),
        _ => format!("{} {}", v.kind(), show(v, secrets)),
    }
}

/// Two different values, so that the messages differ visibly: with their types, or around the first difference. The
/// second says where that is, if it is hard to see.
pub fn difference(expected: &Value, found: &Value, secrets: &Secrets) -> (String, String) {
    if expected.kind() != found.kind() {
        return (describe(expected, secrets), describe(found, secrets));
    }
    let (want, have) = (json(expected, secrets), json(found, secrets));
    let Some(at) = first_difference(&want, &have) else {
        let (want, have) = (show(expected, secrets), show(found, secrets));
        return (want, format!("{have} (differs in what is masked)"));
    };
    let is_cut = [&want, &have].into_iter().any(|t| t.chars().count() > MAX_COMPARED_CHARS);
    let range = match is_cut {
        true if at > CONTEXT_CHARS + 10 => at - CONTEXT_CHARS..at + CONTEXT_CHARS,
        true => 0..at.max(CONTEXT_CHARS) + CONTEXT_CHARS,
        false => 0..MAX_COMPARED_CHARS,
    };
    let note = match (expected, found) {
        (Value::Text(want), Value::Text(have)) => hint(want, have, is_cut, secrets).unwrap_or_default(),
        _ => String::new(),
    };
    (window(&want, range.clone(), Some(at)), window(&have, range, Some(at)) + &note)
}

/// Where two texts differ, in characters.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    (a != b).then_some(same)
}

/// The place of the first difference, if it is hard to see.
fn hint(want: &str, have: &str, is_cut: bool, secrets: &Secrets) -> Option<String> {
    let (want, have) = (secrets.masked(want), secrets.masked(have));
    let at = first_difference(&want, &have)?;
    let (wanted, found) = (want.chars().nth(at), have.chars().nth(at));
    let is_plain = |c: Option<char>| c.is_none_or(|c| c.is_ascii_graphic());
    let alike = |group: &&str| wanted.zip(found).is_some_and(|(a, b)| group.contains(a) && group.contains(b));
    if !is_cut && is_plain(wanted) && is_plain(found) && !LOOK_ALIKE.iter().any(alike) {
        return None;
    }
    let mut note = format!(" (differs at character {}: {} instead of {}", at + 1, name(found), name(wanted));
    if want.nfc().eq(have.nfc()) {
        note += &format!("; the same text in {} instead of {}", form(&have), form(&want));
    }
    Some(note + ")")
}

fn name(c: Option<char>) -> String {
    match c {
        None => "the end".into(),
        Some(' ') => "a space".into(),
        Some(c) if c.is_ascii_graphic() => format!("`{c}` U+{:04X}", c as u32),
        Some(c) if is_invisible(c) || is_combining_mark(c) => format!("U+{:04X}", c as u32),
        Some(c) => format!("`{c}` U+{:04X}", c as u32),
    }
}

/// Its Unicode normalisation form.
fn form(text: &str) -> &'static str {
    match (is_nfc(text), is_nfd(text)) {
        (true, _) => "NFC",
        (_, true) => "NFD",
        _ => "neither NFC nor NFD",
    }
}

fn json(v: &Value, secrets: &Secrets) -> String {
    match v {
        Value::Text(s) => serde_json::Value::from(secrets.masked(&**s)).to_string(),
        other => secrets.masked(other.to_string()),
    }
}

/// The characters `range` of a text, with what cannot be seen escaped, and what is hard to see at the difference.
fn window(text: &str, range: Range<usize>, difference: Option<usize>) -> String {
    let (range, mut out) = (with_whole_tokens(text, range), String::new());
    if range.start > 0 {
        out.push('…');
    }
    let mut rest = text.chars().enumerate().skip(range.start).peekable();
    let (mut differs, mut before) = (false, '"');
    while let Some((i, c)) = rest.next_if(|(i, _)| range.contains(i)) {
        differs = difference == Some(i) || differs && is_combining_mark(c);
        // reports show several spaces as one
        let is_hidden_space = c == ' ' && ([' ', '"'].contains(&before) || matches!(rest.peek(), Some((_, ' ' | '"'))));
        if is_invisible(c) || differs && (!c.is_ascii() || is_hidden_space) {
            out.push_str(&match c as u32 {
                code @ ..0x10000 => format!("\\u{code:04x}"),
                code => format!("\\u{{{code:x}}}"),
            });
        } else {
            out.push(c);
        }
        before = c;
    }
    if rest.next().is_some() {
        out.push('…');
    }
    out
}

/// The range, in characters, with the whole of each token `‹name›` that it would cut.
fn with_whole_tokens(text: &str, range: Range<usize>) -> Range<usize> {
    let byte = |i: usize| text.char_indices().nth(i).map_or(text.len(), |(at, _)| at);
    let (start, end) = (byte(range.start), byte(range.end));
    let before = |index: usize| text[before_token(text, index)..index].chars().count();
    let after = match before(end) {
        0 => 0,
        _ => text[end..].chars().position(|c| c == '›').map_or(0, |i| i + 1),
    };
    range.start - before(start)..range.end + after
}

/// Whether a character has no shape of its own: a control, a format character, or a space that is not the usual one.
fn is_invisible(c: char) -> bool {
    (c.is_control() || c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{110bd}' | '\u{110cd}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(want: &str, have: &str) -> (String, String) {
        difference(&Value::text(want), &Value::text(have), &Secrets::default())
    }

    #[test]
    fn of_a_long_value_the_beginning_is_read() {
        let secrets = Secrets::default();
        secrets.add("key", "k-0123456789");
        for length in [MAX_READ_BYTES - 5, MAX_READ_BYTES + 1, 1 << 20] {
            let text = "k-0123456789 \"é".to_string() + &"x".repeat(length);
            for (value, start) in
                [(Value::text(&text), "\"‹key› \\\"éxxx"), (Value::list(vec![Value::text(&text)]), "[\"‹key› \\\"éxxx")]
            {
                let shown = show(&value, &secrets);
                assert!(shown.starts_with(start) && shown.ends_with("x…"), "{length}: {shown}");
                assert_eq!(shown.chars().count(), MAX_SHOWN_CHARS + 1);
            }
        }
        // the cut leaves no part of a secret
        let text = "x".repeat(MAX_READ_BYTES - 6) + "k-0123456789";
        let beginning = beginning(&Value::text(text), &secrets);
        assert!(!beginning.contains("k-0"), "{}", &beginning[beginning.len() - 20..]);
    }

    #[test]
    fn shows_where_texts_that_look_alike_differ() {
        for (want, have, wanted, found) in [
            (
                "café",
                "cafe\u{301}",
                "\"caf\\u00e9\"",
                "\"cafe\\u0301\" (differs at character 4: `e` U+0065 instead of `é` U+00E9; the same text in NFD instead of NFC)",
            ),
            (
                "cafe\u{301}",
                "café",
                "\"cafe\\u0301\"",
                "\"caf\\u00e9\" (differs at character 4: `é` U+00E9 instead of `e` U+0065; the same text in NFC instead of NFD)",
            ),
            ("a b", "a\u{a0}b", "\"a b\"", "\"a\\u00a0b\" (differs at character 2: U+00A0 instead of a space)"),
            (
                "café",
                "\u{441}afé",
                "\"café\"",
                "\"\\u0441afé\" (differs at character 1: `\u{441}` U+0441 instead of `c` U+0063)",
            ),
            ("a", "\u{feff}a", "\"a\"", "\"\\ufeffa\" (differs at character 1: U+FEFF instead of `a` U+0061)"),
            ("a b", "a  b", "\"a b\"", "\"a \\u0020b\" (differs at character 3: a space instead of `b` U+0062)"),
            ("a", "a ", "\"a\"", "\"a\\u0020\" (differs at character 2: a space instead of the end)"),
            (" ", "", "\"\\u0020\"", "\"\" (differs at character 1: the end instead of a space)"),
            ("a", "a\u{fe0f}", "\"a\"", "\"a\\ufe0f\" (differs at character 2: U+FE0F instead of the end)"),
            ("a", "a\u{e0041}", "\"a\"", "\"a\\u{e0041}\" (differs at character 2: U+E0041 instead of the end)"),
            ("a\nb", "a\r\nb", "\"a\\nb\"", "\"a\\r\\nb\" (differs at character 2: U+000D instead of U+000A)"),
            ("Il", "ll", "\"Il\"", "\"ll\" (differs at character 1: `l` U+006C instead of `I` U+0049)"),
            ("one", "two", "\"one\"", "\"two\""),
            ("1", "", "\"1\"", "\"\""),
        ] {
            assert_eq!(shown(want, have), (wanted.to_string(), found.to_string()));
        }
        for (want, have) in [(Value::Int(3), Value::text("3")), (Value::Bool(true), Value::text("true"))] {
            let (want, have) = difference(&want, &have, &Secrets::default());
            assert!(have.starts_with("string \"") && want != have, "{want} {have}");
        }
        assert_eq!(difference(&Value::Int(3), &Value::Null, &Secrets::default()), ("int 3".into(), "null".into()));
    }

    #[test]
    fn cuts_both_texts_around_the_difference() {
        let (want, have) = shown(&("x".repeat(300) + "A" + &"y".repeat(900)), &("x".repeat(300) + "B"));
        let (before, after) = ("x".repeat(CONTEXT_CHARS), "y".repeat(CONTEXT_CHARS - 1));
        assert_eq!(want, format!("…{before}A{after}…"));
        let note = "(differs at character 301: `B` U+0042 instead of `A` U+0041)";
        assert_eq!(have, format!("…{before}B\" {note}"));
        let list = |last: &str| Value::list((0..99).map(Value::Int).chain([Value::text(last)]).collect());
        let (want, have) = difference(&list("a"), &list("b"), &Secrets::default());
        assert!(want.ends_with("98,\"a\"]") && have.ends_with("98,\"b\"]"), "{want} {have}");
    }

    #[test]
    fn a_secret_is_masked_before_texts_are_compared() {
        let secrets = Secrets::default();
        secrets.add("password", "hunter2-correct-horse");
        for before in (0..400).step_by(7) {
            let text = |end: &str| Value::text(format!("{}hunter2-correct-horse{end}", "x".repeat(before)));
            for (want, have) in
                [(text("A"), text("B")), (text(""), Value::text("hunter3")), (Value::text("x"), text("\u{a0}"))]
            {
                let (want, have) = difference(&want, &have, &secrets);
                assert!(!want.contains("hunter2") && !have.contains("hunter2") && want != have, "{want} {have}");
            }
        }
    }

    #[test]
    fn no_token_is_cut() {
        for before in 0..60 {
            let text = |end: &str| Value::text(format!("{}‹a name›{}{end}", "x".repeat(before), "y".repeat(before)));
            let (want, have) = difference(&text("A and more than that"), &text("B"), &Secrets::default());
            for shown in [want, have] {
                assert_eq!(shown.matches('‹').count(), shown.matches('›').count(), "{shown}");
                assert!(!shown.contains('‹') || shown.contains("‹a name›"), "{shown}");
            }
        }
    }

    /// Texts in which differences are hard to see.
    fn texts() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("a".to_string()),
            Just("e".into()),
            Just(" ".into()),
            Just("\u{a0}".into()),
            Just("\u{301}".into()),
            Just("é".into()),
            Just("\u{200b}".into()),
            Just("\u{430}".into()),
            Just("\u{feff}".into()),
            Just("\n".into()),
            Just("\\".into()),
            Just("\"".into()),
            Just("\u{e0041}".into()),
            Just("\u{202e}".into()),
            Just("l".into()),
            Just("1".into()),
            Just("xy".repeat(120)),
            any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn different_texts_are_shown_differently(start in texts(), a in texts(), b in texts(), end in texts()) {
            prop_assume!(a != b);
            for (want, have) in [(format!("{start}{a}{end}"), format!("{start}{b}{end}")), (a.clone(), b.clone())] {
                if want == have {
                    continue;
                }
                let (want, have) = shown(&want, &have);
                let text_of = |shown: &str| shown.split(" (differs at").next().unwrap_or_default().to_string();
                prop_assert_ne!(text_of(&want), text_of(&have));
                prop_assert!(!want.chars().chain(have.chars()).any(is_invisible), "{} {}", want, have);
            }
        }
    }
}
