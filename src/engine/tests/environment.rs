//! What an environment adds to a run: overriding actions, `on_failure`, teardown, protection and known failures.
use super::harness::{HERE, Setting, Shared, TestRun, compiled, environments, run_with};
use crate::outcome::{Status, Verdict};
use std::sync::Arc;

async fn run(plan: &str, more: &str) -> TestRun {
    run_with(plan, Setting { environment: format!("{HERE}{more}"), ..Setting::default() }).await
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
async fn an_environment_overrides_an_action_and_reports_it() {
    let result = run(
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
    assert_eq!(result.verdict("A"), Verdict::Passed);
    assert!(result.log.contains(&"tok says hello to us".into()), "{:?}", result.log);
    assert!(!result.log.iter().any(|l| l.starts_with("plan says")), "{:?}", result.log);
    let line = result.lines.iter().find(|l| l.contains("use greet")).expect("it is result");
    assert!(line.contains("use greet (as in the environment `here`)"), "{line}");
}

#[test]
fn an_overriding_action_needs_the_same_signature() {
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
    expected: [{ result: r, check: run.id != '' }]
";

#[tokio::test]
async fn on_failure_runs_before_the_undo() {
    let result = run(RED, "on_failure: [{ fake: { name: 'events of ${case.id}' } }]").await;
    let at = |what: &str| result.log.iter().position(|l| l == what);
    let (looked, collected, unmade) = (at("look"), at("events of A"), at("unmake"));
    assert!(looked < collected && collected < unmade && collected.is_some(), "{:?}", result.log);
    assert_eq!(at("events of B"), None);
    assert_eq!((result.verdict("A"), result.verdict("B")), (Verdict::Failed, Verdict::Passed));
    assert_eq!(result.action("A/on_failure/0").0, Status::Passed);
}

#[tokio::test]
async fn a_failing_on_failure_action_changes_no_verdict() {
    let result = run(RED, "on_failure: [{ fake: { name: x, says: [{ error: unreachable }] } }]").await;
    assert_eq!((result.verdict("A"), result.verdict("B")), (Verdict::Failed, Verdict::Passed));
    assert_eq!(result.action("A/on_failure/0").0, Status::Errored);
}

#[tokio::test]
async fn teardown_runs_after_the_last_case_and_before_the_undo_of_setup() {
    let more = "
setup: [{ fake: { name: set up, says: [tok] }, save: { token: answer }, undo: [{ fake: { name: unset } }] }]
teardown: [{ fake: { name: 'log out ${token}' } }]
";
    let result = run(RED, more).await;
    let at =
        |what: &str| result.log.iter().position(|l| l == what).unwrap_or_else(|| panic!("{what}: {:?}", result.log));
    assert!(at("unmake") < at("log out tok") && at("log out tok") < at("unset"), "{:?}", result.log);
    let result = run(RED, "teardown: [{ fake: { name: x, says: [{ error: unreachable }] } }]").await;
    assert!(result.notes().iter().any(|n| n.contains("teardown failed")), "{:?}", result.notes());
}

#[test]
fn a_protected_environment_refuses_actions_without_undo() {
    let plan = |act: &str| {
        format!(
            "
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - {act}
    expected: [{{ result: r, check: run.id != '' }}]
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
    assert!(refused(&plan("{ fault: { break: down } }"), "protected: true").contains("breaks a dependency"));
    let with = plan("{ fake: { name: make, changes: true }, as: x, undo: [{ fake: { name: u, changes: true } }] }");
    assert_eq!(refused(&with, "protected: true"), "");
    assert_eq!(refused(&plan("{ fake: { name: look }, as: x }"), "protected: true"), "");
}

#[tokio::test]
async fn a_protected_environment_restricts_reads_to_reading() {
    let cases = "
plan: T
actions:
  used: { do: [ { fake: { name: used } } ] }
cases:
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - fake: { name: read }
          - use: { used: {} }
          - fake: { name: change, changes: true }
            as: x
            undo: [ { fake: { name: undo } }, { use: { used: {} } } ]
          - fake: { name: read with undo }
            undo: [ { fake: { name: undo of read } } ]
    expected: [{ result: r, check: run.id != '' }]
";
    let environment = "setup: [ { fake: { name: set up } } ]\nteardown: [ { fake: { name: tear down } } ]\n";
    let log = run(cases, environment).await.log;
    assert!(!log.iter().any(|l| l.contains("read only")), "{log:?}");
    let mut log = run(cases, &format!("{environment}protected: true")).await.log;
    log.retain(|l| !["connect", "close", "intended"].iter().any(|w| l.starts_with(w)));
    let order = ["set up", "read (read only)", "used (read only)", "change", "read with undo"];
    let undone = ["undo of read", "undo", "used", "tear down"];
    assert_eq!(log, [&order[..], &undone].concat());
}

#[test]
fn a_protected_environment_allows_changes_in_an_undo_also_in_used_actions() {
    let plan = "
plan: T
actions:
  away: { do: [ ACTION ] }
cases:
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - fake: { name: make, changes: true }
            as: x
            undo: [ { use: { away: {} } } ]
    expected: [{ result: r, check: x.answer == null }]
";
    let undone_by = |action: &str| refused(&plan.replace("ACTION", action), "protected: true");
    assert_eq!(undone_by("{ fake: { name: away, changes: true } }"), "");
    assert!(undone_by("{ fault: { break: down } }").contains("breaks a dependency"));
}

fn known(sentence: &str, until: &str) -> String {
    format!("known_failures: [{{ case: A, sentence: {sentence}, issue: '#412', until: {until} }}]")
}

#[tokio::test]
async fn a_known_failure_is_accepted_until_its_date() {
    let result = run(RED, &known("it is so", "2999-01-31")).await;
    let (verdict, _, reason) = result.case("A");
    assert_eq!((verdict, reason.as_str()), (Verdict::KnownFailure, "known until 2999-01-31: #412"));
    assert_eq!(result.status("A/expected/1"), Status::Failed);
    let result = run(RED, &known("it is so", "2001-01-31")).await;
    let (verdict, _, reason) = result.case("A");
    assert!(verdict == Verdict::Failed && reason.contains("that date has passed"), "{verdict} {reason}");
}

#[tokio::test]
async fn a_known_failure_that_passes_or_fails_elsewhere_fails() {
    let result =
        run(RED, &known("it is so", "2999-01-31").replace("case: A, sentence: it is so", "case: B, sentence: r")).await;
    let (verdict, _, reason) = result.case("B");
    assert!(verdict == Verdict::Failed && reason.contains("it passed"), "{verdict} {reason}");
    let two = RED.replace("expected: [{ result: it", "expected: [{ result: other, check: run.id == '' }, { result: it");
    assert_eq!(run(&two, &known("it is so", "2999-01-31")).await.verdict("A"), Verdict::Failed);
}

#[tokio::test]
async fn a_known_failure_hides_no_undo_that_failed() {
    let stuck = RED.replace("fake: { name: unmake }", "fake: { name: unmake, says: [{ error: unreachable }] }");
    let result = run(&stuck, &known("it is so", "2999-01-31")).await;
    let (verdict, _, reason) = result.case("A");
    assert!(verdict == Verdict::Errored && reason.contains("not everything could be undone"), "{verdict} {reason}");
}

#[test]
fn a_known_failure_needs_an_existing_sentence() {
    let said = refused(RED, &known("it was so", "2999-01-31"));
    assert!(said.contains("unknown-sentence") && said.contains("did you mean `it is so`"), "{said}");
    let said = refused(RED, &known("it is so", "soon"));
    assert!(said.contains("invalid-date"), "{said}");
    let said = refused(RED, &known("it is so", "2999-01-31").replace("case: A", "case: C"));
    assert!(said.contains("unknown-case"), "{said}");
}

#[test]
fn an_environment_inherits_from_the_one_it_extends() {
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

#[tokio::test]
async fn an_undo_of_setup_has_its_target() {
    let plan = "  - { id: A, tier: must, expected: [{ result: r, check: run.id != '' }] }\n";
    let result =
        run(plan, "setup: [{ fake: { name: make }, undo: [{ fake: { name: unmake }, target: two }] }]\n").await;
    assert_eq!(
        result.log,
        ["intended fake unmake", "connect one", "make", "connect two", "unmake", "close two", "close one"]
    );
}

#[test]
fn a_target_in_setup_must_have_settings_for_the_verb() {
    let plan = "  - { id: A, tier: must, expected: [{ result: r, check: run.id != '' }] }\n";
    let environment = "
targets: { one: { fake: one }, other: { else: 1 } }
setup: [{ fake: { name: make }, target: other }]
";
    let said = compiled(plan, &Arc::new(Shared::default()), environment).err().unwrap_or_default();
    assert!(said.contains("expected a target for `fake`, found `other`"), "{said}");
}
