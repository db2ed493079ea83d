//! The faults that a relay can inject.
use parking_lot::Mutex;
use std::{collections::HashSet, time::Duration};

/// What happens to the link while a fault is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMode {
    /// Connections are reset, and new ones are refused.
    Cut,
    /// Data is delayed by this much, in each direction.
    Delay(Duration),
    /// A connection is reset as soon as data is sent over it.
    Reset,
    /// Data is dropped and nothing responds. When the fault ends, connections that lost data are reset.
    Swallow,
    /// Bytes per second, for each connection and direction.
    Throttle(u64),
}

/// A fault since its start, and the connections it affected.
pub(super) struct ActiveFault {
    pub mode: FaultMode,
    affected: Mutex<HashSet<u64>>,
}

impl ActiveFault {
    pub fn new(mode: FaultMode) -> Self {
        ActiveFault { mode, affected: Mutex::default() }
    }

    pub fn record(&self, connection: u64) {
        self.affected.lock().insert(connection);
    }

    pub fn affected_count(&self) -> u64 {
        self.affected.lock().len() as u64
    }
}
