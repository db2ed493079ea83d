//! The contract of executors, one for each verb. An executor compiles its body when the plan is read, without
//! connecting. Its actions perform and report observations; they never retry, assert or bind names.
mod body;
pub mod limits;
mod trace;

pub use self::{
    body::{Body, FilePath},
    trace::TraceId,
};
use crate::{
    access::Refused,
    address::Address,
    event::{ErrorKind, Evidence, EvidenceKind},
    expr::{EvalError, Scope, Template, Tree},
    language::Key,
    secrets::Secrets,
    value::{Value, ValueKind},
};
use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{
    any::Any,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const MAX_EVIDENCE_BYTES: usize = 64 << 10;

/// One verb. Stateless.
pub trait Executor: Send + Sync {
    fn verb(&self) -> &'static str;
    /// Its manual, in Markdown.
    fn manual(&self) -> &'static str;
    /// The names that outputs of its actions have. An action may have only some of them: see [`Action::fields`].
    fn fields(&self) -> &'static [&'static str];
    /// The keys of its body, in groups. Its manual has a row for each that has no meaning here.
    fn keys(&self) -> &'static [&'static [Key]];
    /// The keys of a target: the verb with its address, and the settings beside it. Empty if it has no targets.
    fn target_keys(&self) -> &'static [&'static [Key]] {
        &[]
    }
    /// The kind of a field of its outputs, if it is always the same.
    fn kind_of(&self, _field: &str) -> Option<ValueKind> {
        None
    }
    /// Compiles the body of the verb. `None` if it is invalid; the body collects the problems.
    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>>;
    /// Compiles the settings of a target in an environment: `api: { http: "https://…" }`. `None` if they are invalid.
    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>>;
    /// Whether its actions need a target. Those of `exec` do not.
    fn needs_target(&self) -> bool {
        true
    }
    /// Whether the effects of its actions are unknown. A protected environment refuses them.
    fn has_unknown_effects(&self) -> bool {
        false
    }
}

/// The valid settings of a target.
#[async_trait]
pub trait TargetSpec: Send + Sync {
    /// Called once per run, at the first use. `scope` has the names of the environment.
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError>;
    /// The address for reports, without credentials. A placeholder that `scope` cannot fill stays as it is written.
    fn address(&self, scope: &Scope) -> String;
}

/// What all cases share of a target: pools, watches, inboxes. Opened once per run; closed in reverse order.
#[async_trait]
pub trait Target: Any + Send + Sync {
    async fn close(&self) {}
    /// The address that it is connected to, without credentials, if it was not known before.
    fn address(&self) -> Option<String> {
        None
    }
    /// Name and version of the server, if it says so.
    async fn version(&self) -> Option<String> {
        None
    }
    /// For `doctor`: connects as a plan would, and checks whether each of `permissions` is granted. Changes nothing.
    /// `environment` has the names of the environment, including those bound by setup.
    async fn probe(&self, _permissions: &[Permission], _environment: &Scope) -> Vec<ProbeResult> {
        vec![]
    }
}

/// A permission an action needs on its target, as far as it is known before the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// In the target's terms: `get`, `list`, `watch`.
    pub verb: &'static str,
    /// The resource as the plan names it: `sessions.stream.space`. Placeholders that are filled during the run stay as
    /// written.
    pub resource: String,
    /// `None` for the default of the target.
    pub namespace: Option<String>,
    /// Whether the action fails without it. Otherwise it falls back, for example from watching to polling.
    pub essential: bool,
}

/// One line of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    pub status: ProbeStatus,
    /// What was tried: `log in`.
    pub check: String,
    /// The result.
    pub found: String,
    /// What to do about a problem.
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeStatus {
    Ok,
    /// A possible problem, or one that shows only during a run.
    Warning,
    Error,
}

impl ProbeResult {
    pub fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        ProbeResult { status: ProbeStatus::Ok, check: check.into(), found: found.into(), remedy: None }
    }

    pub fn warning(check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProbeResult { status: ProbeStatus::Warning, remedy: Some(remedy.into()), ..ProbeResult::ok(check, found) }
    }

    /// A system that could not be asked, with the reason.
    pub fn unreachable(check: impl Into<String>, reason: &str) -> Self {
        match reason.strip_suffix(": is it running?") {
            Some(found) => ProbeResult::error(check, found, "start it, or correct its address in the environment file"),
            None => ProbeResult::error(check, reason, "fix it in the environment file"),
        }
    }

    pub fn error(check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProbeResult { status: ProbeStatus::Error, remedy: Some(remedy.into()), ..ProbeResult::ok(check, found) }
    }
}

