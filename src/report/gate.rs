//! From the cases of a run to its verdict and exit code (design, "Words for what happened"). Pure; reads nothing but the index.
use super::ledger::{CaseIndex, RunIndex};
use crate::outcome::{Blame, Tier, Verdict};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Only tiers that the plan has, in their order.
    pub tiers: Vec<TierCount>,
    pub verdict: RunVerdict,
    /// Deciding cases that passed, and all deciding cases.
    pub passed: usize,
    pub deciding: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierCount {
    pub tier: Tier,
    /// Whether it decides the verdict of the run.
    pub decides: bool,
    pub passed: usize,
    pub selected: usize,
    pub in_plan: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunVerdict {
    Passed,
    /// The product answered wrongly, or not at all.
    Failed,
    /// It could not be asked.
    Errored,
    Interrupted,
    /// No case that decides was selected: nothing is never green.
    Undecided,
}

impl RunVerdict {
    pub fn word(self) -> &'static str {
        match self {
            RunVerdict::Passed => "passed",
            RunVerdict::Failed => "failed",
            RunVerdict::Errored => "errored",
            RunVerdict::Interrupted => "interrupted",
            RunVerdict::Undecided => "undecided",
        }
    }

    pub fn exit_code(self) -> u8 {
        match self {
            RunVerdict::Passed => 0,
            RunVerdict::Failed => 1,
            RunVerdict::Errored => 3,
            RunVerdict::Undecided => 4,
            RunVerdict::Interrupted => 130,
        }
    }
}

/// What one case says about the run; `None`: it decides nothing.
fn says(case: &CaseIndex, broken_off: bool) -> Option<RunVerdict> {
    Some(match (case.verdict, case.blame) {
        (Verdict::Passed | Verdict::KnownFailure, _) => RunVerdict::Passed,
        (Verdict::Failed, _) | (Verdict::Blocked, Some(Blame::Product)) => RunVerdict::Failed,
        (Verdict::Errored, _) | (Verdict::Blocked, _) => RunVerdict::Errored,
        (Verdict::Interrupted, _) => RunVerdict::Interrupted,
        // Selected, and the run was broken off before it began: it was not decided, so the run cannot be green.
        (Verdict::Skipped, _) if broken_off => RunVerdict::Interrupted,
        (Verdict::Skipped, _) => return None,
    })
}

pub fn gate(run: &RunIndex) -> Gate {
    let decides = |tier| run.start.gate.contains(&tier);
    let broken_off = run.cancelled || !run.complete;
    let mut verdict: Option<RunVerdict> = None;
    let (mut passed, mut deciding) = (0, 0);
    for case in run.cases.iter().filter(|c| c.outline.selected && decides(c.outline.tier)) {
        deciding += 1;
        passed += usize::from(case.verdict == Verdict::Passed);
        if let Some(v) = says(case, broken_off)
            && verdict.is_none_or(|worst| weight(v) > weight(worst))
        {
            verdict = Some(v);
        }
    }
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
    let nothing = if run.begun && !broken_off { RunVerdict::Undecided } else { RunVerdict::Interrupted };
    Gate { tiers, verdict: verdict.unwrap_or(nothing), passed, deciding }
}

/// A wrong answer that was seen stays one, even if the run was broken off later.
fn weight(v: RunVerdict) -> u8 {
    match v {
        RunVerdict::Passed | RunVerdict::Undecided => 0,
        RunVerdict::Errored => 1,
        RunVerdict::Interrupted => 2,
        RunVerdict::Failed => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    type Row = (Tier, Verdict, Option<Blame>);

    fn decided(cases: &[Row], gate_of: &[Tier], cancelled: bool, complete: bool) -> Gate {
        let mut run = samples::green().index();
        let model = run.cases[0].clone();
        run.cases = cases
            .iter()
            .map(|(tier, verdict, blame)| {
                let mut case = model.clone();
                (case.outline.tier, case.verdict, case.blame) = (*tier, *verdict, *blame);
                case
            })
            .collect();
        run.start.gate = gate_of.to_vec();
        (run.cancelled, run.complete) = (cancelled, complete);
        gate(&run)
    }

    #[test]
    fn the_table() {
        use {Tier::*, Verdict::*};
        let (product, environment) = (Some(Blame::Product), Some(Blame::Environment));
        let all: &[Tier] = &Tier::ALL;
        let table: &[(&[Row], &[Tier], u8)] = &[
            (&[(Must, Passed, None), (Nice, Passed, None)], all, 0),
            (&[(Must, Passed, None), (Nice, Failed, product)], all, 1),
            (&[(Must, Passed, None), (Nice, Failed, product)], &[Must], 0),
            (&[(Must, Failed, product), (Nice, Passed, None)], &[Must], 1),
            (&[(Must, KnownFailure, product), (Nice, Passed, None)], all, 0),
            (&[(Must, KnownFailure, product), (Nice, Failed, product)], all, 1),
            (&[(Must, Errored, environment)], all, 3),
            (&[(Must, Errored, product)], all, 3),
            (&[(Must, Failed, environment)], all, 1),
            (&[(Must, Errored, environment), (Should, Failed, product)], all, 1),
            (&[(Should, Failed, product), (Must, Errored, environment)], all, 1),
            (&[(Must, Blocked, product)], all, 1),
            (&[(Must, Blocked, environment)], all, 3),
            (&[(Must, Blocked, None)], all, 3),
            (&[(Must, Blocked, environment), (Must, Blocked, product)], all, 1),
            (&[(Must, Passed, None), (Must, Interrupted, None)], all, 130),
            (&[(Must, Interrupted, None), (Must, Errored, environment)], all, 130),
            (&[(Must, Interrupted, None), (Must, Failed, product)], all, 1),
            (&[(Must, Interrupted, None), (Nice, Passed, None)], &[Nice], 0),
            (&[(Must, Passed, None), (Must, Skipped, None)], all, 0),
            (&[(Must, Errored, environment), (Must, Skipped, None)], all, 3),
            (&[(Must, Skipped, None)], all, 4),
            (&[(Nice, Passed, None)], &[Must], 4),
            (&[], all, 4),
        ];
        for (cases, gate_of, exit) in table {
            let got = decided(cases, gate_of, false, true).verdict;
            assert_eq!(got.exit_code(), *exit, "{cases:?} gated by {gate_of:?}: {got:?}");
        }
    }

    #[test]
    fn a_run_that_was_broken_off_is_not_green() {
        use {Tier::*, Verdict::*};
        for (cancelled, complete) in [(true, true), (false, false), (true, false)] {
            let half = [(Must, Passed, None), (Must, Skipped, None)];
            assert_eq!(decided(&half, &[Must], cancelled, complete).verdict.exit_code(), 130);
            assert_eq!(decided(&[], &[Must], cancelled, complete).verdict.exit_code(), 130);
            let whole = [(Must, Passed, None)];
            assert_eq!(decided(&whole, &[Must], cancelled, complete).verdict.exit_code(), 0);
        }
    }

    #[test]
    fn cases_that_were_not_selected_do_not_count() {
        let mut run = samples::green().index();
        run.cases[0].outline.selected = false;
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
    fn no_run_is_interrupted() {
        let none = crate::report::ledger::Ledger::of([]);
        assert_eq!(gate(&none).verdict, RunVerdict::Interrupted);
    }
}
