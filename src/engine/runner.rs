//! What running an action needs, and the events that every action emits.
use super::{
    context::RunContext,
    hook::BeforeAction,
    inconclusive::InconclusiveReasons,
    observation::ObservationSource,
    results::{ActionOutcome, ObservationTime},
    schedule::ScheduledAction,
    start_gate::StartGate,
    undo::UndoStack,
};
use crate::{
    address::Address,
    event::{EventKind, Evidence},
    executor::ActionError,
    expr::{AssertionResult, Scope},
    outcome::Status,
    value::Value,
};
use parking_lot::Mutex;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the actions of a case leave for the end of the case.
#[derive(Default)]
pub struct CaseEffects {
    pub undo: UndoStack,
    /// Faults in force. While there is one, an unreachable product counts as its response.
    pub faults: Mutex<Vec<String>>,
    pub inconclusive: InconclusiveReasons,
}

/// Runs actions. `action.rs` runs lists of them; `verb.rs`, `call.rs`, `parallel.rs` and `fault.rs` run one kind each.
#[derive(Clone, Copy)]
pub struct ActionRunner<'a> {
    pub context: &'a RunContext,
    pub source: &'a dyn ObservationSource,
    pub cancel: &'a CancellationToken,
    pub effects: &'a CaseEffects,
    /// The names that the definition of a used action sees beside its inputs.
    pub base: &'a Scope,
    /// In a branch of a `parallel`: holds its first action.
    pub start: Option<&'a StartGate<'a>>,
}

/// The scope that the hook of the context chose for an action, and the faults in force before it.
pub(super) struct Hooked {
    pub scope: Scope,
    faults: Vec<String>,
}

impl<'a> ActionRunner<'a> {
    pub fn new(
        context: &'a RunContext,
        source: &'a dyn ObservationSource,
        cancel: &'a CancellationToken,
        effects: &'a CaseEffects,
        base: &'a Scope,
    ) -> Self {
        ActionRunner { context, source, cancel, effects, base, start: None }
    }

    pub fn faults_in_force(&self) -> Vec<String> {
        self.effects.faults.lock().clone()
    }

    /// Calls the hook, if there is one. `Err` holds the outcome of an action that need not run.
    pub(super) fn before_action(&self, at: &Address, scope: &Scope) -> Result<Option<Hooked>, ActionOutcome> {
        let Some(hook) = &self.context.hook else { return Ok(None) };
        let faults = self.faults_in_force();
        match hook.before(at, scope, &faults) {
            BeforeAction::Run(scope) => Ok(Some(Hooked { scope, faults })),
            BeforeAction::Skip(outcome) => Err(outcome),
        }
    }

    pub(super) fn after_action(&self, at: &Address, scope: &Scope, hooked: Option<Hooked>, outcome: &ActionOutcome) {
        if let (Some(hook), Some(Hooked { faults, .. })) = (&self.context.hook, hooked)
            && self.faults_in_force() == faults
        {
            hook.after(at, scope, &faults, outcome);
        }
    }

    pub(super) fn cancel_reason(&self) -> &'static str {
        if self.context.cancel.is_cancelled() { "cancelled" } else { "the case ran longer than its `timeout`" }
    }

    pub async fn emit(&self, at: &Address, kind: EventKind) {
        self.context.events.emit(at, kind).await;
    }

    pub(super) async fn emit_started(&self, action: &ScheduledAction, at: &Address) {
        self.emit(at, EventKind::ActionStarted { summary: action.summary.clone(), location: action.location.clone() })
            .await;
    }

    pub(super) async fn emit_observed(
        &self,
        at: &Address,
        time: ObservationTime,
        value: &Value,
        results: &[AssertionResult],
        evidence: Vec<Evidence>,
    ) {
        let kind = EventKind::Observed {
            attempt: time.attempt,
            at: time.at,
            took: time.took,
            value: Some(value.clone()),
            error: None,
            error_kind: None,
            unmet: results.iter().filter(|r| !r.holds).cloned().collect(),
            evidence,
        };
        self.emit(at, kind).await;
    }

    pub(super) async fn emit_not_observed(
        &self,
        at: &Address,
        time: ObservationTime,
        error: &ActionError,
        evidence: Vec<Evidence>,
    ) {
        let kind = EventKind::Observed {
            attempt: time.attempt,
            at: time.at,
            took: time.took,
            value: None,
            error: Some(error.to_string()),
            error_kind: Some(error.kind()),
            unmet: vec![],
            evidence,
        };
        self.emit(at, kind).await;
    }

    pub(super) async fn emit_finished(
        &self,
        at: &Address,
        status: Status,
        results: Vec<AssertionResult>,
        reason: Option<String>,
        attempts: u32,
        took: Duration,
    ) {
        self.emit(at, EventKind::ActionFinished { status, results, reason, attempts, took }).await;
    }

    /// Finishes an announced action that made no observation.
    pub(super) async fn finish_without_output(&self, at: &Address, status: Status, reason: String) -> ActionOutcome {
        self.emit_finished(at, status, vec![], Some(reason.clone()), 0, Duration::ZERO).await;
        ActionOutcome::without_output(status, reason)
    }

    /// Announces an action and finishes it: it cannot be run.
    pub(super) async fn refuse(
        &self,
        action: &ScheduledAction,
        at: &Address,
        status: Status,
        reason: String,
    ) -> ActionOutcome {
        self.emit_started(action, at).await;
        self.finish_without_output(at, status, reason).await
    }
}
