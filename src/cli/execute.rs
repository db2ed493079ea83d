//! Executes one schedule: sets up scope, targets, relays and event sinks, runs the engine, and closes everything.
use super::{
    ci, exit,
    failure::Failure,
    otlp::Trace,
    recording::Recording,
    relays,
    secrets::environment_scope,
    signals::{Interrupts, Running},
    terminal,
};
use crate::{
    engine::{
        context::RunContext, dispatch, live::LiveSource, run::run_schedule, schedule::Schedule, scopes::base_scope,
    },
    event::{EventSink, RunStarted},
    executor::RunInfo,
    outcome::Tier,
    report::{index_builder::IndexBuilder, run_index::RunIndex},
    secrets::Secrets,
    value::Value,
};
use jiff::Timestamp;
use std::{path::Path, sync::Arc};

pub struct RunOptions {
    pub run: RunInfo,
    /// The selected cases in words: `all 10 cases`.
    pub selection: String,
    pub gate: Vec<Tier>,
    /// The arguments that name the plan and the environment.
    pub arguments: Vec<String>,
    pub fail_fast: bool,
    /// How often a case that did not pass is tried again.
    pub retries: usize,
    /// Undo nothing but faults.
    pub keep: bool,
    /// The collector that the run is sent to as a trace.
    pub otlp: Option<String>,
    pub interrupts: Interrupts,
    /// `None`: it is neither recorded nor shown.
    pub recording: Option<Recording>,
    /// Receives the events too.
    pub listener: Option<Box<dyn EventSink>>,
}

impl RunOptions {
    /// All tiers decide, and nothing is tried again, recorded or shown.
    pub fn new(run: RunInfo, selection: impl Into<String>, interrupts: &Interrupts) -> RunOptions {
        RunOptions {
            run,
            selection: selection.into(),
            gate: Tier::ALL.to_vec(),
            arguments: vec![],
            fail_fast: false,
            retries: 0,
            keep: false,
            otlp: None,
            interrupts: interrupts.clone(),
            recording: None,
            listener: None,
        }
    }
}

/// A run that has ended.
pub struct Executed {
    pub index: RunIndex,
    /// Why it is not, or not completely, recorded.
    pub not_recorded: Option<Failure>,
}

/// Executes a schedule, whatever the verdicts. Fails if the run could not start.
pub async fn execute(options: RunOptions, mut schedule: Schedule) -> Result<Executed, Failure> {
    let RunOptions {
        mut run,
        selection,
        gate,
        arguments,
        fail_fast,
        retries,
        keep,
        otlp,
        interrupts,
        recording,
        listener,
    } = options;
    let mut trace = otlp.as_deref().map(Trace::start).transpose()?;
    run.trace = trace.as_ref().map(|trace| trace.id.clone());
    let Interrupts { cancel, kill, .. } = interrupts.clone();
    let mut versions = vec![("tp-runner".to_string(), env!("CARGO_PKG_VERSION").to_string())];
    versions.append(&mut schedule.versions);

    let secrets = Arc::new(Secrets::default());
    let environment = environment_scope(&run, &secrets, &schedule).await?;
    let base = base_scope(&run, &secrets, &schedule.vars, &environment)
        .map_err(|e| Failure::usage(secrets.masked(format!("error: {e}"))))?;
    schedule.plan.vars =
        schedule.vars.iter().map(|(n, _)| (n.clone(), base.get(n).map(Value::to_string).unwrap_or_default())).collect();
    let addresses = schedule.targets.iter().map(|t| (t.name.clone(), t.spec.address(&environment)));
    schedule.environment.targets = addresses.collect();
    let live = Arc::new(LiveSource::new(run.clone(), secrets.clone(), environment, &schedule.targets));
    let fault_switches = relays::start(&schedule, &run.dir).await?;
    let start = RunStarted {
        run: run.id.clone(),
        started: run.started,
        plan: schedule.plan.clone(),
        environment: schedule.environment.clone(),
        selection,
        gate,
        versions,
        ci: ci::job(&|name| std::env::var(name).ok()),
        trace: run.trace.as_ref().map(ToString::to_string),
        arguments,
        cases: schedule.outline.clone(),
    };

    let builder = IndexBuilder::default();
    let mut sinks: Vec<Box<dyn EventSink>> = vec![];
    // Created after all other preparations that can fail.
    let mut recorder = recording.as_ref().map(|recording| recording.start(&run, &secrets)).transpose()?;
    if let (Some(recorder), Some(recording)) = (&mut recorder, &recording) {
        sinks.push(recorder.sink()?);
        // before the console, which reads it
        sinks.push(Box::new(builder.clone()));
        if !recording.is_silent {
            sinks.push(Box::new(terminal::console(recording.output, builder.clone())));
        }
        interrupts.set_running(Some(Running { id: run.id.clone(), index: builder.clone() }));
    } else {
        sinks.push(Box::new(builder.clone()));
    }
    sinks.extend(trace.as_mut().and_then(Trace::sink));
    sinks.extend(listener);
    let (events, thread) = dispatch::start(secrets.clone(), interrupts.sinks(sinks, &[]), cancel.clone());
    let context = RunContext {
        cancel,
        kill,
        fault_switches,
        live: Some(live.clone()),
        fail_fast,
        retries,
        keep,
        ..RunContext::new(run, secrets, events.clone()).with_schedule(&mut schedule)
    };
    let context = Arc::new(context);
    run_schedule(Arc::new(schedule), context.clone(), live.clone(), base, start).await;
    live.close().await;
    drop((context, events));
    let recorded = tokio::task::spawn_blocking(move || thread.join()).await;
    let is_quiet = recording.as_ref().is_none_or(|recording| recording.output.quiet);
    if let Some(trace) = trace {
        trace.finish(is_quiet).await;
    }
    let index = builder.index();
    let failed = |e| Failure { message: format!("error: cannot record the run: {e}"), code: exit::NO_REPORT };
    let not_recorded = match (recorded, recorder) {
        (Ok(Ok(Err(e))), _) => Some(failed(e.to_string())),
        (_, Some(recorder)) => recorder.finish(&index, interrupts.open.count()).err(),
        (_, None) => None,
    };
    interrupts.set_running(None);
    Ok(Executed { index, not_recorded })
}

/// A run with a new id that starts now. Paths in its plan are relative to `root`.
pub fn new_run(root: &Path) -> RunInfo {
    // A letter and 7 hexadecimal digits: valid in DNS names.
    let id = format!("r{}", &uuid::Uuid::new_v4().simple().to_string()[..7]);
    RunInfo { id, started: Timestamp::now(), dir: root.to_path_buf(), trace: None }
}
