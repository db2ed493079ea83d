//! The events of a run: everything that the run reports, in order. Events own their data and can be serialised and read
//! back, so that a recorded run can be reported and replayed. Knows neither senders nor readers.
pub use crate::expr::AssertionResult;
use crate::{
    address::Address,
    outcome::{Blame, Status, Tier, Verdict},
    source::Location,
    value::Value,
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// From 1, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    /// The case, sentence or action of the event; empty for the run itself.
    pub address: Address,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    RunStarted(Box<RunStarted>),
    /// After setup: the names that a replay needs.
    NamesBound {
        /// The plan's variables.
        vars: Value,
        /// The names that only the environment's own actions can read.
        environment: Value,
    },
    /// What was tested, as it became known after the start: addresses by target, and versions by name. Later values
    /// replace earlier ones.
    EnvironmentDescribed {
        targets: Vec<(String, String)>,
        versions: Vec<(String, String)>,
    },
    CaseStarted,
    SentenceStarted,
    ActionStarted {
        action: ActionOutline,
    },
    /// An attempt that is not the last one of its action.
    Observed(Box<Attempt>),
    ActionFinished {
        status: Status,
        /// Every assertion of the last attempt, whether it holds or not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        results: Vec<AssertionResult>,
        /// Why it did not pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        attempts: u32,
        #[serde(with = "nanos")]
        took: Duration,
        /// Of an action with `eventually`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait: Option<WaitOutcome>,
        /// The last attempt, unless it was reported before: the time ran out while waiting for another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<Box<Attempt>>,
    },
    SentenceFinished {
        status: Status,
        /// Why it did not pass, or what was observed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Committed before the request is sent. Says all that is needed to undo the action after this process has died.
    UndoPlanned {
        /// The actions of the undo, with the values that are known: `use remove-sessions-of (template: r1-a)`.
        summary: String,
        /// Of its first action, or of the `fault` that breaks a dependency.
        location: Location,
        /// The names that it reads and that the run does not bind for every action, with their values.
        #[serde(default, skip_serializing_if = "is_null")]
        names: Value,
        /// The fault that it heals. It then has no actions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heals: Option<String>,
    },
    /// What the action bound, if its undo reads it.
    UndoBound {
        /// As in `UndoPlanned`, with these values.
        summary: String,
        names: Value,
    },
    UndoFinished {
        status: Status,
        summary: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    CaseFinished {
        verdict: Verdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blame: Option<Blame>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(with = "nanos")]
        took: Duration,
        /// The time limit of a case that ran out of time.
        #[serde(default, with = "maybe_nanos", skip_serializing_if = "Option::is_none")]
        out_of_time: Option<Duration>,
    },
    /// An attempt at a case did not pass, its undo is done, and the next attempt begins. The events of the next one have the same
    /// addresses.
    CaseRetried {
        verdict: Verdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blame: Option<Blame>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(with = "nanos")]
        took: Duration,
        #[serde(default, with = "maybe_nanos", skip_serializing_if = "Option::is_none")]
        out_of_time: Option<Duration>,
    },
    CancelRequested,
    /// `cleanup` begins to undo what the run left.
    CleanupStarted,
    CleanupFinished {
        /// How many undo entries are still open.
        left: usize,
    },
    RunFinished {
        #[serde(with = "nanos")]
        took: Duration,
        /// What could not be undone, and other notes for the end of the report.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
}

/// Everything that is known before the first case: the journal of a killed run still gives a complete report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunStarted {
    pub run: String,
    pub started: Timestamp,
    pub plan: PlanOutline,
    pub environment: EnvironmentOutline,
    /// The selected cases, in words: `all 10 cases`, `tier must: 3 of 10 cases`.
    pub selection: String,
    pub gate: Vec<Tier>,
    /// Name and version of the runner, the platform and servers.
    pub versions: Vec<(String, String)>,
    /// The CI job that the runner is part of, by field: `System`, `Job`, `Build`, `Commit`, `Branch`, `Link`.
    #[serde(default)]
    pub ci: Vec<(String, String)>,
    /// The id of the trace that it was sent as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The arguments of `tp-runner run` that name the plan and the environment: `TP-004`, `--env`, `staging`. Journals of old versions
    /// lack them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    pub cases: Vec<Arc<CaseOutline>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlanOutline {
    pub id: String,
    pub title: String,
    /// The plan's file, as the user named it.
    pub file: String,
    /// The Markdown plan that it implements.
    pub source: Option<String>,
    pub objective: Option<String>,
    /// `scope.in` and `scope.out`.
    pub scope_in: Vec<String>,
    pub scope_out: Vec<String>,
    /// The plan's variables with the values of this run.
    pub vars: Vec<(String, String)>,
    /// The SHA-256 of the plan's file and of the files that it includes. Journals of old versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EnvironmentOutline {
    pub name: String,
    /// One sentence: `the embedded reference platform; no deployment was tested`.
    pub about: String,
    /// Printed first and last in every report: `sandbox (embedded reference platform): no deployment was tested`.
    pub notice: Option<String>,
    /// Name and address of each target.
    pub targets: Vec<(String, String)>,
    /// Reusable actions of the plan that the environment overrides.
    pub replaced: Vec<String>,
    /// Whether it ends with the run, as the embedded sandbox does: no command can ask it later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_with_run: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseOutline {
    pub id: String,
    pub title: String,
    pub tier: Tier,
    pub priority: Option<String>,
    pub selected: bool,
    /// Other fields of the case, in the plan's order: `Type`, `Related Issue`, `Test File`.
    pub fields: Vec<(String, String)>,
    pub sentences: Vec<Arc<SentenceOutline>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SentenceOutline {
    pub address: Address,
    pub part: Part,
    /// The plan's text.
    pub text: String,
    pub location: Location,
    /// The reason given by `unproven`.
    pub unproven: Option<String>,
    /// The names that it reads and that it, or an earlier sentence, binds. Journals of old versions lack those that it binds, or all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<SentenceInput>,
}

/// What is run, as the plan has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionOutline {
    /// One line for people, with its placeholders: `http POST /api/v1/sessions`.
    pub summary: String,
    pub location: Location,
    /// How long its assertions may take to hold.
    #[serde(default, with = "maybe_nanos", skip_serializing_if = "Option::is_none")]
    pub eventually: Option<Duration>,
    /// How long they must keep holding.
    #[serde(default, with = "maybe_nanos", skip_serializing_if = "Option::is_none")]
    pub always: Option<Duration>,
}

