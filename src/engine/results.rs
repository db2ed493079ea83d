//! Outcomes of an action, of a list of actions and of a case.
use crate::{
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
    /// Number of assertions that were evaluated.
    pub judged: usize,
}

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
        self.judged += part.judged;
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

pub struct CaseOutcome {
    pub verdict: Verdict,
    pub blame: Option<Blame>,
    pub reason: Option<String>,
    /// What could not be undone, a sentence each.
    pub left: Vec<String>,
}

impl CaseOutcome {
    pub fn new(verdict: Verdict, blame: Option<Blame>, reason: Option<String>) -> Self {
        CaseOutcome { verdict, blame, reason, left: vec![] }
    }

    /// Errored for a reason outside of the product.
    pub fn errored(reason: impl Into<String>) -> Self {
        CaseOutcome::new(Verdict::Errored, Some(Blame::Environment), Some(reason.into()))
    }
}

/// When an observation was made.
#[derive(Clone, Copy)]
pub struct ObservationTime {
    /// From 0 within the action.
    pub attempt: u32,
    pub at: jiff::Timestamp,
    pub took: Duration,
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
