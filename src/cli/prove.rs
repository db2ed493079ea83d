//! `prove`: mutation testing of plans. Re-evaluates a recorded run with mutated observations, runs
//! the plan against each defect of the sandbox, and writes one report about both.
use super::{
    args::{self, OutputArgs},
    environment::ChosenEnvironment,
    execute::{self, RunOptions},
    exit,
    failure::Failure,
    files,
    plans::{self, Draft},
    replay,
    signals::{self, Interrupts},
};
use crate::{
    event::EventSink,
    executor::Registry,
    executors,
    outcome::{Tier, Verdict},
    prove::{
        document::{self, Escape},
        matrix::Matrix,
        page,
        proof::Proof,
    },
    report::{
        console::progress::Console,
        file::write_atomically,
        markdown::escape::{self, Context},
    },
};
use std::io;
use tokio_util::sync::CancellationToken;

pub async fn command(args: Box<args::Prove>, output: OutputArgs) -> Result<u8, Failure> {
    let registry = executors::registry();
    if !args.run.is_empty() {
        // Re-evaluation creates nothing that needs undo, so Ctrl-C may end the process.
        let (file, proof) = replay::evaluate(&args, &args.run, &registry, output, &CancellationToken::new())?;
        return write(&args, &file, Some(&proof), None);
    }
    let interrupts = signals::listen().map_err(|e| Failure::signals(&e))?;
    let mut code = exit::SUCCESS;
    for file in files::plans(&args.plans)? {
        code = code.max(prove_plan(&args, &file, &registry, &interrupts, output).await?);
    }
    Ok(code)
}

async fn prove_plan(
    args: &args::Prove,
    file: &files::PlanFile,
    registry: &Registry,
    interrupts: &Interrupts,
    output: OutputArgs,
) -> Result<u8, Failure> {
    let draft = plans::read(file, registry);
    // Compiles without an environment first, so that an invalid plan starts no sandbox.
    draft.compile(registry, None, &args.execution.set, &|_| true, output.colour())?;
    #[cfg(feature = "sandbox")]
    let only_defects = !args.execution.sandbox.defect.is_empty();
    #[cfg(not(feature = "sandbox"))]
    let only_defects = false;
    let (mut proof, mut uses_sandbox) = (None, true);
    if !only_defects {
        let (run, is_sandbox) = record(args, file, &draft, registry, interrupts, output).await?;
        uses_sandbox = is_sandbox;
        if !output.quiet {
            anstream::eprintln!("re-evaluating the run with one observation mutated at a time");
        }
        let journal = execute::journal_path(&file.root, &run)?;
        let runs = [journal.to_string_lossy().into_owned()];
        proof = Some(replay::evaluate(args, &runs, registry, output, &interrupts.cancel)?.1);
    }
    let matrix = match uses_sandbox {
        true => matrix(args, file, &draft, registry, interrupts, output).await?,
        false => None,
    };
    write(args, file, proof.as_ref(), matrix.as_ref())
}

