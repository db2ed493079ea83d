//! Runs a `use`: an action of the plan, in a scope of its own, once or until its assertions are decided.
use super::{
    conclude::Judged,
    observation::NextAttempt,
    results::{ActionOutcome, ActionsOutcome, ObservationTime},
    runner::{ActionRunner, Invocation},
    schedule::ActionDefinition,
    times::elapsed,
    wait::Wait,
};
use crate::{
    event::EventKind,
    expr::{EvalError, Expression, Scope, Tree},
    outcome::Status,
    value::{Map, Value},
};
use jiff::Timestamp;
use tokio::time::Instant;

impl ActionRunner<'_> {
    pub(super) async fn run_use(
        &self,
        call: Invocation<'_>,
        definition: &ActionDefinition,
        inputs: &[(String, Tree)],
    ) -> ActionOutcome {
        let Invocation { action, at, scope, timeout } = call;
        let mut wait = match Wait::new(action, scope, self.once) {
            Ok(wait) => wait,
            Err(e) => return self.not_performed(call, Status::NotReached, e).await,
        };
        // an action of the environment sees the environment's names, below those of the plan
        let base = match definition.of_environment {
            true => self.interruptible(&self.base.over(&self.source.environment())),
            false => self.interruptible(self.base),
        };
        let inner_scope = match render_inputs(definition, inputs, scope, &base) {
            Ok(inputs) => base.with("inputs", inputs),
            Err(e) => return self.not_performed(call, Status::NotReached, e).await,
        };
        let begun = Instant::now();
        let (mut first_at, mut results, mut value, mut unreported) = (None, vec![], None, None);
        let mut last = ActionOutcome::without_output(Status::NotReached, "it was never run");
        let held = loop {
            let recorded = match self.source.next_attempt(at, &wait, self.cancel).await {
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
            let attempt = time.attempt(Ok(&output), &results, vec![]);
            value = Some(output);
            last = inner.total;
            let holds = results.iter().all(|r| r.holds) && !last.status.is_unsuccessful();
            let interrupted = last.status == Status::Interrupted || self.cancel.is_cancelled();
            if let Some(held) = if interrupted { Some(false) } else { wait.decide(holds, &with_output) } {
                unreported = Some(attempt);
                break held;
            }
            self.emit(at, EventKind::Observed(attempt)).await;
        };
        if value.is_none() && self.cancel.is_cancelled() {
            last = ActionOutcome::without_output(Status::Interrupted, "cancelled");
        }
        let (status, reason) = match held {
            true => (Status::Passed, None),
            // the reason of an inner action is more specific than the time that ran out
            false if last.status.is_unsuccessful() => (last.status, last.reason),
            false => (last.status, wait.reason()),
        };
        // outputs of which none could be evaluated are not bound: what reads them is not reached
        let value = value.filter(|output| held || has_output(definition, output));
        let own = Judged {
            value,
            results,
            attempts: wait.attempts,
            took: begun.elapsed(),
            status,
            reason,
            last: unreported,
            ..Judged::default()
        };
        let mut outcome = self.conclude(call, own).await;
        outcome.judged += last.judged;
        outcome.observed.extend(last.observed);
        outcome.ends_steps |= last.ends_steps && !held;
        outcome.unperformed = last.unperformed;
        outcome.expired = !held && (last.expired || wait.eventually.is_some());
        outcome
    }
}

/// Whether an output has more than its times.
fn has_output(definition: &ActionDefinition, output: &Value) -> bool {
    let is_output = |name: &String| match definition.outputs.is_empty() {
        true => name != "at" && name != "took",
        false => definition.outputs.iter().any(|(output, _)| output == name),
    };
    output.as_map().is_some_and(|map| map.keys().any(is_output))
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
        match &inner.total.value {
            Some(Value::Map(m)) => (**m).clone(),
            Some(other) => Map::from_iter([("value".to_string(), other.clone())]),
            None => Map::new(),
        }
    } else {
        let value = |e: &Expression| match e.eval(&inner.scope) {
            Ok(value) => Some(value),
            Err(EvalError::NotObserved(reason) | EvalError::Incomplete(reason)) => Some(Value::unset(reason)),
            // an output that cannot be evaluated stays unbound
            Err(_) => None,
        };
        definition.outputs.iter().filter_map(|(n, e)| Some((n.clone(), value(e)?))).collect()
    };
    if !definition.outputs.is_empty() || !output.contains_key("at") {
        for (k, live) in [("at", Value::Time(first)), ("took", elapsed(first, time.at, time.took))] {
            output.insert(k.into(), recorded.and_then(|r| r.get(k)).cloned().unwrap_or(live));
        }
    }
    Value::from(output)
}
