//! Runs the action of a verb: observes until its assertions are decided. No response after sending counts as an observation; not
//! being able to send is an error.
use super::{
    conclude::Judged,
    observation::ObservationRequest,
    results::{ActionOutcome, ObservationTime},
    runner::ActionRunner,
    schedule::ScheduledAction,
    times::with_times,
    wait::Wait,
};
use crate::{
    address::Address,
    event::{Evidence, EvidenceKind},
    executor::{Action, ActionError, Output},
    expr::{AssertionResult, Scope},
    outcome::Status,
    value::Value,
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

impl ActionRunner<'_> {
    pub(super) async fn run_verb(
        &self,
        scheduled: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        action: &dyn Action,
        target: Option<&str>,
        timeout: Duration,
    ) -> ActionOutcome {
        let mut wait = match Wait::new(scheduled, scope) {
            Ok(wait) => wait,
            Err(e) => return self.finish_without_output(at, Status::NotReached, e.to_string()).await,
        };
        let (mut last, mut first_at): (Option<Output>, Option<Timestamp>) = (None, None);
        let mut results: Vec<AssertionResult> = vec![];
        let mut value: Option<Value> = None;
        let mut error: Option<ActionError> = None;
        let begun = Instant::now();
        let held = loop {
            let pace = wait.pace();
            let request = ObservationRequest {
                action,
                target,
                at,
                scope,
                last: last.as_ref(),
                attempts: wait.attempts,
                until: wait.observe_until(),
                timeout,
                pace,
                cancel: self.cancel,
            };
            let (attempt_at, attempt_begun) = (Timestamp::now(), Instant::now());
            let Some(observation) = self.source.observe(request).await else {
                break wait.held_to_the_end() && error.is_none();
            };
            let (mut result, mut evidence) = (observation.result, observation.evidence);
            let no_response = match &result {
                Err(ActionError::TimedOut(_)) => observation.sent,
                Err(ActionError::Unreachable(_)) => !self.faults_in_force().is_empty(),
                _ => false,
            };
            if let (true, Err(e), Some(value)) = (no_response, &result, action.no_response()) {
                evidence.push(Evidence { kind: EvidenceKind::Note, text: format!("no response: {e}") });
                result = Ok(Output { value, at: attempt_at, took: attempt_begun.elapsed(), cursor: None });
            }
            let time = ObservationTime { attempt: wait.attempts, at: attempt_at, took: attempt_begun.elapsed() };
            wait.attempts += 1;
            match result {
                Err(e) => {
                    self.emit_not_observed(at, time, &e, evidence).await;
                    let retries =
                        wait.retries_errors() && !matches!(e, ActionError::Cancelled | ActionError::Undefined(_));
                    // `last` stays: the next attempt continues from it and misses nothing
                    error = Some(e);
                    if !retries {
                        break false;
                    }
                }
                Ok(mut output) => {
                    error = None;
                    let first = *first_at.get_or_insert(output.at);
                    output.value = with_times(&output.value, first, output.at, output.took);
                    let inner = scope.with_all(&output.value);
                    // registers secrets that the output contains before the event is written
                    for (_, e) in scheduled.save.iter().filter(|(_, e)| e.registers_secret()) {
                        let _ = e.eval(&inner);
                    }
                    results = self.evaluate(&scheduled.assertions, Some(&output.value), &inner);
                    let time = ObservationTime { at: output.at, took: output.took, ..time };
                    self.emit_observed(at, time, &output.value, &results, evidence).await;
                    value = Some(output.value.clone());
                    last = Some(output);
                    if let Some(held) = wait.decide(results.iter().all(|r| r.holds), &inner) {
                        break held;
                    }
                }
            }
        };
        let took = begun.elapsed();
        let Some(e) = error else {
            let (mut status, mut reason) = (Status::Passed, if held { None } else { wait.reason() });
            if held && let Some(why) = value.as_ref().and_then(|v| action.inconclusive(v)) {
                self.effects.inconclusive.add(&why);
                (status, reason) = (Status::Errored, Some(why));
            }
            let judged = Judged { value, results, attempts: wait.attempts, took, status, reason };
            let mut outcome = self.conclude(scheduled, at, scope, judged).await;
            outcome.expired = !held && wait.eventually.is_some();
            return outcome;
        };
        let (status, reason) = match e {
            ActionError::Cancelled => (Status::Interrupted, self.cancel_reason().into()),
            ActionError::Undefined(e) => (Status::NotReached, e),
            e => (Status::Errored, e.to_string()),
        };
        self.emit_finished(at, status, vec![], Some(reason.clone()), wait.attempts, took).await;
        let mut outcome = ActionOutcome::without_output(status, reason);
        outcome.expired = wait.eventually.is_some();
        // an output of an earlier attempt is bound all the same
        outcome.names.extend(value.and_then(|v| Some((scheduled.bind.clone()?, v))));
        outcome
    }
}
