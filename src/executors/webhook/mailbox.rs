//! One box: stores the deliveries that it receives, and chooses the reply to each.
use super::{
    arrivals::ArrivedBody,
    filter,
    replies::{Reply, ReplyKind},
    signature::{Signature, SignatureError, SignedBytes},
};
use crate::{
    address::Address,
    executor::{Started, limits::size},
    executors::net::{decode_text, is_meant_as_json, joined_headers, json_body, readable},
    expr::{EvalError, Expression, Scope},
    value::{Map, Value},
};
use axum::http::{HeaderMap, header::CONTENT_TYPE};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Instant};
use tokio::sync::watch;

/// The fields that an expression for the id of a delivery may read.
pub(super) const READABLE_FIELDS: [&str; 5] = ["method", "path", "headers", "body", "text"];

/// What a delivery takes in memory beside its request: further fields.
const DELIVERY_BYTES: usize = 1024;
/// What its headers take once more, for its signature.
const HEADERS_BYTES: usize = 2048;

pub(super) struct Mailbox {
    /// The action that opened it.
    pub opened_by: Address,
    /// Its segment of the URL path.
    pub path: String,
    replies: Vec<Reply>,
    filter: Option<Value>,
    /// The id of a delivery. `None`: all deliveries are attempts of one.
    id: Option<Expression>,
    /// Whether signatures can be verified, for which headers and bytes are kept.
    is_signed: bool,
    /// How many bytes of memory the deliveries may take.
    limit: usize,
    state: Mutex<MailboxState>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct MailboxState {
    deliveries: Vec<Arc<Delivery>>,
    /// What they take in memory.
    bytes: usize,
    /// How many deliveries were not kept, because of the limit.
    dropped: usize,
    /// How many deliveries did not match the filter.
    ignored: usize,
    /// Why the last delivery that may match the filter, or may not, could not be read.
    undecided: Option<Arc<str>>,
    /// How many of `replies` have been used.
    replied: usize,
    /// By the id of the delivery.
    attempts: HashMap<String, Attempts>,
}

/// The attempts to deliver one id.
struct Attempts {
    count: i64,
    last: Instant,
    first_digest: Value,
}

/// A request to a box, before the filter.
pub(super) struct Incoming {
    pub arrived: Started,
    pub method: String,
    /// The rest of the path behind that of the box, with the query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: ArrivedBody,
}

pub(super) struct Delivery {
    at: Timestamp,
    /// For its signature.
    signed: Option<(HeaderMap, RawBody)>,
    /// As it was given out last, so that outputs share it.
    value: Mutex<Value>,
}

/// The bytes of a body, which signatures are about.
enum RawBody {
    /// Those of the field `text`.
    Text(Arc<str>),
    Bytes(Vec<u8>),
    TooLarge,
}

impl RawBody {
    /// The field `text` of a body and, if it is `is_signed`, its bytes. Copies them only where the text may differ.
    fn of(raw: Option<Vec<u8>>, content_type: &str, is_signed: bool) -> (Value, RawBody) {
        let Some(raw) = raw else { return (too_large(), RawBody::TooLarge) };
        let may_differ = content_type.to_ascii_lowercase().contains("charset") || std::str::from_utf8(&raw).is_err();
        let copy = if is_signed && may_differ { raw.clone() } else { vec![] };
        let text = readable(decode_text(content_type, raw));
        let raw = match &text {
            Value::Text(text) if !is_signed || !may_differ || text.as_bytes() == copy => RawBody::Text(text.clone()),
            _ => RawBody::Bytes(copy),
        };
        (text, raw)
    }
}

fn too_large() -> Value {
    Value::unset("the body is larger than a box accepts")
}

/// The deliveries of a box so far.
pub(super) struct Deliveries {
    /// In the order of their arrival.
    pub kept: Vec<Arc<Delivery>>,
    /// How many did not match the filter.
    pub ignored: usize,
    /// Why there may be more.
    pub missing: Option<String>,
}

impl Mailbox {
    pub fn new(
        opened_by: Address,
        path: String,
        replies: Vec<Reply>,
        filter: Option<Value>,
        id: Option<Expression>,
        is_signed: bool,
        limit: usize,
    ) -> Mailbox {
        let (state, count) = (Mutex::default(), watch::Sender::new(0));
        Mailbox { opened_by, path, replies, filter, id, is_signed, limit, state, count }
    }

