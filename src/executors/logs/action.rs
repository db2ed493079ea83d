//! The action of `logs`: parses its body and reads the lines.
use super::{log::Log, types::Cursor};
use crate::{
    diagnostic::Diagnostic,
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Body, Output, Started},
    expr::{Template, Tree},
    language::{Key, Shape},
    value::{Value, is_rfc3339},
    yaml::Kind,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

pub(super) const FIELDS: &[&str] = &["lines"];

pub(super) const KEYS: &[Key] =
    &[Key::new("since", Shape::Text), Key::new("tail", Shape::Either(&[Shape::Number, Shape::Placeholder]))];

pub(super) struct LogsAction {
    since: Option<Template>,
    tail: Option<Tree>,
}

impl LogsAction {
    /// Reads `{ since: TIME, tail: NUMBER }`.
    pub fn compile(body: &mut Body<'_>) -> Option<LogsAction> {
        body.only(&[KEYS]);
        let since = body.checked_template("since", |text, span| {
            let d = Diagnostic::error("invalid-time", span, format!("expected a time, found `{text}`"));
            let help = "write `${x.at}` for the time of an earlier action, or `2026-01-02T03:04:05Z`";
            time(text).is_none().then(|| d.help(help))
        });
        let tail = body.tree("tail");
        if let Some(node) = body.get("tail").cloned() {
            let valid = match &node.kind {
                Kind::Int(n) => *n > 0,
                Kind::Str(s) => s.contains("${"),
                _ => false,
            };
            if !valid {
                let message = format!("expected a number of lines, at least 1, found `{}`", node.to_value());
                body.problem(Diagnostic::error("wrong-type", &node.span, message));
            }
        }
        Some(LogsAction { since, tail })
    }

    fn since(&self, cx: &ActionContext<'_>) -> Result<Option<Timestamp>, ActionError> {
        let Some(t) = &self.since else { return Ok(None) };
        let value = cx.render(t)?;
        let time = match &value {
            Value::Time(t) => Some(*t),
            Value::Text(t) => time(t),
            _ => None,
        };
        let invalid = || ActionError::Invalid(format!("expected a time in `since`, found {}", value.to_json()));
        time.map(Some).ok_or_else(invalid)
    }

    fn tail(&self, cx: &ActionContext<'_>) -> Result<Option<usize>, ActionError> {
        let Some(t) = &self.tail else { return Ok(None) };
        let value = cx.render_tree(t)?;
        let lines = value.as_i64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let expected = "expected a number of lines, at least 1, in `tail`";
        lines.map(Some).ok_or_else(|| ActionError::Invalid(format!("{expected}, found {}", value.to_json())))
    }
}

impl LogsAction {
    async fn read(&self, cx: &ActionContext<'_>, last: Option<&Cursor>) -> Result<Output, ActionError> {
        let started = Started::now();
        let log = cx.target::<Log>()?;
        let (since, tail) = (self.since(cx)?, self.tail(cx)?);
        cx.note(EvidenceKind::Reproduce, log.shell_command(since, tail));
        let mut read = log.read(since, tail, last).await?;
        read.missing.iter().for_each(|reason| cx.note(EvidenceKind::Note, reason));
        let cursor = std::mem::replace(&mut read.cursor, Cursor::Command);
        Ok(Output::new(Value::map([("lines".into(), read.into_value())]), started).with_cursor(cursor))
    }
}

#[async_trait]
impl Action for LogsAction {
    fn fields(&self) -> &'static [&'static str] {
        FIELDS
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
        self.read(cx, None).await
    }

    async fn next(&self, cx: &ActionContext<'_>, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        let log = cx.target::<Log>()?;
        tokio::select! {
            () = cx.cancel.cancelled() => return Err(ActionError::Cancelled),
            () = log.changed(last.cursor()) => {}
            () = tokio::time::sleep(pace) => {}
        }
        self.read(cx, last.cursor()).await
    }
}

/// Reads a time in RFC 3339.
fn time(text: &str) -> Option<Timestamp> {
    is_rfc3339(text).then(|| text.parse().ok())?
}
