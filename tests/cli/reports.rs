//! The formats of reports, from outside: files, stdout, and what GitHub Actions reads.
use crate::runner::Fixture;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Output,
};

/// Runs under GitHub Actions, with the fixture's folder as the repository.
fn on_github(fixture: &Fixture, args: &[&str], summary: &Path) -> Output {
    let mut command = fixture.command(args);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", fixture.path()).env("GITHUB_STEP_SUMMARY", summary);
    command.output().unwrap()
}

/// The lines that GitHub takes for commands.
fn commands(output: &Output) -> Vec<String> {
    let text = [&output.stdout[..], b"\n", &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter(|l| l.trim_start().starts_with("::") || l.contains("##[")).map(str::to_owned).collect()
}

#[test]
fn github_shows_failed_sentences_at_their_place_and_a_summary() {
    let fixture = Fixture::new();
    let summary = fixture.path().join("summary.md");
    fs::write(&summary, "of an earlier tool\n").unwrap();
    let output = on_github(&fixture, &["run", "failing.yaml", "small.yaml", "--jobs", "1"], &summary);
    assert_eq!(output.status.code(), Some(1));
    let commands = commands(&output);
    assert_eq!(commands.len(), 2, "{commands:#?}");
    let title = "title=FAIL-1 expected 1%3A Three is printed";
    assert!(commands[0].starts_with(&format!("::error file=failing.yaml,line=9,{title}::")), "{}", commands[0]);
    assert!(commands[0].contains("expected \"3\"%0A    found    \"4\""), "{}", commands[0]);
    assert!(commands[1].starts_with("::error file=failing.yaml,line=15,title=FAIL-2"), "{}", commands[1]);
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("of an earlier tool\n# Test report: FAILING"), "{text}");
    assert!(
        text.contains("- ❌ FAIL-1: **failed** in ") && text.contains("# Test report: SMALL A small plan"),
        "{text}"
    );
}

#[test]
fn no_annotation_outside_of_github() {
    let fixture = Fixture::new();
    let output = fixture.command(&["run", "failing.yaml"]).env("CI", "true").output().unwrap();
    assert_eq!(commands(&output), [""; 0]);
}

#[test]
fn a_product_cannot_issue_commands() {
    let fixture = Fixture::new();
    let plan = r###"plan: HOSTILE
cases:
  - id: H-1
    tier: must
    expected:
      - result: "::error::in the plan"
        do:
          - exec: { run: [printf, "::add-mask::a\n::error::b\r\n##[group]c%%0A"] }
            expect: { stdout: fine }
"###;
    fs::write(fixture.path().join("hostile.yaml"), plan).unwrap();
    let formats = ["run", "hostile.yaml", "--verbose", "--format", "junit,json,ctrf,html", "--report-dir", "out"];
    let output = on_github(&fixture, &formats, &fixture.path().join("summary.md"));
    let found = commands(&output);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("::error file=hostile.yaml,line=9,title=") && found[0].contains("%250A"),
        "{found:#?}"
    );
    for file in ["hostile-report.junit.xml", "hostile-report.json", "hostile-report.ctrf.json", "hostile-report.html"] {
        let text = fs::read_to_string(fixture.path().join("out").join(file)).unwrap();
        assert!(!text.lines().any(|l| l.trim_start().starts_with("::") || l.contains("##[")), "{file}: {text}");
    }
}

#[test]
fn a_summary_that_cannot_be_written_is_an_error() {
    let fixture = Fixture::new();
    let output = on_github(&fixture, &["run", "small.yaml"], &fixture.path().join("empty"));
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: cannot write"));
}

#[test]
fn a_recorded_run_is_reported_as_json_again() {
    let fixture = Fixture::new();
    fixture.command(&["run", "failing.yaml", "--format", "json,ctrf"]).output().unwrap();
    let file = fs::read(fixture.path().join("tests/reports/failing-report.json")).unwrap();
    let again = fixture.command(&["report", &fixture.run_id(), "--format", "json"]).output().unwrap();
    assert_eq!(String::from_utf8(again.stdout).unwrap(), String::from_utf8(file).unwrap());
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(fixture.path().join("tests/reports/failing-report.ctrf.json")).unwrap())
            .unwrap();
    assert_eq!(report["results"]["summary"]["failed"], 2);
}

#[test]
fn an_agent_log_gets_one_entry_per_run_and_keeps_the_rest() {
    let fixture = Fixture::new();
    let (file, link) = (fixture.path().join("log.md"), fixture.path().join("link.md"));
    let before = fs::read_to_string(&file).unwrap().replace('\n', "\r\n");
    fs::write(&file, &before).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("log.md", &link).unwrap();
    let run = fixture.command(&["run", "failing.yaml", "--agent-log", "link.md"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    let once = fs::read_to_string(&file).unwrap();
    let id = fixture.run_id();
    assert!(once.contains(&format!("#### Validator - FAILING run {id} (")), "{once}");
    assert!(once.contains("❌ FAIL FAIL-1") && once.contains("`tests/reports/failing-report.md`"), "{once}");
    assert_eq!(once.matches('\n').count(), once.matches("\r\n").count());
    let (head, tail) = before.split_at(before.find("---").unwrap());
    assert!(once.starts_with(head) && once.ends_with(tail), "{once}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    // the entry of the same run is replaced: only the path of the report differs
    let again = fixture.command(&["report", &id, "--agent-log", "log.md"]).output().unwrap();
    assert_eq!((again.status.code(), again.stdout), (Some(0), vec![]));
    let twice = fs::read_to_string(&file).unwrap();
    assert_eq!(twice, once.replace("tests/reports/failing-report.md", &format!("tp-runner report {id}")));
}

#[test]
fn runs_at_the_same_time_add_an_entry_each() {
    let fixture = Fixture::new();
    let args = ["run", "small.yaml", "--quiet", "--agent-log", "log.md"];
    let children: Vec<_> = (0..4).map(|_| fixture.command(&args).spawn().unwrap()).collect();
    children.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    let text = fs::read_to_string(fixture.path().join("log.md")).unwrap();
    assert_eq!(text.matches("#### Validator - SMALL run").count(), 4, "{text}");
}
