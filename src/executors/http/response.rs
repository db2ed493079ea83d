//! A response as data: status, headers, cookies, body. Reads and decodes bodies.
use super::{
    connect_error::reasons,
    decode::{DecodeError, decode},
};
use crate::{
    executor::{
        ActionContext, ActionError, Started,
        limits::{self, size},
    },
    executors::{
        net::{decode_text, joined_headers, json_body, readable},
        processing::process,
        received_secrets,
    },
    value::{Map, Value},
};
use cookie_store::RawCookie;
use percent_encoding::percent_decode_str;
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, SET_COOKIE},
};
use std::{borrow::Cow, fmt::Write, time::Duration};

macro_rules! output_fields {
    ($($more:literal),*) => {
        &["answered", "status", "headers", "cookies", "body", "text", "cut", "timing", $($more),*]
    };
}
/// The fields of the output of an action, which depend on its options.
pub(super) const FIELDS: &[&str] = output_fields![];
pub(super) const REDIRECT_FIELDS: &[&str] = output_fields!["url", "redirects"];
pub(super) const STREAM_FIELDS: &[&str] = output_fields!["messages", "closed"];
pub(super) const REDIRECT_STREAM_FIELDS: &[&str] = output_fields!["url", "redirects", "messages", "closed"];

/// Limit for responses that are not the output of an action, and for memory reserved before a body is read.
const DEFAULT_BODY_BYTES: usize = 1 << 20;

/// Measured from the moment the request was sent.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    pub first_byte: Duration,
    pub total: Duration,
}

/// A body as far as it was read.
pub(super) struct ReadBody {
    /// The parsed JSON.
    pub json: Value,
    pub text: String,
    /// Why the text is not what was sent.
    unreadable: Option<String>,
    pub missing: Option<Missing>,
}

/// Why the rest of a body was not read.
pub(super) enum Missing {
    /// It is longer than the limit.
    Limit(usize),
    /// Its control characters take too much in the journal.
    Escaped(String),
    /// The transfer broke off, or what arrived cannot be decoded.
    Broken(String),
    /// The runner cannot decode it.
    Unsupported(String),
}

impl Missing {
    pub fn reason(&self) -> String {
        match self {
            Missing::Limit(bytes) => format!("the body is longer than {}: the rest was not read", size(*bytes)),
            Missing::Escaped(why) => why.clone(),
            Missing::Broken(why) => format!("the body is incomplete: {why}"),
            Missing::Unsupported(why) => why.clone(),
        }
    }
}

impl ReadBody {
    /// Reads at most `limit` bytes, decoded unless `raw`. The secrets in it are known from now on.
    pub async fn read(cx: &ActionContext<'_>, response: &mut Response, limit: usize, raw: bool) -> ReadBody {
        let (bytes, missing) = read_bytes(response, limit).await;
        let codings = if raw { vec![] } else { content_codings(response.headers()) };
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_string();
        let size = if codings.is_empty() { bytes.len() } else { limit };
        let work = move || ReadBody::of(bytes, missing, &codings, &content_type, limit);
        let (mut body, secrets) = process(cx, size, work).await;
        secrets.add_to(cx);
        if body.missing.is_some() {
            cx.secrets.trim_cut(&mut body.text);
        }
        body
    }

    /// Decodes and parses what was read, and finds the secrets in it.
    fn of(
        mut bytes: Vec<u8>,
        mut missing: Option<Missing>,
        codings: &[String],
        content_type: &str,
        limit: usize,
    ) -> (ReadBody, received_secrets::Found) {
        if !codings.is_empty() {
            match decode(codings, std::mem::take(&mut bytes), limit) {
                Ok(decoded) => bytes = decoded,
                Err(DecodeError::Invalid(part, e)) => {
                    bytes = part;
                    missing = missing.or_else(|| Some(Missing::Broken(format!("it cannot be decoded: {e}"))));
                }
                Err(e @ DecodeError::Unsupported(_)) => missing = Some(Missing::Unsupported(e.to_string())),
            }
            if bytes.len() > limit {
                bytes.truncate(limit);
                missing = Some(Missing::Limit(limit));
            }
        }
        let json = match &missing {
            None => json_body(content_type, &bytes, limits::decoded_bytes(limit)),
            Some(broken @ Missing::Broken(_)) => Value::unset(broken.reason()),
            Some(own_limit) => Value::partial(Value::Null, own_limit.reason()),
        };
        let (mut text, unreadable) = decode_text(content_type, bytes);
        let escaped = limits::cut_escaped(&mut text, limit);
        missing = missing.or(escaped.map(Missing::Escaped));
        let secrets = received_secrets::find_in_body(&json, &text);
        // the limit can cut a character
        let unreadable = unreadable.filter(|_| missing.is_none());
        (ReadBody { json, text, unreadable, missing }, secrets)
    }
}

/// The output of a response whose body is read in another way.
pub(super) fn output_without_body(response: &Response, timing: Timing, reason: &str) -> Map {
    let body = ReadBody { json: Value::unset(reason), text: String::new(), unreadable: None, missing: None };
    let mut map = output(response, body, timing);
    map.insert("text".into(), Value::unset(reason));
    map
}

