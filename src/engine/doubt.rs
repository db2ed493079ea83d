//! What makes a case inconclusive: a race that was none, a fault that nobody met, a clock that jumped. Whatever it seemed to prove
//! it has not proved. Owns the reasons and the clock's watch; what follows from them is the case's.
use super::run::RunContext;
use jiff::{SignedDuration, Timestamp};
use std::{sync::Mutex, time::Instant};

/// How far the wall clock and the time that passed may part before times are no longer compared. Clocks are slewed by less.
const JUMP: SignedDuration = SignedDuration::from_secs(1);

#[derive(Default)]
pub struct Doubts(Mutex<Vec<String>>);

impl Doubts {
    pub fn cast(&self, why: impl Into<String>) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(why.into());
    }

    pub fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).first().cloned()
    }
}

/// The wall clock beside one that only passes.
pub struct Watch {
    wall: Timestamp,
    passing: Instant,
}

impl Watch {
    pub fn start(context: &RunContext) -> Watch {
        Watch { wall: (context.wall)(), passing: Instant::now() }
    }

    /// How far the wall clock has jumped since, in words, if it has.
    pub fn jumped(&self, context: &RunContext) -> Option<String> {
        let passed = SignedDuration::try_from(self.passing.elapsed()).unwrap_or(SignedDuration::MAX);
        let off = (context.wall)().duration_since(self.wall).saturating_sub(passed);
        let way = if off.is_negative() { "back" } else { "forward" };
        (off.abs() > JUMP)
            .then(|| format!("the clock jumped {way} by {:#} while the case ran: no time can be trusted", off.abs()))
    }
}
