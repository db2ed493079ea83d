//! The undo: last first, after every outcome, and recorded before the action.
use super::harness::{HERE, Setting, run, run_clocked, run_with};
use crate::{
    event::EventKind,
    outcome::{Blame, Status, Verdict},
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
    expected: [{ result: r, check: run.id != '' }]
";

#[tokio::test]
async fn undo_runs_last_first_and_is_recorded_before_the_action() {
    let result = run(TWO).await;
    assert_eq!(
        result.log,
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
    let rows: Vec<_> = result.undone().into_iter().map(|(at, status, _)| (at, status)).collect();
    assert_eq!(rows, [("A/steps/1/do/1/undo".into(), Status::Passed), ("A/steps/1/do/0/undo".into(), Status::Passed)]);
    assert_eq!(result.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn an_undo_is_planned_before_the_observation_and_finished_before_the_case() {
    let result = run(TWO).await;
    let at = |f: &dyn Fn(&EventKind) -> bool, address: &str| {
        result.events.iter().position(|e| e.address.as_str() == address && f(&e.kind)).expect("the event exists")
    };
    let intended = at(&|k| matches!(k, EventKind::UndoPlanned { .. }), "A/steps/1/do/0/undo");
    let looked = at(&|k| k.attempt().is_some(), "A/steps/1/do/0");
    let undone = at(&|k| matches!(k, EventKind::UndoFinished { .. }), "A/steps/1/do/0/undo");
    let end = at(&|k| matches!(k, EventKind::CaseFinished { .. }), "A");
    assert!(intended < looked && looked < undone && undone < end);
}

#[tokio::test]
async fn undo_runs_after_a_failure_an_error_and_no_response() {
    for says in ["2", "{ error: unreachable }", "{ error: silent }", "{ error: invalid }"] {
        let result = run(&format!(
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
    expected: [{{ result: r, check: run.id != '' }}]
"
        ))
        .await;
        assert!(result.log.contains(&"unmake".into()), "{says}: {:?}", result.log);
        assert_ne!(result.verdict("A"), Verdict::Passed);
    }
}

#[tokio::test(start_paused = true)]
async fn undo_runs_after_the_timeout_of_the_case() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    timeout: 2s
    steps:
      - step: make
        do:
          - fake: { name: make, says: [{ after: 10s }] }
            undo: [{ fake: { name: unmake, says: [{ after: 10s }] } }]
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    assert!(result.log.contains(&"unmake".into()), "{:?}", result.log);
    assert_eq!(result.undone()[0].1, Status::Passed, "an undo has its own time");
    assert_eq!(result.verdict("A"), Verdict::Errored);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_exceeds_its_time_limit_is_reported_as_left() {
    let result = run_clocked(
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
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    assert!(result.log.contains(&"unmake one".into()), "the other undos still run");
    assert_eq!(result.verdict("A"), Verdict::Errored);
}

#[tokio::test]
async fn a_cancelled_case_is_interrupted_and_undone() {
    let result = run("
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
    expected: [{ result: r, check: run.id != '' }]
  - id: B
    tier: must
    exclusive: true
    expected: [{ result: r, do: [{ fake: { name: never }, check: answer }] }]
")
    .await;
    assert_eq!(result.log, ["intended fake unmake", "connect one", "make", "unmake", "close one"]);
    assert_eq!((result.verdict("A"), result.verdict("B")), (Verdict::Interrupted, Verdict::Skipped));
    assert_eq!((result.status("A/steps/2"), result.status("A/expected/1")), (Status::NotReached, Status::NotReached));
    assert!(result.events.iter().any(|e| matches!(e.kind, EventKind::CancelRequested)));
}

/// A dropped change could take effect after the undo.
#[tokio::test]
async fn a_change_in_progress_completes_after_a_cancel() {
    let result = run("
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
    assert_eq!(result.log, ["intended fake unmake ${made}", "connect one", "make", "unmake seven", "close one"]);
    assert_eq!(result.verdict("A"), Verdict::Interrupted);
}

#[tokio::test]
async fn an_undo_that_is_answered_wrongly_fails_the_case_and_one_that_cannot_be_sent_errors_it() {
    let case = |id: &str, undo: &str, result: &str| {
        format!(
            "
  - id: {id}
    tier: must
    steps: [{{ step: s, do: [{{ fake: {{}}, foreach: [x], undo: [{undo}] }}] }}]
    expected: [{{ result: r, check: run.id {result} '' }}]
"
        )
    };
    let wrong = "{ fake: { name: 'unmake ${item}', says: [2] }, expect: { answer: 1 } }";
    let silent = "{ fake: { name: 'unmake ${item}', says: [{ error: silent }] }, timeout: 20ms, check: answered }";
    let unsent = "{ fake: { name: 'unmake ${item}', says: [{ error: unreachable }] } }";
    let cases = [
        case("wrong", wrong, "!="),
        case("silent", silent, "!="),
        case("unsent", unsent, "!="),
        case("both", &format!("{unsent}, {wrong}"), "!="),
        case("hidden", unsent, "=="),
    ];
    let result = run(&cases.concat()).await;
    for id in ["wrong", "silent"] {
        let (verdict, blame, reason) = result.case(id);
        assert_eq!((verdict, blame), (Verdict::Failed, Some(Blame::Product)), "{id}: {reason}");
        assert!(reason.starts_with("the undo failed: ") && reason.contains("`unmake x`: "), "{id}: {reason}");
    }
    let (verdict, blame, reason) = result.case("unsent");
    assert_eq!((verdict, blame), (Verdict::Errored, Some(Blame::Environment)));
    assert!(reason.contains("could be undone") && reason.contains("`unmake x`: connection refused"), "{reason}");
    assert_eq!(result.verdict("both"), Verdict::Errored, "the undo ends where the product cannot be asked");
    let (verdict, _, reason) = result.case("hidden");
    assert_eq!(verdict, Verdict::Failed);
    assert!(!reason.contains("undo"), "it does not hide a failure: {reason}");
    assert_eq!(result.notes().iter().filter(|n| n.starts_with("left behind")).count(), 5, "{:?}", result.notes());
    assert!(result.notes().iter().any(|n| n.starts_with("left behind by wrong: ")), "{:?}", result.notes());
}

#[tokio::test]
async fn an_undo_that_is_answered_wrongly_fails_a_known_failure() {
    let known = "known_failures: [{ case: A, sentence: r, issue: '#1', until: 9999-01-01 }]";
    let case = "
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: {}, undo: [{ fake: { says: [2] }, expect: { answer: 1 } }] }] }]
    expected: [{ result: r, check: run.id == '' }]
";
    let result = run_with(case, Setting { environment: format!("{HERE}{known}"), ..Setting::default() }).await;
    assert_eq!(result.verdict("A"), Verdict::Failed, "{:?}", result.case("A"));
}

#[tokio::test]
async fn an_undo_reads_earlier_names_and_those_its_action_saved() {
    let result = run("
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
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    for line in ["unmake p x x! true", "unmake p y y! true", "by prefix r1"] {
        assert!(result.log.contains(&line.into()), "{line}: {:?}", result.log);
    }
    assert!(result.notes().iter().any(|n| n.contains("`id` was never bound")), "{:?}", result.notes());
}

#[tokio::test]
async fn an_empty_foreach_is_allowed_in_an_undo() {
    let result = run("
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
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
}

#[tokio::test]
async fn a_fault_is_recorded_before_it_breaks_and_always_healed() {
    let result = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fault: { break: down } }, { fake: { name: ask, says: [2] }, expect: { answer: 1 } }] }]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert_eq!(result.log, ["intended fault heal down", "cut", "connect one", "ask", "heal", "close one"]);
    assert_eq!((result.undone().len(), result.undone()[0].1), (1, Status::Passed));
    assert_eq!(result.verdict("A"), Verdict::Failed);
}

#[tokio::test]
async fn a_fault_that_a_step_healed_is_not_healed_twice() {
    let result = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fault: { break: down } }, { fake: { name: ask } }, { fault: { heal: down } }] }]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert_eq!(result.log.iter().filter(|l| *l == "heal").count(), 1, "{:?}", result.log);
    assert_eq!(result.undone().len(), 1, "it is still reported");
    assert_eq!(result.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn a_fault_is_healed_before_what_was_made_during_it_is_undone() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - fake: { name: before }
            undo: [{ fake: { name: undo-before } }]
          - fault: { break: down }
          - fake: { name: during, says: [2] }
            undo: [{ fake: { name: undo-during } }]
            expect: { answer: 1 }
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    let order: Vec<_> = result.log.iter().filter(|l| *l == "heal" || l.starts_with("undo-")).collect();
    assert_eq!(order, ["heal", "undo-during", "undo-before"], "{:?}", result.log);
    assert_eq!(result.undone().len(), 3);
}

