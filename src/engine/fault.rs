//! Runs a `fault`: breaks a dependency, and heals it at the latest at the end of the case. A fault that no connection met makes the
//! case inconclusive.
use super::{
    conclude::Judged,
    inconclusive::fault_not_met,
    results::{ActionOutcome, ActionsOutcome},
    runner::{ActionRunner, Invocation},
    schedule::{Fault, ScheduledAction},
    times::elapsed,
    undo::{Undo, UndoKind},
};
use crate::{address::Address, event::EventKind, executor::ActionError, outcome::Status, value::Value};
use jiff::Timestamp;
use tokio::time::Instant;

impl ActionRunner<'_> {
    pub(super) async fn run_fault(&self, call: Invocation<'_>, breaks: bool, name: &str) -> ActionOutcome {
        let (started, begun) = (Timestamp::now(), Instant::now());
        let result = match (self.source.is_live(), breaks) {
            (false, _) => Ok(None),
            (true, true) => {
                if let Err(failed) = self.commit_undo(call.at, UndoKind::Heal(name.into()), &call.action.location).await
                {
                    return failed;
                }
                self.break_fault(call.at, name).await.map(|()| None)
            }
            (true, false) => {
                let healed = self.heal_fault(call.at, name).await;
                if healed.is_ok()
                    && let Some(Undo { at, kind }) = self.take_heal(name)
                {
                    let summary = kind.summary();
                    self.emit(&at, EventKind::UndoFinished { status: Status::Passed, summary, reason: None }).await;
                }
                healed
            }
        };
        {
            let mut faults = self.effects.faults.lock();
            if breaks && result.is_ok() && !faults.iter().any(|f| f == name) {
                faults.push(name.to_string());
            } else if !breaks {
                faults.retain(|f| f != name);
            }
        }
        let refused = match result {
            Ok(refused) => refused,
            Err(e) => {
                let outcome = self.fail(call.at, Status::Errored, e, (1, begun.elapsed()), None).await;
                return ActionOutcome { unperformed: true, ..outcome };
            }
        };
        let took = begun.elapsed();
        let live = Value::map([
            ("refused".to_string(), refused.map_or(Value::Null, Value::from)),
            ("at".to_string(), Value::Time(started)),
            ("took".to_string(), elapsed(started, started, took)),
        ]);
        let value = self.source.measured(call.at, live);
        let mut judged = Judged { took, ..Judged::default() };
        if !breaks && value.get("refused").and_then(Value::as_i64) == Some(0) {
            (judged.status, judged.reason) = (Status::Errored, Some(fault_not_met(name)));
            self.effects.mark_inconclusive(fault_not_met(name));
        }
        self.conclude_measured(call, started, value, judged).await
    }

    /// Removes the last undo that heals the fault `name`.
    fn take_heal(&self, name: &str) -> Option<Undo> {
        let mut stack = self.effects.undo.lock();
        let i = stack.iter().rposition(|u| matches!(&u.kind, UndoKind::Heal(n) if n == name))?;
        Some(stack.remove(i))
    }

    /// Breaks the connection of a fault. The caller must heal it.
    pub async fn break_fault(&self, at: &Address, name: &str) -> Result<(), ActionError> {
        if let Some(switch) = self.context.fault_switches.get(name) {
            return switch.cut().await;
        }
        match self.fault(name) {
            Some(Fault::Actions { cut, .. }) => self.run_fault_actions(at, cut).await.map(drop),
            _ => Err(unknown(name)),
        }
    }

    /// Heals a fault. Returns the number of connections that it refused, where that is known.
    pub async fn heal_fault(&self, at: &Address, name: &str) -> Result<Option<u64>, ActionError> {
        self.effects.faults.lock().retain(|f| f != name);
        if let Some(switch) = self.context.fault_switches.get(name) {
            return switch.heal().await.map(Some);
        }
        let Some(Fault::Actions { heal, refused, .. }) = self.fault(name) else { return Err(unknown(name)) };
        let outcome = self.run_fault_actions(at, heal).await?;
        let refused = refused.as_ref().and_then(|e| e.eval(&outcome.scope).ok()).and_then(|v| v.as_i64());
        Ok(refused.and_then(|n| u64::try_from(n).ok()))
    }

    /// Performs the actions that pass while the connection of a fault works.
    pub async fn probe_fault(&self, at: &Address, name: &str) -> Result<(), ActionError> {
        match self.fault(name) {
            Some(Fault::Actions { probe, .. }) => self.run_fault_actions(at, probe).await.map(drop),
            _ => Err(unknown(name)),
        }
    }

    fn fault(&self, name: &str) -> Option<&Fault> {
        self.context.faults.iter().find(|(n, _)| n == name).map(|(_, fault)| fault)
    }

    /// Runs actions of the environment, with its names.
    async fn run_fault_actions(
        &self,
        at: &Address,
        actions: &[ScheduledAction],
    ) -> Result<ActionsOutcome, ActionError> {
        let scope = self.source.environment();
        let runner = ActionRunner { base: &scope, ..self.clone() };
        let outcome = runner.run_actions(actions, &at.child("fault"), scope.clone(), None).await;
        outcome.total.failure().map_or(Ok(outcome), |reason| Err(ActionError::Invalid(reason)))
    }
}

fn unknown(name: &str) -> ActionError {
    ActionError::Invalid(format!("unknown fault `{name}`"))
}
