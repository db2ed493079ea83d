//! The verb `exec`: one program, run to its end. Owns its input, its output and its death; there is no shell, and no target.
mod group;
mod run;
#[cfg(test)]
mod tests;

use crate::{
    diagnostic::Diagnostic,
    executor::{Action, ActionContext, ActionError, Body, Executor, Output, TargetSpec},
    expr::{Template, Tree},
    value::Value,
    yaml::Kind,
};
use async_trait::async_trait;

pub struct Exec;

impl Executor for Exec {
    fn verb(&self) -> &'static str {
        "exec"
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/exec.md")
    }

    fn needs_target(&self) -> bool {
        false
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        let errors = body.problems.errors();
        if !body.keys(&["run", "stdin", "env"]) && !matches!(body.node.kind, Kind::Map(_)) {
            return None;
        }
        let words = words(body);
        let stdin = body.template("stdin");
        let env = body.pairs("env");
        for (i, (name, _)) in env.iter().enumerate() {
            if (name.is_empty() || name.contains(['=', '\0']))
                && let Some((key, _)) = body.get("env").and_then(|n| n.entries().get(i))
            {
                let m = format!("`{name}` cannot be the name of an environment variable");
                body.problem(Diagnostic::error("invalid-variable", &key.span.clone(), m));
            }
        }
        let program = Program { words: words?, stdin, env };
        (body.problems.errors() == errors).then(|| Box::new(program) as _)
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        let d = Diagnostic::error(
            "unsupported-target",
            &body.node.span,
            "`exec` has no target: it runs programs on this machine",
        );
        body.problem(d);
        None
    }
}

fn words(body: &mut Body<'_>) -> Option<Vec<Tree>> {
    let Some(node) = body.get("run").cloned() else {
        body.missing("run");
        return None;
    };
    let Kind::Seq(words) = &node.kind else {
        let d = Diagnostic::error("wrong-type", &node.span, format!("a list is needed here, not {}", node.what()));
        body.problem(d.help(
            "a program and its arguments: `[kubectl, get, pods]`; there is no shell, but `[sh, -c, …]` may be run",
        ));
        return None;
    };
    if words.is_empty() {
        body.problem(Diagnostic::error("wrong-type", &node.span, "the list is empty: a program is missing"));
    }
    for word in words {
        if matches!(word.kind, Kind::Null | Kind::Map(_) | Kind::Seq(_)) {
            let d = Diagnostic::error("wrong-type", &word.span, format!("a text is needed here, not {}", word.what()));
            body.problem(d);
        }
    }
    Some(words.iter().map(|w| body.tree_of(w)).collect())
}

struct Program {
    words: Vec<Tree>,
    stdin: Option<Template>,
    env: Vec<(String, Tree)>,
}

#[async_trait]
impl Action for Program {
    fn fields(&self) -> &'static [&'static str] {
        &["exit", "stdout", "stderr"]
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

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let mut words = vec![];
        for tree in &self.words {
            match cx.render_tree(tree)? {
                // a list stands for as many arguments
                Value::List(items) => {
                    for v in items.iter() {
                        words.push(word(v)?);
                    }
                }
                v => words.push(word(&v)?),
            }
        }
        let stdin = self.stdin.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let mut env = vec![];
        for (name, tree) in &self.env {
            env.push((name.clone(), word(&cx.render_tree(tree)?)?));
        }
        run::run(cx, &run::Command { words, stdin, env }).await
    }
}

fn word(v: &Value) -> Result<String, ActionError> {
    let text = match v {
        Value::Null | Value::Map(_) | Value::List(_) => {
            return Err(ActionError::Invalid(format!("an argument is a {}; a text is needed", v.kind())));
        }
        v => v.to_string(),
    };
    if text.contains('\0') {
        return Err(ActionError::Invalid("an argument holds a NUL character".into()));
    }
    Ok(text)
}
