//! Secrets that the product sends: cookies, and the tokens that protect forms against cross-site requests (CSRF).
use crate::{executor::ActionContext, value::Value};
use cookie_store::RawCookie;
use regex::Regex;
use reqwest::header::{HeaderMap, SET_COOKIE};
use std::sync::LazyLock;

/// Shorter values are settings (`de`, `dark`), not secrets. Masking them would make reports unreadable.
const MIN_SECRET_BYTES: usize = 8;

// The text may be cut within any of them.
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)<(?:meta|input)\b[^>]*").expect("valid"));
static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\b(name|id|content|value)\s*=\s*(?:"([^"]*)|'([^']*)|([^\s"'>]+))"#).expect("valid")
});
/// A cookie in a text, as `curl -i` prints it, or JSON.
static COOKIE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\bset-cookie["'\\]*\s*[:=]\s*[\["'\\]*([^=;,\s"'\\]+)=([^;,\s"'\\]+)"#).expect("valid")
});
/// A token in JSON, a script, a form or a query.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"[\w-]*(?:csrf|xsrf|authenticity_token|requestverificationtoken)[\w-]*";
    Regex::new(&format!(r#"(?i)({name})["'\\]*\s*[:=]\s*["'\\]*([^"'\\\s&;,<>(){{}}\[\]]+)"#)).expect("valid")
});

/// Adds the cookies and CSRF tokens in the headers of a response to the secrets.
pub(super) fn add_from_headers(cx: &ActionContext<'_>, headers: &HeaderMap) {
    let mut found = Found::default();
    for header in headers.get_all(SET_COOKIE) {
        if let Ok(cookie) = RawCookie::parse(String::from_utf8_lossy(header.as_bytes())) {
            found.add(&format!("cookie {}", cookie.name()), cookie.value());
        }
    }
    for (name, value) in headers.iter().filter(|(name, _)| is_csrf(name.as_str())) {
        found.add(name.as_str(), value.to_str().unwrap_or_default());
    }
    found.add_to(cx);
}

/// Secrets with their names.
#[derive(Default)]
pub(super) struct Found(Vec<(String, String)>);

impl Found {
    pub fn add_to(self, cx: &ActionContext<'_>) {
        self.0.iter().for_each(|(name, value)| cx.secrets.add(name, value));
    }

    fn add(&mut self, name: &str, value: &str) {
        if is_secret(value) {
            self.0.push((name.to_string(), value.to_string()));
        }
    }
}

/// Finds those in fields of JSON, and in the text.
pub(super) fn find_in_body(json: &Value, text: &str) -> Found {
    let mut found = Found::default();
    find_in_json(&mut found, "", json);
    find_in_text(&mut found, text);
    found
}

/// `csrf` names the field around the value that is named like a CSRF token, if any.
fn find_in_json(found: &mut Found, csrf: &str, json: &Value) {
    match json {
        Value::Text(text) if !csrf.is_empty() => found.add(csrf, text),
        Value::List(items) => items.iter().for_each(|item| find_in_json(found, csrf, item)),
        Value::Map(entries) => {
            // `{"headerName": "X-CSRF-TOKEN", "token": …}`
            let described = entries.iter().any(|(_, v)| v.as_str().is_some_and(is_csrf));
            for (key, value) in entries.iter().filter(|(_, v)| !v.as_str().is_some_and(is_csrf)) {
                let named = is_csrf(key) || described && key.eq_ignore_ascii_case("token");
                find_in_json(found, if named { key } else { csrf }, value);
            }
        }
        _ => {}
    }
}

/// Finds them in a text: headers, scripts, the forms and meta tags of a page.
fn find_in_text(found: &mut Found, text: &str) {
    for cookie in COOKIE.captures_iter(text) {
        found.add(&format!("cookie {}", &cookie[1]), &cookie[2]);
    }
    // without a digit, it is a part of a script
    for pair in PAIR.captures_iter(text).filter(|pair| pair[2].bytes().any(|b| b.is_ascii_digit())) {
        found.add(&pair[1], &pair[2]);
    }
    for tag in TAG.find_iter(text) {
        let (mut name, mut value) = (None, None);
        for attribute in ATTRIBUTE.captures_iter(tag.as_str()) {
            let text = (2..5).find_map(|i| attribute.get(i)).map_or("", |m| m.as_str());
            match attribute[1].to_ascii_lowercase().as_str() {
                "name" | "id" if is_csrf(text) => name = Some(text),
                "content" | "value" => value = Some(text),
                _ => {}
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            found.add(name, value);
        }
    }
}

/// Whether a value is one, and not a setting or the name of a token.
fn is_secret(value: &str) -> bool {
    value.len() >= MIN_SECRET_BYTES && !is_csrf(value)
}

/// The names that frameworks use.
fn is_csrf(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["csrf", "xsrf", "authenticity_token", "requestverificationtoken"].iter().any(|part| name.contains(part))
}
