//! A panic errors one action, with a reason that names the runner. The rest of the run goes on, and the undo runs.
use super::harness::{TestRun, run};
use crate::outcome::{Status, Verdict};
use std::sync::Once;

/// Runs cases without printing the panics to the terminal.
async fn run_quietly(cases: &str) -> TestRun {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let scripted = info.payload().downcast_ref::<&str>().is_some_and(|text| text.contains("scripted panic"));
            if !scripted {
                hook(info);
            }
        }));
    });
    run(cases).await
}

/// A case that makes something before `action`, and a case that passes.
fn with_undo(action: &str) -> String {
    format!(
        "
  - id: A
    tier: must
    steps:
      - step: make
        do: [{{ fake: {{ changes: true }}, expect: {{ answered: true }}, undo: [{{ fake: {{ name: unmake }} }}] }}]
      - step: break
        do:
          - {action}
    expected: [{{ result: r, check: run.id != '' }}]
  - id: B
    tier: must
    expected: [{{ result: r, do: [{{ fake: {{}}, expect: {{ answer: true }} }}] }}]
"
    )
}

async fn errors_one_action(action: &str, at: &str) -> TestRun {
    let result = run_quietly(&with_undo(action)).await;
    let (status, reason) = result.action(at);
    assert_eq!(status, Status::Errored, "{action}");
    assert!(reason.contains("the runner panicked: a scripted panic"), "{reason}");
    assert!(reason.contains("a defect of the runner, not of the product"), "{reason}");
    assert_eq!((result.verdict("A"), result.verdict("B")), (Verdict::Errored, Verdict::Passed), "{action}");
    assert!(result.log.contains(&"unmake".into()), "{action}: {:?}", result.log);
    assert_eq!(result.notes(), [""; 0], "{action}");
    result
}

#[tokio::test]
async fn a_panic_in_the_first_attempt_errors_the_action() {
    errors_one_action("fake: { says: [{ error: panic }] }\n            expect: { answered: true }", "A/steps/2/do/0")
        .await;
}

#[tokio::test]
async fn a_panic_in_a_later_attempt_errors_the_action_without_another_attempt() {
    let action = "fake: { says: [1, { error: panic }, 2] }\n            eventually: 10s\n            expect: { answered: true, answer: 2 }";
    let result = errors_one_action(action, "A/steps/2/do/0").await;
    assert_eq!(result.observations("A/steps/2/do/0").len(), 2);
}

#[tokio::test]
async fn a_panic_after_the_attempt_errors_the_action() {
    let action = "fake: { silence: panic, changes: true }\n            expect: { answered: true }\n            undo: [{ fake: { name: unmake twice } }]";
    let result = errors_one_action(action, "A/steps/2/do/0").await;
    assert!(result.log.contains(&"unmake twice".into()), "{:?}", result.log);
}

#[tokio::test]
async fn a_panic_in_an_item_errors_it() {
    let action =
        "fake: { says: [{ error: panic }] }\n            foreach: [1, 2]\n            expect: { answered: true }";
    errors_one_action(action, "A/steps/2/do/0#0").await;
}

#[tokio::test]
async fn a_panic_in_a_branch_errors_it_and_the_other_branch_completes() {
    let asserted = "expect: { answered: true }";
    let (one, other) = ("fake: { silence: panic }", "fake: { name: other }");
    let action = format!("parallel: {{ overlap: 2, branches: [{{ {one}, {asserted} }}, {{ {other}, {asserted} }}] }}");
    let result = errors_one_action(&action, "A/steps/2/do/0#0.0/0").await;
    assert!(result.log.contains(&"other".into()), "{:?}", result.log);
}

#[tokio::test]
async fn a_panic_in_an_undo_leaves_its_object_and_the_other_undos_run() {
    let action = "fake: { changes: true }\n            expect: { answered: true }\n            undo: [{ fake: { silence: panic } }]";
    let result = run_quietly(&with_undo(action)).await;
    assert_eq!((result.verdict("A"), result.verdict("B")), (Verdict::Errored, Verdict::Passed));
    assert!(result.log.contains(&"unmake".into()), "{:?}", result.log);
    let undone = result.undone();
    assert!(undone[0].1 == Status::Errored && undone[0].2.contains("the runner panicked"), "{undone:?}");
    assert!(result.notes()[0].contains("left behind by A"), "{:?}", result.notes());
}
