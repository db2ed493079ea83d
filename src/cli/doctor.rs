//! `doctor`: checks whether every target of an environment can be reached and used as the plan
//! needs it. Prints one line per probe, with what to do about a problem. Executes the environment's
//! setup and teardown, but no case.
use super::{
    args::{self, OutputArgs},
    environment::ChosenEnvironment,
    exit,
    failure::Failure,
    files, plans, relays,
    secrets::environment_scope,
};
use crate::{
    engine::{
        context::RunContext,
        dispatch,
        live::LiveSource,
        observation::ObservationSource,
        permissions,
        run::{set_up, tear_down},
        runner::CaseEffects,
        schedule::{Fault, Schedule},
        scopes::{VariableError, base_scope},
    },
    executor::{FaultSwitch, Permission, ProbeResult, ProbeStatus, RunInfo},
    executors,
    secrets::Secrets,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::net::TcpStream;

/// Limit for connecting to a target, and again for all probes of that target.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
const CHECK_FIREWALL: &str = "check for a firewall in between";

pub async fn command(args: Box<args::Doctor>, output: OutputArgs) -> Result<u8, Failure> {
    let registry = executors::registry();
    let colour = output.colour();
    let mut code = exit::SUCCESS;
    for file in files::plans(&args.plans)? {
        let draft = plans::read(&file, &registry);
        // Compiles without an environment first, so that an invalid plan starts no sandbox.
        draft.compile(&registry, None, &args.execution.set, &|_| true, colour)?;
        let ChosenEnvironment { mut environment, sandbox } =
            ChosenEnvironment::choose(&args.execution, &registry, draft.plan(), colour).await?;
        // No case is executed, so nothing needs protection.
        environment.protected = false;
        let name = environment.name.clone();
        let probed = match draft.compile(&registry, Some(&environment), &args.execution.set, &|_| true, colour) {
            Ok(schedule) => Ok(probe(schedule, &file).await),
            Err(e) => Err(e),
        };
        if let Some(sandbox) = sandbox {
            sandbox.shutdown().await;
        }
        let lines = probed?;
        anstream::println!("{} in the environment `{name}`\n", file.source.name);
        lines.iter().for_each(|l| anstream::println!("{}", l.render()));
        let problems = lines.iter().filter(|l| l.result.status == ProbeStatus::Error).count();
        let summary = match problems {
            0 => "no problems".to_owned(),
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        anstream::println!("\n{summary}");
        if problems > 0 {
            code = exit::UNREACHABLE;
        }
    }
    Ok(code)
}

/// One printed line: the subject, such as a target, and the result of a probe.
struct ProbeLine {
    subject: String,
    result: ProbeResult,
}

impl ProbeLine {
    fn new(subject: impl Into<String>, result: ProbeResult) -> Self {
        ProbeLine { subject: subject.into(), result }
    }

    fn render(&self) -> String {
        let ProbeResult { status, check, found, remedy } = &self.result;
        let status = match status {
            ProbeStatus::Ok => "ok     ",
            ProbeStatus::Warning => "warning",
            ProbeStatus::Error => "error  ",
        };
        let remedy = remedy.as_ref().map(|r| format!("; {r}")).unwrap_or_default();
        format!("{status} {}: {check}: {found}{remedy}", self.subject)
    }
}

/// All probes of an environment, with secrets masked.
async fn probe(schedule: Schedule, file: &files::PlanFile) -> Vec<ProbeLine> {
    let secrets = Arc::new(Secrets::default());
    let mut lines = probe_environment(schedule, file, &secrets).await;
    for ProbeLine { result, .. } in &mut lines {
        for text in [Some(&mut result.check), Some(&mut result.found), result.remedy.as_mut()].into_iter().flatten() {
            if let Some(masked) = secrets.mask(text) {
                *text = masked;
            }
        }
    }
    lines
}

async fn probe_environment(schedule: Schedule, file: &files::PlanFile, secrets: &Arc<Secrets>) -> Vec<ProbeLine> {
    let run = RunInfo { id: "doctor".into(), started: jiff::Timestamp::now(), dir: file.root.clone() };
    let environment = match environment_scope(&run, secrets, &schedule).await {
        Ok(scope) => scope,
        Err(f) => {
            let message = f.message.trim_start_matches("error: ").replace('\n', " ");
            return vec![ProbeLine::new(
                "secrets",
                ProbeResult::error("read", message, "nothing else can be probed without it"),
            )];
        }
    };
    let mut lines = vec![];
    if !schedule.secrets.is_empty() {
        let names = schedule.secrets.iter().map(|(n, _)| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        lines.push(ProbeLine::new("secrets", ProbeResult::ok("read", names)));
    }
    let scope = match base_scope(&run, secrets, &schedule.vars, &environment) {
        Ok(scope) => scope.over(&environment),
        Err(VariableError { name, source }) => {
            let remedy = "fix it in the plan, in the environment file, or with `--set`";
            let result = ProbeResult::error(format!("evaluate `{name}`"), source.to_string(), remedy);
            lines.push(ProbeLine::new("variables", result));
            return lines;
        }
    };
    let permissions = permissions::of(&schedule, &scope);
    let live = Arc::new(LiveSource::new(run.clone(), secrets.clone(), environment, &schedule.targets));
    // Relays first: setup may connect through them.
    let switches = match relays::start(&schedule).await {
        Ok(switches) => switches,
        Err(f) => {
            let message = f.message.trim_start_matches("error: ");
            let remedy = "free that port, or use another in `listen`";
            lines.push(ProbeLine::new("faults", ProbeResult::error("listen", message, remedy)));
            vec![]
        }
    };
    for (name, fault) in &schedule.faults {
        if let Fault::Relay { upstream, .. } = fault {
            lines.push(ProbeLine::new(format!("fault {name}"), probe_upstream(upstream).await));
        }
    }
    let fault_switches = switches.into_iter().map(|(n, s)| (n, s as Arc<dyn FaultSwitch>)).collect();
    lines.extend(probe_targets(schedule, run, secrets, &live, fault_switches, &permissions).await);
    lines
}

async fn probe_upstream(upstream: &str) -> ProbeResult {
    let check = format!("connect to `{upstream}` behind the relay");
    match tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(upstream)).await {
        Ok(Ok(_)) => ProbeResult::ok(check, "connected"),
        Ok(Err(e)) => ProbeResult::error(check, e.to_string(), "check `upstream`, and that the server is running"),
        Err(_) => ProbeResult::error(check, "no response", CHECK_FIREWALL),
    }
}

/// Executes setup, probes each target for what the plan needs, executes teardown, and undoes setup.
async fn probe_targets(
    mut schedule: Schedule,
    run: RunInfo,
    secrets: &Arc<Secrets>,
    live: &Arc<LiveSource>,
    fault_switches: HashMap<String, Arc<dyn FaultSwitch>>,
    permissions: &permissions::Permissions,
) -> Vec<ProbeLine> {
    let cancel = tokio_util::sync::CancellationToken::new();
    let (events, thread) = dispatch::start(secrets.clone(), vec![], cancel.clone());
    let context = RunContext {
        cancel: cancel.clone(),
        kill: cancel,
        fault_switches,
        live: Some(live.clone()),
        ..RunContext::new(run, secrets.clone(), events).with_schedule(&mut schedule)
    };
    let mut lines = vec![];
    let effects = CaseEffects::default();
    if !schedule.setup.is_empty() {
        let n = schedule.setup.len();
        let result = match set_up(&schedule, &context, &**live, &effects).await {
            Ok(()) => ProbeResult::ok("execute", format!("{n} action{} passed", if n == 1 { "" } else { "s" })),
            Err(why) => ProbeResult::error("execute", why, "until it passes, every case is errored"),
        };
        lines.push(ProbeLine::new("setup", result));
    }
    for target in &schedule.targets {
        let permissions: Vec<Permission> =
            permissions.iter().filter(|(t, _)| *t == target.name).map(|(_, n)| n.clone()).collect();
        let results = probe_target(live, &target.name, &permissions).await;
        lines.extend(results.into_iter().map(|r| ProbeLine::new(&target.name, r)));
    }
    for note in tear_down(&schedule, &context, &**live, &effects).await {
        let result = ProbeResult::error("execute", note, "check what is left, and remove it by hand");
        lines.push(ProbeLine::new("teardown", result));
    }
    live.close().await;
    drop(context);
    let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    lines
}

async fn probe_target(live: &LiveSource, name: &str, permissions: &[Permission]) -> Vec<ProbeResult> {
    let target = match tokio::time::timeout(PROBE_TIMEOUT, live.target(name)).await {
        Err(_) => return vec![ProbeResult::error("connect", "no response", CHECK_FIREWALL)],
        Ok(Err(e)) => return vec![ProbeResult::error("connect", e.to_string(), "fix it in the environment file")],
        Ok(Ok(target)) => target,
    };
    match tokio::time::timeout(PROBE_TIMEOUT, target.probe(permissions, &live.environment())).await {
        Err(_) => vec![ProbeResult::error("probe", "no response", CHECK_FIREWALL)],
        Ok(results) if results.is_empty() => vec![ProbeResult::ok("connect", "connected")],
        Ok(results) => results,
    }
}
