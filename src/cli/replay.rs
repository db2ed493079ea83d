//! `prove --run`: re-evaluates a recorded run with mutated observations.
use super::{
    args::{self, OutputArgs},
    failure::Failure,
    files,
    plans::{self, Draft},
    print,
    prover::Prover,
    runs::{find_journal, read_journal},
};
use crate::{
    access::Allowed,
    engine::schedule::Schedule,
    executor::Registry,
    file::write_atomically,
    plan::Environment,
    prove::{baseline::Baseline, evidence::prove_run, proof::Proof},
    replay::Record,
    value::Value,
    yaml,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Re-evaluates recorded runs; returns the plan and the proof of the last one. With `--accept` writes the
/// assertion baseline: the intersection over all runs.
pub fn evaluate(prover: &Prover<'_>, runs: &[String]) -> Result<(files::PlanFile, Proof), Failure> {
    let accept = prover.args.accept;
    if runs.len() > 1 && !accept {
        return Err(Failure::usage("error: expected one `--run`\nhelp: several `--run` need `--accept`"));
    }
    let evaluated = runs.iter().map(|run| evaluate_run(prover, run));
    let mut evaluated = evaluated.collect::<Result<Vec<_>, _>>()?;
    let Some((file, baseline, proof)) = evaluated.pop() else {
        return Err(Failure::usage("error: expected a run"));
    };
    if let (true, Some(baseline)) = (accept, &baseline) {
        let path = path_beside(&file, baseline)?;
        let others = evaluated.iter().map(|(_, _, other)| &other.baseline);
        let baseline = others.fold(proof.baseline.clone(), |baseline, other| baseline.intersection(other));
        let baseline = baseline.for_plan(&plan_content(&file));
        write_atomically(&path, |out| out.write_all(baseline.to_json().as_bytes()))
            .map_err(|e| Failure::not_written(&path, &e))?;
        print::err(format_args!("baseline with {} entries: {}\n", baseline.count(), files::relative(&path).display()));
    }
    Ok((file, proof))
}

/// Returns the plan of the run, the file name of its baseline if it has one, and the proof; without
/// `--accept` the proof is compared with the baseline.
fn evaluate_run(prover: &Prover<'_>, run: &str) -> Result<(files::PlanFile, Option<String>, Proof), Failure> {
    let Prover { args, output, registry, interrupts } = prover;
    let cancel = &interrupts.cancel;
    let path = find_journal(run)?;
    let events = read_journal(&path)?;
    let record = Record::of(&events)
        .ok_or_else(|| Failure::usage(format!("error: `{}` does not contain a run", path.display())))?;
    drop(events);
    let file = plan_of_run(&args.plans, &record, "--run")?;
    let draft = plans::read(&file, &args.execution.environment, registry);
    let schedule = compile(args, &draft, &record)?;
    if schedule.plan.id != record.started.plan.id {
        let (plan, other) = (&schedule.plan.id, &record.started.plan.id);
        return Err(Failure::usage(format!("error: the run `{run}` is of the plan `{other}`, not of `{plan}`")));
    }
    let baseline = draft.plan.as_ref().and_then(|p| p.prove.guards.as_ref()).map(|g| g.text.clone());
    let accepted = match &baseline {
        Some(name) if !args.accept => Some(read_baseline(&file, name)?),
        _ => None,
    };
    if args.accept && baseline.is_none() {
        return Err(Failure::usage(
            "error: the plan does not name a file for its assertion baseline\n\
             help: add `prove: { guards: FILE }` to the plan",
        ));
    }
    let compared = accepted.as_ref().filter(|baseline| !baseline.is_for_plan(&plan_content(&file)));
    let bar = progress_bar(*output);
    let on_progress = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let proof = prove_run(Arc::new(schedule), Arc::new(record), compared, &on_progress);
    bar.finish_and_clear();
    match proof {
        Ok(proof) => Ok((file, baseline, proof)),
        Err(_) if cancel.is_cancelled() => Err(Failure::interrupted()),
        Err(e) => Err(Failure::usage(format!("error: {e}"))),
    }
}

fn progress_bar(output: OutputArgs) -> ProgressBar {
    let bar = if output.quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} observations  {elapsed}");
    style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("━╸ ")))
}

