//! The verb `logs`: the lines that the product has written. Owns where they are and which of them are asked for; must not know what
//! anybody hopes to find in them.
mod command;
mod file;
mod lines;
mod place;
mod pods;
#[cfg(test)]
mod tests;

use self::place::Log;
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Body, Executor, Output, Started, TargetSpec},
    expr::{Template, Tree},
    value::Value,
    yaml::Kind,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

pub struct Logs;

impl Executor for Logs {
    fn verb(&self) -> &'static str {
        "logs"
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/logs.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        let errors = body.problems.errors();
        body.keys(&["since", "tail"]);
        let since = body.template("since");
        if let (Some(text), Some(node)) = (since.as_ref().and_then(Template::as_literal), body.get("since"))
            && text.parse::<Timestamp>().is_err()
        {
            let d = Diagnostic::error("invalid-time", &node.span.clone(), format!("`{text}` is no point in time"));
            body.problem(d.help("`${x.at}` of an earlier action, or `2026-01-02T03:04:05Z`"));
        }
        let tail = body.tree("tail");
        if let Some(node) = body.get("tail").cloned() {
            let right = match &node.kind {
                Kind::Int(n) => *n > 0,
                Kind::Str(s) => s.contains("${"),
                _ => false,
            };
            if !right {
                body.problem(Diagnostic::error(
                    "wrong-type",
                    &node.span,
                    "`tail` must be a number of lines, at least 1",
                ));
            }
        }
        (body.problems.errors() == errors).then(|| Box::new(Read { since, tail }) as _)
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(place::Spec::compile(body)?))
    }
}

struct Read {
    since: Option<Template>,
    tail: Option<Tree>,
}

impl Read {
    fn since(&self, cx: &ActionContext<'_>) -> Result<Option<Timestamp>, ActionError> {
        let Some(t) = &self.since else { return Ok(None) };
        match cx.render(t)? {
            Value::Time(t) => Ok(Some(t)),
            Value::Text(t) => {
                let time = t
                    .parse()
                    .map_err(|_| ActionError::Invalid(format!("`since` gave `{t}`, which is no point in time")))?;
                Ok(Some(time))
            }
            v => Err(ActionError::Invalid(format!("`since` gave a {}, not a point in time", v.kind()))),
        }
    }

    fn tail(&self, cx: &ActionContext<'_>) -> Result<Option<usize>, ActionError> {
        let Some(t) = &self.tail else { return Ok(None) };
        let value = cx.render_tree(t)?;
        match value.as_i64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0) {
            Some(n) => Ok(Some(n)),
            None => Err(ActionError::Invalid(format!("`tail` gave {}, which is no number of lines", value.to_json()))),
        }
    }
}

#[async_trait]
impl Action for Read {
    fn fields(&self) -> &'static [&'static str] {
        &["lines"]
    }

    fn summary(&self) -> String {
        let tail = self.tail.as_ref().map(|t| match t {
            Tree::Template(t) => format!("the last {} lines", t.source()),
            Tree::Value(v) => format!("the last {v} lines"),
            _ => "the last lines".into(),
        });
        let since = self.since.as_ref().map(|t| format!("since {}", t.source()));
        [tail, since].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn changes(&self) -> bool {
        false
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let log = cx.target::<Log>()?;
        let (since, tail) = (self.since(cx)?, self.tail(cx)?);
        cx.note(EvidenceKind::Reproduce, log.line(since, tail));
        let read = log.read(since, tail).await?;
        read.notes.into_iter().for_each(|n| cx.note(EvidenceKind::Note, n));
        let out = Output::new(Value::map([("lines".into(), Value::list(read.lines))]), started);
        Ok(out.with_cursor(read.state))
    }

    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        let log = cx.target::<Log>()?;
        tokio::select! {
            () = cx.cancel.cancelled() => return Err(ActionError::Cancelled),
            () = log.changed(last.cursor()) => {}
            () = tokio::time::sleep(pace) => {}
        }
        self.perform(cx).await
    }
}
