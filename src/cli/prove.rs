//! `prove`: could this plan fail? Runs it against every defect of the sandbox and writes one page.
use super::{
    Failure,
    args::{self, Verbosity},
    evidence, exit, files, matrix, plans, signals,
};
use crate::{address::Address, executors, prove, report::file::write_whole};

pub async fn command(args: Box<args::Prove>, verbosity: Verbosity) -> Result<u8, Failure> {
    let registry = executors::registry();
    if let Some(run) = &args.run {
        return evidence::command(&args, run, &registry, verbosity);
    }
    let interrupts = signals::listen()
        .map_err(|e| Failure { message: format!("error: signals cannot be heard: {e}"), code: exit::COULD_NOT_ASK })?;
    let mut code = exit::GREEN;
    for found in files::plans(&args.plans)? {
        let draft = plans::read(&found, &registry);
        let schedule = draft.compile_for_proof(&registry, None, &args.stage.set)?;
        let ask = matrix::Ask {
            draft: &draft,
            found: &found,
            registry: &registry,
            parts: &args.stage.parts,
            set: &args.stage.set,
            jobs: usize::from(args.jobs),
            interrupts: &interrupts,
        };
        let told = |n: usize, total: usize, row: &prove::matrix::Row| {
            if !verbosity.quiet {
                anstream::eprintln!("[{n}/{total}] {}", row.line());
            }
        };
        let rows = matrix::run(&ask, &told).await?;
        let words = |at: &Address| {
            let mut all = schedule.outline.iter().flat_map(|c| &c.sentences);
            let text = all.find(|s| s.address == *at).map(|s| s.text.as_str()).unwrap_or_default();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let page = prove::matrix::markdown(&rows, &words);
        let path = match &args.report_dir {
            Some(dir) => dir.join("prove-report.md"),
            None => found.root.join("tests/reports/prove-report.md"),
        };
        write_whole(&path, |out| out.write_all(page.as_bytes())).map_err(|e| Failure {
            message: format!("error: the report `{}` cannot be written: {e}", path.display()),
            code: exit::NO_REPORT,
        })?;
        let lost = rows.iter().filter(|r| !r.holds()).collect::<Vec<_>>();
        for row in &lost {
            anstream::println!("{}", row.line());
        }
        anstream::println!("{} of {} as it must be", rows.len() - lost.len(), rows.len());
        if !lost.is_empty() {
            code = exit::RED;
        }
    }
    Ok(code)
}