impl ActionOutline {
    /// Of an action that waits for nothing.
    pub fn new(summary: String, location: Location) -> Self {
        ActionOutline { summary, location, eventually: None, always: None }
    }
}

/// One observation of an action, successful or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// From 0 within the action.
    #[serde(rename = "attempt", default, skip_serializing_if = "is_zero")]
    pub number: u32,
    pub began: Timestamp,
    #[serde(with = "nanos")]
    pub took: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kind of the error, so that a replay fails in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<ErrorKind>,
    /// The assertions that did not hold in this attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<AssertionResult>,
    /// What was sent, and what was received unless the value has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// What an `eventually` came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitOutcome {
    #[serde(with = "nanos")]
    pub limit: Duration,
    /// The time from its start until its assertions held. `None`: they never did.
    #[serde(default, with = "maybe_nanos", skip_serializing_if = "Option::is_none")]
    pub held_after: Option<Duration>,
}

/// A name that a sentence reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SentenceInput {
    pub name: String,
    /// The action that binds it, and those from which that one takes its own inputs.
    pub actions: Vec<Address>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Precondition,
    Step,
    Expected,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// What was sent.
    Request,
    /// What was received.
    Response,
    /// A command line that does the same by hand: `curl …`, `kubectl …`, `psql …`.
    Reproduce,
    /// The options of the `curl` command that repeats the request before it.
    Curl,
    Note,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The product could not be asked: refused, DNS, TLS, credentials.
    Unreachable,
    TimedOut,
    /// A placeholder or `save` reads something that is not bound.
    Undefined,
    Cancelled,
    /// A rendered value cannot be used.
    Invalid,
}

