//! What sentences and cases mean in the vocabulary of test frameworks: passed, failure, error, skipped.
use super::{
    run_index::{CaseEntry, RunIndex, SentenceEntry},
    wording::{self, MAX_INLINE_CHARS, one_line},
};
use crate::{
    event::Part,
    outcome::{Blame, Status, Verdict},
};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Passed,
    /// The product gave a wrong response, or none.
    Failure,
    /// It could not be decided.
    Error,
    /// Known failures too: a CI server shows them with their reason, and passes.
    Skipped,
}

pub fn mark(case: &CaseEntry, s: &SentenceEntry) -> Mark {
    match (s.status, case.verdict) {
        (Status::Passed, _) => Mark::Passed,
        (Status::Failed, Verdict::KnownFailure) => Mark::Skipped,
        // what failed is a precondition
        (Status::Failed, Verdict::Blocked) => Mark::Error,
        (Status::Failed, _) => Mark::Failure,
        (Status::Errored | Status::Interrupted, _) => Mark::Error,
        (Status::NotReached | Status::NotVerified | Status::Unproven | Status::Skipped, _) => Mark::Skipped,
    }
}

/// What a case is on its own, if its sentences do not show that it did not pass, and why: an undo that failed, a time limit.
pub fn of_case_alone(case: &CaseEntry) -> Option<(Mark, String)> {
    let mark = match case.verdict {
        Verdict::Failed => Mark::Failure,
        Verdict::Errored | Verdict::Blocked | Verdict::Interrupted => Mark::Error,
        Verdict::Flaky if case.is_accepted() => return None,
        Verdict::Flaky if case.blame == Some(Blame::Environment) => Mark::Error,
        Verdict::Flaky => Mark::Failure,
        Verdict::Passed | Verdict::KnownFailure | Verdict::Skipped => return None,
    };
    let mut why = case.reason.clone().unwrap_or_default();
    for reason in case.not_undone.iter().filter_map(|u| u.reason.as_deref()) {
        if !why.contains(reason) {
            why += if why.is_empty() { "" } else { "; " };
            why += reason;
        }
    }
    let why = if why.is_empty() { case.verdict.as_str() } else { &why };
    // at most 4 KiB
    Some((mark, format!("{}{}", one_line(why, 1_000), wording::out_of_time(case.out_of_time))))
}

/// Why a sentence did not pass, in one line. Empty for one that passed.
pub fn why(case: &CaseEntry, s: &SentenceEntry) -> String {
    let own = || s.reason.clone();
    let of_case = || case.reason.clone().unwrap_or_else(|| s.status.to_string());
    let why = match s.status {
        Status::Passed => return String::new(),
        Status::Failed if case.verdict == Verdict::KnownFailure => {
            let why = s.worst_cause().0.unwrap_or_default();
            format!("known failure: {}; {why}", of_case())
        }
        Status::Failed | Status::Errored | Status::Interrupted => s.worst_cause().0.unwrap_or_else(of_case),
        Status::Unproven => s.outline.unproven.clone().or_else(own).unwrap_or_else(|| s.status.to_string()),
        Status::NotVerified => own().unwrap_or_else(|| "no action verifies it".to_owned()),
        Status::NotReached | Status::Skipped => own().unwrap_or_else(of_case),
    };
    let why = match s.status {
        Status::NotReached | Status::NotVerified | Status::Unproven if why != s.status.as_str() => {
            format!("{}: {why}", s.status)
        }
        _ => why,
    };
    one_line(&why, 2 * MAX_INLINE_CHARS)
}

/// `step 2: Create 5 sessions`: unique within its case.
pub fn name(case: &CaseEntry, s: &SentenceEntry) -> String {
    format!("{}: {}", place(case, s), one_line(&s.outline.text, MAX_INLINE_CHARS - 40))
}

/// `step 2`.
pub fn place(case: &CaseEntry, s: &SentenceEntry) -> String {
    let part = match s.outline.part {
        Part::Precondition => "precondition",
        Part::Step => "step",
        Part::Expected => "expected",
    };
    let same_part = case.sentences.iter().filter(|o| o.outline.part == s.outline.part);
    let number = 1 + same_part.take_while(|o| !std::ptr::eq(*o, s)).count();
    format!("{part} {number}")
}

/// The sum of its outermost actions, as far as they are retained.
pub fn took(s: &SentenceEntry) -> Duration {
    s.actions.iter().filter(|a| s.ancestors(a).is_empty()).map(|a| a.took).sum()
}

/// Why the run is incomplete.
pub fn why_incomplete(run: &RunIndex) -> Option<&'static str> {
    match (run.cancelled, run.complete) {
        (true, _) => Some("the run was cancelled"),
        (false, false) => Some("the journal ends before the run finished"),
        (false, true) => None,
    }
}
