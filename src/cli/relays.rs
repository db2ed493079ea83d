//! Starts the runner's relays and switches their faults. Faults with the same `listen` address share one relay.
use super::failure::Failure;
use crate::{
    engine::schedule::{Fault, Schedule},
    executor::{ActionError, FaultSwitch},
    plan::RelayFault,
    relay::{FaultMode, Relay},
};
use async_trait::async_trait;
use std::{collections::HashMap, net::SocketAddr, sync::Arc};

/// One fault of a relay.
struct RelayFaultSwitch {
    relay: Arc<Relay>,
    mode: FaultMode,
}

#[async_trait]
impl FaultSwitch for RelayFaultSwitch {
    async fn cut(&self) -> Result<(), ActionError> {
        self.relay.start_fault(self.mode);
        Ok(())
    }
    async fn heal(&self) -> Result<(), ActionError> {
        self.relay.stop_fault(self.mode);
        Ok(())
    }
    fn refused(&self) -> u64 {
        self.relay.affected_connections(self.mode)
    }
}

/// A relay that is listening, its upstream, and the first fault that uses it.
struct StartedRelay<'a> {
    listen: SocketAddr,
    upstream: &'a str,
    fault: &'a str,
    relay: Arc<Relay>,
}

/// Starts the relays of all faults, and returns a switch for each fault.
pub async fn start(schedule: &Schedule) -> Result<HashMap<String, Arc<dyn FaultSwitch>>, Failure> {
    let (mut switches, mut started) = (HashMap::new(), Vec::<StartedRelay<'_>>::new());
    for (name, fault) in &schedule.faults {
        let Fault::Relay { listen, upstream, how } = fault else { continue };
        let failed = |why: &str| Failure::unreachable(format!("error: the relay of the fault `{name}` {why}"));
        let address = listen
            .parse()
            .map_err(|_| failed(&format!("cannot listen on `{listen}`: expected IP address and port")))?;
        let relay = match started.iter().find(|s| s.listen == address) {
            Some(s) if s.upstream != upstream => {
                let (other, other_upstream) = (s.fault, s.upstream);
                return Err(Failure::usage(format!(
                    "error: the faults `{other}` and `{name}` share the relay at `{listen}`, but have different \
                     upstreams, `{other_upstream}` and `{upstream}`: use different `listen` addresses"
                )));
            }
            Some(s) => s.relay.clone(),
            None => {
                let relay =
                    Relay::bind(address).await.map_err(|e| failed(&format!("cannot listen on `{listen}`: {e}")))?;
                let resolved = tokio::net::lookup_host(upstream).await.ok().and_then(|mut a| a.next());
                relay.set_upstream(resolved.ok_or_else(|| failed(&format!("cannot resolve `{upstream}`")))?);
                let relay = Arc::new(relay);
                started.push(StartedRelay { listen: address, upstream, fault: name, relay: relay.clone() });
                relay
            }
        };
        let switch: Arc<dyn FaultSwitch> = Arc::new(RelayFaultSwitch { relay, mode: fault_mode(*how) });
        switches.insert(name.clone(), switch);
    }
    Ok(switches)
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
