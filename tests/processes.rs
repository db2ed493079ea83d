//! How a run ends when it is killed or its terminal closes: no process outlives it, and what it was told to clean up is cleaned up.
mod support;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use support::{SandboxProcess, Workspace};

const ENVIRONMENTS: &str = "
environments:
  here:
    about: programs only
    allow: { exec: true }
    targets:
      lines: { logs: { command: [bash, -c, 'COMMAND'] } }
";

/// A plan whose step is `ACTION`. Its first action leaves a file, and an undo that removes it.
const PLAN: &str = "
plan: T
environment: here
cases:
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - exec: { run: [touch, made] }
            expect: { exit: 0 }
            undo: [{ exec: { run: [rm, made] }, expect: { exit: 0 } }]
          - ACTION
    expected: [{ result: r, check: run.id != '' }]
";

/// Starts processes that are found by this number in their arguments, one of them in the background.
fn sleepers(seconds: u32) -> String {
    format!("sleep {seconds} & sleep {seconds}")
}

fn running(seconds: u32) -> usize {
    let found = Command::new("pgrep").args(["-cfx", &format!("sleep {seconds}")]).output().expect("pgrep");
    String::from_utf8_lossy(&found.stdout).trim().parse().expect("a number")
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a run whose action runs two processes, and waits until both do.
fn start(workspace: &Workspace, seconds: u32, action: &str, prefix: &[&str]) -> Child {
    fs::write(workspace.path("tp-runner.yaml"), ENVIRONMENTS.replace("COMMAND", &sleepers(seconds))).unwrap();
    fs::write(workspace.path("plans/T.yaml"), PLAN.replace("ACTION", action)).unwrap();
    let words: Vec<&str> = prefix.iter().copied().chain([support::BINARY, "run", "plans/T.yaml"]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(workspace.folder.path()).stdin(Stdio::null());
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    wait_until("both processes run", || running(seconds) == 2);
    child
}

fn send(signal: &str, to: &Child) {
    assert!(Command::new("kill").args([signal, &to.id().to_string()]).status().expect("kill").success());
}

fn exec_of(seconds: u32) -> String {
    format!("{{ exec: {{ run: [bash, -c, '{}'] }}, expect: {{ exit: 0 }} }}", sleepers(seconds))
}

const LOGS: &str = "{ logs: {}, check: size(lines) > 0 }";

#[test]
fn no_process_outlives_a_runner_that_is_killed() {
    for (seconds, action) in [(70_001, exec_of(70_001)), (70_002, LOGS.to_string())] {
        let workspace = Workspace::new();
        let mut runner = start(&workspace, seconds, &action, &[]);
        send("-KILL", &runner);
        assert_eq!(runner.wait().unwrap().signal(), Some(9));
        wait_until("no process is left", || running(seconds) == 0);
    }
}

#[test]
fn a_second_signal_kills_the_programs_before_the_runner_exits() {
    let workspace = Workspace::new();
    let mut runner = start(&workspace, 70_003, &exec_of(70_003), &[]);
    send("-INT", &runner);
    thread::sleep(Duration::from_millis(300));
    send("-INT", &runner);
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    assert_eq!(running(70_003), 0);
}

#[test]
fn a_hang_up_stops_a_run_in_order_unless_it_is_ignored() {
    let workspace = Workspace::new();
    let logs = LOGS.replace("{ logs: {},", "{ logs: {}, timeout: 2s,");
    // the tests may run under `nohup`
    let mut runner = start(&workspace, 70_004, &logs, &["env", "--default-signal=HUP"]);
    assert!(workspace.path("made").exists());
    send("-HUP", &runner);
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    assert!(!workspace.path("made").exists(), "the undo ran");
    assert!(workspace.path("tests/reports").read_dir().unwrap().count() > 0, "a report was written");

    let mut runner = start(&workspace, 70_005, &logs, &["nohup"]);
    send("-HUP", &runner);
    thread::sleep(Duration::from_millis(300));
    assert!(runner.try_wait().unwrap().is_none(), "under `nohup` the run continues");
    assert_ne!(runner.wait().unwrap().code(), Some(130));
    assert!(!workspace.path("made").exists());
}

#[test]
fn a_write_above_the_limit_of_the_file_size_is_an_error_and_ends_no_process() {
    let workspace = Workspace::new();
    // 100 KiB: the journal of 400 actions is larger
    let many = "{ exec: { run: ['true'] }, expect: { exit: 0 }, foreach: '${lists.range(400)}' }";
    fs::write(workspace.path("tp-runner.yaml"), ENVIRONMENTS).unwrap();
    fs::write(workspace.path("plans/T.yaml"), PLAN.replace("ACTION", many)).unwrap();
    let script = format!("ulimit -f 100; exec {} run plans/T.yaml", support::BINARY);
    let run = Command::new("bash").args(["-c", &script]).current_dir(workspace.folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!((run.status.code(), run.status.signal()), (Some(5), None), "{said}");
    assert!(said.contains("cannot write the journal"), "{said}");
    assert!(!workspace.path("made").exists(), "the undo ran");
}

#[test]
fn the_exit_status_of_a_program_and_a_missing_one_are_reported_as_they_are() {
    let workspace = Workspace::new();
    fs::write(workspace.path("tp-runner.yaml"), ENVIRONMENTS).unwrap();
    for (action, code, words) in [
        ("{ exec: { run: [bash, -c, 'exit 3'] }, expect: { exit: 3 } }", 0, ""),
        ("{ exec: { run: [bash, -c, 'kill -TERM $$'] }, expect: { exit: 143 } }", 0, ""),
        ("{ exec: { run: [cat], stdin: text }, expect: { exit: 0, stdout: text } }", 0, ""),
        ("{ exec: { run: [no-such-program] }, expect: { exit: 0 } }", 3, "no such program `no-such-program`"),
        ("{ exec: { run: [./made] }, expect: { exit: 0 } }", 3, "cannot run `./made`: permission denied"),
    ] {
        fs::write(workspace.path("plans/T.yaml"), PLAN.replace("ACTION", action)).unwrap();
        let run = workspace.run(&["run", "plans/T.yaml"]).assert_code(code);
        assert!(run.text().contains(words), "{}", run.text());
    }
}

#[test]
fn only_the_user_may_read_what_a_run_or_a_sandbox_writes_beside_its_report() {
    let workspace = Workspace::new();
    fs::write(workspace.path("tp-runner.yaml"), ENVIRONMENTS).unwrap();
    fs::write(workspace.path("plans/T.yaml"), PLAN.replace("ACTION", "{ check: run.id != '' }")).unwrap();
    workspace.run(&["run", "plans/T.yaml"]).assert_code(0);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let journal = workspace.journal(&workspace.runs()[0]);
    assert_eq!((mode(&journal), mode(journal.parent().unwrap())), (0o600, 0o700));
    let sandbox = SandboxProcess::start(&workspace, &[]);
    let kubeconfig = std::path::PathBuf::from(&sandbox.at["kubeconfig"]);
    assert_eq!((mode(&kubeconfig), mode(kubeconfig.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&sandbox.env_file), 0o600);
}