/// The plan given as an argument, else the plan of the run: its file, or the built-in plan with its id.
/// `option` named the run.
pub fn plan_of_run(plans: &[String], record: &Record, option: &str) -> Result<files::PlanFile, Failure> {
    let names = match plans {
        [] => {
            let plan = &record.started.plan;
            vec![if Path::new(&plan.file).is_file() { plan.file.clone() } else { plan.id.clone() }]
        }
        [name] => vec![name.clone()],
        names => {
            return Err(Failure::usage(format!(
                "error: expected at most one plan with `{option}`, found {}",
                names.len()
            )));
        }
    };
    let mut all = files::plans(&names)?;
    match all.len() {
        1 => Ok(all.remove(0)),
        n => Err(Failure::usage(format!("error: expected one plan with `{option}`, found {n} in `{}`", names[0]))),
    }
}

/// Compiles the plan for the environment of the run, which may replace actions. Uses no network.
fn compile(args: &args::Prove, draft: &Draft<'_>, record: &Record) -> Result<Schedule, Failure> {
    let environment = environment_of_run(&args.execution, draft.registry, record)?;
    draft.compile(environment.as_ref(), &args.execution.set, &|_| true)
}

/// The environment of a run, in which everything is allowed: nothing will be performed. `None` if no file defines it.
pub fn environment_of_run(
    args: &args::ExecutionArgs,
    registry: &Registry,
    record: &Record,
) -> Result<Option<Environment>, Failure> {
    let recorded = &record.started.environment;
    let environments = plans::environments(args.environment.config.as_deref(), registry)?;
    let environment = environments.and_then(|all| all.all.into_iter().find(|e| e.name == recorded.name));
    if environment.is_none() && !recorded.replaced.is_empty() {
        return Err(Failure::usage(format!(
            "error: the environment `{}` of the run replaces `{}`, and no environment file defines it\n\
             help: use `--config FILE`",
            recorded.name,
            recorded.replaced.join("`, `")
        )));
    }
    Ok(environment.map(|e| Environment { protected: false, allow: Allowed::everything(), ..e }))
}

/// The accepted assertion baseline of a plan.
fn read_baseline(file: &files::PlanFile, name: &str) -> Result<Baseline, Failure> {
    let (path, text) = match file.built_in {
        Some(built_in) => (PathBuf::from(name), built_in.guards.to_string()),
        None => {
            let path = path_beside(file, name)?;
            let text = crate::file::read_text(&path).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => Failure::usage(format!(
                    "error: file not found: `{}`, named by `prove.guards`\nhelp: `--accept` writes it",
                    path.display()
                )),
                _ => Failure::not_read(&path, e),
            })?;
            (path, text)
        }
    };
    serde_json::from_str(&text)
        .map_err(|e| Failure::usage(format!("error: `{}` is not an assertion baseline: {e}", path.display())))
}

/// The content that a baseline is accepted for: the plan without comments, layout and `prove`.
fn plan_content(file: &files::PlanFile) -> String {
    match yaml::parse(&file.source).map(|node| node.to_value()) {
        Ok(Value::Map(map)) => {
            let mut map = (*map).clone();
            map.shift_remove("prove");
            Value::from(map).to_string()
        }
        _ => file.source.text.clone(),
    }
}

/// The path of a file in the plan's folder. Fails for a built-in plan.
fn path_beside(file: &files::PlanFile, name: &str) -> Result<PathBuf, Failure> {
    if file.built_in.is_some() {
        return Err(Failure::usage("error: cannot write a baseline for a built-in plan: it has no folder"));
    }
    let folder = Path::new(&file.source.name).parent().unwrap_or(Path::new(""));
    Ok(folder.join(name))
}
