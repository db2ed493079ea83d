//! Mutation testing of plans with the fake verb.
use super::{
    baseline::{Baseline, Loss},
    evidence::{ProveError, prove_run},
    mutation_run::Progress,
    page,
    proof::{AssertionOutcome, Proof},
};
use crate::{
    engine::tests::harness::{self, Setting, Shared, TestRun, compiled},
    event::{Event, EventKind},
    replay::Record,
};
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

async fn recorded(plan: &str) -> Vec<Event> {
    recorded_in(plan, Setting::default()).await
}

async fn recorded_in(plan: &str, setting: Setting) -> Vec<Event> {
    let TestRun { lines, .. } = harness::run_with(plan, setting).await;
    // through the journal's text, as the command reads it
    lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn judged(plan: &str, events: &[Event], accepted: Option<&Baseline>) -> Result<Proof, ProveError> {
    judged_in(harness::HERE, plan, events, accepted, &|_, _| ControlFlow::Continue(()))
}

fn judged_in(
    environment: &str,
    plan: &str,
    events: &[Event],
    accepted: Option<&Baseline>,
    progress: &Progress,
) -> Result<Proof, ProveError> {
    let schedule = compiled(plan, &Arc::new(Shared::default()), environment).unwrap_or_else(|e| panic!("{e}"));
    prove_run(Arc::new(schedule), Arc::new(Record::of(events).unwrap()), accepted, progress)
}

async fn proved(plan: &str) -> Proof {
    judged(plan, &recorded(plan).await, None).unwrap()
}

/// The text and the outcome of each assertion, in the plan's order.
fn outcomes(proof: &Proof) -> Vec<(&str, &'static str)> {
    proof.assertions.iter().map(|a| (a.text.as_str(), a.outcome.label())).collect()
}

fn case(steps: &str, expected: &str) -> String {
    format!("  - id: A\n    tier: must\n    steps:\n{steps}    expected:\n{expected}")
}

#[tokio::test]
async fn reports_progress_and_stops_on_demand() {
    let plan = case(
        "      - step: s
        do: [{ fake: { says: [1] }, check: answer == 1 }, { fake: { says: [2] }, check: answer == 2 }]\n",
        "      - { result: r, check: size(run.id) > 0 }\n",
    );
    let events = recorded(&plan).await;
    let calls = Mutex::new(vec![]);
    let watch = |done, of| {
        calls.lock().unwrap().push((done, of));
        ControlFlow::Continue(())
    };
    assert!(judged_in(harness::HERE, &plan, &events, None, &watch).is_ok());
    let calls = calls.into_inner().unwrap();
    assert!(calls.len() == 2 && calls[0] == (0, 2) && calls[1].0 < 2, "{calls:?}");
    let stopped = judged_in(harness::HERE, &plan, &events, None, &|_, _| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(ProveError::Interrupted)));
}

#[tokio::test]
async fn names_a_check_that_cannot_fail_with_its_location() {
    let plan = case(
        "      - { step: s, do: [{ fake: { says: [{ n: 3, list: [1, 2] }] }, as: seen }] }\n",
        "      - { result: r, check: [run.id != '', seen.answer.n == 3, 'seen.answer.list.all(n, n > 0)'] }
      - { result: q, expect: { seen: { answer: { gone: $absent } }, run: { id: r1 } } }\n",
    );
    let proof = proved(&plan).await;
    assert_eq!(
        outcomes(&proof),
        [
            ("check: run.id != ''", "cannot fail"),
            ("check: seen.answer.n == 3", "killed"),
            ("check: seen.answer.list.all(n, n > 0)", "killed"),
            ("expect: gone: $absent", "killed"),
            ("expect: id: r1", "cannot fail"),
        ]
    );
    assert!(!proof.holds());
    let (survivor, page) = (proof.survivors().next().unwrap(), page::page(&proof));
    assert_eq!(survivor.location.to_string(), "t.yaml:8:30");
    assert!(page.contains("cannot fail     t.yaml:8:30  check: run.id != ''"), "{page}");
    assert!(page.contains("NOT PROVED: 3 of 5 assertions can fail"), "{page}");
}

#[tokio::test]
async fn an_assertion_of_absence_is_killed_by_an_addition() {
    let plan = case(
        "      - { step: s, do: [{ fake: { says: [{ log: 'all is well', none: [], who: [{ name: ann }] }] }, as: seen }, { save: { bait: '\"b4it\"' } }] }\n",
        "      - result: r
        check:
          - '!seen.answer.log.contains(bait)'
          - secrets_in(seen.answer.log) == []
          - '!seen.answer.log.matches(\"(?i)(panicked at|goroutine [0-9]+)\")'
          - '!seen.answer.none.exists(e, e.name == bait && e.state == \"running\")'
          - '!seen.answer.who.exists(e, e.name == bait)'
          - 'seen.answer.log != \"down\"'
          - '!has(seen.answer.token)'\n",
    );
    let proof = proved(&plan).await;
    assert!(proof.holds(), "{:?}", outcomes(&proof));
    let by = |text: &str| match &proof.assertions.iter().find(|a| a.text.contains(text)).unwrap().outcome {
        AssertionOutcome::Killed { by, .. } => by.clone(),
        other => panic!("{other:?}"),
    };
    assert!(by("has(").contains("dropped") || by("has(").contains("field added"), "{}", by("has("));
    let baseline = serde_json::to_value(&proof.baseline).unwrap();
    let labels = &baseline["cases"]["A"]["r"]["fake "];
    assert!(labels["answer.log"]["gains a secret"].is_number(), "{labels:?}");
    assert!(labels["answer.log"]["gains mentioned text"].is_number(), "{labels:?}");
    assert!(labels["answer.none"]["element added"].is_number(), "{labels:?}");
    assert!(labels["answer"]["field added"].is_number(), "{labels:?}");
}