    /// How large the body of the next delivery may be, unless its content is read or kept.
    pub fn room(&self) -> usize {
        let is_read = self.filter.is_some() || self.id.is_some();
        if is_read { usize::MAX } else { self.limit.saturating_sub(self.bytes()) }
    }

    /// Stores a delivery and returns its reply.
    pub fn receive(&self, incoming: Incoming) -> Reply {
        let Incoming { arrived, method, path, headers, body } = incoming;
        let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let is_full = matches!(body, ArrivedBody::NotKept { .. });
        let (raw, digest) = match body {
            ArrivedBody::Whole { bytes, digest } => (Some(bytes), hex::encode(digest).into()),
            ArrivedBody::NotKept { digest } => (None, hex::encode(digest).into()),
            ArrivedBody::TooLarge => (None, too_large()),
        };
        let is_complete = !matches!(digest, Value::Unset(_));
        let body = raw.as_ref().map_or_else(too_large, |raw| json_body(content_type, raw, self.limit));
        let is_readable = |raw: &Vec<u8>| !matches!(body, Value::Unset(_)) || !is_meant_as_json(content_type, raw);
        let is_readable = raw.as_ref().is_some_and(is_readable);
        let (text, raw) = RawBody::of(raw, content_type, self.is_signed);
        let delivery = Value::map([
            ("at".into(), Value::Time(arrived.at)),
            ("method".into(), Value::from(method)),
            ("path".into(), Value::from(path)),
            ("headers".into(), joined_headers(&headers)),
            ("body".into(), body),
            ("text".into(), text),
            ("digest".into(), digest.clone()),
        ]);
        let mut state = self.state.lock();
        match self.filter.as_ref().map_or(Ok(true), |pattern| filter::matches(pattern, &delivery)) {
            Ok(true) => {}
            Err(reason) if !is_readable => {
                state.undecided = Some(reason);
                return if is_complete { Reply::default() } else { too_large_reply() };
            }
            // A body that is not meant as JSON has no entry that could match.
            Ok(false) | Err(_) => {
                state.ignored += 1;
                return Reply::default();
            }
        }
        let id = match self.id.as_ref().map(|e| e.eval(&Scope::default().with_all(&delivery))) {
            Some(Ok(id)) => id,
            Some(Err(EvalError::NotObserved(reason) | EvalError::Incomplete(reason))) => Value::Unset(reason),
            Some(Err(_)) | None => Value::Null,
        };
        let mut fields = delivery.as_map().cloned().unwrap_or_default();
        state.count_attempt(id, digest, arrived.clock, &mut fields);
        let reply = match is_complete {
            false => too_large_reply(),
            true => {
                let last = self.replies.len().saturating_sub(1);
                let reply = self.replies.get(state.replied.min(last)).cloned().unwrap_or_default();
                state.replied += 1;
                reply
            }
        };
        fields.insert("replied".into(), reply.value());
        fields.insert("signature".into(), signature_value(&Err(SignatureError::NotVerified)));
        let raw_bytes = if let RawBody::Bytes(bytes) = &raw { bytes.len() } else { 0 };
        let signed_bytes = if self.is_signed { raw_bytes + HEADERS_BYTES } else { 0 };
        let memory = delivery.memory() + signed_bytes + DELIVERY_BYTES;
        if is_full || state.bytes.saturating_add(memory) > self.limit {
            state.dropped += 1;
            return reply;
        }
        state.bytes += memory;
        let signed = self.is_signed.then_some((headers, raw));
        state.deliveries.push(Arc::new(Delivery { at: arrived.at, signed, value: Mutex::new(fields.into()) }));
        // Under the lock, so that a waiting task finds the new delivery.
        self.count.send_replace(state.deliveries.len());
        reply
    }

