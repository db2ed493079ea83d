//! Runs a `parallel`: every branch for every item, started together. If too few branches overlapped, the result is inconclusive.
use super::{
    conclude::Judged,
    results::ActionOutcome,
    runner::{ActionRunner, Invocation},
    schedule::ScheduledAction,
    start_gate::StartLine,
    times::elapsed,
};
use crate::{expr::Scope, outcome::Status, plan::Overlap, value::Value};
use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

impl ActionRunner<'_> {
    pub(super) async fn run_parallel(
        &self,
        call: Invocation<'_>,
        branches: &[Vec<ScheduledAction>],
        overlap: Overlap,
        scopes: Vec<Scope>,
    ) -> ActionOutcome {
        self.emit_started(call).await;
        let (started, begun) = (Timestamp::now(), Instant::now());
        let count = scopes.len() * branches.len();
        self.wait_for_branches().await;
        let line = &StartLine::new(count);
        let of_item = |(i, scope): (usize, Scope)| {
            branches.iter().enumerate().map(move |(b, actions)| {
                let (at, scope) = (call.at.branch(i, b), scope.clone());
                async move {
                    let gate = line.gate();
                    let runner = ActionRunner { start: Some(&gate), ..self.clone() };
                    let outcome = runner.run_actions(actions, &at, scope, call.timeout).await;
                    gate.leave().await;
                    outcome.total
                }
            })
        };
        let outcomes = join_all(scopes.into_iter().enumerate().flat_map(of_item)).await;
        let measured = Value::map([("overlap".to_string(), Value::Int(line.overlap() as i64))]);
        let measured = self.source.measured(call.at, measured);
        let overlapped = measured.get("overlap").and_then(Value::as_i64).unwrap_or(0);
        let (mut total, mut values) = (ActionOutcome::default(), vec![]);
        let single = branches.iter().all(|b| b.len() == 1);
        for mut outcome in outcomes {
            let (value, names) = (outcome.value.take(), std::mem::take(&mut outcome.names));
            values.push(value.filter(|_| single).unwrap_or_else(|| Value::map(names)));
            total.add(outcome);
        }
        let took = begun.elapsed();
        let value = Value::map([
            ("branches".to_string(), Value::list(values)),
            ("overlap".to_string(), Value::Int(overlapped)),
            ("at".to_string(), measured.get("at").cloned().unwrap_or(Value::Time(started))),
            ("took".to_string(), measured.get("took").cloned().unwrap_or_else(|| elapsed(started, started, took))),
        ]);
        let wanted = match overlap {
            // at the end of a case the branches only observe again
            _ if self.once => 0,
            Overlap::All => count,
            Overlap::AtLeast(n) => n,
            Overlap::Any => 2.min(count),
        };
        if (overlapped as usize) < wanted && !total.status.is_unsuccessful() {
            let why = format!("too few branches overlapped: expected {wanted} at the same time, found {overlapped}");
            self.effects.mark_inconclusive(&why);
            total = ActionOutcome {
                judged: total.judged,
                unperformed: total.unperformed,
                ..ActionOutcome::without_output(Status::Errored, why)
            };
        }
        let judged = Judged { took, status: total.status, reason: total.reason, ..Judged::default() };
        let mut outcome = self.conclude_measured(call, started, value, judged).await;
        outcome.judged += total.judged;
        outcome.observed.extend(total.observed);
        outcome.ends_steps |= total.ends_steps;
        outcome.unperformed = total.unperformed;
        outcome
    }
}
