//! Where observations come from: the trait that a live run and a replay implement.
use super::{results::ActionOutcome, wait::Wait};
use crate::{
    address::Address,
    event::{Evidence, EvidenceKind},
    executor::{Action, ActionError, Output},
    expr::Scope,
    plan::Assertions,
    value::Value,
};
use async_trait::async_trait;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub struct ObservationRequest<'a> {
    pub action: &'a dyn Action,
    pub target: Option<&'a str>,
    pub at: &'a Address,
    pub scope: &'a Scope,
    /// The previous output, from which the next attempt continues without losing anything.
    pub last: Option<&'a Output>,
    pub wait: &'a Wait<'a>,
    /// Observe once more, although the time for observing is over.
    pub confirm: bool,
    /// Refuse every change.
    pub read_only: bool,
    /// Time limit of this attempt.
    pub timeout: Duration,
    /// No further request is sent; one in flight is completed.
    pub cancel: &'a CancellationToken,
    /// A request in flight is cut, too.
    pub kill: &'a CancellationToken,
}

pub struct Observation {
    pub result: Result<Output, ActionError>,
    pub evidence: Vec<Evidence>,
    /// The request was sent: a timeout then counts as "no response".
    pub sent: bool,
}

/// The first line of the last request in the evidence: `GET http://…`.
pub(super) fn request_line(evidence: &[Evidence]) -> Option<String> {
    let last = evidence.iter().rfind(|e| e.kind == EvidenceKind::Request)?;
    last.text.lines().next().map(str::to_string)
}

/// Whether a `use` is run again.
pub enum NextAttempt {
    Stop,
    Run,
    /// Run it, with the times of this recorded output.
    Recorded(Value),
}

#[async_trait]
pub trait ObservationSource: Send + Sync {
    /// Makes the next observation; `None` if the time for observing is over.
    async fn observe(&self, request: ObservationRequest<'_>) -> Option<Observation>;
    /// Waits for the next attempt of a `use`.
    async fn next_attempt(&self, at: &Address, wait: &Wait<'_>, cancel: &CancellationToken) -> NextAttempt;
    /// In a replay: the recorded observations that the assertions of the action at `at` judge, of all cases. `None` in a live run,
    /// where they are judged as they are made.
    fn every_observation(&self, _at: &Address) -> Option<Vec<Output>> {
        None
    }
    /// What the engine measured itself (the overlap of a `parallel`, the connections that a fault refused), or what was recorded
    /// in its place.
    fn measured(&self, at: &Address, live: Value) -> Value;
    /// Whether actions have effects and need an undo, and deadlines a clock.
    fn is_live(&self) -> bool;
    /// The names of the environment.
    fn environment(&self) -> Scope;
    /// Called before the action at `at` runs with the names of `scope` while `faults` are in force, and before the assertions of a
    /// sentence. Returns the scope to run it in, or its outcome if it need not run.
    fn before(&self, _at: &Address, scope: &Scope, _faults: &[String]) -> Result<Scope, ActionOutcome> {
        Ok(scope.clone())
    }
    /// Called before `assertions` are evaluated.
    fn judging(&self, _assertions: &Assertions, _scope: &Scope) {}
    /// Called after an action that left the faults in force as they were, with the arguments of `before`.
    fn after(&self, _at: &Address, _scope: &Scope, _faults: &[String], _outcome: &ActionOutcome) {}
}
