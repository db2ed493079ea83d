//! The relays of an environment: starts those inside the runner, connects to those that are processes, and switches
//! their faults. Faults with the same `listen` address share one relay.
use super::failure::Failure;
use crate::{
    engine::schedule::{Fault, Schedule},
    executor::{ActionError, FaultSwitch},
    plan::{RelayFault, RelayPlace},
    relay::{Command, FaultMode, FaultState, Relay, RelayState, control::send},
    report::wording::count,
};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One fault of a relay.
#[derive(Clone)]
pub struct RelaySwitch {
    pub place: Place,
    pub mode: FaultMode,
}

#[derive(Clone)]
pub enum Place {
    Runner(Arc<Relay>),
    /// The control socket of a process.
    Process(PathBuf),
}

impl RelaySwitch {
    pub async fn send(&self, command: Command) -> Result<RelayState, String> {
        match &self.place {
            Place::Runner(relay) => Ok(relay.execute(command)),
            Place::Process(control) => send(control, command)
                .await
                .map_err(|e| format!("the relay does not respond at its control socket `{}`: {e}", control.display())),
        }
    }

    /// The problem of a relay that has an active fault before the run: another run left it behind, or uses it now.
    pub fn active_fault(&self, state: &RelayState) -> Option<String> {
        let Place::Process(control) = &self.place else { return None };
        let active = state.active().next()?;
        Some(format!("the relay at `{}` is broken: {}", control.display(), describe_fault(active)))
    }

    /// How to heal a relay that is broken.
    pub fn how_to_heal(&self) -> String {
        let Place::Process(control) = &self.place else { return "restart the run".into() };
        format!("if no other run uses it, heal it: `tp-runner relay heal --control {}`", control.display())
    }
}

#[async_trait]
impl FaultSwitch for RelaySwitch {
    async fn cut(&self) -> Result<(), ActionError> {
        self.send(Command::Break { fault: self.mode }).await.map(drop).map_err(ActionError::Invalid)
    }

    async fn heal(&self) -> Result<u64, ActionError> {
        let state = self.send(Command::Heal { fault: Some(self.mode) }).await.map_err(ActionError::Invalid)?;
        Ok(state.refused(self.mode))
    }
}

/// `cut since 2026-11-26 20:31:05 +00:00, 3 connections affected`.
pub fn describe_fault(fault: &FaultState) -> String {
    let FaultState { fault, active, since, refused } = fault;
    let since = since.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    let connections = count(*refused as usize, "connection");
    match active {
        true => format!("{fault} since {since}, {connections} affected"),
        false => format!("{fault} at {since}, healed, {connections} affected"),
    }
}

/// A relay that is listening, its upstream, and the first fault that uses it.
struct StartedRelay<'a> {
    listen: SocketAddr,
    upstream: &'a str,
    fault: &'a str,
    relay: Arc<Relay>,
}

/// A switch for each fault that is made by a relay. Starts the relays inside the runner. `dir` is the base of relative
/// paths.
pub async fn open(schedule: &Schedule, dir: &Path) -> Result<Vec<(String, RelaySwitch)>, Failure> {
    let (mut switches, mut started) = (vec![], Vec::<StartedRelay<'_>>::new());
    for (name, fault) in &schedule.faults {
        let Fault::Relay { relay, how } = fault else { continue };
        let place = match relay {
            RelayPlace::Runner { listen, upstream } => {
                Place::Runner(start_relay(name, listen, upstream, &mut started).await?)
            }
            RelayPlace::Process { control } => Place::Process(dir.join(control)),
        };
        switches.push((name.clone(), RelaySwitch { place, mode: fault_mode(*how) }));
    }
    Ok(switches)
}

async fn start_relay<'a>(
    fault: &'a str,
    listen: &str,
    upstream: &'a str,
    started: &mut Vec<StartedRelay<'a>>,
) -> Result<Arc<Relay>, Failure> {
    let failed = |why: &str| Failure::unreachable(format!("error: the relay of the fault `{fault}` {why}"));
    let address =
        listen.parse().map_err(|_| failed(&format!("cannot listen on `{listen}`: expected IP address and port")))?;
    match started.iter().find(|s| s.listen == address) {
        Some(s) if s.upstream != upstream => {
            let (other, other_upstream) = (s.fault, s.upstream);
            Err(Failure::usage(format!(
                "error: the faults `{other}` and `{fault}` share the relay at `{listen}`, but have different \
                 upstreams, `{other_upstream}` and `{upstream}`: use different `listen` addresses"
            )))
        }
        Some(s) => Ok(s.relay.clone()),
        None => {
            let relay = Relay::bind(address).await.map_err(|e| failed(&format!("cannot listen on `{listen}`: {e}")))?;
            if tokio::net::lookup_host(upstream).await.is_err() {
                return Err(failed(&format!("cannot resolve `{upstream}`")));
            }
            relay.set_upstream(upstream);
            let relay = Arc::new(relay);
            started.push(StartedRelay { listen: address, upstream, fault, relay: relay.clone() });
            Ok(relay)
        }
    }
}

/// The switches of all relay faults, by name. Fails if a relay does not respond, or is broken already.
pub async fn start(schedule: &Schedule, dir: &Path) -> Result<HashMap<String, Arc<dyn FaultSwitch>>, Failure> {
    let switches = open(schedule, dir).await?;
    for (name, switch) in &switches {
        let failed = |why, help| Failure::unreachable(format!("error: fault `{name}`: {why}\nhelp: {help}"));
        let state = switch.send(Command::State {}).await.map_err(|e| failed(e, START_RELAY.into()))?;
        if let Some(why) = switch.active_fault(&state) {
            return Err(failed(why, switch.how_to_heal()));
        }
    }
    Ok(by_name(switches))
}

pub const START_RELAY: &str = "start it with `tp-runner relay --listen ADDRESS --upstream ADDRESS --control SOCKET`";

pub fn by_name(switches: Vec<(String, RelaySwitch)>) -> HashMap<String, Arc<dyn FaultSwitch>> {
    switches.into_iter().map(|(name, switch)| (name, Arc::new(switch) as Arc<dyn FaultSwitch>)).collect()
}

fn fault_mode(how: RelayFault) -> FaultMode {
    match how {
        RelayFault::Cut => FaultMode::Cut,
        RelayFault::Delay(by) => FaultMode::Delay(by),
        RelayFault::Reset => FaultMode::Reset,
        RelayFault::Swallow => FaultMode::Swallow,
        RelayFault::Throttle(bytes) => FaultMode::Throttle(bytes),
    }
}
