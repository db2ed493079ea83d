//! The state of a relay's link, shared with its connections.
use super::fault::{ActiveFault, FaultMode};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(super) struct Link {
    /// Host and port, resolved for each connection.
    pub upstream: Option<Arc<str>>,
    /// In the order of their start.
    pub faults: Vec<Arc<ActiveFault>>,
    /// Ends all current connections. A cut cancels it, and the end of the cut replaces it.
    pub alive: CancellationToken,
    pub counts: Arc<Counts>,
}

/// The connections of a link.
#[derive(Default)]
pub(super) struct Counts {
    /// Connected on both sides.
    pub open: AtomicU64,
    /// Accepted, but not connected to the upstream yet.
    pub waiting: AtomicU64,
    /// Why the most recent connection to the upstream failed; `None` if it did not.
    pub upstream_error: Mutex<Option<String>>,
}

/// Counts one connection until it is dropped.
pub(super) struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    pub fn new(count: &'a AtomicU64) -> Counted<'a> {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
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
