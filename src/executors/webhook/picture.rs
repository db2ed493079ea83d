//! `about`: which deliveries count. A partial picture without matchers: maps are subsets, everything else is equal. Pure.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::Tree,
    value::Value,
    yaml::{Kind, Node},
};

const PARTS: [&str; 4] = ["method", "headers", "body", "text"];

/// Without a picture every delivery counts.
pub(super) struct About(Option<Tree>);

impl About {
    pub fn compile(body: &mut Body<'_>) -> About {
        let Some(node) = body.get("about").cloned() else { return About(None) };
        body.part(&node).keys(&PARTS);
        refuse_matchers(&node, body);
        About(Some(body.tree_of(&node)))
    }

    pub fn render(&self, cx: &ActionContext<'_>) -> Result<Option<Value>, ActionError> {
        let Some(tree) = &self.0 else { return Ok(None) };
        let picture = cx.render_tree(tree)?;
        Ok(Some(Value::map(picture.as_map().into_iter().flatten().map(|(part, v)| (part.clone(), normal(part, v))))))
    }
}

/// As deliveries have it: methods in capitals, names of headers in small letters, their values texts.
fn normal(part: &str, v: &Value) -> Value {
    match (part, v) {
        ("method", v) => Value::from(v.to_string().to_uppercase()),
        ("headers", Value::Map(m)) => Value::map(m.iter().map(|(k, v)| (k.to_lowercase(), Value::from(v.to_string())))),
        (_, v) => v.clone(),
    }
}

/// A matcher would be compared as a plain text, and nothing would ever count.
fn refuse_matchers(node: &Node, body: &mut Body<'_>) {
    match &node.kind {
        Kind::Str(s) if s.strip_prefix('$').is_some_and(|s| s.starts_with(|c: char| c.is_ascii_alphabetic())) => {
            let d = Diagnostic::error("matcher-in-about", &node.span, format!("`about` takes plain values, not `{s}`"));
            body.problem(d.help("let all deliveries count, and judge them where they are `received`"));
        }
        Kind::Seq(items) => items.iter().for_each(|n| refuse_matchers(n, body)),
        Kind::Map(entries) => entries.iter().for_each(|(k, v)| {
            refuse_matchers(k, body);
            refuse_matchers(v, body);
        }),
        _ => {}
    }
}

/// Whether everything in the picture is in `seen`.
pub(super) fn shows(picture: &Value, seen: &Value) -> bool {
    match (picture, seen) {
        (Value::Map(p), Value::Map(s)) => p.iter().all(|(k, v)| s.get(k).is_some_and(|w| shows(v, w))),
        (Value::List(p), Value::List(s)) => p.len() == s.len() && p.iter().zip(s.iter()).all(|(p, s)| shows(p, s)),
        (p, s) => p.same(s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_are_subsets_and_all_else_is_equal() {
        let holds = |p: serde_json::Value, s: serde_json::Value| shows(&p.into(), &s.into());
        assert!(holds(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}, "d": 3})));
        assert!(holds(json!({"a": [{"b": 1}]}), json!({"a": [{"b": 1, "c": 2}]})));
        assert!(holds(json!({}), json!({"a": 1})));
        assert!(!holds(json!({"a": 1}), json!({"a": "1"})));
        assert!(!holds(json!({"a": [1]}), json!({"a": [1, 2]})));
        assert!(!holds(json!({"a": null}), json!({})), "what is not there is not null");
        assert!(!holds(json!({"a": {}}), json!({"a": null})));
    }
}
