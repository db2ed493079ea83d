//! `eventually`, `always` and `give_up_if`: decides after each attempt whether another one follows.
use super::{
    backoff::Backoff,
    schedule::ScheduledAction,
    times::{DurationError, render_duration},
};
use crate::expr::{Expression, Scope};
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
    pace: Backoff,
    /// Number of attempts so far.
    pub attempts: u32,
}

impl<'a> Wait<'a> {
    pub fn new(action: &'a ScheduledAction, scope: &Scope) -> Result<Self, DurationError> {
        let eventually = action.eventually.as_ref().map(|t| render_duration(t, scope)).transpose()?;
        let always = action.always.as_ref().map(|t| render_duration(t, scope)).transpose()?;
        Ok(Wait {
            eventually,
            always,
            give_up_if: action.give_up_if.as_ref(),
            until: eventually.or(always).map(|d| Instant::now() + d),
            // `always` without `eventually` holds from the first attempt on
            must_keep_holding: eventually.is_none() && always.is_some(),
            given_up: false,
            pace: Backoff::default(),
            attempts: 0,
        })
    }

    pub fn pace(&mut self) -> Duration {
        self.pace.next().unwrap_or_default()
    }

    /// When the next attempt is cut off. The first attempt of an `always` is not: it may take longer than the window.
    pub fn observe_until(&self) -> Option<Instant> {
        self.until.filter(|_| !(self.must_keep_holding && self.attempts == 0))
    }

    /// Decides after an observation: `Some` with whether the action holds, or `None` for another attempt.
    pub fn decide(&mut self, holds: bool, with_output: &Scope) -> Option<bool> {
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

    /// Why the action failed, where the results of the last attempt do not say it.
    pub fn reason(&self) -> Option<String> {
        if self.given_up {
            self.give_up_if.map(|e| format!("given up: `{}`", e.text()))
        } else if self.must_keep_holding {
            Some(format!("stopped holding within {}", format(self.always)))
        } else if self.eventually.is_some() {
            Some(format!("condition not met within {} ({} attempts)", format(self.eventually), self.attempts))
        } else {
            None
        }
    }
}

fn format(d: Option<Duration>) -> String {
    d.map_or_else(String::new, |d| humantime::format_duration(d).to_string())
}
