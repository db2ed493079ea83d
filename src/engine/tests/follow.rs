//! After a failure: what continues, what is not reached, who is to blame; and which cases run at the same time.
use super::harness::{HERE, Setting, TestRun, run, run_clocked, run_with};
use crate::{
    event::{Event, EventKind},
    outcome::{Blame, Status, Verdict},
};
use std::time::Duration;

#[tokio::test]
async fn a_false_expect_fails_its_sentence_and_still_binds_the_output() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: wrong
        do:
          - fake: { name: first, says: [1] }
            as: seen
            save: { n: answer }
            expect: { answer: 2 }
          - fake: { name: second }
      - step: goes on
        do: [{ fake: { name: third } }]
    expected:
      - result: judged by what was seen
        check: seen.answer == 1 && n == 1
")
    .await;
    assert_eq!(result.log, ["connect one", "first", "second", "third", "close one"]);
    assert_eq!(
        (result.status("A/steps/1"), result.status("A/steps/2"), result.status("A/expected/1")),
        (Status::Failed, Status::Passed, Status::Passed)
    );
    assert_eq!((result.case("A").0, result.case("A").1), (Verdict::Failed, Some(Blame::Product)));
}

#[tokio::test(start_paused = true)]
async fn foreach_stops_at_the_first_item_whose_eventually_ran_out() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: each
        do:
          - fake: { name: '${item}', says: ['${item}'] }
            foreach: [a, b, c]
            eventually: 1s
            expect: { answer: a }
          - fake: { name: after }
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    assert!(result.log.contains(&"b".into()) && !result.log.contains(&"c".into()), "{:?}", result.log);
    assert!(result.log.contains(&"after".into()), "the case goes on");
    assert!(result.sentence("A/steps/1").1.contains("item `1`"), "{:?}", result.sentence("A/steps/1"));
}

#[tokio::test]
async fn foreach_continues_after_an_expect_without_eventually_fails() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: each
        do:
          - fake: { name: '${item}', says: ['${item}'] }
            foreach: [a, b, c]
            expect: { answer: a }
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert_eq!(result.log[1..4], ["a", "b", "c"]);
    assert_eq!(result.status("A/steps/1"), Status::Failed);
}

#[tokio::test]
async fn an_action_that_reads_an_unbound_name_is_not_reached() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: its answer has no such field
        do:
          - fake: { says: [{ say: {} }] }
            expect: { answer: { id: 1 } }
            save: { id: answer.id }
      - step: in a body
        do: [{ fake: { name: 'one ${id}' } }]
      - step: in a check beside a verb
        do: [{ fake: { name: two }, check: answer == id }]
      - step: in a picture beside a verb
        do: [{ fake: { name: three }, expect: { answer: '${id}' } }]
      - step: in a save beside a verb
        do: [{ fake: { name: four }, save: { both: '[answer, id]' } }]
      - step: in a chain
        do: [{ save: { copy: id } }, { fake: { name: '${copy}' } }]
      - step: in a foreach
        do: [{ fake: {}, foreach: '${[id]}' }]
    expected:
      - result: in its own check
        check: id == 1 || run.id != ''
      - result: in its own picture
        expect: { id: $absent }
      - result: in an action of its own
        do: [{ fake: { name: five }, check: answer == id }]
      - result: never bound but needed first
        check: size(both) == 2
")
    .await;
    assert_eq!(result.status("A/steps/1"), Status::Failed);
    for at in [
        "steps/2",
        "steps/3",
        "steps/4",
        "steps/5",
        "steps/6",
        "steps/7",
        "expected/1",
        "expected/2",
        "expected/3",
        "expected/4",
    ] {
        let (status, reason) = result.sentence(&format!("A/{at}"));
        assert_eq!(status, Status::NotReached, "{at}: {reason}");
        assert!(reason.contains("never bound"), "{at}: {reason}");
    }
    assert_eq!(result.log, ["connect one", "close one"], "what cannot be judged is not performed");
}

#[tokio::test(start_paused = true)]
async fn no_response_after_sending_is_an_observation() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: silent
        do:
          - fake: { says: [{ error: silent }] }
            timeout: 3s
            as: seen
            expect: { answered: true, answer: 1 }
      - step: goes on
        do: [{ fake: { name: next } }]
    expected: [{ result: r, check: '!seen.answered' }]
