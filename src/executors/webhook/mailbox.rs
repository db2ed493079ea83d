//! One box: what it received, and what it says next. Knows no socket and no plan.
use super::{
    picture,
    script::{Answer, Reply},
    signature::{Refusal, Sent, Signature},
};
use crate::{
    address::Address,
    executor::Started,
    expr::{Expression, Scope},
    value::{Map, Value},
};
use axum::{body::Bytes, http::HeaderMap};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::sync::watch;

/// What an expression for the id of a delivery may read.
pub(super) const READABLE: [&str; 5] = ["method", "path", "headers", "body", "text"];

pub(super) struct Mailbox {
    /// The action that opened it.
    pub by: Address,
    /// The segment of a path that is its own.
    pub path: String,
    script: Vec<Reply>,
    about: Option<Value>,
    /// Where a delivery says which one it is. Without it all are taken for one.
    id: Option<Expression>,
    held: Mutex<Held>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Held {
    deliveries: Vec<Arc<Delivery>>,
    others: usize,
    answered: usize,
    /// By id.
    attempts: HashMap<String, Attempts>,
}

/// How often what has one id was delivered.
struct Attempts {
    count: i64,
    last: Instant,
    first_digest: Value,
}

/// What came, before it is known whether it counts.
pub(super) struct Incoming {
    pub arrived: Started,
    pub method: String,
    /// What stands behind the box's own path, with the query.
    pub path: String,
    pub headers: HeaderMap,
    /// `None`: it was larger than a box takes.
    pub raw: Option<Bytes>,
}

pub(super) struct Delivery {
    at: Timestamp,
    fields: Map,
    headers: HeaderMap,
    raw: Option<Bytes>,
}

impl Mailbox {
    pub fn new(by: Address, path: String, script: Vec<Reply>, about: Option<Value>, id: Option<Expression>) -> Mailbox {
        let (held, count) = (Mutex::default(), watch::Sender::new(0));
        Mailbox { by, path, script, about, id, held, count }
    }

    /// Keeps a delivery and says how it is answered.
    pub fn receive(&self, incoming: Incoming) -> Reply {
        let Incoming { arrived, method, path, headers, raw } = incoming;
        let bytes = raw.as_deref().unwrap_or_default();
        let digest = raw.as_ref().map_or(Value::Null, |raw| hex::encode(Sha256::digest(raw)).into());
        let seen = Value::map([
            ("at".into(), Value::Time(arrived.at)),
            ("method".into(), Value::from(method)),
            ("path".into(), Value::from(path)),
            ("headers".into(), joined(&headers)),
            ("body".into(), serde_json::from_slice::<serde_json::Value>(bytes).map_or(Value::Null, Value::from)),
            ("text".into(), Value::text(String::from_utf8_lossy(bytes))),
            ("digest".into(), digest.clone()),
        ]);
        let id = self.id.as_ref().and_then(|e| e.eval(&Scope::default().with_all(&seen)).ok()).unwrap_or(Value::Null);
        let mut held = self.held.lock().unwrap_or_else(|e| e.into_inner());
        if self.about.as_ref().is_some_and(|about| !picture::shows(about, &seen)) {
            held.others += 1;
            return Reply::default();
        }
        let mut fields = seen.as_map().cloned().unwrap_or_default();
        held.count(id, digest, arrived.clock, &mut fields);
        let reply = match raw {
            None => Reply { answer: Answer::Status(413), ..Reply::default() },
            Some(_) => {
                held.answered += 1;
                let last = self.script.len().saturating_sub(1);
                self.script.get((held.answered - 1).min(last)).cloned().unwrap_or_default()
            }
        };
        fields.insert("replied".into(), reply.shown());
        held.deliveries.push(Arc::new(Delivery { at: arrived.at, fields, headers, raw }));
        // while the lock is held, so that who is woken finds what woke them
        self.count.send_replace(held.deliveries.len());
        reply
    }

    /// All that count, in the order of their coming, and how many others there were.
    pub fn all(&self) -> (Vec<Arc<Delivery>>, usize) {
        let held = self.held.lock().unwrap_or_else(|e| e.into_inner());
        (held.deliveries.clone(), held.others)
    }

    /// Returns when there are more than `seen`; at once if there are.
    pub async fn more_than(&self, seen: usize) {
        // fails only when the sender is gone, and that is ours
        let _ = self.count.subscribe().wait_for(|n| *n > seen).await;
    }
}

impl Held {
    /// Which attempt it is, how long after the one before, and whether in the bytes of the first.
    fn count(&mut self, id: Value, digest: Value, arrived: Instant, fields: &mut Map) {
        let before = self.attempts.get(&id.to_json().to_string());
        let attempt = before.map_or(1, |b| b.count + 1);
        let gap = before.map_or(Value::Null, |b| arrived.saturating_duration_since(b.last).into());
        let first_digest = before.map_or_else(|| digest.clone(), |b| b.first_digest.clone());
        let same = digest != Value::Null && digest == first_digest;
        self.attempts.insert(id.to_json().to_string(), Attempts { count: attempt, last: arrived, first_digest });
        fields.insert("id".into(), id);
        fields.insert("attempt".into(), attempt.into());
        fields.insert("gap".into(), gap);
        fields.insert("same_bytes".into(), same.into());
    }
}

impl Delivery {
    pub fn verify(&self, signature: &Signature, key: &[u8]) -> Result<(), Refusal> {
        let raw = self.raw.as_deref().ok_or(Refusal::TooLarge)?;
        signature.verify(&Sent { headers: &self.headers, raw, at: self.at }, key)
    }

    /// As `received` shows it.
    pub fn value(&self, verified: &Result<(), Refusal>) -> Value {
        let mut fields = self.fields.clone();
        let why = verified.as_ref().err().map_or(Value::Null, |refusal| refusal.word().into());
        let signature = Value::map([("valid".into(), verified.is_ok().into()), ("why".into(), why)]);
        fields.insert("signature".into(), signature);
        Value::from(fields)
    }
}

fn joined(headers: &HeaderMap) -> Value {
    Value::map(headers.keys().map(|name| {
        let values: Vec<_> = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        (name.as_str().to_string(), Value::from(values.join(", ")))
    }))
}
