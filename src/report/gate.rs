//! Computes the verdict of a run from its cases and the tiers of the gate.
use super::run_index::{CaseEntry, RunIndex};
use crate::outcome::{Blame, Tier, Verdict};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The tiers that occur in the plan.
    pub tiers: Vec<TierCount>,
    pub verdict: RunVerdict,
    /// Number of deciding cases that passed, and of all deciding cases.
    pub passed: usize,
    pub deciding: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierCount {
    pub tier: Tier,
    /// Whether the tier is in the gate.
    pub decides: bool,
    pub passed: usize,
    pub selected: usize,
    pub in_plan: usize,
}

/// In order of severity. A failure is the most severe: a run with a failure is failed even if it ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunVerdict {
    /// No deciding case was selected: such a run never passes.
    Undecided,
    Passed,
    /// The product could not be reached.
    Errored,
    Interrupted,
    /// The product gave a wrong response or none.
    Failed,
}

impl RunVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            RunVerdict::Passed => "passed",
            RunVerdict::Failed => "failed",
            RunVerdict::Errored => "errored",
            RunVerdict::Interrupted => "interrupted",
            RunVerdict::Undecided => "undecided",
        }
    }
}

/// What a case contributes to the verdict of the run; `None` if it does not count.
fn contribution(case: &CaseEntry, incomplete: bool) -> Option<RunVerdict> {
    Some(match (case.verdict, case.blame) {
        (Verdict::Passed | Verdict::KnownFailure, _) => RunVerdict::Passed,
        (Verdict::Flaky, _) if case.is_accepted() => RunVerdict::Passed,
        (Verdict::Flaky, Some(Blame::Environment)) => RunVerdict::Errored,
        (Verdict::Flaky, _) => RunVerdict::Failed,
        (Verdict::Failed, _) | (Verdict::Blocked, Some(Blame::Product)) => RunVerdict::Failed,
        (Verdict::Errored, _) | (Verdict::Blocked, _) => RunVerdict::Errored,
        (Verdict::Interrupted, _) => RunVerdict::Interrupted,
        // Selected, but never started because the run ended early: the run cannot pass.
        (Verdict::Skipped, _) if incomplete => RunVerdict::Interrupted,
        (Verdict::Skipped, _) => return None,
    })
}

