//! The files in `examples/ci`: `plans.sh` runs here, and the files of CI servers call it with flags that exist.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};
use tp_runner::{source::Source, yaml};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The files of CI servers.
const SERVERS: [&str; 3] = ["github-actions.yml", "gitlab-ci.yml", "Jenkinsfile"];

const PLAN: &str = r#"plan: CI
environment: here
vars: { first: "yes", second: "yes" }
cases:
  - { id: CI-1, tier: must, expected: [{ result: The first holds, check: first == "yes" }] }
  - { id: CI-2, tier: nice, expected: [{ result: The second holds, check: second == "yes" }] }
"#;

const SLOW: &str = "plan: SLOW
environment: here
cases:
  - id: SLOW-1
    tier: must
    steps:
      - step: Begin something long
        do:
          - exec: { run: [touch, begun] }
            expect: { exit: 0 }
            undo: [{ exec: { run: [touch, undone] }, expect: { exit: 0 } }]
          - exec: { run: [sleep, '8'] }
            expect: { exit: 0 }
    expected: [{ result: It ends, check: run.id != '' }]
";

const ENVIRONMENT: &str = "environments:
  here: { allow: { exec: true }, targets: {} }
  unreachable: { targets: { api: { http: 'http://127.0.0.1:1' } } }
";

const ASKING: &str = "plan: ASKING
environment: unreachable
cases:
  - id: A-1
    tier: must
    expected: [{ result: r, do: [{ http: { request: GET /health }, expect: { status: 200 } }] }]
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [("ci.yaml", PLAN), ("slow.yaml", SLOW), ("asking.yaml", ASKING), ("tp-runner.yaml", ENVIRONMENT)];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn script(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg(Path::new(ROOT).join("examples/ci/plans.sh")).args(args).current_dir(folder).stdin(Stdio::null());
    command.env("TP_RUNNER", env!("CARGO_BIN_EXE_tp-runner")).env_remove("GITHUB_STEP_SUMMARY");
    command.env_remove("GITHUB_ACTIONS").env_remove("TP_FORMATS");
    command
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_gate_decides_the_exit_code_and_all_reports_are_kept() {
    for (args, code, says) in [
        (&["ci.yaml"][..], 0, "gate: passed"),
        (&["ci.yaml", "--set", "first=no", "--gate", "must"], 1, "gate: failed; the product responded wrongly"),
        (&["ci.yaml", "--set", "second=no", "--gate", "must"], 0, "gate: passed"),
        (&["ci.yaml", "--set", "frist=no"], 2, "gate: not run"),
        (&["asking.yaml"], 3, "gate: undecided; the product could not be asked"),
        (&["ci.yaml", "--tier", "should"], 4, "gate: undecided; nothing was selected"),
    ] {
        let folder = folder();
        let output = script(folder.path(), &[&["run", "artefacts"], args].concat()).output().expect("sh starts");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{args:?}: {}", text(&output));
        let reports = files(&folder.path().join("artefacts/reports"));
        if [0, 1, 3].contains(&code) {
            let name = args[0].trim_end_matches(".yaml");
            let all = ["md", "junit.xml", "ctrf.json"].map(|extension| format!("{name}-report.{extension}"));
            assert!(all.iter().all(|file| reports.contains(file)), "{args:?}: {reports:?}");
            assert_eq!(files(&folder.path().join("artefacts/runs")).iter().filter(|n| n.starts_with('r')).count(), 1);
        }
    }
}

#[test]
fn shards_are_merged_and_gated_as_one() {
    let folder = folder();
    for (part, more) in [("1", &["--case", "CI-1"][..]), ("2", &["--case", "CI-2", "--set", "second=no"])] {
        let artefacts = format!("parts/{part}");
        script(folder.path(), &[&["run", &artefacts, "ci.yaml"], more].concat()).output().expect("sh starts");
    }
    let runs: Vec<String> = ["1", "2"]
        .iter()
        .flat_map(|part| {
            let runs = PathBuf::from(format!("parts/{part}/runs"));
            let names = files(&folder.path().join(&runs)).into_iter().filter(|n| n.starts_with('r'));
            names.map(|n| runs.join(n).display().to_string()).collect::<Vec<_>>()
        })
        .collect();
    let args: Vec<&str> = ["merge", "artefacts"].into_iter().chain(runs.iter().map(String::as_str)).collect();
    let summary = folder.path().join("summary.md");
    let output = script(folder.path(), &args).env("GITHUB_STEP_SUMMARY", &summary).output().expect("sh starts");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report = fs::read_to_string(folder.path().join("artefacts/reports/merged-report.md")).expect("a report");
    assert!(report.contains("2 of 2 cases in 2 runs"), "{report}");
    assert_eq!(fs::read_to_string(summary).expect("a summary"), report);
    assert!(files(&folder.path().join("artefacts/reports")).contains("merged-report.junit.xml"));
    let output = script(folder.path(), &args[..3]).output().expect("sh starts");
    assert_eq!(output.status.code(), Some(2), "one run is not merged: {}", text(&output));
}

#[test]
fn a_cancelled_job_undoes_what_the_run_made() {
    let folder = folder();
    let mut child = script(folder.path(), &["run", "artefacts", "slow.yaml"]).spawn().expect("sh starts");
    let began = std::time::Instant::now();
    while !folder.path().join("begun").exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "the run never began");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill starts").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(folder.path().join("undone").exists(), "the undo did not run");
    assert!(files(&folder.path().join("artefacts/reports")).contains("slow-report.md"));
}

