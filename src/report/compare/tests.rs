use super::*;
use crate::{
    event::{CaseOutline, EventKind, Part, WaitOutcome},
    outcome::{Blame, Status, Tier},
    report::samples::{self, SampleRun, result},
};

fn outline(id: &str) -> CaseOutline {
    samples::case(id, "A case", Tier::Must, &[(Part::Step, "Wait for it")])
}

/// A run in which each case has this verdict, this time, and this time until its wait was satisfied, in milliseconds.
fn run(id: &str, cases: &[(&str, Verdict, u64, u64)]) -> RunIndex {
    let mut s = SampleRun::begin(cases.iter().map(|(id, ..)| outline(id)).collect(), |start| start.run = id.into());
    for (case, verdict, took, waited) in cases {
        if *verdict == Verdict::Skipped {
            continue;
        }
        s.emit(case, EventKind::CaseStarted);
        let (step, at) = (format!("{case}/steps/0"), format!("{case}/steps/0/do/0"));
        s.emit(&step, EventKind::SentenceStarted);
        s.start(&at, "k8s get pods", 30);
        let status = match verdict {
            Verdict::Passed => Status::Passed,
            _ => Status::Failed,
        };
        if status == Status::Failed {
            s.finish(&at, status, vec![result("status", false, "200", "500")], None, 1, *took);
        } else {
            let held_after = Some(Duration::from_millis(*waited));
            s.finish_wait(&at, status, WaitOutcome { limit: Duration::from_secs(30), held_after });
        }
        s.sentence(&step, status, None);
        let blame = (*verdict != Verdict::Passed).then_some(Blame::Product);
        s.verdict(case, *verdict, blame, None, *took);
    }
    s.end(&[]).index()
}

fn cases(changes: &[CaseChange]) -> Vec<&str> {
    changes.iter().map(|c| c.case.as_str()).collect()
}

fn names(slower: &[Slower]) -> Vec<&str> {
    slower.iter().map(|s| s.what.as_str()).collect()
}

use Verdict::{Errored, Failed, Passed, Skipped};

#[test]
fn each_case_is_in_the_list_of_its_change() {
    let before = run(
        "r1",
        &[
            ("A", Passed, 10, 1),
            ("B", Failed, 10, 1),
            ("C", Failed, 10, 1),
            ("D", Passed, 10, 1),
            ("OLD", Passed, 1, 1),
        ],
    );
    let after = run(
        "r2",
        &[
            ("A", Failed, 10, 1),
            ("B", Passed, 10, 1),
            ("C", Errored, 10, 1),
            ("D", Skipped, 0, 1),
            ("NEW", Passed, 1, 1),
        ],
    );
    let all = compare(&before, &after).unwrap();
    assert_eq!(cases(&all.newly_failed), ["A"]);
    assert_eq!(all.newly_failed[0].why.as_deref(), Some("Wait for it: `status`: expected `200`, found `500`"));
    assert_eq!((cases(&all.newly_passed), cases(&all.still_failed)), (vec!["B"], vec!["C"]));
    assert_eq!((&all.new_cases[..], &all.removed_cases[..]), (&["NEW".to_owned()][..], &["OLD".to_owned()][..]));
    assert_eq!(all.not_compared, ["D"]);
    assert_eq!(all.in_short(), "1 newly failed, 1 newly passed, 1 failed in both, 0 passed in both, 0 slower");
}

#[test]
fn only_a_difference_beyond_noise_is_slower() {
    let s = Duration::from_secs;
    for (before, after, expected) in [
        (s(2), s(3), true),
        (s(10), s(14), false),
        (s(10), s(15), true),
        (Duration::from_millis(10), Duration::from_millis(900), false),
        (s(0), s(1), true),
        (s(3), s(2), false),
    ] {
        assert_eq!(is_slower(before, after), expected, "{before:?} {after:?}");
    }
    let before = run("r1", &[("A", Passed, 2_000, 1_500), ("B", Passed, 2_000, 100), ("C", Passed, 2_000, 100)]);
    let after = run("r2", &[("A", Passed, 5_000, 4_000), ("B", Passed, 2_400, 130), ("C", Failed, 60_000, 0)]);
    let all = compare(&before, &after).unwrap();
    assert_eq!(names(&all.slower_cases), ["A"], "a case that failed is not slower");
    assert_eq!(names(&all.slower_waits), ["A/steps/0/do/0: k8s get pods"]);
    let page = all.page().terminal();
    assert!(page.contains("Slower means: at least 1.5 times as long, and at least 1.0 s longer."), "{page}");
}

#[test]
fn another_environment_another_plan_and_an_unknown_digest_are_said() {
    let before = run("r1", &[("A", Passed, 10, 1)]);
    let mut after = run("r2", &[("A", Passed, 10, 1)]);
    assert!(compare(&before, &after).unwrap().differences.is_empty());
    after.start.environment.name = "staging".into();
    after.start.plan.digest = Some("ab".repeat(32));
    after.start.versions = vec![("tp-runner".into(), "9.9.9".into())];
    let all = compare(&before, &after).unwrap();
    assert_eq!(
        all.differences,
        [
            "the environment: `sandbox`, now `staging`",
            "the text of the plan: digest 0f0f0f0f0f0f, now abababababab",
            "the version of tp-runner: 0.1.0, now 9.9.9",
        ]
    );
    after.start.plan.digest = None;
    assert!(compare(&before, &after).unwrap().differences[1].contains("unknown"));
    after.start.plan.id = "OTHER".into();
    let why = compare(&before, &after).err().unwrap().to_string();
    assert_eq!(why, "the runs are of different plans: r1 of `TP-900`, r2 of `OTHER`");
}

#[test]
fn terminal_markdown_and_json_have_the_same_facts() {
    let before = run("r1", &[("A", Passed, 10, 1), ("B", Failed, 10, 1), ("C", Passed, 10, 1)]);
    let after = run("r2", &[("A", Failed, 10, 1), ("B", Passed, 10, 1), ("C", Passed, 9_000, 8_000)]);
    let all = compare(&before, &after).unwrap();
    let (mut json, page) = (vec![], all.page());
    all.write_json(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["newly_failed"][0]["case"], "A");
    assert_eq!(
        (&json["slower_waits"][0]["after_ms"], &json["slower_waits"][0]["limit_ms"]),
        (&8000.into(), &30000.into())
    );
    for text in [page.terminal(), page.markdown()] {
        for part in ["Newly failed (1)", "Newly passed (1)", "Slower cases (1)", "Slower waits (1)", "8.0 s", "30.0 s"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(
            text.contains("1 newly failed, 1 newly passed, 0 failed in both, 1 passed in both, 2 slower"),
            "{text}"
        );
    }
}

#[test]
fn the_documentation_shows_a_comparison() {
    let before = run(
        "r0000001",
        &[
            ("TC-1", Passed, 900, 300),
            ("TC-2", Failed, 1_200, 0),
            ("TC-3", Passed, 2_100, 1_400),
            ("TC-4", Passed, 80, 9),
        ],
    );
    let after = run(
        "r0000002",
        &[
            ("TC-1", Failed, 1_000, 0),
            ("TC-2", Passed, 1_100, 400),
            ("TC-3", Passed, 5_300, 4_600),
            ("TC-5", Passed, 70, 9),
        ],
    );
    let text = compare(&before, &after).unwrap().page().terminal();
    samples::assert_shown("tp-runner report r0000002 --against r0000001", &text);
}