#[tokio::test]
async fn a_fault_that_cannot_be_healed_is_reported_as_left() {
    let case = "
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fault: { break: down } }] }]
    expected: [{ result: r, check: run.id != '' }]
";
    let result = run_with(case, Setting { stuck: true, ..Setting::default() }).await;
    assert_eq!(result.verdict("A"), Verdict::Errored);
    assert!(result.case("A").2.contains("could not be healed"), "{:?}", result.case("A"));
}

#[tokio::test(start_paused = true)]
async fn healing_a_fault_has_the_time_limit_of_an_undo() {
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
    expected: [{ result: r, check: run.id != '' }]
";
    let result = run_with(case, Setting { environment: environment.into(), paused: true, ..Setting::default() }).await;
    let undone = result.undone();
    assert_eq!((undone[0].1, undone[0].2.as_str()), (Status::Errored, "not done within 90s"));
    assert_eq!(
        (undone[1].1, result.verdict("A")),
        (Status::Passed, Verdict::Errored),
        "the rest is undone all the same"
    );
}

#[tokio::test]
async fn a_fault_can_be_actions_of_the_environment() {
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
    let result = run_with(case, Setting { environment: faults.into(), ..Setting::default() }).await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
    assert_eq!(result.log.iter().filter(|l| ["cut", "heal"].contains(&l.as_str())).count(), 2, "{:?}", result.log);
}

#[tokio::test]
async fn undo_of_setup_runs_after_the_last_case() {
    let setup = "setup: [{ fake: { name: make }, undo: [{ fake: { name: unmake } }] }]";
    let case = "  - { id: A, tier: must, expected: [{ result: r, do: [{ fake: { name: case }, check: answer }] }] }";
    let result = run_with(case, Setting { environment: format!("{HERE}{setup}"), ..Setting::default() }).await;
    assert_eq!(result.log, ["intended fake unmake", "connect one", "make", "case", "unmake", "close one"]);
    assert_eq!(result.verdict("A"), Verdict::Passed);
}

#[tokio::test]
async fn targets_are_connected_once_and_closed_last_first() {
    let result = run("
  - id: A
    tier: must
    expected: [{ result: r, do: [{ fake: {}, target: two, check: answer }, { fake: {}, check: answer }, { fake: {}, target: two, check: answer }] }]
")
    .await;
    assert_eq!(result.log, ["connect two", "connect one", "close one", "close two"]);
}