#[test]
fn wrong_arguments_print_the_usage() {
    for args in [&[][..], &["run"], &["perform", "artefacts"], &["merge", "artefacts"]] {
        let output = script(folder().path(), args).output().expect("sh starts");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output).contains("plans.sh merge ARTEFACTS RUN..."), "{args:?}: {}", text(&output));
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join("examples/ci").join(name)).expect("an example")
}

/// The lines that call `plans.sh` or the runner, each with the command of the runner that gets their flags.
fn calls(text: &str) -> Vec<(&'static str, String)> {
    let command = |line: &str| match line {
        l if l.contains("plans.sh merge") || l.contains("\"$runner\" report") => Some("report"),
        l if l.contains("plans.sh run") || l.contains("\"$runner\" run") => Some("run"),
        l if l.contains("\"$runner\" cleanup") => Some("cleanup"),
        _ => None,
    };
    text.lines().filter_map(|line| Some((command(line)?, line.to_owned()))).collect()
}

#[test]
fn every_flag_in_the_examples_exists() {
    let mut root = tp_runner::cli::command();
    root.build();
    for name in SERVERS.into_iter().chain(["plans.sh"]) {
        let calls = calls(&read(name));
        assert!(!calls.is_empty(), "{name} calls nothing");
        for (command, line) in calls {
            let known = root.find_subcommand(command).expect("a command");
            let known: BTreeSet<&str> = known.get_arguments().filter_map(|a| a.get_long()).collect();
            for flag in line.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
                let flag = flag.trim_end_matches(['\'', '"']);
                assert!(known.contains(flag), "{name}: `{command}` has no flag `--{flag}`: {line}");
            }
        }
    }
}

#[test]
fn the_files_of_ci_servers_are_valid_and_keep_their_artefacts() {
    for name in SERVERS {
        let file = read(name);
        assert!(file.contains("artefacts") && file.contains("--time-limit"), "{name}");
        if name.ends_with(".yml") {
            let source = Arc::new(Source::new(name, file));
            let root = yaml::parse(&source).unwrap_or_else(|d| panic!("{name}: {}", d.render(false)));
            assert!(!root.entries().is_empty(), "{name}");
        }
    }
    // reports of a failed job are kept too
    assert_eq!(read("github-actions.yml").matches("if: always()").count(), 3);
    assert!(read("gitlab-ci.yml").contains("when: always") && read("gitlab-ci.yml").contains("junit: artefacts/"));
    assert!(read("Jenkinsfile").contains("always {") && read("Jenkinsfile").contains("junit testResults"));
}
