//! What CI servers read in the JUnit report.
use super::{
    schema::{Element, parse, validate},
    write,
};
use crate::{
    outcome::{Blame, Status, Verdict},
    report::{index_builder::IndexBuilder, retry_tests::retried, run_index::RunIndex, samples},
};

fn written(run: &RunIndex) -> Element {
    let mut out = vec![];
    write(run, "tests/reports/r.md", &mut out).unwrap();
    let document = parse(std::str::from_utf8(&out).unwrap()).unwrap();
    validate(&document).unwrap();
    document
}

/// Class, name and kind of each test case, and the message of those that did not pass.
fn rows(document: &Element) -> Vec<String> {
    let row = |test: &&Element| {
        let at = |e: &Element, name: &str| e.attributes.get(name).cloned().unwrap_or_default();
        let result = test.children.iter().find(|c| c.name != "system-out");
        let result = result.map(|r| format!("{} ({}) {}", r.name, at(r, "type"), at(r, "message")));
        format!("{}: {}: {}", at(test, "classname"), at(test, "name"), result.unwrap_or("passed".into()))
    };
    document.all("testcase").iter().map(row).collect()
}

#[test]
fn sentences_of_every_status_are_understood() {
    let expected = "\
TP-900.TC-1: precondition 1: The greeter is up: skipped (not verified) not verified: no action verifies it
TP-900.TC-1: step 1: Greet everyone: failure (failed) `status`: expected `201`, found `500`; `a == 2 && (b || c)` does not hold: `a` is `1` and `b || c` is `false`
TP-900.TC-1: step 2: Wait for the echo: failure (failed) `body.echo`: expected `3`, found `2`
TP-900.TC-1: step 3: Greet a stranger: skipped (not reached) not reached: `ghost` was never bound
TP-900.TC-1: expected 1: { \"greeted\": 3 }: passed
TP-900.TC-1: expected 2: Guests are content: skipped (unproven) unproven: feelings cannot be measured
TP-900.TC-2: step 1: Connect: error (errored) cannot resolve `greeter.example`
TP-900.TC-2: step 2: Reconnect: skipped (not reached) not reached
TP-900.TC-2: expected 1: A response: skipped (not reached) not reached
TP-900.TC-3: precondition 1: The stage is ready: error (failed) `rows[0].set`: expected `true`, found `null`
TP-900.TC-3: expected 1: Applause: skipped (not reached) not reached: a precondition does not hold
TP-900.TC-4: step 1: Begin: passed
TP-900.TC-4: step 2: End: error (interrupted) cancelled while the case was running
TP-900.TC-4: expected 1: Done: skipped (not reached) not reached: cancelled while the case was running
TP-900.TC-5: expected 1: Anything: skipped (skipped) cancelled before the case started
TP-900.run: it ends: error (interrupted) the run was cancelled";
    let document = written(&samples::mixed().index());
    assert_eq!(rows(&document).join("\n"), expected);
    let suite = document.all("testsuite")[0];
    let counts = ["tests", "failures", "errors", "skipped"].map(|name| suite.attributes[name].as_str());
    assert_eq!(counts, ["6", "2", "0", "3"]);
    let properties: Vec<String> =
        suite.all("property").iter().map(|p| format!("{}={}", p.attributes["name"], p.attributes["value"])).collect();
    let expected = [
        "tier=must",
        "priority=high",
        "environment=staging",
        "run=k3x9q",
        "verdict=failed",
        "target api=https://greeter.example",
        "version tp-runner=0.1.0",
    ];
    assert_eq!(properties, expected);
}

#[test]
fn a_failure_carries_its_reasons_and_its_evidence() {
    let document = written(&samples::mixed().index());
    let failed = document.all("testcase")[1];
    let text = &failed.child("failure").unwrap().text;
    assert!(text.contains("status\n    expected 201\n    found    500"), "{text}");
    let output = &failed.child("system-out").unwrap().text;
    assert!(
        output.contains("curl -X POST https://greeter.example/greetings") && output.contains("line 25"),
        "{output}"
    );
}

/// Whether a build fails must not depend on the format.
#[test]
fn a_file_has_a_failure_or_an_error_exactly_if_a_case_did_not_pass() {
    let sample = samples::passing().index();
    for verdict in [
        Verdict::Passed,
        Verdict::Failed,
        Verdict::KnownFailure,
        Verdict::Blocked,
        Verdict::Errored,
        Verdict::Interrupted,
        Verdict::Skipped,
    ] {
        for status in [Status::Passed, Status::Failed, Status::Errored, Status::NotReached, Status::Unproven] {
            let mut run = sample.clone();
            let case = &mut run.cases[1];
            (case.verdict, case.blame, case.reason) = (verdict, Some(Blame::Product), Some("why".into()));
            case.sentences[1].status = status;
            let document = written(&run);
            let failed = document.all("failure").len() + document.all("error").len();
            let sentence_failed = matches!(status, Status::Errored)
                || status == Status::Failed && !matches!(verdict, Verdict::KnownFailure);
            let case_failed = !matches!(verdict, Verdict::Passed | Verdict::KnownFailure | Verdict::Skipped);
            assert_eq!(failed > 0, case_failed || sentence_failed, "{verdict} {status}");
        }
    }
}

#[test]
fn a_known_failure_is_skipped_with_its_reason() {
    let mut run = samples::mixed().index();
    run.cases[0].verdict = Verdict::KnownFailure;
    run.cases[0].reason = Some("accepted until 2026-12-01 (#7)".into());
    let rows = rows(&written(&run));
    let expected = "skipped (known failure) known failure: accepted until 2026-12-01 (#7); `status`: expected";
    assert!(rows[1].contains(expected), "{}", rows[1]);
}

#[test]
fn an_undo_that_failed_is_an_error_of_the_case() {
    let mut run = samples::passing().index();
    (run.cases[0].verdict, run.cases[0].reason) = (Verdict::Errored, Some("an undo failed".into()));
    let rows = rows(&written(&run));
    assert_eq!(rows[3], "TP-900.TC-1: the case as a whole: error (errored) an undo failed");
}

#[test]
fn an_empty_journal_is_an_error() {
    let rows = rows(&written(&IndexBuilder::build([])));
    assert_eq!(rows, [".run: it ends: error (interrupted) the journal ends before the run finished"]);
}

#[test]
fn reruns_are_valid() {
    let document = written(&retried().index());
    assert_eq!((document.all("flakyFailure").len(), document.all("rerunFailure").len()), (2, 1));
}
