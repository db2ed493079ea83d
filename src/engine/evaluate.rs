//! Evaluates the assertions of an action.
use crate::{
    expr::{AssertionResult, Scope, Template, assertion::evaluate_checks, matching::match_pattern, pattern::Matcher},
    plan::Assertions,
    value::{Map, Value},
};

/// Evaluates a pattern and checks. The pattern is matched against `output`, or without one against the names in scope.
pub(super) fn evaluate(assertions: &Assertions, output: Option<&Value>, scope: &Scope) -> Vec<AssertionResult> {
    let mut out = vec![];
    if let Some(p) = &assertions.pattern {
        let named =
            |(k, ..): &(Template, _, _)| Some((k.as_literal()?.to_string(), scope.get(k.as_literal()?)?.clone()));
        let in_scope = match (output, &p.matcher) {
            (None, Matcher::Map(entries)) => entries.iter().filter_map(named).collect(),
            _ => Map::new(),
        };
        match_pattern(p, "", Some(output.unwrap_or(&Value::from(in_scope))), scope, &mut out);
    }
    evaluate_checks(&assertions.checks, scope, &mut out);
    out
}