",
    )
    .await;
    assert_eq!(result.status("A/steps/1"), Status::Failed);
    assert_eq!((result.status("A/steps/2"), result.status("A/expected/1")), (Status::Passed, Status::Passed));
    assert_eq!((result.case("A").0, result.case("A").1), (Verdict::Failed, Some(Blame::Product)));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_errored_before_sending_or_without_no_response() {
    let result = run_clocked("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [{ error: stuck }] }, timeout: 3s, expect: { answer: 1 } }] }]
    expected: [{ result: r, check: run.id != '' }]
  - id: B
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [{ error: silent }], silence: false }, timeout: 3s, expect: { answer: 1 } }] }]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    for case in ["A", "B"] {
        assert_eq!(result.status(&format!("{case}/steps/1")), Status::Errored);
        assert!(
            result.sentence(&format!("{case}/steps/1")).1.contains("no response within 3s"),
            "{:?}",
            result.sentence("A/steps/1")
        );
        assert_eq!((result.case(case).0, result.case(case).1), (Verdict::Errored, Some(Blame::Environment)));
    }
}

#[tokio::test]
async fn an_errored_action_ends_the_steps_and_bound_names_are_still_judged() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: seen
        do: [{ fake: { says: [1] }, as: seen }]
      - step: unreachable
        do:
          - fake: { says: [{ error: unreachable }] }
            as: lost
          - fake: { name: not begun }
      - step: not begun
        do: [{ fake: { name: not begun } }]
    expected:
      - result: of what is bound
        check: seen.answer == 1
      - result: of what is not
        check: lost.answered
")
    .await;
    let statuses: Vec<_> = ["steps/1", "steps/2", "steps/3", "expected/1", "expected/2"]
        .iter()
        .map(|at| result.status(&format!("A/{at}")))
        .collect();
    assert_eq!(statuses, [Status::Passed, Status::Errored, Status::NotReached, Status::Passed, Status::NotReached]);
    assert!(!result.log.contains(&"not begun".into()));
    assert_eq!((result.case("A").0, result.case("A").1), (Verdict::Errored, Some(Blame::Environment)));
}

#[tokio::test]
async fn failed_outweighs_errored() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: seen
        do: [{ fake: { says: [1] }, as: seen }]
      - step: unreachable
        do: [{ fake: { says: [{ error: unreachable }] } }]
    expected: [{ result: r, check: seen.answer == 2 }]
")
    .await;
    assert_eq!((result.case("A").0, result.case("A").1), (Verdict::Failed, Some(Blame::Product)));
}

#[tokio::test]
async fn a_target_that_cannot_be_connected_is_errored() {
    let setting = Setting { environment: "targets: { one: { fake: nowhere } }".into(), ..Setting::default() };
    let result = run_with(
        "  - { id: A, tier: must, expected: [{ result: r, do: [{ fake: {}, expect: { answer: true } }] }] }",
        setting,
    )
    .await;
    assert_eq!((result.status("A/expected/1"), result.case("A").1), (Status::Errored, Some(Blame::Environment)));
}

#[tokio::test]
async fn during_a_fault_an_unreachable_product_is_an_observation() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: cut
        do: [{ fault: { break: down } }]
      - step: ask
        do: [{ fake: { says: [{ error: unreachable }] }, as: seen, expect: { answered: false } }]
      - step: heal
        do: [{ fault: { heal: down }, as: healed }]
      - step: afterwards it is an error again
        do: [{ fake: { says: [{ error: unreachable }] }, expect: { answered: false } }]
    expected: [{ result: r, check: '!seen.answered && healed.refused == 3' }]
")
    .await;
    let statuses: Vec<_> = (1..5).map(|i| result.status(&format!("A/steps/{i}"))).collect();
    assert_eq!(statuses, [Status::Passed, Status::Passed, Status::Passed, Status::Errored]);
    assert_eq!(result.status("A/expected/1"), Status::Passed);
}

