//! The runner's own relays, as faults that can be switched.
use super::{Failure, exit};
use crate::{
    engine::schedule::{Fault, Schedule},
    executor::{Link, StepError},
    relay::Relay,
};
use async_trait::async_trait;
use std::sync::Arc;

/// A relay of our own, as a fault that can be switched.
pub struct RelayLink {
    pub relay: Relay,
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

pub async fn links(schedule: &Schedule) -> Result<Vec<(String, Arc<RelayLink>)>, Failure> {
    let mut links = vec![];
    for (name, fault) in &schedule.faults {
        let Fault::Relay { listen, upstream, .. } = fault else { continue };
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
