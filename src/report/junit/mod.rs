//! The report as JUnit XML: a test suite per case, a test case per sentence. `docs/reports.md` says why.
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

use super::{
    console::neutral::neutral,
    excerpt::{self, Excerpt},
    run_index::{ActionEntry, CaseEntry, RunIndex, SentenceEntry},
    sentences::{self, Mark, why_incomplete},
    wording::{MAX_INLINE_CHARS, one_line},
};
use crate::outcome::Status;
use chrono::{DateTime, FixedOffset};
use memchr::memmem;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use std::{
    io::{self, Write},
    time::Duration,
};

/// Writes the report. `rest` says where the rest of something is that was cut.
pub fn write(run: &RunIndex, rest: &str, out: &mut dyn Write) -> io::Result<()> {
    let start = &run.start;
    let name = clean(format!("{} {}", start.plan.id, start.plan.title).trim());
    let mut report = Report::new(if name.is_empty() { "tp-runner" } else { &name });
    report.set_time(run.took);
    for case in run.cases.iter().filter(|c| c.outline.selected) {
        report.add_test_suite(suite_of(run, case, rest));
    }
    if !run.outside_cases.is_empty() {
        report.add_test_suite(outside_cases(run, rest));
    }
    if let Some(why) = why_incomplete(run) {
        let mut suite = new_suite(run, "The run");
        suite.add_test_case(test_case(class(run, "run"), "it ends", of_mark(Mark::Error, why, "interrupted", why)));
        report.add_test_suite(suite);
    }
    let mut text = vec![];
    report.serialize(&mut text).map_err(io::Error::other)?;
    // The schema of Jenkins has no such attribute in `testsuites`. A quotation mark in the name before it is escaped.
    let attribute = format!(" skipped=\"{}\"", report.skipped);
    let (head, tail) = match memmem::find(&text, attribute.as_bytes()) {
        Some(at) => (&text[..at], &text[at + attribute.len()..]),
        None => (&text[..], &b""[..]),
    };
    out.write_all(head)?;
    out.write_all(tail)
}

fn new_suite(run: &RunIndex, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.set_timestamp(timestamp(run));
    suite.set_time(Duration::ZERO);
    suite
}

fn timestamp(run: &RunIndex) -> DateTime<FixedOffset> {
    DateTime::from_timestamp_millis(run.start.started.as_millisecond()).unwrap_or_default().fixed_offset()
}

/// `TP-004.TC-INT-001`: Jenkins takes what is before the last dot as a package.
fn class(run: &RunIndex, case: &str) -> String {
    let part = |text: &str| clean(text).replace('.', "_");
    format!("{}.{}", part(&run.start.plan.id), part(case))
}

/// A text of the plan or the product on one line, without commands.
fn clean(text: &str) -> String {
    allowed(&neutral(&one_line(text, MAX_INLINE_CHARS)))
}

/// Replaces the two characters that XML forbids and that remain when control characters are visible.
fn allowed(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "�")
}

fn suite_of(run: &RunIndex, case: &CaseEntry, rest: &str) -> TestSuite {
    let o = &case.outline;
    let mut suite = new_suite(run, clean(&format!("{}: {}", o.id, o.title)).trim_end_matches([':', ' ']));
    suite.set_time(case.took);
    let priority = o.priority.iter().map(|p| ("priority", p.as_str()));
    let properties = [("tier", o.tier.as_str())].into_iter().chain(priority);
    let properties = properties.chain([
        ("environment", run.start.environment.name.as_str()),
        ("run", &run.start.run),
        ("verdict", case.verdict.as_str()),
    ]);
    for (name, value) in properties {
        suite.add_property((name, clean(value).as_str()));
    }
    for (kind, pairs) in [("target", &run.start.environment.targets), ("version", &run.start.versions)] {
        for (name, value) in pairs {
            suite.add_property((clean(&format!("{kind} {name}")).as_str(), clean(value).as_str()));
        }
    }
    let class = class(run, &o.id);
    for s in &case.sentences {
        suite.add_test_case(of_sentence(case, s, &class, rest));
    }
    if suite.failures + suite.errors == 0
        && let Some((mark, why)) = sentences::of_case_alone(case)
    {
        let status = of_mark(mark, &why, case.verdict.as_str(), &why);
        suite.add_test_case(test_case(class, "the case as a whole", status));
    }
    suite
}

