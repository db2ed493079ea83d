//! `run`: from arguments to a report and an exit code.
use super::{
    Failure,
    args::{self, Verbosity},
    dry, exit, files,
    links::links,
    place::Place,
    plans,
    secrets::environment_scope,
    signals::{self, Interrupts},
};
use crate::{
    engine::{
        dispatch,
        looks::Live,
        run::{self, World, base_scope},
        schedule::Schedule,
    },
    event::{EventSink, RunStarted},
    executor::{Link, Registry, RunContext},
    executors,
    outcome::Tier,
    report::{
        self,
        console::{Console, Detail, Look},
        file::write_whole,
        gate::gate,
        jsonl::JsonLines,
        ledger::Ledger,
    },
    secrets::Secrets,
    value::Value,
};
use jiff::Timestamp;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub async fn command(args: Box<args::Run>, verbosity: Verbosity) -> Result<u8, Failure> {
    let registry = executors::registry();
    // before anything is made that would have to be taken back
    let interrupts = signals::listen()
        .map_err(|e| Failure { message: format!("error: signals cannot be heard: {e}"), code: exit::COULD_NOT_ASK })?;
    let mut code = exit::GREEN;
    let mut selected = 0;
    for found in files::plans(&args.plans)? {
        let (chosen, this) = one(&args, verbosity, &registry, found, &interrupts).await?;
        selected += chosen;
        // a wrong answer outweighs not having been able to ask
        code = match (code, this) {
            (exit::RED, _) | (_, exit::RED) => exit::RED,
            (a, b) => a.max(b),
        };
    }
    if selected == 0 {
        return Err(Failure {
            message: "error: nothing is selected: no case has that tier and that id".into(),
            code: exit::NOTHING_SELECTED,
        });
    }
    Ok(code)
}

/// One plan: how many cases were selected, and the exit code.
async fn one(
    args: &args::Run,
    verbosity: Verbosity,
    registry: &Registry,
    found: files::Found,
    interrupts: &Interrupts,
) -> Result<(usize, u8), Failure> {
    let colour = verbosity.colour();
    let selected = plans::selector(&args.selection)?;
    // first without an environment: a bad plan starts no platform
    let draft = plans::read(&found, registry);
    let checked = draft.compile(registry, None, &args.stage.set, &selected, colour)?;
    let chosen = checked.cases.len();
    if chosen == 0 {
        return Ok((0, exit::GREEN));
    }
    if args.dry_run {
        dry::print(&checked);
        return Ok((chosen, exit::GREEN));
    }
    let Place { environment, holder } = Place::choose(&args.stage, registry, draft.plan(), colour).await?;
    #[cfg(feature = "sandbox")]
    if let Some(platform) = &holder {
        interrupts.folders.lock().unwrap_or_else(|e| e.into_inner()).push(platform.folder().to_path_buf());
    }
    let result = match draft.compile(registry, Some(&environment), &args.stage.set, &selected, colour) {
        Ok(schedule) => perform(args, verbosity, &found, schedule, interrupts).await,
        Err(e) => Err(e),
    };
    if let Some(holder) = holder {
        holder.shutdown().await;
    }
    Ok((chosen, result?))
}

