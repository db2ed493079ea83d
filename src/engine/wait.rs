//! `eventually`, `always` and `give_up_if`: what a look means for the looks that follow. Owns when looking is over; knows neither what
//! is looked at nor how.
use super::{backoff::Backoff, schedule::ScheduledAction, step::span};
use crate::expr::{Expression, Scope};
use std::time::Duration;
use tokio::time::Instant;

pub struct Wait<'a> {
    pub eventually: Option<Duration>,
    always: Option<Duration>,
    give_up_if: Option<&'a Expression>,
    pub until: Option<Instant>,
    /// It holds, and must go on doing so.
    staying: bool,
    given_up: bool,
    pace: Backoff,
    /// How many looks there were.
    pub count: u32,
}

impl<'a> Wait<'a> {
    /// The error says why a duration could not be read.
    pub fn new(step: &'a ScheduledAction, scope: &Scope) -> Result<Self, String> {
        let eventually = step.eventually.as_ref().map(|t| span(t, scope)).transpose()?;
        let always = step.always.as_ref().map(|t| span(t, scope)).transpose()?;
        Ok(Wait {
            eventually,
            always,
            give_up_if: step.give_up_if.as_ref(),
            until: eventually.or(always).map(|d| Instant::now() + d),
            // `always` alone must hold from the first look on
            staying: eventually.is_none() && always.is_some(),
            given_up: false,
            pace: Backoff::default(),
            count: 0,
        })
    }

    pub fn pace(&mut self) -> Duration {
        self.pace.next().unwrap_or_default()
    }

    /// When the next look is cut off. The first of an `always` is not: what takes longer than the window was not wrong for that.
    pub fn cut(&self) -> Option<Instant> {
        self.until.filter(|_| !(self.staying && self.count == 0))
    }

    /// After a look that saw something: whether it is decided, and how. `None`: look again.
    pub fn decide(&mut self, holds: bool, seen: &Scope) -> Option<bool> {
        match (holds, self.staying) {
            (true, false) => match self.always {
                Some(stays) => {
                    self.staying = true;
                    self.until = Some(Instant::now() + stays);
                    None
                }
                None => Some(true),
            },
            (true, true) => None,
            (false, true) => Some(false),
            (false, false) if self.eventually.is_none() => Some(false),
            (false, false) => {
                self.given_up = self.give_up_if.is_some_and(|e| e.holds(seen) == Ok(true));
                self.given_up.then_some(false)
            }
        }
    }

    /// Whether a look that could not ask is one like any other.
    pub fn forgives(&self) -> bool {
        self.eventually.is_some() && !self.staying
    }

    /// The time is over: whether what was asked held.
    pub fn over(&self) -> bool {
        self.staying && self.count > 0
    }

    /// Why it is red, where what was asked of the last look does not say it.
    pub fn reason(&self) -> Option<String> {
        if self.given_up {
            self.give_up_if.map(|e| format!("given up: `{}`", e.text()))
        } else if self.staying {
            Some(format!("it did not stay so for {}", shown(self.always)))
        } else if self.eventually.is_some() {
            Some(format!("it did not become so within {} ({} looks)", shown(self.eventually), self.count))
        } else {
            None
        }
    }
}

fn shown(d: Option<Duration>) -> String {
    d.map_or_else(String::new, |d| humantime::format_duration(d).to_string())
}
