//! What comes one after the other: server-sent events (WHATWG HTML, 9.2) and the messages of a WebSocket (RFC 6455). A stream stays
//! open between two looks, so that the next one misses nothing.
use super::{
    answer::{self, Read, Timing},
    exchange::{self, Arrived},
    reading::{Reading, Watch},
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output, Started},
    executors::error_chain::error_chain,
    value::{Map, Value},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{SinkExt, StreamExt, stream::BoxStream};
use jiff::Timestamp;
use reqwest::{
    Response, StatusCode, Upgraded,
    header::{
        ACCEPT, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use sha1::{Digest, Sha1};
use sse_stream::{Sse, SseStream};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

/// More are not kept.
const MOST: usize = 10_000;
/// RFC 6455, 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// An open stream, and what has come so far.
pub(super) struct Open {
    feed: Feed,
    /// The output without what changes.
    head: Map,
    messages: Vec<Value>,
    size: usize,
    limit: usize,
    cut: bool,
    closed: Value,
}

pub(super) type Shared = Arc<Mutex<Open>>;

enum Feed {
    Events(BoxStream<'static, Result<Sse, sse_stream::Error>>),
    Socket(Box<WebSocketStream<Upgraded>>),
}

/// Asks for a stream of the kind that is wanted. The key of a WebSocket's handshake.
pub(super) fn handshake(reading: &Reading, headers: &mut HeaderMap) -> Option<String> {
    let watch = reading.stream.as_ref()?;
    if watch.send.is_none() {
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
        return None;
    }
    let key = STANDARD.encode(uuid::Uuid::new_v4().as_bytes());
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_str(&key).ok()?);
    Some(key)
}

/// Whether the answer is the stream that was asked for. Another answer is read as any other.
pub(super) fn begins<'r>(
    reading: &'r Reading,
    key: Option<&str>,
    response: &Response,
    cx: &ActionContext<'_>,
) -> Option<&'r Watch> {
    let watch = reading.stream.as_ref()?;
    let headers = response.headers();
    let begins = match key {
        None => {
            let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            response.status().is_success() && kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
        }
        Some(key) => {
            let accept = STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
            let agreed = headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|v| v.as_bytes() == accept.as_bytes());
            if response.status() == StatusCode::SWITCHING_PROTOCOLS && !agreed {
                cx.note(EvidenceKind::Note, "`Sec-WebSocket-Accept` does not answer the key: this is no WebSocket");
            }
            response.status() == StatusCode::SWITCHING_PROTOCOLS && agreed
        }
    };
    begins.then_some(watch)
}

pub(super) async fn open(
    cx: &ActionContext<'_>,
    arrived: Arrived,
    watch: &Watch,
    reading: &Reading,
    finish: impl FnOnce(Map) -> Map,
    started: Started,
) -> Result<Output, ActionError> {
    let Arrived { response, sent, first_byte } = arrived;
    cx.note(EvidenceKind::Response, answer::head(&response));
    let timing = Timing { first_byte, total: sent.elapsed() };
    let head = finish(answer::output(&response, Read::nothing(), timing));
    let feed = match &watch.send {
        None => Feed::Events(SseStream::from_bytes_stream(Box::pin(response.bytes_stream())).boxed()),
        Some(first) => {
            let upgraded = match response.upgrade().await {
                Ok(upgraded) => upgraded,
                Err(e) => {
                    exchange::unanswered(cx, &e);
                    return Ok(Output::new(answer::silence(reading.fields()), started));
                }
            };
            let config =
                WebSocketConfig::default().max_message_size(Some(reading.limit)).max_frame_size(Some(reading.limit));
            let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
            for tree in first {
                let text = cx.render_tree(tree)?.to_string();
                cx.note(EvidenceKind::Note, format!("sent over the WebSocket: {text}"));
                // if it is closed, reading says so
                let _ = socket.send(Message::text(text)).await;
            }
            Feed::Socket(Box::new(socket))
        }
    };
    let mut open =
        Open { feed, head, messages: vec![], size: 0, limit: reading.limit, cut: false, closed: Value::Null };
    open.gather(cx, watch, Instant::now() + watch.within, watch.count).await;
    let value = open.value(sent.elapsed());
    Ok(Output::new(value, started).with_cursor(Shared::new(Mutex::new(open))))
}

