//! The contract with the world: what a verb must bring. An executor reads its body when the plan is read and never connects then;
//! its actions perform and report what they saw, and never retry, assert or save.
use crate::{
    address::Address,
    diagnostic::{Diagnostic, Diagnostics},
    event::{ErrorKind, Evidence, EvidenceKind},
    expr::{EvalError, Expression, Reference, Scope, Template, Tree, template::Part},
    secrets::Secrets,
    source::Span,
    value::Value,
    yaml::{Kind, Node},
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    any::Any,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// One verb. Stateless.
pub trait Executor: Send + Sync {
    fn verb(&self) -> &'static str;
    /// Its page for people, in Markdown.
    fn manual(&self) -> &'static str;
    /// Reads what stands under the verb. Problems are gathered in the body; `None` where it cannot be performed.
    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>>;
    /// Reads what an environment says under the verb for a target: `api: { http: "https://…" }`. `None` where it is wrong.
    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>>;
    /// Whether its actions need a target. Only `exec` does without.
    fn needs_target(&self) -> bool {
        true
    }
}

/// What an environment says about a target, read and valid.
#[async_trait]
pub trait TargetSpec: Send + Sync {
    /// Called once per run, at the first use. `scope` holds the names of the environment.
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError>;
    /// For reports: the address, without credentials.
    fn address(&self) -> String;
}

/// What all cases share of one target: pools, watches, inboxes. Opened once per run, closed last first.
#[async_trait]
pub trait Target: Any + Send + Sync {
    async fn close(&self) {}
    /// Name and version of the server, where it says so.
    async fn version(&self) -> Option<String> {
        None
    }
    /// For `doctor`: tries the way to the target as a plan would go it, and whether each of `needs` is allowed. Changes nothing.
    /// Empty where there is nothing to try. `environment`: its names, with those that setup has bound.
    async fn probe(&self, _needs: &[Need], _environment: &Scope) -> Vec<ProbeResult> {
        vec![]
    }
}

/// Something that an action will do to its target, as far as that can be told before the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// In the words of the target's world: `get`, `list`, `watch`.
    pub verb: &'static str,
    /// To what, as the plan calls it: `sessions.stream.space`. A hole that is filled only in the run stands as it is written.
    pub resource: String,
    /// Where; `None`: where the target looks when nobody says.
    pub namespace: Option<String>,
    /// Whether the action fails without it; else it does its work less well: it looks again instead of watching.
    pub essential: bool,
}

/// What a probe found out: one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    pub status: ProbeStatus,
    /// What was tried: `log in`, `create sessions.stream.space in namespace \`default\``.
    pub tried: String,
    /// What came of it.
    pub seen: String,
    /// What to do about it, where something is to be done.
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeStatus {
    Ok,
    /// It may be a problem, or it cannot be known before the run.
    Warning,
    Error,
}

impl ProbeResult {
    pub fn ok(tried: impl Into<String>, seen: impl Into<String>) -> Self {
        ProbeResult { status: ProbeStatus::Ok, tried: tried.into(), seen: seen.into(), remedy: None }
    }

    pub fn warning(tried: impl Into<String>, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProbeResult { status: ProbeStatus::Warning, remedy: Some(remedy.into()), ..ProbeResult::ok(tried, seen) }
    }

    pub fn error(tried: impl Into<String>, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProbeResult { status: ProbeStatus::Error, remedy: Some(remedy.into()), ..ProbeResult::ok(tried, seen) }
    }
}

#[async_trait]
pub trait Action: Send + Sync {
    /// The names that `expect`, `check` and `save` beside this action may use.
    fn fields(&self) -> &'static [&'static str];
    /// One line for people, before templates are filled in: `POST /api/v1/sessions`.
    fn summary(&self) -> String;
    /// Whether performing it changes something: a dry run says so, and its answer must be looked at.
    fn changes(&self) -> bool;
    /// What it will do to its target, for `list`, `doctor` and whoever must grant it. `known` holds the names that are bound before
    /// the run.
    fn needs(&self, _known: &Scope) -> Vec<Need> {
        vec![]
    }
    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError>;
    /// The next look after `last`, losing nothing between the two. Never returns an equal look in a busy loop: it waits for a
    /// change, or for `pace`, whichever this kind of target can.
    async fn next(&self, cx: &ActionContext<'_>, _last: &Output, pace: Duration) -> Result<Output, ActionError> {
        tokio::time::sleep(pace).await;
        self.perform(cx).await
    }
    /// Why an output that holds proves nothing all the same: that nothing came is no evidence where nothing could come.
    fn inconclusive(&self, _: &Value) -> Option<String> {
        None
    }
    /// What stands for an answer when there was none although the request had left (or could not leave because of a fault in
    /// force): silence is the product's answer then. `None` for what has no such thing.
    fn no_response(&self) -> Option<Value> {
        None
    }
}

