//! `replies`: what a box answers, one delivery after the other. Knows no socket.
use super::wire::Ending;
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::{Scope, Tree},
    value::Value,
    yaml::{Kind, Node},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    Status(u16),
    /// The connection ends instead.
    None(Ending),
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub answer: Answer,
    pub delay: Duration,
    pub headers: HeaderMap,
    pub body: String,
}

impl Default for Reply {
    fn default() -> Self {
        Reply { answer: Answer::Status(200), delay: Duration::ZERO, headers: HeaderMap::new(), body: String::new() }
    }
}

impl Reply {
    /// As `replied` shows it.
    pub fn shown(&self) -> Value {
        match self.answer {
            Answer::Status(status) => Value::Int(status.into()),
            Answer::None(Ending::Close) => Value::text("drop"),
            Answer::None(Ending::Reset) => Value::text("reset"),
        }
    }
}

/// Never empty.
pub(super) struct Script(Vec<Tree>);

impl Script {
    pub fn compile(body: &mut Body<'_>) -> Script {
        let Some(node) = body.get("replies").cloned() else { return Script(vec![]) };
        let Kind::Seq(items) = &node.kind else {
            let d = Diagnostic::error("wrong-type", &node.span, format!("a list is needed here, not {}", node.what()));
            body.problem(d.help("for example `[503, 503, 200]`; the last one repeats"));
            return Script(vec![]);
        };
        if items.is_empty() {
            let d = Diagnostic::error("empty-replies", &node.span, "a list of replies cannot be empty");
            body.problem(d.help("leave `replies` out to answer 200"));
        }
        Script(items.iter().map(|n| item(n, body)).collect())
    }

    /// What is said to the first delivery, the second, …; the last one repeats.
    pub fn render(&self, cx: &ActionContext<'_>) -> Result<Vec<Reply>, ActionError> {
        let replies: Result<Vec<Reply>, ActionError> = self
            .0
            .iter()
            .map(|t| {
                reply(&cx.render_tree(t)?)
                    .map_err(|why| ActionError::Invalid(format!("a reply cannot be given: {why}")))
            })
            .collect();
        Ok(Some(replies?).filter(|r| !r.is_empty()).unwrap_or_else(|| vec![Reply::default()]))
    }
}

fn item(node: &Node, body: &mut Body<'_>) -> Tree {
    let mut part = body.part(node);
    let known = !matches!(node.kind, Kind::Map(_)) || part.keys(&["status", "delay", "headers", "body"]);
    let tree = part.tree_of(node);
    // what reads no name is what it will be
    if known
        && tree.references().is_empty()
        && let Ok(value) = tree.render(&Scope::default())
        && let Err(why) = reply(&value)
    {
        part.problem(
            Diagnostic::error("invalid-reply", &node.span, why)
                .help("`503`, `drop`, `reset`, or `{ status: 200, delay: 2s, headers: {}, body: … }`"),
        );
    }
    tree
}

/// `Err` is a sentence.
fn reply(value: &Value) -> Result<Reply, String> {
    let Some(map) = value.as_map() else { return Ok(Reply { answer: answer(value)?, ..Reply::default() }) };
    let mut r = Reply::default();
    if let Some(v) = map.get("status") {
        r.answer = answer(v)?;
    }
    if let Some(v) = map.get("delay") {
        r.delay = delay(v)?;
    }
    match map.get("body") {
        None | Some(Value::Null) => {}
        Some(Value::Text(t)) => r.body = t.to_string(),
        Some(v) => {
            r.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            r.body = v.to_json().to_string();
        }
    }
    match map.get("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Map(headers)) => {
            for (name, v) in headers.iter() {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| format!("`{name}` cannot be the name of a header"))?;
                let value = HeaderValue::from_bytes(v.to_string().as_bytes()).map_err(|_| {
                    format!("the value of the header `{name}` holds a line break or a control character")
                })?;
                r.headers.insert(name, value);
            }
        }
        Some(v) => return Err(format!("`headers` must be a map, not a {}", v.kind())),
    }
    Ok(r)
}

fn answer(v: &Value) -> Result<Answer, String> {
    let wrong = || format!("a status is a number from 200 to 599, or `drop`, or `reset`; not {}", v.to_json());
    match v {
        Value::Text(t) if &**t == "drop" => Ok(Answer::None(Ending::Close)),
        Value::Text(t) if &**t == "reset" => Ok(Answer::None(Ending::Reset)),
        Value::Int(n @ 200..=599) => u16::try_from(*n).map(Answer::Status).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn delay(v: &Value) -> Result<Duration, String> {
    let parsed = match v {
        Value::Duration(d) => Duration::try_from(*d).ok(),
        Value::Text(t) => humantime::parse_duration(t).ok(),
        _ => None,
    };
    parsed.ok_or_else(|| format!("`delay` is a duration like `2s`, not {}", v.to_json()))
}
