//! The kill matrix: runs a plan against one sandbox per defect, several in parallel.
use super::{
    args::SandboxArgs,
    execute::{self, RunOptions},
    exit,
    failure::Failure,
    files,
    plans::Draft,
    print,
    prover::Prover,
    sandbox,
};
use crate::{
    address::Address,
    engine::schedule::Schedule,
    prove::matrix::{Matrix, Platform, Row, RunResult},
};
use anstream::adapter::strip_str;
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tp_runner_sandbox::{defect::Defect, variation::Variation};

/// Runs the plan against each selected defect: each case that the plan names for it, alone, so that no other case can
/// catch it. The rows have the order of the defect catalogue. Before them, all cases are run against the sandbox without
/// a defect and against each of its variations, and after them without a defect again. Prints each row as it finishes.
pub async fn run(prover: &Prover<'_>, file: &files::PlanFile, draft: &Draft<'_>) -> Result<Matrix, Failure> {
    let args = &prover.args.execution;
    let schedule = draft.compile_for_proof(None, &args.set, &|_| true)?;
    let platforms = platforms(&args.sandbox, &schedule)?;
    let (total, permits) = (platforms.len(), Permits::new(usize::from(prover.args.jobs)));
    let mut running: FuturesUnordered<_> = platforms
        .into_iter()
        .enumerate()
        .map(|(n, platform)| {
            let (schedule, permits) = (&schedule, &permits);
            async move { (n, row(prover, file, draft, schedule, platform, permits).await) }
        })
        .collect();
    let mut rows = vec![];
    while let Some((n, row)) = running.next().await {
        if !prover.output.quiet {
            print::err(format_args!("[{}/{total}] {}\n", rows.len() + 1, row.line()));
        }
        rows.push((n, row));
    }
    rows.sort_by_key(|(n, _)| *n);
    let sentences = schedule.outline.iter().flat_map(|c| &c.sentences);
    let sentences = sentences.map(|s| (s.address.clone(), s.text.clone())).collect();
    Ok(Matrix { rows: rows.into_iter().map(|(_, row)| row).collect(), sentences })
}

/// Limits the runs at the same time.
struct Permits {
    available: Semaphore,
    /// What a run of all cases takes: half, since its cases run side by side and have the same time limits.
    of_all_cases: u32,
}

impl Permits {
    fn new(jobs: usize) -> Self {
        let half = u32::try_from(jobs.div_ceil(2)).unwrap_or(1);
        Permits { available: Semaphore::new(jobs), of_all_cases: half }
    }
}

/// The platforms to run against, in order.
fn platforms(args: &SandboxArgs, schedule: &Schedule) -> Result<Vec<Platform>, Failure> {
    let is_proven = |name: &str| schedule.breaks.iter().any(|b| b.defect == name);
    let is_selected = |d: &Defect| match args.defect.as_slice() {
        [] => schedule.breaks.is_empty() || is_proven(d.name()),
        names => names.iter().any(|n| n == d.name()),
    };
    if let Some(b) = schedule.breaks.iter().find(|b| b.defect.parse::<Defect>().is_err()) {
        return Err(Failure::usage(format!(
            "error: unknown defect `{}` in `prove.defects`\nhelp: `--defect help` lists all names",
            b.defect
        )));
    }
    let variations = Variation::ALL.iter().filter(|_| args.defect.is_empty() && args.variation.is_empty());
    let variations = variations.map(|v| Platform::Variation(v.name().into()));
    let defects = Defect::ALL.iter().filter(|d| is_selected(d)).map(|d| Platform::Defect(d.name().into()));
    Ok([Platform::Reference].into_iter().chain(variations).chain(defects).chain([Platform::Reference]).collect())
}

