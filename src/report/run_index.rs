//! The index of a run, from which every report is written: data and queries, without formatting.
use super::wording;
use crate::{
    address::Address,
    event::{AssertionResult, CaseOutline, Evidence, RunStarted, SentenceOutline},
    outcome::{Blame, Status, Verdict},
    source::Location,
};
use std::{borrow::Cow, time::Duration};

/// A run, complete or not.
#[derive(Clone, Debug)]
pub struct RunIndex {
    /// False when the journal has no `run-started` event; all other fields are empty then.
    pub has_started: bool,
    /// Whether the `run-finished` event was seen.
    pub complete: bool,
    pub cancelled: bool,
    pub start: RunStarted,
    /// For an incomplete run: the time up to its last event.
    pub took: Duration,
    /// In the plan's order, including cases that were not selected.
    pub cases: Vec<CaseEntry>,
    /// Actions outside of cases, such as the environment's setup, that did not pass.
    pub outside_cases: Vec<ActionEntry>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct CaseEntry {
    pub outline: CaseOutline,
    pub verdict: Verdict,
    pub blame: Option<Blame>,
    pub reason: Option<String>,
    pub took: Duration,
    /// The time limit, if the case ran out of time.
    pub out_of_time: Option<Duration>,
    /// In the plan's order.
    pub sentences: Vec<SentenceEntry>,
    /// How many undo entries were carried out.
    pub undone_count: usize,
    /// Undo entries that failed or were never tried.
    pub not_undone: Vec<UndoEntry>,
    /// Evidence collected by `on_failure`.
    pub on_failure: Vec<ActionEntry>,
}

#[derive(Clone, Debug)]
pub struct SentenceEntry {
    pub outline: SentenceOutline,
    pub status: Status,
    pub reason: Option<String>,
    /// Distinct assertions that held, those of the outermost actions first.
    pub passed: Vec<PassedAssertion>,
    /// In the plan's order.
    pub actions: Vec<ActionEntry>,
    /// Number of actions that did not pass and were dropped to bound memory.
    pub omitted: usize,
}

#[derive(Clone, Debug)]
pub struct PassedAssertion {
    pub result: AssertionResult,
    pub count: usize,
}

#[derive(Clone, Debug)]
pub struct ActionEntry {
    pub address: Address,
    pub summary: String,
    pub location: Option<Location>,
    pub status: Status,
    /// Assertions that do not hold come first.
    pub results: Vec<AssertionResult>,
    /// Number of unmet assertions that were dropped to bound memory.
    pub omitted: usize,
    pub reason: Option<String>,
    pub attempts: u32,
    pub took: Duration,
    /// Empty for a single attempt.
    pub timeline: Vec<TimelineEntry>,
    /// Evidence of the last attempt; kept only if the action did not pass.
    pub evidence: Vec<Evidence>,
}

/// Consecutive attempts with the same outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// Time from the action's first attempt to the first attempt of this entry.
    pub since: Duration,
    pub message: String,
    pub attempts: u32,
}

#[derive(Clone, Debug)]
pub struct UndoEntry {
    pub address: Address,
    pub summary: String,
    pub location: Option<Location>,
    /// `None`: never tried.
    pub status: Option<Status>,
    pub reason: Option<String>,
    /// The actions of the undo that did not pass.
    pub actions: Vec<ActionEntry>,
}

impl CaseEntry {
    /// Whether the case ran and did not pass.
    pub fn has_problem(&self) -> bool {
        !matches!(self.verdict, Verdict::Passed | Verdict::Skipped)
    }

    /// The reason, unless a sentence of the case states the same.
    pub fn own_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|r| !self.sentences.iter().any(|s| s.reason.as_deref() == Some(r)))
    }

    /// The first of the sentences with the most severe status; `None` if all passed.
    pub fn worst_sentence(&self) -> Option<&SentenceEntry> {
        let worst = self.sentences.iter().map(|s| s.status).filter(|m| m.is_unsuccessful()).reduce(Status::worst)?;
        self.sentences.iter().find(|s| s.status == worst)
    }
}

impl SentenceEntry {
    /// The actions that failed themselves, without those that only contain a failed action.
    pub fn causes(&self) -> Vec<&ActionEntry> {
        let failed = || self.actions.iter().filter(|a| a.status.is_unsuccessful());
        let contains_failed =
            |a: &ActionEntry| failed().any(|b| b.address != a.address && b.address.is_within(&a.address));
        failed().filter(|a| a.unmet().next().is_some() || !contains_failed(a)).collect()
    }

    /// Why the sentence did not pass, in one line, and the location in the plan to inspect first.
    pub fn worst_cause(&self) -> (Option<String>, &Location) {
        let causes = self.causes();
        let worst = causes.iter().map(|c| c.status).reduce(Status::worst);
        let Some(cause) = causes.iter().find(|c| Some(c.status) == worst) else {
            return (self.reason.clone(), &self.outline.location);
        };
        let unmet = wording::all_unmet(&cause.results);
        let why = if unmet.is_empty() { cause.reason.clone().or_else(|| self.reason.clone()) } else { Some(unmet) };
        (why, cause.location().unwrap_or(&self.outline.location))
    }

    /// The reason, unless one of the causes states the same.
    pub fn own_reason(&self) -> Option<&str> {
        let stated_by = |c: &ActionEntry, reason: &str| {
            wording::restates(reason, &c.results) || c.reason.as_ref().is_some_and(|r| reason.contains(r.as_str()))
        };
        let causes = self.causes();
        self.reason.as_deref().filter(|reason| !causes.iter().any(|c| stated_by(c, reason)))
    }

    /// The actions that contain `action`, outermost first.
    pub fn ancestors(&self, action: &ActionEntry) -> Vec<&ActionEntry> {
        let contains = |a: &&ActionEntry| a.address != action.address && action.address.is_within(&a.address);
        self.actions.iter().filter(contains).collect()
    }
}

impl ActionEntry {
    pub fn unmet(&self) -> impl Iterator<Item = &AssertionResult> {
        self.results.iter().filter(|f| !f.holds)
    }

    /// The reason, unless the assertion results state the same.
    pub fn own_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|r| !wording::restates(r, &self.results))
    }

    /// Indices of the enclosing `foreach` items, outermost first.
    pub fn items(&self) -> Vec<Cow<'_, str>> {
        self.address.items().collect()
    }

    /// The location of the first unmet assertion, otherwise of the action.
    pub fn location(&self) -> Option<&Location> {
        self.unmet().find_map(|f| f.location.as_ref()).or(self.location.as_ref())
    }
}
