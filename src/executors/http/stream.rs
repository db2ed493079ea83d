//! Reads the messages of a stream. It stays open between two attempts, so that no message is lost.
use super::{
    authentication::Exchange,
    exchange::{TimedResponse, no_response},
    response::{self, Timing},
    response_options::StreamOptions,
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output, Started, limits},
    executors::{error_chain::error_chain, processing::process, received_secrets},
    value::{Map, Value, json},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt, future::ready, stream::BoxStream};
use jiff::Timestamp;
use reqwest::{Response, Upgraded};
use sse_stream::{Sse, SseStream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
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

/// What a message takes in memory beside its data.
const MESSAGE_BYTES: usize = 600;

/// A stream and the messages received so far.
struct OpenStream {
    source: MessageSource,
    /// The fields of the output that no longer change.
    head: Map,
    messages: Vec<Value>,
    /// The last id of a server-sent event, which later events without one keep.
    last_id: Option<String>,
    /// A message that was received and not yet parsed.
    pending: Option<RawMessage>,
    /// The text of the messages, and what they take in memory.
    received_bytes: usize,
    decoded_bytes: usize,
    max_bytes: usize,
    /// Whether the source has ended at the limit.
    is_full: Arc<AtomicBool>,
    cut: bool,
    /// Why messages may be missing.
    missing: Option<String>,
    /// How the stream ended; `null` while it is open.
    closed: Value,
}

type SharedStream = Arc<Mutex<OpenStream>>;

enum MessageSource {
    Events(BoxStream<'static, Result<Sse, sse_stream::Error>>),
    WebSocket(Box<WebSocketStream<Upgraded>>),
}

/// Reads the first messages. `followed`: the fields about redirects.
pub(super) async fn open(
    exchange: &Exchange<'_>,
    timed: TimedResponse,
    options: &StreamOptions,
    followed: Map,
) -> Result<Output, ActionError> {
    let (cx, max_bytes) = (exchange.cx, exchange.options.body_limit);
    let TimedResponse { response, sent_at, first_byte } = timed;
    if let Some(coding) = response::content_codings(response.headers()).into_iter().find(|c| c != "identity") {
        let message = format!("the content coding `{coding}` is not supported in a stream");
        return Err(ActionError::Invalid(message));
    }
    cx.note(EvidenceKind::Response, response::head_text(&response));
    let timing = Timing { first_byte, total: sent_at.elapsed() };
    let reason = "the response is a stream: `messages` has what arrived";
    let mut head = response::output_without_body(&response, timing, reason);
    head.extend(followed);
    let is_full = Arc::new(AtomicBool::new(false));
    let source = match &options.send {
        None => {
            let bytes = up_to(max_bytes, is_full.clone(), response.bytes_stream());
            MessageSource::Events(SseStream::from_bytes_stream(bytes.boxed()).boxed())
        }
        Some(_) => match upgrade(response, max_bytes).await {
            Ok(mut socket) => {
                send_first_messages(cx, options, &mut socket).await?;
                MessageSource::WebSocket(Box::new(socket))
            }
            Err(e) => return Err(no_response(cx, &e, sent_at.elapsed())),
        },
    };
    let mut stream = OpenStream {
        source,
        head,
        messages: vec![],
        last_id: None,
        pending: None,
        received_bytes: 0,
        decoded_bytes: 0,
        max_bytes,
        is_full,
        cut: false,
        missing: None,
        closed: Value::Null,
    };
    stream.receive(cx, options, Instant::now() + options.within, options.count).await;
    let value = stream.output(sent_at.elapsed());
    Ok(Output::new(value, exchange.started).with_cursor(SharedStream::new(Mutex::new(stream))))
}

/// The bytes of a stream up to a limit, since a single event may never end. Sets `is_full` if there are more.
fn up_to<E>(
    max_bytes: usize,
    is_full: Arc<AtomicBool>,
    stream: impl Stream<Item = Result<Bytes, E>>,
) -> impl Stream<Item = Result<Bytes, E>> {
    stream.scan(max_bytes, move |room, chunk| {
        if is_full.load(Ordering::SeqCst) {
            return ready(None);
        }
        let chunk = chunk.map(|bytes| {
            is_full.store(bytes.len() > *room, Ordering::SeqCst);
            bytes.slice(..bytes.len().min(*room))
        });
        *room -= chunk.as_ref().map_or(0, Bytes::len);
        ready(Some(chunk))
    })
}

async fn upgrade(response: Response, max_bytes: usize) -> reqwest::Result<WebSocketStream<Upgraded>> {
    let config = WebSocketConfig::default().max_message_size(Some(max_bytes)).max_frame_size(Some(max_bytes));
    Ok(WebSocketStream::from_raw_socket(response.upgrade().await?, Role::Client, Some(config)).await)
}

async fn send_first_messages(
    cx: &ActionContext<'_>,
    options: &StreamOptions,
    socket: &mut WebSocketStream<Upgraded>,
) -> Result<(), ActionError> {
    for tree in options.send.iter().flatten() {
        let text = cx.render_tree(tree)?.to_string();
        cx.note(EvidenceKind::Note, format!("sent over the WebSocket: {text}"));
        // If the socket is closed, reading from it reports the reason.
        let _ = socket.send(Message::text(text)).await;
    }
    Ok(())
}

/// The next observation: after one more message, or after `pace`. `None`: the stream has ended.
pub(super) async fn next(
    cx: &ActionContext<'_>,
    options: &StreamOptions,
    last: &Output,
    pace: Duration,
) -> Option<Output> {
    let started = Started::now();
    let shared = last.cursor::<SharedStream>()?.clone();
    let mut stream = shared.lock().await;
    if stream.closed != Value::Null {
        return None;
    }
    // The first attempt has sent the request.
    cx.mark_sent();
    if stream.cut {
        // No more messages are read.
        tokio::time::sleep(pace).await;
    }
    let one_more = stream.messages.len() + 1;
    stream.receive(cx, options, Instant::now() + pace, Some(one_more)).await;
    let value = stream.output(started.clock.elapsed());
    drop(stream);
    Some(Output::new(value, started).with_cursor(shared))
}

impl OpenStream {
    /// Receives messages until there are `count`, one of them meets `until`, the stream ends, or the deadline passes.
    async fn receive(
        &mut self,
        cx: &ActionContext<'_>,
        options: &StreamOptions,
        deadline: Instant,
        count: Option<usize>,
    ) {
        let before = self.messages.len();
        while self.closed == Value::Null && !self.cut && count.is_none_or(|n| self.messages.len() < n) {
            match timeout_at(deadline, self.next_message(cx)).await {
                Err(_) => break,
                Ok(Err(_)) if self.is_full.load(Ordering::SeqCst) => self.cut_off(cx),
                Ok(Err(End { closed, broken })) => {
                    self.closed = closed;
                    self.missing = broken.map(|why| format!("the stream broke off: {why}"));
                }
                Ok(Ok(message)) => {
                    let until = options.until.as_ref();
                    let done = until.is_some_and(|e| e.holds(&cx.scope.with("it", message.clone())).unwrap_or(false));
                    self.messages.push(message);
                    let max_decoded = limits::decoded_bytes(self.max_bytes);
                    if self.received_bytes > self.max_bytes || self.decoded_bytes > max_decoded {
                        self.cut_off(cx);
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
            cx.note(EvidenceKind::Note, format!("the stream was closed: {}", self.closed));
        }
    }

    /// Reads no more, because of the limit.
    fn cut_off(&mut self, cx: &ActionContext<'_>) {
        self.cut = true;
        let missing = format!("the stream is longer than {}: the rest was not read", limits::size(self.max_bytes));
        cx.note(EvidenceKind::Note, missing.as_str());
        self.missing = Some(missing);
    }

    async fn next_message(&mut self, cx: &ActionContext<'_>) -> Result<Value, End> {
        let raw = match self.pending.take() {
            Some(raw) => raw,
            None => match &mut self.source {
                MessageSource::Events(events) => next_event(events, &mut self.last_id).await?,
                MessageSource::WebSocket(socket) => next_frame(socket).await?,
            },
        };
        // kept in case that parsing is abandoned at a deadline
        self.pending = Some(raw.clone());
        let (event, id, text) = raw;
        let (size, max_decoded) = (text.len(), limits::decoded_bytes(self.max_bytes));
        let parse = move || {
            let json = text.trim_start().starts_with(['{', '[']).then(|| json::read_within(&text, max_decoded));
            let data = json.and_then(Result::ok).unwrap_or_else(|| Value::Text(text.clone()));
            let secrets = received_secrets::find_in_body(&data, &text);
            (data, secrets)
        };
        let (data, secrets) = process(cx, size, parse).await;
        secrets.add_to(cx);
        self.pending = None;
        self.received_bytes += size;
        self.decoded_bytes += data.memory() + MESSAGE_BYTES;
        Ok(Value::map([
            ("at".into(), Value::Time(Timestamp::now())),
            ("event".into(), event.into()),
            ("id".into(), id.map_or(Value::Null, Value::from)),
            ("data".into(), data),
        ]))
    }

    fn output(&self, total: Duration) -> Map {
        let mut map = self.head.clone();
        if let Some(Value::Map(timing)) = map.get_mut("timing") {
            Arc::make_mut(timing).insert("total".into(), total.into());
        }
        map.insert("cut".into(), self.cut.into());
        let messages = Value::list(self.messages.clone());
        let messages = match &self.missing {
            Some(reason) => Value::partial(messages, reason),
            None => messages,
        };
        map.insert("messages".into(), messages);
        map.insert("closed".into(), self.closed.clone());
        map
    }
}

/// The name of the event, its id and its text.
type RawMessage = (String, Option<String>, Arc<str>);

async fn next_event(
    events: &mut BoxStream<'static, Result<Sse, sse_stream::Error>>,
    last_id: &mut Option<String>,
) -> Result<RawMessage, End> {
    loop {
        match events.next().await {
            None => return Err(End::closed(None, "the server ended the stream".into())),
            Some(Err(e)) => return Err(End::broken(error_chain(&e))),
            Some(Ok(Sse { event, id, data, .. })) => {
                if id.is_some() {
                    *last_id = id.filter(|id| !id.is_empty());
                }
                // By the specification, an event without data is ignored, but its id counts.
                if let Some(data) = data {
                    return Ok((event.unwrap_or_else(|| "message".into()), last_id.clone(), data.into()));
                }
            }
        }
    }
}

async fn next_frame(socket: &mut WebSocketStream<Upgraded>) -> Result<RawMessage, End> {
    loop {
        match socket.next().await {
            None => return Err(End::closed(None, "the server closed the connection".into())),
            Some(Err(e)) => return Err(End::broken(e.to_string())),
            Some(Ok(Message::Text(text))) => return Ok(("text".into(), None, text.as_str().into())),
            Some(Ok(Message::Binary(bytes))) => return Ok(("binary".into(), None, STANDARD.encode(bytes).into())),
            Some(Ok(Message::Close(frame))) => {
                let code = frame.as_ref().map(|f| u16::from(f.code).into());
                return Err(End::closed(code, frame.map_or(String::new(), |f| f.reason.to_string())));
            }
            // The library answers pings.
            Some(Ok(_)) => {}
        }
    }
}

/// How a stream ended.
struct End {
    closed: Value,
    /// Why it ended, if the server did not end it.
    broken: Option<String>,
}

impl End {
    fn closed(code: Option<i64>, reason: String) -> End {
        let code = code.map_or(Value::Null, Value::Int);
        End { closed: Value::map([("code".into(), code), ("reason".into(), reason.into())]), broken: None }
    }

    fn broken(reason: String) -> End {
        End { broken: Some(reason.clone()), ..End::closed(None, reason) }
    }
}
