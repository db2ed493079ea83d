//! The verdict of a run in words.
use super::{
    gate::Gate,
    run_index::{CaseEntry, RunIndex},
    wording::{self, count, join_with_and, tally},
};
use crate::outcome::Verdict;

/// Of the gate: `4 of 5 deciding cases passed; 1 failed (must and should decide).`
pub fn verdict_in_words(run: &RunIndex, gate: &Gate) -> String {
    let is_deciding = |c: &&CaseEntry| c.outline.selected && run.start.gate.contains(&c.outline.tier);
    let deciders: Vec<_> = gate.tiers.iter().filter(|t| t.decides).map(|t| t.tier).collect();
    let who = match deciders.len() {
        0 => "no tier of the plan decides".to_owned(),
        n => format!("{} decide{}", wording::tiers(&deciders), if n == 1 { "s" } else { "" }),
    };
    let mut text = match (gate.deciding, gate.passed) {
        (0, _) => format!("no deciding case was selected ({who})."),
        (1, 1) => format!("the one deciding case passed ({who})."),
        (all, passed) if all == passed => format!("all {all} deciding cases passed ({who})."),
        (all, passed) => {
            let others = count_by_verdict(run.cases.iter().filter(is_deciding));
            format!("{passed} of {} passed; {others} ({who}).", count(all, "deciding case"))
        }
    };
    let others = count_by_verdict(run.cases.iter().filter(|c| c.has_problem() && !is_deciding(c)));
    if !others.is_empty() {
        text += &format!(" Of the other cases, {others}.");
    }
    if run.cancelled {
        text += " The run was cancelled.";
    } else if !run.complete {
        text += " The journal ends before the run finished: cases still running are interrupted.";
    }
    text
}

/// `2 failed and 1 blocked`; passed cases are not mentioned.
pub fn count_by_verdict<'c>(cases: impl Iterator<Item = &'c CaseEntry>) -> String {
    use Verdict::*;
    let counts =
        tally(cases.map(|c| c.verdict), &[Failed, KnownFailure, Flaky, Blocked, Errored, Interrupted, Skipped]);
    join_with_and(&counts.iter().map(|(n, v)| format!("{n} {v}")).collect::<Vec<_>>())
}
