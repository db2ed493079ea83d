//! `about`: selects the deliveries that count, by a pattern without matchers. A map matches if it contains the entries
//! of the pattern; any other value must be equal. Pure.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::Tree,
    language::{Key, Shape, VALUES},
    value::Value,
    yaml::{Kind, Node},
};
use std::sync::Arc;

pub(super) const KEYS: &[Key] = &[
    Key::new("method", Shape::Text).means("the method"),
    Key::new("headers", VALUES).means("some of the headers"),
    Key::new("body", Shape::Any).means("the parsed JSON"),
    Key::new("text", Shape::Text).means("the body as text"),
];

/// Without a pattern, every delivery counts.
pub(super) struct DeliveryFilter(Option<Tree>);

impl DeliveryFilter {
    pub fn compile(body: &mut Body<'_>) -> DeliveryFilter {
        let Some(node) = body.get("about").cloned() else { return DeliveryFilter(None) };
        body.part(&node).only(&[KEYS]);
        refuse_matchers(&node, body);
        DeliveryFilter(Some(body.tree_of(&node)))
    }

    pub fn render(&self, cx: &ActionContext<'_>) -> Result<Option<Value>, ActionError> {
        let Some(tree) = &self.0 else { return Ok(None) };
        let pattern = cx.render_tree(tree)?;
        let entries = pattern.as_map().into_iter().flatten();
        Ok(Some(Value::map(entries.map(|(key, v)| (key.clone(), normalize(key, v))))))
    }
}

/// Spells values as deliveries do: methods in upper case, header values as strings.
fn normalize(key: &str, v: &Value) -> Value {
    match (key, v) {
        ("method", v) => Value::from(v.to_string().to_uppercase()),
        ("headers", Value::Map(m)) => Value::map(m.iter().map(|(k, v)| (k.clone(), Value::from(v.to_string())))),
        (_, v) => v.clone(),
    }
}

/// A matcher would be compared as a string, and match no delivery.
fn refuse_matchers(node: &Node, body: &mut Body<'_>) {
    match &node.kind {
        Kind::Str(s) if s.strip_prefix('$').is_some_and(|s| s.starts_with(|c: char| c.is_ascii_alphabetic())) => {
            let d = Diagnostic::error(
                "matcher-in-about",
                &node.span,
                format!("expected a literal in `about`, found the matcher `{s}`"),
            );
            body.problem(d.help("remove it, and use the matcher in `expect` beside `received`"));
        }
        Kind::Seq(items) => items.iter().for_each(|n| refuse_matchers(n, body)),
        Kind::Map(entries) => entries.iter().for_each(|(k, v)| {
            refuse_matchers(k, body);
            refuse_matchers(v, body);
        }),
        _ => {}
    }
}

/// Whether a delivery matches. The error is the reason why that cannot be told: a field that was not observed.
pub(super) fn matches(pattern: &Value, actual: &Value) -> Result<bool, Arc<str>> {
    match (pattern, actual) {
        (_, Value::Unset(reason)) => Err(reason.clone()),
        (Value::Map(p), Value::Map(a)) => all(p.iter().map(|(k, v)| a.get(k).map_or(Ok(false), |w| matches(v, w)))),
        (Value::List(p), Value::List(a)) if p.len() == a.len() => {
            all(p.iter().zip(a.iter()).map(|(p, a)| matches(p, a)))
        }
        (p, a) => Ok(p.same(a)),
    }
}

/// One part that does not match decides, whatever the others are.
fn all(parts: impl Iterator<Item = Result<bool, Arc<str>>>) -> Result<bool, Arc<str>> {
    let mut total = Ok(true);
    for part in parts {
        match part {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(reason) => total = Err(reason),
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_match_supersets_and_other_values_equal_ones() {
        let matched = |p: serde_json::Value, s: serde_json::Value| matches(&p.into(), &s.into()).unwrap();
        assert!(matched(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}, "d": 3})));
        assert!(matched(json!({"a": [{"b": 1}]}), json!({"a": [{"b": 1, "c": 2}]})));
        assert!(matched(json!({}), json!({"a": 1})));
        assert!(!matched(json!({"a": 1}), json!({"a": "1"})));
        assert!(!matched(json!({"a": [1]}), json!({"a": [1, 2]})));
        assert!(!matched(json!({"a": null}), json!({})), "a missing entry is not null");
        assert!(!matched(json!({"a": {}}), json!({"a": null})));
    }

    #[test]
    fn a_field_that_was_not_observed_leaves_it_open_unless_another_decides() {
        let delivery = Value::map([("method".into(), "POST".into()), ("body".into(), Value::unset("cut off"))]);
        let about = |json: serde_json::Value| matches(&json.into(), &delivery);
        assert_eq!(about(json!({ "method": "POST" })), Ok(true));
        assert_eq!(about(json!({ "method": "PUT", "body": { "a": 1 } })), Ok(false));
        assert_eq!(about(json!({ "method": "POST", "body": { "a": 1 } })), Err("cut off".into()));
    }
}
