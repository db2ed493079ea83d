//! What follows a red: what goes on, what is not reached, whose fault it was; and which cases run beside which.
use super::stage::{HERE, Setting, perform, run, run_clocked};
use crate::outcome::{Blame, Status, Verdict};

#[tokio::test]
async fn a_false_expect_turns_its_sentence_red_and_what_was_seen_is_bound_all_the_same() {
    let told = run("
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
    assert_eq!(told.log, ["connect one", "first", "second", "third", "close one"]);
    assert_eq!(
        (told.status("A/steps/1"), told.status("A/steps/2"), told.status("A/expected/1")),
        (Status::Failed, Status::Passed, Status::Passed)
    );
    assert_eq!((told.case("A").0, told.case("A").1), (Verdict::Failed, Some(Blame::Product)));
}

#[tokio::test(start_paused = true)]
async fn foreach_stops_at_the_first_item_whose_eventually_ran_out() {
    let told = run_clocked(
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
    expected: [{ result: r, check: 1 == 1 }]
",
    )
    .await;
    assert!(told.log.contains(&"b".into()) && !told.log.contains(&"c".into()), "{:?}", told.log);
    assert!(told.log.contains(&"after".into()), "the case goes on");
    assert!(told.sentence("A/steps/1").1.contains("item `1`"), "{:?}", told.sentence("A/steps/1"));
}

#[tokio::test]
async fn foreach_goes_on_after_an_expect_that_is_false_at_once() {
    let told = run("
  - id: A
    tier: must
    steps:
      - step: each
        do:
          - fake: { name: '${item}', says: ['${item}'] }
            foreach: [a, b, c]
            expect: { answer: a }
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    assert_eq!(told.log[1..4], ["a", "b", "c"]);
    assert_eq!(told.status("A/steps/1"), Status::Failed);
}

#[tokio::test]
async fn what_reads_a_name_that_was_never_bound_is_not_reached_and_never_passed() {
    let told = run("
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
        check: id == 1 || 1 == 1
      - result: in its own picture
        expect: { id: $absent }
      - result: in an action of its own
        do: [{ fake: { name: five }, check: answer == id }]
      - result: bound by nobody but asked first
        check: size(both) == 2
")
    .await;
    assert_eq!(told.status("A/steps/1"), Status::Failed);
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
        let (status, reason) = told.sentence(&format!("A/{at}"));
        assert_eq!(status, Status::NotReached, "{at}: {reason}");
        assert!(reason.contains("never bound"), "{at}: {reason}");
    }
    assert_eq!(told.log, ["connect one", "close one"], "what cannot be judged is not performed");
}

#[tokio::test(start_paused = true)]
async fn silence_after_the_request_left_is_the_products_answer() {
    let told = run_clocked(
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
    assert_eq!(told.status("A/steps/1"), Status::Failed);
    assert_eq!((told.status("A/steps/2"), told.status("A/expected/1")), (Status::Passed, Status::Passed));
    assert_eq!((told.case("A").0, told.case("A").1), (Verdict::Failed, Some(Blame::Product)));
}

#[tokio::test(start_paused = true)]
async fn silence_is_errored_where_the_request_never_left_or_the_verb_knows_no_silence() {
    let told = run_clocked("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [{ error: stuck }] }, timeout: 3s, expect: { answer: 1 } }] }]
    expected: [{ result: r, check: 1 == 1 }]
  - id: B
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [{ error: silent }], silence: false }, timeout: 3s, expect: { answer: 1 } }] }]
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    for case in ["A", "B"] {
        assert_eq!(told.status(&format!("{case}/steps/1")), Status::Errored);
        assert!(
            told.sentence(&format!("{case}/steps/1")).1.contains("no response within 3s"),
            "{:?}",
            told.sentence("A/steps/1")
        );
        assert_eq!((told.case(case).0, told.case(case).1), (Verdict::Errored, Some(Blame::Environment)));
    }
}

