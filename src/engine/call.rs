//! `use`: an action of the plan, performed in a scope of its own, again and again where it is waited for.
use super::{
    looks::{Again, now},
    schedule::{ActionDefinition, ScheduledAction},
    step::{Done, Listed, Runner, Seen, span_since},
    wait::Wait,
};
use crate::{
    address::Address,
    executor::Output,
    expr::{EvalError, Scope, Tree},
    outcome::Status,
    value::{Map, Value},
};
use std::time::Duration;
use tokio::time::Instant;

impl Runner<'_> {
    pub(super) async fn call(
        &self,
        step: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        definition: &ActionDefinition,
        inputs: &[(String, Tree)],
        timeout: Option<Duration>,
    ) -> Done {
        let mut wait = match Wait::new(step, scope) {
            Ok(wait) => wait,
            Err(e) => return self.fail_to_reach(at, e).await,
        };
        // what the environment does in its own way sees the environment's names, below those of the plan
        let base = match definition.of_environment {
            true => self.base.over(&self.looks.environment()),
            false => self.base.clone(),
        };
        let inner_scope = match given(definition, inputs, scope, &base) {
            Ok(given) => base.with("inputs", given),
            Err(e) => return self.fail_to_reach(at, e.to_string()).await,
        };
        let begun = Instant::now();
        let (mut first_at, mut results, mut seen) = (None, vec![], None);
        let mut listed: Option<Listed> = None;
        let held = loop {
            let pace = wait.pace();
            let recorded = match self.looks.again(at, wait.count, wait.until, pace, self.cancel).await {
                Again::No => break wait.over(),
                Again::Live => None,
                Again::Recorded(value) => Some(value),
            };
            let (look_at, look_begun) = (now(), Instant::now());
            let l = self.list(&definition.steps, &at.child("use"), inner_scope.clone(), timeout).await;
            let look = Seen { attempt: wait.count, at: look_at, took: look_begun.elapsed() };
            wait.count += 1;
            let first = *first_at.get_or_insert(look_at);
            let value = answer(definition, &l, first, look, recorded.as_ref());
            let inner = scope.with_all(&value);
            results = self.asked(&step.assertions, Some(&value), &inner);
            self.looked(at, look, &value, &results, vec![]).await;
            seen = Some(value);
            let holds = results.iter().all(|f| f.holds) && !l.status.is_red();
            let interrupted = l.status == Status::Interrupted || self.cancel.is_cancelled();
            listed = Some(l);
            if let Some(held) = if interrupted { Some(false) } else { wait.decide(holds, &inner) } {
                break held;
            }
        };
        let took = begun.elapsed();
        let (status, within, ends, expired, judged) = match listed {
            Some(l) => (l.status, l.reason, l.ends, l.expired, l.judged),
            None if self.cancel.is_cancelled() => (Status::Interrupted, Some("cancelled".into()), true, false, 0),
            None => (Status::NotReached, Some("it was never performed".into()), false, false, 0),
        };
        let (status, reason) = match held {
            true => (Status::Passed, None),
            // what went wrong within says more than how long it was waited for
            false if status.is_red() => (status, within),
            false => (status, wait.reason()),
        };
        let mut done = self.conclude(step, at, scope, seen, results, reason, wait.count, took, status).await;
        done.judged += judged;
        done.ends |= ends && !held;
        done.expired = !held && (expired || wait.eventually.is_some());
        done
    }
}

/// The inputs, and the defaults of those that are not given.
fn given(
    definition: &ActionDefinition,
    inputs: &[(String, Tree)],
    scope: &Scope,
    base: &Scope,
) -> Result<Value, EvalError> {
    let mut given = Map::new();
    for (name, default) in &definition.inputs {
        let value = match (inputs.iter().find(|(n, _)| n == name), default) {
            (Some((_, tree)), _) => tree.render(scope)?,
            (None, Some(tree)) => tree.render(base)?,
            (None, None) => Value::Null,
        };
        given.insert(name.clone(), value);
    }
    Ok(Value::from(given))
}

/// The outputs, or what the last action gave where there are none; with `at` and `took`, which a replay takes from the record.
fn answer(
    definition: &ActionDefinition,
    listed: &Listed,
    first: jiff::Timestamp,
    look: Seen,
    recorded: Option<&Value>,
) -> Value {
    let mut answer = if definition.outputs.is_empty() {
        match &listed.last {
            Some(Value::Map(m)) => (**m).clone(),
            Some(other) => Map::from_iter([("value".to_string(), other.clone())]),
            None => Map::new(),
        }
    } else {
        // one that cannot be evaluated is left unbound
        definition.outputs.iter().filter_map(|(n, e)| Some((n.clone(), e.eval(&listed.scope).ok()?))).collect()
    };
    if !definition.outputs.is_empty() || !answer.contains_key("at") {
        let output = Output { value: Value::Null, at: look.at, took: look.took, cursor: None };
        for (k, live) in [("at", Value::Time(first)), ("took", span_since(first, &output))] {
            answer.insert(k.into(), recorded.and_then(|r| r.get(k)).cloned().unwrap_or(live));
        }
    }
    Value::from(answer)
}
