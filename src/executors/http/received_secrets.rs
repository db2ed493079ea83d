//! Secrets that a response brings: cookies, and the tokens that protect forms against cross-site requests (CSRF).
use crate::{executor::ActionContext, value::Value};
use cookie_store::RawCookie;
use regex::Regex;
use reqwest::header::{HeaderMap, SET_COOKIE};
use std::sync::LazyLock;

/// Shorter values are settings (`de`, `dark`), not secrets. Masking them would make reports unreadable.
const MIN_SECRET_BYTES: usize = 8;

static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)<(?:meta|input)\b[^>]*>").expect("valid"));
static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\b(name|id|content|value)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"#).expect("valid")
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

/// Adds the CSRF tokens in fields of a JSON body, or in the form and meta tags of a page.
pub(super) fn add_from_body(cx: &ActionContext<'_>, json: &Value, text: &str) {
    json.map_text("", &|field, text| {
        if is_csrf(field) {
            add(cx, field, text);
        }
        None
    });
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
    if value.len() >= MIN_SECRET_BYTES {
        cx.secrets.add(name, value);
    }
}

/// The names that frameworks use.
fn is_csrf(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["csrf", "xsrf", "authenticity_token", "requestverificationtoken"].iter().any(|part| name.contains(part))
}
