//! `--retries`: a case that did not pass is tried again after its undo.
use super::harness::{Setting, TestRun, run_with};
use crate::{
    engine::open_undos::OpenUndos,
    event::{Event, EventKind},
    outcome::{Blame, Status, Verdict},
    replay::Record,
    report::{
        gate::{RunVerdict, gate},
        index_builder::IndexBuilder,
    },
};

async fn retried(cases: &str, retries: usize) -> TestRun {
    run_with(cases, Setting { retries, jobs: Some(1), ..Setting::default() }).await
}

/// A case that makes something, observes these answers in its attempts and must observe 1, and whose undo is `unmake`.
fn case(says: &str, unmake: &str) -> String {
    format!(
        "
  - id: A
    tier: must
    steps:
      - step: make
        do:
          - fake: {{ name: make }}
            undo: [{{ fake: {{ name: unmake, says: [{unmake}] }}, expect: {{ answer: true }} }}]
    expected:
      - result: r
        do:
          - fake: {{ name: look, says: [{says}] }}
            expect: {{ answer: 1 }}
"
    )
}

fn attempts(run: &TestRun) -> Vec<(Verdict, Option<Blame>)> {
    let of_attempt = |event: &Event| match &event.kind {
        EventKind::CaseRetried { verdict, blame, .. } | EventKind::CaseFinished { verdict, blame, .. } => {
            Some((*verdict, *blame))
        }
        _ => None,
    };
    run.events.iter().filter_map(of_attempt).collect()
}

const PRODUCT: Option<Blame> = Some(Blame::Product);

#[tokio::test]
async fn the_undo_of_an_attempt_ends_before_the_next_one_begins() {
    let run = retried(&case("2, 1", "true"), 2).await;
    let acts: Vec<_> = run.log.iter().filter(|l| ["make", "look", "unmake"].contains(&l.as_str())).collect();
    assert_eq!(acts, ["make", "look", "unmake", "make", "look", "unmake"]);
    let position = |nth: usize, f: &dyn Fn(&EventKind) -> bool| {
        run.events.iter().enumerate().filter(|(_, e)| f(&e.kind)).nth(nth).map(|(i, _)| i).expect("the event exists")
    };
    let undone = position(0, &|k| matches!(k, EventKind::UndoFinished { .. }));
    let retried = position(0, &|k| matches!(k, EventKind::CaseRetried { .. }));
    let second = position(1, &|k| matches!(k, EventKind::CaseStarted));
    assert!(undone < retried && retried < second, "{undone} {retried} {second}");
    assert_eq!(attempts(&run), [(Verdict::Failed, PRODUCT), (Verdict::Flaky, PRODUCT)]);
    let (_, _, reason) = run.case("A");
    assert_eq!(reason, "passed in attempt 2; attempt 1 of 2 failed: `answer`: expected 1, found 2");
}

#[tokio::test]
async fn a_case_that_passes_is_not_tried_again() {
    let run = retried(&case("1", "true"), 5).await;
    assert_eq!(attempts(&run), [(Verdict::Passed, None)]);
}

#[tokio::test]
async fn a_case_that_never_passes_has_all_its_attempts_and_keeps_its_verdict() {
    let run = retried(&case("2, 3, 4, 1", "true"), 2).await;
    assert_eq!(attempts(&run), [(Verdict::Failed, PRODUCT); 3]);
    assert_eq!(run.case("A").2, "`answer`: expected 1, found 4");
    let index = IndexBuilder::build(&run.events);
    let actual = |case: &crate::report::run_index::CaseEntry| {
        case.deciding_sentence().unwrap().causes()[0].unmet().next().unwrap().actual.clone()
    };
    assert_eq!(index.cases[0].earlier.iter().map(actual).collect::<Vec<_>>(), ["2", "3"]);
    assert_eq!(actual(&index.cases[0]), "4");
    assert_eq!((index.cases[0].undone_count, index.cases[0].not_undone.len()), (3, 0));
}

#[tokio::test]
async fn a_failed_undo_ends_the_retries() {
    for unmake in ["false", "{ error: unreachable }"] {
        let run = retried(&case("2, 1", unmake), 3).await;
        assert_eq!(attempts(&run), [(Verdict::Failed, PRODUCT)], "{unmake}");
        assert!(run.case("A").2.ends_with("not tried again, since its undo failed"), "{}", run.case("A").2);
        assert_eq!(run.log.iter().filter(|l| *l == "make").count(), 1);
    }
    // the undo of the second attempt fails: it did not pass
    let run = retried(&case("2, 1", "true, false"), 3).await;
    assert_eq!(attempts(&run), [(Verdict::Failed, PRODUCT); 2]);
    assert_eq!(run.notes().len(), 1, "{:?}", run.notes());
}

#[tokio::test]
async fn no_attempt_begins_after_an_interrupt() {
    // in the undo of the first attempt
    let run = retried(&case("2, 1", "{ cancel: true }"), 3).await;
    assert_eq!(attempts(&run).len(), 1);
    assert_ne!(run.verdict("A"), Verdict::Flaky);
    // in the second attempt: its undo runs, and the first failure is not hidden
    let run = retried(&case("2, { cancel: true, say: 3 }", "true"), 3).await;
    assert_eq!(attempts(&run).len(), 2);
    assert_eq!((run.verdict("A"), run.case("A").1), (Verdict::Failed, PRODUCT));
    assert!(run.case("A").2.starts_with("attempt 1 of 2 failed: "), "{}", run.case("A").2);
    assert_eq!(run.undone().iter().filter(|(_, status, _)| *status == Status::Passed).count(), 2);
}

