//! `prove --run`, with a small plan and with a case of TP-004.
use std::{fs, path::Path, process::Command};

const PLAN: &str = r#"
plan: SMALL
prove: { guards: SMALL.guards.json }
cases:
  - id: A
    tier: must
    steps:
      - step: Ask
        do:
          - exec: { run: [printf, "total 4, failed 0, token gone"] }
            as: printed
            expect: { exit: 0 }
    expected:
      - result: All there
        check:
          - printed.stdout.contains("total 4")
          - printed.stdout.contains("failed 0")
      - result: Nothing leaks
        check: '!printed.stdout.contains("password")'
      - result: It is quick
        unproven: no limit is given
"#;

const ENVIRONMENT: &str = "default: here\nenvironments: { here: { allow: { exec: true }, targets: {} } }\n";

fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tp-runner"));
    let output = command.args(args).args(["--color", "never"]).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// A folder with the plan, and a run of it.
fn recorded(plan: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.yaml"), plan).unwrap();
    fs::write(folder.path().join("tp-runner.yaml"), ENVIRONMENT).unwrap();
    run(folder.path(), &["run", "small.yaml", "--quiet"]);
    let id = only_run(folder.path());
    (folder, id)
}

fn only_run(folder: &Path) -> String {
    let runs: Vec<_> = fs::read_dir(folder.join(".tp-runner/runs")).unwrap().flatten().collect();
    assert_eq!(runs.len(), 1);
    runs[0].file_name().to_string_lossy().into_owned()
}

#[test]
fn compares_a_plan_with_its_baseline() {
    let (folder, id) = recorded(PLAN);
    let (code, output) = run(folder.path(), &["prove", "--run", &id]);
    assert!(code == 2 && output.contains("`--accept` writes it"), "{code}: {output}");

    let (code, output) = run(folder.path(), &["prove", "--run", &id, "--accept"]);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("PROVED: 4 of 4 assertions can fail; 1 sentence is marked unproven"), "{output}");
    let (code, output) = run(folder.path(), &["prove", "small.yaml", "--run", &id]);
    assert_eq!(code, 0, "{output}");
    let report = fs::read_to_string(folder.path().join("tests/reports/prove-report.md")).unwrap();
    assert!(report.contains("**Every assertion can fail.**"), "{report}");
    assert!(report.contains("no limit is given"), "{report}");
    assert!(report.contains("- Ask: ") && report.contains("stderr"), "{report}");

    let checks =
        "          - printed.stdout.contains(\"total 4\")\n          - printed.stdout.contains(\"failed 0\")\n";
    assert!(PLAN.contains(checks));
    for (plan, loses) in [
        (PLAN.replace("cases:", "# a comment\ncases:"), false),
        (PLAN.replace(checks, "          - printed.exit == 0\n"), true),
    ] {
        fs::write(folder.path().join("small.yaml"), plan).unwrap();
        let (code, output) = run(folder.path(), &["prove", "small.yaml", "--run", &id]);
        assert_eq!((code == 1, output.contains("not detected")), (loses, loses), "{output}");
    }

    // removes each line in turn
    for (line, sentence) in [
        ("            expect: { exit: 0 }\n", "A  Ask"),
        ("          - printed.stdout.contains(\"total 4\")\n", "A  All there"),
        ("          - printed.stdout.contains(\"failed 0\")\n", "A  All there"),
    ] {
        assert!(PLAN.contains(line));
        fs::write(folder.path().join("small.yaml"), PLAN.replace(line, "")).unwrap();
        let (code, output) = run(folder.path(), &["prove", "small.yaml", "--run", &id]);
        assert!(code == 1 && output.contains(&format!("not detected    {sentence}\n")), "{line}{code}: {output}");
    }
    let line = "        check: '!printed.stdout.contains(\"password\")'\n";
    fs::write(folder.path().join("small.yaml"), PLAN.replace(line, "")).unwrap();
    let (code, output) = run(folder.path(), &["check", "small.yaml"]);
    assert!(code == 2 && output.contains("unverified-result"), "{code}: {output}");
}

#[test]
fn a_check_that_cannot_fail_fails_the_proof() {
    let plan = PLAN
        .replace("printed.stdout.contains(\"total 4\")", "run.id != ''")
        .replace("prove: { guards: SMALL.guards.json }\n", "");
    let (folder, id) = recorded(&plan);
    let (code, output) = run(folder.path(), &["prove", "--run", &id]);
    assert!(code == 1 && output.contains("cannot fail     small.yaml:"), "{code}: {output}");
    assert!(output.contains("check: run.id != ''") && output.contains("NOT PROVED: 3 of 4"), "{output}");
}

#[test]
fn refuses_runs_that_prove_nothing() {
    let (folder, id) = recorded(&PLAN.replace("total 4\")", "total 5\")"));
    let (code, output) = run(folder.path(), &["prove", "--run", &id, "--accept"]);
    assert!(code == 2 && output.contains("the run did not pass: `A` is failed"), "{code}: {output}");
    let (code, output) = run(folder.path(), &["prove", "--run", "r0000000"]);
    assert!(code == 2 && output.contains("unknown run `r0000000`"), "{code}: {output}");
    let (code, output) = run(folder.path(), &["prove", "--accept"]);
    assert!(code == 2 && output.contains("--run"), "{code}: {output}");
}

/// Removes one line of each kind.
#[test]
fn names_the_sentences_of_lines_removed_from_tp_004() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    for (from, to) in [
        ("plans/TP-004.yaml", "TP-004.yaml"),
        ("plans/TP-004.guards.json", "TP-004.guards.json"),
        ("docs/TP-004.md", "docs/TP-004.md"),
    ] {
        fs::copy(root.join(from), folder.path().join(to)).unwrap();
    }
    // as `prove.record` of the plan
    let args = ["run", "TP-004.yaml", "--case", "TC-INT-004", "--quiet", "--set", "max_running=100"];
    let (code, output) = run(folder.path(), &args);
    assert_eq!(code, 0, "{output}");
    let id = only_run(folder.path());
    let proved = || run(folder.path(), &["prove", "TP-004.yaml", "--run", &id]).1;

    let whole = proved();
    let row = whole.lines().find(|line| line.trim_start().starts_with("TC-INT-004 ")).expect("a row of the case");
    let counts: Vec<u32> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(counts[0] > 60 && counts[0] == counts[1], "all assertions can fail: {whole}");
    assert!(!whole.contains("not detected"), "{whole}");
    let plan = fs::read_to_string(root.join("plans/TP-004.yaml")).unwrap();
    for (line, sentence) in [
        // a check among others
        ("          - batch.body.failed == 2\n", "Partial success (200 OK, not 4xx)"),
        // a line that another one duplicates
        ("              - size(batch.body.errors) >= 1\n", "Verify clear error messages"),
        // a line of an action that many sentences use
        ("          deployments: [{ spec: { replicas: 0 } }]\n", "Verify successful operations completed"),
    ] {
        assert_eq!(plan.matches(line).count(), 1, "{line}");
        fs::write(folder.path().join("TP-004.yaml"), plan.replace(line, "")).unwrap();
        let output = proved();
        assert!(output.contains(&format!("not detected    TC-INT-004  {sentence}\n")), "{line}{output}");
        assert!(output.contains("removed         "), "{line}{output}");
    }
}