#[async_trait]
pub trait Action: Send + Sync {
    /// The names `expect`, `check` and `save` may use. With `answered`, no response is an observation: see
    /// [`Output::no_response`]. Without it, no response is an error.
    fn fields(&self) -> &'static [&'static str];
    /// One line, with placeholders as written: `POST /api/v1/sessions`.
    fn summary(&self) -> String;
    /// Whether it changes something: then its response must be checked, and a dry run says so.
    fn changes(&self) -> bool;
    /// The permissions it needs, for `list` and `doctor`. `known` has the names bound before the run.
    fn permissions(&self, _known: &Scope) -> Vec<Permission> {
        vec![]
    }
    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError>;
    /// The next observation after `last`, without missing a change in between. Waits for a change, or for `pace` if the
    /// target cannot report changes.
    async fn next(&self, cx: &ActionContext<'_>, _last: &Output, pace: Duration) -> Result<Output, ActionError> {
        tokio::time::sleep(pace).await;
        self.perform(cx).await
    }
    /// Whether `next` waits for reports of changes, which can silently cease. Then the engine observes once more with
    /// `perform` before it concludes that nothing has changed.
    fn can_miss_changes(&self) -> bool {
        false
    }
    /// A field, and the value that it must have unless the plan has an assertion about it.
    fn implied(&self) -> Option<(&'static str, Value)> {
        None
    }
    /// Why an output that satisfies the assertions is inconclusive. For example, an empty inbox that nothing could
    /// reach.
    fn inconclusive(&self, _: &Value) -> Option<String> {
        None
    }
    /// The output as if the observed object did not exist; `None` if the action observes no object, or it is missing
    /// already.
    fn without_object(&self, _: &Value) -> Option<Value> {
        None
    }
}

/// One observation. `value` is a map with the action's `fields`. Each field says how complete it is: it is
/// [`Value::Unset`] if it was not observed, and [`Value::Partial`] if only a part of it was.
#[derive(Clone)]
pub struct Output {
    pub value: Value,
    /// When the action started.
    pub at: Timestamp,
    pub took: Duration,
    /// Where `next` continues. Not recorded.
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

    /// What is observed without a response: `answered` is false, and no other field was observed.
    pub fn no_response(fields: &[&str], reason: &str, at: Timestamp, took: Duration) -> Self {
        let field = |name: &&str| match *name {
            "answered" => ("answered".to_string(), Value::Bool(false)),
            name => (name.to_string(), Value::unset(reason)),
        };
        Output { value: Value::map(fields.iter().map(field)), at, took, cursor: None }
    }

    pub fn cursor<T: 'static>(&self) -> Option<&T> {
        self.cursor.as_ref()?.downcast_ref()
    }
}

/// A start time by the wall clock and by the monotonic clock.
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

/// Why an action has no output: one sentence, which says what to do if that is known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ActionError {
    /// The product could not be asked: connection refused, DNS, TLS, credentials.
    #[error("{0}")]
    Unreachable(String),
    #[error("no response within {0:?}")]
    TimedOut(Duration),
    /// The response was received, and the runner did not finish with it in time.
    #[error(
        "not finished within {0:?}: reading and converting what was received took longer; \
         raise `timeout`, or receive less"
    )]
    Overran(Duration),
    /// The request was sent, and the connection ended without a response.
    #[error("no response: {0}")]
    NoResponse(String),
    /// A template reads a missing name or field.
    #[error("{0}")]
    Undefined(String),
    #[error("cancelled")]
    Cancelled,
    /// A rendered value is invalid, or the runner itself failed.
    #[error("{0}")]
    Invalid(String),
    /// A defect of the runner: it is not tried again.
    #[error("{0}")]
    Panicked(String),
}

impl ActionError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            ActionError::Unreachable(_) => ErrorKind::Unreachable,
            ActionError::TimedOut(_) | ActionError::Overran(_) | ActionError::NoResponse(_) => ErrorKind::TimedOut,
            ActionError::Undefined(_) => ErrorKind::Undefined,
            ActionError::Cancelled => ErrorKind::Cancelled,
            ActionError::Invalid(_) | ActionError::Panicked(_) => ErrorKind::Invalid,
        }
    }
}

