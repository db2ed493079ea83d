//! `prove`: mutation testing of plans. Re-evaluates a recorded run with mutated observations, runs
//! the plan against each defect of the sandbox, and writes one report about both.
use super::{
    args::{self, OutputArgs},
    environment::ChosenEnvironment,
    execute::{self, Executed, RunOptions},
    exit,
    failure::Failure,
    files,
    plans::{self, Draft},
    print,
    prover::Prover,
    recording::Recording,
    replay,
    signals::{self, Interrupts},
};
use crate::{
    engine::schedule::Schedule,
    executors,
    file::write_atomically,
    outcome::Verdict,
    prove::{
        document::{self, Escape},
        matrix::Matrix,
        page,
        proof::Proof,
    },
    report::markdown::escape::{self, Context},
};
use std::io;

pub async fn command(args: Box<args::Prove>, output: OutputArgs) -> Result<u8, Failure> {
    let (args, registry) = (&*args, &executors::registry());
    if !args.run.is_empty() {
        // Re-evaluation creates nothing that needs undo, so Ctrl-C may end the process.
        let prover = Prover { args, output, registry, interrupts: &Interrupts::default() };
        let (file, proof) = replay::evaluate(&prover, &args.run)?;
        return write(args, &file, Some(&proof), None);
    }
    let prover = Prover { args, output, registry, interrupts: &signals::listen()? };
    let mut code = exit::SUCCESS;
    for file in files::plans(&args.plans)? {
        code = code.max(prove_plan(&prover, &file).await?);
    }
    Ok(code)
}

async fn prove_plan(prover: &Prover<'_>, file: &files::PlanFile) -> Result<u8, Failure> {
    let Prover { args, output, registry, .. } = prover;
    let draft = plans::read(file, &args.execution.environment, registry);
    // Compiles without an environment first, so that an invalid plan starts no sandbox.
    draft.compile(None, &args.execution.set, &|_| true)?;
    #[cfg(feature = "sandbox")]
    let only_defects = !args.execution.sandbox.defect.is_empty();
    #[cfg(not(feature = "sandbox"))]
    let only_defects = false;
    let (mut proof, mut uses_sandbox) = (None, true);
    if !only_defects {
        let run;
        (run, uses_sandbox) = record(prover, file, &draft).await?;
        if !output.quiet {
            print::err(format_args!("re-evaluating the run with one observation mutated at a time\n"));
        }
        proof = Some(replay::evaluate(prover, &[run])?.1);
    }
    #[cfg(feature = "sandbox")]
    let matrix = if uses_sandbox { Some(super::kill_matrix::run(prover, file, &draft).await?) } else { None };
    #[cfg(not(feature = "sandbox"))]
    let matrix = None.filter(|_| uses_sandbox);
    write(args, file, proof.as_ref(), matrix.as_ref())
}

/// Executes and records one run. Returns its id, and whether it used the sandbox. Fails unless every case passed.
async fn record(prover: &Prover<'_>, file: &files::PlanFile, draft: &Draft<'_>) -> Result<(String, bool), Failure> {
    let Prover { args, output, interrupts, .. } = prover;
    let chosen = ChosenEnvironment::choose(&args.execution, draft).await?;
    chosen.sandbox.iter().for_each(|sandbox| interrupts.remove_on_exit(sandbox.folder()));
    let is_sandbox = chosen.sandbox.is_some();
    let run = execute::new_run(&file.root);
    let id = run.id.clone();
    let recording = Recording::new(*output, file, draft, &chosen, &args.execution);
    let work = |schedule: Schedule| {
        let options = RunOptions {
            recording: Some(recording),
            ..RunOptions::new(run, format!("all {} cases", schedule.cases.len()), interrupts)
        };
        execute::execute(options, schedule)
    };
    let schedule = draft.compile_for_record(&chosen.environment, &args.execution.set);
    let Executed { index, not_recorded } = chosen.run_schedule(schedule, work).await?;
    if let Some(failure) = not_recorded {
        return Err(failure);
    }
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
        print::out(format_args!("{}", page::page(proof)));
    }
    if let Some(matrix) = matrix {
        print::out(format_args!("{}", matrix.page()));
    }
    print::out(format_args!("report: {}\n", files::relative(&path).display()));
    let holds = proof.is_none_or(Proof::holds) && matrix.is_none_or(Matrix::holds);
    Ok(if holds { exit::SUCCESS } else { exit::FAILED })
}
