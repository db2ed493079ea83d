//! `doctor`: can every target of an environment be reached, and may we do there what the plan needs? One line for each thing that
//! was tried, with what to do about it. It performs setup and takes it back; of the plan it performs nothing.
use super::{
    args::{self, Verbosity},
    exit,
    failure::Failure,
    files,
    links::links,
    place::Place,
    plans,
    secrets::environment_scope,
};
use crate::{
    engine::{
        context::RunContext,
        dispatch,
        live::LiveSource,
        needs,
        observation::ObservationSource,
        run::{set_up, tear_down},
        runner::CaseEffects,
        schedule::{Fault, Schedule},
        scopes::{VariableError, base_scope},
    },
    executor::{Link, Need, ProbeResult, ProbeStatus, RunInfo},
    executors,
    secrets::Secrets,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::net::TcpStream;

/// How long one target may take: to connect, and once more for all that is tried there.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn command(args: Box<args::Doctor>, verbosity: Verbosity) -> Result<u8, Failure> {
    let registry = executors::registry();
    let colour = verbosity.colour();
    let mut code = exit::SUCCESS;
    for found in files::plans(&args.plans)? {
        let draft = plans::read(&found, &registry);
        draft.compile(&registry, None, &args.stage.set, &|_| true, colour)?;
        let Place { mut environment, holder } = Place::choose(&args.stage, &registry, draft.plan(), colour).await?;
        // nothing of the plan is performed
        environment.protected = false;
        let name = environment.name.clone();
        let examined = match draft.compile(&registry, Some(&environment), &args.stage.set, &|_| true, colour) {
            Ok(schedule) => Ok(examine(schedule, &found).await),
            Err(e) => Err(e),
        };
        if let Some(holder) = holder {
            holder.shutdown().await;
        }
        let lines = examined?;
        anstream::println!("{} in the environment `{name}`\n", found.source.name);
        lines.iter().for_each(|l| anstream::println!("{}", l.drawn()));
        let wrong = lines.iter().filter(|l| l.probed.status == ProbeStatus::Error).count();
        anstream::println!("\n{}", if wrong == 0 { "nothing is wrong".into() } else { format!("{wrong} wrong") });
        if wrong > 0 {
            code = exit::UNREACHABLE;
        }
    }
    Ok(code)
}

/// What was found out about one part of the environment.
struct Line {
    of: String,
    probed: ProbeResult,
}

impl Line {
    fn new(of: impl Into<String>, probed: ProbeResult) -> Self {
        Line { of: of.into(), probed }
    }

    fn drawn(&self) -> String {
        let ProbeResult { status, tried, seen, remedy } = &self.probed;
        let mark = match status {
            ProbeStatus::Ok => "ok   ",
            ProbeStatus::Warning => "?    ",
            ProbeStatus::Error => "wrong",
        };
        let remedy = remedy.as_ref().map(|r| format!("; {r}")).unwrap_or_default();
        format!("{mark} {}: {tried}: {seen}{remedy}", self.of)
    }
}

async fn examine(schedule: Schedule, found: &files::Found) -> Vec<Line> {
    let secrets = Arc::new(Secrets::default());
    let mut lines = tried(schedule, found, &secrets).await;
    for Line { probed, .. } in &mut lines {
        for text in [Some(&mut probed.tried), Some(&mut probed.seen), probed.remedy.as_mut()].into_iter().flatten() {
            if let Some(masked) = secrets.mask(text) {
                *text = masked;
            }
        }
    }
    lines
}

