//! The result of one assertion, and the evaluation of checks.
use super::{
    cel::{EvalError, Expression},
    scope::Scope,
};
use crate::source::{Location, Span};
use serde::{Deserialize, Serialize};

/// Whether one assertion holds, with what it expected and found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssertionResult {
    /// A path in a pattern (`batch.body.total`), or the expression of a check.
    pub subject: String,
    pub holds: bool,
    /// Whether a missing part of a value keeps it from being decided. Then it does not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inconclusive: bool,
    pub expected: String,
    pub actual: String,
    /// The operands of a failed check, each with its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operands: Vec<(String, String)>,
    /// The place of a failed assertion in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The check or the leaf of a pattern. Set during evaluation, not recorded.
    #[serde(skip)]
    pub assertion: Option<Span>,
}

impl AssertionResult {
    pub(super) fn new(holds: bool, subject: &str, expected: String, actual: String, span: &Span) -> Self {
        AssertionResult {
            subject: subject.to_string(),
            holds,
            inconclusive: false,
            expected,
            actual,
            operands: vec![],
            location: (!holds).then(|| span.location()),
            assertion: Some(span.clone()),
        }
    }

    /// The same assertion over a value that was not, or not completely, observed: it does not hold.
    pub(super) fn undecided(self, error: &EvalError) -> Self {
        AssertionResult {
            holds: false,
            inconclusive: error.is_inconclusive(),
            actual: error.to_string(),
            location: self.assertion.as_ref().map(Span::location),
            ..self
        }
    }
}

/// Evaluates each check, in order. One that cannot be evaluated fails.
pub fn evaluate_checks(checks: &[(Expression, Span)], scope: &Scope, out: &mut Vec<AssertionResult>) {
    out.extend(checks.iter().map(|(check, span)| {
        let result = check.asserts(scope);
        let holds = result == Ok(true);
        let inconclusive = result.as_ref().is_err_and(EvalError::is_inconclusive);
        let is_stopped = matches!(result, Err(EvalError::Stopped(_)));
        let actual = result.map_or_else(|e| e.to_string(), |b| b.to_string());
        let operands = if holds || is_stopped { vec![] } else { check.explain(scope) };
        let result = AssertionResult::new(holds, check.text(), "true".into(), actual, span);
        AssertionResult { operands, inconclusive, ..result }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Source, value::Value, yaml};
    use serde_json::json;
    use std::sync::Arc;

    fn check(text: &str) -> (Expression, Span) {
        let node = yaml::parse(&Arc::new(Source::new("t", format!("'{text}'")))).unwrap();
        (Expression::compile(&node, 0..text.len()).unwrap(), node.span.clone())
    }

    fn evaluate(checks: &[(Expression, Span)], scope: &Scope) -> Vec<AssertionResult> {
        let mut out = vec![];
        evaluate_checks(checks, scope, &mut out);
        out
    }

    #[test]
    fn checks_of_one_scope_are_independent() {
        let scope = Scope::default().with("a", 1i64).with("b", 2i64);
        let checks = ["a == 1", "c == 1 || a == 1", "b == a + 1", "json(\"[2]\")[0] == b", "a > b", "b"].map(check);
        let out = evaluate(&checks, &scope);
        assert_eq!(out.iter().map(|r| r.holds).collect::<Vec<_>>(), [true, false, true, true, false, false]);
        assert_eq!(out[1].actual, "`c` was never bound");
        assert_eq!(out[5].actual, "expected a boolean, found int 2");
    }

    #[test]
    fn a_failed_check_lists_its_operands() {
        let scope = Scope::default()
            .with("body", Value::from(json!({"failed": 2, "errors": [{"name": "a"}, {"name": ""}, {"name": "c"}]})));
        let text = "size(body.errors) == body.failed && body.errors.all(e, e.name != \"\")";
        let result = evaluate(&[check(text)], &scope).remove(0);
        assert!(!result.holds);
        let operand = |l: &str| result.operands.iter().find(|(k, _)| k == l).map(|(_, v)| v.as_str());
        assert_eq!(operand("size(body.errors)"), Some("3"), "{:?}", result.operands);
        assert_eq!(operand("body.failed"), Some("2"));
        assert_eq!(operand("e (element 1)"), Some(r#"{"name":""}"#));
    }

    #[test]
    fn a_failed_macro_shows_the_fields_that_it_asked_about() {
        let session = |name: &str, phase: &str| json!({"kind": "Session", "metadata": {"labels": {"long": "x".repeat(900)}, "name": name}, "status": {"phase": phase}});
        let items = json!([session("a", "Running"), session("b", "Pending")]);
        let scope = Scope::default().with("items", Value::from(items));
        for (text, expected) in [
            (
                r#"items.exists(o, o.metadata.name == "b" && o.status.phase == "Running")"#,
                &[(
                    "items",
                    r#"[{"metadata.name":"a","status.phase":"Running"},{"metadata.name":"b","status.phase":"Pending"}]"#,
                )][..],
            ),
            (
                r#"items.all(o, has(o.status) && o.status.phase == "Running")"#,
                &[
                    ("items", r#"[{"status.phase":"Running"},{"status.phase":"Pending"}]"#),
                    ("o (element 1)", r#"{"status.phase":"Pending"}"#),
                    ("o.status.phase", r#""Pending""#),
                ],
            ),
        ] {
            let result = evaluate(&[check(text)], &scope).remove(0);
            let operands: Vec<_> = result.operands.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(operands, expected, "{text}");
        }
    }

    #[test]
    fn a_failed_macro_shows_why_a_signature_is_not_valid() {
        let delivery = |valid: bool, why: Value| {
            let signature = Value::map([("valid".into(), valid.into()), ("why".into(), why)]);
            Value::map([("signature".into(), signature), ("text".into(), "{}".into())])
        };
        let deliveries = Value::list(vec![delivery(true, Value::Null), delivery(false, "wrong-key".into())]);
        let scope = Scope::default().with("deliveries", deliveries);
        let result = evaluate(&[check("deliveries.all(d, d.signature.valid)")], &scope).remove(0);
        let shown = r#"[{"signature.valid":true},{"signature.valid":false,"signature.why":"wrong-key"}]"#;
        assert_eq!(result.operands[0], ("deliveries".to_string(), shown.to_string()));
    }

    #[test]
    fn an_evaluation_error_fails_a_check_even_with_not_equal() {
        let scope = Scope::default().with("body", Value::from(json!({})));
        let result = evaluate(&[check("body.nothing != 1")], &scope).remove(0);
        assert!(!result.holds && result.actual.contains("nothing"), "{result:?}");
    }
}
