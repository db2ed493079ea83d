//! Weak secrets, which are ordinary words too, and the positions in which such a word is a credential.
use super::decode::SEPARATOR;
use std::ops::Range;

/// How far before a word its key or URL is looked for.
const CONTEXT_BYTES: usize = 256;
const MAX_WORD_BYTES: usize = 40;
/// A single word or number of up to this length is weak anywhere: `postgres`, `changeme`, `12345678`.
const MAX_WEAK_BYTES: usize = 8;

/// Whether a value is guessed so easily, or occurs by chance so often, that it is weak anywhere.
pub fn is_weak(value: &str) -> bool {
    let bytes = value.as_bytes();
    let word = bytes.iter().all(u8::is_ascii_alphabetic)
        && (bytes[1..].iter().all(u8::is_ascii_lowercase) || bytes.iter().all(u8::is_ascii_uppercase));
    let short = bytes.len() <= MAX_WEAK_BYTES && (word || bytes.iter().all(u8::is_ascii_digit));
    short || bytes.iter().all(|b| *b == bytes[0])
}

/// Whether a value could be a name of something: words, perhaps with a number at the end. A random value is not,
/// even if a plan quotes it.
pub fn is_name(value: &str) -> bool {
    let words = value.trim_end_matches(|c: char| c.is_ascii_digit());
    value.len() <= MAX_WORD_BYTES
        && words.bytes().any(|b| b.is_ascii_alphabetic())
        && words.bytes().all(|b| b.is_ascii_alphabetic() || b"-_.".contains(&b))
        && [words.to_lowercase(), words.to_uppercase(), capitalised(words)].iter().any(|w| w == words)
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_uppercase() + &rest.to_lowercase()
}

/// Whether the text contains the word other than as a credential.
pub fn is_ordinary_in(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let range = at..at + word.len();
        let alone = |b: Option<&u8>| b.is_none_or(|b| !b.is_ascii_alphanumeric());
        let bytes = text.as_bytes();
        alone(bytes[..at].last()) && alone(bytes.get(range.end)) && !is_credential(bytes, &range)
    })
}

/// Whether nothing continues the word on either side.
pub fn is_word(text: &[u8], range: &Range<usize>) -> bool {
    let continues = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-';
    !text[..range.start].last().is_some_and(continues) && !text.get(range.end).is_some_and(continues)
}

/// Whether a word is the password of a URL, follows a key that is named like a secret, or an authentication scheme.
pub fn is_credential(text: &[u8], range: &Range<usize>) -> bool {
    let before = &text[range.start.saturating_sub(CONTEXT_BYTES)..range.start];
    let after = &text[range.end..];
    if let [user @ .., b':'] = before {
        // `user:password@host`, not `image:tag@sha256:…`
        if after.starts_with(b"@") && !after.starts_with(b"@sha") {
            return true;
        }
        let user = trimmed(user, |b| !b.is_ascii_whitespace() && !b"'\":=".contains(&b));
        let option = trimmed(trimmed(user, is_quote), |b| b == b' ' || b == b'=');
        if option.len() < user.len() && (option.ends_with(b"--user") || option.ends_with(b" -u")) {
            return true;
        }
    }
    let quotes = trimmed(before, is_quote);
    let rest = trimmed(quotes, |b| b == b' ');
    let word = last_word(rest);
    if rest.len() < before.len() && is_scheme(word) || word.starts_with(b"--") && is_named_like_secret(word) {
        return true;
    }
    let [key @ .., b':' | b'=' | b'>'] = rest else { return false };
    let key = trimmed(key, |b| b == b' ' || b == b'=' || is_quote(b));
    is_named_like_secret(last_word(key))
}

/// Whether a word is the end of a decoded Basic pair `user:password`.
pub fn ends_pair(text: &[u8], range: &Range<usize>) -> bool {
    text[..range.start].ends_with(b":") && text.get(range.end).is_none_or(|b| *b == SEPARATOR)
}

/// Whether a key or field names a secret by its last word: `db_password`, `X-Api-Key`, `client_secret`.
pub fn is_named_like_secret(key: &[u8]) -> bool {
    let key = &key[key.len().saturating_sub(CONTEXT_BYTES)..];
    let key: Vec<u8> = key.iter().filter(|b| b.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect();
    const ENDINGS: &[&[u8]] = &[
        b"password",
        b"passwords",
        b"passwd",
        b"passphrase",
        b"passcode",
        b"pwd",
        b"pass",
        b"pw",
        b"secret",
        b"secrets",
        b"token",
        b"tokens",
        b"key",
        b"keys",
        b"credential",
        b"credentials",
        b"authorization",
        b"auth",
        b"bearer",
        b"csrf",
        b"xsrf",
    ];
    ENDINGS.iter().any(|ending| key.ends_with(ending))
}

fn is_scheme(word: &[u8]) -> bool {
    [&b"bearer"[..], b"basic", b"token", b"apikey"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

fn is_quote(b: u8) -> bool {
    b"\"'`\\".contains(&b)
}

fn trimmed(text: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    &text[..text.iter().rposition(|b| !unwanted(*b)).map_or(0, |i| i + 1)]
}

fn last_word(text: &[u8]) -> &[u8] {
    &text[trimmed(text, |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)).len()..]
}