/// Executes and records one run. Returns its id, and whether it used the sandbox. Fails unless every case passed.
async fn record(
    args: &args::Prove,
    file: &files::PlanFile,
    draft: &Draft,
    registry: &Registry,
    interrupts: &Interrupts,
    output: OutputArgs,
) -> Result<(String, bool), Failure> {
    let colour = output.colour();
    let ChosenEnvironment { environment, sandbox } =
        ChosenEnvironment::choose(&args.execution, registry, draft.plan(), colour).await?;
    #[cfg(feature = "sandbox")]
    sandbox.iter().for_each(|sandbox| interrupts.remove_on_exit(sandbox.folder()));
    let is_sandbox = sandbox.is_some();
    let run = execute::new_run(&file.root);
    let id = run.id.clone();
    let result = match draft.compile(registry, Some(&environment), &args.execution.set, &|_| true, colour) {
        Ok(schedule) => {
            let options = RunOptions {
                run,
                selection: format!("all {} cases", schedule.cases.len()),
                gate: Tier::ALL.to_vec(),
                fail_fast: false,
                cancel: interrupts.cancel.clone(),
                kill: interrupts.kill.clone(),
            };
            let open_sinks = || {
                let journal = execute::open_journal(&file.root, &id)?;
                let console = Console::stderr(output.detail(), colour);
                let sinks: Vec<Box<dyn EventSink>> =
                    vec![Box::new(journal), Box::new(interrupts.pending.clone()), Box::new(console)];
                Ok(sinks)
            };
            execute::execute(options, schedule, open_sinks).await
        }
        Err(e) => Err(e),
    };
    if let Some(sandbox) = sandbox {
        sandbox.shutdown().await;
    }
    let index = result?;
    if index.cancelled {
        return Err(Failure::interrupted());
    }
    let not_passed = index.cases.iter().filter(|c| c.verdict != Verdict::Passed);
    let not_passed: Vec<String> = not_passed.map(|c| format!("`{}` is {}", c.outline.id, c.verdict)).collect();
    if not_passed.is_empty() {
        return Ok((id, is_sandbox));
    }
    Err(Failure {
        message: format!(
            "error: `prove` needs a run in which every case passes; in the run `{id}` {}\n\
             help: `tp-runner report {id}` shows why",
            not_passed.join(", ")
        ),
        code: exit::FAILED,
    })
}

#[cfg(feature = "sandbox")]
async fn matrix(
    args: &args::Prove,
    file: &files::PlanFile,
    draft: &Draft,
    registry: &Registry,
    interrupts: &Interrupts,
    output: OutputArgs,
) -> Result<Option<Matrix>, Failure> {
    let options = super::kill_matrix::MatrixOptions {
        draft,
        file,
        registry,
        sandbox: &args.execution.sandbox,
        set: &args.execution.set,
        jobs: usize::from(args.jobs),
        interrupts,
    };
    let on_row = |n: usize, total: usize, row: &crate::prove::matrix::Row| {
        if !output.quiet {
            anstream::eprintln!("[{n}/{total}] {}", row.line());
        }
    };
    super::kill_matrix::run(&options, &on_row).await.map(Some)
}

#[cfg(not(feature = "sandbox"))]
async fn matrix(
    _: &args::Prove,
    _: &files::PlanFile,
    _: &Draft,
    _: &Registry,
    _: &Interrupts,
    _: OutputArgs,
) -> Result<Option<Matrix>, Failure> {
    Ok(None)
}

/// Writes the full report, prints a summary, and returns the exit code: [`exit::FAILED`] if the proof or
/// the kill matrix does not hold.
fn write(
    args: &args::Prove,
    file: &files::PlanFile,
    proof: Option<&Proof>,
    matrix: Option<&Matrix>,
) -> Result<u8, Failure> {
    let path = match &args.report_dir {
        Some(dir) => dir.join("prove-report.md"),
        None => file.root.join("tests/reports/prove-report.md"),
    };
    let (code, words) =
        (|text: &str| escape::code(text, Context::Line), |text: &str| escape::plan_text(text, Context::Line));
    let escape = Escape { code: &code, words: &words };
    let content = |out: &mut dyn io::Write| {
        if let Some(proof) = proof {
            document::write(proof, &escape, out)?;
        }
        match matrix {
            Some(matrix) => out.write_all(matrix.markdown(&words).as_bytes()),
            None => Ok(()),
        }
    };
    write_atomically(&path, content).map_err(|e| Failure::not_written(&path, &e))?;
    if let Some(proof) = proof {
        anstream::print!("{}", page::page(proof));
    }
    if let Some(matrix) = matrix {
        anstream::print!("{}", matrix.page());
    }
    anstream::println!("report: {}", files::relative(&path).display());
    let holds = proof.is_none_or(Proof::holds) && matrix.is_none_or(Matrix::holds);
    Ok(if holds { exit::SUCCESS } else { exit::FAILED })
}