/// What was seen. `value` is a map with the action's `fields`.
#[derive(Clone)]
pub struct Output {
    pub value: Value,
    /// When the action began.
    pub at: Timestamp,
    pub took: Duration,
    /// What `next` needs in order to miss nothing. Not recorded.
    pub cursor: Option<Arc<dyn Any + Send + Sync>>,
}

impl Output {
    pub fn new(value: impl Into<Value>, started: Started) -> Self {
        Output { value: value.into(), at: started.at, took: started.clock.elapsed(), cursor: None }
    }

    #[must_use]
    pub fn with_cursor(self, cursor: impl Any + Send + Sync) -> Self {
        Output { cursor: Some(Arc::new(cursor)), ..self }
    }

    pub fn cursor<T: 'static>(&self) -> Option<&T> {
        self.cursor.as_ref()?.downcast_ref()
    }
}

/// A moment by both clocks: the one that people read, and the one that never jumps.
#[derive(Clone, Copy)]
pub struct Started {
    pub at: Timestamp,
    pub clock: std::time::Instant,
}

impl Started {
    pub fn now() -> Self {
        Started { at: Timestamp::now(), clock: std::time::Instant::now() }
    }
}

/// Why there is no output. For operators: one sentence that says what to do where that is known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ActionError {
    /// Refused, DNS, TLS, credentials: the product could not be asked.
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// A template reads what is not there.
    #[error("{0}")]
    Undefined(String),
    #[error("cancelled")]
    Cancelled,
    /// A rendered value cannot be used, or something on our own side is wrong.
    #[error("{0}")]
    Invalid(String),
}

impl ActionError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            ActionError::Unreachable(_) => ErrorKind::Unreachable,
            ActionError::TimedOut(_) => ErrorKind::TimedOut,
            ActionError::Undefined(_) => ErrorKind::Undefined,
            ActionError::Cancelled => ErrorKind::Cancelled,
            ActionError::Invalid(_) => ErrorKind::Invalid,
        }
    }
}

impl From<EvalError> for ActionError {
    fn from(e: EvalError) -> Self {
        ActionError::Undefined(e.to_string())
    }
}

/// The same for the whole run.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// Short, lower case, fit for DNS names.
    pub id: String,
    pub started: Timestamp,
    /// Relative paths in a plan or an environment start here.
    pub dir: PathBuf,
}

/// What an action may use while it is performed.
pub struct ActionContext<'a> {
    pub address: &'a Address,
    pub run: &'a RunInfo,
    pub scope: &'a Scope,
    /// The names of the environment alone: what a target's own templates (headers, …) read.
    pub environment: &'a Scope,
    pub cancel: CancellationToken,
    pub secrets: &'a Secrets,
    pub target: Option<Arc<dyn Target>>,
    pub evidence: &'a Mutex<Vec<Evidence>>,
    pub sent: &'a AtomicBool,
}

impl ActionContext<'_> {
    pub fn target<T: Target>(&self) -> Result<&T, ActionError> {
        let any: &dyn Any = &**self.target.as_ref().ok_or_else(|| ActionError::Invalid("no target".into()))?;
        any.downcast_ref().ok_or_else(|| ActionError::Invalid("the target is of another kind".into()))
    }

    /// Kept even if the action is dropped before it ends.
    pub fn note(&self, kind: EvidenceKind, text: impl Into<String>) {
        const MOST: usize = 64 << 10;
        let mut text = text.into();
        if text.len() > MOST {
            text.truncate(text.floor_char_boundary(MOST));
            text.push_str("\n… (cut at 64 KiB)");
        }
        self.evidence.lock().unwrap_or_else(|e| e.into_inner()).push(Evidence { kind, text });
    }

    /// Says that the request is on its way: from now on silence is the product's answer.
    pub fn mark_sent(&self) {
        self.sent.store(true, Ordering::SeqCst);
    }

    pub fn render(&self, t: &Template) -> Result<Value, ActionError> {
        Ok(t.render(self.scope)?)
    }

    pub fn render_text(&self, t: &Template) -> Result<String, ActionError> {
        Ok(t.render_text(self.scope)?)
    }

    pub fn render_tree(&self, t: &Tree) -> Result<Value, ActionError> {
        Ok(t.render(self.scope)?)
    }
}

/// What stands under a verb. It takes the value apart, notes every name that is read, and gathers what is wrong.
pub struct Body<'a> {
    pub node: &'a Node,
    pub references: &'a mut Vec<Reference>,
    pub problems: &'a mut Diagnostics,
}