/// Computes the verdict: the most severe contribution of the selected cases in the tiers of the gate.
pub fn gate(run: &RunIndex) -> Gate {
    let decides = |tier| run.start.gate.contains(&tier);
    let incomplete = run.cancelled || !run.complete;
    let is_deciding = |c: &&CaseEntry| c.outline.selected && decides(c.outline.tier);
    let deciding: Vec<_> = run.cases.iter().filter(is_deciding).collect();
    let verdict = deciding.iter().filter_map(|c| contribution(c, incomplete)).max();
    let passed = deciding.iter().filter(|c| c.verdict == Verdict::Passed).count();
    let of = |tier| run.cases.iter().filter(move |c| c.outline.tier == tier);
    let tiers = Tier::ALL
        .into_iter()
        .map(|tier| TierCount {
            tier,
            decides: decides(tier),
            passed: of(tier).filter(|c| c.verdict == Verdict::Passed).count(),
            selected: of(tier).filter(|c| c.outline.selected).count(),
            in_plan: of(tier).count(),
        })
        .filter(|t| t.in_plan > 0)
        .collect();
    let without_cases = if run.has_started && !incomplete { RunVerdict::Undecided } else { RunVerdict::Interrupted };
    Gate { tiers, verdict: verdict.unwrap_or(without_cases), passed, deciding: deciding.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use std::sync::Arc;

    type Row = (Tier, Verdict, Option<Blame>);

    fn decided(cases: &[Row], gate_of: &[Tier], cancelled: bool, complete: bool) -> Gate {
        let mut run = samples::passing().index();
        let model = run.cases[0].clone();
        run.cases = cases
            .iter()
            .map(|(tier, verdict, blame)| {
                let mut case = model.clone();
                Arc::make_mut(&mut case.outline).tier = *tier;
                (case.verdict, case.blame) = (*verdict, *blame);
                case
            })
            .collect();
        run.start.gate = gate_of.to_vec();
        (run.cancelled, run.complete) = (cancelled, complete);
        gate(&run)
    }

    #[test]
    fn most_severe_deciding_case_sets_the_verdict() {
        use {Tier::*, Verdict::*};
        let (product, environment) = (Some(Blame::Product), Some(Blame::Environment));
        let all: &[Tier] = &Tier::ALL;
        let table: &[(&[Row], &[Tier], RunVerdict)] = &[
            (&[(Must, Passed, None), (Nice, Passed, None)], all, RunVerdict::Passed),
            (&[(Must, Passed, None), (Nice, Failed, product)], all, RunVerdict::Failed),
            (&[(Must, Passed, None), (Nice, Failed, product)], &[Must], RunVerdict::Passed),
            (&[(Must, Failed, product), (Nice, Passed, None)], &[Must], RunVerdict::Failed),
            (&[(Must, KnownFailure, product), (Nice, Passed, None)], all, RunVerdict::Passed),
            (&[(Must, KnownFailure, product), (Nice, Failed, product)], all, RunVerdict::Failed),
            (&[(Must, Flaky, product), (Nice, Passed, None)], all, RunVerdict::Failed),
            (&[(Must, Flaky, environment), (Nice, Passed, None)], all, RunVerdict::Errored),
            (&[(Must, Passed, None), (Should, Flaky, product), (Nice, Flaky, environment)], all, RunVerdict::Passed),
            (&[(Must, Errored, environment)], all, RunVerdict::Errored),
            (&[(Must, Errored, product)], all, RunVerdict::Errored),
            (&[(Must, Failed, environment)], all, RunVerdict::Failed),
            (&[(Must, Errored, environment), (Should, Failed, product)], all, RunVerdict::Failed),
            (&[(Should, Failed, product), (Must, Errored, environment)], all, RunVerdict::Failed),
            (&[(Must, Blocked, product)], all, RunVerdict::Failed),
            (&[(Must, Blocked, environment)], all, RunVerdict::Errored),
            (&[(Must, Blocked, None)], all, RunVerdict::Errored),
            (&[(Must, Blocked, environment), (Must, Blocked, product)], all, RunVerdict::Failed),
            (&[(Must, Passed, None), (Must, Interrupted, None)], all, RunVerdict::Interrupted),
            (&[(Must, Interrupted, None), (Must, Errored, environment)], all, RunVerdict::Interrupted),
            (&[(Must, Interrupted, None), (Must, Failed, product)], all, RunVerdict::Failed),
            (&[(Must, Interrupted, None), (Nice, Passed, None)], &[Nice], RunVerdict::Passed),
            (&[(Must, Passed, None), (Must, Skipped, None)], all, RunVerdict::Passed),
            (&[(Must, Errored, environment), (Must, Skipped, None)], all, RunVerdict::Errored),
            (&[(Must, Skipped, None)], all, RunVerdict::Undecided),
            (&[(Nice, Passed, None)], &[Must], RunVerdict::Undecided),
            (&[], all, RunVerdict::Undecided),
        ];
        for (cases, gate_of, expected) in table {
            let got = decided(cases, gate_of, false, true).verdict;
            assert_eq!(got, *expected, "{cases:?} gated by {gate_of:?}");
        }
    }

    #[test]
    fn incomplete_run_does_not_pass() {
        use {Tier::*, Verdict::*};
        for (cancelled, complete) in [(true, true), (false, false), (true, false)] {
            let half = [(Must, Passed, None), (Must, Skipped, None)];
            assert_eq!(decided(&half, &[Must], cancelled, complete).verdict, RunVerdict::Interrupted);
            assert_eq!(decided(&[], &[Must], cancelled, complete).verdict, RunVerdict::Interrupted);
            let whole = [(Must, Passed, None)];
            assert_eq!(decided(&whole, &[Must], cancelled, complete).verdict, RunVerdict::Passed);
        }
    }

    #[test]
    fn unselected_cases_do_not_count() {
        let mut run = samples::passing().index();
        Arc::make_mut(&mut run.cases[0].outline).selected = false;
        run.cases[0].verdict = Verdict::Skipped;
        let gate = gate(&run);
        let must = gate.tiers[0];
        assert_eq!(
            (must.passed, must.selected, must.in_plan),
            (run.cases.len() - 2, run.cases.len() - 2, run.cases.len() - 1)
        );
        assert_eq!(gate.verdict, RunVerdict::Passed);
    }

    #[test]
    fn empty_journal_is_interrupted() {
        let empty = crate::report::index_builder::IndexBuilder::build([]);
        assert_eq!(gate(&empty).verdict, RunVerdict::Interrupted);
    }
}