impl EventKind {
    /// The attempt that the event reports.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            EventKind::Observed(attempt) | EventKind::ActionFinished { last: Some(attempt), .. } => Some(attempt),
            _ => None,
        }
    }

    /// Like [`EventKind::attempt`].
    pub fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match self {
            EventKind::Observed(attempt) | EventKind::ActionFinished { last: Some(attempt), .. } => Some(attempt),
            _ => None,
        }
    }

    /// Applies `f` to every text that was observed or comes from values of the plan, with the name of its field, and
    /// keeps fixed texts.
    pub fn map_text(self, f: &dyn Fn(&str, &str) -> Option<String>) -> EventKind {
        let field = |name: &str, s: String| f(name, &s).unwrap_or(s);
        let text = |s: String| field("", s);
        let value = |v: Value| v.map_text("", f).unwrap_or(v);
        let option = |s: Option<String>| s.map(text);
        let results = |fs: Vec<AssertionResult>| -> Vec<AssertionResult> {
            fs.into_iter()
                .map(|x| AssertionResult {
                    expected: field(&x.subject, x.expected),
                    actual: field(&x.subject, x.actual),
                    operands: x.operands.into_iter().map(|(a, b)| (text(a.clone()), field(&a, b))).collect(),
                    subject: text(x.subject),
                    ..x
                })
                .collect()
        };
        let attempt = |mut seen: Box<Attempt>| {
            seen.value = seen.value.take().map(value);
            seen.error = option(seen.error.take());
            seen.unmet = results(std::mem::take(&mut seen.unmet));
            seen.evidence.iter_mut().for_each(|e| e.text = text(std::mem::take(&mut e.text)));
            seen
        };
        match self {
            EventKind::RunStarted(mut r) => {
                r.arguments.iter_mut().for_each(|word| *word = text(std::mem::take(word)));
                let described = r.environment.targets.iter_mut().chain(&mut r.versions).chain(&mut r.ci);
                for (n, v) in r.plan.vars.iter_mut().chain(described) {
                    *v = field(n, std::mem::take(v));
                }
                EventKind::RunStarted(r)
            }
            EventKind::EnvironmentDescribed { targets, versions } => {
                let fields =
                    |all: Vec<(String, String)>| all.into_iter().map(|(n, v)| (n.clone(), field(&n, v))).collect();
                EventKind::EnvironmentDescribed { targets: fields(targets), versions: fields(versions) }
            }
            EventKind::NamesBound { vars, environment } => {
                EventKind::NamesBound { vars: value(vars), environment: value(environment) }
            }
            EventKind::ActionStarted { action } => {
                EventKind::ActionStarted { action: ActionOutline { summary: text(action.summary.clone()), ..action } }
            }
            EventKind::Observed(seen) => EventKind::Observed(attempt(seen)),
            EventKind::ActionFinished { status, results: fs, reason, attempts, took, wait, last } => {
                let (results, reason) = (results(fs), option(reason));
                EventKind::ActionFinished { status, results, reason, attempts, took, wait, last: last.map(attempt) }
            }
            EventKind::SentenceFinished { status, reason } => {
                EventKind::SentenceFinished { status, reason: option(reason) }
            }
            EventKind::UndoPlanned { summary, location, names, heals } => {
                EventKind::UndoPlanned { summary: text(summary), location, names: value(names), heals }
            }
            EventKind::UndoBound { summary, names } => {
                EventKind::UndoBound { summary: text(summary), names: value(names) }
            }
            EventKind::UndoFinished { status, summary, reason } => {
                EventKind::UndoFinished { status, summary: text(summary), reason: option(reason) }
            }
            EventKind::CaseFinished { verdict, blame, reason, took, out_of_time } => {
                EventKind::CaseFinished { verdict, blame, reason: option(reason), took, out_of_time }
            }
            EventKind::CaseRetried { verdict, blame, reason, took, out_of_time } => {
                EventKind::CaseRetried { verdict, blame, reason: option(reason), took, out_of_time }
            }
            EventKind::RunFinished { took, notes } => {
                EventKind::RunFinished { took, notes: notes.into_iter().map(text).collect() }
            }
            same @ (EventKind::CaseStarted
            | EventKind::SentenceStarted
            | EventKind::CancelRequested
            | EventKind::CleanupStarted
            | EventKind::CleanupFinished { .. }) => same,
        }
    }
}

/// Why a sink failed to process an event.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Receives the events of a run. Both methods wait while the sinks are behind.
#[async_trait]
pub trait Events: Send + Sync {
    async fn emit(&self, at: &Address, kind: EventKind);
    /// Returns when every sink has synced the event. An undo is thus on disk before its action starts.
    async fn commit(&self, at: &Address, kind: EventKind) -> Result<(), SinkError>;
}

/// Processes each event when it is emitted. An error cancels the run.
pub trait EventSink: Send {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError>;
    /// Called when no further event is pending.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    /// Returns when all events so far survive a crash of this process.
    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_one(n: &u32) -> bool {
    *n == 1
}

fn one() -> u32 {
    1
}

fn is_null(value: &Value) -> bool {
    *value == Value::Null
}

mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_nanos)
    }
}

mod maybe_nanos {
    use super::nanos;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    #[allow(clippy::ref_option, reason = "the signature that serde calls")]
    pub fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match d {
            Some(d) => nanos::serialize(d, s),
            None => s.serialize_none(),
        }
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_nanos))
    }
}