impl Body<'_> {
    pub fn problem(&mut self, d: Diagnostic) {
        self.problems.push(d);
    }

    /// A body for a part of this one.
    pub fn part<'b>(&'b mut self, node: &'b Node) -> Body<'b> {
        Body { node, references: self.references, problems: self.problems }
    }

    /// Whether it is a map with none but these keys, each once. Says what is wrong.
    pub fn keys(&mut self, known: &[&str]) -> bool {
        let Kind::Map(entries) = &self.node.kind else {
            let d = Diagnostic::error(
                "wrong-type",
                &self.node.span,
                format!("a map is needed here, not {}", self.node.what()),
            )
            .help(format!("known here: {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")));
            self.problem(d);
            return false;
        };
        let before = self.problems.errors();
        for (i, (key, _)) in entries.iter().enumerate() {
            let name = key.key_text();
            if !known.contains(&name.as_str()) {
                let d = Diagnostic::error("unknown-key", &key.span, format!("unknown key `{name}`"));
                self.problems.push(d.meant(&name, known.iter().copied()));
            } else if entries[..i].iter().any(|(k, _)| k.key_text() == name) {
                self.problems.push(Diagnostic::error(
                    "duplicate-key",
                    &key.span,
                    format!("`{name}` stands here twice"),
                ));
            }
        }
        self.problems.errors() == before
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.node.get(key)
    }

    /// The first of `keys` that is there.
    pub fn key_of(&self, keys: &[&'static str]) -> Option<&'static str> {
        keys.iter().copied().find(|k| self.node.get(k).is_some())
    }

    pub fn missing(&mut self, key: &str) {
        let d = Diagnostic::error("missing-key", &self.node.span, format!("`{key}` is missing here"));
        self.problem(d);
    }

    /// A text with holes.
    pub fn template(&mut self, key: &str) -> Option<Template> {
        let node = self.node.get(key)?.clone();
        self.template_of(&node)
    }

    pub fn template_of(&mut self, node: &Node) -> Option<Template> {
        if matches!(node.kind, Kind::Seq(_) | Kind::Map(_) | Kind::Null) {
            let d = Diagnostic::error("wrong-type", &node.span, format!("a text is needed here, not {}", node.what()));
            self.problem(d);
            return None;
        }
        let t = Template::compile(node, self.problems);
        self.references.extend(t.references().cloned());
        Some(t)
    }

    /// Any value with holes.
    pub fn tree(&mut self, key: &str) -> Option<Tree> {
        let node = self.node.get(key)?.clone();
        Some(self.tree_of(&node))
    }

    pub fn tree_of(&mut self, node: &Node) -> Tree {
        let t = Tree::compile(node, self.problems);
        self.references.extend(t.references());
        t
    }

    /// A map of names to texts with holes: headers, query parameters.
    pub fn pairs(&mut self, key: &str) -> Vec<(String, Tree)> {
        let Some(node) = self.node.get(key).cloned() else { return vec![] };
        if !matches!(node.kind, Kind::Map(_)) {
            let d = Diagnostic::error("wrong-type", &node.span, format!("a map is needed here, not {}", node.what()));
            self.problem(d);
        }
        node.entries().iter().map(|(k, v)| (k.key_text(), self.tree_of(v))).collect()
    }

    /// An expression; `own` are the names that whoever evaluates it adds.
    pub fn expression(&mut self, key: &str, own: &[&str]) -> Option<Expression> {
        let node = self.node.get(key)?.clone();
        let length = node.as_str().map_or_else(|| node.span.text().len(), str::len);
        match Expression::compile(&node, 0..length) {
            Ok(e) => {
                self.references.extend(e.references().iter().filter(|r| !own.contains(&r.root.as_str())).cloned());
                Some(e)
            }
            Err(all) => {
                all.into_iter().for_each(|d| self.problems.push(d));
                None
            }
        }
    }

    /// A word or a number without holes.
    pub fn literal<T: std::str::FromStr>(&mut self, key: &str, what: &str) -> Option<T> {
        let node = self.node.get(key)?.clone();
        let parsed = node.to_value().to_string().parse().ok();
        if parsed.is_none() {
            let d = Diagnostic::error("wrong-type", &node.span, format!("`{key}` must be {what}"));
            self.problem(d);
        }
        parsed
    }

    pub fn span(&self) -> &Span {
        &self.node.span
    }
}

/// A word for a POSIX shell, in quotes where it needs them: for evidence that reproduces an action by hand.
pub fn shell_word(text: &str) -> std::borrow::Cow<'_, str> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    let plain = !text.is_empty() && text.bytes().all(safe);
    if plain { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")).into() }
}

/// The expressions in a template that are not texts: for executors that bind them instead of pasting.
pub fn placeholders(t: &Template) -> impl Iterator<Item = &Expression> {
    t.parts().iter().filter_map(|p| if let Part::Placeholder(e) = p { Some(e) } else { None })
}

/// A link that can be cut and healed.
#[async_trait]
pub trait Link: Send + Sync {
    async fn cut(&self) -> Result<(), ActionError>;
    async fn heal(&self) -> Result<(), ActionError>;
    /// How often the cut link was tried since it was cut.
    fn refused(&self) -> u64;
}

/// The verbs that there are.
#[derive(Default)]
pub struct Registry(Vec<Box<dyn Executor>>);

impl Registry {
    #[must_use]
    pub fn with(mut self, executor: impl Executor + 'static) -> Self {
        self.0.push(Box::new(executor));
        self
    }

    pub fn get(&self, verb: &str) -> Option<&dyn Executor> {
        self.0.iter().map(|e| &**e).find(|e| e.verb() == verb)
    }

    pub fn verbs(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|e| e.verb())
    }
}