impl From<EvalError> for ActionError {
    fn from(e: EvalError) -> Self {
        ActionError::Undefined(e.to_string())
    }
}

impl From<Refused> for ActionError {
    fn from(refused: Refused) -> Self {
        ActionError::Invalid(refused.to_string())
    }
}

/// Identity of a run.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// Short, lower case, valid in DNS names.
    pub id: String,
    pub started: Timestamp,
    /// Base of relative paths in plans and environments.
    pub dir: PathBuf,
    /// The trace that its requests are part of, if the run is sent as one.
    pub trace: Option<TraceId>,
}

/// What an action may use.
#[derive(Clone)]
pub struct ActionContext<'a> {
    pub address: &'a Address,
    pub run: &'a RunInfo,
    pub scope: &'a Scope,
    /// The names of the environment, for templates of the target (headers, …).
    pub environment: &'a Scope,
    pub cancel: CancellationToken,
    pub secrets: &'a Secrets,
    pub target: Option<Arc<dyn Target>>,
    /// Refuse every change: in a protected environment a `select` that writes must fail.
    pub read_only: bool,
    pub evidence: &'a Mutex<Vec<Evidence>>,
    pub sent: &'a AtomicBool,
    /// Whether the runner is at work on a response that was received: running out of time is then not the product's
    /// failure.
    pub processing: &'a AtomicBool,
    /// The addresses of all targets, as far as they are known.
    pub targets: &'a (dyn Fn() -> Vec<String> + Send + Sync),
}

impl ActionContext<'_> {
    pub fn target<T: Target>(&self) -> Result<&T, ActionError> {
        let any: &dyn Any =
            &**self.target.as_ref().ok_or_else(|| ActionError::Invalid("expected a target, found none".into()))?;
        any.downcast_ref().ok_or_else(|| ActionError::Invalid("the target belongs to another verb".into()))
    }

    /// Adds evidence, with secrets masked in long texts before they are cut. Kept even if the action is cancelled.
    pub fn note(&self, kind: EvidenceKind, text: impl Into<String>) {
        let text = text.into();
        if kind == EvidenceKind::Request {
            self.secrets.add_field("", &text);
        }
        let text = self.secrets.mask_and_cut(text, MAX_EVIDENCE_BYTES, "\n… (cut at 64 KiB)");
        self.evidence.lock().push(Evidence { kind, text });
    }

    /// Masks the fields of a value that are named like secrets from now on.
    pub fn mask_fields(&self, field: &str, value: &Value) {
        mask_fields(self.secrets, field, value);
    }

    /// Marks the request as sent: from now on, no response counts as the product's failure.
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

/// Masks the fields of a value that are named like secrets from now on.
pub fn mask_fields(secrets: &Secrets, field: &str, value: &Value) {
    value.map_text(field, &|field, text| {
        secrets.add_field(field, text);
        None
    });
}

/// A connection that a fault can cut and heal.
#[async_trait]
pub trait FaultSwitch: Send + Sync {
    async fn cut(&self) -> Result<(), ActionError>;
    /// Returns the number of connections that the fault affected since the cut.
    async fn heal(&self) -> Result<u64, ActionError>;
}

/// All executors.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_across_the_evidence_limit_is_masked() {
        let (address, scope, secrets) = (Address::new("A"), Scope::default(), Secrets::default());
        let run = RunInfo { id: "r1".into(), started: Timestamp::default(), dir: PathBuf::new(), trace: None };
        let (evidence, sent, processing) = (Mutex::default(), AtomicBool::new(false), AtomicBool::new(false));
        secrets.add("password", "hunter2-correct-horse");
        let context = ActionContext {
            address: &address,
            run: &run,
            scope: &scope,
            environment: &scope,
            cancel: CancellationToken::new(),
            secrets: &secrets,
            target: None,
            read_only: false,
            evidence: &evidence,
            sent: &sent,
            processing: &processing,
            targets: &Vec::new,
        };
        context.note(EvidenceKind::Response, format!("{}hunter2-correct-horse", "x".repeat(MAX_EVIDENCE_BYTES - 10)));
        let text = &evidence.lock()[0].text;
        assert!(!text.contains("hunter"), "{}", &text[text.len() - 60..]);
    }
}
