//! What an environment adds to a run: actions in the plan's location, evidence of a red case, an end after the last one, what it
//! forbids, and what it accepts for a while.
use super::stage::{HERE, Setting, Shared, Told, compiled, environments, perform};
use crate::outcome::{Status, Verdict};
use std::sync::Arc;

async fn run(plan: &str, more: &str) -> Told {
    perform(plan, Setting { environment: format!("{HERE}{more}"), ..Setting::default() }).await
}

fn refused(plan: &str, more: &str) -> String {
    match compiled(plan, &Arc::new(Shared::default()), &format!("{HERE}{more}")) {
        Ok(_) => String::new(),
        Err(drawn) => drawn,
    }
}

const GREET: &str = "
plan: T
vars: { word: hello }
actions:
  greet:
    inputs: { whom: null }
    do:
      - fake: { name: 'plan says ${word}', says: [1] }
        save: { n: answer }
    outputs: { n: n }
cases:
  - id: A
    tier: must
    steps: [{ step: s, do: [{ use: { greet: { whom: us } }, as: g }] }]
    expected: [{ result: r, check: g.n == 7 }]
";

#[tokio::test]
async fn an_environment_does_an_action_in_its_own_way_and_says_so() {
    let told = run(
        GREET,
        "
setup: [{ fake: { name: log in, says: [tok] }, save: { token: answer } }]
actions:
  greet:
    inputs: { whom: null }
    do:
      - fake: { name: '${token} says ${word} to ${inputs.whom}', says: [7] }
        save: { n: answer }
    outputs: { n: n }
",
    )
    .await;
    assert_eq!(told.verdict("A"), Verdict::Passed);
    assert!(told.log.contains(&"tok says hello to us".into()), "{:?}", told.log);
    assert!(!told.log.iter().any(|l| l.starts_with("plan says")), "{:?}", told.log);
    let line = told.lines.iter().find(|l| l.contains("use greet")).expect("it is told");
    assert!(line.contains("use greet (as in the environment `here`)"), "{line}");
}

#[test]
fn an_action_in_the_plans_place_takes_and_gives_the_same() {
    let other = "actions: { greet: { inputs: { whom: x }, do: [{ fake: { name: n }, save: { n: answer } }], outputs: { n: n } } }";
    let said = refused(GREET, other);
    assert!(
        said.contains("signature-mismatch") && said.contains("`whom?`") && said.contains("env.yaml:6:16"),
        "{said}"
    );
    let said = refused(GREET, "actions: { great: { do: [{ fake: { name: n }, as: x }] } }");
    assert!(said.contains("unknown-action") && said.contains("did you mean `greet`"), "{said}");
}

const RED: &str = "
  - id: A
    tier: must
    steps: [{ step: s, do: [{ fake: { name: make }, undo: [{ fake: { name: unmake } }] }] }]
    expected: [{ result: it is so, do: [{ fake: { name: look, says: [1] }, expect: { answer: 2 } }] }]
  - id: B
    tier: must
    expected: [{ result: r, check: 1 == 1 }]
";

#[tokio::test]
async fn a_red_case_is_looked_at_before_anything_is_taken_back() {
    let told = run(RED, "on_failure: [{ fake: { name: 'events of ${case.id}' } }]").await;
    let at = |what: &str| told.log.iter().position(|l| l == what);
    let (looked, collected, unmade) = (at("look"), at("events of A"), at("unmake"));
    assert!(looked < collected && collected < unmade && collected.is_some(), "{:?}", told.log);
    assert_eq!(at("events of B"), None);
    assert_eq!((told.verdict("A"), told.verdict("B")), (Verdict::Failed, Verdict::Passed));
    assert_eq!(told.action("A/on_failure/0").0, Status::Passed);
}

#[tokio::test]
async fn evidence_that_cannot_be_had_changes_no_verdict() {
    let told = run(RED, "on_failure: [{ fake: { name: x, says: [{ error: unreachable }] } }]").await;
    assert_eq!((told.verdict("A"), told.verdict("B")), (Verdict::Failed, Verdict::Passed));
    assert_eq!(told.action("A/on_failure/0").0, Status::Errored);
}

#[tokio::test]
async fn teardown_comes_after_the_last_case_and_before_what_setup_made_is_taken_back() {
    let more = "
setup: [{ fake: { name: set up, says: [tok] }, save: { token: answer }, undo: [{ fake: { name: unset } }] }]
teardown: [{ fake: { name: 'log out ${token}' } }]
";
    let told = run(RED, more).await;
    let at = |what: &str| told.log.iter().position(|l| l == what).unwrap_or_else(|| panic!("{what}: {:?}", told.log));
    assert!(at("unmake") < at("log out tok") && at("log out tok") < at("unset"), "{:?}", told.log);
    let told = run(RED, "teardown: [{ fake: { name: x, says: [{ error: unreachable }] } }]").await;
    assert!(told.notes().iter().any(|n| n.contains("teardown failed")), "{:?}", told.notes());
}

