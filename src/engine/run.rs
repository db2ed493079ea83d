//! Runs a schedule: setup, the cases side by side, the exclusive ones alone, then teardown.
use super::{
    case::{finish_case, run_case},
    context::RunContext,
    observation::ObservationSource,
    panic::caught,
    results::CaseOutcome,
    runner::{ActionRunner, CaseEffects},
    schedule::Schedule,
    unwind::unwind,
};
use crate::{
    address::Address,
    event::{EventKind, RunStarted},
    expr::Scope,
    outcome::{Blame, Verdict},
    value::Value,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};
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
    context.observers.begin(&base);
    context.events.emit(&root, EventKind::RunStarted(Box::new(started))).await;
    let mut notes = vec![];
    let effects = CaseEffects::default();
    match set_up(&schedule, &context, &*source, &effects).await {
        Ok(()) => {
            if let Some(live) = &context.live {
                context.events.emit(&root, names_bound(&schedule, &base, &live.environment())).await;
                let versions = read_versions(&schedule, &context, &*source).await;
                if !versions.is_empty() {
                    context.events.emit(&root, EventKind::EnvironmentDescribed { targets: vec![], versions }).await;
                }
            }
            notes.extend(run_cases(&schedule, &context, &source, &base).await);
        }
        Err(reason) => {
            let verdict = if context.cancel.is_cancelled() { Verdict::Interrupted } else { Verdict::Errored };
            for case in &schedule.cases {
                let reason = format!("the environment's setup failed: {reason}");
                let outcome = CaseOutcome::new(verdict, Some(Blame::Environment), Some(reason));
                finish_case(case, &context, &outcome, Duration::ZERO).await;
            }
        }
    }
    if let Some(live) = &context.live
        && !context.cancel.is_cancelled()
        && let Some(described) = live.describe().await
    {
        context.events.emit(&root, described).await;
    }
    notes.extend(tear_down(&schedule, &context, &*source, &effects).await);
    notes.extend(context.live.as_ref().and_then(|live| live.abandoned()));
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

/// Runs the setup of the environment. Targets see the names that it binds; what it must undo is left in `effects`.
pub async fn set_up(
    schedule: &Schedule,
    context: &RunContext,
    source: &dyn ObservationSource,
    effects: &CaseEffects,
) -> Result<(), String> {
    let Some(live) = &context.live else { return Ok(()) };
    let scope = live.environment();
    let runner = ActionRunner::new(context, source, effects, &scope);
    let outcome = runner.run_actions(&schedule.setup, &Address::new("setup"), scope.clone(), None).await;
    if let Some(reason) = outcome.total.failure() {
        return Err(reason);
    }
    live.set_environment(outcome.scope);
    Ok(())
}

/// The versions that actions of the environment find out. One that cannot be found says why, and changes no verdict.
async fn read_versions(
    schedule: &Schedule,
    context: &RunContext,
    source: &dyn ObservationSource,
) -> Vec<(String, String)> {
    let (mut versions, effects, scope) = (vec![], CaseEffects::default(), source.environment());
    for (name, actions) in &schedule.version_actions {
        let runner =
            ActionRunner { protected: context.protected, ..ActionRunner::new(context, source, &effects, &scope) };
        let at = Address::new("versions").child(name);
        let outcome = runner.run_actions(actions, &at, scope.clone(), None).await;
        let version = match (outcome.total.failure(), outcome.scope.get("version")) {
            (None, Some(version)) if version.incomplete().is_none() => version.to_string(),
            (None, _) => "unknown: `version` was not observed".into(),
            (Some(reason), _) => format!("unknown: {reason}"),
        };
        versions.push((name.clone(), version));
    }
    versions
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
    let runner = ActionRunner::new(context, source, effects, &scope).until(&context.kill, None);
    let outcome = runner.run_actions(&schedule.teardown, &Address::new("teardown"), scope.clone(), None).await;
    let mut notes = vec![];
    notes.extend(outcome.total.failure().map(|reason| format!("the environment's teardown failed: {reason}")));
    notes.extend(unwind(&runner).await.into_iter().map(|l| format!("left behind by setup: {}", l.text)));
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
    let stop = CancellationToken::new();
    let (mut running, mut notes) = (JoinSet::new(), vec![]);
    let (exclusive, shared): (Vec<usize>, Vec<usize>) =
        (0..schedule.cases.len()).partition(|&i| schedule.cases[i].is_exclusive(base));
    let first_exclusive = shared.len();
    for (turn, i) in shared.into_iter().chain(exclusive).enumerate() {
        if turn >= first_exclusive {
            join(&mut running, &mut notes).await;
        }
        // acquired here, so that `--jobs 1` keeps the plan's order
        let permit = jobs.clone().acquire_owned().await;
        let (schedule, context, source, base) = (schedule.clone(), context.clone(), source.clone(), base.clone());
        let stop = stop.clone();
        running.spawn(async move {
            let (case, _permit) = (&schedule.cases[i], permit);
            if context.cancel.is_cancelled() || stop.is_cancelled() {
                let reason = match context.cancel.is_cancelled() {
                    true => "cancelled before it began",
                    false => "not started after the first failure (`--fail-fast`)",
                };
                let outcome = CaseOutcome::new(Verdict::Skipped, None, Some(reason.into()));
                finish_case(case, &context, &outcome, Duration::ZERO).await;
                return vec![];
            }
            let CaseOutcome { verdict, left, .. } = match caught(run_case(case, &context, &*source, &base)).await {
                Ok(outcome) => outcome,
                // outside of its actions and sentences
                Err(reason) => {
                    let outcome = CaseOutcome::errored(reason);
                    finish_case(case, &context, &outcome, Duration::ZERO).await;
                    CaseOutcome { left: vec!["everything that the case made before the panic".into()], ..outcome }
                }
            };
            if context.fail_fast && !verdict.is_accepted(case.tier) {
                stop.cancel();
            }
            left.into_iter().map(|l| format!("left behind by {}: {l}", case.id)).collect::<Vec<_>>()
        });
    }
    join(&mut running, &mut notes).await;
    notes.sort();
    notes
}

/// Waits for the running cases. Adds what they left behind to the notes.
async fn join(running: &mut JoinSet<Vec<String>>, notes: &mut Vec<String>) {
    while let Some(ended) = running.join_next().await {
        notes.extend(ended.unwrap_or_else(|e| vec![format!("a case ended in a defect of the runner: {e}")]));
    }
}
