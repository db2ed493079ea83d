//! `run`: executes plans, writes reports, and computes the exit code.
use super::{
    agent_log::entry_before_run,
    args::{self, OutputArgs},
    cleanup, dry_run,
    environment::{ChosenEnvironment, name_and_file},
    execute::{self, Executed, RunOptions},
    exit,
    failed::{self, LastRun},
    failure::Failure,
    files, from_run, plans, print,
    recording::Recording,
    repeat,
    reports::Reports,
    runs,
    signals::{self, Interrupts},
    terminal,
};
use crate::{
    engine::schedule::Schedule,
    executor::Registry,
    executors,
    outcome::Tier,
    plan::Case,
    report::{
        console::summary::{SummaryOptions, summary},
        gate::gate,
    },
};
use std::path::{Path, PathBuf};

pub async fn command(args: Box<args::Run>, output: OutputArgs) -> Result<u8, Failure> {
    let registry = executors::registry();
    if let Some(run) = &args.from {
        return from_run::command(&args, run, output, &registry).await;
    }
    // Installed before anything is created that needs undo.
    let interrupts = signals::listen()?;
    if let Some(limit) = args.time_limit {
        interrupts.stop_after(limit.into());
    }
    let mut code = exit::SUCCESS;
    let mut selected = 0;
    let files = files::plans(&args.plans)?;
    let is_selected = plans::selector(&args.selection, &files, &registry)?;
    for file in files {
        let (plan_selected, plan_code) = run_plan(&args, output, &registry, file, &interrupts, &is_selected).await?;
        selected += plan_selected;
        code = exit::worse(code, plan_code);
    }
    match selected {
        0 if args.failed => Err(failed::nothing_left()),
        0 => Err(Failure::nothing_selected()),
        _ => Ok(code),
    }
}

/// Returns the number of selected cases and the exit code.
async fn run_plan(
    args: &args::Run,
    output: OutputArgs,
    registry: &Registry,
    file: files::PlanFile,
    interrupts: &Interrupts,
    is_selected: &(dyn Fn(&Case) -> bool + Sync),
) -> Result<(usize, u8), Failure> {
    let draft = plans::read(&file, &args.execution.environment, registry);
    let last = if args.failed { last_run(args, &file, &draft, output)? } else { None };
    let is_selected: &(dyn Fn(&Case) -> bool + Sync) =
        &|case| is_selected(case) && last.as_ref().is_none_or(|last| last.has(&case.id.text));
    // Compiles without an environment first, so that an invalid plan starts no sandbox.
    let (checked, warnings) = draft.compile_with_warnings(None, &args.execution.set, is_selected)?;
    let selected = checked.cases.len();
    if selected == 0 {
        return Ok((0, exit::SUCCESS));
    }
    if !output.quiet {
        print::err(format_args!("{}", plans::render(&warnings)));
    }
    let agent_log_entry = entry_before_run(&checked.plan.id);
    if args.dry_run {
        dry_run::print(&checked);
        args.agent_log.preview(&agent_log_entry)?;
        return Ok((selected, exit::SUCCESS));
    }
    args.agent_log.check(&agent_log_entry)?;
    let chosen = ChosenEnvironment::choose(&args.execution, &draft).await?;
    if args.keep && chosen.sandbox.is_some() {
        let message = "error: `--keep` has no use here: the sandbox of this run ends with it\n\
                       help: start one that stays, with `tp-runner sandbox --env-file FILE`, and use `--config FILE`";
        return Err(Failure::usage(message));
    }
    chosen.sandbox.iter().for_each(|sandbox| interrupts.remove_on_exit(sandbox.folder()));
    if chosen.sandbox.is_none() {
        cleanup::before_run(&file.root, &chosen, args.cleanup_first, output, interrupts).await?;
    }
    let recording = Recording::new(output, &file, &draft, &chosen, &args.execution);
    let last = last.as_ref().map(|last| last.id.as_str());
    let ends_with_run = chosen.sandbox.is_some();
    let work = |mut schedule: Schedule| {
        schedule.environment.ends_with_run = ends_with_run;
        execute_and_report(args, recording, &file, last, schedule, interrupts)
    };
    let code = chosen.run(&draft, &args.execution.set, is_selected, work).await?;
    Ok((selected, code))
}