/// Runs the plan against one platform.
async fn row(
    prover: &Prover<'_>,
    file: &files::PlanFile,
    draft: &Draft<'_>,
    schedule: &Schedule,
    platform: Platform,
    permits: &Permits,
) -> Row {
    let (about, breaks) = match &platform {
        Platform::Reference => ("no defect", vec![]),
        Platform::Variation(name) => (name.parse().map_or("", Variation::description), vec![]),
        Platform::Defect(name) => {
            let breaks = schedule.breaks.iter().find(|b| b.defect == *name);
            (name.parse().map_or("", Defect::description), breaks.map(|b| b.sentences.clone()).unwrap_or_default())
        }
    };
    let is_named = |id: &str| breaks.iter().any(|at: &Address| at.case() == id);
    let named: Vec<&str> = schedule.outline.iter().map(|c| c.id.as_str()).filter(|id| is_named(id)).collect();
    // all cases in one run, or each named one in a run of its own
    let runs: Vec<Option<&str>> = if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() };
    let runs = runs.into_iter().map(|case| {
        let platform = &platform;
        async move {
            let count = if case.is_some() { 1 } else { permits.of_all_cases };
            let _permit = permits.available.acquire_many(count).await;
            let started = Instant::now();
            let outcome = run_against(prover, file, draft, platform, case).await;
            (outcome, started.elapsed())
        }
    });
    let (mut outcome, mut took): (Result<RunResult, String>, _) = (Ok(RunResult::default()), Duration::ZERO);
    for (result, time) in join_all(runs).await {
        took += time;
        outcome = match (outcome, result) {
            (Ok(mut all), Ok(one)) => {
                all.add(one);
                Ok(all)
            }
            (Err(why), _) | (Ok(_), Err(why)) => Err(why),
        };
    }
    Row { about: about.to_owned(), platform, breaks, outcome, took }
}

/// Starts a sandbox and runs one case, or all cases.
async fn run_against(
    prover: &Prover<'_>,
    file: &files::PlanFile,
    draft: &Draft<'_>,
    platform: &Platform,
    case: Option<&str>,
) -> Result<RunResult, String> {
    let Prover { args, interrupts, .. } = prover;
    if interrupts.cancel.is_cancelled() {
        return Err("interrupted".into());
    }
    let given = &args.execution.sandbox;
    let args = match platform {
        Platform::Reference => SandboxArgs { defect: vec![], ..given.clone() },
        Platform::Variation(name) => {
            SandboxArgs { defect: vec![], variation: name.parse().into_iter().collect(), ..given.clone() }
        }
        Platform::Defect(name) => SandboxArgs { defect: vec![name.clone()], ..given.clone() },
    };
    let sandbox = match sandbox::Platform::start(&args, ([127, 0, 0, 1], 0).into()).await {
        Ok(sandbox) => sandbox,
        Err(e) => return Err(format!("cannot start the sandbox: {e}")),
    };
    interrupts.remove_on_exit(sandbox.folder());
    let outcome = run_on(prover, file, draft, &sandbox, case).await;
    sandbox.shutdown().await;
    outcome.map_err(|failure| strip_str(&failure.message).to_string())
}

async fn run_on(
    prover: &Prover<'_>,
    file: &files::PlanFile,
    draft: &Draft<'_>,
    sandbox: &sandbox::Platform,
    case: Option<&str>,
) -> Result<RunResult, Failure> {
    let environment = sandbox.environment(prover.registry)?;
    let is_selected = |id: &str| case.is_none_or(|case| case == id);
    let schedule =
        draft.compile_for_proof(Some(&environment), &prover.args.execution.set, &|c| is_selected(&c.id.text))?;
    let options = RunOptions::new(
        execute::new_run(&file.root),
        case.map_or("all cases".into(), |case| format!("case {case}")),
        prover.interrupts,
    );
    let index = execute::execute(options, schedule).await?.index;
    if index.cancelled {
        return Err(Failure { message: "interrupted".into(), code: exit::INTERRUPTED });
    }
    let cases: Vec<_> = index.cases.iter().filter(|c| is_selected(&c.outline.id)).collect();
    let sentences = cases.iter().flat_map(|c| &c.sentences);
    Ok(RunResult {
        statuses: sentences.map(|s| (s.outline.address.clone(), s.status)).collect(),
        cases: cases.iter().map(|c| (c.outline.id.clone(), c.verdict)).collect(),
    })
}