#[tokio::test]
async fn not_being_able_to_ask_ends_the_steps_and_what_is_bound_is_still_judged() {
    let told = run("
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
        .map(|at| told.status(&format!("A/{at}")))
        .collect();
    assert_eq!(statuses, [Status::Passed, Status::Errored, Status::NotReached, Status::Passed, Status::NotReached]);
    assert!(!told.log.contains(&"not begun".into()));
    assert_eq!((told.case("A").0, told.case("A").1), (Verdict::Errored, Some(Blame::Environment)));
}

#[tokio::test]
async fn a_wrong_answer_outweighs_not_having_been_able_to_ask() {
    let told = run("
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
    assert_eq!((told.case("A").0, told.case("A").1), (Verdict::Failed, Some(Blame::Product)));
}

#[tokio::test]
async fn a_target_that_cannot_be_connected_is_errored() {
    let setting = Setting { environment: "targets: { one: { fake: nowhere } }".into(), ..Setting::default() };
    let told = perform(
        "  - { id: A, tier: must, expected: [{ result: r, do: [{ fake: {}, expect: { answer: true } }] }] }",
        setting,
    )
    .await;
    assert_eq!((told.status("A/expected/1"), told.case("A").1), (Status::Errored, Some(Blame::Environment)));
}

#[tokio::test]
async fn during_a_fault_not_reaching_the_product_is_its_answer() {
    let told = run("
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
    let statuses: Vec<_> = (1..5).map(|i| told.status(&format!("A/steps/{i}"))).collect();
    assert_eq!(statuses, [Status::Passed, Status::Passed, Status::Passed, Status::Errored]);
    assert_eq!(told.status("A/expected/1"), Status::Passed);
}

#[tokio::test]
async fn a_red_precondition_makes_the_case_blocked() {
    let told = run("
  - id: A
    tier: must
    preconditions:
      - given: answers wrongly
        do: [{ fake: {}, expect: { answer: 2 } }]
      - given: a second one is still looked at
        do: [{ fake: { name: second } }]
    steps: [{ step: s, do: [{ fake: { name: never } }] }]
    expected: [{ result: r, check: 1 == 1 }]
  - id: B
    tier: must
    preconditions: [{ given: cannot be asked, do: [{ fake: { says: [{ error: unreachable }] } }] }]
    steps: [{ step: s, do: [{ fake: { name: never } }] }]
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    assert_eq!((told.case("A").0, told.case("A").1), (Verdict::Blocked, Some(Blame::Product)));
    assert_eq!((told.case("B").0, told.case("B").1), (Verdict::Blocked, Some(Blame::Environment)));
    assert!(told.log.contains(&"second".into()) && !told.log.contains(&"never".into()));
    for at in ["A/steps/1", "A/expected/1", "B/expected/1"] {
        assert_eq!(told.status(at), Status::NotReached);
    }
}

#[tokio::test]
async fn a_precondition_without_do_is_not_verified_and_a_result_may_be_unproven() {
    let told = run("
  - id: A
    tier: must
    preconditions: [{ given: the moon is full }]
    expected:
      - { result: proved, check: 1 == 1 }
      - { result: believed, unproven: nobody can see it from here }
")
    .await;
    assert_eq!(
        (told.status("A/preconditions/1"), told.status("A/expected/2")),
        (Status::NotVerified, Status::Unproven)
    );
    assert_eq!(told.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn a_missing_target_or_fault_blocks_the_case_before_it_begins() {
    let told = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { name: never }, target: three }] }]
    expected: [{ result: r, check: 1 == 1 }]
  - id: B
    tier: must
    steps: [{ step: s, do: [{ fault: { break: nothing-known } }, { fake: { name: never } }] }]
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    for (case, word) in [("A", "three"), ("B", "nothing-known")] {
        let (verdict, blame, reason) = told.case(case);
        assert_eq!((verdict, blame), (Verdict::Blocked, Some(Blame::Environment)));
        assert!(reason.contains(word), "{reason}");
    }
    assert!(told.log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_case_that_runs_longer_than_its_timeout_is_errored() {
    let told = run_clocked(
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
    let (verdict, blame, reason) = told.case("A");
    assert_eq!((verdict, blame), (Verdict::Errored, Some(Blame::Environment)));
    assert!(reason.contains("`timeout` of 5s"), "{reason}");
    assert!(!told.log.contains(&"never".into()));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_stays_one_when_the_time_runs_out_afterwards() {
    let told = run_clocked(
        "
  - id: A
    tier: must
    timeout: 5s
    steps:
      - step: wrong
        do: [{ fake: {}, expect: { answer: 2 } }]
      - step: slow
        do: [{ fake: { says: [{ after: 20s }] }, timeout: 30s }]
    expected: [{ result: r, check: 1 == 1 }]
",
    )
    .await;
    let (verdict, blame, reason) = told.case("A");
    assert_eq!((verdict, blame), (Verdict::Failed, Some(Blame::Product)), "{reason}");
}

#[tokio::test]
async fn a_panicking_executor_is_one_errored_step() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let told = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [{ error: panic }] }, as: seen }] }]
    expected: [{ result: r, check: seen.answered }]
  - id: B
    tier: must
    expected: [{ result: r, do: [{ fake: {}, expect: { answer: true } }] }]
")
    .await;
    std::panic::set_hook(hook);
    assert_eq!(
        (told.status("A/steps/1"), told.verdict("A"), told.verdict("B")),
        (Status::Errored, Verdict::Errored, Verdict::Passed)
    );
    assert!(told.sentence("A/steps/1").1.contains("panicked"));
}

#[tokio::test]
async fn a_panic_of_the_engine_itself_errors_its_case_alone() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let told = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { says: [{ error: silent }], silence: panic }, timeout: 20ms }] }]
    expected: [{ result: r, check: 1 == 1 }]
  - id: B
    tier: must
    expected: [{ result: r, do: [{ fake: {}, expect: { answer: true } }] }]
