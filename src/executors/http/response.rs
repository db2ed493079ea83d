//! A response as data: status, headers, cookies, body. Reads and decodes bodies.
use super::connect_error::reasons;
use crate::{
    executor::{ActionError, Started},
    value::{Map, Value},
};
use cookie_store::RawCookie;
use encoding_rs::{Encoding, UTF_8};
use percent_encoding::percent_decode_str;
use reqwest::{
    Response,
    header::{CONTENT_TYPE, HeaderMap, SET_COOKIE},
};
use std::{fmt::Write, time::Duration};

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
    pub json: Value,
    pub text: String,
    /// Whether the body was longer than the limit.
    pub cut: bool,
}

impl ReadBody {
    pub fn empty() -> ReadBody {
        ReadBody { json: Value::Null, text: String::new(), cut: false }
    }

    /// Reads at most `limit` bytes.
    pub async fn read(response: &mut Response, limit: usize) -> Result<ReadBody, reqwest::Error> {
        let (bytes, cut) = read_bytes(response, limit).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        Ok(ReadBody { json: parse_json(content_type, &bytes), text: decode_text(content_type, bytes), cut })
    }
}

/// The output when no response arrived.
pub(super) fn no_response(fields: &[&str]) -> Value {
    Value::map(fields.iter().map(|&field| {
        let value = match field {
            "answered" | "cut" => Value::Bool(false),
            "headers" | "cookies" => Value::from(Map::new()),
            "text" => Value::text(""),
            "timing" => timing_value(None),
            "redirects" | "messages" => Value::list(vec![]),
            _ => Value::Null,
        };
        (field.to_string(), value)
    }))
}

pub(super) fn output(response: &Response, body: ReadBody, timing: Timing) -> Map {
    Map::from_iter([
        ("answered".into(), true.into()),
        ("status".into(), Value::Int(response.status().as_u16().into())),
        ("headers".into(), headers_value(response.headers())),
        ("cookies".into(), cookies_value(response.headers())),
        ("body".into(), body.json),
        ("text".into(), Value::from(body.text)),
        ("cut".into(), body.cut.into()),
        ("timing".into(), timing_value(Some(timing))),
    ])
}

fn timing_value(timing: Option<Timing>) -> Value {
    let or_null = |d: Option<Duration>| d.map_or(Value::Null, Value::from);
    Value::map([
        ("first_byte".into(), or_null(timing.map(|t| t.first_byte))),
        ("total".into(), or_null(timing.map(|t| t.total))),
    ])
}

/// Reads a response that is not the output of an action. An incomplete one is an error.
pub(super) async fn read_auxiliary(mut response: Response, started: Started) -> Result<Value, ActionError> {
    let url = response.url().clone();
    let body = ReadBody::read(&mut response, DEFAULT_BODY_BYTES).await;
    let body =
        body.map_err(|e| ActionError::Unreachable(format!("no complete response from {url}: {}", reasons(&e))))?;
    let total = started.clock.elapsed();
    Ok(output(&response, body, Timing { first_byte: total, total }).into())
}

/// The bytes, and whether there were more than `limit`.
async fn read_bytes(response: &mut Response, limit: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let announced = response.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(limit));
    let mut bytes = Vec::with_capacity(announced.min(limit).min(DEFAULT_BODY_BYTES));
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

/// Parses a body whose content type says JSON, or which begins like an object or a list. `null` for any other.
fn parse_json(content_type: &str, bytes: &[u8]) -> Value {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    if !content_type.to_ascii_lowercase().contains("json") && !matches!(first, Some(b'{' | b'[')) {
        return Value::Null;
    }
    serde_json::from_slice::<serde_json::Value>(bytes).map_or(Value::Null, Value::from)
}

/// Decodes in the character set of the content type, by default UTF-8. Invalid sequences become `�`.
fn decode_text(content_type: &str, bytes: Vec<u8>) -> String {
    let parameters = content_type.split(';').skip(1).filter_map(|p| p.split_once('='));
    let charset = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    match charset.map(|(_, label)| label.trim().trim_matches('"')) {
        Some(label) if !label.eq_ignore_ascii_case("utf-8") => {
            Encoding::for_label(label.as_bytes()).unwrap_or(UTF_8).decode(&bytes).0.into_owned()
        }
        _ => String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
    }
}

/// By lower-case name. Repeated headers are joined by `, `.
fn headers_value(headers: &HeaderMap) -> Value {
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

/// The cookies of `Set-Cookie` by name: the value as received and decoded, and the attributes.
fn cookies_value(headers: &HeaderMap) -> Value {
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

/// The attribute `Expires` as the server wrote it.
fn expires(header: &str) -> Option<Value> {
    let attributes = header.split(';').skip(1).filter_map(|a| a.split_once('='));
    attributes.into_iter().find(|(k, _)| k.trim().eq_ignore_ascii_case("expires")).map(|(_, v)| Value::text(v.trim()))
}

/// Status line and headers, for evidence.
pub(super) fn head_text(r: &Response) -> String {
    let mut out = String::with_capacity(512);
    let _ = writeln!(out, "{:?} {}", r.version(), r.status());
    write_headers(r.headers(), &mut out);
    out
}

pub(super) fn write_headers(headers: &HeaderMap, out: &mut String) {
    for (name, value) in headers {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
}
