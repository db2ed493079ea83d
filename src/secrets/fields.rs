//! Fields that are named like secrets: their values are masked although they are not declared.
use aho_corasick::AhoCorasick;
use regex::Regex;
use std::sync::LazyLock;

/// The token of such a value begins with it.
pub(super) const PREFIX: &str = "field ";
/// Shorter values are settings.
const MIN_VALUE_BYTES: usize = 6;
/// In a text, what looks like a field can be a sentence: a shorter value, or one without a digit, does not count.
const MIN_VALUE_BYTES_IN_TEXT: usize = 8;
/// The rest of a longer text is not searched for fields.
const MAX_SEARCHED_BYTES: usize = 64 << 10;

/// The ends of names, in lower case without separators.
const ENDINGS: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "tokens",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "credential",
    "credentials",
    "authorization",
];

static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"([A-Za-z][A-Za-z0-9_.-]*)["'\\]{0,4}\s?[:=]\s?["'\\]{0,4}(?:(?i:bearer|basic|token) )?([^\s"'\\&;,<>(){}\[\]‹›]+)"#,
    )
    .expect("valid")
});

/// The ends of all names that are secrets, in lower case without separators.
static STEMS: LazyLock<AhoCorasick> = LazyLock::new(|| stems(&[]));

fn stems(more: &[String]) -> AhoCorasick {
    let more = more.iter().filter(|name| !name.is_empty() && name.is_ascii()).map(String::as_str);
    AhoCorasick::new(ENDINGS.iter().copied().chain(["pw"]).chain(more)).expect("few short patterns")
}

/// Finds the texts that may contain a field that is named like a secret. Most do not, and need no regular expression.
#[derive(Debug, Default)]
pub(super) struct FieldSearch {
    /// `None`: only the known names.
    stems: Option<AhoCorasick>,
}

impl FieldSearch {
    pub fn of(rule: &FieldRule) -> FieldSearch {
        let more: Vec<String> = rule.more.iter().map(|name| normalised(name)).collect();
        FieldSearch { stems: (!more.is_empty()).then(|| stems(&more)) }
    }

    /// Whether a text may contain a field that is named like a secret.
    pub fn may_have(&self, text: &str) -> bool {
        let text = searched(text);
        text.contains([':', '=']) && self.stems.as_ref().unwrap_or(&STEMS).is_match(&without_separators(text))
    }

    /// The names and values of what looks like fields in a text: a log line, a form, a header.
    pub fn pairs<'t>(&self, text: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
        pairs(if self.may_have(text) { searched(text) } else { "" })
    }
}

fn searched(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SEARCHED_BYTES)]
}

/// The text in lower case without the separators that names may have.
fn without_separators(text: &str) -> Vec<u8> {
    let bytes = text.bytes().filter(|b| !matches!(b, b'_' | b'-' | b'.'));
    bytes.map(|b| b.to_ascii_lowercase()).collect()
}

/// Which fields are named like secrets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldRule {
    pub off: bool,
    /// Further names, or ends of names.
    pub more: Vec<String>,
    /// Names that are no secrets.
    pub except: Vec<String>,
}

impl FieldRule {
    pub fn is_secret(&self, field: &str) -> bool {
        let name = normalised(field);
        // received tokens against cross-site requests are declared secrets
        if self.off || name.contains("csrf") || name.contains("xsrf") {
            return false;
        }
        let more = || self.more.iter().map(|n| normalised(n)).any(|n| !n.is_empty() && name.ends_with(&n));
        (name == "pw" || ENDINGS.iter().any(|ending| name.ends_with(ending)) || more()) && !self.is_exempt(field)
    }

    /// Whether the user excludes a field.
    pub fn is_exempt(&self, field: &str) -> bool {
        let name = normalised(field);
        self.except.iter().any(|n| normalised(n) == name)
    }
}

fn normalised(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether the value of such a field may be a secret: not a setting, a sentence or a token of a masked secret.
pub(super) fn may_be_secret(value: &str) -> bool {
    value.len() >= MIN_VALUE_BYTES && !value.contains(['‹', '›']) && !value.contains(char::is_whitespace)
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    PAIR.captures_iter(text).filter_map(|pair| {
        let (name, value) = (pair.get(1)?.as_str(), pair.get(2)?.as_str());
        let is_value = value.len() >= MIN_VALUE_BYTES_IN_TEXT && value.bytes().any(|b| b.is_ascii_digit());
        is_value.then_some((name, value))
    })
}

/// The name in a text that is the token of a secret.
pub(super) fn token_name(text: &str) -> Option<&str> {
    text.strip_prefix('‹')?.strip_suffix('›').filter(|name| !name.contains(['‹', '›']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others_in_any_spelling() {
        let rule = FieldRule::default();
        for name in [
            "password",
            "apiKey",
            "API_KEY",
            "x-api-key",
            "clientSecret",
            "AccessToken",
            "db_passwd",
            "PW",
            "Authorization",
        ] {
            assert!(rule.is_secret(name), "{name}");
        }
        for name in [
            "",
            "key",
            "name",
            "secretName",
            "token_type",
            "passwordless",
            "author",
            "keys",
            "csrf_token",
            "tokenCount",
        ] {
            assert!(!rule.is_secret(name), "{name}");
        }
        let rule = FieldRule { more: vec!["pin".into()], except: vec!["next-token".into()], off: false };
        assert!(rule.is_secret("cardPin") && !rule.is_secret("nextToken") && rule.is_secret("token"));
        assert!(!FieldRule { off: true, ..FieldRule::default() }.is_secret("password"));
    }

    #[test]
    fn every_text_with_a_secret_field_is_searched() {
        let rule = FieldRule { more: vec!["session-id".into(), "PIN".into()], ..FieldRule::default() };
        let search = FieldSearch::of(&rule);
        let names = ENDINGS.iter().map(|ending| format!("x_{ending}")).chain(
            ["pw", "API-Key", "api.key", "access_Key", "PASS_WORD", "sessionId", "session_id", "card-pin"]
                .map(String::from),
        );
        for name in names {
            assert!(rule.is_secret(&name), "{name}");
            let text = format!("at 12:00 {name}: k1-abcdefgh");
            assert!(search.pairs(&text).any(|pair| pair == (name.as_str(), "k1-abcdefgh")), "{name}");
            let is_known = FieldRule::default().is_secret(&name);
            assert_eq!(FieldSearch::default().pairs(&text).count() > 0, is_known, "{name}");
        }
        assert_eq!(search.pairs("2026-01-02T03:04:05Z level=info id=k1-abcdefgh").count(), 0);
    }

    #[test]
    fn pairs_in_texts_are_found_in_headers_forms_logs_and_json() {
        let found = |text| pairs(text).map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ");
        assert_eq!(found("X-Api-Key: k1-abcdefgh\nx: 1"), "X-Api-Key=k1-abcdefgh");
        assert_eq!(found(r#"{"password":"hunter2-horse","a":"b"}"#), "password=hunter2-horse");
        assert_eq!(found(r#"line "{\"token\": \"t0ken-abcdef\"}""#), "token=t0ken-abcdef");
        assert_eq!(found("Authorization: Bearer eyJ0abcdef.g"), "Authorization=eyJ0abcdef.g");
        assert_eq!(found("user=a&api_key=k1-abcdefgh&x=y"), "api_key=k1-abcdefgh");
        assert_eq!(found("password: must be 8 characters, token: missing"), "");
    }
}
