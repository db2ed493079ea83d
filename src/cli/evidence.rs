//! `prove --run`: a recorded run, judged again with what it saw changed.
use super::{
    args::{self, Verbosity},
    exit,
    failure::Failure,
    files,
    plans::{self, Draft},
    report,
};
use crate::{
    engine::schedule::Schedule,
    executor::Registry,
    prove::{
        evidence::{self, Proof},
        guards::Guards,
    },
    replay::Record,
    report::{file::write_atomically, jsonl},
    value::Value,
    yaml,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// What judging the run again says of its plan. With `--accept` its guards are written down: of several runs what they all show, and
/// the proof is that of the last.
pub fn judge(
    args: &args::Prove,
    runs: &[String],
    registry: &Registry,
    verbosity: Verbosity,
    cancel: &CancellationToken,
) -> Result<(files::Found, Proof), Failure> {
    if runs.len() > 1 && !args.accept {
        return Err(Failure::usage("error: one run is judged at a time\nhelp: several `--run` go with `--accept`"));
    }
    let judged = runs.iter().map(|run| one(args, run, registry, verbosity, cancel));
    let mut judged = judged.collect::<Result<Vec<_>, _>>()?;
    let Some((found, file, proof)) = judged.pop() else {
        return Err(Failure::usage("error: no run is named"));
    };
    if let (true, Some(file)) = (args.accept, &file) {
        let guards = judged.iter().fold(proof.guards.clone(), |guards, (_, _, other)| guards.shared(&other.guards));
        let guards = guards.of_plan(&essence(&found));
        let path = beside(&found, file)?;
        write_atomically(&path, |out| out.write_all(guards.text().as_bytes())).map_err(|e| unwritten(&path, &e))?;
        anstream::eprintln!("{} guards: {}", guards.count(), files::shorten(&path).display());
    }
    Ok((found, proof))
}

/// The run's plan, the file of its guards if it names one, and the proof, compared with that file unless it is to be written.
fn one(
    args: &args::Prove,
    run: &str,
    registry: &Registry,
    verbosity: Verbosity,
    cancel: &CancellationToken,
) -> Result<(files::Found, Option<String>, Proof), Failure> {
    let path = report::find(run)?;
    let events =
        jsonl::read(&path).map_err(|e| Failure::usage(format!("error: `{}` cannot be read: {e}", path.display())))?;
    let record =
        Record::of(&events).ok_or_else(|| Failure::usage(format!("error: `{}` records no run", path.display())))?;
    drop(events);
    let found = plan(args, &record)?;
    let draft = plans::read(&found, registry);
    let schedule = compiled(args, &draft, &record, registry, verbosity)?;
    if schedule.plan.id != record.started.plan.id {
        let (plan, other) = (&schedule.plan.id, &record.started.plan.id);
        return Err(Failure::usage(format!("error: the run `{run}` is one of `{other}`, and the plan is `{plan}`")));
    }
    let file = draft.plan().and_then(|p| p.prove.guards.as_ref()).map(|g| g.text.clone());
    let held = match &file {
        Some(file) if !args.accept => held(&found, file)?,
        _ => None,
    };
    if args.accept && file.is_none() {
        return Err(Failure::usage(
            "error: the plan does not say where its guards are written down\nhelp: `prove: { guards: FILE }` in the plan",
        ));
    }
    let compared = held.as_ref().filter(|held| !held.are_of(&essence(&found)));
    let bar = progress(verbosity);
    let watch = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let proof = evidence::prove(Arc::new(schedule), Arc::new(record), compared, &watch);
    bar.finish_and_clear();
    match proof {
        Ok(proof) => Ok((found, file, proof)),
        Err(_) if cancel.is_cancelled() => Err(Failure::interrupted()),
        Err(e) => Err(Failure::usage(format!("error: {e}"))),
    }
}

/// On a terminal: how much of the run has been changed.
fn progress(verbosity: Verbosity) -> ProgressBar {
    let bar = match verbosity.quiet {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(0),
    };
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} observations  {elapsed}");
    style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("━╸ ")))
}

