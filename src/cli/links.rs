//! The runner's own relays, as faults that can be switched. Faults that listen at the same address share one relay.
use super::{exit, failure::Failure};
use crate::{
    engine::schedule::{Fault, Schedule},
    executor::{ActionError, Link},
    plan::RelayFault,
    relay::{self, Relay},
};
use async_trait::async_trait;
use std::{net::SocketAddr, sync::Arc};

/// What one fault does to the link of a relay.
pub struct RelayLink {
    pub relay: Arc<Relay>,
    fault: relay::FaultMode,
}

#[async_trait]
impl Link for RelayLink {
    async fn cut(&self) -> Result<(), ActionError> {
        self.relay.start_fault(self.fault);
        Ok(())
    }
    async fn heal(&self) -> Result<(), ActionError> {
        self.relay.stop_fault(self.fault);
        Ok(())
    }
    fn refused(&self) -> u64 {
        self.relay.affected_connections(self.fault)
    }
}

/// A relay that listens, what it leads to, and the fault that wanted it first.
struct Standing<'a> {
    listen: SocketAddr,
    upstream: &'a str,
    fault: &'a str,
    relay: Arc<Relay>,
}

pub async fn links(schedule: &Schedule) -> Result<Vec<(String, Arc<RelayLink>)>, Failure> {
    let (mut links, mut standing): (Vec<_>, Vec<Standing<'_>>) = (vec![], vec![]);
    for (name, fault) in &schedule.faults {
        let Fault::Relay { listen, upstream, how } = fault else { continue };
        let failed = |what: &str| Failure {
            message: format!("error: the relay of the fault `{name}` {what}"),
            code: exit::UNREACHABLE,
        };
        let address = listen.parse().map_err(|_| failed(&format!("cannot listen on `{listen}`: no address")))?;
        let relay = match standing.iter().find(|s| s.listen == address) {
            Some(s) if s.upstream != upstream => {
                let (other, there) = (s.fault, s.upstream);
                return Err(Failure::usage(format!(
                    "error: the faults `{other}` and `{name}` share the relay at `{listen}`, and it cannot lead both to \
                     `{there}` and to `{upstream}`: give one of them another `listen`"
                )));
            }
            Some(s) => s.relay.clone(),
            None => {
                let relay =
                    Relay::bind(address).await.map_err(|e| failed(&format!("cannot listen on `{listen}`: {e}")))?;
                let found = tokio::net::lookup_host(upstream).await.ok().and_then(|mut a| a.next());
                relay.set_upstream(found.ok_or_else(|| failed(&format!("does not know the host of `{upstream}`")))?);
                let relay = Arc::new(relay);
                standing.push(Standing { listen: address, upstream, fault: name, relay: relay.clone() });
                relay
            }
        };
        links.push((name.clone(), Arc::new(RelayLink { relay, fault: wanted(*how) })));
    }
    Ok(links)
}

fn wanted(how: RelayFault) -> relay::FaultMode {
    match how {
        RelayFault::Cut => relay::FaultMode::Cut,
        RelayFault::Delay(by) => relay::FaultMode::Delay(by),
        RelayFault::Reset => relay::FaultMode::Reset,
        RelayFault::Swallow => relay::FaultMode::Swallow,
        RelayFault::Throttle(bytes) => relay::FaultMode::Throttle(bytes),
    }
}
