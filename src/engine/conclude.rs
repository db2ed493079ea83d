//! Evaluates the assertions of an action, binds its names and reports its end.
use super::{
    results::{ActionOutcome, describe_failure},
    runner::ActionRunner,
    schedule::ScheduledAction,
};
use crate::{
    address::Address,
    expr::{AssertionResult, Scope, assertion::evaluate_checks, matching::match_pattern, pattern::Matcher},
    outcome::Status,
    plan::Assertions,
    value::{Map, Value},
};
use std::time::Duration;

/// The observation of an action, judged.
pub(super) struct Judged {
    pub value: Option<Value>,
    pub results: Vec<AssertionResult>,
    pub attempts: u32,
    pub took: Duration,
    /// The status apart from what the results say, and its reason.
    pub status: Status,
    pub reason: Option<String>,
}

impl ActionRunner<'_> {
    /// Evaluates a pattern and checks. The pattern is matched against `output`, or without one against the names in scope.
    pub(super) fn evaluate(
        &self,
        assertions: &Assertions,
        output: Option<&Value>,
        scope: &Scope,
    ) -> Vec<AssertionResult> {
        if let Some(hook) = &self.context.hook {
            hook.judging(assertions, scope);
        }
        let mut out = vec![];
        if let Some(p) = &assertions.pattern {
            match output {
                Some(v) => match_pattern(p, "", Some(v), scope, &mut out),
                None => {
                    let names = match &p.matcher {
                        Matcher::Map(entries) => entries
                            .iter()
                            .filter_map(|(k, ..)| k.as_literal())
                            .filter_map(|k| Some((k.to_string(), scope.get(k)?.clone())))
                            .collect::<Map>(),
                        _ => Map::new(),
                    };
                    match_pattern(p, "", Some(&Value::from(names)), scope, &mut out);
                }
            }
        }
        evaluate_checks(&assertions.checks, scope, &mut out);
        out
    }

    /// Decides the status of an action, evaluates its `save` and emits its end.
    pub(super) async fn conclude(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        judged: Judged,
    ) -> ActionOutcome {
        let Judged { value, mut results, attempts, took, mut status, mut reason } = judged;
        let count = results.len();
        if results.iter().any(|r| !r.holds) {
            status = status.worst(Status::Failed);
        } else if reason.is_some() && status == Status::Passed {
            // an `eventually` or `always` that did not hold, although each result of the last attempt does
            status = Status::Failed;
        }
        let inner = value.as_ref().map_or_else(|| scope.clone(), |v| scope.with_all(v));
        let mut names = vec![];
        for (name, expression) in &action.save {
            match expression.eval(&inner) {
                Ok(v) => names.push((name.clone(), v)),
                // the failure has a reason already
                Err(_) if status.is_unsuccessful() => {}
                Err(error) => {
                    results.push(AssertionResult {
                        subject: format!("save {name}: {}", expression.text()),
                        holds: false,
                        expected: "a value".into(),
                        actual: error.to_string(),
                        operands: vec![],
                        location: Some(action.location.clone()),
                        assertion: None,
                    });
                    status = status.worst(Status::Failed);
                }
            }
        }
        if let (Some(name), Some(v)) = (&action.bind, &value) {
            names.push((name.clone(), v.clone()));
        }
        if reason.is_none() {
            reason = results.iter().find(|r| !r.holds).map(describe_failure);
        }
        self.emit_finished(at, status, results, reason.clone(), attempts, took).await;
        let ends_steps = matches!(status, Status::Errored | Status::Interrupted);
        ActionOutcome { status, reason, value, names, ends_steps, expired: false, judged: count }
    }
}
