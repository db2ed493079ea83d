//! One schedule performed for real: scope, targets, links and events set up, the engine let loose, everything closed again. It
//! knows no arguments and no reports: who wants to see the events brings sinks.
use super::{exit, failure::Failure, links::links, secrets::environment_scope};
use crate::{
    engine::{
        context::RunContext, dispatch, live::LiveSource, run::run_schedule, schedule::Schedule, scopes::base_scope,
    },
    event::{EventSink, RunStarted},
    executor::{Link, RunInfo},
    outcome::Tier,
    report::{index_builder::IndexBuilder, jsonl::JsonLines, run_index::RunIndex},
    secrets::Secrets,
    value::Value,
};
use jiff::Timestamp;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// How a schedule is performed.
pub struct Manner {
    pub run: RunInfo,
    /// In words: `all 10 cases`.
    pub selection: String,
    pub gate: Vec<Tier>,
    pub fail_fast: bool,
    pub cancel: CancellationToken,
    pub kill: CancellationToken,
}

type Sinks = Vec<Box<dyn EventSink>>;

/// Returns when everything is closed. What went wrong in the cases is in the index; an error is that there could be no run, and
/// then mostly `open` was not asked for its sinks.
pub async fn perform(
    manner: Manner,
    mut schedule: Schedule,
    open: impl FnOnce() -> Result<Sinks, Failure>,
) -> Result<RunIndex, Failure> {
    let Manner { run, selection, gate, fail_fast, cancel, kill } = manner;
    let mut versions = vec![("tp-runner".to_string(), env!("CARGO_PKG_VERSION").to_string())];
    versions.append(&mut schedule.versions);

    let secrets = Arc::new(Secrets::default());
    let within = environment_scope(&run, &secrets, &schedule).await?;
    let base =
        base_scope(&run, &secrets, &schedule.vars, &within).map_err(|e| Failure::usage(format!("error: {e}")))?;
    schedule.plan.vars =
        schedule.vars.iter().map(|(n, _)| (n.clone(), base.get(n).map(Value::to_string).unwrap_or_default())).collect();
    let live = Arc::new(LiveSource::new(run.clone(), secrets.clone(), within, &schedule.targets));
    let links = links(&schedule).await?;
    let begin = RunStarted {
        run: run.id.clone(),
        started: run.started,
        plan: schedule.plan.clone(),
        environment: schedule.environment.clone(),
        selection,
        gate,
        versions,
        cases: schedule.outline.clone(),
    };

    let builder = IndexBuilder::default();
    let mut sinks = open()?;
    sinks.push(Box::new(builder.clone()));
    let (events, thread) = dispatch::start(secrets.clone(), sinks, cancel.clone());
    let faults = std::mem::take(&mut schedule.faults);
    let on_failure = std::mem::take(&mut schedule.on_failure);
    let context = Arc::new(RunContext {
        run,
        secrets,
        events: events.clone(),
        cancel,
        kill,
        links: links.iter().map(|(n, l)| (n.clone(), l.clone() as Arc<dyn Link>)).collect(),
        live: Some(live.clone()),
        faults,
        on_failure,
        fail_fast,
        wall: Timestamp::now,
        hook: None,
    });
    run_schedule(Arc::new(schedule), context.clone(), live.clone(), base, begin).await;
    live.close().await;
    drop((context, events));
    let told = tokio::task::spawn_blocking(move || thread.join()).await;
    for (_, link) in links {
        link.relay.cut();
    }
    if let Ok(Ok(Err(e))) = told {
        return Err(Failure { message: format!("error: the run could not be recorded: {e}"), code: exit::NO_REPORT });
    }
    Ok(builder.index())
}

/// A run that begins now; paths in the plan start at `root`.
pub fn begin(root: &Path) -> RunInfo {
    RunInfo { id: run_id(), started: Timestamp::now(), dir: root.to_path_buf() }
}

/// Short, lower case, begins with a letter: fit for DNS names.
fn run_id() -> String {
    format!("r{}", &uuid::Uuid::new_v4().simple().to_string()[..7])
}

/// `.tp-runner/runs/<run>/events.jsonl`; the folder ignores itself in git.
pub fn journal_path(root: &Path, run: &str) -> Result<PathBuf, Failure> {
    let own = root.join(".tp-runner");
    let folder = own.join("runs").join(run);
    let made = std::fs::create_dir_all(&folder).and_then(|()| {
        let ignore = own.join(".gitignore");
        if ignore.exists() { Ok(()) } else { std::fs::write(ignore, "*\n") }
    });
    match made {
        Ok(()) => Ok(folder.join("events.jsonl")),
        Err(e) => Err(Failure {
            message: format!("error: `{}` cannot be made: {e}", folder.display()),
            code: exit::NO_REPORT,
        }),
    }
}

/// The journal of a run, new.
pub fn journal(root: &Path, run: &str) -> Result<JsonLines, Failure> {
    let path = journal_path(root, run)?;
    JsonLines::open(&path).map_err(|e| Failure {
        message: format!("error: `{}` cannot be written: {e}", path.display()),
        code: exit::NO_REPORT,
    })
}