#[tokio::test]
async fn a_failed_precondition_blocks_the_case() {
    let result = run("
  - id: A
    tier: must
    preconditions:
      - given: answers wrongly
        do: [{ fake: {}, expect: { answer: 2 } }]
      - given: a second one is still looked at
        do: [{ fake: { name: second } }]
    steps: [{ step: s, do: [{ fake: { name: never } }] }]
    expected: [{ result: r, check: run.id != '' }]
  - id: B
    tier: must
    preconditions: [{ given: cannot be asked, do: [{ fake: { says: [{ error: unreachable }] } }] }]
    steps: [{ step: s, do: [{ fake: { name: never } }] }]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert_eq!((result.case("A").0, result.case("A").1), (Verdict::Blocked, Some(Blame::Product)));
    assert_eq!((result.case("B").0, result.case("B").1), (Verdict::Blocked, Some(Blame::Environment)));
    assert!(result.log.contains(&"second".into()) && !result.log.contains(&"never".into()));
    for at in ["A/steps/1", "A/expected/1", "B/expected/1"] {
        assert_eq!(result.status(at), Status::NotReached);
    }
}

#[tokio::test]
async fn a_precondition_without_actions_is_not_verified_and_a_result_may_be_unproven() {
    let result = run("
  - id: A
    tier: must
    preconditions: [{ given: the moon is full }]
    expected:
      - { result: proved, check: run.id != '' }
      - { result: believed, unproven: it cannot be observed from here }
")
    .await;
    assert_eq!(
        (result.status("A/preconditions/1"), result.status("A/expected/2")),
        (Status::NotVerified, Status::Unproven)
    );
    assert_eq!(result.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn a_missing_target_or_fault_blocks_the_case_before_it_begins() {
    let result = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { name: never }, target: three }] }]
    expected: [{ result: r, check: run.id != '' }]
  - id: B
    tier: must
    steps: [{ step: s, do: [{ fault: { break: nothing-known } }, { fake: { name: never } }] }]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    for (case, word) in [("A", "three"), ("B", "nothing-known")] {
        let (verdict, blame, reason) = result.case(case);
        assert_eq!((verdict, blame), (Verdict::Blocked, Some(Blame::Environment)));
        assert!(reason.contains(word), "{reason}");
    }
    assert!(result.log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_case_that_runs_longer_than_its_timeout_is_errored() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    timeout: 5s
    steps:
      - step: slow
        do: [{ fake: { says: [{ after: 20s }] }, timeout: 30s, as: seen }]
      - step: never
        do: [{ fake: { name: never } }]
    expected: [{ result: r, check: seen.answered }]
",
    )
    .await;
    let (verdict, blame, reason) = result.case("A");
    assert_eq!((verdict, blame), (Verdict::Errored, Some(Blame::Environment)));
    assert_eq!((reason.as_str(), out_of_time(&result)), ("the case ran out of time", Some(Duration::from_secs(5))));
    assert!(!result.log.contains(&"never".into()));
}

#[tokio::test(start_paused = true)]
async fn a_failure_stays_one_when_the_timeout_follows() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    timeout: 5s
    steps:
      - step: wrong
        do: [{ fake: {}, expect: { answer: 2 } }]
      - step: slow
        do: [{ fake: { says: [{ after: 20s }] }, timeout: 30s }]
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    let (verdict, blame, reason) = result.case("A");
    assert_eq!((verdict, blame), (Verdict::Failed, Some(Blame::Product)), "{reason}");
    assert_eq!(out_of_time(&result), Some(Duration::from_secs(5)), "and it says that it is not complete");
}

