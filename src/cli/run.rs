//! `run`: from arguments to a report and an exit code.
use super::{
    Failure,
    args::{self, Verbosity},
    exit, files, plans,
    signals::{self, Interrupts},
};
use crate::{
    engine::{
        dispatch,
        looks::Live,
        run::{self, World, base_scope, run_scope},
        schedule::{Fault, Schedule},
    },
    event::{EnvironmentOutline, EventSink, RunStarted},
    executor::{Link, Registry, RunContext, StepError},
    executors,
    expr::Scope,
    outcome::Tier,
    plan::{Environment, Plan},
    relay::Relay,
    report::{
        self,
        console::{Console, Detail, Look},
        file::write_whole,
        gate::gate,
        jsonl::JsonLines,
        ledger::Ledger,
    },
    secrets::Secrets,
    value::Value,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub async fn command(args: Box<args::Run>, verbosity: Verbosity) -> Result<u8, Failure> {
    let registry = executors::registry();
    // before anything is made that would have to be taken back
    let interrupts = signals::listen()
        .map_err(|e| Failure { message: format!("error: signals cannot be heard: {e}"), code: exit::COULD_NOT_ASK })?;
    let mut code = exit::GREEN;
    let mut selected = 0;
    for found in files::plans(&args.plans)? {
        let (chosen, this) = one(&args, verbosity, &registry, found, &interrupts).await?;
        selected += chosen;
        // a wrong answer outweighs not having been able to ask
        code = match (code, this) {
            (exit::RED, _) | (_, exit::RED) => exit::RED,
            (a, b) => a.max(b),
        };
    }
    if selected == 0 {
        return Err(Failure {
            message: "error: nothing is selected: no case has that tier and that id".into(),
            code: exit::NOTHING_SELECTED,
        });
    }
    Ok(code)
}

/// One plan: how many cases were selected, and the exit code.
async fn one(
    args: &args::Run,
    verbosity: Verbosity,
    registry: &Registry,
    found: files::Found,
    interrupts: &Interrupts,
) -> Result<(usize, u8), Failure> {
    let colour = verbosity.colour();
    let selected = plans::selector(&args.selection)?;
    // read once without an environment: a bad plan starts no platform
    let (plan, problems) = plans::read(&found, registry);
    let plan = plan.filter(|_| problems.errors() == 0).ok_or_else(|| plans::bad(&problems, colour))?;
    let (checked, _) = plans::schedule(&found, registry, None, &args.set, &selected, colour)?;
    let chosen = checked.cases.len();
    if chosen == 0 {
        return Ok((0, exit::GREEN));
    }
    if args.dry_run {
        print_dry(&checked);
        return Ok((chosen, exit::GREEN));
    }
    let place = Place::choose(args, registry, &plan, colour).await?;
    let (environment, holder) = (place.environment, place.holder);
    #[cfg(feature = "sandbox")]
    if let Some(platform) = &holder {
        interrupts.folders.lock().unwrap_or_else(|e| e.into_inner()).push(platform.folder().to_path_buf());
    }
    let result = perform(args, verbosity, registry, &found, environment, &selected, interrupts).await;
    if let Some(holder) = holder {
        holder.shutdown().await;
    }
    Ok((chosen, result?))
}

/// Where a plan runs; with the platform that was started for it.
struct Place {
    environment: Environment,
    holder: Option<Holder>,
}

#[cfg(feature = "sandbox")]
type Holder = super::sandbox::Platform;
#[cfg(not(feature = "sandbox"))]
struct Holder;
#[cfg(not(feature = "sandbox"))]
impl Holder {
    async fn shutdown(self) {}
}

impl Place {
    /// `--env`; else the file's `default`; else the plan's `environment`.
    async fn choose(args: &args::Run, registry: &Registry, plan: &Plan, colour: bool) -> Result<Place, Failure> {
        let source = files::environment_file(args.place.config.as_deref())?;
        let environments = match &source {
            None => None,
            Some(source) => {
                let (environments, problems) = plans::read_environments(source, registry);
                if problems.errors() > 0 {
                    return Err(plans::bad(&problems, colour));
                }
                environments
            }
        };
        let named = args.place.env.clone().or_else(|| environments.as_ref().and_then(|e| e.default.clone()));
        let Some(name) = named.or_else(|| plan.environment.as_ref().map(|e| e.text.clone())) else {
            let here = std::env::current_dir().unwrap_or_default();
            let folders = here.ancestors().map(|a| format!("  {}", a.display())).collect::<Vec<_>>().join("\n");
            return Err(Failure::usage(format!(
                "error: the plan names no environment, and there is no `tp-runner.yaml` in\n{folders}\nhelp: name one with `--env`, or write `environment: sandbox` in the plan"
            )));
        };
        if let Some(all) = environments {
            let known = all.all.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
            if let Some(environment) = all.all.into_iter().find(|e| e.name == name) {
                return Ok(Place { environment, holder: None });
            }
            if name != "sandbox" {
                return Err(Failure::usage(format!(
                    "error: there is no environment `{name}`; there are: {}, sandbox",
                    known.join(", ")
                )));
            }
        }
        if name != "sandbox" {
            return Err(Failure::usage(format!(
                "error: there is no environment `{name}`, and no `tp-runner.yaml` here or above"
            )));
        }
        #[cfg(feature = "sandbox")]
        {
            let platform =
                super::sandbox::Platform::start(&args.parts, ([127, 0, 0, 1], 0).into()).await.map_err(|e| {
                    Failure { message: format!("error: the sandbox cannot start: {e}"), code: exit::COULD_NOT_ASK }
                })?;
            let environment = platform.environment(registry)?;
            Ok(Place { environment, holder: Some(platform) })
        }
        #[cfg(not(feature = "sandbox"))]
        Err(Failure::usage("error: this tp-runner was built without the sandbox"))
    }
}

async fn perform(
    args: &args::Run,
    verbosity: Verbosity,
    registry: &Registry,
    found: &files::Found,
    environment: Environment,
    selected: &(dyn Fn(&crate::plan::Case) -> bool + Sync),
    interrupts: &Interrupts,
) -> Result<u8, Failure> {
    let colour = verbosity.colour();
    let started = Timestamp::now();
    let run = RunContext { id: run_id(), started, dir: found.root.clone() };
    let mut outline = EnvironmentOutline {
        name: environment.name.clone(),
        about: environment.about.clone().unwrap_or_default(),
        sandbox: environment.sandbox,
        targets: vec![],
        replaced: vec![],
    };
    let mut versions = vec![("tp-runner".to_string(), env!("CARGO_PKG_VERSION").to_string())];
    versions.extend(environment.versions.iter().cloned());
    let (mut schedule, _) = plans::schedule(found, registry, Some(environment), &args.set, selected, colour)?;
    outline.targets = schedule.targets.iter().map(|t| (t.name.clone(), t.spec.address())).collect();
    if let Some(jobs) = args.jobs {
        schedule.jobs = usize::from(jobs);
    }

    let secrets = Arc::new(Secrets::default());
    let within = environment_scope(&run, &secrets, &schedule)?;
    let base = base_scope(&run, &secrets, &schedule.vars, &within)
        .map_err(|(name, e)| Failure::usage(format!("error: the variable `{name}` cannot be evaluated: {e}")))?;
    schedule.plan.vars =
        schedule.vars.iter().map(|(n, _)| (n.clone(), base.get(n).map(Value::to_string).unwrap_or_default())).collect();
    let live = Arc::new(Live::new(
        run.clone(),
        secrets.clone(),
        environment_scope(&run, &secrets, &schedule)?,
        &schedule.targets,
    ));
    let links = links(&schedule).await?;

    let report_path = report_path(args, found, &schedule);
    let journal = journal_path(&found.root, &run.id)?;
    let gate_tiers = if args.gate.is_empty() { Tier::ALL.to_vec() } else { args.gate.clone() };
    let chosen = schedule.cases.len();
    let begin = RunStarted {
        run: run.id.clone(),
        started,
        plan: schedule.plan.clone(),
        environment: outline,
        selection: plans::selection_words(&args.selection, chosen, schedule.outline.len()),
        gate: gate_tiers,
        versions,
        cases: schedule.outline.clone(),
    };

    let Interrupts { cancel, kill, pending, .. } = interrupts.clone();
    let ledger = Ledger::default();
    let console = Console::stderr(detail(verbosity), colour);
    let lines = JsonLines::open(&journal).map_err(|e| Failure {
        message: format!("error: `{}` cannot be written: {e}", journal.display()),
        code: exit::NO_REPORT,
    })?;
    let sinks: Vec<Box<dyn EventSink>> =
        vec![Box::new(lines), Box::new(ledger.clone()), Box::new(pending), Box::new(console)];
    let (events, thread) = dispatch::start(secrets.clone(), sinks, cancel.clone());

    let faults = std::mem::take(&mut schedule.faults);
    let schedule = Arc::new(schedule);
    let world = Arc::new(World {
        run,
        secrets,
        events: events.clone(),
        cancel,
        kill,
        links: links.iter().map(|(n, l)| (n.clone(), l.clone() as Arc<dyn Link>)).collect(),
        live: Some(live.clone()),
        faults,
        fail_fast: args.fail_fast,
    });
    run::perform(schedule.clone(), world.clone(), live.clone(), base, begin).await;
    live.close().await;
    drop((world, events));
    let told = tokio::task::spawn_blocking(move || thread.join()).await;
    for (_, link) in links {
        link.relay.cut();
    }
    if let Ok(Ok(Err(e))) = told {
        return Err(Failure { message: format!("error: the run could not be recorded: {e}"), code: exit::NO_REPORT });
    }

    let index = ledger.index();
    let written = write_whole(&report_path, |out| report::markdown::write(&index, out));
    let shown = files::shorten(&report_path);
    let look = Look { colour, width: None, reports: vec![shown.display().to_string()] };
    let summary = report::console::summary(&index, &look);
    anstream::println!("{}", summary.trim_end());
    if let Err(e) = written {
        return Err(Failure {
            message: format!("error: the report `{}` cannot be written: {e}", report_path.display()),
            code: exit::NO_REPORT,
        });
    }
    Ok(gate(&index).verdict.exit_code())
}

/// What an environment may read: the environment variables, its secrets, and what its setup binds later.
fn environment_scope(run: &RunContext, secrets: &Arc<Secrets>, schedule: &Schedule) -> Result<Scope, Failure> {
    let mut variables = crate::value::Map::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        if let Some(secret) = secret_in(name, value) {
            secrets.add(&format!("env.{name}"), &secret);
        }
        variables.insert(name.to_string(), Value::text(value));
    }
    let mut scope = run_scope(run, secrets).with("env", Value::from(variables));
    for (name, tree) in &schedule.secrets {
        let value = tree.render(&scope).map_err(|e| {
            Failure::usage(format!("error: the secret `{name}` of the environment cannot be read: {e}\nhelp: is the environment variable set?"))
        })?;
        secrets.add(name, &value.to_string());
        scope = scope.with(name, value);
    }
    Ok(scope)
}

