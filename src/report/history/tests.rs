use super::{view::PassedOver, *};
use crate::{
    event::{EventKind, Part, WaitOutcome},
    outcome::{Blame, Status},
    report::samples::{self, SampleRun},
};

/// A run of one case with this verdict, in a plan of this digest, and the milliseconds until its wait was satisfied.
fn run(verdict: Verdict, digest: &str, waited: Option<u64>) -> RunIndex {
    let case = samples::case("TC-1", "One", Tier::Should, &[(Part::Step, "Wait")]);
    let mut s = SampleRun::begin(vec![case], |start| start.plan.digest = Some(digest.into()));
    if verdict != Verdict::Skipped {
        s.emit("TC-1", EventKind::CaseStarted);
        s.start("TC-1/steps/0/do/0", "k8s get pods", 30);
        let status = if waited.is_some() { Status::Passed } else { Status::Failed };
        let held_after = waited.map(Duration::from_millis);
        s.finish_wait("TC-1/steps/0/do/0", status, WaitOutcome { limit: Duration::from_secs(10), held_after });
        let blame = (verdict != Verdict::Passed).then_some(Blame::Product);
        s.verdict("TC-1", verdict, blame, None, 100);
    }
    s.end(&[]).index()
}

fn history(runs: &[RunIndex]) -> History {
    let mut history = History::default();
    runs.iter().for_each(|run| history.add(run));
    history
}

/// With single spaces.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn json(history: &History) -> serde_json::Value {
    let mut out = vec![];
    history.write_json(&[], &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

use Verdict::{Failed, Flaky, Interrupted, Passed, Skipped};

#[test]
fn pass_rate_and_changes_count_decided_runs() {
    let verdicts = [Passed, Failed, Interrupted, Failed, Skipped, Passed, Flaky, Passed];
    let history = history(&verdicts.map(|v| run(v, "a", Some(100))));
    let case = &json(&history)["plans"][0]["cases"][0];
    let number = |name: &str| case[name].as_u64().unwrap();
    assert_eq!([number("runs"), number("passed"), number("changes"), number("flaky")], [6, 3, 2, 1]);
    assert_eq!(case["last"], "passed");
    let text = squeezed(&history.page(&[]).terminal());
    assert!(text.contains("TC-1 should passed 6 3 50 % 2 1"), "{text}");
}

#[test]
fn a_change_of_the_plan_does_not_count() {
    let changed = history(&[run(Failed, "a", None), run(Passed, "b", Some(1)), run(Passed, "b", Some(1))]);
    assert_eq!(json(&changed)["plans"][0]["cases"][0]["changes"], 0);
    let mut unknown = [run(Failed, "a", None), run(Passed, "a", Some(1))];
    unknown.iter_mut().for_each(|run| run.start.plan.digest = None);
    assert_eq!(json(&history(&unknown))["plans"][0]["cases"][0]["changes"], 0);
}

#[test]
fn environments_have_their_own_history() {
    let mut staging = run(Failed, "a", None);
    staging.start.environment.name = "staging".into();
    let both = json(&history(&[run(Passed, "a", Some(1)), staging, run(Passed, "a", Some(1))]));
    let rows: Vec<_> = both["plans"].as_array().unwrap().iter().map(|p| (&p["environment"], &p["runs"])).collect();
    assert_eq!(rows, [(&"sandbox".into(), &2.into()), (&"staging".into(), &1.into())]);
    assert_eq!(both["plans"][0]["cases"][0]["changes"], 0);
}

#[test]
fn a_wait_shows_median_worst_and_limit() {
    let wait = |times: &[Option<u64>]| {
        let runs: Vec<_> = times.iter().map(|t| run(if t.is_some() { Passed } else { Failed }, "a", *t)).collect();
        let history = history(&runs);
        (json(&history)["plans"][0]["cases"][0]["waits"][0].clone(), squeezed(&history.page(&[]).terminal()))
    };
    let (far, text) = wait(&[Some(100), Some(300), Some(200)]);
    assert_eq!((&far["median_ms"], &far["worst_ms"], &far["limit_ms"]), (&200.into(), &300.into(), &10_000.into()));
    assert!(far["near_limit"] == false && !text.contains("near the limit"), "{text}");
    let (near, text) = wait(&[Some(100), Some(8_000), None]);
    assert_eq!((&near["near_limit"], &near["not_satisfied"]), (&true.into(), &1.into()));
    assert!(text.contains("near the limit, 1x not satisfied 3 8.0 s 8.0 s 10.0 s"), "{text}");
    assert!(text.contains("Near the limit: at least 80 % of it in one of the runs."), "{text}");
}

#[test]
fn folders_that_were_passed_over_are_named() {
    let passed_over = [PassedOver { folder: "runs/x".into(), why: "no `events.jsonl`".into() }];
    let history = history(&[run(Passed, "a", Some(1))]);
    assert!(history.page(&passed_over).terminal().contains("1 folder passed over:\n  runs/x: no `events.jsonl`\n"));
    let mut out = vec![];
    history.write_json(&passed_over, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\"passed_over\":[{\"folder\":\"runs/x\""));
}

#[test]
fn the_documentation_shows_a_history() {
    let verdicts = [Passed, Passed, Failed, Passed, Flaky, Passed];
    let times = [Some(2_100), Some(2_400), None, Some(8_700), Some(2_200), Some(2_300)];
    let runs: Vec<_> = verdicts.into_iter().zip(times).map(|(verdict, time)| run(verdict, "a", time)).collect();
    let passed_over =
        [PassedOver { folder: ".tp-runner/runs/r0000009".into(), why: "its journal is damaged in 1 line".into() }];
    samples::assert_shown("tp-runner report --history TP-900", &history(&runs).page(&passed_over).terminal());
}
