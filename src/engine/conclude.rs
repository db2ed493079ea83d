//! Evaluates the assertions of an action, binds its names and reports its end.
use super::{
    evaluate::evaluate,
    results::{ActionOutcome, ObservationTime, first_failure, observed_values, status_of},
    runner::{ActionRunner, Invocation},
};
use crate::{
    event::{Attempt, EventKind, WaitOutcome},
    expr::{AssertionResult, EvalError, Scope},
    outcome::Status,
    plan::Assertions,
    value::Value,
};
use jiff::Timestamp;
use std::time::Duration;

/// The observation of an action, judged.
#[derive(Default)]
pub(super) struct Judged {
    pub value: Option<Value>,
    pub results: Vec<AssertionResult>,
    pub attempts: u32,
    pub took: Duration,
    /// Of an `eventually`.
    pub wait: Option<WaitOutcome>,
    /// The status apart from what the results say, and its reason.
    pub status: Status,
    pub reason: Option<String>,
    /// The request that the reason names.
    pub request: Option<String>,
    /// The last attempt, if it was not reported yet.
    pub last: Option<Box<Attempt>>,
}

/// A reason that names the request it is about.
pub(super) fn with_request(request: Option<&str>, reason: String) -> String {
    request.map_or_else(|| reason.clone(), |request| format!("`{request}`: {reason}"))
}

impl ActionRunner<'_> {
    /// Evaluates assertions, and tells the source.
    pub(super) fn evaluate(
        &self,
        assertions: &Assertions,
        output: Option<&Value>,
        scope: &Scope,
    ) -> Vec<AssertionResult> {
        self.source.judging(assertions, scope);
        evaluate(assertions, output, scope)
    }

    /// Decides the status of an action, evaluates its `save` and emits its end.
    pub(super) async fn conclude(&self, call: Invocation<'_>, judged: Judged) -> ActionOutcome {
        let Invocation { action, at, scope, .. } = call;
        let Judged { value, mut results, attempts, took, wait, mut status, mut reason, request, last } = judged;
        let count = results.len();
        if let Some(unmet) = status_of(&results) {
            status = status.worst(unmet);
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
                    let inconclusive = matches!(error, EvalError::Stopped(_));
                    results.push(AssertionResult {
                        subject: format!("save {name}: {}", expression.text()),
                        holds: false,
                        inconclusive,
                        expected: "a value".into(),
                        actual: error.to_string(),
                        operands: vec![],
                        location: Some(action.location.clone()),
                        assertion: None,
                    });
                    status = status.worst(if inconclusive { Status::Errored } else { Status::Failed });
                }
            }
        }
        if status == Status::Failed && action.blames_environment {
            status = Status::Errored;
        }
        if let (Some(name), Some(v)) = (&action.bind, &value) {
            names.push((name.clone(), v.clone()));
        }
        if reason.is_none() {
            reason = first_failure(&results);
        }
        reason = reason.map(|reason| with_request(request.as_deref(), reason));
        let observed = observed_values(&results);
        let finished =
            EventKind::ActionFinished { status, results, reason: reason.clone(), attempts, took, wait, last };
        self.emit(at, finished).await;
        let ends_steps = matches!(status, Status::Errored | Status::Interrupted);
        ActionOutcome { status, reason, value, names, ends_steps, judged: count, observed, ..ActionOutcome::default() }
    }

    /// Reports what the engine measured as the only observation of an action, and concludes it.
    pub(super) async fn conclude_measured(
        &self,
        call: Invocation<'_>,
        at: Timestamp,
        value: Value,
        judged: Judged,
    ) -> ActionOutcome {
        let results = self.evaluate(&call.action.assertions, Some(&value), &call.scope.with_all(&value));
        let time = ObservationTime { attempt: 0, at, took: judged.took };
        let last = Some(time.attempt(Ok(&value), &results, vec![]));
        self.conclude(call, Judged { value: Some(value), results, attempts: 1, last, ..judged }).await
    }
}
