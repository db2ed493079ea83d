//! The report in the Common Test Report Format (ctrf.io): a test per case, a step per sentence.
use super::{
    console::neutral::neutral,
    excerpt,
    gate::{RunVerdict, gate},
    json_text,
    run_index::{CaseEntry, RunIndex, SentenceEntry},
    sentences::{self, Mark, why_incomplete},
    wording::{MAX_INLINE_CHARS, one_line},
};
use crate::outcome::{Status, Verdict};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// The version of the format that the schema in the tests describes.
const SPEC_VERSION: &str = "0.0.0";

/// Writes the report. `rest` says where the rest of something is that was cut.
pub fn write(run: &RunIndex, rest: &str, out: &mut dyn Write) -> io::Result<()> {
    let start = &run.start;
    let selected = || run.cases.iter().filter(|c| c.outline.selected);
    let mut tests: Vec<Value> = selected().map(|case| test(run, case, rest)).collect();
    tests.extend(run.outside_cases.iter().map(|action| {
        let text = excerpt::action(action, rest);
        let name = format!("outside the cases: {}", line(&action.summary));
        json!({ "name": name, "status": "failed", "rawStatus": action.status.as_str(), "trace": text,
            "duration": millis(action.took.as_millis()), "message": text.lines().next().unwrap_or_default() })
    }));
    if let Some(why) = why_incomplete(run) {
        tests.push(json!({ "name": "the run ends", "status": "failed", "rawStatus": "interrupted", "duration": 0,
            "message": why }));
    }
    let count = |status: &str| tests.iter().filter(|t| t["status"] == status).count();
    let begin = start.started.as_millisecond();
    let report = json!({
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "timestamp": start.started.to_string(),
        "generatedBy": "tp-runner",
        "results": {
            "tool": { "name": "tp-runner", "version": env!("CARGO_PKG_VERSION") },
            "summary": {
                "tests": tests.len(), "passed": count("passed"), "failed": count("failed"),
                "skipped": count("skipped"), "pending": 0, "other": count("other"), "suites": 1,
                "start": begin, "stop": begin + millis(run.took.as_millis()),
                "duration": millis(run.took.as_millis()),
            },
            "tests": tests,
            "environment": environment(run),
        },
    });
    json_text::write(&report, out)
}

fn line(text: &str) -> String {
    neutral(&one_line(text, MAX_INLINE_CHARS)).into_owned()
}

fn millis(n: u128) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Readers of the format fail a build for `failed` only.
fn status(case: &CaseEntry) -> &'static str {
    match case.verdict {
        Verdict::Passed => "passed",
        Verdict::Flaky if case.is_accepted() => "passed",
        Verdict::Flaky => "failed",
        Verdict::Failed | Verdict::Blocked | Verdict::Errored | Verdict::Interrupted => "failed",
        Verdict::KnownFailure => "other",
        Verdict::Skipped => "skipped",
    }
}

fn test(run: &RunIndex, case: &CaseEntry, rest: &str) -> Value {
    let o = &case.outline;
    let mut labels = Map::new();
    let priority = o.priority.iter().map(|p| ("priority", p.as_str()));
    let environment = run.start.environment.name.as_str();
    for (name, value) in [("tier", o.tier.as_str()), ("environment", environment)].into_iter().chain(priority) {
        labels.insert(name.into(), line(value).into());
    }
    let deciding = case.deciding_sentence();
    let message = match deciding {
        Some(s) => format!("{}: {}", sentences::name(case, s), sentences::why(case, s)),
        None => sentences::of_case_alone(case).map(|(_, why)| why).or(case.reason.clone()).unwrap_or_default(),
    };
    let mut trace = traces(case, "", rest);
    for (n, attempt) in case.earlier.iter().enumerate() {
        trace.extend(traces(attempt, &format!("attempt {} of {}: ", n + 1, case.earlier.len() + 1), rest));
    }
    let location = deciding.or(case.sentences.first()).map(|s| match deciding {
        Some(s) => s.worst_cause().1,
        None => &s.outline.location,
    });
    let mut test = json!({
        "name": line(format!("{}: {}", o.id, o.title).trim_end_matches([':', ' '])),
        "status": status(case),
        "rawStatus": case.verdict.as_str(),
        "duration": millis(case.took.as_millis()),
        "suite": [line(format!("{} {}", run.start.plan.id, run.start.plan.title).trim())],
        "tags": [o.tier.as_str()],
        "labels": labels,
        "steps": case.sentences.iter().map(|s| step(case, s)).collect::<Vec<_>>(),
    });
    if !case.earlier.is_empty() {
        test["retries"] = case.earlier.len().into();
        test["flaky"] = (case.verdict == Verdict::Flaky).into();
    }
    if !message.is_empty() {
        test["message"] = line(&message).into();
    }
    if !trace.is_empty() {
        test["trace"] = trace.join("\n\n").into();
    }
    if let Some(location) = location {
        test["filePath"] = line(&location.file).into();
        test["line"] = location.line.into();
    }
    test
}

/// What was observed of each sentence of an attempt that did not pass.
fn traces(case: &CaseEntry, prefix: &str, rest: &str) -> Vec<String> {
    let failed = case.sentences.iter().filter(|s| s.status.is_unsuccessful() && s.status != Status::NotReached);
    let trace = |s| format!("{prefix}{}\n{}", line(&sentences::name(case, s)), excerpt::sentence(case, s, rest).text());
    failed.map(trace).collect()
}

fn step(case: &CaseEntry, s: &SentenceEntry) -> Value {
    let status = match (sentences::mark(case, s), s.status) {
        (Mark::Passed, _) => "passed",
        (Mark::Failure | Mark::Error, _) => "failed",
        (Mark::Skipped, Status::NotReached | Status::Skipped) => "skipped",
        (Mark::Skipped, _) => "other",
    };
    let mut extra = json!({ "status": s.status.as_str() });
    let why = sentences::why(case, s);
    if !why.is_empty() {
        extra["reason"] = line(&why).into();
    }
    json!({ "name": line(&sentences::name(case, s)), "status": status, "extra": extra })
}

fn environment(run: &RunIndex) -> Value {
    let start = &run.start;
    let pairs = |all: &[(String, String)]| -> Map<String, Value> {
        all.iter().map(|(name, value)| (line(name), line(value).into())).collect()
    };
    let mut environment = json!({
        "reportName": line(format!("{} {}", start.plan.id, start.plan.title).trim()),
        "testEnvironment": line(&start.environment.name),
        "healthy": gate(run).verdict == RunVerdict::Passed,
        "extra": {
            "run": start.run, "selection": line(&start.selection),
            "targets": pairs(&start.environment.targets), "versions": pairs(&start.versions),
        },
    });
    for (field, name) in [
        ("Job", "buildName"),
        ("Build", "buildId"),
        ("Commit", "commit"),
        ("Branch", "branchName"),
        ("Link", "buildUrl"),
    ] {
        if let Some((_, value)) = start.ci.iter().find(|(n, _)| n == field) {
            environment[name] = line(value).into();
        }
    }
    environment
}
