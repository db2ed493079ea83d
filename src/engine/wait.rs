//! `eventually`, `always` and `give_up_if`: decides after each attempt whether another one follows.
use super::{
    schedule::ScheduledAction,
    times::{DurationError, render_duration},
};
use crate::{
    event::WaitOutcome,
    expr::{Expression, Scope, Template},
    value::Value,
};
use std::time::Duration;
use tokio::time::Instant;

pub struct Wait<'a> {
    pub eventually: Option<Duration>,
    always: Option<Duration>,
    give_up_if: Option<&'a Expression>,
    pub until: Option<Instant>,
    /// The assertions hold, and must keep holding until the end.
    must_keep_holding: bool,
    given_up: bool,
    begun: Instant,
    /// When the assertions held for the first time, from the start.
    held_after: Option<Duration>,
    /// Number of attempts so far.
    pub attempts: u32,
}

impl<'a> Wait<'a> {
    /// With `once`, there is one attempt.
    pub fn new(action: &'a ScheduledAction, scope: &Scope, once: bool) -> Result<Self, DurationError> {
        let render = |t: &Option<Template>| t.as_ref().filter(|_| !once).map(|t| render_duration(t, scope)).transpose();
        let (eventually, always) = (render(&action.eventually)?, render(&action.always)?);
        let begun = Instant::now();
        Ok(Wait {
            eventually,
            always,
            give_up_if: action.give_up_if.as_ref(),
            until: eventually.or(always).map(|d| begun + d),
            // `always` without `eventually` holds from the first attempt on
            must_keep_holding: eventually.is_none() && always.is_some(),
            given_up: false,
            begun,
            held_after: None,
            attempts: 0,
        })
    }

    /// Time to wait before the next attempt where the target does not report changes itself.
    pub fn pace(&self) -> Duration {
        pace(self.attempts)
    }

    /// When the next attempt is cut off. The first attempt of an `always` is not: it may take longer than the window.
    pub fn observe_until(&self) -> Option<Instant> {
        self.until.filter(|_| !(self.must_keep_holding && self.attempts == 0))
    }

    /// Whether an output came after the end of an `eventually`: it proves nothing about the time before. Decided by its recorded time, so
    /// that a replay agrees; in a live run by the monotonic clock too, since the wall clock may jump.
    pub fn is_late(&self, output: &Value, live: bool) -> bool {
        let (Some(limit), Some(Value::Duration(took))) = (self.eventually, output.get("took")) else { return false };
        !self.must_keep_holding
            && Duration::try_from(*took).is_ok_and(|took| took > limit)
            && (!live || self.until.is_some_and(|until| Instant::now() >= until))
    }

    /// Decides after an observation: `Some` with whether the action holds, or `None` for another attempt.
    pub fn decide(&mut self, holds: bool, with_output: &Scope) -> Option<bool> {
        if holds {
            self.held_after.get_or_insert_with(|| self.begun.elapsed());
        }
        match (holds, self.must_keep_holding) {
            (true, false) => match self.always {
                Some(window) => {
                    self.must_keep_holding = true;
                    self.until = Some(Instant::now() + window);
                    None
                }
                None => Some(true),
            },
            (true, true) => None,
            (false, true) => Some(false),
            (false, false) if self.eventually.is_none() => Some(false),
            (false, false) => {
                self.given_up = self.give_up_if.is_some_and(|e| e.holds(with_output) == Ok(true));
                self.given_up.then_some(false)
            }
        }
    }

    /// Whether another attempt may follow one that failed with an error.
    pub fn retries_errors(&self) -> bool {
        self.eventually.is_some() && !self.must_keep_holding
    }

    /// At the end of the time: whether the assertions held as long as they had to.
    pub fn held_to_the_end(&self) -> bool {
        self.must_keep_holding && self.attempts > 0
    }

    /// What an `eventually` came to.
    pub fn outcome(&self) -> Option<WaitOutcome> {
        self.eventually.map(|limit| WaitOutcome { limit, held_after: self.held_after })
    }

    /// Why the action failed, where the results of the last attempt do not say it.
    pub fn reason(&self) -> Option<String> {
        let within = |d: Option<Duration>| humantime::format_duration(d.unwrap_or_default());
        if self.given_up {
            self.give_up_if.map(|e| format!("given up: `{}`", e.text()))
        } else if self.must_keep_holding {
            Some(format!("stopped holding within {}", within(self.always)))
        } else if self.eventually.is_some() {
            Some(format!("condition not met within {} ({} attempts)", within(self.eventually), self.attempts))
        } else {
            None
        }
    }
}

/// 10 ms, then 1.5 times as long each time, up to 250 ms.
fn pace(attempts: u32) -> Duration {
    Duration::from_secs_f64((0.010 * 1.5f64.powi(attempts.min(20) as i32)).min(0.250))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_grows_up_to_the_maximum() {
        let paces: Vec<_> = (0..20).map(|n| pace(n).as_millis()).collect();
        assert_eq!((paces[0], paces[1], paces[19]), (10, 15, 250));
        assert!(paces.windows(2).all(|w| w[0] <= w[1]));
    }
}