#[tokio::test]
async fn what_could_not_be_asked_is_tried_again_and_blames_the_environment() {
    let run = retried(&case("{ error: unreachable }, 1", "true"), 1).await;
    assert_eq!(
        attempts(&run),
        [(Verdict::Errored, Some(Blame::Environment)), (Verdict::Flaky, Some(Blame::Environment))]
    );
    assert_eq!(gate(&IndexBuilder::build(&run.events)).verdict, RunVerdict::Errored);
    // an error after a failure does not hide it
    let run = retried(&case("2, { error: unreachable }", "true"), 1).await;
    assert_eq!((run.verdict("A"), run.case("A").1), (Verdict::Failed, PRODUCT));
}

#[tokio::test]
async fn a_blocked_case_is_tried_again_unless_the_environment_lacks_something() {
    let blocked = "
  - id: A
    tier: nice
    preconditions: [{ given: g, do: [{ fake: { says: [2, 1] }, expect: { answer: 1 } }] }]
    expected: [{ result: r, check: run.id != '' }]
";
    let run = retried(blocked, 1).await;
    assert_eq!(attempts(&run), [(Verdict::Blocked, PRODUCT), (Verdict::Flaky, PRODUCT)]);
    assert_eq!(gate(&IndexBuilder::build(&run.events)).verdict, RunVerdict::Passed);
    let lacking = "
  - id: A
    tier: must
    expected: [{ result: r, do: [{ fake: { name: n }, target: three, expect: { answer: 1 } }] }]
";
    let run = retried(lacking, 3).await;
    assert_eq!(run.verdict("A"), Verdict::Blocked);
    assert_eq!(attempts(&run).len(), 1, "{:?}", attempts(&run));
}

#[tokio::test]
async fn a_case_that_runs_alone_is_tried_again_alone() {
    let both = case("2, 1", "true").replace("tier: must", "tier: must\n    exclusive: true")
        + "
  - id: B
    tier: must
    expected: [{ result: r, do: [{ fake: { name: other, says: [{ after: 30ms, say: 1 }] }, expect: { answer: 1 } }] }]
";
    let run = run_with(&both, Setting { retries: 1, jobs: Some(4), ..Setting::default() }).await;
    assert_eq!((run.verdict("A"), run.verdict("B")), (Verdict::Flaky, Verdict::Passed));
    let case_of = |event: &Event| event.address.case().into_owned();
    let cases: Vec<String> = run.events.iter().map(case_of).filter(|c| c == "A" || c == "B").collect();
    let last_of_b = cases.iter().rposition(|c| c == "B").unwrap();
    assert!(cases[last_of_b + 1..].iter().all(|c| c == "A") && cases[..=last_of_b].iter().all(|c| c == "B"));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_the_time_limit_of_the_case() {
    let slow = case("{ after: 10s, say: 1 }, { after: 3s, say: 1 }", "true")
        .replace("tier: must", "tier: must\n    timeout: 5s");
    let run = run_with(&slow, Setting { retries: 1, paused: true, ..Setting::default() }).await;
    assert_eq!(
        attempts(&run),
        [(Verdict::Errored, Some(Blame::Environment)), (Verdict::Flaky, Some(Blame::Environment))]
    );
}

#[tokio::test]
async fn fail_fast_waits_for_the_last_attempt() {
    let both = case("2, 1", "true").replace("tier: must", "tier: nice")
        + "
  - id: B
    tier: must
    expected: [{ result: r, check: run.id != '' }]
";
    for (retries, expected) in [(1, Verdict::Passed), (0, Verdict::Skipped)] {
        let run = run_with(&both, Setting { retries, fail_fast: true, jobs: Some(1), ..Setting::default() }).await;
        assert_eq!(run.verdict("B"), expected, "{retries}");
    }
}

#[tokio::test]
async fn of_a_run_that_was_killed_in_the_second_attempt_only_its_undo_is_open() {
    let run = retried(&case("2, 1", "true"), 1).await;
    let planned = |e: &&Event| matches!(e.kind, EventKind::UndoPlanned { .. });
    let second = run.events.iter().filter(planned).nth(1).unwrap().seq as usize;
    assert_eq!(OpenUndos::of(&run.events[..second]).count(), 1);
    assert_eq!(OpenUndos::of(&run.events).count(), 0);
    let index = IndexBuilder::build(&run.events[..second]);
    let case = &index.cases[0];
    // the failure of the first attempt was observed
    assert_eq!((case.verdict, case.blame, case.earlier.len(), case.not_undone.len()), (Verdict::Failed, PRODUCT, 1, 1));
    assert_eq!(gate(&index).verdict, RunVerdict::Failed);
    // also between the attempts
    let retried = run.events.iter().find(|e| matches!(e.kind, EventKind::CaseRetried { .. })).unwrap().seq as usize;
    assert_eq!(IndexBuilder::build(&run.events[..retried]).cases[0].verdict, Verdict::Failed);
}

#[tokio::test]
async fn a_record_has_the_observations_of_the_last_attempt() {
    let run = retried(&case("2, 1", "true"), 1).await;
    let record = Record::of(&run.events).unwrap();
    let at = crate::address::Address::new("A/expected/1/do/0");
    assert_eq!(record.observations[&at].len(), 1);
    assert_eq!(record.cases["A"], Verdict::Flaky);
}