/// What of an environment variable must not be seen: the password of a URL, or all of one that is named like a secret. Short
/// values are let through: `true` blotted out everywhere would hide more than it guards.
fn secret_in(name: &str, value: &str) -> Option<String> {
    if let Ok(url) = reqwest::Url::parse(value)
        && let Some(password) = url.password()
    {
        return Some(password.to_string());
    }
    let upper = name.to_uppercase();
    let named = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY", "API_KEY", "PRIVATE_KEY"];
    (value.len() >= 8 && named.iter().any(|n| upper.contains(n))).then(|| value.to_string())
}

/// A relay of our own, as a fault that can be switched.
struct RelayLink {
    relay: Relay,
}

#[async_trait]
impl Link for RelayLink {
    async fn cut(&self) -> Result<(), StepError> {
        self.relay.cut();
        Ok(())
    }
    async fn heal(&self) -> Result<(), StepError> {
        self.relay.heal();
        Ok(())
    }
    fn refused(&self) -> u64 {
        self.relay.refused()
    }
}

async fn links(schedule: &Schedule) -> Result<Vec<(String, Arc<RelayLink>)>, Failure> {
    let mut links = vec![];
    for (name, fault) in &schedule.faults {
        let Fault::Relay { listen, upstream } = fault else { continue };
        let failed = |what: &str| Failure {
            message: format!("error: the relay of the fault `{name}` {what}"),
            code: exit::COULD_NOT_ASK,
        };
        let address = listen.parse().map_err(|_| failed(&format!("cannot listen on `{listen}`: no address")))?;
        let relay = Relay::bind(address).await.map_err(|e| failed(&format!("cannot listen on `{listen}`: {e}")))?;
        let upstream_at = tokio::net::lookup_host(upstream).await.ok().and_then(|mut a| a.next());
        relay.to(upstream_at.ok_or_else(|| failed(&format!("does not know the host of `{upstream}`")))?);
        links.push((name.clone(), Arc::new(RelayLink { relay })));
    }
    Ok(links)
}

