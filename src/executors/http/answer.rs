//! An answer as data: status, headers, cookies, body. Judges nothing.
use crate::{
    executor::{ActionError, Started},
    value::{Map, Value},
};
use cookie_store::RawCookie;
use percent_encoding::percent_decode_str;
use reqwest::{
    Response,
    header::{CONTENT_TYPE, HeaderMap, SET_COOKIE},
};
use std::{fmt::Write, time::Duration};

/// Of every answer.
pub(super) const FIELDS: &[&str] = &["answered", "status", "headers", "cookies", "body", "text", "cut", "timing"];
/// Of one whose redirects are gone after.
pub(super) const FOLLOWED: &[&str] =
    &["answered", "status", "headers", "cookies", "body", "text", "cut", "timing", "url", "redirects"];
/// Of a stream.
pub(super) const STREAM: &[&str] =
    &["answered", "status", "headers", "cookies", "body", "text", "cut", "timing", "messages", "closed"];
/// Of a stream behind redirects.
pub(super) const STREAM_FOLLOWED: &[&str] = &[
    "answered",
    "status",
    "headers",
    "cookies",
    "body",
    "text",
    "cut",
    "timing",
    "url",
    "redirects",
    "messages",
    "closed",
];
/// Of an answer that is read for the target's own sake.
const LIMIT: usize = 1 << 20;

/// How long after the request left.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    pub first_byte: Duration,
    pub total: Duration,
}

/// What was read of a body.
pub(super) struct Read {
    pub body: Value,
    pub text: String,
    /// There was more than the limit.
    pub cut: bool,
}

impl Read {
    pub fn nothing() -> Read {
        Read { body: Value::Null, text: String::new(), cut: false }
    }

    /// All of the body, or what of it is within `limit` bytes.
    pub async fn from(response: &mut Response, limit: usize) -> Result<Read, reqwest::Error> {
        let (bytes, cut) = bytes(response, limit).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let body = json(kind, &bytes);
        Ok(Read { body, text: text(kind, bytes).await, cut })
    }
}

/// The output when nothing came back.
pub(super) fn silence(fields: &[&str]) -> Value {
    Value::map(fields.iter().map(|&field| {
        let value = match field {
            "answered" | "cut" => Value::Bool(false),
            "headers" | "cookies" => Value::from(Map::new()),
            "text" => Value::text(""),
            "timing" => timing(None),
            "redirects" | "messages" => Value::list(vec![]),
            _ => Value::Null,
        };
        (field.to_string(), value)
    }))
}

pub(super) fn output(response: &Response, read: Read, timed: Timing) -> Map {
    Map::from_iter([
        ("answered".into(), true.into()),
        ("status".into(), Value::Int(response.status().as_u16().into())),
        ("headers".into(), headers(response.headers())),
        ("cookies".into(), cookies(response.headers())),
        ("body".into(), read.body),
        ("text".into(), Value::from(read.text)),
        ("cut".into(), read.cut.into()),
        ("timing".into(), timing(Some(timed))),
    ])
}

fn timing(timed: Option<Timing>) -> Value {
    let of = |d: Option<Duration>| d.map_or(Value::Null, Value::from);
    Value::map([("first_byte".into(), of(timed.map(|t| t.first_byte))), ("total".into(), of(timed.map(|t| t.total)))])
}

/// The output of an answer that no action has asked for. `Err`: it did not come whole.
pub(super) async fn whole(mut response: Response, started: Started) -> Result<Value, ActionError> {
    let at = response.url().clone();
    let read = Read::from(&mut response, LIMIT).await;
    let read = read.map_err(|e| {
        ActionError::Unreachable(format!("no whole answer came from {at}: {}", super::reach::chain(&e)))
    })?;
    let total = started.clock.elapsed();
    Ok(output(&response, read, Timing { first_byte: total, total }).into())
}

async fn bytes(response: &mut Response, limit: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let expected = response.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(limit).min(limit).min(LIMIT));
    let mut bytes = Vec::with_capacity(expected);
    while let Some(chunk) = response.chunk().await? {
        let room = limit - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok((bytes, true));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, false))
}

/// JSON where the server says so or where it begins like an object or a list; `null` for everything else.
fn json(kind: &str, bytes: &[u8]) -> Value {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    if !kind.to_ascii_lowercase().contains("json") && !matches!(first, Some(b'{' | b'[')) {
        return Value::Null;
    }
    serde_json::from_slice::<serde_json::Value>(bytes).map_or(Value::Null, Value::from)
}

/// In the character set that the server names; what does not belong to it becomes `�`.
async fn text(kind: &str, bytes: Vec<u8>) -> String {
    let kind = kind.to_ascii_lowercase();
    if !kind.contains("charset=") || kind.contains("utf-8") {
        return String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    }
    let plain = String::from_utf8_lossy(&bytes).into_owned();
    match axum::http::Response::builder().header(CONTENT_TYPE, kind).body(bytes) {
        Ok(decoded) => Response::from(decoded).text().await.unwrap_or(plain),
        Err(_) => plain,
    }
}

fn headers(headers: &HeaderMap) -> Value {
    let mut map = Map::with_capacity(headers.keys_len());
    for name in headers.keys() {
        let mut joined = String::new();
        for (i, v) in headers.get_all(name).iter().enumerate() {
            if i > 0 {
                joined.push_str(", ");
            }
            joined.push_str(&String::from_utf8_lossy(v.as_bytes()));
        }
        map.insert(name.as_str().to_string(), Value::from(joined));
    }
    Value::from(map)
}

/// What `Set-Cookie` sets, by name: the value as it came and decoded, and the attributes that it has.
fn cookies(headers: &HeaderMap) -> Value {
    let mut map = Map::new();
    for header in headers.get_all(SET_COOKIE) {
        let Some(c) = header.to_str().ok().and_then(|text| RawCookie::parse(text).ok()) else { continue };
        let mut cookie = Map::from_iter([
            ("value".into(), Value::text(c.value())),
            ("decoded".into(), Value::text(percent_decode_str(c.value()).decode_utf8_lossy())),
            ("secure".into(), c.secure().unwrap_or(false).into()),
            ("http_only".into(), c.http_only().unwrap_or(false).into()),
        ]);
        let mut add = |name: &str, value: Option<Value>| drop(value.map(|v| cookie.insert(name.into(), v)));
        add("same_site", c.same_site().map(|s| Value::from(s.to_string())));
        add("path", c.path().map(Value::text));
        add("domain", c.domain().map(Value::text));
        add("max_age", c.max_age().map(|age| Value::Int(age.whole_seconds())));
        add("expires", expires(header.to_str().unwrap_or_default()));
        map.insert(c.name().to_string(), cookie.into());
    }
    map.into()
}

/// As the server writes it.
fn expires(header: &str) -> Option<Value> {
    let attributes = header.split(';').skip(1).filter_map(|a| a.split_once('='));
    attributes.into_iter().find(|(k, _)| k.trim().eq_ignore_ascii_case("expires")).map(|(_, v)| Value::text(v.trim()))
}

/// Status line and headers, as evidence shows them.
pub(super) fn head(r: &Response) -> String {
    let mut out = String::with_capacity(512);
    let _ = writeln!(out, "{:?} {}", r.version(), r.status());
    lines(r.headers(), &mut out);
    out
}

pub(super) fn lines(headers: &HeaderMap, out: &mut String) {
    for (name, value) in headers {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
}
