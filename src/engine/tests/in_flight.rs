//! Requests in flight at the end of a window, a case or a run: they are completed, or counted as abandoned.
use super::harness::{TestRun, run, run_clocked};
use crate::outcome::{Status, Verdict};

fn abandoned(result: &TestRun) -> Vec<String> {
    result.notes().into_iter().filter(|n| n.contains("abandoned")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_at_the_end_of_an_always_is_its_last_observation() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: holds
        do:
          - fake: { says: [1, { sent: true, after: 5s, say: 1 }, 2] }
            always: 2s
            expect: { answer: 1 }
      - step: stops holding
        do:
          - fake: { says: [1, { sent: true, after: 5s, say: 2 }, 1] }
            always: 2s
            expect: { answer: 1 }
      - step: is not answered
        do:
          - fake: { name: ask again, says: [1, { error: silent }, 1] }
            always: 2s
            timeout: 7s
            expect: { answer: 1 }
      - step: was not sent
        do:
          - fake: { says: [1, { after: 5s, say: 2 }] }
            always: 2s
            expect: { answer: 1 }
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    let statuses: Vec<_> = (1..5).map(|i| result.status(&format!("A/steps/{i}"))).collect();
    assert_eq!(statuses, [Status::Passed, Status::Failed, Status::Failed, Status::Passed]);
    let counts: Vec<_> = (1..5).map(|i| result.observations(&format!("A/steps/{i}/do/0")).len()).collect();
    assert_eq!(counts, [2, 2, 2, 1]);
    let reason = "1 request was abandoned before the response: `ask again` (A/steps/3/do/0)";
    assert_eq!(abandoned(&result), [reason], "up to its timeout, then it is counted");
}

#[tokio::test]
async fn an_output_that_arrives_after_an_eventually_is_recorded_and_too_late() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: first attempt
        do:
          - fake: { says: [{ sent: true, after: 200ms, say: 1 }] }
            eventually: 50ms
            expect: { answer: 1 }
      - step: later attempt
        do:
          - fake: { says: [2, { sent: true, after: 200ms, say: 1 }] }
            eventually: 50ms
            expect: { answer: 1 }
            as: seen
      - step: in time
        do:
          - fake: { says: [2, { sent: true, after: 20ms, say: 1 }] }
            eventually: 5s
            expect: { answer: 1 }
    expected: [{ result: r, check: seen.answer == 1 }]
")
    .await;
    for step in 1..3 {
        let (status, reason) = result.sentence(&format!("A/steps/{step}"));
        assert_eq!((status, result.observations(&format!("A/steps/{step}/do/0")).len()), (Status::Failed, step));
        assert!(reason.starts_with("condition not met within 50ms"), "{reason}");
    }
    assert_eq!(result.status("A/steps/3"), Status::Passed);
    assert_eq!(abandoned(&result), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_at_the_time_limit_of_a_case_is_completed() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    timeout: 2s
    steps:
      - step: read
        do:
          - fake: { says: [{ sent: true, after: 10s, say: seven }] }
            as: seen
            undo: [{ fake: { name: 'unmake ${seen.answer}' } }]
          - fake: { name: never }
      - step: never
        do: [{ fake: { name: never } }]
    expected: [{ result: r, check: seen.answer == 'seven' }]
",
    )
    .await;
    assert_eq!(result.action("A/steps/1/do/0").0, Status::Passed);
    assert_eq!(result.verdict("A"), Verdict::Errored);
    assert!(result.log.contains(&"unmake seven".into()), "{:?}", result.log);
    assert!(!result.log.contains(&"never".into()), "{:?}", result.log);
    assert_eq!(abandoned(&result), [""; 0]);
}

#[tokio::test]
async fn a_read_in_flight_completes_after_a_cancel_and_a_second_one_cuts_it() {
    let case = |turn: &str| {
        format!(
            "
  - id: A
    tier: must
    steps: [{{ step: s, do: [{{ fake: {{ name: read, says: [{turn}] }}, as: seen }}] }}]
    expected: [{{ result: r, check: seen.answer == 1 }}]
"
        )
    };
    let result = run(&case("{ cancel: true, after: 50ms, say: 1 }")).await;
    assert_eq!((result.action("A/steps/1/do/0").0, result.verdict("A")), (Status::Passed, Verdict::Interrupted));
    assert_eq!(abandoned(&result), [""; 0]);
    let result = run(&case("{ cancel: true, kill: true, after: 1h, say: 1 }")).await;
    assert_eq!((result.action("A/steps/1/do/0").0, result.verdict("A")), (Status::Interrupted, Verdict::Interrupted));
    assert_eq!(abandoned(&result), ["1 request was abandoned before the response: `read` (A/steps/1/do/0)"]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_the_time_limit_of_an_undo_cuts_are_abandoned() {
    let result = run_clocked(
        "
  - id: A
    tier: must
    steps:
      - step: make
        do: [{ fake: {}, foreach: [1, 2], undo: [{ fake: { name: 'unmake ${item}', says: [{ error: silent }] }, timeout: 10m }] }]
    expected: [{ result: r, check: run.id != '' }]
",
    )
    .await;
    let expected = "2 requests were abandoned before the response: \
                    `unmake 2` (A/steps/1/do/0#1/undo/0), `unmake 1` (A/steps/1/do/0#0/undo/0)";
    assert_eq!(abandoned(&result), [expected]);
}

#[tokio::test]
async fn an_action_whose_work_overran_its_timeout_has_not_passed() {
    let result = run("
  - id: A
    tier: must
    steps:
      - step: too long
        do: [{ fake: { says: [{ works: 300ms, say: 1 }] }, timeout: 100ms, expect: { answer: 1 } }]
    expected: [{ result: r, check: run.id != '' }]
  - id: B
    tier: must
    expected:
      - result: in the second attempt
        do: [{ fake: { says: [{ works: 300ms, say: 1 }, 1] }, timeout: 100ms, eventually: 10s, expect: { answer: 1 } }]
")
    .await;
    let (status, reason) = result.action("A/steps/1/do/0");
    assert_eq!(
        (status, result.verdict("A"), result.verdict("B")),
        (Status::Errored, Verdict::Errored, Verdict::Passed)
    );
    assert!(reason.starts_with("not finished within 100ms: reading and converting"), "{reason}");
}
