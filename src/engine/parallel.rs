//! `parallel`: every branch for every item, started behind a barrier. A race that did not race proves nothing.
use super::{
    looks::now,
    schedule::ScheduledAction,
    step::{Done, Runner, Seen, span_since},
};
use crate::{address::Address, executor::Output, expr::Scope, outcome::Status, plan::Overlap, value::Value};
use futures::future::join_all;
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{sync::Barrier, time::Instant};

/// Where the branches of a `parallel` wait for each other, and how many are on their way.
struct Line {
    barrier: Barrier,
    flying: AtomicUsize,
    most: AtomicUsize,
}

/// A branch before its first act. What must be written down before that (an undo) is written before the line, not behind it:
/// else the branches would leave one after the other, and the first be back before the last has left.
pub struct Start<'a> {
    line: &'a Line,
    begun: AtomicBool,
}

impl Start<'_> {
    pub async fn pass(&self) {
        if !self.begun.swap(true, Ordering::SeqCst) {
            self.line.barrier.wait().await;
            let flying = self.line.flying.fetch_add(1, Ordering::SeqCst) + 1;
            self.line.most.fetch_max(flying, Ordering::SeqCst);
        }
    }
}

impl Runner<'_> {
    /// Before an act: in a branch, the first waits for those of the others.
    pub(super) async fn begin(&self) {
        if let Some(start) = self.start {
            start.pass().await;
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) async fn parallel(
        &self,
        step: &ScheduledAction,
        at: &Address,
        branches: &[Vec<ScheduledAction>],
        overlap: Overlap,
        scopes: Vec<Scope>,
        outer: &Scope,
        timeout: Option<Duration>,
    ) -> Done {
        self.announce(step, at).await;
        let look_at = now();
        let begun = Instant::now();
        let all: Vec<(usize, usize, &Scope, &Vec<ScheduledAction>)> = scopes
            .iter()
            .enumerate()
            .flat_map(|(i, scope)| branches.iter().enumerate().map(move |(b, steps)| (i, b, scope, steps)))
            .collect();
        self.begin().await;
        let line = Line { barrier: Barrier::new(all.len()), flying: AtomicUsize::new(0), most: AtomicUsize::new(0) };
        let line = &line;
        let done = join_all(all.iter().map(|(i, b, scope, steps)| {
            let at = at.item(format!("{i}.{b}"));
            async move {
                let start = Start { line, begun: AtomicBool::new(false) };
                let listed = {
                    let runner = Runner { start: Some(&start), ..*self };
                    runner.list(steps, &at, (*scope).clone(), timeout).await
                };
                // a branch that never acted keeps nobody waiting
                start.pass().await;
                line.flying.fetch_sub(1, Ordering::SeqCst);
                listed
            }
        }))
        .await;
        let measured = Value::map([("overlap".to_string(), Value::Int(line.most.load(Ordering::SeqCst) as i64))]);
        let measured = self.looks.measured(at, measured);
        let count = measured.get("overlap").and_then(Value::as_i64).unwrap_or(0);
        let mut status = Status::Passed;
        let mut reason = None;
        let (mut ends, mut judged) = (false, 0);
        let mut values = vec![];
        for listed in done {
            judged += listed.judged;
            ends |= listed.ends;
            if status.worse(listed.status) != status {
                reason = listed.reason;
                status = status.worse(listed.status);
            }
            values.push(match (branches.iter().all(|b| b.len() == 1), listed.last) {
                (true, Some(v)) => v,
                _ => Value::map(listed.names),
            });
        }
        let output = Output { value: Value::Null, at: look_at, took: begun.elapsed(), cursor: None };
        let value = Value::map([
            ("branches".to_string(), Value::list(values)),
            ("overlap".to_string(), Value::Int(count)),
            ("at".to_string(), measured.get("at").cloned().unwrap_or(Value::Time(look_at))),
            ("took".to_string(), measured.get("took").cloned().unwrap_or_else(|| span_since(look_at, &output))),
        ]);
        let inner = outer.with_all(&value);
        let results = self.asked(&step.assertions, Some(&value), &inner);
        self.looked(at, Seen { attempt: 0, at: look_at, took: output.took }, &value, &results, vec![]).await;
        let wanted = match overlap {
            Overlap::All => all.len(),
            Overlap::AtLeast(n) => n,
            Overlap::Any => 2.min(all.len()),
        };
        if (count as usize) < wanted && !status.is_red() {
            let why = format!("the branches did not overlap as they must: {count} at once, {wanted} needed");
            self.doubts.cast(&why);
            (status, ends, reason) = (Status::Errored, true, Some(why));
        }
        let mut done = self.conclude(step, at, outer, Some(value), results, reason, 1, begun.elapsed(), status).await;
        done.judged += judged;
        done.ends |= ends;
        done
    }
}
