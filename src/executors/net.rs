//! What the verbs that speak HTTP share.
use crate::value::{Map, Value, json};
use encoding_rs::{Encoding, UTF_8};
use http::HeaderMap;
use reqwest::Url;
use rustls::crypto::{CryptoProvider, ring};
use std::net::IpAddr;

/// Installs the TLS provider of the process, unless there is one. Without it, HTTP clients panic.
pub fn install_tls_provider() {
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default();
    }
}

/// Whether the host of a URL is this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Headers by name, which is looked up without regard to case. Repeated ones are joined by `, `.
pub fn joined_headers(headers: &HeaderMap) -> Value {
    let all = headers.keys().map(|name| {
        let values: Vec<_> = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        (name.as_str().to_string(), Value::from(values.join(", ")))
    });
    Value::from(all.collect::<Map>().any_case(true))
}

/// The JSON of a body whose content type says JSON, or which begins like an object or a list; its values take at most
/// `max_decoded` bytes in memory. Otherwise unset with the reason.
pub fn json_body(content_type: &str, bytes: &[u8], max_decoded: usize) -> Value {
    if first_byte(bytes).is_none() {
        return Value::unset("the body is empty");
    }
    if !is_meant_as_json(content_type, bytes) {
        let found = if content_type.is_empty() { "it has no content type" } else { content_type };
        return Value::unset(format!("the body is not JSON ({found}): `text` has it"));
    }
    json::read_bytes(bytes, charset(content_type), max_decoded).unwrap_or_else(|e| match e.is_too_large {
        true => Value::unset(format!("the body was not read as JSON: {e}; raise `limit` if it has to be this large")),
        false => Value::unset(format!("the body is invalid JSON: {e}")),
    })
}

/// Whether the content type says JSON, or the body begins like an object or a list.
pub fn is_meant_as_json(content_type: &str, bytes: &[u8]) -> bool {
    let first = first_byte(bytes);
    first.is_some() && (content_type.to_ascii_lowercase().contains("json") || matches!(first, Some(b'{' | b'[')))
}

/// The first byte that is neither white space nor part of a byte order mark or of a wide character.
fn first_byte(bytes: &[u8]) -> Option<u8> {
    let unmarked = Encoding::for_bom(bytes).map_or(bytes, |(_, mark)| &bytes[mark..]);
    unmarked.iter().copied().find(|b| *b != 0 && !b.is_ascii_whitespace())
}

/// Decodes in the character set of the content type, by default UTF-8. Invalid sequences become `�`; then also why the
/// text is not what was sent.
pub fn decode_text(content_type: &str, bytes: Vec<u8>) -> (String, Option<String>) {
    let encoding = charset(content_type).unwrap_or(UTF_8);
    let (text, invalid) = match String::from_utf8(bytes) {
        Ok(text) if encoding == UTF_8 => (text, false),
        other => {
            let bytes = other.map_or_else(std::string::FromUtf8Error::into_bytes, String::into_bytes);
            let (text, _, invalid) = encoding.decode(&bytes);
            (text.into_owned(), invalid)
        }
    };
    (text, invalid.then(|| format!("the body has bytes that are not {}", encoding.name())))
}

/// A decoded text as a value: partial if it is not what was sent.
pub fn readable((text, problem): (String, Option<String>)) -> Value {
    match problem {
        None => Value::from(text),
        Some(reason) => Value::partial(text.into(), reason),
    }
}

fn charset(content_type: &str) -> Option<&'static Encoding> {
    let mut parameters = content_type.split(';').skip(1).filter_map(|p| p.split_once('='));
    let (_, label) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Encoding::for_label(label.trim().trim_matches('"').as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_its_json_or_the_reason_why_not() {
        let reason = |content_type: &str, bytes: &[u8]| match json_body(content_type, bytes, usize::MAX) {
            Value::Unset(reason) => reason.to_string(),
            other => panic!("{other}"),
        };
        assert_eq!(reason("application/json", b"\xef\xbb\xbf "), "the body is empty");
        assert!(reason("text/html", b"<p>").starts_with("the body is not JSON (text/html)"));
        assert!(reason("text/plain", b"{\"a\":1,\"a\":2}").contains("duplicate key `a`"));
        let latin1 = json_body("application/json; charset=ISO-8859-1", b"\"\xe9\"", usize::MAX);
        assert_eq!(latin1, Value::text("é"));
        let utf16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(json_body("", &utf16, usize::MAX).get("a"), Some(&Value::Int(1)));
    }
}
