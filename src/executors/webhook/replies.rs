//! `replies`: how a box replies to its first delivery, the second, and so on.
use super::connection::ConnectionEnd;
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::{Scope, Tree},
    language::{Key, Shape, VALUES},
    value::Value,
    yaml::{Kind, Node, wrong_type},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ReplyKind {
    Status(u16),
    /// Ends the connection without a response.
    Disconnect(ConnectionEnd),
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub kind: ReplyKind,
    pub delay: Duration,
    pub headers: HeaderMap,
    pub body: String,
}

impl Default for Reply {
    fn default() -> Self {
        Reply { kind: ReplyKind::Status(200), delay: Duration::ZERO, headers: HeaderMap::new(), body: String::new() }
    }
}

impl Reply {
    /// The value of `replied` in a delivery.
    pub fn value(&self) -> Value {
        match self.kind {
            ReplyKind::Status(status) => Value::Int(status.into()),
            ReplyKind::Disconnect(ConnectionEnd::Close) => Value::text("drop"),
            ReplyKind::Disconnect(ConnectionEnd::Reset) => Value::text("reset"),
        }
    }
}

/// Empty without `replies`: every delivery is answered with 200.
pub(super) struct Replies(Vec<Tree>);

impl Replies {
    pub fn compile(body: &mut Body<'_>) -> Replies {
        let Some(node) = body.get("replies").cloned() else { return Replies(vec![]) };
        let Kind::Seq(items) = &node.kind else {
            let d = wrong_type(&node, "a list");
            body.problem(d.help("for example `[503, 503, 200]`; the last one repeats"));
            return Replies(vec![]);
        };
        if items.is_empty() {
            let d = Diagnostic::error("empty-replies", &node.span, "expected at least one reply, found an empty list");
            body.problem(d.help("omit `replies` to reply with 200"));
        }
        Replies(items.iter().map(|n| compile_reply(n, body)).collect())
    }

    /// One reply per delivery, the last one for all others. Never empty.
    pub fn render(&self, cx: &ActionContext<'_>) -> Result<Vec<Reply>, ActionError> {
        let mut replies = vec![];
        for tree in &self.0 {
            let value = cx.render_tree(tree)?;
            replies.push(parse_reply(&value).map_err(|e| ActionError::Invalid(format!("invalid reply: {e}")))?);
        }
        if replies.is_empty() {
            replies.push(Reply::default());
        }
        Ok(replies)
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new("status", Shape::Either(&[Shape::Number, Shape::Word(&["drop", "reset"]), Shape::Placeholder]))
        .means("status of the reply, or how the connection ends"),
    Key::new("delay", Shape::Duration).means("time before the reply"),
    Key::new("headers", VALUES).means("headers of the reply"),
    Key::new("body", Shape::Any).means("body of the reply; a value that is not a string is sent as JSON"),
];

fn compile_reply(node: &Node, body: &mut Body<'_>) -> Tree {
    let mut part = body.part(node);
    let keys_valid = !matches!(node.kind, Kind::Map(_)) || part.only(&[KEYS]);
    let mut node = node.clone();
    if let Kind::Map(entries) = &mut node.kind {
        let headers = entries.iter_mut().filter(|(key, _)| key.as_str() == Some("headers"));
        headers.for_each(|(_, value)| *value = value.as_texts());
    }
    let tree = part.tree_of(&node);
    // Without placeholders, the value can be checked now.
    if keys_valid
        && tree.references().is_empty()
        && let Ok(value) = tree.render(&Scope::default())
        && let Err(e) = parse_reply(&value)
    {
        let d = Diagnostic::error("invalid-reply", &node.span, e);
        part.problem(d.help("`503`, `drop`, `reset`, or `{ status: 200, delay: 2s, headers: {}, body: … }`"));
    }
    tree
}

/// Fails with the reason why a value is not a reply.
fn parse_reply(value: &Value) -> Result<Reply, String> {
    let Some(map) = value.as_map() else { return Ok(Reply { kind: parse_kind(value)?, ..Reply::default() }) };
    let mut reply = Reply::default();
    if let Some(v) = map.get("status") {
        reply.kind = parse_kind(v)?;
    }
    if let Some(v) = map.get("delay") {
        reply.delay = parse_delay(v)?;
    }
    match map.get("body") {
        None | Some(Value::Null) => {}
        Some(Value::Text(t)) => reply.body = t.to_string(),
        Some(v) => {
            reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            reply.body = v.to_string();
        }
    }
    match map.get("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Map(headers)) => {
            for (name, v) in headers.iter() {
                let name: HeaderName = name.parse().map_err(|_| format!("invalid header name `{name}`"))?;
                let value = HeaderValue::from_bytes(v.to_string().as_bytes()).map_err(|_| {
                    format!("the value of the header `{name}` contains a line break or a control character")
                })?;
                reply.headers.insert(name, value);
            }
        }
        Some(v) => return Err(format!("expected a map in `headers`, found a {}", v.kind())),
    }
    Ok(reply)
}

fn parse_kind(v: &Value) -> Result<ReplyKind, String> {
    let invalid = || format!("expected a status from 200 to 599, `drop` or `reset`, found {}", v.to_json());
    match v {
        Value::Text(t) if &**t == "drop" => Ok(ReplyKind::Disconnect(ConnectionEnd::Close)),
        Value::Text(t) if &**t == "reset" => Ok(ReplyKind::Disconnect(ConnectionEnd::Reset)),
        Value::Int(n @ 200..=599) => u16::try_from(*n).map(ReplyKind::Status).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}

fn parse_delay(v: &Value) -> Result<Duration, String> {
    let parsed = match v {
        Value::Duration(d) => Duration::try_from(*d).ok(),
        Value::Text(t) => humantime::parse_duration(t).ok(),
        _ => None,
    };
    parsed.ok_or_else(|| format!("expected a duration like `2s` in `delay`, found {}", v.to_json()))
}
