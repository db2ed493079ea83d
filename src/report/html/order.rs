//! The order of the cases on the page.
use crate::{
    outcome::Verdict,
    report::run_index::{CaseEntry, RunIndex},
};

/// Cases that did not pass come first, skipped ones last; otherwise the plan's order.
pub fn in_order(run: &RunIndex) -> impl Iterator<Item = &CaseEntry> {
    let group = |c: &CaseEntry| match c.verdict {
        Verdict::Failed | Verdict::Blocked | Verdict::Errored | Verdict::Interrupted => 0,
        Verdict::Flaky if !c.is_accepted() => 0,
        Verdict::KnownFailure | Verdict::Flaky => 1,
        Verdict::Passed => 2,
        Verdict::Skipped => 3,
    };
    (0..4).flat_map(move |wanted| run.cases.iter().filter(move |c| group(c) == wanted))
}