#[test]
fn a_protected_environment_refuses_what_cannot_be_taken_back() {
    let plan = |act: &str| {
        format!(
            "
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - {act}
    expected: [{{ result: r, check: 1 == 1 }}]
"
        )
    };
    let without = plan("{ fake: { name: make, changes: true }, as: x }");
    assert!(refused(&without, "").is_empty());
    let said = refused(&without, "protected: true");
    assert!(
        said.contains("protected") && said.contains("has no `undo`") && said.contains("--allow-destructive here"),
        "{said}"
    );
    assert!(refused(&plan("{ fault: { break: down } }"), "protected: true").contains("breaks a link"));
    let with = plan("{ fake: { name: make, changes: true }, as: x, undo: [{ fake: { name: u, changes: true } }] }");
    assert_eq!(refused(&with, "protected: true"), "");
    assert_eq!(refused(&plan("{ fake: { name: look }, as: x }"), "protected: true"), "");
}

fn known(sentence: &str, until: &str) -> String {
    format!("known_failures: [{{ case: A, sentence: {sentence}, issue: '#412', until: {until} }}]")
}

#[tokio::test]
async fn a_known_failure_is_neither_green_nor_red_until_its_time_is_over() {
    let told = run(RED, &known("it is so", "2999-01-31")).await;
    let (verdict, _, reason) = told.case("A");
    assert_eq!((verdict, reason.as_str()), (Verdict::KnownFailure, "known until 2999-01-31: #412"));
    assert_eq!(told.status("A/expected/1"), Status::Failed);
    let told = run(RED, &known("it is so", "2001-01-31")).await;
    let (verdict, _, reason) = told.case("A");
    assert!(verdict == Verdict::Failed && reason.contains("that date has passed"), "{verdict} {reason}");
}

#[tokio::test]
async fn a_known_failure_that_passes_or_fails_elsewhere_is_red() {
    let told =
        run(RED, &known("it is so", "2999-01-31").replace("case: A, sentence: it is so", "case: B, sentence: r")).await;
    let (verdict, _, reason) = told.case("B");
    assert!(verdict == Verdict::Failed && reason.contains("it passed"), "{verdict} {reason}");
    let two = RED.replace("expected: [{ result: it", "expected: [{ result: other, check: 1 == 2 }, { result: it");
    assert_eq!(run(&two, &known("it is so", "2999-01-31")).await.verdict("A"), Verdict::Failed);
}

#[tokio::test]
async fn a_known_failure_hides_no_undo_that_failed() {
    let stuck = RED.replace("fake: { name: unmake }", "fake: { name: unmake, says: [{ error: unreachable }] }");
    let told = run(&stuck, &known("it is so", "2999-01-31")).await;
    let (verdict, _, reason) = told.case("A");
    assert!(verdict == Verdict::Errored && reason.contains("not everything could be undone"), "{verdict} {reason}");
}

#[test]
fn a_known_failure_names_a_sentence_that_is_there() {
    let said = refused(RED, &known("it was so", "2999-01-31"));
    assert!(said.contains("unknown-sentence") && said.contains("did you mean `it is so`"), "{said}");
    let said = refused(RED, &known("it is so", "soon"));
    assert!(said.contains("invalid-date"), "{said}");
    let said = refused(RED, &known("it is so", "2999-01-31").replace("case: A", "case: C"));
    assert!(said.contains("unknown-case"), "{said}");
}

#[test]
fn what_an_environment_extends_is_laid_under_it() {
    let file = "
environments:
  here:
    extends: base
    vars: { word: moin }
    targets: { two: { fake: other } }
  base:
    targets: { one: { fake: one }, two: { fake: two } }
    faults: { down: { relay: { listen: '127.0.0.1:1', upstream: 'db:1' } } }
    jobs: 3
";
    let (all, problems) = environments(file);
    assert_eq!(problems, "");
    let here = all.get("here").expect("it is there");
    let target =
        |n: &str| here.targets.iter().find(|(t, _)| t.text == n).map(|(_, t)| t.get("fake").unwrap().key_text());
    assert_eq!((target("one").as_deref(), target("two").as_deref()), (Some("one"), Some("other")));
    assert_eq!((here.targets.len(), here.jobs, here.faults.len(), here.vars.len()), (2, Some(3), 1, 1));
    assert_eq!(all.get("base").map(|b| (b.targets.len(), b.vars.len())), Some((2, 0)));
}

#[test]
fn reports_cyclic_and_unknown_extends() {
    let file = "environments:\n  a: { extends: b, targets: {} }\n  b: { extends: a }\n  c: { extends: d }\n";
    let (_, problems) = environments(file);
    assert!(problems.contains("extends-cycle") && problems.contains("unknown environment `d`"), "{problems}");
}
