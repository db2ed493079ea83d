//! What was made is taken back: last first, whatever happened, and noted before the act.
use super::stage::{HERE, Setting, perform, run, run_clocked};
use crate::{
    event::EventKind,
    outcome::{Status, Verdict},
};

const TWO: &str = "
  - id: A
    tier: must
    steps:
      - step: make
        do:
          - fake: { name: make one }
            undo: [{ fake: { name: unmake one } }]
          - fake: { name: make two }
            undo: [{ fake: { name: unmake two } }]
    expected: [{ result: r, check: 1 == 1 }]
";

#[tokio::test]
async fn what_was_made_is_taken_back_last_first_and_noted_before_the_act() {
    let told = run(TWO).await;
    assert_eq!(
        told.log,
        [
            "intended fake unmake one",
            "connect one",
            "make one",
            "intended fake unmake two",
            "make two",
            "unmake two",
            "unmake one",
            "close one"
        ]
    );
    let rows: Vec<_> = told.undone().into_iter().map(|(at, status, _)| (at, status)).collect();
    assert_eq!(rows, [("A/steps/1/do/1/undo".into(), Status::Passed), ("A/steps/1/do/0/undo".into(), Status::Passed)]);
    assert_eq!(told.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn the_intent_is_told_before_the_look_and_the_undo_before_the_end_of_the_case() {
    let told = run(TWO).await;
    let at = |f: &dyn Fn(&EventKind) -> bool, address: &str| {
        told.events.iter().position(|e| e.address.as_str() == address && f(&e.kind)).expect("it was told")
    };
    let intended = at(&|k| matches!(k, EventKind::UndoIntended { .. }), "A/steps/1/do/0/undo");
    let looked = at(&|k| matches!(k, EventKind::Observed { .. }), "A/steps/1/do/0");
    let undone = at(&|k| matches!(k, EventKind::UndoFinished { .. }), "A/steps/1/do/0/undo");
    let end = at(&|k| matches!(k, EventKind::CaseFinished { .. }), "A");
    assert!(intended < looked && looked < undone && undone < end);
}

#[tokio::test]
async fn what_was_made_is_taken_back_after_a_failure_an_error_and_a_lost_answer() {
    for says in ["2", "{ error: unreachable }", "{ error: silent }", "{ error: invalid }"] {
        let told = run(&format!(
            "
  - id: A
    tier: must
    steps:
      - step: make
        do:
          - fake: {{ name: make, says: [{says}] }}
            timeout: 50ms
            expect: {{ answer: 1 }}
            undo: [{{ fake: {{ name: unmake }} }}]
    expected: [{{ result: r, check: 1 == 1 }}]
"
        ))
        .await;
        assert!(told.log.contains(&"unmake".into()), "{says}: {:?}", told.log);
        assert_ne!(told.verdict("A"), Verdict::Passed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_made_is_taken_back_after_the_time_ran_out() {
    let told = run_clocked(
        "
  - id: A
    tier: must
    timeout: 2s
    steps:
      - step: make
        do:
          - fake: { name: make, says: [{ after: 10s }] }
            undo: [{ fake: { name: unmake, says: [{ after: 10s }] } }]
    expected: [{ result: r, check: 1 == 1 }]
",
    )
    .await;
    assert!(told.log.contains(&"unmake".into()), "{:?}", told.log);
    assert_eq!(told.undone()[0].1, Status::Passed, "an undo has its own time");
    assert_eq!(told.verdict("A"), Verdict::Errored);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_never_ends_is_given_up_and_said_to_be_left() {
    let told = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: make
        do:
          - fake: { name: make one }
            undo: [{ fake: { name: unmake one } }]
          - fake: { name: make two }
            undo: [{ fake: { says: [{ error: stuck }] }, timeout: 10m }]
    expected: [{ result: r, check: 1 == 1 }]
",
    )
    .await;
    assert!(told.log.contains(&"unmake one".into()), "the others are taken back all the same");
    assert_eq!(told.verdict("A"), Verdict::Errored);
}

#[tokio::test]
async fn cancelled_midway_is_interrupted_and_taken_back() {
    let told = run("
  - id: A
    tier: must
    steps:
      - step: make
        do:
          - fake: { name: make }
            undo: [{ fake: { name: unmake } }]
          - fake: { says: [{ cancel: true, after: 10s }] }
          - fake: { name: never }
      - step: never
        do: [{ fake: { name: never } }]
    expected: [{ result: r, check: 1 == 1 }]
  - id: B
    tier: must
    exclusive: true
    expected: [{ result: r, do: [{ fake: { name: never }, check: answer }] }]
")
    .await;
    assert_eq!(told.log, ["intended fake unmake", "connect one", "make", "unmake", "close one"]);
    assert_eq!((told.verdict("A"), told.verdict("B")), (Verdict::Interrupted, Verdict::Skipped));
    assert_eq!((told.status("A/steps/2"), told.status("A/expected/1")), (Status::NotReached, Status::NotReached));
    assert!(told.events.iter().any(|e| matches!(e.kind, EventKind::CancelRequested)));
}

/// Had it been dropped, it would have taken effect behind our back, after the undo had looked for it.
#[tokio::test]
async fn a_change_under_way_when_the_run_is_cancelled_comes_to_its_end() {
    let told = run("
  - id: A
    tier: must
    steps:
      - step: make
        do:
          - fake: { name: make, changes: true, says: [{ cancel: true, after: 50ms, say: seven }] }
            save: { made: answer }
            undo: [{ fake: { name: 'unmake ${made}' } }]
          - fake: { name: never, changes: true }
            as: x
    expected: [{ result: r, check: x.answer == made }]
")
    .await;
    assert_eq!(told.log, ["intended fake unmake ${made}", "connect one", "make", "unmake seven", "close one"]);
    assert_eq!(told.verdict("A"), Verdict::Interrupted);
}

#[tokio::test]
async fn a_failing_undo_turns_passed_into_errored_and_says_what_is_left() {
    let told = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: {}, undo: [{ fake: { name: unmake, says: [2] }, expect: { answer: 1 } }] }] }]
    expected: [{ result: r, check: 1 == 1 }]
  - id: B
    tier: must
    steps: [{ step: s, do: [{ fake: {}, undo: [{ fake: { says: [{ error: unreachable }] } }] }] }]
    expected: [{ result: r, check: 1 == 2 }]
")
    .await;
    let (verdict, _, reason) = told.case("A");
    assert_eq!(verdict, Verdict::Errored);
    assert!(reason.contains("could be undone") && reason.contains("unmake"), "{reason}");
    assert_eq!(told.verdict("B"), Verdict::Failed, "it cannot hide a failure");
    assert_eq!(told.notes().len(), 2, "{:?}", told.notes());
    assert!(told.notes()[0].contains("left behind by A"));
}

#[tokio::test]
async fn an_undo_reads_what_was_known_before_and_what_the_act_saved() {
    let told = run("
plan: T
vars: { prefix: p }
cases:
  - id: A
    tier: must
    steps:
      - step: make
        do:
          - fake: { name: make, says: ['${item}!'] }
            foreach: [x, y]
            as: made
            save: { id: answer }
            undo: [{ fake: { name: 'unmake ${prefix} ${item} ${id} ${made.answered}' } }]
    expected: [{ result: r, check: size(made) == 2 }]
  - id: B
    tier: must
    steps:
      - step: make
        do:
          - fake: { name: make, says: [{ error: unreachable }] }
            save: { id: answer }
            undo:
              - fake: { name: 'by prefix ${run.id}' }
              - fake: { name: 'by id ${id}' }
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    for line in ["unmake p x x! true", "unmake p y y! true", "by prefix r1"] {
        assert!(told.log.contains(&line.into()), "{line}: {:?}", told.log);
    }
    assert!(told.notes().iter().any(|n| n.contains("`id` was never bound")), "{:?}", told.notes());
}

#[tokio::test]
async fn an_empty_foreach_is_nothing_wrong_in_an_undo() {
    let told = run("
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - fake: {}
            undo:
              - fake: { says: [{ say: [] }] }
                as: found
              - fake: {}
                foreach: \"${found.answer}\"
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    assert_eq!(told.verdict("A"), Verdict::Passed, "{:?}", told.case("A"));
}

#[tokio::test]
async fn a_fault_is_noted_before_it_is_cut_and_healed_at_the_end_in_any_event() {
    let told = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fault: { break: down } }, { fake: { name: ask, says: [2] }, expect: { answer: 1 } }] }]
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    assert_eq!(told.log, ["intended fault heal down", "cut", "connect one", "ask", "heal", "close one"]);
    assert_eq!((told.undone().len(), told.undone()[0].1), (1, Status::Passed));
    assert_eq!(told.verdict("A"), Verdict::Failed);
}

#[tokio::test]
async fn a_fault_that_a_step_healed_is_not_healed_again() {
    let told = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fault: { break: down } }, { fake: { name: ask } }, { fault: { heal: down } }] }]
    expected: [{ result: r, check: 1 == 1 }]
