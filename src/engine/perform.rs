//! One verb: looks until what is asked holds, or once. Silence after a request left is the product's answer; not being able to ask is
//! not.
use super::{
    looks::{Ask, now},
    schedule::ScheduledAction,
    step::{Done, Runner, Seen, timed},
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
use std::time::Duration;
use tokio::time::Instant;

impl Runner<'_> {
    pub(super) async fn perform(
        &self,
        step: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        action: &dyn Action,
        target: Option<&str>,
        timeout: Duration,
    ) -> Done {
        let mut wait = match Wait::new(step, scope) {
            Ok(wait) => wait,
            Err(e) => return self.fail_to_reach(at, e).await,
        };
        let (mut last, mut first_at): (Option<Output>, Option<jiff::Timestamp>) = (None, None);
        let mut results: Vec<AssertionResult> = vec![];
        let mut seen: Option<Value> = None;
        let mut error: Option<ActionError> = None;
        let begun = Instant::now();
        let held = loop {
            let pace = wait.pace();
            let ask = Ask {
                action,
                target,
                at,
                scope,
                last: last.as_ref(),
                count: wait.count,
                until: wait.cut(),
                timeout,
                pace,
                cancel: self.cancel,
            };
            let (look_at, look_begun) = (now(), Instant::now());
            let Some(look) = self.looks.look(ask).await else { break wait.over() && error.is_none() };
            let (mut result, mut evidence) = (look.result, look.evidence);
            let silent = match &result {
                Err(ActionError::TimedOut(_)) => look.sent,
                Err(ActionError::Unreachable(_)) => self.fault_in_force(),
                _ => false,
            };
            if let (true, Err(e), Some(silence)) = (silent, &result, action.no_response()) {
                evidence.push(Evidence { kind: EvidenceKind::Note, text: format!("no answer: {e}") });
                result = Ok(Output { value: silence, at: look_at, took: look_begun.elapsed(), cursor: None });
            }
            let look = Seen { attempt: wait.count, at: look_at, took: look_begun.elapsed() };
            wait.count += 1;
            match result {
                Err(e) => {
                    self.could_not_look(at, look, &e, evidence).await;
                    let again = wait.forgives() && !matches!(e, ActionError::Cancelled | ActionError::Undefined(_));
                    // what was seen last stays: the next look misses nothing since then
                    error = Some(e);
                    if !again {
                        break false;
                    }
                }
                Ok(mut output) => {
                    error = None;
                    let first = *first_at.get_or_insert(output.at);
                    output.value = timed(&output, first);
                    let inner = scope.with_all(&output.value);
                    // before the look is told: what it brought may be a secret
                    for (_, e) in step.save.iter().filter(|(_, e)| e.registers_secret()) {
                        let _ = e.eval(&inner);
                    }
                    results = self.asked(&step.assertions, Some(&output.value), &inner);
                    let look = Seen { at: output.at, took: output.took, ..look };
                    self.looked(at, look, &output.value, &results, evidence).await;
                    seen = Some(output.value.clone());
                    last = Some(output);
                    if let Some(held) = wait.decide(results.iter().all(|f| f.holds), &inner) {
                        break held;
                    }
                }
            }
        };
        let took = begun.elapsed();
        let Some(e) = error else {
            let mut status = Status::Passed;
            let mut reason = if held { None } else { wait.reason() };
            if held && let Some(why) = seen.as_ref().and_then(|v| action.inconclusive(v)) {
                self.doubts.cast(&why);
                (status, reason) = (Status::Errored, Some(why));
            }
            let mut done = self.conclude(step, at, scope, seen, results, reason, wait.count, took, status).await;
            done.expired = !held && wait.eventually.is_some();
            return done;
        };
        let (status, reason) = match e {
            ActionError::Cancelled => (Status::Interrupted, self.why_cancelled()),
            ActionError::Undefined(e) => (Status::NotReached, e),
            e => (Status::Errored, e.to_string()),
        };
        self.finish(at, status, vec![], Some(reason.clone()), wait.count, took).await;
        let mut done = Done::red(status, reason);
        done.expired = wait.eventually.is_some();
        // what was seen before the last look is bound all the same
        done.names.extend(seen.and_then(|v| Some((step.bind.clone()?, v))));
        done
    }
}
