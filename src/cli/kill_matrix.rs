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
    sandbox::Platform,
};
use crate::{
    outcome::Tier,
    prove::matrix::{Matrix, Row, RunResult},
};
use anstream::adapter::strip_str;
use futures::{StreamExt, stream};
use std::time::Instant;
use tp_runner_sandbox::defect::Defect;

/// Runs the plan against each selected defect. The rows have the order of the defect catalogue,
/// preceded and followed by a run without a defect. Prints each row as it finishes.
pub async fn run(prover: &Prover<'_>, file: &files::PlanFile, draft: &Draft<'_>) -> Result<Matrix, Failure> {
    let schedule = draft.compile_for_proof(None, &prover.args.execution.set)?;
    let breaks = |name: &str| schedule.breaks.iter().find(|b| b.defect == name);
    let is_selected = |d: &Defect| match prover.args.execution.sandbox.defect.as_slice() {
        [] => schedule.breaks.is_empty() || breaks(d.name()).is_some(),
        names => names.iter().any(|n| n == d.name()),
    };
    if let Some(b) = schedule.breaks.iter().find(|b| b.defect.parse::<Defect>().is_err()) {
        return Err(Failure::usage(format!(
            "error: unknown defect `{}` in `prove.defects`\nhelp: `--defect help` lists all names",
            b.defect
        )));
    }
    let defects = Defect::ALL.iter().filter(|d| is_selected(d));
    let defects: Vec<Option<Defect>> = [None].into_iter().chain(defects.map(|d| Some(*d))).chain([None]).collect();
    let total = defects.len();
    let runs = defects.into_iter().enumerate().map(|(n, defect)| async move {
        let started = Instant::now();
        let outcome = run_with_defect(prover, file, draft, defect).await;
        let row = Row {
            defect: defect.map(|d| d.name().to_owned()),
            about: defect.map_or("no defect", Defect::description).to_owned(),
            breaks: vec![],
            outcome,
            took: started.elapsed(),
        };
        (n, row)
    });
    let mut rows = vec![];
    let mut running = stream::iter(runs).buffer_unordered(usize::from(prover.args.jobs));
    while let Some((n, mut row)) = running.next().await {
        row.breaks = row.defect.as_deref().and_then(breaks).map(|b| b.sentences.clone()).unwrap_or_default();
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

async fn run_with_defect(
    prover: &Prover<'_>,
    file: &files::PlanFile,
    draft: &Draft<'_>,
    defect: Option<Defect>,
) -> Result<RunResult, String> {
    let Prover { args, interrupts, .. } = prover;
    if interrupts.cancel.is_cancelled() {
        return Err("interrupted".into());
    }
    let defect = defect.iter().map(|d| d.name().to_owned()).collect();
    let sandbox = SandboxArgs { defect, ..args.execution.sandbox.clone() };
    let platform = match Platform::start(&sandbox, ([127, 0, 0, 1], 0).into()).await {
        Ok(platform) => platform,
        Err(e) => return Err(format!("cannot start the sandbox: {e}")),
    };
    interrupts.remove_on_exit(platform.folder());
    let outcome = run_on(prover, file, draft, &platform).await;
    platform.shutdown().await;
    outcome.map_err(|failure| strip_str(&failure.message).to_string())
}

async fn run_on(
    prover: &Prover<'_>,
    file: &files::PlanFile,
    draft: &Draft<'_>,
    platform: &Platform,
) -> Result<RunResult, Failure> {
    let environment = platform.environment(prover.registry)?;
    let schedule = draft.compile_for_proof(Some(&environment), &prover.args.execution.set)?;
    let options = RunOptions {
        run: execute::new_run(&file.root),
        selection: "all cases".into(),
        gate: Tier::ALL.to_vec(),
        fail_fast: false,
        interrupts: prover.interrupts.clone(),
        output: None,
    };
    let index = execute::execute(options, schedule).await?;
    if index.cancelled {
        return Err(Failure { message: "interrupted".into(), code: exit::INTERRUPTED });
    }
    let sentences = index.cases.iter().flat_map(|c| &c.sentences);
    Ok(RunResult {
        statuses: sentences.map(|s| (s.outline.address.clone(), s.status)).collect(),
        cases: index.cases.iter().map(|c| (c.outline.id.clone(), c.verdict)).collect(),
    })
}
