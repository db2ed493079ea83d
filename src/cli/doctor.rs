//! `doctor`: checks whether every target of an environment can be reached and used as the plan
//! needs it. Prints one line per probe, with what to do about a problem. Executes the environment's
//! setup and teardown, but no case.
use super::{
    args::{self, OutputArgs},
    cleanup,
    doctor_faults::{self, CHECK_FIREWALL, PROBE_TIMEOUT, ProbeLine},
    environment::ChosenEnvironment,
    exit,
    failure::Failure,
    files, plans, print,
    relays::{self, RelaySwitch},
    secrets::environment_scope,
    signals::{self, Interrupts},
};
use crate::{
    access::Allowed,
    engine::{
        context::RunContext,
        dispatch,
        live::LiveSource,
        observation::ObservationSource,
        permissions,
        run::{set_up, tear_down},
        runner::CaseEffects,
        schedule::Schedule,
        scopes::{VariableError, base_scope},
    },
    executor::{Permission, ProbeResult, ProbeStatus, RunInfo},
    executors,
    report::wording::{count, one_line},
    secrets::Secrets,
};
use std::sync::Arc;

/// A server can answer with a long text.
const MAX_LINE_CHARS: usize = 2_000;

/// What is probed.
struct Probe {
    /// Whether to break and heal the faults.
    faults: bool,
    interrupts: Interrupts,
}

pub async fn command(args: Box<args::Doctor>) -> Result<u8, Failure> {
    let registry = executors::registry();
    let (mut code, set) = (exit::SUCCESS, &args.execution.set);
    // Only a fault must be healed after a signal.
    let interrupts = if args.faults { signals::listen()? } else { Interrupts::default() };
    let probe = Probe { faults: args.faults, interrupts };
    for file in files::plans(&args.plans)? {
        let draft = plans::read(&file, &args.execution.environment, &registry);
        // Compiles without an environment first, so that an invalid plan starts no sandbox.
        draft.compile(None, set, &|_| true)?;
        let mut chosen = ChosenEnvironment::choose(&args.execution, &draft).await?;
        let name = chosen.environment.name.clone();
        if args.faults && chosen.environment.protected {
            return Err(Failure::usage(format!(
                "error: `doctor --faults` breaks connections, and the environment `{name}` is protected\n\
                 help: leave out `--faults`, or use `--allow-destructive {name}`"
            )));
        }
        if chosen.sandbox.is_none() {
            cleanup::before_run(&file.root, &chosen, false, OutputArgs::default(), &probe.interrupts).await?;
        }
        // No case is executed, so nothing needs protection.
        chosen.environment.protected = false;
        chosen.environment.allow = Allowed::everything();
        let work = async |schedule| Ok(probe.all(schedule, &file).await);
        let lines = chosen.run(&draft, set, &|_| true, work).await?;
        print::out(format_args!("{} in the environment `{name}`\n\n", file.source.name));
        lines.iter().for_each(|line| print::out(format_args!("{}\n", render(line))));
        if !lines.is_empty() {
            print::out(format_args!("\n"));
        }
        match lines.iter().filter(|(_, result)| result.status == ProbeStatus::Error).count() {
            0 => print::out(format_args!("no problems\n")),
            n => {
                print::out(format_args!("{}\n", count(n, "problem")));
                code = exit::UNREACHABLE;
            }
        }
        if probe.interrupts.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
    }
    Ok(code)
}

fn render((subject, result): &ProbeLine) -> String {
    let ProbeResult { status, check, found, remedy } = result;
    let status = match status {
        ProbeStatus::Ok => "ok     ",
        ProbeStatus::Warning => "warning",
        ProbeStatus::Error => "error  ",
    };
    let remedy = remedy.as_ref().map(|r| format!("; {r}")).unwrap_or_default();
    format!("{status} {}", one_line(&format!("{subject}: {check}: {found}{remedy}"), MAX_LINE_CHARS))
}

impl Probe {
    /// All probes of an environment, with secrets masked.
    async fn all(&self, schedule: Schedule, file: &files::PlanFile) -> Vec<ProbeLine> {
        let secrets = Arc::new(Secrets::default());
        let mut lines = self.environment(schedule, file, &secrets).await;
        for (_, result) in &mut lines {
            for text in [Some(&mut result.check), Some(&mut result.found), result.remedy.as_mut()].into_iter().flatten()
            {
                if let Some(masked) = secrets.mask(text) {
                    *text = masked;
                }
            }
        }
        lines
    }

