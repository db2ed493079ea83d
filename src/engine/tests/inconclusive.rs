//! Inconclusive is never green: whatever made it so, no expected result has passed by it.
use super::stage::{Setting, Told, perform, run};
use crate::outcome::{Status, Verdict};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};

/// The status of the only expected result, and the verdict.
fn came_to(told: &Told) -> (Status, Verdict) {
    (told.status("A/expected/1"), told.verdict("A"))
}

fn why(told: &Told) -> String {
    told.sentence("A/expected/1").1
}

fn plan(steps: &str, expected: &str) -> String {
    format!(
        "plan: T\ncases:\n  - id: A\n    tier: must\n    steps:\n      - step: s\n        do:\n{steps}\n    expected:\n      - result: r\n{expected}\n"
    )
}

#[tokio::test]
async fn what_was_skipped_by_its_if_proves_nothing() {
    let told = run(&plan(
        "          - fake: { says: [1] }",
        "        do: [{ fake: { says: [1] }, if: 1 == 2, expect: { answer: 1 } }]",
    ))
    .await;
    assert_eq!(came_to(&told), (Status::NotReached, Verdict::Errored));
    assert!(why(&told).contains("no assertion was evaluated"), "{}", why(&told));
}

#[tokio::test]
async fn a_step_of_which_every_action_was_skipped_is_not_verified() {
    let told =
        run(&plan("          - { fake: { says: [1] }, if: 1 == 2, expect: { answer: 1 } }", "        check: 1 == 1"))
            .await;
    assert_eq!(told.status("A/steps/1"), Status::NotVerified);
    assert!(told.sentence("A/steps/1").1.contains("skipped by their `if`"));
}

#[tokio::test]
async fn what_reads_the_answer_of_a_skipped_action_is_not_reached() {
    let told = run(&plan(
        "          - { fake: { says: [1] }, if: 1 == 2, as: seen }\n          - fake: {}",
        "        check: seen.answer == 1",
    ))
    .await;
    assert_eq!(came_to(&told), (Status::NotReached, Verdict::Errored));
}

#[tokio::test]
async fn a_foreach_over_nothing_proves_nothing() {
    for expected in [
        "        do: [{ fake: { says: [1] }, foreach: '${none}', expect: { answer: 1 } }]",
        "        check: 'all.all(a, a.answer == 2)'",
    ] {
        let told = run(&plan(
            "          - save: { none: '[1].filter(i, i > 1)' }\n          - { fake: { says: [1] }, foreach: '${none}', as: all }",
            expected,
        ))
        .await;
        assert!(came_to(&told).0 != Status::Passed && came_to(&told).1 == Verdict::Errored, "{:?}", came_to(&told));
    }
}

#[tokio::test]
async fn a_race_that_was_none_proves_nothing() {
    let race = "          - parallel:
              overlap: 3
              branches: [{ fake: { says: [{ after: 30ms, say: 1 }] } }, { fake: { says: [{ after: 30ms, say: 1 }] } }]
            as: both";
    let told = run(&plan(race, "        check: 'both.branches.all(b, b.answer == 1)'")).await;
    assert_eq!(came_to(&told), (Status::NotReached, Verdict::Errored));
    assert!(
        why(&told).contains("inconclusive") && why(&told).contains("expected 3 at the same time, found 2"),
        "{}",
        why(&told)
    );
}

#[tokio::test]
async fn a_fault_that_nobody_met_proves_nothing() {
    let untried = || Setting { tried: 0, ..Setting::default() };
    let healed = "          - fault: { break: down }
          - { fake: { says: [1] }, as: seen }
          - fault: { heal: down }";
    let left = "          - fault: { break: down }
          - { fake: { says: [1] }, as: seen }";
    for steps in [healed, left] {
        let told = perform(&plan(steps, "        check: seen.answer == 1"), untried()).await;
        assert_eq!(came_to(&told), (Status::NotReached, Verdict::Errored), "{steps}");
        assert!(why(&told).contains("no connection was attempted while the fault `down` was active"), "{}", why(&told));
    }
    let told = run(&plan(healed, "        check: seen.answer == 1")).await;
    assert_eq!(came_to(&told), (Status::Passed, Verdict::Passed), "and one that was met does not hinder");
}

#[tokio::test]
async fn an_absence_where_nothing_could_come_proves_nothing() {
    let answer = "fake: { says: [nobody could come] }";
    let steps = format!("          - {{ {answer}, as: seen, expect: {{ answer: $nonempty }} }}");
    let told = run(&plan(&steps, "        check: seen.answer != ''")).await;
    assert_eq!(came_to(&told), (Status::NotReached, Verdict::Errored));
    assert_eq!(told.status("A/steps/1"), Status::Errored);
    let told =
        run(&plan("          - fake: {}", &format!("        do: [{{ {answer}, expect: {{ answer: $nonempty }} }}]")))
            .await;
    assert_eq!(came_to(&told), (Status::Errored, Verdict::Errored));
}

#[tokio::test]
async fn a_clock_that_jumped_makes_no_time_trusted() {
    static LATER: AtomicBool = AtomicBool::new(false);
    fn wall() -> Timestamp {
        // at the end of the case the clock is an hour on
        let jump =
            if LATER.swap(true, Ordering::SeqCst) { SignedDuration::from_hours(1) } else { SignedDuration::ZERO };
        Timestamp::now() + jump
    }
    let text = plan("          - { fake: { says: [1] }, as: seen }", "        check: seen.took < duration('5s')");
    let told = perform(&text, Setting { wall, ..Setting::default() }).await;
    assert_eq!(came_to(&told), (Status::NotReached, Verdict::Errored));
    assert!(why(&told).contains("the clock jumped forward by 1h"), "{}", why(&told));
}

#[tokio::test]
async fn a_precondition_without_action_is_not_verified_and_said_so() {
    let text = plan("          - { fake: { says: [1] }, as: seen }", "        check: seen.answer == 1")
        .replace("    steps:\n", "    preconditions: [{ given: the moon is full }]\n    steps:\n");
    let told = run(&text).await;
    assert_eq!(told.status("A/preconditions/1"), Status::NotVerified);
}

#[tokio::test]
async fn a_wrong_answer_stays_one_beside_a_doubt() {
    let steps = "          - fault: { break: down }
          - { fake: { says: [2] }, as: seen }
          - fault: { heal: down }";
    let told =
        perform(&plan(steps, "        check: seen.answer == 1"), Setting { tried: 0, ..Setting::default() }).await;
    assert_eq!(came_to(&told), (Status::Failed, Verdict::Failed));
}
