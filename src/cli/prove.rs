//! `prove`: could this plan fail? A recorded run judged again with what it saw changed, the plan run against each defect of the
//! sandbox, and one page about both.
use super::{
    args::{self, Verbosity},
    evidence, exit,
    failure::Failure,
    files,
    perform::{self, Manner},
    place::Place,
    plans::{self, Draft},
    run::detail,
    signals::{self, Interrupts},
};
use crate::{
    event::EventSink,
    executor::Registry,
    executors,
    outcome::{Tier, Verdict},
    prove::{
        document::{self, Escape},
        evidence::Proof,
        matrix::Matrix,
        page,
    },
    report::{
        console::progress::Console,
        file::write_atomically,
        markdown::escape::{self, Context},
    },
};
use std::io;
use tokio_util::sync::CancellationToken;

pub async fn command(args: Box<args::Prove>, verbosity: Verbosity) -> Result<u8, Failure> {
    let registry = executors::registry();
    if !args.run.is_empty() {
        // nothing is made that would have to be taken back: Ctrl-C just ends it
        let (found, proof) = evidence::judge(&args, &args.run, &registry, verbosity, &CancellationToken::new())?;
        return write(&args, &found, Some(&proof), None);
    }
    let interrupts = signals::listen()
        .map_err(|e| Failure { message: format!("error: signals cannot be heard: {e}"), code: exit::UNREACHABLE })?;
    let mut code = exit::SUCCESS;
    for found in files::plans(&args.plans)? {
        code = code.max(one(&args, &found, &registry, &interrupts, verbosity).await?);
    }
    Ok(code)
}

async fn one(
    args: &args::Prove,
    found: &files::Found,
    registry: &Registry,
    interrupts: &Interrupts,
    verbosity: Verbosity,
) -> Result<u8, Failure> {
    let draft = plans::read(found, registry);
    // first without an environment: a bad plan starts no platform
    draft.compile(registry, None, &args.stage.set, &|_| true, verbosity.colour())?;
    #[cfg(feature = "sandbox")]
    let only_defects = !args.stage.parts.defect.is_empty();
    #[cfg(not(feature = "sandbox"))]
    let only_defects = false;
    let (mut proof, mut sandbox) = (None, true);
    if !only_defects {
        let (run, embedded) = record(args, found, &draft, registry, interrupts, verbosity).await?;
        sandbox = embedded;
        if !verbosity.quiet {
            anstream::eprintln!("judging again what it saw, with one thing changed at a time");
        }
        let journal = perform::journal_path(&found.root, &run)?;
        let runs = [journal.to_string_lossy().into_owned()];
        proof = Some(evidence::judge(args, &runs, registry, verbosity, &interrupts.cancel)?.1);
    }
    let matrix = match sandbox {
        true => matrix(args, found, &draft, registry, interrupts, verbosity).await?,
        false => None,
    };
    write(args, found, proof.as_ref(), matrix.as_ref())
}

/// One run, recorded: its id, and whether it was on the sandbox. One that is not green can prove nothing.
async fn record(
    args: &args::Prove,
    found: &files::Found,
    draft: &Draft,
    registry: &Registry,
    interrupts: &Interrupts,
    verbosity: Verbosity,
) -> Result<(String, bool), Failure> {
    let colour = verbosity.colour();
    let Place { environment, holder } = Place::choose(&args.stage, registry, draft.plan(), colour).await?;
    #[cfg(feature = "sandbox")]
    holder.iter().for_each(|platform| interrupts.keep(platform.folder()));
    let sandbox = holder.is_some();
    let run = perform::begin(&found.root);
    let id = run.id.clone();
    let result = match draft.compile(registry, Some(&environment), &args.stage.set, &|_| true, colour) {
        Ok(schedule) => {
            let manner = Manner {
                run,
                selection: format!("all {} cases", schedule.cases.len()),
                gate: Tier::ALL.to_vec(),
                fail_fast: false,
                cancel: interrupts.cancel.clone(),
                kill: interrupts.kill.clone(),
            };
            let open = || {
                let lines = perform::journal(&found.root, &id)?;
                let console = Console::stderr(detail(verbosity), colour);
                let sinks: Vec<Box<dyn EventSink>> =
                    vec![Box::new(lines), Box::new(interrupts.pending.clone()), Box::new(console)];
                Ok(sinks)
            };
            perform::perform(manner, schedule, open).await
        }
        Err(e) => Err(e),
    };
    if let Some(holder) = holder {
        holder.shutdown().await;
    }
    let index = result?;
    if index.cancelled {
        return Err(Failure::interrupted());
    }
    let red = index.cases.iter().filter(|c| c.verdict != Verdict::Passed);
    let red: Vec<String> = red.map(|c| format!("`{}` is {}", c.outline.id, c.verdict)).collect();
    if red.is_empty() {
        return Ok((id, sandbox));
    }
    Err(Failure {
        message: format!(
            "error: the run `{id}` is not green, so what it saw can prove nothing: {}\nhelp: `tp-runner report {id}` says why",
            red.join(", ")
        ),
        code: exit::FAILED,
    })
}

#[cfg(feature = "sandbox")]
async fn matrix(
    args: &args::Prove,
    found: &files::Found,
    draft: &Draft,
    registry: &Registry,
    interrupts: &Interrupts,
    verbosity: Verbosity,
) -> Result<Option<Matrix>, Failure> {
    let ask = super::matrix::Ask {
        draft,
        found,
        registry,
        parts: &args.stage.parts,
        set: &args.stage.set,
        jobs: usize::from(args.jobs),
        interrupts,
    };
    let told = |n: usize, total: usize, row: &crate::prove::matrix::Row| {
        if !verbosity.quiet {
            anstream::eprintln!("[{n}/{total}] {}", row.line());
        }
    };
    super::matrix::run(&ask, &told).await.map(Some)
}

#[cfg(not(feature = "sandbox"))]
async fn matrix(
    _: &args::Prove,
    _: &files::Found,
    _: &Draft,
    _: &Registry,
    _: &Interrupts,
    _: Verbosity,
) -> Result<Option<Matrix>, Failure> {
    Ok(None)
}

/// The page in full, and the short one on the terminal. The code says whether anything survived.
fn write(
    args: &args::Prove,
    found: &files::Found,
    proof: Option<&Proof>,
    matrix: Option<&Matrix>,
) -> Result<u8, Failure> {
    let path = match &args.report_dir {
        Some(dir) => dir.join("prove-report.md"),
        None => found.root.join("tests/reports/prove-report.md"),
    };
    let (code, words) =
        (|text: &str| escape::code(text, Context::Line), |text: &str| escape::plan_text(text, Context::Line));
    let escape = Escape { code: &code, words: &words };
    let whole = |out: &mut dyn io::Write| {
        if let Some(proof) = proof {
            document::write(proof, &escape, out)?;
        }
        match matrix {
            Some(matrix) => out.write_all(matrix.markdown(&words).as_bytes()),
            None => Ok(()),
        }
    };
    write_atomically(&path, whole).map_err(|e| evidence::unwritten(&path, &e))?;
    if let Some(proof) = proof {
        anstream::print!("{}", page::page(proof));
    }
    if let Some(matrix) = matrix {
        anstream::print!("{}", matrix.page());
    }
    anstream::println!("report: {}", files::shorten(&path).display());
    let holds = proof.is_none_or(Proof::holds) && matrix.is_none_or(Matrix::holds);
    Ok(if holds { exit::SUCCESS } else { exit::FAILED })
}
