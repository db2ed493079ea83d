//! What running an action needs, and the events that every action emits.
use super::{
    context::RunContext, interrupt::EvaluationLimit, observation::ObservationSource, results::ActionOutcome,
    schedule::ScheduledAction, start_gate::StartGate, times::render_duration, undo::Undo,
};
use crate::{
    address::Address,
    event::{ActionOutline, Attempt, EventKind},
    expr::{Interrupt, Scope, Template},
    outcome::Status,
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What the actions of a case leave for the end of the case.
#[derive(Default)]
pub struct CaseEffects {
    pub undo: Mutex<Vec<Undo>>,
    /// Faults in force. While there is one, an unreachable product counts as its response.
    pub faults: Mutex<Vec<String>>,
    /// The first reason why the case is inconclusive.
    pub inconclusive: Mutex<Option<String>>,
}

impl CaseEffects {
    pub(super) fn mark_inconclusive(&self, reason: impl Into<String>) {
        self.inconclusive.lock().get_or_insert_with(|| reason.into());
    }
}

/// Runs actions. `action.rs` runs lists of them; `verb.rs`, `call.rs`, `parallel.rs` and `fault.rs` run one kind each.
#[derive(Clone)]
pub struct ActionRunner<'a> {
    pub context: &'a RunContext,
    pub source: &'a dyn ObservationSource,
    /// Set with [`ActionRunner::until`].
    pub cancel: &'a CancellationToken,
    /// Ends evaluations. A replay has no deadlines, and thus none.
    pub(super) limit: Option<EvaluationLimit>,
    pub effects: &'a CaseEffects,
    /// The names that the definition of a used action sees beside its inputs.
    pub base: &'a Scope,
    /// In a branch of a `parallel`: holds its first action.
    pub start: Option<&'a StartGate<'a>>,
    /// In a protected environment: an action that counts as a read must not change anything.
    pub protected: bool,
    /// Each `eventually` and `always` observes once: at the end of a case, what was waited for must still hold.
    pub once: bool,
}

/// An action to run.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    pub action: &'a ScheduledAction,
    pub at: &'a Address,
    pub scope: &'a Scope,
    /// Time limit of each attempt, where the action has none of its own.
    pub timeout: Option<Duration>,
}

impl<'a> ActionRunner<'a> {
    /// Runs actions until the run is cancelled, outside of a `parallel` and without protection. All evaluations end then, too.
    pub fn new(
        context: &'a RunContext,
        source: &'a dyn ObservationSource,
        effects: &'a CaseEffects,
        base: &'a Scope,
    ) -> Self {
        ActionRunner {
            context,
            source,
            cancel: &context.cancel,
            limit: source.is_live().then(|| EvaluationLimit::new(&context.cancel)),
            effects,
            base,
            start: None,
            protected: false,
            once: false,
        }
    }

    /// Runs actions and evaluations until `cancel`; with `limit`, evaluations end that long after now.
    pub fn until(self, cancel: &'a CancellationToken, limit: Option<Duration>) -> Self {
        let evaluations = EvaluationLimit::new(cancel).within(limit);
        ActionRunner { cancel, limit: self.limit.map(|_| evaluations), ..self }
    }
}

impl ActionRunner<'_> {
    /// The same names; evaluations end with this runner.
    pub(super) fn interruptible(&self, scope: &Scope) -> Scope {
        self.interruptible_within(scope, None)
    }

    /// The same names; evaluations end with this runner, and `timeout` after now.
    pub(super) fn interruptible_within(&self, scope: &Scope, timeout: Option<Duration>) -> Scope {
        match &self.limit {
            Some(limit) => scope.with_interrupt(Arc::new(limit.clone().within(timeout)) as Arc<dyn Interrupt>),
            None => scope.clone(),
        }
    }

    pub fn faults_in_force(&self) -> Vec<String> {
        self.effects.faults.lock().clone()
    }

    /// Runs an action in the scope that the source gives it, unless the source has its outcome already.
    pub(super) async fn run_with_source<F: Future<Output = ActionOutcome>>(
        &self,
        at: &Address,
        scope: &Scope,
        run: impl FnOnce(Scope) -> F,
    ) -> ActionOutcome {
        let faults = self.faults_in_force();
        let outcome = match self.source.before(at, scope, &faults) {
            Ok(own) => run(self.interruptible(&own)).await,
            Err(outcome) => return outcome,
        };
        if self.faults_in_force() == faults {
            self.source.after(at, scope, &faults, &outcome);
        }
        outcome
    }

    pub(super) fn cancel_reason(&self) -> &'static str {
        if self.context.cancel.is_cancelled() { "cancelled" } else { "the case ran out of time" }
    }

    pub async fn emit(&self, at: &Address, kind: EventKind) {
        self.context.events.emit(at, kind).await;
    }

    pub(super) async fn emit_started(&self, call: Invocation<'_>) {
        let Invocation { action, scope, .. } = call;
        let outline = ActionOutline::new(action.summary.clone(), action.location.clone());
        // one that cannot be rendered ends the action
        let limit = |t: &Option<Template>| t.as_ref().and_then(|t| render_duration(t, scope).ok());
        let (eventually, always) = (limit(&action.eventually), limit(&action.always));
        self.emit(call.at, EventKind::ActionStarted { action: ActionOutline { eventually, always, ..outline } }).await;
    }

    /// Finishes an announced action that has no output.
    pub(super) async fn fail(
        &self,
        at: &Address,
        status: Status,
        reason: impl ToString,
        (attempts, took): (u32, Duration),
        last: Option<Box<Attempt>>,
    ) -> ActionOutcome {
        let reason = reason.to_string();
        let (results, wait, why) = (vec![], None, Some(reason.clone()));
        self.emit(at, EventKind::ActionFinished { status, results, reason: why, attempts, took, wait, last }).await;
        ActionOutcome::without_output(status, reason)
    }

    /// Finishes an announced action that was not performed.
    pub(super) async fn not_performed(
        &self,
        call: Invocation<'_>,
        status: Status,
        reason: impl ToString,
    ) -> ActionOutcome {
        let outcome = self.fail_early(call.at, status, reason).await;
        ActionOutcome { unperformed: status != Status::Skipped && call.action.changes(), ..outcome }
    }

    /// Finishes an announced action before its first attempt.
    pub(super) async fn fail_early(&self, at: &Address, status: Status, reason: impl ToString) -> ActionOutcome {
        self.fail(at, status, reason, (0, Duration::ZERO), None).await
    }
}
