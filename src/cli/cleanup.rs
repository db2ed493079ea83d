//! `cleanup`: undoes what killed runs left behind, from the snapshot of each run.
use super::{
    args::{self, OutputArgs},
    environment::{ChosenEnvironment, SandboxHandle},
    exit,
    failure::Failure,
    files::IncludedFiles,
    plans, print, relays,
    runs::{self, State, UnfinishedRun},
    secrets::environment_scope,
    signals::{self, Interrupts},
    terminal,
};
use crate::{
    engine::{
        cleanup::Cleanup,
        context::RunContext,
        dispatch,
        live::LiveSource,
        open_undos::OpenUndo,
        results::Leftover,
        schedule::Schedule,
        scopes::{base_scope, run_scope},
    },
    event::{EventKind, RunStarted},
    executor::{Registry, RunInfo},
    executors,
    expr::Scope,
    journal::{RunFolder, lines::JsonLines, snapshot::Snapshot},
    plan::Environment,
    report::{index_builder::IndexBuilder, wording::count},
    secrets::Secrets,
    source::Source,
    value::{Map, Value},
};
use jiff::Timestamp;
use std::{collections::HashSet, path::Path, sync::Arc};

pub async fn command(args: args::Cleanup, output: OutputArgs) -> Result<u8, Failure> {
    let interrupts = signals::listen()?;
    let unfinished = selected(&args)?;
    if unfinished.is_empty() && args.runs.is_empty() {
        print::out(format_args!("nothing to clean up\n"));
    }
    let cleaner = Cleaner { args: &args, output, interrupts: &interrupts, registry: executors::registry() };
    let mut code = exit::SUCCESS;
    for run in unfinished {
        code = exit::worse(code, cleaner.clean_up(run).await?);
        if interrupts.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
    }
    Ok(code)
}

/// The runs that were named, or all that are unfinished; each is locked.
fn selected(args: &args::Cleanup) -> Result<Vec<UnfinishedRun>, Failure> {
    let mut found = vec![];
    let folders = match &args.runs[..] {
        [] => runs::found().iter().flat_map(|runs| RunFolder::all(runs)).collect(),
        named => named.iter().map(|run| runs::find(run)).collect::<Result<Vec<_>, _>>()?,
    };
    for folder in folders {
        let (id, named) = (folder.id(), !args.runs.is_empty());
        match runs::state(&folder)? {
            State::Unfinished(lock) => found.push(runs::unfinished(folder, lock)?),
            State::Elsewhere(lock) if args.force => found.push(runs::unfinished(folder, lock)?),
            State::Elsewhere(_) => {
                let message = format!(
                    "the run `{id}` was recorded on another host, or its folder was copied: whether it still runs is not known\n\
                     help: if it does not, use `tp-runner cleanup {id} --force`"
                );
                match named {
                    true => return Err(Failure::usage(format!("error: {message}"))),
                    false => print::err(format_args!("note: {message}\n")),
                }
            }
            State::Running if named => {
                let pid = folder.owner().map(|o| format!(" (process {})", o.pid)).unwrap_or_default();
                return Err(Failure::usage(format!("error: the run `{id}` is still running{pid}")));
            }
            State::Old if named => {
                return Err(Failure::usage(format!(
                    "error: an older tp-runner recorded the run `{id}`, without what is needed to clean it up"
                )));
            }
            State::Finished if named => print::out(format_args!("run {id}: nothing is left\n")),
            State::Running | State::Old | State::Finished => {}
        }
    }
    Ok(found)
}

