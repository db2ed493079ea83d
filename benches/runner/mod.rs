//! Shared by the benchmarks: runs a plan from its text to the end of its journal, with engine, executors and dispatcher like the
//! binary.
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tp_runner::{
    engine::{
        context::RunContext,
        dispatch,
        live::LiveSource,
        run::run_schedule,
        scopes::{base_scope, run_scope},
    },
    event::EventSink,
    executor::RunInfo,
    executors,
    journal::lines::JsonLines,
    outcome::Verdict,
    report::index_builder::IndexBuilder,
    secrets::Secrets,
    testing::{compile_plan, run_started},
};

/// The time of a run from its first event to the end of its journal. Its case must pass and record `actions` actions.
pub async fn run_plan(plan: &str, environment: &str, actions: usize) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let (took, recorded) = run_plan_in(folder.path(), plan, environment, vec![]).await;
    assert!(recorded > 2 * actions, "{recorded} events");
    took
}

/// The same in a folder, with further sinks behind the journal; also returns the number of events.
pub async fn run_plan_in(
    folder: &Path,
    plan: &str,
    environment: &str,
    more: Vec<Box<dyn EventSink>>,
) -> (Duration, usize) {
    let mut schedule =
        compile_plan(&executors::registry(), plan, environment).unwrap_or_else(|problems| panic!("{problems}"));
    let run = RunInfo { id: "rbench".into(), started: jiff::Timestamp::now(), dir: folder.into(), trace: None };
    let secrets = Arc::new(Secrets::default());
    let base = base_scope(&run, &secrets, &schedule.vars, &run_scope(&run, &secrets)).expect("variables");
    let live = Arc::new(LiveSource::new(run.clone(), secrets.clone(), run_scope(&run, &secrets), &schedule.targets));
    let builder = IndexBuilder::default();
    let journal = folder.join("events.jsonl");
    let lines = JsonLines::open(&journal).expect("a journal");
    let mut sinks: Vec<Box<dyn EventSink>> = vec![Box::new(lines), Box::new(builder.clone())];
    sinks.extend(more);
    let cancel = tokio_util::sync::CancellationToken::new();
    let (events, thread) = dispatch::start(secrets.clone(), sinks, cancel.clone());
    let started = run_started(&run, &schedule);
    let context = RunContext::new(run, secrets, events.clone()).with_schedule(&mut schedule);
    let context = Arc::new(RunContext { live: Some(live.clone()), kill: cancel.clone(), cancel, ..context });

    let begun = Instant::now();
    run_schedule(Arc::new(schedule), context.clone(), live.clone(), base, started).await;
    live.close().await;
    drop((context, events));
    thread.join().expect("the dispatcher").expect("the journal");
    let took = begun.elapsed();

    let index = builder.index();
    assert_eq!(index.cases[0].verdict, Verdict::Passed, "{:?}", index.cases[0].reason);
    let recorded = std::fs::read_to_string(&journal).expect("the journal").lines().count();
    (took, recorded)
}

/// Alternates both for several rounds, each being first in turn. Returns the medians.
pub async fn in_turn(
    rounds: usize,
    mut bare: impl AsyncFnMut() -> Duration,
    mut ours: impl AsyncFnMut() -> Duration,
) -> (Duration, Duration) {
    let (mut of_bare, mut of_ours) = (vec![], vec![]);
    for round in 0..rounds {
        if round % 2 == 0 {
            of_bare.push(bare().await);
            of_ours.push(ours().await);
        } else {
            of_ours.push(ours().await);
            of_bare.push(bare().await);
        }
    }
    (median(of_bare), median(of_ours))
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort();
    of[of.len() / 2]
}
