//! Runs a `use`: an action of the plan, in a scope of its own, once or until its assertions are decided.
use super::{
    conclude::Judged,
    observation::NextAttempt,
    results::{ActionOutcome, ActionsOutcome, ObservationTime},
    runner::ActionRunner,
    schedule::{ActionDefinition, ScheduledAction},
    times::elapsed,
    wait::Wait,
};
use crate::{
    address::Address,
    expr::{EvalError, Scope, Tree},
    outcome::Status,
    value::{Map, Value},
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

impl ActionRunner<'_> {
    pub(super) async fn run_use(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        definition: &ActionDefinition,
        inputs: &[(String, Tree)],
        timeout: Option<Duration>,
    ) -> ActionOutcome {
        let mut wait = match Wait::new(action, scope) {
            Ok(wait) => wait,
            Err(e) => return self.finish_without_output(at, Status::NotReached, e.to_string()).await,
        };
        // an action of the environment sees the environment's names, below those of the plan
        let base = match definition.of_environment {
            true => self.base.over(&self.source.environment()),
            false => self.base.clone(),
        };
        let inner_scope = match render_inputs(definition, inputs, scope, &base) {
            Ok(inputs) => base.with("inputs", inputs),
            Err(e) => return self.finish_without_output(at, Status::NotReached, e.to_string()).await,
        };
        let begun = Instant::now();
        let (mut first_at, mut results, mut value) = (None, vec![], None);
        let mut last: Option<ActionsOutcome> = None;
        let held = loop {
            let pace = wait.pace();
            let recorded = match self.source.next_attempt(at, wait.attempts, wait.until, pace, self.cancel).await {
                NextAttempt::Stop => break wait.held_to_the_end(),
                NextAttempt::Run => None,
                NextAttempt::Recorded(value) => Some(value),
            };
            let (attempt_at, attempt_begun) = (Timestamp::now(), Instant::now());
            let inner = self.run_actions(&definition.actions, &at.child("use"), inner_scope.clone(), timeout).await;
            let time = ObservationTime { attempt: wait.attempts, at: attempt_at, took: attempt_begun.elapsed() };
            wait.attempts += 1;
            let first = *first_at.get_or_insert(attempt_at);
            let output = output_of(definition, &inner, first, time, recorded.as_ref());
            let with_output = scope.with_all(&output);
            results = self.evaluate(&action.assertions, Some(&output), &with_output);
            self.emit_observed(at, time, &output, &results, vec![]).await;
            value = Some(output);
            let holds = results.iter().all(|r| r.holds) && !inner.status.is_unsuccessful();
            let interrupted = inner.status == Status::Interrupted || self.cancel.is_cancelled();
            last = Some(inner);
            if let Some(held) = if interrupted { Some(false) } else { wait.decide(holds, &with_output) } {
                break held;
            }
        };
        let took = begun.elapsed();
        let (status, inner_reason, ends_steps, expired, judged) = match last {
            Some(l) => (l.status, l.reason, l.ends_steps, l.expired, l.judged),
            None if self.cancel.is_cancelled() => (Status::Interrupted, Some("cancelled".into()), true, false, 0),
            None => (Status::NotReached, Some("it was never run".into()), false, false, 0),
        };
        let (status, reason) = match held {
            true => (Status::Passed, None),
            // the reason of an inner action is more specific than the time that ran out
            false if status.is_unsuccessful() => (status, inner_reason),
            false => (status, wait.reason()),
        };
        let own = Judged { value, results, attempts: wait.attempts, took, status, reason };
        let mut outcome = self.conclude(action, at, scope, own).await;
        outcome.judged += judged;
        outcome.ends_steps |= ends_steps && !held;
        outcome.expired = !held && (expired || wait.eventually.is_some());
        outcome
    }
}

/// The given inputs, and the defaults of the others.
fn render_inputs(
    definition: &ActionDefinition,
    inputs: &[(String, Tree)],
    scope: &Scope,
    base: &Scope,
) -> Result<Value, EvalError> {
    let mut all = Map::new();
    for (name, default) in &definition.inputs {
        let value = match (inputs.iter().find(|(n, _)| n == name), default) {
            (Some((_, tree)), _) => tree.render(scope)?,
            (None, Some(tree)) => tree.render(base)?,
            (None, None) => Value::Null,
        };
        all.insert(name.clone(), value);
    }
    Ok(Value::from(all))
}

/// The declared outputs, or else the output of the last action; with `at` and `took`, which a replay takes from the record.
fn output_of(
    definition: &ActionDefinition,
    inner: &ActionsOutcome,
    first: Timestamp,
    time: ObservationTime,
    recorded: Option<&Value>,
) -> Value {
    let mut output = if definition.outputs.is_empty() {
        match &inner.last {
            Some(Value::Map(m)) => (**m).clone(),
            Some(other) => Map::from_iter([("value".to_string(), other.clone())]),
            None => Map::new(),
        }
    } else {
        // an output that cannot be evaluated stays unbound
        definition.outputs.iter().filter_map(|(n, e)| Some((n.clone(), e.eval(&inner.scope).ok()?))).collect()
    };
    if !definition.outputs.is_empty() || !output.contains_key("at") {
        for (k, live) in [("at", Value::Time(first)), ("took", elapsed(first, time.at, time.took))] {
            output.insert(k.into(), recorded.and_then(|r| r.get(k)).cloned().unwrap_or(live));
        }
    }
    Value::from(output)
}