#[tokio::test]
async fn counts_an_assertion_once_and_mutates_each_attempt_of_an_always() {
    let plan = case(
        "      - step: s
        do:
          - { fake: { says: ['${item}'] }, foreach: [1, 2], expect: { answer: '${item}' } }
          - { fake: { says: [0, 1] }, eventually: 5s, expect: { answer: 1 } }
          - { fake: { says: [1, 1] }, always: 40ms, check: answer == 1 }\n",
        "      - { result: r, do: [{ fake: {}, expect: { answered: true } }] }\n",
    );
    let proof = proved(&plan).await;
    assert!(proof.holds(), "{:?}", outcomes(&proof));
    assert_eq!(proof.assertions.len(), 4);
}

/// The observations of an `always` in a failed attempt do not belong to the next attempt.
#[tokio::test]
async fn each_attempt_of_a_use_replays_its_own_observations() {
    let plan = case(
        "      - step: s
        do:
          - { use: { both: {} }, eventually: 5s }\n",
        "      - { result: r, do: [{ fake: {}, expect: { answered: true } }] }\n",
    ) + "actions:
  both:
    do:
      - parallel:
          - { fake: { name: a, says: [1] }, always: 60ms, check: answer == 1 }
          - { fake: { name: b, says: [0, 1] }, always: 60ms, check: answer == 1 }
";
    let proof = proved(&plan).await;
    assert!(proof.holds(), "{:?}", outcomes(&proof));
}

#[tokio::test]
async fn mutates_times_faults_and_overlaps() {
    let plan = "  - id: A
    tier: must
    exclusive: true
    steps:
      - step: s
        do:
          - { fake: {}, as: one }
          - parallel:
              branches: [{ fake: { says: [{ after: 30ms, say: 1 }] }, as: x }, { fake: { says: [{ after: 30ms, say: 2 }] }, as: x }]
            as: both
          - { fault: { break: down } }
          - { fake: { says: [{ error: unreachable }] }, as: seen }
          - { fault: { heal: down }, as: healed }
    expected:
      - result: r
        check: ['both.at - one.at < duration(\"60s\")', both.overlap == 2, healed.refused == 3, '!seen.answered', 'one.took < duration(\"60s\")']
";
    let proof = proved(plan).await;
    assert!(proof.holds(), "{:?}", outcomes(&proof));
}

#[tokio::test]
async fn an_assertion_that_was_never_evaluated_survives() {
    let plan = case(
        "      - { step: s, do: [{ fake: {}, if: 1 == 2, expect: { answer: 1 } }, { fake: {}, as: seen }] }\n",
        "      - { result: r, check: seen.answered }\n",
    );
    let proof = proved(&plan).await;
    assert_eq!(outcomes(&proof), [("expect: answer: 1", "not exercised"), ("check: seen.answered", "killed")]);
    assert!(!proof.holds());
}

#[tokio::test]
async fn a_result_that_differs_from_the_record_is_not_replayable() {
    let plan = case(
        "      - { step: s, do: [{ fake: {}, as: seen }] }\n",
        "      - { result: r, check: [seen.answered, seen.answer == true] }\n",
    );
    let mut events = recorded(&plan).await;
    for e in &mut events {
        if let EventKind::ActionFinished { results, .. } = &mut e.kind
            && let [first, _] = &mut results[..]
        {
            (first.holds, first.actual) = (false, "false".into());
        }
    }
    let proof = judged(&plan, &events, None).unwrap();
    assert_eq!(outcomes(&proof)[0], ("check: seen.answered", "not replayable"));
    assert_eq!(outcomes(&proof)[1].1, "killed");
}

#[tokio::test]
async fn lists_an_unproven_sentence_without_failing() {
    let plan = case(
        "      - { step: s, do: [{ fake: {}, expect: { answered: true } }] }\n",
        "      - { result: quick, unproven: no limit is given }\n      - { result: r, do: [{ fake: {}, expect: { answer: true } }] }\n",
    );
    let proof = proved(&plan).await;
    assert!(proof.holds(), "{:?}", outcomes(&proof));
    let listed: Vec<_> = proof.sentences.iter().filter_map(|s| s.unproven.as_deref()).collect();
    assert_eq!(listed, ["no limit is given"]);
}