#[tokio::test]
async fn a_result_that_observes_rests_on_every_change_of_the_steps() {
    let case = |id: &str, steps: &str| {
        format!(
            "
  - id: {id}
    tier: must
    steps:
      - step: first
        do: [{{ fake: {{ changes: true }}, as: seen }}]
{steps}
    expected:
      - result: of a name
        check: seen.answered
      - result: of an observation
        do: [{{ fake: {{ says: [2] }}, expect: {{ answer: 1 }} }}]
      - result: not provable
        unproven: for a reason
"
        )
    };
    let lost = "{ fake: { says: [{ error: unreachable }] }, as: lost }";
    let change = "{ fake: { name: never, changes: true }, check: answered }";
    let unsent = "{ fake: { changes: true, says: [{ error: unreachable }] }, check: answered }";
    let silent = "{ fake: { changes: true, says: [{ error: silent }] }, timeout: 20ms, check: answered }";
    let cases = [
        case("performed", "      - { step: s, do: [{ fake: { changes: true, says: [2] }, expect: { answer: 1 } }] }"),
        case("silent", &format!("      - {{ step: s, do: [{silent}] }}")),
        case("read", &format!("      - {{ step: s, do: [{lost}] }}")),
        case("unsent", &format!("      - {{ step: s, do: [{unsent}] }}")),
        case("broken_off", &format!("      - {{ step: s, do: [{lost}, {change}] }}")),
        case("ended", &format!("      - {{ step: s, do: [{lost}] }}\n      - {{ step: t, do: [{change}] }}")),
        case(
            "skipped",
            &format!("      - {{ step: s, do: [{}] }}", change.replacen("{", "{ if: seen.answer == 7,", 1)),
        ),
        case(
            "unbound",
            "      - { step: s, do: [{ fake: { changes: true, name: '${seen.answer.nothing}' }, check: answered }] }",
        ),
    ];
    let result = run(&cases.concat()).await;
    for (id, step) in [
        ("performed", None),
        ("silent", None),
        ("read", None),
        ("skipped", None),
        ("unsent", Some(2)),
        ("broken_off", Some(2)),
        ("ended", Some(3)),
        ("unbound", Some(2)),
    ] {
        assert_eq!(result.status(&format!("{id}/expected/1")), Status::Passed, "{id}");
        let (status, reason) = result.sentence(&format!("{id}/expected/2"));
        match step {
            None => assert_eq!(status, Status::Failed, "{id}"),
            Some(n) => {
                assert_eq!(status, Status::NotReached, "{id}");
                assert_eq!(reason, format!("it rests on step {n}, which was not performed"), "{id}");
            }
        }
        assert_eq!(result.status(&format!("{id}/expected/3")), Status::Unproven, "{id}");
    }
    assert!(!result.log.contains(&"never".into()), "{:?}", result.log);
}

/// The time limit of the case `A`, if it ran out of time.
fn out_of_time(result: &TestRun) -> Option<Duration> {
    let limit = |e: &Event| match &e.kind {
        EventKind::CaseFinished { out_of_time, .. } => Some(*out_of_time),
        _ => None,
    };
    result.events.iter().find_map(limit).expect("the case is over")
}

/// Two sentences wait, one of them in an action that it uses; the third one does not.
#[tokio::test(start_paused = true)]
async fn the_default_time_limit_grows_with_each_sentence_that_waits() {
    let case = |slow: &str| {
        format!(
            "
plan: T
vars: {{ settle: 200s }}
actions:
  wait:
    inputs: {{ within: ~ }}
    do: [{{ fake: {{ says: [1] }}, eventually: '${{inputs.within}}', expect: {{ answer: 2 }} }}]
cases:
  - id: A
    tier: must
    steps:
      - step: waits
        do:
          - fake: {{ says: [1] }}
            eventually: ${{settle}}
            expect: {{ answer: 2 }}
          - use: {{ wait: {{ within: 1s }} }}
      - step: uses
        do: [{{ use: {{ wait: {{ within: '${{settle}}' }} }} }}]
      - step: does not wait
        do: [{{ fake: {{ says: [{{ after: {slow} }}] }}, timeout: 1h, as: seen }}]
    expected: [{{ result: r, check: seen.answered }}]
"
        )
    };
    assert_eq!(out_of_time(&run_clocked(&case("250s")).await), None);
    assert_eq!(out_of_time(&run_clocked(&case("350s")).await), Some(Duration::from_secs(700)));
}