/// The next look: one message more, or `pace`. `None`: the stream is over.
pub(super) async fn next(cx: &ActionContext<'_>, watch: &Watch, last: &Output, pace: Duration) -> Option<Output> {
    let started = Started::now();
    let shared = last.cursor::<Shared>()?.clone();
    let mut open = shared.lock().await;
    if open.closed != Value::Null {
        return None;
    }
    // the server was asked long ago
    cx.mark_sent();
    let one_more = Some(open.messages.len() + 1);
    open.gather(cx, watch, Instant::now() + pace, one_more).await;
    let value = open.value(started.clock.elapsed());
    drop(open);
    Some(Output::new(value, started).with_cursor(shared))
}

impl Open {
    /// Takes messages until there are `enough`, one is that which is waited for, it is over, or the time is.
    async fn gather(&mut self, cx: &ActionContext<'_>, watch: &Watch, deadline: Instant, enough: Option<usize>) {
        let before = self.messages.len();
        while self.closed == Value::Null && !self.cut && enough.is_none_or(|n| self.messages.len() < n) {
            match timeout_at(deadline, self.take()).await {
                Err(_) => break,
                Ok(Err(closed)) => self.closed = closed,
                Ok(Ok(message)) => {
                    let done = watch
                        .until
                        .as_ref()
                        .is_some_and(|e| e.holds(&cx.scope.with("it", message.clone())).unwrap_or(false));
                    self.messages.push(message);
                    if self.messages.len() == MOST || self.size > self.limit {
                        self.cut = true;
                        cx.note(EvidenceKind::Note, "more came than is kept: the rest of the stream was not read");
                    }
                    if done {
                        break;
                    }
                }
            }
        }
        let new = self.messages[before..].iter().map(|m| m.to_string() + "\n").collect::<String>();
        if !new.is_empty() {
            cx.note(EvidenceKind::Response, new);
        }
        if self.closed != Value::Null {
            cx.note(EvidenceKind::Note, format!("the stream is over: {}", self.closed));
        }
    }

    /// The next message; `Err`: how it ended.
    async fn take(&mut self) -> Result<Value, Value> {
        let over = |code: Option<i64>, reason: String| {
            Value::map([("code".into(), code.map_or(Value::Null, Value::Int)), ("reason".into(), reason.into())])
        };
        loop {
            let (event, id, text) = match &mut self.feed {
                Feed::Events(stream) => match stream.next().await {
                    None => return Err(over(None, "the server ended it".into())),
                    Some(Err(e)) => return Err(over(None, error_chain(&e))),
                    // by the specification what has no data is no event
                    Some(Ok(Sse { data: None, .. })) => continue,
                    Some(Ok(Sse { event, id, data: Some(data), .. })) => {
                        (event.unwrap_or_else(|| "message".into()), id, data)
                    }
                },
                Feed::Socket(socket) => match socket.next().await {
                    None => return Err(over(None, "the server closed the connection".into())),
                    Some(Err(e)) => return Err(over(None, e.to_string())),
                    Some(Ok(Message::Text(text))) => ("text".into(), None, text.to_string()),
                    Some(Ok(Message::Binary(bytes))) => ("binary".into(), None, STANDARD.encode(bytes)),
                    Some(Ok(Message::Close(frame))) => {
                        let code = frame.as_ref().map(|f| u16::from(f.code).into());
                        return Err(over(code, frame.map_or(String::new(), |f| f.reason.to_string())));
                    }
                    // pings are answered by the library
                    Some(Ok(_)) => continue,
                },
            };
            self.size += text.len();
            let json = text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(&text).ok()).flatten();
            let data = json.map_or_else(|| Value::text(&text), |j: serde_json::Value| Value::from(j));
            return Ok(Value::map([
                ("at".into(), Value::Time(Timestamp::now())),
                ("event".into(), event.into()),
                ("id".into(), id.map_or(Value::Null, Value::from)),
                ("data".into(), data),
            ]));
        }
    }

    fn value(&self, total: Duration) -> Map {
        let mut map = self.head.clone();
        if let Some(Value::Map(timing)) = map.get_mut("timing") {
            Arc::make_mut(timing).insert("total".into(), total.into());
        }
        map.insert("cut".into(), self.cut.into());
        map.insert("messages".into(), Value::list(self.messages.clone()));
        map.insert("closed".into(), self.closed.clone());
        map
    }
}
