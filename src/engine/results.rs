//! Outcomes of an action, of a list of actions and of a case.
use crate::{
    address::Address,
    event::{Attempt, Evidence},
    executor::ActionError,
    expr::{AssertionResult, Scope},
    outcome::{Blame, Status, Verdict},
    value::Value,
};
use std::time::Duration;

/// By default it has passed and has no output.
#[derive(Clone, Default)]
pub struct ActionOutcome {
    pub status: Status,
    pub reason: Option<String>,
    /// The output of the last attempt that had one.
    pub value: Option<Value>,
    /// The names that the action binds.
    pub names: Vec<(String, Value)>,
    /// The product could not be asked: the remaining steps of the case are not run.
    pub ends_steps: bool,
    /// An `eventually` ran out: a `foreach` around the action stops.
    pub expired: bool,
    /// A change was not performed: no request was sent.
    pub unperformed: bool,
    /// Number of assertions that were evaluated.
    pub judged: usize,
    /// The values that failed assertions observed, up to [`MAX_OBSERVED`].
    pub observed: Vec<String>,
}

/// Number of observed values that are kept of the failed assertions of a sentence.
const MAX_OBSERVED: usize = 64;

impl ActionOutcome {
    pub fn without_output(status: Status, reason: impl Into<String>) -> Self {
        let ends_steps = matches!(status, Status::Errored | Status::Interrupted);
        ActionOutcome { status, reason: Some(reason.into()), ends_steps, ..ActionOutcome::default() }
    }

    /// Adds the outcome of a part: its output and names, and the worse status with its reason.
    pub fn add(&mut self, part: ActionOutcome) {
        let worse = self.status.worst(part.status);
        if worse != self.status || (self.reason.is_none() && part.status.is_unsuccessful()) {
            (self.status, self.reason) = (worse, part.reason);
        }
        self.value = part.value.or(self.value.take());
        self.names.extend(part.names);
        self.ends_steps |= part.ends_steps;
        self.expired |= part.expired;
        self.unperformed |= part.unperformed;
        self.judged += part.judged;
        self.observed.extend(part.observed);
        self.observed.truncate(MAX_OBSERVED);
    }

    /// The reason why it did not pass, if it did not.
    pub fn failure(&self) -> Option<String> {
        self.status.is_unsuccessful().then(|| self.reason.clone().unwrap_or_else(|| self.status.as_str().into()))
    }
}

/// The outcome of a list of actions.
pub struct ActionsOutcome {
    /// The scope with the names that the actions bound.
    pub scope: Scope,
    /// At least one action was not skipped by its `if`.
    pub acted: bool,
    pub total: ActionOutcome,
}

/// Something that could not be undone.
pub struct Leftover {
    /// The undo and why it did not work, in a sentence.
    pub text: String,
    /// The product answered a request of the undo wrongly or not at all; otherwise the request could not be sent.
    pub by_product: bool,
}

pub struct CaseOutcome {
    pub verdict: Verdict,
    pub blame: Option<Blame>,
    pub reason: Option<String>,
    /// The time limit of a case that ran out of time.
    pub out_of_time: Option<Duration>,
    /// What could not be undone, a sentence each.
    pub left: Vec<String>,
}

impl CaseOutcome {
    pub fn new(verdict: Verdict, blame: Option<Blame>, reason: Option<String>) -> Self {
        CaseOutcome { verdict, blame, reason, out_of_time: None, left: vec![] }
    }

    /// The outcome after the undo. A wrong answer to a request of the undo is the product's failure; a request that could not be sent
    /// is an error. Neither hides a failure.
    #[must_use]
    pub fn with_leftovers(self, leftovers: Vec<Leftover>) -> Self {
        let texts = |all: &[&Leftover]| all.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join("; ");
        let all: Vec<&Leftover> = leftovers.iter().collect();
        let wrong: Vec<&Leftover> = leftovers.iter().filter(|l| l.by_product).collect();
        let outcome = match self.verdict {
            Verdict::Passed | Verdict::KnownFailure | Verdict::Errored if !wrong.is_empty() => {
                let reason = format!("the undo failed: {}", texts(&wrong));
                CaseOutcome::new(Verdict::Failed, Some(Blame::Product), Some(reason))
            }
            Verdict::Passed | Verdict::KnownFailure if !all.is_empty() => {
                CaseOutcome::errored(format!("not everything could be undone: {}", texts(&all)))
            }
            _ => self,
        };
        CaseOutcome { left: leftovers.into_iter().map(|l| l.text).collect(), ..outcome }
    }

    /// Errored for a reason outside of the product.
    pub fn errored(reason: impl Into<String>) -> Self {
        CaseOutcome::new(Verdict::Errored, Some(Blame::Environment), Some(reason.into()))
    }
}

/// The result of a sentence of a case.
#[derive(Clone)]
pub struct SentenceOutcome {
    pub address: Address,
    pub status: Status,
    /// The values that its failed assertions observed.
    pub observed: Vec<String>,
}

/// When an observation was made.
#[derive(Clone, Copy)]
pub struct ObservationTime {
    /// From 0 within the action.
    pub attempt: u32,
    pub at: jiff::Timestamp,
    pub took: Duration,
}

impl ObservationTime {
    /// The attempt that observed a value, or why it did not, with what its assertions say and what was sent.
    pub(super) fn attempt(
        self,
        observed: Result<&Value, &ActionError>,
        results: &[AssertionResult],
        evidence: Vec<Evidence>,
    ) -> Box<Attempt> {
        Box::new(Attempt {
            number: self.attempt,
            began: self.at,
            took: self.took,
            value: observed.ok().cloned(),
            error: observed.err().map(ToString::to_string),
            error_kind: observed.err().map(ActionError::kind),
            unmet: results.iter().filter(|r| !r.holds).cloned().collect(),
            evidence,
        })
    }
}

/// Says in a sentence what did not hold.
fn describe_failure(result: &AssertionResult) -> String {
    if result.expected == "true" && result.actual == "false" {
        format!("`{}` does not hold", result.subject)
    } else {
        format!("`{}`: expected {}, found {}", result.subject, result.expected, result.actual)
    }
}

/// Describes the first result that does not hold; one that failed comes before one that is inconclusive.
pub fn first_failure(results: &[AssertionResult]) -> Option<String> {
    let unmet = || results.iter().filter(|r| !r.holds);
    unmet().find(|r| !r.inconclusive).or_else(|| unmet().next()).map(describe_failure)
}

/// The status that results give: failed, errored if the only results that do not hold are inconclusive, or `None`.
pub fn status_of(results: &[AssertionResult]) -> Option<Status> {
    let mut unmet = results.iter().filter(|r| !r.holds).peekable();
    unmet.peek()?;
    Some(if unmet.all(|r| r.inconclusive) { Status::Errored } else { Status::Failed })
}

/// The values that made assertions fail: of a field, or of the operands of an expression.
pub fn observed_values(results: &[AssertionResult]) -> Vec<String> {
    let values = |r: &AssertionResult| match r.operands.is_empty() {
        true => vec![r.actual.clone()],
        false => r.operands.iter().map(|(_, value)| value.clone()).collect(),
    };
    results.iter().filter(|r| !r.holds).flat_map(values).take(MAX_OBSERVED).collect()
}
