//! Requests a stream, and recognises it in the response: server-sent events (WHATWG HTML, 9.2) or WebSocket (RFC 6455).
use super::response_options::StreamOptions;
use crate::{event::EvidenceKind, executor::ActionContext};
use reqwest::{
    Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

/// Sets the headers that request a stream. Returns the key of a WebSocket handshake.
pub(super) fn request_stream(options: &StreamOptions, headers: &mut HeaderMap) -> Option<String> {
    // a stream is not decoded
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    if options.send.is_none() {
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
        return None;
    }
    let key = generate_key();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_str(&key).ok()?);
    Some(key)
}

/// Whether the response is the requested stream: a WebSocket if there is a `key`, else server-sent events.
pub(super) fn is_stream(cx: &ActionContext<'_>, key: Option<&str>, response: &Response) -> bool {
    let headers = response.headers();
    let Some(key) = key else {
        let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let is_events = content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
        return response.status().is_success() && is_events;
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return false;
    }
    let accepted = derive_accept_key(key.as_bytes());
    let matches = headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|v| v.as_bytes() == accepted.as_bytes());
    if !matches {
        cx.note(EvidenceKind::Note, "not a WebSocket: `Sec-WebSocket-Accept` does not match the key");
    }
    matches
}
