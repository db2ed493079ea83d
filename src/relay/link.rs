//! The state of a relay's link, shared with its connections.
use super::fault::{ActiveFault, FaultMode};
use std::{net::SocketAddr, sync::Arc};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(super) struct Link {
    pub upstream: Option<SocketAddr>,
    /// In the order of their start.
    pub faults: Vec<Arc<ActiveFault>>,
    /// Ends all current connections. A cut cancels it, and the end of the cut replaces it.
    pub alive: CancellationToken,
}

impl Link {
    /// The fault that decides what happens to data: a cut, otherwise the one started last.
    pub fn effective_fault(&self) -> Option<&Arc<ActiveFault>> {
        self.cut().or(self.faults.last())
    }

    pub fn cut(&self) -> Option<&Arc<ActiveFault>> {
        self.faults.iter().find(|f| f.mode == FaultMode::Cut)
    }
}
