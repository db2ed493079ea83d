//! Kinds of faults from bug reports of tools like this one, as small plans. A case `RED-…` must not pass, a case
//! `GREEN-…` must. Beside the id of each case stand its verdict and the words of its reason:
//! `- id: RED-NO-RESPONSE # failed: connection closed`. A case that `check` must refuse says `refused`.
mod plan;
mod responses;
mod server;

use plan::Plan;
use server::Server;
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
/// Has characters that every encoding writes differently.
const SECRET: &str = "Zx8/kQ2v+Hj4 <mP9>&wRt6y~é";

macro_rules! plans {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check_plan(stringify!($name));
        })*

        #[test]
        fn all_plans_are_tested() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plans");
            let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, [$(concat!(stringify!($name), ".yaml")),*]);
        }
    };
}

plans! {
    as_written
    clients
    deliveries
    headers
    journal
    json
    logs
    messages
    missing
    partial
    schemas
    secrets
    skipped
    sqlite
    streams
    undos
    vacuous
    waiting
}

fn command(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tp-runner"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env("TMPDIR", folder);
    command.env("BASE", &SERVER.base).env("OTHER", &SERVER.other).env("SECRET", SECRET);
    command.output().unwrap()
}

fn check_plan(name: &str) {
    let plan = Plan::read(name);
    let (refused, performed) = plan.split();
    let mut problems = vec![];
    if let Some(text) = refused {
        let folder = folder(&text);
        let output = command(folder.path(), &["check", "plan.yaml"]);
        let diagnostics = plan::diagnostics(&String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        for case in plan.cases.iter().filter(|c| c.verdict == "refused") {
            let lines = plan::lines_of(&text, &case.id);
            let own: Vec<_> = diagnostics.iter().filter(|(line, _)| lines.contains(line)).map(|(_, d)| d).collect();
            if !own.iter().any(|d| d.contains(&case.words)) {
                problems.push(format!("{}: expected a diagnostic with `{}`, found {own:?}", case.id, case.words));
            }
        }
    }
    if let Some(text) = performed {
        let folder = folder(&text);
        let set = ["--set", "version=1.10", "--set", "zip=010"];
        let set = if name == "as_written" { &set[..] } else { &[] };
        let output = command(folder.path(), &[&["run", "plan.yaml"], set].concat());
        let terminal =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let journal = read_journal(folder.path()).unwrap_or_else(|| panic!("{name} was not run: {terminal}"));
        let verdicts = verdicts(&journal);
        for case in plan.cases.iter().filter(|c| c.verdict != "refused") {
            let (verdict, reason) = verdicts.get(&case.id).cloned().unwrap_or_default();
            let reason = format!("{reason}{}", plan::block(&terminal, &case.id));
            if verdict != case.verdict || !reason.contains(&case.words) {
                problems
                    .push(format!("{}: expected {}: {}, found {verdict}: {reason}", case.id, case.verdict, case.words));
            }
        }
        let records = [terminal, journal, std::fs::read_to_string(folder.path().join("report.md")).unwrap_or_default()];
        for record in records {
            let forms = plan::FORMS_OF_THE_SECRET.iter().filter(|form| record.contains(**form));
            problems.extend(forms.map(|form| format!("`{form}` of the secret was recorded")));
            let is_journal = record.starts_with('{');
            if let Some(c) = record.chars().find(|c| c.is_control() && *c != '\n' && !(is_journal && *c > '\u{1f}')) {
                problems.push(format!("the control character {c:?} was recorded"));
            }
        }
    }
    assert!(problems.is_empty(), "{name}:\n  {}", problems.join("\n  "));
}

/// A folder with the plan and its environment.
fn folder(plan: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    std::fs::write(folder.path().join("plan.yaml"), plan).unwrap();
    // an empty database
    std::fs::write(folder.path().join("data.db"), "").unwrap();
    for file in ["tp-runner.yaml", "openapi.yaml"] {
        std::fs::copy(source.join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn read_journal(folder: &Path) -> Option<String> {
    let run = std::fs::read_dir(folder.join(".tp-runner/runs")).ok()?.flatten().next()?;
    std::fs::read_to_string(run.path().join("events.jsonl")).ok()
}

/// Verdict and reason of each case.
fn verdicts(journal: &str) -> BTreeMap<String, (String, String)> {
    let events = journal.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let finished = events.filter(|e| e["event"] == "case-finished");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    finished.map(|e| (text(&e["address"]), (text(&e["verdict"]), text(&e["reason"])))).collect()
}
