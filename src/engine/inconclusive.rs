//! Reasons why a case is inconclusive: a fault that no connection met, a clock that jumped.
use super::context::RunContext;
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// Largest accepted difference between the wall clock and the monotonic clock. Slewing a clock stays below it.
const MAX_CLOCK_DRIFT: SignedDuration = SignedDuration::from_secs(1);

/// The reason for a fault during which no connection was attempted.
pub fn fault_not_met(name: &str) -> String {
    format!("no connection was attempted while the fault `{name}` was active")
}

/// Compares the wall clock with the monotonic clock.
pub struct ClockWatch {
    wall: Timestamp,
    monotonic: Instant,
}

impl ClockWatch {
    pub fn start(context: &RunContext) -> ClockWatch {
        ClockWatch { wall: (context.wall)(), monotonic: Instant::now() }
    }

    /// Says how far the wall clock has jumped since the start, if it has.
    pub fn jump(&self, context: &RunContext) -> Option<String> {
        let passed = SignedDuration::try_from(self.monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
        let drift = (context.wall)().duration_since(self.wall).saturating_sub(passed);
        let direction = if drift.is_negative() { "back" } else { "forward" };
        (drift.abs() > MAX_CLOCK_DRIFT).then(|| {
            format!("the clock jumped {direction} by {:#} during the case: its times are unreliable", drift.abs())
        })
    }
}