#[tokio::test]
async fn refuses_a_run_that_did_not_pass() {
    let plan = case(
        "      - { step: s, do: [{ fake: {}, expect: { answered: false } }] }\n",
        "      - { result: r, do: [{ fake: {}, expect: { answer: true } }] }\n",
    );
    let why = judged(&plan, &recorded(&plan).await, None).err().unwrap().to_string();
    assert!(why.contains("the run did not pass: `A` is failed"), "{why}");
}

#[tokio::test]
async fn reports_a_sentence_that_detects_less_after_a_line_is_removed() {
    let steps = "      - { step: s, do: [{ fake: { says: [{ n: 3, m: 4 }] }, as: seen }] }\n";
    let all = case(steps, "      - { result: r, check: [seen.answer.n == 3, seen.answer.m == 4] }\n");
    let events = recorded(&all).await;
    let baseline = judged(&all, &events, None).unwrap().baseline;
    assert!(judged(&all, &events, Some(&baseline)).unwrap().losses.is_empty());
    let less = case(steps, "      - { result: r, check: [seen.answer.n == 3] }\n");
    let proof = judged(&less, &events, Some(&baseline)).unwrap();
    assert!(!proof.holds() && proof.survivors().next().is_none());
    let lost: Vec<&str> = proof
        .losses
        .iter()
        .map(|lost| match lost {
            Loss::Detection { case, sentence, field, .. } if (&**case, &**sentence) == ("A", "r") => field.as_str(),
            Loss::Assertion(fewer) => {
                assert_eq!(fewer.of, "check: seen.answer.m == 4");
                ""
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(lost.contains(&"answer.m") && !lost.contains(&"answer.n"), "{lost:?}");
    assert!(page::page(&proof).contains("not detected    A  r\n"), "{}", page::page(&proof));
}

#[tokio::test]
async fn reports_a_removed_line_that_another_one_duplicates_or_in_an_undo() {
    let plan = |checks: &str, undo: &str| {
        let undo = format!("undo: [{{ fake: {{}}{undo} }}]");
        case(
            &format!("      - {{ step: s, do: [{{ fake: {{ says: [{{ n: 3 }}] }}, as: seen, {undo} }}] }}\n"),
            &format!("      - {{ result: r, check: [{checks}] }}\n"),
        )
    };
    let all = plan("seen.answer.n == 3, seen.answer.n < 4", ", expect: { answered: true }");
    let events = recorded(&all).await;
    let baseline = judged(&all, &events, None).unwrap().baseline;
    let page_of = |less: &str| page::page(&judged(less, &events, Some(&baseline)).unwrap());
    let less = page_of(&plan("seen.answer.n == 3", ", expect: { answered: true }"));
    assert!(less.contains("`answer.n` of `fake `: ") && less.contains("one more (1 of 2 left)"), "{less}");
    assert!(less.contains("removed         check: seen.answer.n < 4\n"), "{less}");
    let less = page_of(&plan("seen.answer.n == 3, seen.answer.n < 4", ""));
    assert!(less.contains("removed         expect: answered: true\n"), "{less}");
}

#[tokio::test]
async fn counts_fields_that_no_assertion_reads() {
    let plan = case(
        "      - { step: s, do: [{ fake: { says: [{ n: 3, meta: { a: 1, b: [{ c: 1 }] } }] }, as: seen }] }\n",
        "      - { result: r, check: seen.answer.n == 3 }\n",
    );
    let proof = proved(&plan).await;
    let sentence = proof.sentences.iter().find(|s| s.text == "s").unwrap();
    let names: Vec<(&str, usize)> = sentence.unread.iter().map(|(_, f, n)| (f.as_str(), *n)).collect();
    assert_eq!(names, [("answer.meta", 2), ("answered", 1)]);
    assert_eq!(sentence.read, 1);
}

#[tokio::test]
async fn replays_names_of_the_environment() {
    let plan = "plan: T
actions: { ask: { do: [{ fake: {}, as: seen }], outputs: { answer: seen.answer } } }
cases:
  - id: A
    tier: must
    steps: [{ step: s, do: [{ use: { ask: {} }, as: got }] }]
    expected: [{ result: r, check: got.answer == true }]
";
    let environment = format!(
        "{}setup: [{{ fake: {{ says: [7] }}, save: {{ seven: answer }} }}]
actions: {{ ask: {{ do: [{{ fake: {{}}, as: seen, check: seven == 7 }}], outputs: {{ answer: seen.answer }} }} }}\n",
        harness::HERE
    );
    let events = recorded_in(plan, Setting { environment: environment.clone(), ..Setting::default() }).await;
    let judged = |events: &[Event]| judged_in(&environment, plan, events, None, &|_, _| ControlFlow::Continue(()));
    let proof = judged(&events).unwrap();
    // the name is replayed; no observation of the case can make this assertion fail
    assert_eq!(outcomes(&proof), [("check: seven == 7", "cannot fail"), ("check: got.answer == true", "killed")]);

    let older: Vec<Event> = events.into_iter().filter(|e| !matches!(e.kind, EventKind::NamesBound { .. })).collect();
    let proof = judged(&older).unwrap();
    assert_eq!(outcomes(&proof)[0].1, "not replayable");
    assert!(proof.notes[0].contains("does not say which names were bound"), "{:?}", proof.notes);
}