fn report_path(args: &args::Run, found: &files::Found, schedule: &Schedule) -> PathBuf {
    let stated = schedule
        .report
        .clone()
        .unwrap_or_else(|| format!("tests/reports/{}-report.md", schedule.plan.id.to_lowercase()));
    match &args.report_dir {
        Some(dir) => dir.join(Path::new(&stated).file_name().unwrap_or(stated.as_ref())),
        None => found.root.join(stated),
    }
}

/// `.tp-runner/runs/<run>/events.jsonl`; the folder ignores itself in git.
fn journal_path(root: &Path, run: &str) -> Result<PathBuf, Failure> {
    let own = root.join(".tp-runner");
    let folder = own.join("runs").join(run);
    let made = std::fs::create_dir_all(&folder).and_then(|()| {
        let ignore = own.join(".gitignore");
        if ignore.exists() { Ok(()) } else { std::fs::write(ignore, "*\n") }
    });
    match made {
        Ok(()) => Ok(folder.join("events.jsonl")),
        Err(e) => Err(Failure {
            message: format!("error: `{}` cannot be made: {e}", folder.display()),
            code: exit::NO_REPORT,
        }),
    }
}

/// Short, lower case, begins with a letter: fit for DNS names.
fn run_id() -> String {
    format!("r{}", &uuid::Uuid::new_v4().simple().to_string()[..7])
}

