//! What is judged at the end of a case: effects that must last, and every observation of a target.
use super::harness::{Setting, TestRun, run, run_with};
use crate::{
    event::EventKind,
    outcome::{Status, Verdict},
};

async fn replayed(plan: &str, live: &TestRun) -> TestRun {
    run_with(plan, Setting { recorded: Some(live.events.clone()), ..Setting::default() }).await
}

const LASTING: &str = "
plan: T
actions:
  see:
    inputs: { n: null }
    do:
      - fake: { says: [0, '${inputs.n}', LATER] }
        eventually: 5s
        expect: { answer: '${inputs.n}' }
cases:
  - id: A
    tier: must
    steps:
      - step: seen
        do:
          - use: { see: { n: '${item}' } }
            foreach: [1, 2]
            still_at_end: true
          - fake: { says: [7] }
            as: other
    expected: [{ result: r, check: other.answer == 7 }]
";

#[tokio::test]
async fn an_effect_that_is_undone_before_the_end_of_the_case_fails_its_sentence() {
    // the second address has attempts of its own: the script begins anew, and its first answer is 0
    let plan = LASTING.replace("LATER", "0");
    let live = run(&plan).await;
    assert_eq!(live.verdict("A"), Verdict::Failed);
    let (status, reason) = live.sentence("A/steps/1");
    assert_eq!(status, Status::Failed);
    assert!(reason.starts_with("at the end of the case: "), "{reason}");
    assert_eq!(live.status("A/expected/1"), Status::Passed, "the sentences after it were judged");
    let again = replayed(&plan, &live).await;
    assert_eq!((again.verdict("A"), again.status("A/steps/1")), (Verdict::Failed, Status::Failed));
}

#[tokio::test]
async fn an_effect_that_lasts_is_observed_once_more_without_waiting() {
    let plan = LASTING.replace("says: [0, '${inputs.n}', LATER]", "says: ['${inputs.n}']");
    let live = run(&plan).await;
    assert_eq!(live.verdict("A"), Verdict::Passed, "{:?}", live.case("A"));
    let observed =
        |at: &str| live.events.iter().filter(|e| e.address.as_str() == at && is_observation(&e.kind)).count();
    assert_eq!(observed("A/steps/1/at_end/0#1/use/0"), 1);
    assert_eq!(observed("A/steps/1/at_end/1"), 0, "only the marked action is performed again");
    assert_eq!(replayed(&plan, &live).await.verdict("A"), Verdict::Passed);
}

fn is_observation(kind: &EventKind) -> bool {
    kind.attempt().is_some()
}

#[tokio::test]
async fn what_waits_does_not_wait_again_at_the_end() {
    let plan = "
plan: T
cases:
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [0, 1] }, eventually: 5s, expect: { answer: 1 }, still_at_end: true }] }]
    expected: [{ result: r, check: run.id != '' }]
";
    // at the end the fake starts with 0 again: waiting would see the 1
    let live = run(plan).await;
    assert_eq!(live.status("A/steps/1"), Status::Failed);
}

#[tokio::test]
async fn branches_that_only_observe_again_need_not_overlap() {
    let plan = "
plan: T
cases:
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - parallel: { overlap: all, branches: [{ do: [{ fake: { says: [1] }, always: 60ms, expect: { answer: 1 } }] }] }
            foreach: [1, 2]
            still_at_end: true
    expected: [{ result: r, check: run.id != '' }]
";
    let live = run(plan).await;
    assert_eq!(live.verdict("A"), Verdict::Passed, "{:?}", live.sentence("A/steps/1"));
    let observed = live.events.iter().filter(|e| e.address.as_str().contains("/at_end/") && is_observation(&e.kind));
    assert!(observed.count() >= 2, "every branch is performed again");
    assert_eq!(replayed(plan, &live).await.verdict("A"), Verdict::Passed);
}

const EVERY: &str = "
plan: T
vars: { forbidden: 9 }
cases:
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [1, 2] }, always: 30ms, expect: { answered: true } }] }]
    expected:
      - result: r
        do:
          - every_observation: fake
            check: answer != forbidden
      - { result: t, check: run.id != '' }
  - id: B
    tier: must
    exclusive: true
    steps: [{ step: s, do: [{ fake: { says: [SAYS] }, expect: { answered: true } }] }]
    expected:
      - result: r
        do: [{ every_observation: fake, check: answer != forbidden }]
";

#[tokio::test]
async fn every_observation_of_the_run_so_far_is_judged() {
    let live = run(&EVERY.replace("SAYS", "9")).await;
    assert_eq!(live.verdict("A"), Verdict::Passed, "B observed it after the end of A: {:?}", live.case("A"));
    assert_eq!(live.verdict("B"), Verdict::Failed);
    let (_, reason) = live.sentence("B/expected/1");
    assert!(reason.contains("1 of ") && reason.contains("answer != forbidden"), "{reason}");
    let again = replayed(&EVERY.replace("SAYS", "9"), &live).await;
    assert_eq!(["A", "B"].map(|c| again.verdict(c)), [Verdict::Passed, Verdict::Failed]);
    let fine = run(&EVERY.replace("SAYS", "8")).await;
    assert_eq!(["A", "B"].map(|c| fine.verdict(c)), [Verdict::Passed, Verdict::Passed]);
}

#[tokio::test]
async fn observations_of_other_cases_count() {
    let plan = EVERY.replace("    exclusive: true\n", "").replace("SAYS", "9").replace("says: [1, 2]", "says: [9, 2]");
    let live = run(&plan).await;
    assert_eq!(live.verdict("B"), Verdict::Failed);
    assert_eq!(live.verdict("A"), Verdict::Failed);
}

#[tokio::test]
async fn without_any_observation_nothing_is_proven() {
    let plan = "
plan: T
cases:
  - id: A
    tier: must
    steps: [{ step: s, do: [{ check: run.id != '' }] }]
    expected: [{ result: r, do: [{ every_observation: fake, check: answer != 9 }] }]
";
    let live = run(plan).await;
    assert_eq!((live.verdict("A"), live.status("A/expected/1")), (Verdict::Errored, Status::NotReached));
}

#[tokio::test]
async fn a_case_that_is_stopped_has_not_seen_its_end() {
    let plan = "
plan: T
cases:
  - id: A
    tier: must
    steps:
      - step: s
        do: [{ fake: { says: [1] }, expect: { answer: 1 }, still_at_end: true }]
      - step: slow
        do: [{ fake: { says: [{ cancel: true, say: 1 }] }, expect: { answer: 1 } }]
    expected: [{ result: r, check: run.id != '' }]
";
    let live = run(plan).await;
    assert_eq!((live.verdict("A"), live.status("A/steps/1")), (Verdict::Interrupted, Status::NotReached));
}
