//! Every format shows the attempts before the last one, and what a flaky case means for the gate.
use super::{
    console::summary::{SummaryOptions, summary},
    formats::FORMATS,
    gate::{RunVerdict, gate},
    github,
    run_index::RunIndex,
    samples::{self, SampleRun, evidence, passed, result},
};
use crate::{
    event::{EventKind, EvidenceKind, Part},
    outcome::{Blame, Status, Tier, Verdict},
};
use serde_json::Value;
use std::time::Duration;

/// An attempt at a case of one step, which observed this status.
fn attempt(s: &mut SampleRun, case: &str, status: &str) {
    s.emit(case, EventKind::CaseStarted);
    let (step, at) = (format!("{case}/steps/0"), format!("{case}/steps/0/do/0"));
    s.emit(&step, EventKind::SentenceStarted);
    s.start(&at, "http POST /greetings", 42);
    let response = format!("HTTP/1.1 {status}\n\n{{\"of\": \"{case} {status}\"}}");
    let (is_right, observed) = (status == "201", vec![evidence(EvidenceKind::Response, &response)]);
    let unmet = if is_right { vec![] } else { vec![result("status", false, "201", status)] };
    s.wait(20).attempt(&at, 0, unmet.clone(), observed);
    let results = if is_right { vec![passed("status", "201")] } else { unmet };
    let outcome = if is_right { Status::Passed } else { Status::Failed };
    s.finish(&at, outcome, results, None, 1, 20);
    s.sentence(&step, outcome, None);
}

fn retry(s: &mut SampleRun, case: &str) {
    let (blame, reason) = (Some(Blame::Product), Some("`status`: expected 201, found 503".into()));
    let took = Duration::from_millis(20);
    s.emit(case, EventKind::CaseRetried { verdict: Verdict::Failed, blame, reason, took, out_of_time: None });
}

/// A case of tier `must` and one of tier `nice` that passed when they were tried again, and one that never passed.
pub fn retried() -> SampleRun {
    let case = |id, tier| samples::case(id, "Greet", tier, &[(Part::Step, "Greet everyone")]);
    let mut s =
        SampleRun::begin(vec![case("TC-1", Tier::Must), case("TC-2", Tier::Nice), case("TC-3", Tier::Nice)], |_| {});
    for id in ["TC-1", "TC-2", "TC-3"] {
        attempt(&mut s, id, "503");
        retry(&mut s, id);
        attempt(&mut s, id, if id == "TC-3" { "500" } else { "201" });
        let product = Some(Blame::Product);
        match id {
            "TC-3" => s.verdict(id, Verdict::Failed, product, None, 40),
            _ => {
                let reason = "passed in attempt 2; attempt 1 of 2 failed: `status`: expected 201, found 503";
                s.verdict(id, Verdict::Flaky, product, Some(reason), 40);
            }
        }
    }
    s.end(&[])
}

fn written(name: &str, run: &RunIndex) -> String {
    let (format, mut out) = (FORMATS.into_iter().find(|f| f.name == name).unwrap(), vec![]);
    (format.write)(run, "r.md", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_flaky_case_fails_in_must_and_is_a_warning_elsewhere() {
    let mut run = retried().index();
    let (must, nice, never) = (&run.cases[0], &run.cases[1], &run.cases[2]);
    assert_eq!((must.is_accepted(), nice.is_accepted(), never.is_accepted()), (false, true, false));
    assert_eq!(gate(&run).verdict, RunVerdict::Failed);
    run.cases.truncate(2);
    assert_eq!(gate(&run).verdict, RunVerdict::Failed);
    run.cases.remove(0);
    let gate = gate(&run);
    assert_eq!((gate.verdict, gate.passed, gate.deciding), (RunVerdict::Passed, 0, 1), "accepted, but not passed");
}

#[test]
fn the_failure_of_the_first_attempt_stays_visible() {
    let run = retried().index();
    let text = samples::markdown(&run);
    for part in ["**Attempt 1 of 2**: ❌ **failed** in 20 ms", "TC-1 503", "TC-2 503", "TC-3 503", "TC-3 500"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("TC-1 201"), "the attempt that passed shows no evidence\n{text}");
    let text = summary(&run, &SummaryOptions::default());
    assert!(text.contains("flaky TC-1 Greet") && text.contains("attempt 1 of 2 failed: status"), "{text}");
}

#[test]
fn junit_has_flaky_and_rerun_elements() {
    let text = written("junit", &retried().index());
    let suites: Vec<&str> = text.split("<testsuite ").skip(1).collect();
    for (suite, [failures, flaky, rerun]) in suites.iter().zip([[1, 1, 0], [0, 1, 0], [1, 0, 1]]) {
        assert!(suite.contains(&format!("failures=\"{failures}\"")), "{suite}");
        assert_eq!((suite.matches("<flakyFailure ").count(), suite.matches("<rerunFailure ").count()), (flaky, rerun));
        assert!(suite.contains("503"), "{suite}");
    }
    assert!(suites[0].contains("the case as a whole") && !suites[1].contains("the case as a whole"), "{text}");
}

#[test]
fn ctrf_and_json_count_retries() {
    let run = retried().index();
    let ctrf: Value = serde_json::from_str(&written("ctrf", &run)).unwrap();
    let rows: Vec<String> = ctrf["results"]["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| format!("{} {} {} {}", t["status"], t["rawStatus"], t["flaky"], t["retries"]).replace('"', ""))
        .collect();
    assert_eq!(rows, ["failed flaky true 1", "passed flaky true 1", "failed failed false 1"]);
    assert!(ctrf["results"]["tests"][1]["trace"].as_str().unwrap().contains("attempt 1 of 2: step 1"));
    let json: Value = serde_json::from_str(&written("json", &run)).unwrap();
    let earlier = &json["cases"][0]["earlier_attempts"];
    assert_eq!((earlier.as_array().unwrap().len(), &earlier[0]["verdict"]), (1, &"failed".into()));
    assert_eq!(earlier[0]["sentences"][0]["actions"][0]["assertions"][0]["actual"], "503");
}

#[test]
fn github_warns_of_a_flaky_case_unless_it_fails_the_job() {
    let mut out = vec![];
    github::annotations(&retried().index(), &|file| Some(file.to_owned()), "r.md", &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let levels: Vec<&str> = text.lines().map(|l| l.split(' ').next().unwrap()).collect();
    assert_eq!(levels, ["::error", "::warning", "::error"], "{text}");
    assert!(text.lines().take(2).all(|l| l.contains("is flaky::") && l.contains("found    503")), "{text}");
    assert!(text.lines().all(|l| l.contains("line=42")), "{text}");
}