")
    .await;
    assert_eq!(told.log.iter().filter(|l| *l == "heal").count(), 1, "{:?}", told.log);
    assert_eq!(told.undone().len(), 1, "its row is there all the same");
    assert_eq!(told.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn a_fault_that_cannot_be_healed_is_said_to_be_left() {
    let case = "
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fault: { break: down } }] }]
    expected: [{ result: r, check: 1 == 1 }]
";
    let told = perform(case, Setting { stuck: true, ..Setting::default() }).await;
    assert_eq!(told.verdict("A"), Verdict::Errored);
    assert!(told.case("A").2.contains("could not be healed"), "{:?}", told.case("A"));
}

#[tokio::test(start_paused = true)]
async fn healing_a_fault_is_given_up_after_the_time_limit_of_an_undo() {
    let environment = "
targets: { one: { fake: one } }
faults:
  down:
    do: [{ fake: {} }]
    heal: [{ fake: { name: heal, says: [{ error: stuck }] }, timeout: 10m }]
";
    let case = "
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { name: make }, undo: [{ fake: { name: unmake } }] }, { fault: { break: down } }] }]
    expected: [{ result: r, check: 1 == 1 }]
";
    let told = perform(case, Setting { environment: environment.into(), straight: true, ..Setting::default() }).await;
    let undone = told.undone();
    assert_eq!((undone[0].1, undone[0].2.as_str()), (Status::Errored, "not done within 90s"));
    assert_eq!((undone[1].1, told.verdict("A")), (Status::Passed, Verdict::Errored), "the rest is undone all the same");
}

