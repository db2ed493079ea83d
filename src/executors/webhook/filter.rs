//! `about`: selects the deliveries that count, by a pattern without matchers. A map matches if it contains the entries
//! of the pattern; any other value must be equal. Pure.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::Tree,
    value::Value,
    yaml::{Kind, Node},
};

const KEYS: [&str; 4] = ["method", "headers", "body", "text"];

/// Without a pattern, every delivery counts.
pub(super) struct DeliveryFilter(Option<Tree>);

impl DeliveryFilter {
    pub fn compile(body: &mut Body<'_>) -> DeliveryFilter {
        let Some(node) = body.get("about").cloned() else { return DeliveryFilter(None) };
        body.part(&node).keys(&KEYS);
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

pub(super) fn matches(pattern: &Value, actual: &Value) -> bool {
    match (pattern, actual) {
        (Value::Map(p), Value::Map(a)) => p.iter().all(|(k, v)| a.get(k).is_some_and(|w| matches(v, w))),
        (Value::List(p), Value::List(a)) => p.len() == a.len() && p.iter().zip(a.iter()).all(|(p, a)| matches(p, a)),
        (p, a) => p.same(a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_match_supersets_and_other_values_equal_ones() {
        let matched = |p: serde_json::Value, s: serde_json::Value| matches(&p.into(), &s.into());
        assert!(matched(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}, "d": 3})));
        assert!(matched(json!({"a": [{"b": 1}]}), json!({"a": [{"b": 1, "c": 2}]})));
        assert!(matched(json!({}), json!({"a": 1})));
        assert!(!matched(json!({"a": 1}), json!({"a": "1"})));
        assert!(!matched(json!({"a": [1]}), json!({"a": [1, 2]})));
        assert!(!matched(json!({"a": null}), json!({})), "a missing entry is not null");
        assert!(!matched(json!({"a": {}}), json!({"a": null})));
    }
}
