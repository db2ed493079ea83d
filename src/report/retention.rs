//! Limits what is kept of a run, so that memory does not grow with the number of items of a `foreach`.
use super::{
    plan_order::PlanOrder,
    run_index::{ActionEntry, MAX_ACTIONS, PassedAssertion, TimelineEntry},
    wording,
};
use crate::{
    address::Address,
    event::{AssertionResult, Evidence, EvidenceKind},
    secrets::before_token,
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Observations kept of a case.
const MAX_INPUTS: usize = 512;
/// Actions kept that passed inside one that still runs.
pub const MAX_INNER_ACTIONS: usize = 16;
/// Assertion results kept per action that did not pass, and per action that did.
pub const MAX_RESULTS: usize = 100;
pub const MAX_RESULTS_PASSED: usize = 4;
/// Distinct passed assertions kept per sentence.
pub const MAX_PASSED_ASSERTIONS: usize = 64;
pub const MAX_TIMELINE_ENTRIES: usize = 64;
pub const MAX_TEXT_BYTES: usize = 16 << 10;

/// The first [`MAX_ACTIONS`] actions in the plan's order, separately for quiet ones (passed, skipped) and all others.
#[derive(Clone, Default)]
pub struct RetainedActions {
    quiet: BTreeMap<PlanOrder, ActionEntry>,
    failed: BTreeMap<PlanOrder, ActionEntry>,
    failed_count: usize,
}

impl RetainedActions {
    pub fn add(&mut self, order: PlanOrder, action: ActionEntry, is_quiet: bool) {
        self.failed_count += usize::from(!is_quiet);
        let retained = if is_quiet { &mut self.quiet } else { &mut self.failed };
        retained.insert(order, action);
        if retained.len() > MAX_ACTIONS {
            retained.pop_last();
        }
    }

    /// In the plan's order.
    pub fn list(&self) -> Vec<ActionEntry> {
        let mut all: Vec<_> = self.quiet.iter().chain(&self.failed).collect();
        all.sort_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, a)| a.clone()).collect()
    }

    /// Number of dropped actions that neither passed nor were skipped.
    pub fn omitted(&self) -> usize {
        self.failed_count.saturating_sub(self.failed.len())
    }
}

/// Observations that others judge, of one case: the first [`MAX_ACTIONS`] of each action that makes or contains them.
#[derive(Default)]
pub struct RetainedInputs {
    by_action: BTreeMap<Address, BTreeMap<PlanOrder, ActionEntry>>,
    count: usize,
}

impl RetainedInputs {
    /// `action`: the one that makes or contains it, without items.
    pub fn add(&mut self, action: Address, order: PlanOrder, entry: ActionEntry) {
        let retained = self.by_action.entry(action).or_default();
        self.count += usize::from(retained.insert(order, entry).is_none());
        let is_full = retained.len() > MAX_ACTIONS;
        let largest = if is_full { Some(retained) } else { None };
        let largest = match largest {
            None if self.count > MAX_INPUTS => self.by_action.values_mut().max_by_key(|r| r.len()),
            largest => largest,
        };
        self.count -= usize::from(largest.and_then(BTreeMap::pop_last).is_some());
    }

    /// In the plan's order.
    pub fn list(&self) -> Vec<ActionEntry> {
        let all: BTreeMap<_, _> = self.by_action.values().flatten().collect();
        all.into_values().cloned().collect()
    }
}

/// Counts passed assertions by subject and value; keeps those of the outermost actions that come first in the plan.
#[derive(Default)]
pub struct PassedAssertions(HashMap<(String, String), (Rank, PassedAssertion)>);

/// Depth of the action, its place in the plan, and the index of the assertion.
type Rank = (usize, PlanOrder, usize);

impl PassedAssertions {
    pub fn add(&mut self, order: &PlanOrder, results: &[AssertionResult]) {
        for (n, f) in results.iter().enumerate().filter(|(_, f)| f.holds).take(MAX_PASSED_ASSERTIONS) {
            let (subject, actual) = wording::subject_and_value(f);
            let key = (shorten(subject), actual.map(shorten).unwrap_or_default());
            let rank = (order.depth(), order.clone(), n);
            if let Some((first, passed)) = self.0.get_mut(&key) {
                passed.count += 1;
                if rank < *first {
                    *first = rank;
                }
                continue;
            }
            self.0.insert(key, (rank, PassedAssertion { result: shorten_result(f), count: 1 }));
            if self.0.len() > MAX_PASSED_ASSERTIONS
                && let Some(last) = self.0.iter().max_by_key(|(_, (rank, _))| rank).map(|(key, _)| key.clone())
            {
                self.0.remove(&last);
            }
        }
    }

    pub fn list(&self) -> Vec<PassedAssertion> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_by_key(|(rank, _)| rank);
        all.into_iter().map(|(_, passed)| passed.clone()).collect()
    }
}

/// Appends an attempt to a timeline: it extends the last entry if the message is the same.
pub fn add_to_timeline(timeline: &mut Vec<TimelineEntry>, since: Duration, message: String) {
    match timeline.last_mut() {
        Some(last) if last.message == message => last.attempts += 1,
        _ => timeline.push(TimelineEntry { since, message, attempts: 1 }),
    }
    // Drops entries from the middle: the first and the last attempts are more useful.
    if timeline.len() > MAX_TIMELINE_ENTRIES {
        timeline.remove(MAX_TIMELINE_ENTRIES / 2);
    }
}

pub fn shorten_result(f: &AssertionResult) -> AssertionResult {
    AssertionResult {
        subject: shorten(&f.subject),
        holds: f.holds,
        inconclusive: f.inconclusive,
        expected: shorten(&f.expected),
        actual: shorten(&f.actual),
        operands: f.operands.iter().take(MAX_RESULTS).map(|(a, b)| (shorten(a), shorten(b))).collect(),
        location: f.location.clone(),
        assertion: None,
    }
}

pub fn shorten_evidence(kind: EvidenceKind, text: &str) -> Evidence {
    Evidence { kind, text: shorten(text) }
}

/// At most [`MAX_TEXT_BYTES`] of a text.
pub fn shorten(text: &str) -> String {
    match text.len() > MAX_TEXT_BYTES {
        true => format!("{}…", &text[..before_token(text, text.floor_char_boundary(MAX_TEXT_BYTES))]),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_timeline_keeps_both_ends() {
        let mut timeline = Vec::new();
        for n in 0..10_000u64 {
            add_to_timeline(&mut timeline, Duration::from_millis(n), format!("{n}"));
        }
        assert_eq!(timeline.len(), MAX_TIMELINE_ENTRIES);
        let (first, last) = (&timeline[0], &timeline[MAX_TIMELINE_ENTRIES - 1]);
        assert_eq!((first.message.as_str(), last.message.as_str()), ("0", "9999"));
    }
}