")
    .await;
    std::panic::set_hook(hook);
    assert_eq!((told.verdict("A"), told.verdict("B")), (Verdict::Errored, Verdict::Passed));
    assert!(
        told.case("A").2.contains("panicked") && told.notes()[0].contains("left behind by A"),
        "{:?}",
        told.notes()
    );
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
    let told = run_clocked(THREE).await;
    let [a, c, a_ends, c_ends, b] = locations(&told.log, &["a", "c", "a ends", "c ends", "b"])[..] else {
        unreachable!()
    };
    assert!(a.max(c) < a_ends.min(c_ends), "side by side: {:?}", told.log);
    assert!(b > a_ends && b > c_ends, "alone: {:?}", told.log);
}

#[tokio::test(start_paused = true)]
async fn a_case_with_a_fault_runs_alone() {
    let fault = THREE.replace("exclusive: true", "steps: [{ step: s, do: [{ fault: { break: down } }] }]");
    let told = run_clocked(&fault).await;
    let [a_ends, c_ends, cut, b_ends, heal] = locations(&told.log, &["a ends", "c ends", "cut", "b ends", "heal"])[..]
    else {
        unreachable!()
    };
    assert!(a_ends.max(c_ends) < cut && cut < b_ends && b_ends < heal, "{:?}", told.log);
}

#[tokio::test(start_paused = true)]
async fn with_one_job_cases_keep_the_plans_order() {
    let text = THREE.replace("    exclusive: true\n", "");
    let told = perform(&text, Setting { jobs: Some(1), straight: true, ..Setting::default() }).await;
    assert_eq!(told.log[1..7], ["a", "a ends", "b", "b ends", "c", "c ends"]);
}

#[tokio::test(start_paused = true)]
async fn after_the_first_red_fail_fast_begins_no_further_case() {
    let text =
        THREE.replace("    exclusive: true\n", "").replacen("expect: { answer: true }", "expect: { answer: 2 }", 1);
    let told = perform(&text, Setting { jobs: Some(1), fail_fast: true, straight: true, ..Setting::default() }).await;
    assert_eq!(
        (told.verdict("A"), told.verdict("B"), told.verdict("C")),
        (Verdict::Failed, Verdict::Skipped, Verdict::Skipped)
    );
    assert!(!told.log.contains(&"b".into()));
}

#[tokio::test]
async fn a_failed_setup_errors_every_case_with_one_sentence() {
    let setup = "setup: [{ fake: { says: [{ error: unreachable }] } }]";
    let told = perform(THREE, Setting { environment: format!("{HERE}{setup}"), ..Setting::default() }).await;
    for case in ["A", "B", "C"] {
        let (verdict, blame, reason) = told.case(case);
        assert_eq!((verdict, blame), (Verdict::Errored, Some(Blame::Environment)));
        assert!(reason.contains("setup failed") && reason.contains("refused"), "{reason}");
    }
}
