//! The contract with the reader: everything that a run says, in order. Owned and serde both ways, so that a recorded run can be
//! reported and judged again. Knows neither who tells nor who reads.
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
use std::time::Duration;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// From 1, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    /// The case, sentence or action that it is about; empty for the run itself.
    pub address: Address,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    RunStarted(Box<RunStarted>),
    /// Setup is done: what the cases are performed with, so that a recorded run can be judged again.
    NamesBound {
        /// The plan's variables.
        vars: Value,
        /// What the environment's own actions may read beside them.
        environment: Value,
    },
    CaseStarted,
    SentenceStarted,
    ActionStarted {
        /// One line for people: `http POST /api/v1/sessions`, before its templates are filled in.
        what: String,
        location: Location,
    },
    /// One look at the world.
    Observed {
        /// From 0 within the action.
        attempt: u32,
        /// Not `at` on the line: that is the event's own.
        #[serde(rename = "began")]
        at: Timestamp,
        #[serde(with = "nanos")]
        took: Duration,
        value: Option<Value>,
        /// Why there is no value.
        error: Option<String>,
        /// Of the error, so that a recorded look fails as the live one did.
        error_kind: Option<ErrorKind>,
        /// What did not hold at this look.
        unmet: Vec<AssertionResult>,
        evidence: Vec<Evidence>,
    },
    ActionFinished {
        status: Status,
        /// All that was asked of the last look, whether it held or not.
        results: Vec<AssertionResult>,
        /// Why it is not passed, where results do not say it.
        reason: Option<String>,
        attempts: u32,
        #[serde(with = "nanos")]
        took: Duration,
    },
    SentenceFinished {
        status: Status,
        /// For a person: why it is not passed, or what was observed.
        reason: Option<String>,
    },
    /// On the stack before the request leaves. `what` names the actions that will undo it.
    UndoIntended {
        what: String,
        location: Location,
    },
    UndoFinished {
        status: Status,
        what: String,
        reason: Option<String>,
    },
    CaseFinished {
        verdict: Verdict,
        blame: Option<Blame>,
        reason: Option<String>,
        #[serde(with = "nanos")]
        took: Duration,
    },
    CancelRequested,
    RunFinished {
        #[serde(with = "nanos")]
        took: Duration,
        /// What could not be undone, or any other word for the end of the report.
        notes: Vec<String>,
    },
}

