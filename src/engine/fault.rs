//! Runs a `fault`: breaks a dependency, and heals it at the latest at the end of the case. A fault that no connection met makes the
//! case inconclusive.
use super::{
    conclude::Judged,
    inconclusive::fault_not_met,
    results::{ActionOutcome, ActionsOutcome, ObservationTime},
    runner::ActionRunner,
    schedule::{Fault, ScheduledAction},
    times::elapsed,
    undo::{Undo, UndoKind},
};
use crate::{
    address::Address,
    event::EventKind,
    executor::ActionError,
    expr::{Expression, Scope},
    outcome::Status,
    value::Value,
};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("unknown fault `{0}`")]
    Unknown(String),
    #[error(transparent)]
    Switch(#[from] ActionError),
    /// An action of the environment did not pass.
    #[error("{0}")]
    Action(String),
}

/// The environment's actions for a fault.
type FaultActions<'f> = (&'f Arc<Vec<ScheduledAction>>, &'f Arc<Vec<ScheduledAction>>, Option<&'f Expression>);

impl ActionRunner<'_> {
    pub(super) async fn run_fault(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        breaks: bool,
        name: &str,
    ) -> ActionOutcome {
        let (started, begun) = (Timestamp::now(), Instant::now());
        let result = match (self.source.is_live(), breaks) {
            (false, _) => Ok(None),
            (true, true) => {
                let summary = format!("fault heal {name}");
                if let Err(e) = self.commit_undo(at, summary, UndoKind::Heal(name.into()), action).await {
                    return self.finish_without_output(at, Status::Errored, e.to_string()).await;
                }
                self.break_fault(at, name).await.map(|()| None)
            }
            (true, false) => {
                let healed = self.heal_fault(at, name).await;
                if healed.is_ok()
                    && let Some(Undo { at, summary, .. }) = self.effects.undo.take_heal(name)
                {
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
                let reason = e.to_string();
                self.emit_finished(at, Status::Errored, vec![], Some(reason.clone()), 1, begun.elapsed()).await;
                return ActionOutcome::without_output(Status::Errored, reason);
            }
        };
        let took = begun.elapsed();
        let live = Value::map([
            ("refused".to_string(), refused.map_or(Value::Null, Value::from)),
            ("at".to_string(), Value::Time(started)),
            ("took".to_string(), elapsed(started, started, took)),
        ]);
        let value = self.source.measured(at, live);
        let inner = scope.with_all(&value);
        let results = self.evaluate(&action.assertions, Some(&value), &inner);
        self.emit_observed(at, ObservationTime { attempt: 0, at: started, took }, &value, &results, vec![]).await;
        let (mut status, mut reason) = (Status::Passed, None);
        if !breaks && value.get("refused").and_then(Value::as_i64) == Some(0) {
            let why = fault_not_met(name);
            self.effects.inconclusive.add(&why);
            (status, reason) = (Status::Errored, Some(why));
        }
        let own = Judged { value: Some(value), results, attempts: 1, took: begun.elapsed(), status, reason };
        self.conclude(action, at, scope, own).await
    }

    async fn break_fault(&self, at: &Address, name: &str) -> Result<(), FaultError> {
        if let Some(switch) = self.context.fault_switches.get(name) {
            return Ok(switch.cut().await?);
        }
        let (cut, ..) = self.fault_actions(name)?;
        self.run_fault_actions(at, cut).await.map(drop)
    }

    /// Heals a fault. Returns the number of connections that it refused, where that is known.
    pub async fn heal_fault(&self, at: &Address, name: &str) -> Result<Option<u64>, FaultError> {
        self.effects.faults.lock().retain(|f| f != name);
        if let Some(switch) = self.context.fault_switches.get(name) {
            let refused = switch.refused();
            switch.heal().await?;
            return Ok(Some(refused));
        }
        let (_, heal, refused) = self.fault_actions(name)?;
        let outcome = self.run_fault_actions(at, heal).await?;
        let refused = refused.and_then(|e| e.eval(&outcome.scope).ok()).and_then(|v| v.as_i64());
        Ok(refused.and_then(|n| u64::try_from(n).ok()))
    }

    fn fault_actions(&self, name: &str) -> Result<FaultActions<'_>, FaultError> {
        match self.context.faults.iter().find(|(n, _)| n == name) {
            Some((_, Fault::Actions { cut, heal, refused })) => Ok((cut, heal, refused.as_ref())),
            _ => Err(FaultError::Unknown(name.into())),
        }
    }

    /// Runs actions of the environment, with its names.
    async fn run_fault_actions(&self, at: &Address, actions: &[ScheduledAction]) -> Result<ActionsOutcome, FaultError> {
        let scope = self.source.environment();
        let runner = ActionRunner { base: &scope, ..*self };
        let outcome = runner.run_actions(actions, &at.child("fault"), scope.clone(), None).await;
        match outcome.failure() {
            Some(reason) => Err(FaultError::Action(reason)),
            None => Ok(outcome),
        }
    }
}
