//! One box: what it received, and what it says next. Knows no socket and no plan.
use super::{picture, script::Reply, signature::Signature};
use crate::{
    address::Address,
    value::{Map, Value},
};
use axum::{body::Bytes, http::HeaderMap};
use jiff::Timestamp;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub(super) struct Mailbox {
    /// The action that opened it.
    pub by: Address,
    /// The first segment of its path.
    pub path: String,
    script: Vec<Reply>,
    about: Option<Value>,
    held: Mutex<Held>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Held {
    deliveries: Vec<Arc<Delivery>>,
    others: usize,
    answered: usize,
}

/// What came, before it is known whether it counts.
pub(super) struct Incoming {
    pub at: Timestamp,
    pub method: String,
    /// What stands behind the box's own path, with the query.
    pub path: String,
    pub headers: HeaderMap,
    /// `None`: it was larger than a box takes.
    pub raw: Option<Bytes>,
}

pub(super) struct Delivery {
    fields: Map,
    headers: HeaderMap,
    raw: Option<Bytes>,
}

impl Mailbox {
    pub fn new(by: Address, path: String, script: Vec<Reply>, about: Option<Value>) -> Mailbox {
        let (held, count) = (Mutex::default(), watch::Sender::new(0));
        Mailbox { by, path, script, about, held, count }
    }

    /// Keeps a delivery and says how it is answered.
    pub fn receive(&self, incoming: Incoming) -> Reply {
        let Incoming { at, method, path, headers, raw } = incoming;
        let bytes = raw.as_deref().unwrap_or_default();
        let mut fields = Map::from_iter([
            ("at".into(), Value::Time(at)),
            ("method".into(), Value::from(method)),
            ("path".into(), Value::from(path)),
            ("headers".into(), joined(&headers)),
            ("body".into(), serde_json::from_slice::<serde_json::Value>(bytes).map_or(Value::Null, Value::from)),
            ("text".into(), Value::text(String::from_utf8_lossy(bytes))),
        ]);
        let mut held = self.held.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(about) = &self.about {
            let seen = Value::from(fields);
            if !picture::shows(about, &seen) {
                held.others += 1;
                return Reply::default();
            }
            fields = seen.as_map().cloned().unwrap_or_default();
        }
        let reply = match raw {
            None => Reply { status: Some(413), ..Reply::default() },
            Some(_) => {
                held.answered += 1;
                let last = self.script.len().saturating_sub(1);
                self.script.get((held.answered - 1).min(last)).cloned().unwrap_or_default()
            }
        };
        fields.insert("replied".into(), reply.shown());
        held.deliveries.push(Arc::new(Delivery { fields, headers, raw }));
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

impl Delivery {
    pub fn signed(&self, scheme: &Signature, key: &[u8]) -> bool {
        self.raw.as_deref().is_some_and(|raw| scheme.verifies(&self.headers, raw, key))
    }

    /// As `received` shows it. Nobody verified it: not valid.
    pub fn value(&self, valid: Option<bool>) -> Value {
        let mut fields = self.fields.clone();
        let signature = Value::map([("valid".into(), valid.unwrap_or(false).into())]);
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