/// Everything that is known before the first case begins: whoever dies midway still leaves all the rows of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunStarted {
    pub run: String,
    pub started: Timestamp,
    pub plan: PlanOutline,
    pub environment: EnvironmentOutline,
    /// What the arguments selected, in words: `all 10 cases`, `tier must: 3 of 10 cases`.
    pub selection: String,
    pub gate: Vec<Tier>,
    /// Name and version of what took part: the runner, the platform, servers.
    pub versions: Vec<(String, String)>,
    pub cases: Vec<CaseOutline>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlanOutline {
    pub id: String,
    pub title: String,
    /// The plan's file, as the user knows it.
    pub file: String,
    /// The Markdown plan that it carries out.
    pub source: Option<String>,
    pub objective: Option<String>,
    /// `scope.in` and `scope.out`.
    pub scope_in: Vec<String>,
    pub scope_out: Vec<String>,
    /// The plan's variables as they were for this run, with those set on the command line.
    pub vars: Vec<(String, String)>,
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
    /// Actions of the plan that the environment replaced by its own.
    pub replaced: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseOutline {
    pub id: String,
    pub title: String,
    pub tier: Tier,
    pub priority: Option<String>,
    pub selected: bool,
    /// The plan's other fields, in its order: `Type`, `Related Issue`, `Test File`.
    pub fields: Vec<(String, String)>,
    pub sentences: Vec<SentenceOutline>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SentenceOutline {
    pub address: Address,
    pub part: Part,
    /// In the plan's words.
    pub text: String,
    pub location: Location,
    /// The reason given by `unproven`.
    pub unproven: Option<String>,
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
    /// What came back.
    Response,
    /// The line that does the same by hand: `curl …`, `kubectl …`, `psql …`.
    Reproduce,
    Note,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Could not ask: refused, DNS, TLS, credentials.
    Unreachable,
    TimedOut,
    /// A template or `save` reads what is not there.
    Undefined,
    Cancelled,
    /// A rendered value cannot be used.
    Invalid,
}

impl EventKind {
    /// Applies `f` to every text that came from the world or from a plan's values; fixed words stay.
    pub fn map_text(self, f: &dyn Fn(&str) -> Option<String>) -> EventKind {
        let text = |s: String| f(&s).unwrap_or(s);
        let option = |s: Option<String>| s.map(text);
        let results = |fs: Vec<AssertionResult>| -> Vec<AssertionResult> {
            fs.into_iter()
                .map(|x| AssertionResult {
                    subject: text(x.subject),
                    expected: text(x.expected),
                    actual: text(x.actual),
                    operands: x.operands.into_iter().map(|(a, b)| (text(a), text(b))).collect(),
                    ..x
                })
                .collect()
        };
        match self {
            EventKind::RunStarted(mut r) => {
                for (_, v) in r.plan.vars.iter_mut().chain(&mut r.environment.targets).chain(&mut r.versions) {
                    *v = text(std::mem::take(v));
                }
                EventKind::RunStarted(r)
            }
            EventKind::NamesBound { vars, environment } => {
                EventKind::NamesBound { vars: vars.map_text(f), environment: environment.map_text(f) }
            }
            EventKind::ActionStarted { what, location } => EventKind::ActionStarted { what: text(what), location },
            EventKind::Observed { attempt, at, took, value, error, error_kind, unmet, evidence } => {
                EventKind::Observed {
                    attempt,
                    at,
                    took,
                    value: value.map(|v| v.map_text(f)),
                    error: option(error),
                    error_kind,
                    unmet: results(unmet),
                    evidence: evidence.into_iter().map(|e| Evidence { text: text(e.text), ..e }).collect(),
                }
            }
            EventKind::ActionFinished { status, results: fs, reason, attempts, took } => {
                EventKind::ActionFinished { status, results: results(fs), reason: option(reason), attempts, took }
            }
            EventKind::SentenceFinished { status, reason } => {
                EventKind::SentenceFinished { status, reason: option(reason) }
            }
            EventKind::UndoIntended { what, location } => EventKind::UndoIntended { what: text(what), location },
            EventKind::UndoFinished { status, what, reason } => {
                EventKind::UndoFinished { status, what: text(what), reason: option(reason) }
            }
            EventKind::CaseFinished { verdict, blame, reason, took } => {
                EventKind::CaseFinished { verdict, blame, reason: option(reason), took }
            }
            EventKind::RunFinished { took, notes } => {
                EventKind::RunFinished { took, notes: notes.into_iter().map(text).collect() }
            }
            same @ (EventKind::CaseStarted | EventKind::SentenceStarted | EventKind::CancelRequested) => same,
        }
    }
}

/// Where events go. Both wait while the reader is behind.
#[async_trait]
pub trait Events: Send + Sync {
    async fn emit(&self, at: &Address, kind: EventKind);
    /// Returns when every sink has it: an undo is written before the act that it undoes.
    async fn commit(&self, at: &Address, kind: EventKind) -> Result<(), String>;
}

/// Reads events as they come. An error begins an orderly stop.
pub trait EventSink: Send {
    /// `line` is the event as one line of JSON.
    fn on_event(&mut self, event: &Event, line: &str) -> Result<(), String>;
    /// No further event comes for now.
    fn flush(&mut self) -> Result<(), String> {
        Ok(())
    }
    /// Returns when what was told is safe, whatever happens to this process.
    fn sync(&mut self) -> Result<(), String> {
        Ok(())
    }
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