fn of_sentence(case: &CaseEntry, s: &SentenceEntry, class: &str, rest: &str) -> TestCase {
    let mark = sentences::mark(case, s);
    let why = sentences::why(case, s);
    let excerpt = match s.status.is_unsuccessful() && s.status != Status::NotReached {
        true => Some(excerpt::sentence(case, s, rest)),
        false => None,
    };
    // GitLab shows the text of an element that has one, and not its `message`
    let description = match &excerpt {
        Some(Excerpt { reasons, .. }) if mark != Mark::Skipped => reasons,
        _ => &why,
    };
    let kind = if mark == Mark::Skipped && s.status == Status::Failed { "known failure" } else { s.status.as_str() };
    let mut status = of_mark(mark, &why, kind, description);
    if mark != Mark::Skipped {
        status.add_reruns(reruns(case, s, rest));
    }
    let mut test = test_case(class.to_owned(), &sentences::name(case, s), status);
    test.set_time(sentences::took(s).min(case.took));
    if let Some(Excerpt { evidence, .. }) = excerpt.filter(|e| !e.evidence.is_empty()) {
        test.set_system_out(allowed(&evidence));
    }
    test
}

/// The earlier attempts at a case in which a sentence failed: `flakyFailure` if it passed at last, else `rerunFailure`.
fn reruns(case: &CaseEntry, s: &SentenceEntry, rest: &str) -> Vec<TestRerun> {
    let of_attempt = |attempt: &CaseEntry| {
        let earlier = attempt.sentences.iter().find(|other| other.outline.address == s.outline.address)?;
        let kind = match sentences::mark(attempt, earlier) {
            Mark::Failure => NonSuccessKind::Failure,
            Mark::Error => NonSuccessKind::Error,
            Mark::Passed | Mark::Skipped => return None,
        };
        let mut rerun = TestRerun::new(kind);
        let excerpt = excerpt::sentence(attempt, earlier, rest);
        rerun.set_message(clean(&sentences::why(attempt, earlier))).set_type(earlier.status.as_str());
        rerun.set_stack_trace(allowed(&neutral(&excerpt.reasons)));
        if !excerpt.evidence.is_empty() {
            rerun.set_system_out(allowed(&excerpt.evidence));
        }
        Some(rerun)
    };
    case.earlier.iter().filter_map(of_attempt).collect()
}

fn test_case(class: String, name: &str, status: TestCaseStatus) -> TestCase {
    let mut test = TestCase::new(clean(name), status);
    test.set_classname(class).set_time(Duration::ZERO);
    test
}

fn of_mark(mark: Mark, message: &str, kind: &str, description: &str) -> TestCaseStatus {
    let mut status = match mark {
        Mark::Passed => return TestCaseStatus::success(),
        Mark::Failure => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Mark::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Mark::Skipped => TestCaseStatus::skipped(),
    };
    status.set_message(clean(message)).set_type(kind).set_description(allowed(&neutral(description)));
    status
}

/// The environment's setup, where it did not pass.
fn outside_cases(run: &RunIndex, rest: &str) -> TestSuite {
    let mut suite = new_suite(run, "Outside the cases");
    for (n, action) in run.outside_cases.iter().enumerate() {
        let ActionEntry { summary, reason, .. } = action;
        let text = excerpt::action(action, rest);
        let why = reason.as_deref().unwrap_or_else(|| text.lines().next().unwrap_or_default());
        let status = of_mark(Mark::Error, why, action.status.as_str(), &text);
        suite.add_test_case(test_case(class(run, "outside"), &format!("action {}: {summary}", n + 1), status));
    }
    suite
}
