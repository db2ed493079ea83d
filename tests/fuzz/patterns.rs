//! Patterns with the values they match, and schemas.
use super::driver::Outcome;
use serde_json::json;
use std::sync::Arc;
use tp_runner::{
    diagnostic::Diagnostics,
    expr::{
        Pattern, Scope,
        matching::match_pattern,
        schema::{Document, Schema, build},
    },
    source::Source,
    value::Value,
    yaml,
};

pub fn pattern(text: &str) -> Outcome {
    let Ok(root) = yaml::parse(&Arc::new(Source::new("p", text))) else { return Outcome::of("no YAML") };
    let (Some(pattern), Some(value)) = (root.get("pattern"), root.get("value")) else {
        return Outcome::of("no pattern");
    };
    let mut problems = Diagnostics::default();
    let compiled = Pattern::compile(pattern, &mut problems);
    let value = value.to_value();
    let scope = Scope::default().with("x", value.clone());
    let mut results = vec![];
    match_pattern(&compiled, "", Some(&value), &scope, &mut results);
    match_pattern(&compiled, "", Some(&Value::partial(value.clone(), "cut")), &scope, &mut results);
    match_pattern(&compiled, "", None, &scope, &mut results);
    problems.0.iter().take(10).for_each(|d| drop(d.render(false)));
    let codes: Vec<_> = problems.0.iter().map(|d| d.code).take(4).collect();
    Outcome::of((codes, results.len().min(20), results.iter().filter(|r| r.holds).count().min(20)))
}

pub fn schema(text: &str) -> Outcome {
    let Ok(root) = yaml::parse(&Arc::new(Source::new("s", text))) else { return Outcome::of("no YAML") };
    let document = Document::from(&root.to_value());
    let values = [json!({"a": 1, "b": "aa"}), json!([{"id": "x", "total": 1e300}, null]), json!("text")];
    let mut count = 0;
    let mut refused = "";
    match build(document.clone(), "", false) {
        Ok(checker) => count = values.into_iter().map(|v| checker.errors(&Value::from(v)).len()).sum(),
        Err(refusal) => refused = refusal.code,
    }
    // the same file as an OpenAPI document
    let mut codes = vec![];
    for wanted in
        ["{ openapi: s.yaml, operation: 'GET /sessions' }", "{ openapi: s.yaml, schema: Session }", "{ file: s.yaml }"]
    {
        let mut problems = Diagnostics::default();
        let Ok(node) = yaml::parse(&Arc::new(Source::new("p", wanted))) else { continue };
        let mut schema = Schema::compile(&node, &mut problems);
        schema.bind(&document, &mut problems);
        codes.extend(problems.0.iter().map(|d| d.code));
    }
    Outcome::of((count.min(20), refused, codes))
}