const THREE: &str = "
  - id: A
    tier: must
    expected: [{ result: r, do: [{ fake: { name: a, says: [{ after: 1s }] }, expect: { answer: true } }, { fake: { name: a ends }, check: answer }] }]
  - id: B
    tier: must
    exclusive: true
    expected: [{ result: r, do: [{ fake: { name: b, says: [{ after: 1s }] }, expect: { answer: true } }, { fake: { name: b ends }, check: answer }] }]
  - id: C
    tier: must
    expected: [{ result: r, do: [{ fake: { name: c, says: [{ after: 1s }] }, expect: { answer: true } }, { fake: { name: c ends }, check: answer }] }]
";

fn locations(log: &[String], names: &[&str]) -> Vec<usize> {
    names.iter().map(|n| log.iter().position(|l| l == n).unwrap_or_else(|| panic!("{n} is not in {log:?}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn cases_run_side_by_side_and_an_exclusive_one_alone() {
    let result = run_clocked(THREE).await;
    let [a, c, a_ends, c_ends, b] = locations(&result.log, &["a", "c", "a ends", "c ends", "b"])[..] else {
        unreachable!()
    };
    assert!(a.max(c) < a_ends.min(c_ends), "side by side: {:?}", result.log);
    assert!(b > a_ends && b > c_ends, "alone: {:?}", result.log);
}

#[tokio::test(start_paused = true)]
async fn a_case_with_a_fault_runs_alone() {
    let fault = THREE.replace("exclusive: true", "steps: [{ step: s, do: [{ fault: { break: down } }] }]");
    let result = run_clocked(&fault).await;
    let [a_ends, c_ends, cut, b_ends, heal] =
        locations(&result.log, &["a ends", "c ends", "cut", "b ends", "heal"])[..]
    else {
        unreachable!()
    };
    assert!(a_ends.max(c_ends) < cut && cut < b_ends && b_ends < heal, "{:?}", result.log);
}

#[tokio::test(start_paused = true)]
async fn with_one_job_cases_keep_the_plans_order() {
    let text = THREE.replace("    exclusive: true\n", "");
    let result = run_with(&text, Setting { jobs: Some(1), paused: true, ..Setting::default() }).await;
    assert_eq!(result.log[1..7], ["a", "a ends", "b", "b ends", "c", "c ends"]);
}

#[tokio::test(start_paused = true)]
async fn fail_fast_starts_no_case_after_the_first_failure() {
    let text =
        THREE.replace("    exclusive: true\n", "").replacen("expect: { answer: true }", "expect: { answer: 2 }", 1);
    let result = run_with(&text, Setting { jobs: Some(1), fail_fast: true, paused: true, ..Setting::default() }).await;
    assert_eq!(
        (result.verdict("A"), result.verdict("B"), result.verdict("C")),
        (Verdict::Failed, Verdict::Skipped, Verdict::Skipped)
    );
    assert!(!result.log.contains(&"b".into()));
}

#[tokio::test]
async fn a_failed_setup_errors_every_case_with_one_sentence() {
    let setup = "setup: [{ fake: { says: [{ error: unreachable }] } }]";
    let result = run_with(THREE, Setting { environment: format!("{HERE}{setup}"), ..Setting::default() }).await;
    for case in ["A", "B", "C"] {
        let (verdict, blame, reason) = result.case(case);
        assert_eq!((verdict, blame), (Verdict::Errored, Some(Blame::Environment)));
        assert!(reason.contains("setup failed") && reason.contains("refused"), "{reason}");
    }
}

#[tokio::test]
async fn a_failure_blamed_on_the_environment_is_an_error() {
    let plan = |blame: &str| {
        format!(
            "
  - id: A
    tier: must
    preconditions:
      - given: places
        do:
          - fake: {{ says: [1] }}
            expect: {{ answer: 2 }}
{blame}
    expected: [{{ result: r, check: run.id != '' }}]
"
        )
    };
    for (blame, status, whose) in
        [("", Status::Failed, Blame::Product), ("            blame: environment", Status::Errored, Blame::Environment)]
    {
        let result = run(&plan(blame)).await;
        assert_eq!(result.verdict("A"), Verdict::Blocked);
        assert_eq!(result.action("A/preconditions/1/do/0").0, status);
        let blamed = result.events.iter().find_map(|e| match &e.kind {
            EventKind::CaseFinished { blame, .. } => *blame,
            _ => None,
        });
        assert_eq!(blamed, Some(whose));
    }
}