    pub fn deliveries(&self) -> Deliveries {
        let state = self.state.lock();
        let undecided = state
            .undecided
            .as_ref()
            .map(|reason| format!("one more delivery may be among those that `about` selects: {reason}"));
        let dropped = (state.dropped > 0).then(|| {
            let (dropped, limit) = (state.dropped, size(self.limit));
            format!(
                "{dropped} more were not kept: the deliveries of the box take more than {limit} of memory (`limit`)"
            )
        });
        let missing = undecided.into_iter().chain(dropped).reduce(|all, reason| format!("{all}; {reason}"));
        Deliveries { kept: state.deliveries.clone(), ignored: state.ignored, missing }
    }

    /// What the kept deliveries take in memory.
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    pub async fn wait_for_more_than(&self, known: usize) {
        // Fails only if the sender is dropped, which `self` owns.
        let _ = self.count.subscribe().wait_for(|n| *n > known).await;
    }
}

/// The field `signature`.
fn signature_value(verified: &Result<(), SignatureError>) -> Value {
    let why = verified.as_ref().err().map_or(Value::Null, |e| e.code().into());
    Value::map([("valid".into(), verified.is_ok().into()), ("why".into(), why)])
}

fn too_large_reply() -> Reply {
    Reply { kind: ReplyKind::Status(413), ..Reply::default() }
}

impl MailboxState {
    /// Sets `id`, `attempt`, `gap` and `same_bytes`.
    fn count_attempt(&mut self, id: Value, digest: Value, arrived: Instant, fields: &mut Map) {
        if let Some(reason) = id.incomplete() {
            // it may be an attempt of any delivery
            let unknown = ["id", "attempt", "gap", "same_bytes"].map(|name| (name, Value::Unset(reason.clone())));
            return unknown.into_iter().for_each(|(name, value)| drop(fields.insert(name.into(), value)));
        }
        let key = identity(&id);
        let before = self.attempts.get(&key);
        let attempt = before.map_or(1, |b| b.count + 1);
        let gap = before.map_or(Value::Null, |b| arrived.saturating_duration_since(b.last).into());
        let first_digest = before.map_or_else(|| digest.clone(), |b| b.first_digest.clone());
        let same = match (&digest, &first_digest) {
            (Value::Unset(_), _) => digest.clone(),
            (_, Value::Unset(_)) => first_digest.clone(),
            _ => Value::Bool(digest == first_digest),
        };
        self.attempts.insert(key, Attempts { count: attempt, last: arrived, first_digest });
        fields.insert("id".into(), id);
        fields.insert("attempt".into(), attempt.into());
        fields.insert("gap".into(), gap);
        fields.insert("same_bytes".into(), same);
    }
}

/// A text that is the same for equal ids only: numbers by decimal value, and `1` is not `"1"`.
fn identity(id: &Value) -> String {
    match id.decimal() {
        Some(number) => format!("{number:?}"),
        None => format!("{} {}", id.kind(), id.json_text()),
    }
}

impl Delivery {
    pub fn verify(&self, signature: &Signature, key: &[u8]) -> Result<(), SignatureError> {
        let (headers, raw) = match &self.signed {
            Some((headers, RawBody::Text(text))) => (headers, text.as_bytes()),
            Some((headers, RawBody::Bytes(bytes))) => (headers, &bytes[..]),
            Some((_, RawBody::TooLarge)) => return Err(SignatureError::TooLarge),
            None => return Err(SignatureError::NotVerified),
        };
        signature.verify(&SignedBytes { headers, raw, arrived: self.at }, key)
    }

    /// The delivery in the output of `received`.
    pub fn value(&self, verified: &Result<(), SignatureError>) -> Value {
        let signature = signature_value(verified);
        let mut value = self.value.lock();
        if value.get("signature") != Some(&signature) {
            let mut fields = value.as_map().cloned().unwrap_or_default();
            fields.insert("signature".into(), signature);
            *value = Value::from(fields);
        }
        value.clone()
    }
}
