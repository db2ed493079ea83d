//! The commands of a relay, and its state.
use super::fault::FaultMode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Command {
    State {},
    Break {
        #[serde(default = "cut")]
        fault: FaultMode,
    },
    /// Without `fault`: heals all faults.
    Heal {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<FaultMode>,
    },
}

fn cut() -> FaultMode {
    FaultMode::Cut
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayState {
    pub listen: String,
    pub upstream: String,
    /// Connections that are connected to the upstream.
    pub open: u64,
    /// Connections that wait for the upstream to accept them.
    pub waiting: u64,
    /// Why the most recent connection to the upstream failed.
    pub upstream_error: Option<String>,
    /// The most recent start of each fault.
    pub faults: Vec<FaultState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultState {
    pub fault: FaultMode,
    pub active: bool,
    pub since: Timestamp,
    /// Connections that it affected.
    pub refused: u64,
}

impl RelayState {
    /// The faults that are active.
    pub fn active(&self) -> impl Iterator<Item = &FaultState> {
        self.faults.iter().filter(|f| f.active)
    }

    /// How many connections the last start of a fault affected.
    pub fn refused(&self, fault: FaultMode) -> u64 {
        self.faults.iter().find(|f| f.fault == fault).map_or(0, |f| f.refused)
    }
}
