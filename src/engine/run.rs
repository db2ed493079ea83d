//! Runs a schedule: setup, the cases side by side, the exclusive ones alone, then teardown.
use super::{
    case::run_case,
    context::RunContext,
    observation::ObservationSource,
    results::CaseOutcome,
    runner::{ActionRunner, CaseEffects},
    schedule::{Case, Schedule},
    unwind::unwind,
};
use crate::{
    address::Address,
    event::{EventKind, RunStarted},
    expr::Scope,
    outcome::{Blame, Verdict},
    value::Value,
};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};
use tokio::sync::{RwLock, Semaphore};
use tokio_util::sync::CancellationToken;

/// Runs everything that is scheduled and emits its events. Returns when the undo is done.
pub async fn run_schedule(
    schedule: Arc<Schedule>,
    context: Arc<RunContext>,
    source: Arc<dyn ObservationSource>,
    base: Scope,
    started: RunStarted,
) {
    let begun = Instant::now();
    let root = Address::new("");
    context.events.emit(&root, EventKind::RunStarted(Box::new(started))).await;
    let mut notes = vec![];
    let effects = CaseEffects::default();
    match set_up(&schedule, &context, &*source, &effects).await {
        Ok(()) => {
            if let Some(live) = &context.live {
                context.events.emit(&root, names_bound(&schedule, &base, &live.environment())).await;
            }
            notes.extend(run_cases(&schedule, &context, &source, &base).await);
        }
        Err(SetupError(reason)) => {
            let verdict = if context.cancel.is_cancelled() { Verdict::Interrupted } else { Verdict::Errored };
            for case in &schedule.cases {
                let reason = format!("the environment's setup failed: {reason}");
                finish_without_running(case, &context, verdict, Some(Blame::Environment), reason).await;
            }
        }
    }
    notes.extend(tear_down(&schedule, &context, &*source, &effects).await);
    if context.cancel.is_cancelled() {
        context.events.emit(&root, EventKind::CancelRequested).await;
    }
    context.events.emit(&root, EventKind::RunFinished { took: begun.elapsed(), notes }).await;
}

/// The names that a replay needs. Of the process environment only the variables that an action of the environment reads.
fn names_bound(schedule: &Schedule, base: &Scope, environment: &Scope) -> EventKind {
    let vars = schedule.vars.iter().filter_map(|(n, _)| Some((n.clone(), base.get(n)?.clone())));
    let mut own = environment.names();
    own.retain(|n, _| n != "run");
    if let Some(Value::Map(all)) = own.get("env") {
        let read = all.iter().filter(|(n, _)| schedule.env_read.contains(*n));
        let read = Value::map(read.map(|(n, v)| (n.clone(), v.clone())));
        own.insert("env".into(), read);
    }
    EventKind::NamesBound { vars: Value::map(vars), environment: Value::from(own) }
}

/// Why the setup of the environment did not pass.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(String);

/// Runs the setup of the environment. Targets see the names that it binds; what it must undo is left in `effects`.
pub async fn set_up(
    schedule: &Schedule,
    context: &RunContext,
    source: &dyn ObservationSource,
    effects: &CaseEffects,
) -> Result<(), SetupError> {
    let Some(live) = &context.live else { return Ok(()) };
    let scope = live.environment();
    let runner = ActionRunner::new(context, source, &context.cancel, effects, &scope);
    let outcome = runner.run_actions(&schedule.setup, &Address::new("setup"), scope.clone(), None).await;
    if let Some(reason) = outcome.total.failure() {
        return Err(SetupError(reason));
    }
    live.set_environment(outcome.scope);
    Ok(())
}

/// Runs the teardown of the environment and undoes its setup. Returns a sentence for each thing that did not work.
pub async fn tear_down(
    schedule: &Schedule,
    context: &RunContext,
    source: &dyn ObservationSource,
    effects: &CaseEffects,
) -> Vec<String> {
    let Some(live) = &context.live else { return vec![] };
    let scope = live.environment();
    let runner = ActionRunner::new(context, source, &context.kill, effects, &scope);
    let outcome = runner.run_actions(&schedule.teardown, &Address::new("teardown"), scope.clone(), None).await;
    let mut notes = vec![];
    notes.extend(outcome.total.failure().map(|reason| format!("the environment's teardown failed: {reason}")));
    notes.extend(unwind(&runner).await.left.into_iter().map(|l| format!("left behind by setup: {l}")));
    notes
}

/// Runs up to `jobs` cases at the same time, then the exclusive ones one by one; both in the plan's order.
async fn run_cases(
    schedule: &Arc<Schedule>,
    context: &Arc<RunContext>,
    source: &Arc<dyn ObservationSource>,
    base: &Scope,
) -> Vec<String> {
    let jobs = Arc::new(Semaphore::new(schedule.jobs.max(1)));
    let platform = Arc::new(RwLock::new(()));
    let stop = CancellationToken::new();
    let mut running = tokio::task::JoinSet::new();
    let shared = (0..schedule.cases.len()).filter(|&i| !schedule.cases[i].exclusive);
    let exclusive = (0..schedule.cases.len()).filter(|&i| schedule.cases[i].exclusive);
    for i in shared.chain(exclusive) {
        // acquired here, so that `--jobs 1` keeps the plan's order
        let permit = jobs.clone().acquire_owned().await;
        let (schedule, context, source, base) = (schedule.clone(), context.clone(), source.clone(), base.clone());
        let (platform, stop) = (platform.clone(), stop.clone());
        let shared = if schedule.cases[i].exclusive { None } else { Some(platform.clone().read_owned().await) };
        running.spawn(async move {
            let case = &schedule.cases[i];
            let _guard = match shared {
                Some(guard) => (Some(guard), None),
                None => (None, Some(platform.write_owned().await)),
            };
            if context.cancel.is_cancelled() || stop.is_cancelled() {
                let reason = if context.cancel.is_cancelled() {
                    "cancelled before it began"
                } else {
                    "not started after the first failure (`--fail-fast`)"
                };
                finish_without_running(case, &context, Verdict::Skipped, None, reason.into()).await;
                drop(permit);
                return vec![];
            }
            let outcome = AssertUnwindSafe(run_case(case, &context, &*source, &base)).catch_unwind().await;
            let CaseOutcome { verdict, left, .. } = match outcome {
                Ok(outcome) => outcome,
                Err(_) => finish_after_panic(case, &context).await,
            };
            if context.fail_fast && !verdict.is_accepted() {
                stop.cancel();
            }
            drop(permit);
            left.into_iter().map(|l| format!("left behind by {}: {l}", case.id)).collect::<Vec<_>>()
        });
    }
    let mut notes = vec![];
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(left) => notes.extend(left),
            Err(e) => notes.push(format!("a case ended in a defect of the runner: {e}")),
        }
    }
    notes.sort();
    notes
}

async fn finish_without_running(
    case: &Case,
    context: &RunContext,
    verdict: Verdict,
    blame: Option<Blame>,
    reason: String,
) {
    let kind = EventKind::CaseFinished { verdict, blame, reason: Some(reason), took: Default::default() };
    context.events.emit(&case.address, kind).await;
}

/// A panic of the runner errors one case, not the run.
async fn finish_after_panic(case: &Case, context: &RunContext) -> CaseOutcome {
    let reason = "the runner panicked: this is a defect of the runner".to_string();
    let outcome = CaseOutcome::errored(&reason);
    finish_without_running(case, context, outcome.verdict, outcome.blame, reason).await;
    CaseOutcome { left: vec!["everything that the case made before the panic".into()], ..outcome }
}
