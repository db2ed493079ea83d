//! `run`: from arguments to a report and an exit code.
use super::{
    args::{self, Verbosity},
    dry, exit,
    failure::Failure,
    files,
    perform::{self, Manner},
    place::Place,
    plans,
    signals::{self, Interrupts},
};
use crate::{
    engine::schedule::Schedule,
    executor::Registry,
    executors,
    outcome::Tier,
    report::{
        self,
        console::{
            progress::{Console, Detail},
            summary::{SummaryOptions, summary},
        },
        file::write_atomically,
        gate::gate,
    },
};
use std::path::{Path, PathBuf};

pub async fn command(args: Box<args::Run>, verbosity: Verbosity) -> Result<u8, Failure> {
    let registry = executors::registry();
    // before anything is made that would have to be taken back
    let interrupts = signals::listen()
        .map_err(|e| Failure { message: format!("error: signals cannot be heard: {e}"), code: exit::UNREACHABLE })?;
    let mut code = exit::SUCCESS;
    let mut selected = 0;
    for found in files::plans(&args.plans)? {
        let (chosen, this) = one(&args, verbosity, &registry, found, &interrupts).await?;
        selected += chosen;
        // a wrong answer outweighs not having been able to ask
        code = match (code, this) {
            (exit::FAILED, _) | (_, exit::FAILED) => exit::FAILED,
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
        return Ok((0, exit::SUCCESS));
    }
    if args.dry_run {
        dry::print(&checked);
        return Ok((chosen, exit::SUCCESS));
    }
    let Place { environment, holder } = Place::choose(&args.stage, registry, draft.plan(), colour).await?;
    #[cfg(feature = "sandbox")]
    if let Some(platform) = &holder {
        interrupts.keep(platform.folder());
    }
    let result = match draft.compile(registry, Some(&environment), &args.stage.set, &selected, colour) {
        Ok(schedule) => report(args, verbosity, &found, schedule, interrupts).await,
        Err(e) => Err(e),
    };
    if let Some(holder) = holder {
        holder.shutdown().await;
    }
    Ok((chosen, result?))
}

async fn report(
    args: &args::Run,
    verbosity: Verbosity,
    found: &files::Found,
    mut schedule: Schedule,
    interrupts: &Interrupts,
) -> Result<u8, Failure> {
    let colour = verbosity.colour();
    if let Some(jobs) = args.jobs {
        schedule.jobs = usize::from(jobs);
    }
    if let Some(seed) = args.shuffle {
        let seed = seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
        if !verbosity.quiet {
            anstream::eprintln!("cases begin in the order of `--shuffle={seed}`");
        }
        fastrand::Rng::with_seed(seed).shuffle(&mut schedule.cases);
    }
    let run = perform::begin(&found.root);
    let report_path = report_path(args, found, &schedule);
    let id = run.id.clone();
    let Interrupts { cancel, kill, pending, .. } = interrupts.clone();
    let console = Console::stderr(detail(verbosity), colour);
    let manner = Manner {
        run,
        selection: plans::selection_words(&args.selection, schedule.cases.len(), schedule.outline.len()),
        gate: if args.gate.is_empty() { Tier::ALL.to_vec() } else { args.gate.clone() },
        fail_fast: args.fail_fast,
        cancel,
        kill,
    };
    let index = perform::perform(manner, schedule, || {
        let lines = perform::journal(&found.root, &id)?;
        Ok(vec![Box::new(lines), Box::new(pending), Box::new(console)])
    })
    .await?;

    let written = write_atomically(&report_path, |out| report::markdown::write(&index, out));
    let shown = files::shorten(&report_path);
    let options = SummaryOptions { colour, width: None, reports: vec![shown.display().to_string()] };
    let summary = summary(&index, &options);
    anstream::println!("{}", summary.trim_end());
    if let Err(e) = written {
        return Err(Failure {
            message: format!("error: the report `{}` cannot be written: {e}", report_path.display()),
            code: exit::NO_REPORT,
        });
    }
    Ok(exit::of_run(gate(&index).verdict))
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

pub fn detail(v: Verbosity) -> Detail {
    match v {
        Verbosity { quiet: true, .. } => Detail::Quiet,
        Verbosity { verbose: true, .. } => Detail::Actions,
        _ => Detail::Cases,
    }
}