    async fn environment(&self, schedule: Schedule, file: &files::PlanFile, secrets: &Arc<Secrets>) -> Vec<ProbeLine> {
        let run = RunInfo { id: "doctor".into(), started: jiff::Timestamp::now(), dir: file.root.clone(), trace: None };
        let environment = match environment_scope(&run, secrets, &schedule).await {
            Ok(scope) => scope,
            Err(f) => {
                let message = f.message.trim_start_matches("error: ").replace('\n', " ");
                let result = ProbeResult::error("read", message, "nothing else can be probed without it");
                return vec![("secrets".into(), result)];
            }
        };
        let mut lines = vec![];
        if !schedule.secrets.is_empty() {
            let names = schedule.secrets.iter().map(|(n, _)| format!("`{n}`")).collect::<Vec<_>>().join(", ");
            lines.push(("secrets".into(), ProbeResult::ok("read", names)));
        }
        let scope = match base_scope(&run, secrets, &schedule.vars, &environment) {
            Ok(scope) => scope.over(&environment),
            Err(VariableError { name, source }) => {
                let remedy = "fix it in the plan, in the environment file, or with `--set`";
                let result = ProbeResult::error(format!("evaluate `{name}`"), source.to_string(), remedy);
                lines.push(("variables".into(), result));
                return lines;
            }
        };
        let permissions = permissions::of(&schedule, &scope);
        let live = Arc::new(LiveSource::new(run.clone(), secrets.clone(), environment, &schedule.targets));
        // Relays first: setup may connect through them.
        let switches = match relays::open(&schedule, &file.root).await {
            Ok(switches) => switches,
            Err(f) => {
                let message = f.message.trim_start_matches("error: ");
                let remedy = "free that port, or use another in `listen`";
                lines.push(("faults".into(), ProbeResult::error("listen", message, remedy)));
                vec![]
            }
        };
        for (name, switch) in &switches {
            lines.push((doctor_faults::subject(name), doctor_faults::probe_relay(switch).await));
        }
        let named: Vec<String> = schedule.secrets.iter().map(|(name, _)| name.clone()).collect();
        lines.extend(self.targets(schedule, run, secrets, &live, switches, &permissions).await);
        let environment = live.environment();
        let is_weak = |name: &String| environment.get(name).is_some_and(|value| secrets.is_weak(&value.to_string()));
        let mut weak: Vec<String> = named.into_iter().filter(is_weak).collect();
        let known = weak.clone();
        // a variable of the process counts only as the value of a secret
        weak.extend(secrets.weak().into_iter().filter(|name| !name.starts_with("env.") && !known.contains(name)));
        for name in weak {
            let found = format!("`{name}` is an ordinary word, or a short one");
            let remedy = "use a random value: a weak secret is masked and found only as a credential";
            lines.push(("secrets".into(), ProbeResult::warning("strength", found, remedy)));
        }
        lines
    }

    /// Executes setup, probes each target for what the plan needs, executes teardown, and undoes setup.
    async fn targets(
        &self,
        mut schedule: Schedule,
        run: RunInfo,
        secrets: &Arc<Secrets>,
        live: &Arc<LiveSource>,
        switches: Vec<(String, RelaySwitch)>,
        permissions: &permissions::Permissions,
    ) -> Vec<ProbeLine> {
        let Interrupts { cancel, kill, .. } = self.interrupts.clone();
        let (events, thread) = dispatch::start(secrets.clone(), vec![], cancel.clone());
        let context = RunContext {
            cancel,
            kill,
            fault_switches: relays::by_name(switches.clone()),
            live: Some(live.clone()),
            ..RunContext::new(run, secrets.clone(), events).with_schedule(&mut schedule)
        };
        let mut lines = vec![];
        let effects = CaseEffects::default();
        if !schedule.setup.is_empty() {
            let result = match set_up(&schedule, &context, &**live, &effects).await {
                Ok(()) => ProbeResult::ok("execute", format!("{} passed", count(schedule.setup.len(), "action"))),
                Err(why) => ProbeResult::error("execute", why, "until it passes, every case is errored"),
            };
            lines.push(("setup".into(), result));
        }
        for target in &schedule.targets {
            let permissions: Vec<Permission> =
                permissions.iter().filter(|(t, _)| *t == target.name).map(|(_, n)| n.clone()).collect();
            let results = probe_target(live, &target.name, &permissions).await;
            lines.extend(results.into_iter().map(|r| (target.name.clone(), r)));
        }
        if self.faults {
            lines.extend(doctor_faults::probe_faults(&context, &**live, &switches, &self.interrupts).await);
        }
        for note in tear_down(&schedule, &context, &**live, &effects).await {
            let result = ProbeResult::error("execute", note, "check what is left, and remove it by hand");
            lines.push(("teardown".into(), result));
        }
        live.close().await;
        drop(context);
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        lines
    }
}

async fn probe_target(live: &LiveSource, name: &str, permissions: &[Permission]) -> Vec<ProbeResult> {
    let target = match tokio::time::timeout(PROBE_TIMEOUT, live.target(name)).await {
        Err(_) => return vec![ProbeResult::error("connect", "no response", CHECK_FIREWALL)],
        Ok(Err(e)) => return vec![ProbeResult::unreachable("connect", &e.to_string())],
        Ok(Ok(target)) => target,
    };
    match tokio::time::timeout(PROBE_TIMEOUT, target.probe(permissions, &live.environment())).await {
        Err(_) => vec![ProbeResult::error("probe", "no response", CHECK_FIREWALL)],
        Ok(results) if results.is_empty() => vec![ProbeResult::ok("connect", "connected")],
        Ok(results) => results,
    }
}
