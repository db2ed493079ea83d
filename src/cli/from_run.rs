//! `run --from RUN`: judges a recorded run by the plan as it is now. Sends nothing, records nothing.
use super::{
    args::{self, OutputArgs},
    execute::new_run,
    exit,
    failure::Failure,
    files::IncludedFiles,
    plans, print, repeat, replay,
    reports::Reports,
    runs::{find_journal, read_journal},
    terminal,
};
use crate::{
    address::Address,
    engine::{context::RunContext, dispatch, run::run_schedule, schedule::Schedule},
    event::{EventSink, RunStarted},
    executor::Registry,
    journal::RunFolder,
    outcome::Tier,
    plan::{
        Environment, Plan,
        performed::{performed, variables},
    },
    replay::{Record, judge::source_of_changed_plan},
    report::{
        console::summary::{SummaryOptions, summary},
        gate::gate,
        index_builder::IndexBuilder,
        run_index::RunIndex,
    },
    source::Source,
};
use std::{path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;

pub async fn command(args: &args::Run, run: &str, output: OutputArgs, registry: &Registry) -> Result<u8, Failure> {
    let journal = find_journal(run)?;
    let events = read_journal(&journal)?;
    let no_run = || Failure::usage(format!("error: `{}` does not contain a run", journal.display()));
    let record = Record::of(&events).ok_or_else(no_run)?;
    drop(events);
    let file = replay::plan_of_run(&args.plans, &record, "--from")?;
    let draft = plans::read(&file, &args.execution.environment, registry);
    let environment = replay::environment_of_run(&args.execution, registry, &record)?;
    let is_selected = plans::selector(&args.selection, std::slice::from_ref(&file), registry)?;
    let (mut schedule, warnings) =
        draft.compile_with_warnings(environment.as_ref(), &args.execution.set, &|case| is_selected(case))?;
    if schedule.cases.is_empty() {
        return Err(Failure::nothing_selected());
    }
    if !output.quiet {
        print::err(format_args!("{}", plans::render(&warnings)));
    }
    let changed = match (&draft.plan, recorded_plan(&journal, registry)) {
        (Some(plan), Some(recorded)) => {
            warn_of_variables(plan, &recorded);
            changed_actions(plan, &recorded, environment.as_ref())
        }
        _ => vec![],
    };
    let started = RunStarted {
        plan: schedule.plan.clone(),
        selection: plans::selection_words(&args.selection, None, schedule.cases.len(), schedule.outline.len()),
        gate: if args.gate.is_empty() { Tier::ALL.to_vec() } else { args.gate.clone() },
        arguments: repeat::arguments(args, &file),
        cases: schedule.outline.clone(),
        ..record.started.clone()
    };
    let started = with_notice(started);
    let reports = args.report_dir.as_ref().map(|folder| {
        let name = format!("{}-report.md", started.plan.id.to_lowercase());
        Reports::new(folder.join(name), &args.format)
    });
    // in the plan's order: no case waits for anything
    schedule.jobs = 1;
    let index = judge(schedule, &record, changed, started, output).await?;
    let (written, failures) = reports.as_ref().map(|r| r.write(&index)).unwrap_or_default();
    let options = SummaryOptions { page: terminal::stdout_page(), quiet: output.quiet, reports: written };
    print::out(format_args!("{}\n", summary(&index, &options).trim_end()));
    failures.into_iter().for_each(|f| print::err(format_args!("{}\n", f.message)));
    Ok(exit::of_run(gate(&index).verdict))
}

/// Says what was judged, first and last.
fn with_notice(mut started: RunStarted) -> RunStarted {
    let when = started.started.strftime("%Y-%m-%d %H:%M:%S UTC");
    let notice = format!("judged again from the run {} of {when}: nothing was sent", started.run);
    started.environment.notice = Some(match started.environment.notice {
        Some(own) => format!("{notice}; {own}"),
        None => notice,
    });
    started
}

async fn judge(
    mut schedule: Schedule,
    record: &Record,
    changed: Vec<Address>,
    started: RunStarted,
    output: OutputArgs,
) -> Result<RunIndex, Failure> {
    let (source, base) =
        source_of_changed_plan(&schedule, record, changed).map_err(|e| Failure::usage(format!("error: {e}")))?;
    let builder = IndexBuilder::default();
    let sinks: Vec<Box<dyn EventSink>> =
        vec![Box::new(builder.clone()), Box::new(terminal::console(output, builder.clone()))];
    let secrets = base.secrets().clone();
    let (events, thread) = dispatch::start(secrets.clone(), sinks, CancellationToken::new());
    let run = crate::executor::RunInfo { started: record.started.started, ..new_run(Path::new("")) };
    let context = Arc::new(RunContext::new(run, secrets, events.clone()).with_schedule(&mut schedule));
    run_schedule(Arc::new(schedule), context.clone(), source, base, started).await;
    drop((context, events));
    let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    Ok(builder.index())
}

/// The actions of the plan that perform something else than those of the recorded plan.
fn changed_actions(plan: &Plan, recorded: &Plan, environment: Option<&Environment>) -> Vec<Address> {
    let replaced = environment.map(|e| e.actions.as_slice()).unwrap_or_default();
    let before = performed(recorded, replaced);
    let after = performed(plan, replaced);
    let is_changed = |(at, text): &(Address, String)| before.get(at).is_some_and(|other| other != text);
    after.into_iter().filter(is_changed).map(|(at, _)| at).collect()
}

/// Variables keep the values of the run: what was sent was made with them.
fn warn_of_variables(plan: &Plan, recorded: &Plan) {
    let before = variables(recorded);
    for (name, text) in variables(plan) {
        if before.get(&name).is_some_and(|other| *other != text) {
            print::err(format_args!("warning: `{name}` keeps its value of the recorded run\n"));
        }
    }
}

/// The plan of a run, as it was then. `None` if the journal alone was kept.
fn recorded_plan(journal: &Path, registry: &Registry) -> Option<Plan> {
    let folder = journal.parent()?;
    let folder = RunFolder::of(folder.parent()?, &folder.file_name()?.to_string_lossy());
    let snapshot = folder.snapshot().ok().flatten()?;
    let source = Arc::new(Source::new(snapshot.plan.name, snapshot.plan.text));
    plans::parse(&source, IncludedFiles::recorded(snapshot.files), registry).plan
}
