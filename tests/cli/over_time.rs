//! Several runs, from outside: comparison, repeated failures, merged shards.
use crate::runner::Fixture;
use std::{fs, process::Output};

const TURNS: &str = r#"plan: TURNS
environment: here
vars: { first: "yes", second: "yes" }
cases:
  - id: T-1
    title: The first one
    tier: must
    expected: [{ result: The first holds, check: first == "yes" }]
  - id: T-2
    title: The second one
    tier: should
    expected: [{ result: The second holds, check: second == "yes" }]
  - id: T-3
    tier: nice
    expected: [{ result: It is so, check: run.id != "" }]
"#;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fs::write(fixture.path().join("turns.yaml"), TURNS).unwrap();
    fixture
}

/// Runs the plan; gives the exit code and what was printed.
fn run(fixture: &Fixture, args: &[&str]) -> (Option<i32>, String) {
    tp_runner(fixture, &[&["run", "turns.yaml", "--quiet"], args].concat())
}

fn tp_runner(fixture: &Fixture, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = fixture.command(args).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// With single spaces.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_is_compared_with_an_earlier_one() {
    let fixture = fixture();
    assert_eq!(run(&fixture, &["--set", "first=no"]).0, Some(1));
    assert_eq!(run(&fixture, &["--set", "second=no"]).0, Some(1));
    let ids = fixture.run_ids();
    for args in [&["report", &ids[1], "--against", &ids[0]][..], &["report", "--against", &ids[0]]] {
        let (code, text) = tp_runner(&fixture, args);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(&format!("TURNS: {} against {}", ids[1], ids[0])), "{text}");
        let text = squeezed(&text);
        assert!(text.contains("Newly failed (1)") && text.contains("T-2 The second one passed failed"), "{text}");
        assert!(text.contains("Newly passed (1)") && text.contains("T-1 The first one failed passed"), "{text}");
        assert!(!text.contains("differ in more"), "{text}");
    }
    // a changed plan is said
    fs::write(fixture.path().join("turns.yaml"), TURNS.replace("It is so", "So it is")).unwrap();
    run(&fixture, &[]);
    let third = &fixture.run_ids()[2];
    let (_, text) = tp_runner(&fixture, &["report", third, "--against", &ids[0], "--format", "markdown"]);
    assert!(text.contains("- the text of the plan: digest "), "{text}");
    let (_, json) = tp_runner(&fixture, &["report", third, "--against", &ids[0], "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["newly_passed"][0]["case"], &json["passed_in_both"]), (&"T-1".into(), &2.into()));
    let (code, text) = tp_runner(&fixture, &["report", &ids[0], &ids[1], "--against", third]);
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn only_cases_that_did_not_pass_are_run_again() {
    let fixture = fixture();
    assert_eq!(run(&fixture, &["--set", "first=no", "--set", "second=no"]).0, Some(1));
    let first = fixture.run_id();
    let again = ["run", "turns.yaml", "--failed", "--jobs", "1", "--set", "second=no"];
    let (code, text) = tp_runner(&fixture, &again);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("2 of 3 cases did not pass in run {first} of ")), "{text}");
    assert!(text.contains("T-1") && text.contains("T-2") && !text.contains("T-3"), "{text}");
    // of that run, only the second one failed
    let (code, text) = tp_runner(&fixture, &["run", "turns.yaml", "--failed", "--tier", "must"]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("nothing to run"), "{text}");
    let (code, text) = tp_runner(&fixture, &["run", "turns.yaml", "--failed"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 of 2 cases did not pass") && text.contains("1 more case not selected in it"), "{text}");
    assert!(text.contains("T-2") && !text.contains("T-1 "), "{text}");
    let (code, text) = tp_runner(&fixture, &["run", "turns.yaml", "--failed"]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("0 of 1 case did not pass"), "{text}");
    // another environment has no run
    let (code, text) = tp_runner(&fixture, &["run", "turns.yaml", "--failed", "--env", "strict"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("`--failed` needs an earlier run of TURNS in `strict`"), "{text}");
}

#[test]
fn a_case_that_the_plan_no_longer_has_is_named() {
    let fixture = fixture();
    run(&fixture, &["--set", "first=no", "--set", "second=no"]);
    fs::write(fixture.path().join("turns.yaml"), TURNS.replace("T-1", "T-9")).unwrap();
    let (code, text) = tp_runner(&fixture, &["run", "turns.yaml", "--failed"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("warning: T-1 is no longer in the plan"), "{text}");
}

#[test]
fn shards_are_reported_and_gated_as_one_run() {
    let fixture = fixture();
    run(&fixture, &["--case", "T-1"]);
    run(&fixture, &["--case", "T-[23]", "--set", "second=no"]);
    let ids = fixture.run_ids();
    let (code, text) = tp_runner(&fixture, &["report", &ids[0], &ids[1]]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("3 of 3 cases in 2 runs") && text.contains("2 of 3 deciding cases passed; 1 failed"),
        "{text}"
    );
    // a folder works as an id does, from anywhere
    let folder = |id: &String| fixture.path().join(".tp-runner/runs").join(id).display().to_string();
    let args = ["report", &folder(&ids[0]), &folder(&ids[1]), "--format", "junit,json,ctrf", "--output", "out/all.md"];
    assert_eq!(tp_runner(&fixture, &args).0, Some(1));
    let json = fs::read(fixture.path().join("out/all.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json["gate"]["passed"], &json["gate"]["deciding"]), (&2.into(), &3.into()));
    for file in ["all.md", "all.junit.xml", "all.ctrf.json"] {
        assert!(fixture.path().join("out").join(file).is_file(), "{file}");
    }
    // one shard alone is not the whole plan, and the same case twice is said
    run(&fixture, &["--case", "T-1"]);
    let third = &fixture.run_ids()[2];
    let (code, text) = tp_runner(&fixture, &["report", &ids[0], third]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("note: T-1 is in 2 runs ("), "{text}");
    assert!(text.contains("note: 2 cases of the plan are in no run: T-2 and T-3"), "{text}");
    fs::write(fixture.path().join("turns.yaml"), TURNS.replace("It is so", "So it is")).unwrap();
    run(&fixture, &["--case", "T-2"]);
    let (code, text) = tp_runner(&fixture, &["report", &ids[0], &fixture.run_ids()[3]]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("error: cannot merge the runs: ") && text.contains("differ in the digest of the plan"),
        "{text}"
    );
}

#[test]
fn the_history_counts_runs_and_names_what_it_passes_over() {
    let fixture = fixture();
    for first in ["yes", "no", "yes"] {
        run(&fixture, &["--set", &format!("first={first}")]);
    }
    run(&fixture, &["--env", "strict"]);
    let runs = fixture.path().join(".tp-runner/runs");
    // another plan, a foreign folder, a damaged journal and one of another program
    tp_runner(&fixture, &["run", "small.yaml", "--quiet"]);
    let ids = fixture.run_ids();
    fs::create_dir(runs.join("photos")).unwrap();
    for (name, damage) in [("rdamaged", "\"seq\":3"), ("rforeign", "\"event\"")] {
        fs::create_dir(runs.join(name)).unwrap();
        let text = fs::read_to_string(runs.join(&ids[0]).join("events.jsonl")).unwrap();
        fs::write(runs.join(name).join("events.jsonl"), text.replace(damage, "\"x\":3")).unwrap();
    }
    let (code, text) = tp_runner(&fixture, &["report", "--history", "TURNS"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("TURNS in `here`: 3 runs on ") && text.contains("TURNS in `strict`: 1 run on "), "{text}");
    let rows = squeezed(&text);
    assert!(rows.contains("T-1 must passed 3 2 66 % 2"), "{text}");
    assert!(rows.contains("T-2 should passed 3 3 100 %"), "{text}");
    assert!(!text.contains("SMALL") && text.contains("3 folders passed over:"), "{text}");
    assert!(
        text.contains("photos: no `events.jsonl`") && text.contains("rdamaged: its journal is damaged in 1 line"),
        "{text}"
    );
    assert!(text.contains("rforeign: line 1 of the journal is not a valid event"), "{text}");
    let (_, json) = tp_runner(&fixture, &["report", "--history", "TURNS", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["plans"][0]["cases"][0]["changes"], &json["passed_over"][0]["why"].is_string()),
        (&2.into(), &true)
    );
    let (code, text) = tp_runner(&fixture, &["report", "--history", "--format", "markdown"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("## SMALL A small plan in `here`: 1 run on ") && text.contains("| T-1 | must |"), "{text}");
}

const HANGS: &str = r#"plan: HANGS
environment: here
cases:
  - id: H-1
    tier: must
    steps:
      - step: Make something
        do:
          - exec: { run: [sh, -c, "echo made >> log"] }
            expect: { exit: 0 }
            undo: [{ exec: { run: [sh, -c, "echo undone >> log"] }, expect: { exit: 0 } }]
      - step: Fail once, then hang
        do:
          - exec: { run: [sh, -c, "test -e failed && touch hangs && sleep 50; touch failed; exit 1"] }
            expect: { exit: 0 }
            timeout: 60s
    expected: [{ result: It is so, check: run.id != "" }]
"#;

#[test]
fn a_run_that_is_killed_in_its_second_attempt_is_cleaned_up() {
    let fixture = Fixture::new();
    fs::write(fixture.path().join("hangs.yaml"), HANGS).unwrap();
    let mut child = fixture.command(&["run", "hangs.yaml", "--retries", "2", "--quiet"]).spawn().unwrap();
    let began = std::time::Instant::now();
    while !fixture.path().join("hangs").exists() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "the second attempt never began");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = || fs::read_to_string(fixture.path().join("log")).unwrap();
    assert_eq!(log(), "made\nundone\nmade\n", "the first attempt was undone before the second one began");
    let id = fixture.run_id();
    let (code, text) = tp_runner(&fixture, &["cleanup"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(log(), "made\nundone\nmade\nundone\n");
    // the first attempt failed, whatever the second one would have come to
    let (_, text) = tp_runner(&fixture, &["report", &id]);
    assert!(text.contains("❌ FAILED") && text.contains("**Attempt 1 of 2**"), "{text}");
    let (code, text) = tp_runner(&fixture, &["run", "hangs.yaml", "--failed", "--dry-run"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("1 of 1 case did not pass in run {id} of ")), "{text}");
}
