//! Runs a `parallel`: every branch for every item, started together. If too few branches overlapped, the result is inconclusive.
use super::{
    conclude::Judged,
    results::{ActionOutcome, ObservationTime},
    runner::ActionRunner,
    schedule::ScheduledAction,
    start_gate::StartLine,
    times::elapsed,
};
use crate::{address::Address, expr::Scope, outcome::Status, plan::Overlap, value::Value};
use futures::future::join_all;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

impl ActionRunner<'_> {
    #[allow(clippy::too_many_arguments)]
    pub(super) async fn run_parallel(
        &self,
        action: &ScheduledAction,
        at: &Address,
        branches: &[Vec<ScheduledAction>],
        overlap: Overlap,
        scopes: Vec<Scope>,
        outer: &Scope,
        timeout: Option<Duration>,
    ) -> ActionOutcome {
        self.emit_started(action, at).await;
        let (started, begun) = (Timestamp::now(), Instant::now());
        let all: Vec<(usize, usize, &Scope, &Vec<ScheduledAction>)> = scopes
            .iter()
            .enumerate()
            .flat_map(|(i, scope)| branches.iter().enumerate().map(move |(b, actions)| (i, b, scope, actions)))
            .collect();
        self.wait_for_branches().await;
        let line = &StartLine::new(all.len());
        let outcomes = join_all(all.iter().map(|(i, b, scope, actions)| {
            let at = at.branch(*i, *b);
            async move {
                let gate = line.gate();
                let outcome = {
                    let runner = ActionRunner { start: Some(&gate), ..*self };
                    runner.run_actions(actions, &at, (*scope).clone(), timeout).await
                };
                gate.leave().await;
                outcome
            }
        }))
        .await;
        let measured = Value::map([("overlap".to_string(), Value::Int(line.overlap() as i64))]);
        let measured = self.source.measured(at, measured);
        let overlapped = measured.get("overlap").and_then(Value::as_i64).unwrap_or(0);
        let mut status = Status::Passed;
        let mut reason = None;
        let (mut ends_steps, mut judged) = (false, 0);
        let mut values = vec![];
        for outcome in outcomes {
            judged += outcome.judged;
            ends_steps |= outcome.ends_steps;
            if status.worst(outcome.status) != status {
                reason = outcome.reason;
                status = status.worst(outcome.status);
            }
            values.push(match (branches.iter().all(|b| b.len() == 1), outcome.last) {
                (true, Some(v)) => v,
                _ => Value::map(outcome.names),
            });
        }
        let took = begun.elapsed();
        let value = Value::map([
            ("branches".to_string(), Value::list(values)),
            ("overlap".to_string(), Value::Int(overlapped)),
            ("at".to_string(), measured.get("at").cloned().unwrap_or(Value::Time(started))),
            ("took".to_string(), measured.get("took").cloned().unwrap_or_else(|| elapsed(started, started, took))),
        ]);
        let inner = outer.with_all(&value);
        let results = self.evaluate(&action.assertions, Some(&value), &inner);
        self.emit_observed(at, ObservationTime { attempt: 0, at: started, took }, &value, &results, vec![]).await;
        let wanted = match overlap {
            Overlap::All => all.len(),
            Overlap::AtLeast(n) => n,
            Overlap::Any => 2.min(all.len()),
        };
        if (overlapped as usize) < wanted && !status.is_unsuccessful() {
            let why = format!("too few branches overlapped: expected {wanted} at the same time, found {overlapped}");
            self.effects.inconclusive.add(&why);
            (status, ends_steps, reason) = (Status::Errored, true, Some(why));
        }
        let own = Judged { value: Some(value), results, attempts: 1, took: begun.elapsed(), status, reason };
        let mut outcome = self.conclude(action, at, outer, own).await;
        outcome.judged += judged;
        outcome.ends_steps |= ends_steps;
        outcome
    }
}
