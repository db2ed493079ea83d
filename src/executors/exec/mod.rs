//! The verb `exec`: runs one program to its end, without a shell and without a target.
mod run;
#[cfg(test)]
mod tests;

use crate::{
    diagnostic::Diagnostic,
    executor::{Action, ActionContext, ActionError, Body, Executor, Output, TargetSpec, limits},
    expr::{Template, Tree},
    language::{Key, Shape, TEXTS, VALUES},
    value::{Value, ValueKind},
    yaml::{Kind, wrong_type},
};
use async_trait::async_trait;

const FIELDS: &[&str] = &["exit", "stdout", "stderr"];

const KEYS: &[Key] = &[
    Key::new("run", TEXTS).required(),
    Key::new("stdin", Shape::Text),
    Key::new("env", VALUES),
    Key::new("limit", Shape::Size),
];

pub struct Exec;

impl Executor for Exec {
    fn verb(&self) -> &'static str {
        "exec"
    }

    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/exec.md")
    }

    fn needs_target(&self) -> bool {
        false
    }

    fn has_unknown_effects(&self) -> bool {
        true
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn kind_of(&self, field: &str) -> Option<ValueKind> {
        Some(match field {
            "exit" => ValueKind::Number,
            "stdout" | "stderr" => ValueKind::Text,
            _ => return None,
        })
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        if !body.only(&[KEYS]) && !matches!(body.node.kind, Kind::Map(_)) {
            return None;
        }
        let words = compile_words(body);
        let stdin = body.template("stdin");
        let env = body.pairs("env");
        for (i, (name, _)) in env.iter().enumerate() {
            if (name.is_empty() || name.contains(['=', '\0']))
                && let Some((key, _)) = body.get("env").and_then(|n| n.entries().get(i))
            {
                let m = format!("invalid name of an environment variable: `{name}`");
                body.problem(Diagnostic::error("invalid-variable", &key.span.clone(), m));
            }
        }
        let (limit, of_plan) = (body.limit(limits::OUTPUT_BYTES), body.access.is_limited());
        Some(Box::new(Program { words: words?, stdin, env, limit, of_plan }))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        let d = Diagnostic::error(
            "unsupported-target",
            &body.node.span,
            "`exec` needs no target: it runs programs on this machine",
        );
        body.problem(d);
        None
    }
}

fn compile_words(body: &mut Body<'_>) -> Option<Vec<Tree>> {
    let node = body.required("run")?;
    let Kind::Seq(words) = &node.kind else {
        let help = "write a program and its arguments: `[kubectl, get, pods]`; for a shell write `[sh, -c, …]`";
        body.problem(wrong_type(node, "a list").help(help));
        return None;
    };
    if words.is_empty() {
        body.problem(Diagnostic::error("wrong-type", &node.span, "expected a program, found an empty list"));
    }
    for word in words {
        if matches!(word.kind, Kind::Null | Kind::Map(_) | Kind::Seq(_)) {
            body.problem(wrong_type(word, "a string"));
        }
    }
    Some(words.iter().map(|w| body.texts_of(w)).collect())
}

struct Program {
    words: Vec<Tree>,
    stdin: Option<Template>,
    env: Vec<(String, Tree)>,
    limit: usize,
    of_plan: bool,
}

#[async_trait]
impl Action for Program {
    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn summary(&self) -> String {
        let word = |t: &Tree| match t {
            Tree::Template(t) => t.source(),
            Tree::Value(v) => v.to_string(),
            _ => "…".into(),
        };
        self.words.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn changes(&self) -> bool {
        true
    }

    fn implied(&self) -> Option<(&'static str, Value)> {
        Some(("exit", Value::Int(0)))
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let mut words = vec![];
        for tree in &self.words {
            // A list gives one argument for each item.
            for v in cx.render_tree(tree)?.items() {
                words.push(render_word(v)?);
            }
        }
        let stdin = self.stdin.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let mut env = vec![];
        for (name, tree) in &self.env {
            let value = cx.render_tree(tree)?;
            cx.mask_fields(name, &value);
            env.push((name.clone(), render_word(&value)?));
        }
        let command = run::Command { words, stdin, env, limit: self.limit, of_plan: self.of_plan };
        run::run(cx, &command).await
    }
}

fn render_word(v: &Value) -> Result<String, ActionError> {
    match v {
        Value::Null | Value::Map(_) | Value::List(_) => {
            Err(ActionError::Invalid(format!("expected a string as argument, found {}", v.kind())))
        }
        Value::Text(text) if text.contains('\0') => {
            Err(ActionError::Invalid("an argument contains a NUL character".into()))
        }
        v => Ok(v.to_string()),
    }
}