async fn perform(
    args: &args::Run,
    verbosity: Verbosity,
    found: &files::Found,
    mut schedule: Schedule,
    interrupts: &Interrupts,
) -> Result<u8, Failure> {
    let colour = verbosity.colour();
    let started = Timestamp::now();
    let run = RunContext { id: run_id(), started, dir: found.root.clone() };
    let mut versions = vec![("tp-runner".to_string(), env!("CARGO_PKG_VERSION").to_string())];
    versions.append(&mut schedule.versions);
    if let Some(jobs) = args.jobs {
        schedule.jobs = usize::from(jobs);
    }

    let secrets = Arc::new(Secrets::default());
    let within = environment_scope(&run, &secrets, &schedule).await?;
    let base = base_scope(&run, &secrets, &schedule.vars, &within)
        .map_err(|(name, e)| Failure::usage(format!("error: the variable `{name}` cannot be evaluated: {e}")))?;
    schedule.plan.vars =
        schedule.vars.iter().map(|(n, _)| (n.clone(), base.get(n).map(Value::to_string).unwrap_or_default())).collect();
    let live = Arc::new(Live::new(run.clone(), secrets.clone(), within, &schedule.targets));
    let links = links(&schedule).await?;

    let report_path = report_path(args, found, &schedule);
    let journal = journal_path(&found.root, &run.id)?;
    let gate_tiers = if args.gate.is_empty() { Tier::ALL.to_vec() } else { args.gate.clone() };
    let chosen = schedule.cases.len();
    let begin = RunStarted {
        run: run.id.clone(),
        started,
        plan: schedule.plan.clone(),
        environment: schedule.environment.clone(),
        selection: plans::selection_words(&args.selection, chosen, schedule.outline.len()),
        gate: gate_tiers,
        versions,
        cases: schedule.outline.clone(),
    };

    let Interrupts { cancel, kill, pending, .. } = interrupts.clone();
    let ledger = Ledger::default();
    let console = Console::stderr(detail(verbosity), colour);
    let lines = JsonLines::open(&journal).map_err(|e| Failure {
        message: format!("error: `{}` cannot be written: {e}", journal.display()),
        code: exit::NO_REPORT,
    })?;
    let sinks: Vec<Box<dyn EventSink>> =
        vec![Box::new(lines), Box::new(ledger.clone()), Box::new(pending), Box::new(console)];
    let (events, thread) = dispatch::start(secrets.clone(), sinks, cancel.clone());

    let faults = std::mem::take(&mut schedule.faults);
    let on_failure = std::mem::take(&mut schedule.on_failure);
    let schedule = Arc::new(schedule);
    let world = Arc::new(World {
        run,
        secrets,
        events: events.clone(),
        cancel,
        kill,
        links: links.iter().map(|(n, l)| (n.clone(), l.clone() as Arc<dyn Link>)).collect(),
        live: Some(live.clone()),
        faults,
        on_failure,
        fail_fast: args.fail_fast,
    });
    run::perform(schedule.clone(), world.clone(), live.clone(), base, begin).await;
    live.close().await;
    drop((world, events));
    let told = tokio::task::spawn_blocking(move || thread.join()).await;
    for (_, link) in links {
        link.relay.cut();
    }
    if let Ok(Ok(Err(e))) = told {
        return Err(Failure { message: format!("error: the run could not be recorded: {e}"), code: exit::NO_REPORT });
    }

    let index = ledger.index();
    let written = write_whole(&report_path, |out| report::markdown::write(&index, out));
    let shown = files::shorten(&report_path);
    let look = Look { colour, width: None, reports: vec![shown.display().to_string()] };
    let summary = report::console::summary(&index, &look);
    anstream::println!("{}", summary.trim_end());
    if let Err(e) = written {
        return Err(Failure {
            message: format!("error: the report `{}` cannot be written: {e}", report_path.display()),
            code: exit::NO_REPORT,
        });
    }
    Ok(gate(&index).verdict.exit_code())
}

fn report_path(args: &args::Run, found: &files::Found, schedule: &Schedule) -> PathBuf {
    let stated = schedule
        .report
        .clone()
        .unwrap_or_else(|| format!("tests/reports/{}-report.md", schedule.plan.id.to_lowercase()));
    match &args.report_dir {
        Some(dir) => dir.join(Path::new(&stated).file_name().unwrap_or(stated.as_ref())),
        None => found.root.join(stated),
    }
}

/// `.tp-runner/runs/<run>/events.jsonl`; the folder ignores itself in git.
fn journal_path(root: &Path, run: &str) -> Result<PathBuf, Failure> {
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

/// Short, lower case, begins with a letter: fit for DNS names.
fn run_id() -> String {
    format!("r{}", &uuid::Uuid::new_v4().simple().to_string()[..7])
}

fn detail(v: Verbosity) -> Detail {
    match v {
        Verbosity { quiet: true, .. } => Detail::Quiet,
        Verbosity { verbose: true, .. } => Detail::Actions,
        _ => Detail::Cases,
    }
}
