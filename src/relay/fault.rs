//! The faults that a relay can inject.
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, fmt, str::FromStr, time::Duration};

/// What happens to the link while a fault is active. As a text: `cut`, `delay 2s`, `reset`, `swallow`, `throttle 2000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
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

impl fmt::Display for FaultMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultMode::Cut => f.write_str("cut"),
            FaultMode::Delay(by) => write!(f, "delay {}", humantime::format_duration(*by)),
            FaultMode::Reset => f.write_str("reset"),
            FaultMode::Swallow => f.write_str("swallow"),
            FaultMode::Throttle(rate) => write!(f, "throttle {rate}"),
        }
    }
}

impl FromStr for FaultMode {
    type Err = String;

    fn from_str(text: &str) -> Result<FaultMode, String> {
        let (mode, value) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let parsed = match (mode, value) {
            ("cut", "") => Some(FaultMode::Cut),
            ("reset", "") => Some(FaultMode::Reset),
            ("swallow", "") => Some(FaultMode::Swallow),
            ("delay", by) => humantime::parse_duration(by).ok().map(FaultMode::Delay),
            ("throttle", rate) => rate.parse().ok().filter(|rate| *rate > 0).map(FaultMode::Throttle),
            _ => None,
        };
        parsed.ok_or_else(|| {
            format!(
                "expected `cut`, `reset`, `swallow`, `delay 2s` or `throttle 2000` (bytes per second), found `{text}`"
            )
        })
    }
}

impl From<FaultMode> for String {
    fn from(mode: FaultMode) -> String {
        mode.to_string()
    }
}

impl TryFrom<String> for FaultMode {
    type Error = String;

    fn try_from(text: String) -> Result<FaultMode, String> {
        text.parse()
    }
}

/// A fault since its start, and the connections it affected.
pub(super) struct ActiveFault {
    pub mode: FaultMode,
    pub since: Timestamp,
    affected: Mutex<HashSet<u64>>,
}

impl ActiveFault {
    pub fn new(mode: FaultMode) -> Self {
        ActiveFault { mode, since: Timestamp::now(), affected: Mutex::default() }
    }

    pub fn record(&self, connection: u64) {
        self.affected.lock().insert(connection);
    }

    pub fn affected_count(&self) -> u64 {
        self.affected.lock().len() as u64
    }
}
