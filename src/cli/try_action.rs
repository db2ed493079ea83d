//! `try`: performs one action and prints its output as YAML. Asserts nothing unless the action does, records nothing and
//! undoes nothing.
use super::{
    args::{self, OutputArgs},
    environment::ChosenEnvironment,
    execute::{self, Executed, RunOptions},
    exit,
    failure::Failure,
    plans, print, signals, yaml_text,
};
use crate::{
    address::Address,
    engine::schedule::Schedule,
    event::{Event, EventKind, EventSink, Evidence, EvidenceKind, SinkError},
    executors,
    outcome::Status,
    plan::Environment,
    report::{run_index::RunIndex, wording::duration},
    source::Source,
    value::Value,
    yaml,
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};

pub async fn command(args: args::Try, output: OutputArgs) -> Result<u8, Failure> {
    let (registry, execution) = (executors::registry(), args.execution());
    let interrupts = signals::listen()?;
    let source = action_source(&args.action);
    let draft = plans::of_action(&source, &registry);
    // An invalid action starts no sandbox.
    draft.compile(None, &execution.set, &|_| true)?;
    let chosen = ChosenEnvironment::choose(&execution, &draft).await?;
    refuse_protected(&chosen.environment)?;
    chosen.sandbox.iter().for_each(|sandbox| interrupts.remove_on_exit(sandbox.folder()));
    let root = std::env::current_dir().unwrap_or_default();
    let outputs = Outputs::default();
    let work = |schedule: Schedule| {
        let changes = schedule.cases.iter().flat_map(|c| &c.sentences).flat_map(|s| &s.actions).any(|a| a.changes());
        let options = RunOptions {
            keep: true,
            listener: Some(Box::new(outputs.clone())),
            ..RunOptions::new(execute::new_run(&root), "one action", &interrupts)
        };
        async move {
            let executed: Executed = execute::execute(options, schedule).await?;
            Ok((executed, changes))
        }
    };
    let (executed, changes) = chosen.run(&draft, &execution.set, &|_| true, work).await?;
    Ok(show(&outputs, &executed.index, changes, output))
}

/// The text of an action. The braces around several keys may be missing: `http: { … }, expect: { … }`.
fn action_source(text: &str) -> Arc<Source> {
    let plain = Arc::new(Source::new("the action", text));
    let braced = Arc::new(Source::new("the action", format!("{{ {text} }}")));
    if yaml::parse(&plain).is_err() && yaml::parse(&braced).is_ok() { braced } else { plain }
}

/// Nothing is undone, so nothing is changed in a protected environment.
fn refuse_protected(environment: &Environment) -> Result<(), Failure> {
    if !environment.protected {
        return Ok(());
    }
    let name = &environment.name;
    Err(Failure::usage(format!(
        "error: the environment `{name}` is protected, and `try` undoes nothing\n\
         help: use another environment, or `--allow-destructive {name}`"
    )))
}

/// How an action ended.
struct Ended {
    at: Address,
    status: Status,
    value: Option<Value>,
    reason: Option<String>,
    evidence: Vec<Evidence>,
    took: Duration,
}

/// Keeps how each action ended.
#[derive(Clone, Default)]
pub struct Outputs(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    ended: Vec<Ended>,
    /// The last attempt of an action that has not ended.
    attempts: HashMap<Address, (Option<Value>, Vec<Evidence>)>,
}

impl Outputs {
    /// How the action that ended last did: its status, its output, and why it did not pass.
    pub fn last(&self) -> Option<(Status, Option<Value>, Option<String>)> {
        let kept = self.0.lock();
        kept.ended.last().map(|one| (one.status, one.value.clone(), one.reason.clone()))
    }
}

impl EventSink for Outputs {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        let mut kept = self.0.lock();
        if let Some(attempt) = event.kind.attempt() {
            kept.attempts.insert(event.address.clone(), (attempt.value.clone(), attempt.evidence.clone()));
        }
        if let EventKind::ActionFinished { status, reason, took, .. } = &event.kind {
            let at = event.address.clone();
            let (value, evidence) = kept.attempts.remove(&at).unwrap_or_default();
            kept.ended.push(Ended { at, status: *status, value, reason: reason.clone(), evidence, took: *took });
        }
        Ok(())
    }
}

/// Prints the output of the action, or of each item of its `foreach`: to stdout what a pattern would have to match, to
/// stderr how it ended. Returns the exit code.
fn show(outputs: &Outputs, index: &RunIndex, changes: bool, output: OutputArgs) -> u8 {
    let kept = outputs.0.lock();
    let top = Address::new("try").child("steps").child(1).child("do");
    let is_top = |e: &&Ended| e.at.as_str().strip_prefix(top.as_str()).is_some_and(|rest| !rest[1..].contains('/'));
    let ended: Vec<&Ended> = kept.ended.iter().filter(is_top).collect();
    let mut code = exit::SUCCESS;
    for one in &ended {
        if ended.len() > 1 {
            print::out(format_args!("--- # {}\n", one.at.as_str().rsplit('#').next().unwrap_or_default()));
        }
        if let Some(value) = &one.value {
            print::out(format_args!("{}", yaml_text::block(value)));
        }
        code = exit::worse(code, code_of(one.status));
        if !output.quiet || one.status != Status::Passed {
            let requests = one.evidence.iter().filter(|e| e.kind == EvidenceKind::Request);
            for line in requests.filter_map(|e| e.text.lines().next()) {
                print::err(format_args!("{line}\n"));
            }
            let reason = one.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            print::err(format_args!("{} after {}{reason}\n", one.status, duration(one.took)));
        }
    }
    if ended.is_empty() {
        let reasons = index.cases.iter().filter_map(|c| c.reason.as_deref());
        let reason = reasons.chain(index.notes.iter().map(String::as_str)).next().unwrap_or("no action was performed");
        print::err(format_args!("error: {reason}\n"));
        code = exit::UNREACHABLE;
    }
    if changes && !output.quiet {
        print::err(format_args!("nothing was undone: what the action made is still there\n"));
    }
    code
}

fn code_of(status: Status) -> u8 {
    match status {
        Status::Failed => exit::FAILED,
        Status::Interrupted => exit::INTERRUPTED,
        Status::Errored | Status::NotReached => exit::UNREACHABLE,
        _ => exit::SUCCESS,
    }
}