pub fn unwritten(path: &Path, e: &std::io::Error) -> Failure {
    Failure { message: format!("error: `{}` cannot be written: {e}", path.display()), code: exit::NO_REPORT }
}

/// The plan that is named; else the one that the run performed: its file, or what is built in under its id.
fn plan(args: &args::Prove, record: &Record) -> Result<files::Found, Failure> {
    let names = match &args.plans[..] {
        [] => {
            let plan = &record.started.plan;
            vec![if Path::new(&plan.file).is_file() { plan.file.clone() } else { plan.id.clone() }]
        }
        [one] => vec![one.clone()],
        _ => return Err(Failure::usage("error: `--run` is of one plan: name one, or none")),
    };
    let mut all = files::plans(&names)?;
    match all.len() {
        1 => Ok(all.remove(0)),
        n => Err(Failure::usage(format!("error: `--run` is of one plan, and `{}` has {n}", names[0]))),
    }
}

/// For the environment of the run: some of the plan's actions may be its own. Nothing is connected to.
fn compiled(
    args: &args::Prove,
    draft: &Draft,
    record: &Record,
    registry: &Registry,
    verbosity: Verbosity,
) -> Result<Schedule, Failure> {
    let then = &record.started.environment;
    let source = files::environment_file(args.stage.place.config.as_deref())?;
    let environment = match source {
        None => None,
        Some(source) => {
            let (environments, problems) = plans::read_environments(&source, registry);
            if problems.errors() > 0 {
                return Err(plans::bad(&problems, verbosity.colour()));
            }
            environments.and_then(|all| all.all.into_iter().find(|e| e.name == then.name))
        }
    };
    if environment.is_none() && !then.replaced.is_empty() {
        return Err(Failure::usage(format!(
            "error: in the run the environment `{}` did `{}` in its own way, and no environment file says how\nhelp: name it with `--config`",
            then.name,
            then.replaced.join("`, `")
        )));
    }
    let environment = environment.map(|e| crate::plan::Environment { protected: false, ..e });
    draft.compile(registry, environment.as_ref(), &args.stage.set, &|_| true, verbosity.colour())
}

/// What the plan guarded when that was last accepted; none where that was never.
fn held(found: &files::Found, file: &str) -> Result<Option<Guards>, Failure> {
    let (path, text) = match found.built_in {
        Some(built_in) => (PathBuf::from(file), Some(built_in.guards.to_string())),
        None => {
            let path = beside(found, file)?;
            match std::fs::read_to_string(&path) {
                Ok(text) => (path, Some(text)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Failure::usage(format!(
                        "error: there is no file `{}`, which `prove: guards` names\nhelp: `--accept` writes it",
                        path.display()
                    )));
                }
                Err(e) => {
                    return Err(Failure::usage(format!("error: `{}` cannot be read: {e}", path.display())));
                }
            }
        }
    };
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|e| Failure::usage(format!("error: `{}` says not what guards what: {e}", path.display())))
    };
    text.map(read).transpose()
}

/// The plan without its comments, its form and its `prove`: what it does and asks.
fn essence(found: &files::Found) -> String {
    match yaml::parse(&found.source).map(|node| node.to_value()) {
        Ok(Value::Map(map)) => {
            let mut map = (*map).clone();
            map.shift_remove("prove");
            Value::from(map).to_string()
        }
        _ => found.source.text.clone(),
    }
}

/// A file beside the plan.
fn beside(found: &files::Found, file: &str) -> Result<PathBuf, Failure> {
    if found.built_in.is_some() {
        return Err(Failure::usage("error: the plan is built in: there is no file beside it to write"));
    }
    let folder = Path::new(&found.source.name).parent().unwrap_or(Path::new(""));
    Ok(folder.join(file))
}