/// Before a run in the chosen environment: heals the faults that killed runs left in force, and says what else they left; with
/// `cleanup_first` undoes that too. Fails if something must be cleaned up by hand first.
pub async fn before_run(
    root: &Path,
    chosen: &ChosenEnvironment,
    cleanup_first: bool,
    output: OutputArgs,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    let args = args::Cleanup::default();
    let source = chosen.file.as_ref().map(|file| &*file.source);
    for folder in RunFolder::all(&runs::folder(root, source)) {
        let State::Unfinished(lock) = runs::state(&folder)? else { continue };
        let Some(snapshot) = folder.snapshot().map_err(|e| Failure::not_read(folder.path(), e))? else { continue };
        if snapshot.environment.name != chosen.environment.name {
            continue;
        }
        let run = runs::unfinished(folder, lock)?;
        let (id, open) = (run.folder.id(), run.open.len());
        let which = if run.folder.result().is_none() { "killed run" } else { "run" };
        if open == 0 || snapshot.ended_with_its_process() {
            finish(&run, 0)?;
            continue;
        }
        let by_hand = |why: String| Failure::unreachable(format!("error: {why}\nhelp: `tp-runner cleanup {id}`"));
        let cleaner = Cleaner { args: &args, output, interrupts, registry: executors::registry() };
        if cleanup_first {
            if cleaner.clean_up(run).await? != exit::SUCCESS {
                return Err(by_hand(format!("the run `{id}` could not be cleaned up")));
            }
            continue;
        }
        let faults: Vec<OpenUndo> = run.open.iter().filter(|undo| undo.heals.is_some()).cloned().collect();
        let names = faults.iter().filter_map(|f| f.heals.clone()).collect::<Vec<_>>().join("`, `");
        if !faults.is_empty() {
            let left = cleaner.undo(&run, &snapshot, &faults).await?;
            if let Some(left) = left.first() {
                return Err(by_hand(format!("the {which} `{id}` left `{names}` broken: {}", left.text)));
            }
            print::err(format_args!("healed `{names}`, which the {which} `{id}` left broken\n"));
        }
        if open > faults.len() {
            print::err(format_args!(
                "note: the {which} `{id}` left {} open: `tp-runner cleanup {id}` undoes them\n",
                count(open - faults.len(), "undo action")
            ));
        }
    }
    Ok(())
}

struct Cleaner<'a> {
    args: &'a args::Cleanup,
    output: OutputArgs,
    interrupts: &'a Interrupts,
    registry: Registry,
}