#[tokio::test]
async fn a_fault_may_be_actions_of_the_environment() {
    let faults = "
targets: { one: { fake: one }, control: { fake: control } }
faults:
  down:
    do: [{ fake: { name: cut }, target: control }]
    heal: [{ fake: { name: heal, says: [{ say: { refused: 2 } }] }, target: control, as: healed }]
    refused: healed.answer.refused
";
    let case = "
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fault: { break: down } }, { fault: { heal: down }, as: healed }] }]
    expected: [{ result: r, check: healed.refused == 2 }]
";
    let told = perform(case, Setting { environment: faults.into(), ..Setting::default() }).await;
    assert_eq!(told.verdict("A"), Verdict::Passed, "{:?}", told.case("A"));
    assert_eq!(told.log.iter().filter(|l| ["cut", "heal"].contains(&l.as_str())).count(), 2, "{:?}", told.log);
}

#[tokio::test]
async fn what_setup_made_is_taken_back_after_the_last_case() {
    let setup = "setup: [{ fake: { name: make }, undo: [{ fake: { name: unmake } }] }]";
    let case = "  - { id: A, tier: must, expected: [{ result: r, do: [{ fake: { name: case }, check: answer }] }] }";
    let told = perform(case, Setting { environment: format!("{HERE}{setup}"), ..Setting::default() }).await;
    assert_eq!(told.log, ["intended fake unmake", "connect one", "make", "case", "unmake", "close one"]);
    assert_eq!(told.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn targets_are_connected_once_and_closed_last_first() {
    let told = run("
  - id: A
    tier: must
    expected: [{ result: r, do: [{ fake: {}, target: two, check: answer }, { fake: {}, check: answer }, { fake: {}, target: two, check: answer }] }]
")
    .await;
    assert_eq!(told.log, ["connect two", "connect one", "close one", "close two"]);
}
