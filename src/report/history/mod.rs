//! What many runs say of each case and each wait: how often a case passed, how often its verdict changed though nothing else did, and how
//! near the waits came to their limits. Runs are added one at a time and not kept.
#[cfg(test)]
mod tests;
pub mod view;

use super::run_index::{CaseEntry, RunIndex, WaitEntry};
use crate::outcome::{Tier, Verdict};
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// A wait is near its limit if it ever took this part of it.
const NEAR_LIMIT: f64 = 0.8;

/// The runs of any number of plans.
#[derive(Default)]
pub struct History(BTreeMap<PlanAndEnvironment, Group>);

/// The id of a plan, and the name of an environment.
type PlanAndEnvironment = (String, String);

/// The runs of one plan in one environment.
#[derive(Default)]
struct Group {
    title: String,
    runs: usize,
    first: Timestamp,
    last: Timestamp,
    /// The SHA-256 of the plan of the last run.
    digest: Option<String>,
    /// In the order of the last plan; cases that it does not have come first.
    cases: Vec<CaseHistory>,
}

struct CaseHistory {
    id: String,
    title: String,
    tier: Tier,
    /// Runs that decided it: it was neither interrupted nor skipped.
    runs: usize,
    /// Runs in which its first attempt passed.
    passed: usize,
    /// Runs in which it passed when it was tried again.
    flaky: usize,
    /// How often one run of a plan passed and the next one of the same plan did not, or the reverse.
    changes: usize,
    last: Verdict,
    /// The plan of the last run that decided it, and whether it passed.
    before: Option<(Option<String>, bool)>,
    waits: Vec<WaitHistory>,
}

struct WaitHistory {
    entry: WaitEntry,
    /// Of the runs in which it was satisfied.
    times: Vec<Duration>,
    /// Runs in which it was not.
    not_satisfied: usize,
    /// The largest part of its limit that it took.
    worst_part: f64,
}

impl History {
    /// Adds a run. The runs of a plan are added oldest first.
    pub fn add(&mut self, run: &RunIndex) {
        let start = &run.start;
        let group = self.0.entry((start.plan.id.clone(), start.environment.name.clone())).or_default();
        if group.runs == 0 {
            group.first = start.started;
        }
        group.runs += 1;
        group.last = start.started;
        group.title.clone_from(&start.plan.title);
        group.digest.clone_from(&start.plan.digest);
        for case in &run.cases {
            let mut history = match group.cases.iter().position(|c| c.id == case.outline.id) {
                Some(i) => group.cases.remove(i),
                None => CaseHistory::new(case),
            };
            history.add(case, start.plan.digest.as_ref());
            group.cases.push(history);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl CaseHistory {
    fn new(case: &CaseEntry) -> Self {
        CaseHistory {
            id: case.outline.id.clone(),
            title: String::new(),
            tier: case.outline.tier,
            runs: 0,
            passed: 0,
            flaky: 0,
            changes: 0,
            last: Verdict::Skipped,
            before: None,
            waits: vec![],
        }
    }

    fn add(&mut self, case: &CaseEntry, digest: Option<&String>) {
        self.title.clone_from(&case.outline.title);
        self.tier = case.outline.tier;
        if !case.has_run() {
            return;
        }
        self.last = case.verdict;
        for wait in case.earlier.iter().flat_map(|attempt| &attempt.waits).chain(&case.waits) {
            self.add_wait(wait);
        }
        if case.verdict == Verdict::Interrupted {
            return;
        }
        let passed = case.verdict == Verdict::Passed;
        self.runs += 1;
        self.passed += usize::from(passed);
        self.flaky += usize::from(case.verdict == Verdict::Flaky);
        if case.verdict == Verdict::Flaky {
            // it is counted as flaky, and the next run is not compared with it
            return;
        }
        let now = (digest.cloned(), case.is_accepted());
        if let (Some((Some(old), passed_before)), (Some(new), passed)) = (&self.before, &now)
            && old == new
            && passed_before != passed
        {
            self.changes += 1;
        }
        self.before = Some(now);
    }

    fn add_wait(&mut self, wait: &WaitEntry) {
        let known = match self.waits.iter().position(|w| w.entry.is_same(wait)) {
            Some(i) => &mut self.waits[i],
            None => {
                let new = WaitHistory { entry: wait.clone(), times: vec![], not_satisfied: 0, worst_part: 0.0 };
                self.waits.push(new);
                let last = self.waits.len() - 1;
                &mut self.waits[last]
            }
        };
        known.entry.clone_from(wait);
        match wait.held_after {
            Some(time) => {
                known.times.push(time);
                let part = time.as_secs_f64() / wait.limit.as_secs_f64().max(f64::MIN_POSITIVE);
                known.worst_part = known.worst_part.max(part);
            }
            None => known.not_satisfied += 1,
        }
    }
}

impl WaitHistory {
    /// Of an even number of times, the longer of the two in the middle.
    fn median(&self) -> Option<Duration> {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    fn worst(&self) -> Option<Duration> {
        self.times.iter().max().copied()
    }

    fn is_near_limit(&self) -> bool {
        self.worst_part >= NEAR_LIMIT
    }
}
