//! Assertions: patterns, checks, `eventually`, `always`, `give_up_if`, `at` and `took`; without assertions nothing passes.
use super::harness::{Setting, compiled, run, run_clocked, run_with};
use crate::outcome::{Status, Verdict};

#[tokio::test]
async fn reports_every_field_that_differs() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: look
        do:
          - fake: { says: [{ say: { a: 1, b: 2, c: 3 } }] }
            expect: { answer: { a: 1, b: 3, d: 4 } }
            check: [answer.a == 1, answer.a == answer.b]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    let red: Vec<_> = result.results("A/steps/1/do/0").into_iter().filter(|f| !f.holds).map(|f| f.subject).collect();
    assert_eq!(red, ["answer.b", "answer.d", "answer.a == answer.b"]);
    assert_eq!(result.results("A/steps/1/do/0").len(), 5);
    assert!(result.sentence("A/steps/1").1.contains("answer.b"), "{:?}", result.sentence("A/steps/1"));
}

#[tokio::test]
async fn without_a_verb_a_pattern_matches_the_names_in_scope() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: look
        do:
          - fake: { says: [{ say: { n: 1 } }] }
            as: seen
          - expect: { seen: { answer: { n: 2 } } }
          - expect: { seen: { answered: true, answer: { n: 1 } } }
    expected: [{ result: r, expect: { seen: { answer: { n: 1 } } } }]
")
    .await;
    assert_eq!(result.action("A/steps/1/do/1").0, Status::Failed);
    assert_eq!(result.action("A/steps/1/do/2").0, Status::Passed);
    assert_eq!(result.status("A/expected/1"), Status::Passed);
}

#[tokio::test]
async fn an_evaluation_error_fails_a_check_and_is_an_error_in_if() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: look
        do:
          - fake: { says: [{ say: {} }] }
            as: seen
            check: answer.nothing != 1
          - fake: { name: never }
            if: seen.answer.nothing == 1
            as: other
    expected: [{ result: r, check: seen.answered }]
")
    .await;
    assert_eq!(result.action("A/steps/1/do/0").0, Status::Failed);
    let (status, reason) = result.action("A/steps/1/do/1");
    assert_eq!(status, Status::Errored);
    assert_eq!(reason, "its condition `if: seen.answer.nothing == 1` cannot be evaluated: field `nothing` not found");
    assert!(!result.log.contains(&"never".to_string()));
}

#[tokio::test(start_paused = true)]
async fn eventually_retries_until_it_holds_and_binds_the_last_output() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: wait
        do:
          - fake: { says: [1, { error: unreachable }, 2, 3] }
            eventually: 10s
            as: seen
            expect: { answer: 3 }
    expected: [{ result: r, check: seen.answer == 3 }]
",
    )
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed);
    let looks = result.observations("A/steps/1/do/0");
    let unmet: Vec<_> = looks.iter().map(|attempt| (attempt.unmet.len(), attempt.error.is_some())).collect();
    assert_eq!(unmet, [(1, false), (0, true), (1, false), (0, false)]);
}

#[tokio::test(start_paused = true)]
async fn an_eventually_that_runs_out_fails_by_its_last_attempt() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: wrong at the end
        do:
          - fake: { says: [{ error: unreachable }, 1] }
            eventually: 2s
            expect: { answer: 3 }
      - step: unreachable at the end
        do:
          - fake: { says: [1, { error: unreachable }] }
            eventually: 2s
            expect: { answer: 3 }
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    assert_eq!(result.status("A/steps/1"), Status::Failed);
    assert!(result.sentence("A/steps/1").1.contains("within 2s"), "{:?}", result.sentence("A/steps/1"));
    assert_eq!(result.status("A/steps/2"), Status::Errored);
}

#[tokio::test(start_paused = true)]
async fn give_up_if_ends_early() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: wait
        do:
          - fake: { says: [{ say: { phase: Pending } }, { say: { phase: Failed } }, { say: { phase: Running } }] }
            eventually: 60s
            give_up_if: answer.phase == \"Failed\"
            expect: { answer: { phase: Running } }
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    assert_eq!(result.status("A/steps/1"), Status::Failed);
    assert_eq!(result.observations("A/steps/1/do/0").len(), 2);
    assert!(result.sentence("A/steps/1").1.contains("given up"), "{:?}", result.sentence("A/steps/1"));
}