async fn tried(schedule: Schedule, found: &files::Found, secrets: &Arc<Secrets>) -> Vec<Line> {
    let run = RunInfo { id: "doctor".into(), started: jiff::Timestamp::now(), dir: found.root.clone() };
    let environment = match environment_scope(&run, secrets, &schedule).await {
        Ok(scope) => scope,
        Err(f) => {
            let seen = f.message.trim_start_matches("error: ").replace('\n', " ");
            return vec![Line::new(
                "secrets",
                ProbeResult::error("read", seen, "without it nothing else can be tried"),
            )];
        }
    };
    let mut lines = vec![];
    if !schedule.secrets.is_empty() {
        let names = schedule.secrets.iter().map(|(n, _)| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        lines.push(Line::new("secrets", ProbeResult::ok("read", names)));
    }
    let known = match base_scope(&run, secrets, &schedule.vars, &environment) {
        Ok(scope) => scope.over(&environment),
        Err(VariableError { name, source }) => {
            let remedy = "mend it in the plan, in the environment, or with `--set`";
            lines.push(Line::new(
                "variables",
                ProbeResult::error(format!("evaluate `{name}`"), source.to_string(), remedy),
            ));
            return lines;
        }
    };
    let needs = needs::of(&schedule, &known);
    let live = Arc::new(LiveSource::new(run.clone(), secrets.clone(), environment, &schedule.targets));
    // relays first: what setup talks to may stand behind one
    let relays = match links(&schedule).await {
        Ok(relays) => relays,
        Err(f) => {
            let remedy = "free that port, or name another in `listen`";
            lines.push(Line::new(
                "faults",
                ProbeResult::error("listen", f.message.trim_start_matches("error: "), remedy),
            ));
            vec![]
        }
    };
    for (name, fault) in &schedule.faults {
        if let Fault::Relay { upstream, .. } = fault {
            lines.push(Line::new(format!("fault {name}"), upstream_of(upstream).await));
        }
    }
    let relays = relays.into_iter().map(|(n, l)| (n, l as Arc<dyn Link>)).collect();
    lines.extend(targets(schedule, run, secrets, &live, relays, &needs).await);
    lines
}

async fn upstream_of(upstream: &str) -> ProbeResult {
    let tried = format!("reach `{upstream}` behind the relay");
    match tokio::time::timeout(PATIENCE, TcpStream::connect(upstream)).await {
        Ok(Ok(_)) => ProbeResult::ok(tried, "something listens there"),
        Ok(Err(e)) => ProbeResult::error(tried, e.to_string(), "see whether `upstream` is right and the server runs"),
        Err(_) => ProbeResult::error(tried, "no answer", "see whether a firewall is between"),
    }
}

/// Setup, each target with what the plan needs of it, and setup taken back.
async fn targets(
    mut schedule: Schedule,
    run: RunInfo,
    secrets: &Arc<Secrets>,
    live: &Arc<LiveSource>,
    links: HashMap<String, Arc<dyn Link>>,
    needs: &needs::Needs,
) -> Vec<Line> {
    let cancel = tokio_util::sync::CancellationToken::new();
    let (events, thread) = dispatch::start(secrets.clone(), vec![], cancel.clone());
    let context = RunContext {
        run,
        secrets: secrets.clone(),
        events,
        cancel: cancel.clone(),
        kill: cancel,
        links,
        live: Some(live.clone()),
        faults: std::mem::take(&mut schedule.faults),
        on_failure: vec![],
        fail_fast: false,
        wall: jiff::Timestamp::now,
        hook: None,
    };
    let mut lines = vec![];
    let effects = CaseEffects::default();
    if !schedule.setup.is_empty() {
        let n = schedule.setup.len();
        lines.push(Line::new(
            "setup",
            match set_up(&schedule, &context, &**live, &effects).await {
                Ok(()) => ProbeResult::ok("perform", format!("{n} action{} held", if n == 1 { "" } else { "s" })),
                Err(why) => ProbeResult::error("perform", why.to_string(), "until this works every case is errored"),
            },
        ));
    }
    for target in &schedule.targets {
        let of: Vec<Need> = needs.iter().filter(|(t, _)| *t == target.name).map(|(_, n)| n.clone()).collect();
        lines.extend(examined(live, &target.name, &of).await.into_iter().map(|f| Line::new(&target.name, f)));
    }
    for note in tear_down(&schedule, &context, &**live, &effects).await {
        lines.push(Line::new(
            "teardown",
            ProbeResult::error("perform", note, "see what is left, and take it away by hand"),
        ));
    }
    live.close().await;
    drop(context);
    let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    lines
}

async fn examined(live: &LiveSource, name: &str, needs: &[Need]) -> Vec<ProbeResult> {
    let target = match tokio::time::timeout(PATIENCE, live.target(name)).await {
        Err(_) => return vec![ProbeResult::error("reach", "no answer", "see whether a firewall is between")],
        Ok(Err(e)) => return vec![ProbeResult::error("reach", e.to_string(), "mend it in the environment file")],
        Ok(Ok(target)) => target,
    };
    match tokio::time::timeout(PATIENCE, target.probe(needs, &live.environment())).await {
        Err(_) => vec![ProbeResult::error("try", "no answer", "see whether a firewall is between")],
        Ok(found) if found.is_empty() => vec![ProbeResult::ok("reach", "connected")],
        Ok(found) => found,
    }
}
