//! The deciding sentence of a case: the cause before its consequences, computed from the events of a run.
use super::harness::{TestRun, run};
use crate::{
    outcome::Status,
    report::{index_builder::IndexBuilder, run_index::CaseEntry},
};

fn case_of(result: &TestRun) -> CaseEntry {
    IndexBuilder::build(&result.events).cases.remove(0)
}

/// The text of the deciding sentence, the number of those that follow from it and of the others, and the product's words.
fn decided(case: &CaseEntry) -> (&str, (usize, usize), Option<&str>) {
    let deciding = case.deciding_sentence().expect("a sentence did not pass");
    (&deciding.outline.text, case.other_problems(), case.product_words(deciding))
}

#[tokio::test]
async fn the_first_failed_sentence_decides_and_names_what_follows_from_it() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: Create
        do:
          - fake: { says: [{ say: { why: no }, body: { error: Quota exceeded, message: 5 of 5 } }] }
            as: made
            save: { why: answer.why }
            expect: { answer: { id: 7 } }
          - save: { id: made.answer.id }
      - { step: Follows by its output, do: [{ check: \"why == 'x'\" }] }
      - { step: Has a cause of its own, do: [{ fake: { says: [2] }, expect: { answer: 1 } }] }
      - { step: Copies, do: [{ save: { copy: why } }] }
      - { step: Is fine, do: [{ fake: {}, check: answered }] }
    expected:
      - { result: Follows by a copy, check: copy == 'x' }
      - { result: Follows directly, check: made.answer.id == 7 }
      - { result: Is not reached, check: id == 7 }
")
    .await;
    assert_eq!(decided(&case_of(&result)), ("Create", (4, 1), Some("Quota exceeded: 5 of 5")));
}

#[tokio::test]
async fn a_failed_sentence_that_reads_an_errored_action_does_not_decide() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: Is errored after an output
        do: [{ fake: { says: [5, { error: invalid }] }, eventually: 40ms, expect: { answer: 1 }, as: seen }]
    expected:
      - { result: Rests on it, check: seen.answer == 6 }
      - { result: Does not, do: [{ fake: { says: [2] }, expect: { answer: 1 } }] }
")
    .await;
    assert_eq!([result.status("A/steps/1"), result.status("A/expected/1")], [Status::Errored, Status::Failed]);
    assert_eq!(decided(&case_of(&result)), ("Does not", (0, 2), None));
}

#[tokio::test]
async fn an_assertion_about_an_earlier_response_shows_what_the_product_said_there() {
    let result = run("
  - id: A
    tier: must
    steps:
      - { step: First, do: [{ fake: { says: [{ say: 1, body: { error: no such route } }] }, as: seen }] }
      - { step: Second, do: [{ fake: { says: [{ say: 1, body: { error: unrelated } }] }, as: other }] }
    expected: [{ result: Both, check: [other.answered, seen.answer == 2] }]
")
    .await;
    assert_eq!(decided(&case_of(&result)), ("Both", (0, 0), Some("no such route")));
}

#[tokio::test]
async fn a_blocked_case_is_decided_by_its_first_precondition_that_does_not_hold() {
    let result = run("
  - id: A
    tier: must
    preconditions:
      - { given: Not reachable, do: [{ fake: { says: [{ error: unreachable }] } }] }
      - { given: Not so, do: [{ fake: { says: [2] }, expect: { answer: 1 } }] }
    steps: [{ step: s, do: [{ fake: {}, check: answered }] }]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert_eq!(decided(&case_of(&result)).0, "Not reachable");
}

#[tokio::test]
async fn a_wrong_undo_has_no_deciding_sentence() {
    let result = run("
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: {}, undo: [{ fake: { says: [2] }, expect: { answer: 1 } }] }] }]
    expected: [{ result: r, check: run.id != '' }]
")
    .await;
    assert!(case_of(&result).deciding_sentence().is_none());
}