#[tokio::test(start_paused = true)]
async fn always_must_hold_in_every_attempt() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: stays
        do:
          - fake: { says: [1] }
            always: 2s
            expect: { answer: 1 }
      - step: does not stay
        do:
          - fake: { says: [1, 1, 2, 1] }
            always: 2s
            expect: { answer: 1 }
      - step: is not so from the first look on
        do:
          - fake: { says: [2, 1] }
            always: 2s
            expect: { answer: 1 }
      - step: becomes so, then stays so
        do:
          - fake: { says: [2, 1] }
            eventually: 2s
            always: 2s
            expect: { answer: 1 }
      - step: becomes so and does not stay so
        do:
          - fake: { says: [2, 1, 2, 1] }
            eventually: 2s
            always: 2s
            expect: { answer: 1 }
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    let statuses: Vec<_> = (1..6).map(|i| result.status(&format!("A/steps/{i}"))).collect();
    assert_eq!(statuses, [Status::Passed, Status::Failed, Status::Failed, Status::Passed, Status::Failed]);
    assert!(result.observations("A/steps/1/do/0").len() > 5, "it looks again and again");
    assert!(result.sentence("A/steps/2").1.contains("stopped holding"), "{:?}", result.sentence("A/steps/2"));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_longer_than_the_window_of_an_always_is_judged_by_its_output() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: slow and right
        do:
          - fake: { says: [{ after: 500ms, say: 1 }] }
            always: 60ms
            expect: { answer: 1 }
      - step: slow and wrong
        do:
          - fake: { says: [{ after: 500ms, say: 2 }] }
            always: 60ms
            expect: { answer: 1 }
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    assert_eq!([result.status("A/steps/1"), result.status("A/steps/2")], [Status::Passed, Status::Failed]);
}

#[tokio::test(start_paused = true)]
async fn eventually_on_a_use_repeats_the_whole_action() {
    let result = run_clocked(
        "
plan: T
actions:
  ask:
    do:
      - fake: { says: [1, 2, 3] }
        as: seen
    outputs: { n: seen.answer }
  insist:
    do:
      - fake: { says: [1, 2] }
        expect: { answer: 2 }
cases:
  - id: A
    tier: must
    steps:
      - step: wait
        do:
          - use: { ask: {} }
            eventually: 5s
            as: got
            expect: { n: 3 }
          - use: { insist: {} }
            eventually: 5s
    expected: [{ result: r, check: got.n == 3 }]
",
    )
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
    assert_eq!(result.observations("A/steps/1/do/0").len(), 3);
}

#[tokio::test]
async fn at_plus_took_is_when_the_last_attempt_ended() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: wait
        do:
          - save: { before: now() }
          - fake: { says: [1, 2, 3] }
            eventually: 10s
            as: seen
            expect: { answer: 3 }
          - fake: {}
            as: after
    expected:
      - result: it is between what came before and after
        check:
          - seen.at >= before && seen.at + seen.took <= after.at
          - seen.took >= duration('25ms')
          - after.took < duration('25ms')
")
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
}

