//! `--retries`: decides whether a case is tried again, and what all its attempts come to together.
use super::{context::RunContext, results::CaseOutcome, schedule::Case};
use crate::outcome::{Blame, Verdict};

/// What follows an attempt at a case.
pub enum Next {
    /// Another attempt.
    Retry,
    /// Nothing; with the reason, if it would have been tried again otherwise.
    End(Option<&'static str>),
}

/// Decides after the undo of an attempt, with the number of attempts before it. What the environment lacks stays missing, and what could
/// not be undone would be met by the next attempt.
pub fn next(case: &Case, context: &RunContext, outcome: &CaseOutcome, earlier: usize) -> Next {
    let can_change = matches!(outcome.verdict, Verdict::Failed | Verdict::Blocked | Verdict::Errored);
    if earlier >= context.retries || !can_change || !case.lacks.is_empty() || context.cancel.is_cancelled() {
        return Next::End(None);
    }
    match outcome.left.is_empty() {
        true => Next::Retry,
        false => Next::End(Some("not tried again, since its undo failed")),
    }
}

/// The outcome of all attempts. One that passed after others is flaky, with the blame of the worst; otherwise the worst counts, so that no
/// attempt hides a failure that was observed.
pub fn together(last: CaseOutcome, earlier: &[CaseOutcome]) -> CaseOutcome {
    let severity = |outcome: &CaseOutcome| outcome.verdict.severity(outcome.blame);
    // the first of the worst
    let worst = earlier.iter().enumerate().rev().max_by_key(|(_, outcome)| severity(outcome));
    let Some((n, worst)) = worst else { return last };
    let why = worst.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let all = earlier.len() + 1;
    let worst_in_words = format!("attempt {} of {all} {}{why}", n + 1, worst.verdict);
    if last.verdict == Verdict::Passed {
        let reason = format!("passed in attempt {all}; {worst_in_words}");
        return CaseOutcome::new(Verdict::Flaky, worst.blame.or(Some(Blame::Product)), Some(reason));
    }
    if severity(&last) >= severity(worst) {
        return last;
    }
    CaseOutcome { verdict: worst.verdict, blame: worst.blame, reason: Some(worst_in_words), ..last }
}
