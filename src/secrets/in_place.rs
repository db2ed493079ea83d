//! Masks values of fields that are named like secrets in their place only: short values, numbers and sentences, which occur elsewhere
//! with another meaning.
use super::fields::{FieldRule, FieldSearch, PREFIX};
use regex::Regex;
use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::LazyLock,
};

/// Shorter numbers are counts.
const MIN_DIGITS: usize = 4;

/// A name in JSON, also of JSON in a string, up to its value.
static JSON_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"\\*"([A-Za-z][A-Za-z0-9_.-]*)\\*"\s*:\s*"#).expect("valid"));
/// A field of a form or of a query.
static FORM_FIELD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[?&])([A-Za-z][A-Za-z0-9_.-]*)=([^&\s#]+)").expect("valid"));

/// Masks the value of a field that is named like a secret, or such fields in a text. `None` without any.
pub(super) fn mask(
    rule: &FieldRule,
    search: &FieldSearch,
    hash: &RandomState,
    field: &str,
    text: &str,
) -> Option<String> {
    if rule.is_secret(field) && is_value(field, text) {
        return Some(token(field, text, hash));
    }
    if search.may_have(text) { mask_text(rule, text, hash) } else { None }
}

/// The token of a value that is masked in its place. Equal values of a run have equal tokens; `hash` is of this run, so that short
/// values cannot be found by trying all.
fn token(field: &str, value: &str, hash: &RandomState) -> String {
    format!("‹{PREFIX}{field}~{:x}›", hash.hash_one(value))
}

/// Whether the value of a field named like a secret is one: not empty, a count or a token.
fn is_value(field: &str, value: &str) -> bool {
    let is_number = value.bytes().all(|b| b.is_ascii_digit());
    let is_count = value.len() < MIN_DIGITS || field.to_ascii_lowercase().trim_end_matches('s').ends_with("token");
    !(value.is_empty() || value.contains(['‹', '›']) || is_number && is_count)
}

/// Replaces the values of secret fields in JSON texts, forms and queries. `None` without such values.
fn mask_text(rule: &FieldRule, text: &str, hash: &RandomState) -> Option<String> {
    let is_secret = |(name, range): &(&str, Range<usize>)| rule.is_secret(name) && is_value(name, &text[range.clone()]);
    let mut values: Vec<_> = json_values(text).chain(form_values(text)).filter(is_secret).collect();
    values.sort_by_key(|(_, range)| range.start);
    let (mut out, mut copied) = (String::new(), 0);
    for (name, range) in values {
        if range.start >= copied {
            out.push_str(&text[copied..range.start]);
            out.push_str(&token(name, &text[range.clone()], hash));
            copied = range.end;
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

/// The names and values of the string and number members of JSON objects in a text.
fn json_values(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    JSON_NAME.captures_iter(text).filter_map(|found| {
        let name = found.get(1)?;
        let start = found.get(0)?.end();
        let rest = &text[start..];
        let escapes = rest.len() - rest.trim_start_matches('\\').len();
        if !rest[escapes..].starts_with('"') {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            return (digits > 0).then(|| (name.as_str(), start..start + digits));
        }
        let value = start + escapes + 1;
        Some((name.as_str(), value..value + closing_quote(&text[value..], escapes)))
    })
}

/// The length of a JSON string whose quotes have `escapes` backslashes before them; a cut one ends with the text.
fn closing_quote(text: &str, escapes: usize) -> usize {
    let bytes = text.as_bytes();
    let mut backslashes = 0;
    for (i, b) in bytes.iter().enumerate() {
        match b {
            b'\\' => backslashes += 1,
            // an escaped quote has more, and an escaped backslash is two at the innermost level
            b'"' if backslashes % (2 * (escapes + 1)) == escapes => return i - escapes,
            _ => backslashes = 0,
        }
    }
    text.len()
}

fn form_values(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    FORM_FIELD.captures_iter(text).filter_map(|found| Some((found.get(1)?.as_str(), found.get(2)?.range())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        // a token without its hash
        let masked = mask_text(&FieldRule::default(), text, &RandomState::new()).unwrap_or_else(|| text.into());
        Regex::new("~[0-9a-f]+›").unwrap().replace_all(&masked, "›").into_owned()
    }

    #[test]
    fn masks_values_of_any_length_in_json_forms_and_queries() {
        for (text, expected) in [
            (r#"{"password":"abc","user":"abc"}"#, r#"{"password":"‹field password›","user":"abc"}"#),
            (r#"{"password": "correct horse", "n": 1}"#, r#"{"password": "‹field password›", "n": 1}"#),
            (r#"{"password" : 123456}"#, r#"{"password" : ‹field password›}"#),
            (r#""{\"api_key\":\"a b\",\"x\":\"y\"}""#, r#""{\"api_key\":\"‹field api_key›\",\"x\":\"y\"}""#),
            (r#"{"secret":"a\"b","x":1}"#, r#"{"secret":"‹field secret›","x":1}"#),
            (r#"{"secret":"a\\","x":1}"#, r#"{"secret":"‹field secret›","x":1}"#),
            (r#"{"secret":"cut off"#, r#"{"secret":"‹field secret›"#),
            ("user=a&password=abc&x=1", "user=a&password=‹field password›&x=1"),
            ("GET /a?api_key=k1 HTTP/1.1", "GET /a?api_key=‹field api_key› HTTP/1.1"),
            (
                r#"{"tokens":1234,"token":12345,"max_token": 4096}"#,
                r#"{"tokens":1234,"token":12345,"max_token": 4096}"#,
            ),
            (
                r#"{"password":"","secret":12,"token":null,"pwd":true}"#,
                r#"{"password":"","secret":12,"token":null,"pwd":true}"#,
            ),
            (r#"{"password":"‹pw›"}"#, r#"{"password":"‹pw›"}"#),
            ("password: must be longer", "password: must be longer"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn equal_values_have_equal_tokens_in_one_run_only() {
        let (one, other) = (RandomState::new(), RandomState::new());
        assert_eq!(token("pin", "1234", &one), token("pin", "1234", &one));
        assert_ne!(token("pin", "1234", &one), token("pin", "1235", &one));
        assert_ne!(token("pin", "1234", &one), token("pin", "1234", &other));
    }
}