#[tokio::test]
async fn a_foreach_over_an_empty_list_is_errored() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: make the list
        do:
          - fake: { says: [{ say: [] }] }
            as: list
      - step: go over it
        do:
          - fake: {}
            foreach: \"${list.answer}\"
            as: seen
    expected: [{ result: r, check: \"seen.all(s, s.answered)\" }]
")
    .await;
    assert_eq!(result.status("A/steps/2"), Status::Errored);
    assert_eq!(result.status("A/expected/1"), Status::NotReached, "the list was never bound");
    assert_eq!(result.verdict("A"), Verdict::Errored);
}

#[tokio::test]
async fn if_is_evaluated_before_an_empty_foreach() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: go over it
        do:
          - fake: { says: [{ say: [] }] }
            as: list
          - fake: {}
            if: size(list.answer) > 0
            foreach: \"${list.answer}\"
            as: seen
    expected: [{ result: r, check: list.answered }]
")
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn an_action_skipped_by_if_does_not_prove_a_result() {
    let result = run("
  - id: A
    tier: must
    expected:
      - result: not checked
        do:
          - fake: {}
            if: 1 == 2
            expect: { answer: true }
      - result: checked
        do:
          - fake: {}
            if: 1 == 2
            expect: { answer: true }
          - fake: {}
            expect: { answer: true }
")
    .await;
    assert_eq!(result.status("A/expected/1"), Status::NotReached);
    assert_eq!(result.status("A/expected/2"), Status::Passed);
    assert_eq!(result.verdict("A"), Verdict::Errored);
}

#[tokio::test]
async fn a_result_whose_use_has_no_assertion_is_not_proved() {
    let result = run("
plan: T
actions:
  glance: { do: [{ fake: {}, as: seen }], outputs: { n: seen.answer } }
cases:
  - id: A
    tier: must
    expected:
      - result: no assertion
        do: [{ use: { glance: {} } }]
      - result: an assertion
        do: [{ use: { glance: {} }, check: n }]
")
    .await;
    assert_eq!(result.status("A/expected/1"), Status::NotReached);
    assert_eq!(result.status("A/expected/2"), Status::Passed);
}

const SIDE_BY_SIDE: &str = "
  - id: A
    tier: must
    steps:
      - step: at once
        do:
          - parallel:
              overlap: all
              branches:
                - fake: { name: a, says: [{ after: 1s, say: 1 }] }
                  as: x
                - fake: { name: b, says: [{ after: 1s, say: 2 }] }
                  as: x
            as: both
    expected: [{ result: r, check: 'both.overlap == 2 && both.branches[0].answer == 1 && both.branches[1].answer == 2' }]
";

#[tokio::test(start_paused = true)]
async fn branches_run_at_the_same_time() {
    let result = run_clocked(SIDE_BY_SIDE).await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
}

#[tokio::test(start_paused = true)]
async fn a_parallel_without_overlap_is_errored() {
    let result = run_clocked(&SIDE_BY_SIDE.replace("after: 1s, ", "")).await;
    assert_eq!(result.status("A/steps/1"), Status::Errored, "{:?}", result.sentence("A/steps/1"));
    assert!(result.sentence("A/steps/1").1.contains("overlap"));
}

#[tokio::test(start_paused = true)]
async fn a_parallel_with_foreach_has_the_branches_of_each_item() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: at once
        do:
          - parallel:
              overlap: 3
              branches: [{ fake: { says: [{ after: 1s, say: '${item}' }] }, as: x }]
            foreach: [a, b, c]
            as: all
    expected: [{ result: r, check: 'all.overlap == 3 && all.branches.map(b, b.answer) == [\"a\", \"b\", \"c\"]' }]
",
    )
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
}

#[tokio::test]
async fn a_failed_branch_fails_the_parallel() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: at once
        do:
          - parallel:
              - fake: { says: [{ after: 20ms, say: 1 }] }
                expect: { answer: 1 }
              - fake: { says: [{ after: 20ms, say: 1 }] }
                expect: { answer: 2 }
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert_eq!((result.status("A/steps/1"), result.verdict("A")), (Status::Failed, Verdict::Failed));
}

#[tokio::test]
async fn a_fault_without_connections_is_errored() {
    for heal in ["- fault: { heal: down }", "- fake: {}"] {
        let case = format!(
            "
  - id: A
    tier: must
    steps:
      - step: cut and heal
        do:
          - fault: {{ break: down }}
          {heal}
    expected: [{{ result: r, check: run.id != '' }}]
"
        );
        let result = run_with(&case, Setting { tried: 0, ..Setting::default() }).await;
        let (verdict, _, reason) = result.case("A");
        assert_eq!(verdict, Verdict::Errored, "{heal}");
        assert!(reason.contains("no connection was attempted"), "{heal}: {reason}");
        assert_eq!(run(&case).await.verdict("A"), Verdict::Passed, "{heal}");
    }
}

#[test]
fn refuses_keys_without_effect() {
    for (step, code) in [
        ("{ check: run.id != '', eventually: 5s }", "missing-verb"),
        ("{ fake: {}, as: x, give_up_if: 1 == 2 }", "no-effect"),
        ("{ fault: { break: down }, eventually: 5s, check: refused == 0 }", "no-effect"),
        ("{ fault: { break: down }, undo: [{ fake: {} }] }", "no-effect"),
        ("{ parallel: [{ fake: {} }, { fake: {} }], always: 5s, check: overlap > 1 }", "no-effect"),
        ("{ parallel: [{ fake: {} }, { fake: {} }], undo: [{ fake: {} }] }", "no-effect"),
        ("{ parallel: [{ fake: {} }, { fake: {} }], target: one }", "no-effect"),
    ] {
        let case = format!(
            "  - id: A\n    tier: must\n    steps: [{{ step: s, do: [{step}] }}]\n    expected: [{{ result: r, check: run.id != '' }}]\n"
        );
        let drawn = compiled(&case, &Default::default(), super::harness::HERE)
            .err()
            .unwrap_or_else(|| panic!("it compiles: {step}"));
        assert!(drawn.contains(code) && drawn.matches("error").count() == 1, "{step}: {drawn}");
    }
}