pub(super) fn output(response: &Response, body: ReadBody, timing: Timing) -> Map {
    let cut = matches!(body.missing, Some(Missing::Limit(_) | Missing::Escaped(_)));
    let broken = matches!(body.missing, Some(Missing::Broken(_)));
    let text = match body.missing {
        None => readable((body.text, body.unreadable)),
        Some(missing) => Value::partial(Value::from(body.text), missing.reason()),
    };
    Map::from_iter([
        ("answered".into(), (!broken).into()),
        ("status".into(), Value::Int(response.status().as_u16().into())),
        ("headers".into(), joined_headers(response.headers())),
        ("cookies".into(), cookies_value(response.headers())),
        ("body".into(), body.json),
        ("text".into(), text),
        ("cut".into(), cut.into()),
        (
            "timing".into(),
            Value::map([("first_byte".into(), timing.first_byte.into()), ("total".into(), timing.total.into())]),
        ),
    ])
}

/// Reads a response that is not the output of an action. An incomplete one is an error.
pub(super) async fn read_auxiliary(
    cx: &ActionContext<'_>,
    mut response: Response,
    started: Started,
) -> Result<Value, ActionError> {
    let url = response.url().clone();
    let body = ReadBody::read(cx, &mut response, DEFAULT_BODY_BYTES, false).await;
    if let Some(Missing::Broken(why) | Missing::Unsupported(why)) = body.missing {
        return Err(ActionError::Unreachable(format!("no complete response from {url}: {why}")));
    }
    let total = started.clock.elapsed();
    Ok(output(&response, body, Timing { first_byte: total, total }).into())
}

async fn read_bytes(response: &mut Response, limit: usize) -> (Vec<u8>, Option<Missing>) {
    let announced = response.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(limit));
    let mut bytes = Vec::with_capacity(announced.min(limit).min(DEFAULT_BODY_BYTES));
    loop {
        match response.chunk().await {
            Ok(None) => return (bytes, None),
            Ok(Some(chunk)) => {
                let room = limit - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return (bytes, Some(Missing::Limit(limit)));
                }
            }
            Err(e) => return (bytes, Some(Missing::Broken(reasons(&e)))),
        }
    }
}

/// The codings in the order in which they were applied, in lower case.
pub(super) fn content_codings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(|c| c.trim().to_ascii_lowercase()).filter(|c| !c.is_empty()).collect()
}

/// The cookies of `Set-Cookie` by name: the value as received and decoded, and the attributes. A name that is set several
/// times is unset.
fn cookies_value(headers: &HeaderMap) -> Value {
    let mut map = Map::new();
    for header in headers.get_all(SET_COOKIE) {
        let text = String::from_utf8_lossy(header.as_bytes());
        let Ok(c) = RawCookie::parse(&*text) else { continue };
        if map.contains_key(c.name()) {
            let reason = format!("the response sets the cookie `{}` several times: `headers` has all", c.name());
            map.insert(c.name().to_string(), Value::unset(reason));
            continue;
        }
        let readable = |value: &str| match matches!(text, Cow::Borrowed(_)) {
            true => Value::text(value),
            false => Value::unset(format!("the cookie `{}` has bytes that are not UTF-8", c.name())),
        };
        let mut cookie = Map::from_iter([
            ("value".into(), readable(c.value())),
            ("decoded".into(), readable(&percent_decode_str(c.value()).decode_utf8_lossy())),
            ("secure".into(), c.secure().unwrap_or(false).into()),
            ("http_only".into(), c.http_only().unwrap_or(false).into()),
        ]);
        let mut add = |name: &str, value: Option<Value>| drop(value.map(|v| cookie.insert(name.into(), v)));
        add("same_site", c.same_site().map(|s| Value::from(s.to_string())));
        add("path", c.path().map(Value::text));
        add("domain", c.domain().map(Value::text));
        add("max_age", c.max_age().map(|age| Value::Int(age.whole_seconds())));
        add("expires", expires(&text));
        map.insert(c.name().to_string(), cookie.into());
    }
    map.into()
}

/// The attribute `Expires` as the server wrote it.
fn expires(header: &str) -> Option<Value> {
    let attributes = header.split(';').skip(1).filter_map(|a| a.split_once('='));
    attributes.into_iter().find(|(k, _)| k.trim().eq_ignore_ascii_case("expires")).map(|(_, v)| Value::text(v.trim()))
}

/// `HTTP/1.1 200 OK`
pub(super) fn status_line(r: &Response) -> String {
    format!("{:?} {}", r.version(), r.status())
}

/// Status line and headers, for evidence.
pub(super) fn head_text(r: &Response) -> String {
    let mut out = status_line(r);
    out.push('\n');
    write_headers(r.headers(), &mut out);
    out
}

pub(super) fn write_headers(headers: &HeaderMap, out: &mut String) {
    for (name, value) in headers {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_is_ambiguous_or_unreadable_is_unset() {
        let mut headers = HeaderMap::new();
        for value in [&b"sid=a; Path=/"[..], b"one=1", b"sid=b; Secure", b"raw=x\xe9; HttpOnly"] {
            headers.append(SET_COOKIE, value.try_into().unwrap());
        }
        let cookies = cookies_value(&headers);
        let unset = |v: Option<&Value>| matches!(v, Some(Value::Unset(why)) if why.contains("the cookie `"));
        assert!(unset(cookies.get("sid")), "{cookies}");
        assert_eq!(cookies.get("one").unwrap().get("value"), Some(&Value::text("1")));
        let raw = cookies.get("raw").unwrap();
        assert!(unset(raw.get("value")) && unset(raw.get("decoded")), "{raw}");
        assert_eq!(raw.get("http_only"), Some(&Value::Bool(true)));
    }
}
