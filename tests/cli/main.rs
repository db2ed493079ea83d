//! Black-box tests: run the binary for every command and flag, and compare exit code, stdout,
//! stderr and the names of written files with a snapshot each. Snapshots leave out empty sections.
//!
//! `SNAPSHOTS=overwrite cargo test --test cli` rewrites the snapshots; review the diff before
//! committing it.
mod cases;
mod over_time;
mod plan_ids;
mod reports;
mod runner;
mod streams;
mod terminal;
mod undo_paths;

use cases::{CASES, Case};
use runner::Fixture;
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Stdio,
};

/// Runs all cases of a group, each in its own folder; reports every mismatch, not only the first.
fn check_group(group: &str) {
    let cases: Vec<&Case> = CASES.iter().filter(|c| c.name.split('/').next() == Some(group)).collect();
    assert!(!cases.is_empty(), "no case in group `{group}`");
    let failed: Vec<&str> = cases
        .into_iter()
        .filter(|case| catch_unwind(AssertUnwindSafe(|| runner::check(case))).is_err())
        .map(|case| case.name)
        .collect();
    assert!(failed.is_empty(), "snapshots differ: {failed:?}");
}

#[test]
fn help_matches_snapshots() {
    check_group("help");
}

#[test]
fn usage_errors_match_snapshots() {
    check_group("usage");
}

#[test]
fn cleanup_matches_snapshots() {
    check_group("cleanup");
}

#[test]
fn run_matches_snapshots() {
    check_group("run");
}

#[test]
fn import_matches_snapshots() {
    check_group("import");
}

#[test]
fn explain_matches_snapshots() {
    check_group("explain");
}

#[test]
fn init_matches_snapshots() {
    check_group("init");
}

#[test]
fn try_matches_snapshots() {
    check_group("try");
}

#[test]
fn sync_matches_snapshots() {
    check_group("sync");
}

#[test]
fn check_matches_snapshots() {
    check_group("check");
}

#[test]
fn list_matches_snapshots() {
    check_group("list");
}

#[test]
fn report_matches_snapshots() {
    check_group("report");
}

#[test]
fn prove_matches_snapshots() {
    check_group("prove");
}

#[test]
fn doctor_matches_snapshots() {
    check_group("doctor");
}

#[test]
fn relay_matches_snapshots() {
    check_group("relay");
}

#[test]
fn sandbox_matches_snapshots() {
    check_group("sandbox");
}

/// The sandbox in the foreground prints its addresses, writes the environment file, ends at Ctrl-C and leaves no files.
#[test]
fn sandbox_runs_until_interrupted() {
    use std::io::{BufRead, BufReader};
    let fixture = Fixture::new();
    let mut child = fixture
        .command(&["sandbox", "--env-file", "standing.yaml", "--delays", "1ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    while stdout.read_line(&mut printed).unwrap() > 0 && !printed.contains("Ctrl-C") {}
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let text = runner::render(&fixture, &["sandbox"], output.status.code(), &printed, &output.stderr);
    runner::assert_snapshot("sandbox/until-interrupted", &text);
}

/// Reads the flags from the definition of the arguments, so that a new flag needs a case.
#[test]
fn every_flag_has_a_case() {
    let mut root = tp_runner::cli::command();
    root.build();
    let mut missing = BTreeSet::new();
    let global = root.get_arguments().filter_map(|a| a.get_long()).collect::<BTreeSet<_>>();
    for flag in &global {
        if !CASES.iter().any(|c| uses(c, flag)) {
            missing.insert(format!("--{flag}"));
        }
    }
    for command in root.get_subcommands().filter(|c| c.get_name() != "help") {
        let of_command = || CASES.iter().filter(|c| c.args.first() == Some(&command.get_name()));
        for flag in command.get_arguments().filter_map(|a| a.get_long()).filter(|f| !global.contains(f)) {
            if !of_command().any(|c| uses(c, flag)) {
                missing.insert(format!("{} --{flag}", command.get_name()));
            }
        }
        if !of_command().any(|c| c.args == [command.get_name(), "--help"]) {
            missing.insert(format!("{} --help", command.get_name()));
        }
    }
    assert!(missing.is_empty(), "flags without a black-box case in tests/cli/cases.rs: {missing:#?}");
}

fn uses(case: &Case, flag: &str) -> bool {
    let long = format!("--{flag}");
    case.args.iter().any(|a| a.split('=').next() == Some(&long))
}

#[test]
fn every_snapshot_has_a_case() {
    let names: BTreeSet<String> = CASES.iter().map(|c| c.name.to_owned()).collect();
    for group in std::fs::read_dir(runner::snapshot_path("")).unwrap().flatten() {
        for file in std::fs::read_dir(group.path()).unwrap().flatten() {
            let name = format!(
                "{}/{}",
                group.file_name().to_string_lossy(),
                file.path().file_stem().unwrap().to_string_lossy()
            );
            assert!(names.contains(&name) || name == "sandbox/until-interrupted", "no case for `{name}`");
        }
    }
}