impl Cleaner<'_> {
    /// Cleans up one run, and says what it does. Returns the exit code.
    async fn clean_up(&self, run: UnfinishedRun) -> Result<u8, Failure> {
        let id = run.folder.id();
        let snapshot = run.folder.snapshot().map_err(|e| Failure::not_read(run.folder.path(), e))?;
        let Some(snapshot) = snapshot else {
            // killed before it made anything
            finish(&run, 0)?;
            print::out(format_args!("run {id}: it ended before its first action; nothing is left\n"));
            return Ok(exit::SUCCESS);
        };
        print::out(format_args!("{}", described(&run, &snapshot)));
        if self.args.dry_run {
            return Ok(exit::SUCCESS);
        }
        if self.args.forget || run.open.is_empty() || snapshot.ended_with_its_process() {
            finish(&run, 0)?;
            let why = match (self.args.forget, run.open.is_empty()) {
                (true, _) => "forgotten",
                (_, true) => "nothing is left",
                _ => "abandoned: its sandbox ended with it",
            };
            print::out(format_args!("run {id}: {why}\n"));
            return Ok(exit::SUCCESS);
        }
        let left = self.undo(&run, &snapshot, &run.open).await?;
        finish(&run, left.len())?;
        if left.is_empty() {
            print::out(format_args!("run {id}: cleaned up, nothing is left\n"));
            return Ok(exit::SUCCESS);
        }
        print::out(format_args!("run {id}: {} left:\n", count(left.len(), "thing")));
        left.iter().for_each(|l| print::out(format_args!("  {}\n", l.text)));
        Ok(if left.iter().any(|l| l.by_product) { exit::FAILED } else { exit::UNREACHABLE })
    }

    /// Undoes what is open, and records it. Returns what is left.
    async fn undo(
        &self,
        run: &UnfinishedRun,
        snapshot: &Snapshot,
        open: &[OpenUndo],
    ) -> Result<Vec<Leftover>, Failure> {
        let (environment, sandbox) = self.environment(run, snapshot).await?;
        let result = self.undo_in(run, snapshot, &environment, open).await;
        if let Some(sandbox) = sandbox {
            sandbox.shutdown().await;
        }
        result
    }

    async fn undo_in(
        &self,
        run: &UnfinishedRun,
        snapshot: &Snapshot,
        environment: &Environment,
        open: &[OpenUndo],
    ) -> Result<Vec<Leftover>, Failure> {
        let source = Arc::new(Source::new(snapshot.plan.name.clone(), snapshot.plan.text.clone()));
        let draft = plans::parse(&source, IncludedFiles::recorded(snapshot.files.clone()), &self.registry);
        let ran = cases(run);
        let mut schedule =
            draft.compile(Some(environment), &snapshot.set, &|case| ran.is_empty() || ran.contains(&*case.id.text))?;
        let info = RunInfo { id: run.folder.id(), started: started(run), dir: snapshot.root.clone(), trace: None };
        let secrets = Arc::new(Secrets::default());
        let scope = environment_scope(&info, &secrets, &schedule).await?;
        let base = recorded_base(run, &info, &secrets, &schedule, &scope)?;
        let live = Arc::new(LiveSource::new(info.clone(), secrets.clone(), scope, &schedule.targets));
        let fault_switches = relays::by_name(relays::open(&schedule, &info.dir).await?);

        let path = run.folder.events();
        let lines = JsonLines::open(&path).map_err(|e| Failure::not_written(&path, &e))?;
        let console = terminal::console(self.output, IndexBuilder::default());
        let sinks = self.interrupts.sinks(vec![Box::new(lines), Box::new(console)], open);
        let last = run.events.last().map_or(0, |event| event.seq);
        let (events, thread) = dispatch::start_after(last, secrets.clone(), sinks, self.interrupts.cancel.clone());
        let context = RunContext {
            cancel: self.interrupts.cancel.clone(),
            // the first signal stops it: it can be repeated
            kill: self.interrupts.cancel.clone(),
            fault_switches,
            live: Some(live.clone()),
            ..RunContext::new(info, secrets.clone(), events.clone()).with_schedule(&mut schedule)
        };
        let open: Vec<OpenUndo> = open.iter().map(|undo| revealed(undo, &secrets)).collect();
        let cleanup = Cleanup { schedule: &schedule, context: &context, source: &*live, base: &base };
        let left = cleanup.clean_up(open).await;
        live.close().await;
        drop((context, events));
        let recorded = tokio::task::spawn_blocking(move || thread.join()).await;
        if let Ok(Ok(Err(e))) = recorded {
            return Err(Failure { message: format!("error: cannot record the cleanup: {e}"), code: exit::NO_REPORT });
        }
        let masked = |left: Leftover| Leftover { text: secrets.masked(left.text), ..left };
        match left {
            Ok(left) => Ok(left.into_iter().map(masked).collect()),
            Err(why) => Err(Failure::unreachable(secrets.masked(format!(
                "error: the run `{}` cannot be cleaned up: the setup of the environment `{}` failed: {why}\n\
                 help: if its addresses or credentials have changed, use `--config FILE`",
                run.folder.id(),
                environment.name
            )))),
        }
    }

    /// The environment of the run, as it was unless `--config` names another file; and the sandbox, started again over what it
    /// kept outside of its process.
    async fn environment(
        &self,
        run: &UnfinishedRun,
        snapshot: &Snapshot,
    ) -> Result<(Environment, Option<SandboxHandle>), Failure> {
        let recorded = &snapshot.environment;
        let name = self.args.env.as_ref().unwrap_or(&recorded.name);
        let file = match (&self.args.config, &recorded.file) {
            (Some(config), _) => plans::environment_file(Some(config), &self.registry)?,
            (None, Some(file)) if file.masked => {
                let changed = || {
                    Failure::usage(format!(
                        "error: the environment file `{}` has changed since the run `{}`, and its secrets are not recorded\n\
                         help: name the file to use with `--config FILE`",
                        file.path.display(),
                        run.folder.id()
                    ))
                };
                let modified = std::fs::metadata(&file.path).and_then(|m| m.modified()).map_err(|_| changed())?;
                if modified > std::time::SystemTime::from(started(run)) {
                    return Err(changed());
                }
                plans::environment_file(Some(&file.path), &self.registry)?
            }
            (None, Some(file)) => {
                let source = Arc::new(Source::new(file.content.name.clone(), file.content.text.clone()));
                plans::parse_environments(source, IncludedFiles::recorded(file.files.clone()), &self.registry)?
            }
            (None, None) => return self.restarted_sandbox(snapshot).await,
        };
        let environments = file.map(|file| file.environments.all).unwrap_or_default();
        let known: Vec<&str> = environments.iter().map(|e| e.name.as_str()).collect();
        let unknown = Failure::unknown_environment(name, &known);
        let environment = environments.into_iter().find(|e| e.name == *name).ok_or(unknown)?;
        Ok((Environment { protected: recorded.protected, allow: recorded.allow.clone(), ..environment }, None))
    }

    #[cfg(feature = "sandbox")]
    async fn restarted_sandbox(&self, snapshot: &Snapshot) -> Result<(Environment, Option<SandboxHandle>), Failure> {
        let kept = snapshot.environment.sandbox.clone().unwrap_or_default();
        if kept.database.as_ref().is_some_and(|url| url.contains('‹')) {
            return Err(Failure::usage(
                "error: the sandbox of the run used a database with a password, which is not recorded\n\
                 help: start it with `tp-runner sandbox --database URL --env-file FILE`, and use `--config FILE --env standing`",
            ));
        }
        let parts =
            args::SandboxArgs { database: kept.database, kubeconfig: kept.kubeconfig, ..args::SandboxArgs::default() };
        let sandbox = SandboxHandle::start(&parts, ([127, 0, 0, 1], 0).into())
            .await
            .map_err(|e| Failure::unreachable(format!("error: cannot start the sandbox again: {e}")))?;
        self.interrupts.remove_on_exit(sandbox.folder());
        let environment = sandbox.environment(&self.registry)?;
        Ok((Environment { allow: snapshot.environment.allow.clone(), ..environment }, Some(sandbox)))
    }

    #[cfg(not(feature = "sandbox"))]
    async fn restarted_sandbox(&self, _: &Snapshot) -> Result<(Environment, Option<SandboxHandle>), Failure> {
        Err(Failure::usage("error: this tp-runner was built without the sandbox"))
    }
}

