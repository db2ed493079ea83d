//! An inconclusive case never passes, and none of its expected results do.
use super::harness::{Setting, TestRun, run, run_with};
use crate::outcome::{Status, Verdict};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};

/// The status of the only expected result, and the verdict.
fn result_and_verdict(result: &TestRun) -> (Status, Verdict) {
    (result.status("A/expected/1"), result.verdict("A"))
}

fn why(result: &TestRun) -> String {
    result.sentence("A/expected/1").1
}

fn plan(steps: &str, expected: &str) -> String {
    format!(
        "plan: T\ncases:\n  - id: A\n    tier: must\n    steps:\n      - step: s\n        do:\n{steps}\n    expected:\n      - result: r\n{expected}\n"
    )
}

#[tokio::test]
async fn a_result_whose_actions_were_skipped_is_not_reached() {
    let result = run(&plan(
        "          - fake: { says: [1] }",
        "        do: [{ fake: { says: [1] }, if: 1 == 2, expect: { answer: 1 } }]",
    ))
    .await;
    assert_eq!(result_and_verdict(&result), (Status::NotReached, Verdict::Errored));
    assert!(why(&result).contains("no assertion was evaluated"), "{}", why(&result));
}

#[tokio::test]
async fn a_step_of_which_every_action_was_skipped_is_not_verified() {
    let result = run(&plan(
        "          - { fake: { says: [1] }, if: 1 == 2, expect: { answer: 1 } }",
        "        check: run.id != ''",
    ))
    .await;
    assert_eq!(result.status("A/steps/1"), Status::NotVerified);
    assert!(result.sentence("A/steps/1").1.contains("skipped by their `if`"));
}

#[tokio::test]
async fn a_check_on_the_output_of_a_skipped_action_is_not_reached() {
    let result = run(&plan(
        "          - { fake: { says: [1] }, if: 1 == 2, as: seen }\n          - fake: {}",
        "        check: seen.answer == 1",
    ))
    .await;
    assert_eq!(result_and_verdict(&result), (Status::NotReached, Verdict::Errored));
}

#[tokio::test]
async fn a_foreach_over_an_empty_list_does_not_pass() {
    for expected in [
        "        do: [{ fake: { says: [1] }, foreach: '${none}', expect: { answer: 1 } }]",
        "        check: 'all.all(a, a.answer == 2)'",
    ] {
        let result = run(&plan(
            "          - save: { none: '[1].filter(i, i > 1)' }\n          - { fake: { says: [1] }, foreach: '${none}', as: all }",
            expected,
        ))
        .await;
        assert!(
            result_and_verdict(&result).0 != Status::Passed && result_and_verdict(&result).1 == Verdict::Errored,
            "{:?}",
            result_and_verdict(&result)
        );
    }
}

#[tokio::test]
async fn branches_that_do_not_overlap_are_inconclusive() {
    let race = "          - parallel:
              overlap: 3
              branches: [{ fake: { says: [{ after: 30ms, say: 1 }] } }, { fake: { says: [{ after: 30ms, say: 1 }] } }]
            as: both";
    let result = run(&plan(race, "        check: 'both.branches.all(b, b.answer == 1)'")).await;
    assert_eq!(result_and_verdict(&result), (Status::NotReached, Verdict::Errored));
    assert!(
        why(&result).contains("inconclusive") && why(&result).contains("expected 3 at the same time, found 2"),
        "{}",
        why(&result)
    );
}

#[tokio::test]
async fn a_fault_that_no_connection_met_is_inconclusive() {
    let untried = || Setting { tried: 0, ..Setting::default() };
    let healed = "          - fault: { break: down }
          - { fake: { says: [1] }, as: seen }
          - fault: { heal: down }";
    let left = "          - fault: { break: down }
          - { fake: { says: [1] }, as: seen }";
    for steps in [healed, left] {
        let result = run_with(&plan(steps, "        check: seen.answer == 1"), untried()).await;
        assert_eq!(result_and_verdict(&result), (Status::NotReached, Verdict::Errored), "{steps}");
        assert!(
            why(&result).contains("no connection was attempted while the fault `down` was active"),
            "{}",
            why(&result)
        );
    }
    let result = run(&plan(healed, "        check: seen.answer == 1")).await;
    assert_eq!(result_and_verdict(&result), (Status::Passed, Verdict::Passed), "a fault that was met is conclusive");
}

#[tokio::test]
async fn an_inconclusive_output_errors_the_action() {
    let answer = "fake: { says: [no sender was able to connect] }";
    let steps = format!("          - {{ {answer}, as: seen, expect: {{ answer: $nonempty }} }}");
    let result = run(&plan(&steps, "        check: seen.answer != ''")).await;
    assert_eq!(result_and_verdict(&result), (Status::NotReached, Verdict::Errored));
    assert_eq!(result.status("A/steps/1"), Status::Errored);
    let result =
        run(&plan("          - fake: {}", &format!("        do: [{{ {answer}, expect: {{ answer: $nonempty }} }}]")))
            .await;
    assert_eq!(result_and_verdict(&result), (Status::Errored, Verdict::Errored));
}

#[tokio::test]
async fn a_clock_that_jumps_is_inconclusive() {
    static LATER: AtomicBool = AtomicBool::new(false);
    fn wall() -> Timestamp {
        // the clock jumps by an hour during the case
        let jump =
            if LATER.swap(true, Ordering::SeqCst) { SignedDuration::from_hours(1) } else { SignedDuration::ZERO };
        Timestamp::now() + jump
    }
    let text = plan("          - { fake: { says: [1] }, as: seen }", "        check: seen.took < duration('5s')");
    let result = run_with(&text, Setting { wall, ..Setting::default() }).await;
    assert_eq!(result_and_verdict(&result), (Status::NotReached, Verdict::Errored));
    assert!(why(&result).contains("the clock jumped forward by 1h"), "{}", why(&result));
}

#[tokio::test]
async fn a_precondition_without_actions_is_reported_as_not_verified() {
    let text = plan("          - { fake: { says: [1] }, as: seen }", "        check: seen.answer == 1")
        .replace("    steps:\n", "    preconditions: [{ given: the moon is full }]\n    steps:\n");
    let result = run(&text).await;
    assert_eq!(result.status("A/preconditions/1"), Status::NotVerified);
}

#[tokio::test]
async fn a_failure_stays_one_in_an_inconclusive_case() {
    let steps = "          - fault: { break: down }
          - { fake: { says: [2] }, as: seen }
          - fault: { heal: down }";
    let result =
        run_with(&plan(steps, "        check: seen.answer == 1"), Setting { tried: 0, ..Setting::default() }).await;
    assert_eq!(result_and_verdict(&result), (Status::Failed, Verdict::Failed));
}
