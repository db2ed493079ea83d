//! Replays give the recorded statuses and verdicts, and fail where an observation is changed.
use crate::{
    engine::tests::harness::{Setting, TestRun, run, run_with},
    event::Event,
    outcome::{Status, Verdict},
    value::Value,
};

const PLAN: &str = "
plan: T
actions:
  ask:
    inputs: { n: null }
    do:
      - fake: { says: [0, '${inputs.n}'] }
        eventually: 5s
        as: seen
        expect: { answer: '${inputs.n}' }
        undo: [{ fake: {} }]
    outputs: { n: seen.answer }
cases:
  - id: A
    tier: must
    preconditions: [{ given: nothing }]
    steps:
      - step: each
        do:
          - use: { ask: { n: '${item}' } }
            foreach: [1, 2]
            as: got
      - step: at once
        do:
          - parallel:
              overlap: all
              branches: [{ fake: { says: [{ after: 30ms, say: 1 }] }, as: x }, { fake: { says: [{ after: 30ms, say: 2 }] }, as: x }]
            as: both
            check: took >= duration('25ms')
      - step: slow
        do:
          - use: { ask: { n: 3 } }
            as: timed
            check: took >= duration('8ms')
          - fake: { says: [1, 1] }
            always: 40ms
            expect: { answer: 1 }
    expected:
      - { result: all there, check: 'got.map(g, g.n) == [1, 2] && both.overlap == 2 && timed.took >= duration(\"8ms\")' }
      - { result: later, check: 'both.at >= got[1].at' }
  - id: B
    tier: must
    exclusive: true
    steps:
      - step: cut
        do:
          - fault: { break: down }
          - fake: { says: [{ error: unreachable }] }
            as: seen
            expect: { answered: false }
          - fault: { heal: down }
            as: healed
    expected: [{ result: r, check: healed.refused == 3 }]
  - id: C
    tier: must
    steps:
      - step: silent
        do: [{ fake: { says: [{ error: silent }] }, timeout: 30ms, as: seen, expect: { answer: 1 } }]
      - step: unreachable
        do: [{ fake: { says: [{ error: unreachable }] }, as: lost }]
      - step: after it
        do: [{ fake: {} }]
    expected: [{ result: r, check: lost.answered }, { result: s, check: seen.answered }]
  - id: D
    tier: must
    steps:
      - step: ran out
        do: [{ fake: { says: [1] }, foreach: [1, 2], eventually: 60ms, expect: { answer: 2 } }]
    expected: [{ result: r, check: run.id != '' }]
";

async fn replayed(events: Vec<Event>) -> TestRun {
    run_with(PLAN, Setting { recorded: Some(events), ..Setting::default() }).await
}

/// The outcomes without undo actions, which only a live run has.
fn judged(result: &TestRun) -> Vec<String> {
    let mut all: Vec<String> =
        result.outcomes().into_iter().filter(|o| !o.split(':').next().is_some_and(|at| at.contains("/undo"))).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_replay_gives_the_recorded_statuses_and_verdicts() {
    let live = run(PLAN).await;
    assert_eq!(
        ["A", "B", "C", "D"].map(|c| live.verdict(c)),
        [Verdict::Passed, Verdict::Passed, Verdict::Failed, Verdict::Failed],
        "{:?}",
        live.case("A")
    );
    // through the journal's text, as `report` and `prove` read it
    let events: Vec<Event> = live.lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    let again = replayed(events).await;
    assert_eq!(judged(&again), judged(&live));
    assert!(again.log.is_empty(), "no action ran: {:?}", again.log);
}

#[tokio::test]
async fn a_changed_observation_fails_its_sentence() {
    let live = run(PLAN).await;
    for (at, change, sentence) in [
        ("A/steps/1/do/0#1/use/0", "answer", "A/steps/1"),
        ("A/steps/2/do/0", "overlap", "A/steps/2"),
        ("B/steps/1/do/2", "refused", "B/steps/1"),
    ] {
        let mut events = live.events.clone();
        let mut changed = 0;
        for e in &mut events {
            if e.address.as_str() == at
                && let Some(v) = e.kind.attempt_mut().and_then(|attempt| attempt.value.as_mut())
            {
                let mut map = v.as_map().unwrap().clone();
                map.insert(change.into(), Value::Int(0));
                *v = Value::from(map);
                changed += 1;
            }
        }
        assert!(changed > 0, "{at}");
        let again = replayed(events).await;
        assert!(again.status(sentence).is_unsuccessful(), "{at}: {:?}", again.sentence(sentence));
    }
    let mut events = live.events.clone();
    events.retain(|e| e.address.as_str() != "A/steps/1/do/0#0/use/0");
    assert_ne!(replayed(events).await.status("A/steps/1"), Status::Passed, "a missing observation never passes");
}

#[tokio::test]
async fn ids_and_keys_may_contain_the_separators_of_addresses() {
    let plan = "
plan: T
cases:
  - id: A/1#2
    tier: must
    steps:
      - step: s
        do: [{ fake: { says: ['${item}'] }, foreach: { a/b: 1, 'c#d': 2, '1.2': 3 }, as: got, expect: { answered: true } }]
    expected: [{ result: r, check: 'got[\"a/b\"].answer == 1 && got[\"1.2\"].answer == 3' }]
";
    let live = run(plan).await;
    assert_eq!(live.verdict("A%2F1%232"), Verdict::Passed, "{:?}", live.case("A%2F1%232"));
    let record = crate::replay::Record::of(&live.events).unwrap();
    assert_eq!(record.cases.get("A/1#2"), Some(&Verdict::Passed));
    let again = run_with(plan, Setting { recorded: Some(live.events.clone()), ..Setting::default() }).await;
    assert_eq!(judged(&again), judged(&live));
}