/// For `--failed`: the last run of the plan in the environment that is chosen. `None` if the plan cannot be read; then it is not run.
fn last_run(
    args: &args::Run,
    file: &files::PlanFile,
    draft: &plans::Draft<'_>,
    output: OutputArgs,
) -> Result<Option<LastRun>, Failure> {
    let Some(plan) = &draft.plan else { return Ok(None) };
    let (Some(name), environment) = name_and_file(&args.execution, draft)? else { return Ok(None) };
    let runs = runs::folder(&file.root, environment.as_ref().map(|file| &*file.source));
    let folders: Vec<PathBuf> = [Some(runs), runs::state_folder()].into_iter().flatten().collect();
    let last = LastRun::find(&folders, &plan.id, &name)?;
    if !output.quiet {
        print::err(format_args!("{}\n", last.about));
    }
    let ids: Vec<&str> = plan.cases.iter().map(|c| c.id.text.as_str()).collect();
    if let Some(gone) = last.no_longer_there(&ids) {
        print::err(format_args!("warning: {gone}\n"));
    }
    Ok(Some(last))
}

async fn execute_and_report(
    args: &args::Run,
    recording: Recording,
    file: &files::PlanFile,
    failed_in: Option<&str>,
    mut schedule: Schedule,
    interrupts: &Interrupts,
) -> Result<u8, Failure> {
    if let Some(jobs) = args.jobs {
        schedule.jobs = usize::from(jobs);
    }
    if let Some(seed) = args.shuffle {
        let seed = seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
        if !recording.output.quiet {
            print::err(format_args!("order of cases: `--shuffle={seed}`\n"));
        }
        fastrand::Rng::with_seed(seed).shuffle(&mut schedule.cases);
    }
    schedule.plan.digest = Some(recording.plan_digest());
    let reports = Reports::new(report_path(args, file, &schedule), &args.format);
    let quiet = recording.output.quiet;
    let options = RunOptions {
        run: execute::new_run(&file.root),
        selection: plans::selection_words(&args.selection, failed_in, schedule.cases.len(), schedule.outline.len()),
        gate: if args.gate.is_empty() { Tier::ALL.to_vec() } else { args.gate.clone() },
        arguments: repeat::arguments(args, file),
        fail_fast: args.fail_fast,
        retries: args.retries.into(),
        keep: args.keep,
        otlp: args.otlp.clone(),
        interrupts: interrupts.clone(),
        recording: Some(recording),
        listener: None,
    };
    interrupts.report_to(&reports);
    let Executed { index, not_recorded } = execute::execute(options, schedule).await?;

    let (written, not_written) = reports.write(&index);
    let options = SummaryOptions { page: terminal::stdout_page(), quiet, reports: written };
    let summary = summary(&index, &options);
    print::out(format_args!("{}\n", summary.trim_end()));
    let code = exit::of_run(gate(&index).verdict);
    let others = [reports.show_on_github(&index).err(), args.agent_log.add(&index, &reports.markdown()).err()];
    let others = others.into_iter().flatten();
    let failures: Vec<Failure> = not_recorded.into_iter().chain(not_written).chain(others).collect();
    failures.iter().for_each(|f| print::err(format_args!("{}\n", f.message)));
    // a wrong response that was observed stays a failure
    Ok(if failures.is_empty() || code == exit::FAILED { code } else { exit::NO_REPORT })
}

fn report_path(args: &args::Run, file: &files::PlanFile, schedule: &Schedule) -> PathBuf {
    let path = schedule
        .report
        .clone()
        .unwrap_or_else(|| format!("tests/reports/{}-report.md", schedule.plan.id.to_lowercase()));
    match &args.report_dir {
        Some(dir) => dir.join(Path::new(&path).file_name().unwrap_or(path.as_ref())),
        None => file.root.join(path),
    }
}
