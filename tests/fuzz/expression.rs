//! Expressions, and texts with placeholders.
use super::driver::Outcome;
use serde_json::json;
use std::sync::{Arc, LazyLock};
use tp_runner::{
    diagnostic::{Diagnostic, Diagnostics},
    expr::{Expression, ReferencedLiterals, Scope, Template, assertion::evaluate_checks},
    source::{Source, Span},
    value::Value,
    yaml::{Kind, Node},
};

/// Values of each kind, under the names that most plans use.
static SCOPE: LazyLock<Scope> = LazyLock::new(|| {
    let body = json!({"items": [{"id": 1, "name": "a"}, {"id": 2, "name": null}], "total": 2, "d": 1.5, "ok": true, "text": "äbc"});
    Scope::default()
        .with("body", Value::from(body.clone()))
        .with("status", 200i64)
        .with("it", Value::from(body))
        .with("text", "a text")
        .with("x", Value::partial("half".into(), "it was cut"))
        .with("item", Value::from(json!(["a", "b"])))
        .with("missing", Value::unset("not observed"))
});

fn node(text: &str) -> Node {
    let source = Arc::new(Source::new("e", text));
    Node::new(Kind::Str(text.into()), Span { range: 0..text.len(), source })
}

fn codes(problems: &[Diagnostic]) -> Vec<&'static str> {
    problems.iter().for_each(|d| drop(d.render(false)));
    problems.iter().map(|d| d.code).collect()
}

pub fn cel(text: &str) -> Outcome {
    let node = node(text);
    match Expression::compile(&node, 0..text.len()) {
        Err(problems) => Outcome::of(codes(&problems)),
        Ok(e) => {
            let vacuous = e.vacuous().is_some();
            let mut results = vec![];
            evaluate_checks(&[(e.clone(), node.span.clone())], &SCOPE, &mut results);
            e.collect_literals(&SCOPE, &mut ReferencedLiterals::default());
            let error = e.eval(&SCOPE).err().map(|error| error.to_string().chars().take(12).collect::<String>());
            Outcome::of((vacuous, results[0].holds, results[0].operands.len(), error))
        }
    }
}

pub fn placeholders(text: &str) -> Outcome {
    let mut problems = Diagnostics::default();
    let template = Template::compile(&node(text), &mut problems);
    let rendered = template.render(&SCOPE);
    template.render_known(&SCOPE);
    if !text.contains("${") {
        assert_eq!(template.as_literal(), Some(text));
        assert_eq!(rendered.as_ref().ok().and_then(Value::as_str), Some(text));
    }
    if problems.errors() == 0 {
        // the source of a template is that template
        let again = Template::of_source(&template.source());
        assert_eq!(again.parts().len() == 1, template.parts().len() == 1, "{text:?}");
    }
    Outcome::of((codes(&problems.0), template.parts().len().min(6), rendered.is_ok()))
}