fn detail(v: Verbosity) -> Detail {
    match v {
        Verbosity { quiet: true, .. } => Detail::Quiet,
        Verbosity { verbose: true, .. } => Detail::Actions,
        _ => Detail::Cases,
    }
}

fn print_dry(schedule: &Schedule) {
    anstream::println!("{}: {} (nothing is performed)", schedule.plan.id, schedule.plan.title);
    for case in &schedule.cases {
        let outline = schedule.outline.iter().find(|o| o.id == case.id);
        anstream::println!("\n{}: {}  [{}]", case.id, outline.map(|o| o.title.as_str()).unwrap_or_default(), case.tier);
        for sentence in &case.sentences {
            let text =
                outline.and_then(|o| o.sentences.iter().find(|s| s.address == sentence.address)).map(|s| s.text.trim());
            anstream::println!("  {}", text.unwrap_or_default().lines().next().unwrap_or_default());
            print_steps(&sentence.steps, 2);
        }
    }
}

/// Actions of the plan are opened: what they send is what counts.
fn print_steps(steps: &[crate::engine::schedule::Step], depth: usize) {
    use crate::engine::schedule::Act;
    for step in steps {
        if matches!(step.act, Act::Nothing) {
            continue;
        }
        let each = if step.foreach.is_some() { " (for each)" } else { "" };
        anstream::println!("{}- {}{each}", "  ".repeat(depth), step.what);
        match &step.act {
            Act::Parallel { branches, .. } => branches.iter().for_each(|b| print_steps(b, depth + 1)),
            Act::Use { definition, .. } => print_steps(&definition.steps, depth + 1),
            _ => {}
        }
        for undo in step.undo.iter() {
            anstream::println!("{}  (undo: {})", "  ".repeat(depth), undo.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::secret_in;

    #[test]
    fn secrets_of_the_environment_are_known_by_name_or_place() {
        assert_eq!(secret_in("DATABASE_URL", "postgres://u:s3cret@h/db").as_deref(), Some("s3cret"));
        assert_eq!(secret_in("STREAMSPACE_PASSWORD", "correct horse").as_deref(), Some("correct horse"));
        assert_eq!(secret_in("USE_TOKEN", "true"), None);
        assert_eq!(secret_in("HOST", "https://streamspace.example"), None);
    }
}