/// A run and what it left, a line each.
fn described(run: &UnfinishedRun, snapshot: &Snapshot) -> String {
    let last = run.events.last().map(|e| e.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let left = count(run.open.len(), "undo action");
    let (id, environment) = (run.folder.id(), &snapshot.environment.name);
    let mut text = format!("run {id} of {} in `{environment}` ended at {last}; {left} open\n", snapshot.plan.name);
    run.open.iter().for_each(|undo| text.push_str(&format!("  {}: {}\n", undo.at.case(), undo.summary)));
    text
}

/// What the run said when it started. `None` if it was killed before.
fn start(run: &UnfinishedRun) -> Option<&RunStarted> {
    run.events.iter().find_map(|e| if let EventKind::RunStarted(start) = &e.kind { Some(&**start) } else { None })
}

/// The ids of the cases that the run selected.
fn cases(run: &UnfinishedRun) -> HashSet<&str> {
    start(run).into_iter().flat_map(|start| &start.cases).filter(|c| c.selected).map(|c| c.id.as_str()).collect()
}

fn started(run: &UnfinishedRun) -> Timestamp {
    start(run).map_or_else(Timestamp::now, |start| start.started)
}

/// `run` and the plan's variables with the values of the run. Values that the run masked, or had not bound yet, are those of today.
fn recorded_base(
    run: &UnfinishedRun,
    info: &RunInfo,
    secrets: &Arc<Secrets>,
    schedule: &Schedule,
    environment: &Scope,
) -> Result<Scope, Failure> {
    let today = base_scope(info, secrets, &schedule.vars, environment)
        .map_err(|e| Failure::usage(secrets.masked(format!("error: {e}"))))?;
    let bound = run
        .events
        .iter()
        .find_map(|e| if let EventKind::NamesBound { vars, .. } = &e.kind { Some(vars) } else { None });
    let value = |name: &String| match bound.and_then(|vars| vars.get(name)) {
        Some(value) if !value.to_string().contains('‹') => Some(value.clone()),
        _ => today.get(name).cloned(),
    };
    let named = schedule.vars.iter().filter_map(|(name, _)| Some((name, value(name)?)));
    Ok(named.fold(run_scope(info, secrets), |scope, (name, value)| scope.with(name, value)))
}

/// An undo with the secrets that its names held. What was masked and is not known today cannot be used.
fn revealed(undo: &OpenUndo, secrets: &Secrets) -> OpenUndo {
    let mut undo = undo.clone();
    if let Some(names) = undo.names.map_text("", &|_, text| secrets.revealed(text)) {
        undo.names = names;
    }
    undo.names = without_tokens(&undo.names);
    undo
}

/// A value whose masked texts are unset: no request may be sent with the token of a secret in place of its value.
fn without_tokens(value: &Value) -> Value {
    match value {
        Value::Text(text) if has_token(text) => Value::unset("it was masked when it was recorded, as a secret"),
        Value::List(items) => Value::list(items.iter().map(without_tokens).collect::<Vec<_>>()),
        Value::Map(entries) => {
            let new = entries.iter().map(|(key, value)| (key.clone(), without_tokens(value))).collect::<Map>();
            Value::from(new.any_case(entries.is_any_case()))
        }
        Value::Partial(p) => Value::partial(without_tokens(&p.value), &p.reason),
        other => other.clone(),
    }
}

fn has_token(text: &str) -> bool {
    text.split('‹').skip(1).any(|rest| rest.contains('›'))
}

/// Says in the folder that the run is finished, if nothing is left.
fn finish(run: &UnfinishedRun, left: usize) -> Result<(), Failure> {
    let index = IndexBuilder::build(&run.events);
    let ended = run.events.last().map_or_else(Timestamp::now, |e| e.at);
    runs::write_result(&run.folder, &index, ended, left)
}
