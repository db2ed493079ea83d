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
    for header in headers.get_all(SET_COOKIE) {
        if let Ok(cookie) = RawCookie::parse(String::from_utf8_lossy(header.as_bytes())) {
            add(cx, &format!("cookie {}", cookie.name()), cookie.value());
        }
    }
    for (name, value) in headers.iter().filter(|(name, _)| is_csrf(name.as_str())) {
        add(cx, name.as_str(), value.to_str().unwrap_or_default());
    }
}

/// Adds those in fields of JSON, and in the text.
pub(super) fn add_from_body(cx: &ActionContext<'_>, json: &Value, text: &str) {
    add_from_json(cx, "", json);
    add_from_text(cx, text);
}

/// `csrf` names the field around the value that is named like a CSRF token, if any.
fn add_from_json(cx: &ActionContext<'_>, csrf: &str, json: &Value) {
    match json {
        Value::Text(text) if !csrf.is_empty() => add(cx, csrf, text),
        Value::List(items) => items.iter().for_each(|item| add_from_json(cx, csrf, item)),
        Value::Map(entries) => {
            // `{"headerName": "X-CSRF-TOKEN", "token": …}`
            let described = entries.iter().any(|(_, v)| v.as_str().is_some_and(is_csrf));
            for (key, value) in entries.iter().filter(|(_, v)| !v.as_str().is_some_and(is_csrf)) {
                let named = is_csrf(key) || described && key.eq_ignore_ascii_case("token");
                add_from_json(cx, if named { key } else { csrf }, value);
            }
        }
        _ => {}
    }
}

/// Adds the cookies and CSRF tokens in a text: headers, scripts, the forms and meta tags of a page.
pub(super) fn add_from_text(cx: &ActionContext<'_>, text: &str) {
    for cookie in COOKIE.captures_iter(text) {
        add(cx, &format!("cookie {}", &cookie[1]), &cookie[2]);
    }
    // without a digit, it is a part of a script
    for pair in PAIR.captures_iter(text).filter(|pair| pair[2].bytes().any(|b| b.is_ascii_digit())) {
        add(cx, &pair[1], &pair[2]);
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
            add(cx, name, value);
        }
    }
}

fn add(cx: &ActionContext<'_>, name: &str, value: &str) {
    if value.len() >= MIN_SECRET_BYTES && !is_csrf(value) {
        cx.secrets.add(name, value);
    }
}

/// The names that frameworks use.
fn is_csrf(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["csrf", "xsrf", "authenticity_token", "requestverificationtoken"].iter().any(|part| name.contains(part))
}
