//! Runs the action of a verb: observes until its assertions are decided. No response after sending counts as an observation; not
//! being able to send is an error.
use super::{
    conclude::{Judged, with_request},
    observation::{ObservationRequest, request_line},
    results::{ActionOutcome, ObservationTime},
    runner::{ActionRunner, Invocation},
    times::with_times,
    wait::Wait,
};
use crate::{
    event::{Attempt, EventKind, Evidence, EvidenceKind},
    executor::{Action, ActionError, Output},
    expr::AssertionResult,
    outcome::Status,
    value::Value,
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Time limit of one attempt where the plan gives none.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// What an evaluation has at least: a busy machine may stop it for a while.
const MIN_JUDGING_TIME: Duration = Duration::from_secs(1);

impl ActionRunner<'_> {
    pub(super) async fn run_verb(
        &self,
        call: Invocation<'_>,
        action: &dyn Action,
        target: Option<&str>,
    ) -> ActionOutcome {
        let Invocation { action: scheduled, at, scope, timeout } = call;
        let timeout = timeout.unwrap_or(ATTEMPT_TIMEOUT);
        let mut wait = match Wait::new(scheduled, scope, self.once) {
            Ok(wait) => wait,
            Err(e) => return self.not_performed(call, Status::NotReached, e).await,
        };
        let (mut last, mut first_at): (Option<Output>, Option<Timestamp>) = (None, None);
        let mut results: Vec<AssertionResult> = vec![];
        let mut value: Option<Value> = None;
        let mut error: Option<ActionError> = None;
        let mut unreported: Option<Box<Attempt>> = None;
        // the reason of an undo names its request: the report of a passed case shows no evidence
        let mut undo_request: Option<String> = None;
        let begun = Instant::now();
        let (mut confirm, mut sent) = (false, false);
        let held = loop {
            let request = ObservationRequest {
                action,
                target,
                at,
                scope,
                last: last.as_ref().filter(|_| !confirm),
                wait: &wait,
                confirm,
                read_only: self.protected && !action.changes() && scheduled.undo.is_empty(),
                timeout,
                cancel: self.cancel,
                kill: &self.context.kill,
            };
            let (attempt_at, attempt_begun) = (Timestamp::now(), Instant::now());
            let Some(observation) = self.source.observe(request).await else {
                if !confirm && error.is_none() && action.can_miss_changes() {
                    confirm = true;
                    continue;
                }
                break wait.held_to_the_end() && error.is_none();
            };
            sent |= observation.sent;
            let (mut result, mut evidence) = (observation.result, observation.evidence);
            if at.is_in("undo") {
                undo_request = request_line(&evidence).or(undo_request);
            }
            let no_response = match &result {
                Err(ActionError::NoResponse(_)) => true,
                Err(ActionError::TimedOut(_)) => observation.sent,
                Err(ActionError::Unreachable(_)) => !self.faults_in_force().is_empty(),
                _ => false,
            };
            if let Err(e) = &result
                && no_response
                && action.fields().contains(&"answered")
            {
                let reason = match e {
                    ActionError::Unreachable(why) => format!("no response: {why}"),
                    e => e.to_string(),
                };
                result = Ok(Output::no_response(action.fields(), &reason, attempt_at, attempt_begun.elapsed()));
                evidence.push(Evidence { kind: EvidenceKind::Note, text: reason });
            }
            let time = ObservationTime { attempt: wait.attempts, at: attempt_at, took: attempt_begun.elapsed() };
            wait.attempts += 1;
            match result {
                Err(e) => {
                    let attempt = time.attempt(Err(&e), &[], evidence);
                    use ActionError::{Cancelled, Panicked, Undefined};
                    let retries = wait.retries_errors() && !matches!(e, Cancelled | Undefined(_) | Panicked(_));
                    // `last` stays: the next attempt continues from it and misses nothing
                    error = Some(e);
                    if !retries || confirm {
                        unreported = Some(attempt);
                        break false;
                    }
                    self.emit(at, EventKind::Observed(attempt)).await;
                }
                Ok(mut output) => {
                    error = None;
                    let first = *first_at.get_or_insert(output.at);
                    output.value = with_times(&output.value, first, output.at, output.took);
                    let inner =
                        self.interruptible_within(&scope.with_all(&output.value), Some(timeout.max(MIN_JUDGING_TIME)));
                    // registers secrets that the output contains before the event is written
                    for (_, e) in scheduled.save.iter().filter(|(_, e)| e.registers_secret()) {
                        let _ = e.eval(&inner);
                    }
                    self.context.observers.judge(&scheduled.kind, at, &output, &evidence, &|s| self.interruptible(s));
                    results = self.evaluate(&scheduled.assertions, Some(&output.value), &inner);
                    let implied = scheduled.implied.as_ref();
                    results.extend(implied.and_then(|i| i.failure(&output.value, &scheduled.location)));
                    let time = ObservationTime { at: output.at, took: output.took, ..time };
                    let attempt = time.attempt(Ok(&output.value), &results, evidence);
                    value = Some(output.value.clone());
                    let late = !action.can_miss_changes() && wait.is_late(&output.value, self.source.is_live());
                    last = Some(output);
                    let (holds, held_before) = (!late && results.iter().all(|r| r.holds), wait.held_to_the_end());
                    let decided = match wait.decide(holds, &inner) {
                        None if confirm && (held_before || !holds) => Some(holds),
                        decided => decided,
                    };
                    if let Some(held) = decided {
                        unreported = Some(attempt);
                        break held;
                    }
                    confirm = false;
                    self.emit(at, EventKind::Observed(attempt)).await;
                }
            }
        };
        let took = begun.elapsed();
        let Some(e) = error else {
            let (mut status, mut reason) = (Status::Passed, if held { None } else { wait.reason() });
            if held && let Some(why) = value.as_ref().and_then(|v| action.inconclusive(v)) {
                self.effects.mark_inconclusive(&why);
                (status, reason) = (Status::Errored, Some(why));
            }
            let expired = !held && wait.eventually.is_some();
            let (attempts, request, last, wait) = (wait.attempts, undo_request, unreported, wait.outcome());
            let judged = Judged { value, results, attempts, took, wait, status, reason, request, last };
            let mut outcome = self.conclude(call, judged).await;
            outcome.expired = expired;
            return outcome;
        };
        let (status, reason) = match e {
            ActionError::Cancelled => (Status::Interrupted, self.cancel_reason().into()),
            ActionError::Undefined(e) => (Status::NotReached, e),
            e => (Status::Errored, e.to_string()),
        };
        let reason = with_request(undo_request.as_deref(), reason);
        let mut outcome = self.fail(at, status, reason, (wait.attempts, took), unreported).await;
        outcome.expired = wait.eventually.is_some();
        outcome.unperformed = action.changes() && !sent;
        // an output of an earlier attempt is bound all the same
        outcome.names.extend(value.and_then(|v| Some((scheduled.bind.clone()?, v))));
        outcome
    }
}
