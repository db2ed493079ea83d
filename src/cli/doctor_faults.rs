//! The faults of an environment for `doctor`: whether its relays respond and forward, and, with `--faults`, whether each
//! fault breaks its connection and heals it again.
use super::{
    relays::{Place, RelaySwitch, START_RELAY},
    signals::Interrupts,
};
use crate::{
    address::Address,
    engine::{
        context::RunContext,
        observation::ObservationSource,
        runner::{ActionRunner, CaseEffects},
        schedule::Fault,
    },
    executor::{FaultSwitch, ProbeResult, ProbeStatus},
    relay::{Command, FaultMode, RelayState},
    report::wording::count,
};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// The subject of a probe, such as a target, and its result.
pub type ProbeLine = (String, ProbeResult);

/// Limit for connecting to something.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
pub const CHECK_FIREWALL: &str = "check for a firewall in between";
/// How long a connection must stay open to count as forwarded, and how long it may take a fault to affect one.
const SETTLE_TIME: Duration = Duration::from_millis(500);
/// Limit for the upstream to accept a connection; longer than the relay's own.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(12);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The subject of the lines of a fault.
pub fn subject(fault: &str) -> String {
    format!("fault {fault}")
}

/// Whether a relay is there and not broken, and whether the upstream of one inside the runner accepts connections.
pub async fn probe_relay(switch: &RelaySwitch) -> ProbeResult {
    let state = match switch.send(Command::State {}).await {
        Ok(state) => state,
        Err(why) => return ProbeResult::error("relay", why, START_RELAY),
    };
    match &switch.place {
        Place::Runner(_) => probe_upstream(&state.upstream).await,
        Place::Process(control) => match switch.active_fault(&state) {
            Some(why) => ProbeResult::error("relay", why, switch.how_to_heal()),
            None => {
                let found = format!("forwards {} to {}", state.listen, state.upstream);
                ProbeResult::ok(format!("relay at `{}`", control.display()), found)
            }
        },
    }
}

async fn probe_upstream(upstream: &str) -> ProbeResult {
    let check = format!("connect to `{upstream}` behind the relay");
    match timeout(PROBE_TIMEOUT, TcpStream::connect(upstream)).await {
        Ok(Ok(_)) => ProbeResult::ok(check, "connected"),
        Ok(Err(e)) => ProbeResult::error(check, e.to_string(), "check `upstream`, and that the server is running"),
        Err(_) => ProbeResult::error(check, "no response", CHECK_FIREWALL),
    }
}

/// Breaks and heals each fault, and checks its connection before, meanwhile and after. Stops after a signal; a fault that
/// is broken is healed all the same.
pub async fn probe_faults(
    context: &RunContext,
    source: &dyn ObservationSource,
    switches: &[(String, RelaySwitch)],
    interrupts: &Interrupts,
) -> Vec<ProbeLine> {
    let mut lines = vec![];
    for (name, fault) in &context.faults {
        if context.cancel.is_cancelled() {
            break;
        }
        interrupts.set_broken(Some(subject(name)));
        let results = match (fault, switches.iter().find(|(n, _)| n == name)) {
            (Fault::Actions { probe, .. }, _) => try_actions(context, source, name, !probe.is_empty()).await,
            (Fault::Relay { .. }, Some((_, switch))) => try_relay(switch).await,
            // its relay could not listen: reported already
            (Fault::Relay { .. }, None) => vec![],
        };
        interrupts.set_broken(None);
        lines.extend(results.into_iter().map(|r| (subject(name), r)));
    }
    lines
}

/// Breaks and heals the fault of a relay, with connections of its own through the relay.
async fn try_relay(switch: &RelaySwitch) -> Vec<ProbeResult> {
    let state = match switch.send(Command::State {}).await {
        // reported already
        Err(_) => return vec![],
        Ok(state) if switch.active_fault(&state).is_some() => return vec![],
        Ok(state) => state,
    };
    let passes = probe_link(switch, &state, "connect through").await;
    if passes.status == ProbeStatus::Error {
        return vec![passes];
    }
    let broken = match switch.cut().await {
        Ok(()) => ProbeResult::ok("break", switch.mode.to_string()),
        Err(e) => return vec![passes, ProbeResult::error("break", e.to_string(), START_RELAY)],
    };
    let affected = probe_effect(switch, &state.listen).await;
    let healed = match switch.heal().await {
        Ok(_) => probe_link(switch, &state, "heal, and connect through").await,
        Err(e) => ProbeResult::error("heal", e.to_string(), switch.how_to_heal()),
    };
    vec![passes, broken, affected, healed]
}

/// Whether the relay forwards a new connection: it stays open, and none waits for the upstream.
async fn probe_link(switch: &RelaySwitch, state: &RelayState, what: &str) -> ProbeResult {
    let check = format!("{what} {}", state.listen);
    let remedy = format!("check that `{}` accepts connections from the relay", state.upstream);
    let mut stream = match timeout(PROBE_TIMEOUT, TcpStream::connect(&state.listen)).await {
        Ok(Ok(stream)) => Some(stream),
        // the relay accepted it, and closed it at once
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionReset => None,
        Ok(Err(e)) => return ProbeResult::error(check, e.to_string(), START_RELAY),
        Err(_) => return ProbeResult::error(check, "no response", CHECK_FIREWALL),
    };
    let until = Instant::now() + FORWARD_TIMEOUT;
    loop {
        let received = match &mut stream {
            Some(stream) => timeout(SETTLE_TIME, stream.read(&mut [0; 1])).await,
            None => Ok(Ok(0)),
        };
        let now = switch.send(Command::State {}).await;
        match (received, now) {
            (Ok(Ok(1..)), _) => return ProbeResult::ok(check, "passes"),
            (Err(_), Ok(now)) if now.waiting == 0 => return ProbeResult::ok(check, "passes"),
            (Err(_), Ok(_)) if Instant::now() < until => {}
            (_, Ok(RelayState { upstream_error: Some(why), .. })) => {
                return ProbeResult::error(check, format!("closed: the upstream cannot be reached: {why}"), remedy);
            }
            (Ok(_), _) => return ProbeResult::error(check, "closed by the upstream", remedy),
            (Err(_), Ok(_)) => return ProbeResult::error(check, "the upstream does not respond", remedy),
            (Err(_), Err(e)) => return ProbeResult::error(check, e, START_RELAY),
        }
    }
}

/// Whether the active fault affects a new connection, and the relay counts it.
async fn probe_effect(switch: &RelaySwitch, listen: &str) -> ProbeResult {
    let check = format!("connect through {listen} meanwhile");
    let remedy = "check that no other process listens on this address";
    let mut stream = TcpStream::connect(listen).await;
    if switch.mode != FaultMode::Cut
        && let Ok(stream) = &mut stream
    {
        // these faults affect data only; an empty line does no harm
        let _ = stream.write_all(b"\r\n").await;
    }
    let until = Instant::now() + SETTLE_TIME;
    loop {
        let refused = match switch.send(Command::State {}).await {
            Ok(state) => state.refused(switch.mode),
            Err(e) => return ProbeResult::error(check, e, START_RELAY),
        };
        if refused > 0 {
            let connections = count(refused as usize, "connection");
            let effect = match switch.mode {
                FaultMode::Cut => "refused",
                FaultMode::Delay(_) => "delayed",
                FaultMode::Reset => "reset",
                FaultMode::Swallow => "without response",
                FaultMode::Throttle(_) => "throttled",
            };
            return ProbeResult::ok(check, format!("{connections} {effect}"));
        }
        if Instant::now() > until {
            return ProbeResult::error(check, "not affected by the fault", remedy);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Breaks and heals a fault that actions make, with the environment's own probe.
async fn try_actions(
    context: &RunContext,
    source: &dyn ObservationSource,
    name: &str,
    has_probe: bool,
) -> Vec<ProbeResult> {
    const FIX_PROBE: &str = "fix `probe`, or the connection";
    const FIX_DO: &str = "fix `do` of the fault: it does not break this connection";
    let (at, scope, effects) = (Address::new("doctor"), source.environment(), CaseEffects::default());
    let runner = ActionRunner::new(context, source, &effects, &scope);
    // healed even after a signal
    let healer = runner.clone().until(&context.kill, None);
    let mut lines = vec![];
    if has_probe {
        match runner.probe_fault(&at, name).await {
            Ok(()) => lines.push(ProbeResult::ok("probe", "passes")),
            Err(e) => return vec![ProbeResult::error("probe", e.to_string(), FIX_PROBE)],
        }
    } else {
        let found = "the fault has no `probe`, so its effect cannot be seen";
        lines.push(ProbeResult::warning("probe", found, "add `probe`: actions that pass while the connection works"));
    }
    let broken = runner.break_fault(&at, name).await;
    let is_broken = broken.is_ok();
    lines.push(match broken {
        Ok(()) => ProbeResult::ok("break", "done"),
        Err(e) => ProbeResult::error("break", e.to_string(), "fix `do` of the fault"),
    });
    if has_probe && is_broken {
        lines.push(match runner.probe_fault(&at, name).await {
            _ if context.cancel.is_cancelled() => ProbeResult::warning("probe meanwhile", "interrupted", "repeat it"),
            Ok(()) => ProbeResult::error("probe meanwhile", "passes", FIX_DO),
            Err(e) => ProbeResult::ok("probe meanwhile", format!("fails: {e}")),
        });
    }
    lines.push(match healer.heal_fault(&at, name).await {
        Err(e) => ProbeResult::error("heal", e.to_string(), "heal it by hand, and fix `heal` of the fault"),
        Ok(refused) => {
            let refused = refused.map(|n| format!(", {} refused", count(n as usize, "connection"))).unwrap_or_default();
            match has_probe {
                false => ProbeResult::ok("heal", format!("done{refused}")),
                true => match healer.probe_fault(&at, name).await {
                    Ok(()) => ProbeResult::ok("heal, and probe", format!("passes{refused}")),
                    Err(e) => ProbeResult::error(
                        "heal, and probe",
                        e.to_string(),
                        "heal it by hand, and fix `heal` of the fault",
                    ),
                },
            }
        }
    });
    lines
}
