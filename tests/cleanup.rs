//! A run that was killed: `cleanup` finds what it left and undoes it, and the next run is not harmed by it.
mod support;

use std::{
    fs,
    process::{Child, Stdio},
    time::Duration,
};
use support::{SandboxProcess, Workspace, eventually};

/// A plan that makes files, with an undo for each, and then waits. What it makes is named by the run and by the response.
const PLAN: &str = "
plan: T
vars: { folder: made }
actions:
  make:
    inputs: { name: null }
    do:
      - exec: { run: [touch, '${folder}/${inputs.name}'] }
        expect: { exit: 0 }
        undo: [{ use: { unmake: { name: '${inputs.name}' } } }]
  unmake:
    inputs: { name: null }
    do:
      - exec: { run: [rm, '${folder}/${inputs.name}'] }
        expect: { exit: UNDO }
cases:
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - use: { make: { name: '${run.id}-${item}' } }
            foreach: [one, two]
          - exec: { run: [bash, -c, 'f=$(mktemp -p made); printf %s $(basename $f)'] }
            save: { drawn: 'stdout' }
            undo: [{ exec: { run: [rm, -f, '${folder}/${drawn}'] }, expect: { exit: 0 } }]
          - exec: { run: [bash, -c, 'test -e go || sleep 600'] }
            timeout: 20s
            expect: { exit: 0 }
    expected: [{ result: r, check: run.id != '' }]
";

fn workspace(undo: &str) -> Workspace {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("made")).unwrap();
    fs::write(workspace.path("plans/T.yaml"), PLAN.replace("UNDO", undo)).unwrap();
    fs::write(
        workspace.path("tp-runner.yaml"),
        "environments: { here: { about: files, allow: { exec: true }, targets: {} } }\ndefault: here\n",
    )
    .unwrap();
    workspace
}

fn made(workspace: &Workspace) -> usize {
    fs::read_dir(workspace.path("made")).unwrap().count()
}

fn start(workspace: &Workspace, args: &[&str]) -> Child {
    workspace.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary")
}

/// Runs the plan until it has made everything, and kills it. Returns the id of the run.
fn killed(workspace: &Workspace) -> String {
    let before = workspace.runs();
    let mut child = start(workspace, &["run", "plans/T.yaml"]);
    eventually("three files", Duration::from_secs(60), || {
        (made(workspace).is_multiple_of(3) && made(workspace) > before.len()).then_some(())
    });
    // what the third action bound is recorded after it
    let run = workspace.runs().into_iter().find(|run| !before.contains(run)).expect("a run");
    let bound = || fs::read_to_string(workspace.journal(&run)).unwrap_or_default().contains("undo-bound");
    eventually("the bound name", Duration::from_secs(10), || bound().then_some(()));
    child.kill().and_then(|()| child.wait()).expect("a runner");
    run
}

#[test]
fn what_a_killed_run_made_is_listed_by_its_names_and_undone_once() {
    let workspace = workspace("0");
    let run = killed(&workspace);
    assert_eq!(made(&workspace), 3);
    let dry = workspace.run(&["cleanup", "--dry-run"]).assert_code(0).stdout;
    for text in [
        &format!("run {run} of plans/T.yaml in `here`"),
        &format!("A: use unmake (name: {run}-one)"),
        "3 undo actions open",
    ] {
        assert!(dry.contains(text), "{text}:\n{dry}");
    }
    assert_eq!(made(&workspace), 3, "a dry run undoes nothing");
    // the plan and the environment may change meanwhile
    fs::write(workspace.path("plans/T.yaml"), "not a plan").unwrap();
    fs::remove_file(workspace.path("tp-runner.yaml")).unwrap();
    let done = workspace.run(&["cleanup"]).assert_code(0).stdout;
    assert!(done.ends_with(&format!("run {run}: cleaned up, nothing is left\n")), "{done}");
    assert_eq!(made(&workspace), 0);
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
    assert_eq!(
        workspace.run(&["cleanup", &run]).assert_code(0).stdout.lines().next(),
        Some(&*format!("run {run}: nothing is left"))
    );
    let report = workspace.run(&["report", &run]).assert_code(0).stdout;
    assert!(!report.contains("left behind"), "{report}");
}

#[test]
fn what_cannot_be_undone_stays_listed_and_is_tried_again() {
    let workspace = workspace("1");
    let run = killed(&workspace);
    let refused = workspace.run(&["cleanup", &run]).assert_code(1).stdout;
    assert!(refused.contains("2 things left") && refused.contains(&format!("{run}-two")), "{refused}");
    // the third is undone, the two others are gone although their undo says otherwise
    assert_eq!(made(&workspace), 0);
    let again = workspace.run(&["cleanup", "--dry-run"]).assert_code(0).stdout;
    assert!(again.contains("2 undo actions open"), "{again}");
    assert!(workspace.run(&["cleanup", &run, "--forget"]).assert_code(0).stdout.contains("forgotten"));
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
}

#[test]
fn a_run_that_lives_is_not_touched() {
    let workspace = workspace("0");
    let mut child = start(&workspace, &["run", "plans/T.yaml"]);
    eventually("three files", Duration::from_secs(60), || (made(&workspace) == 3).then_some(()));
    let run = workspace.runs().pop().unwrap();
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
    let refused = workspace.run(&["cleanup", &run]).assert_code(2).stderr;
    assert!(refused.contains("is still running (process "), "{refused}");
    assert_eq!(made(&workspace), 3);
    // its copy does not say whether it lives
    let (from, to) = (workspace.path(&format!(".tp-runner/runs/{run}")), workspace.path(".tp-runner/runs/r0copied"));
    fs::create_dir(&to).unwrap();
    for file in ["events.jsonl", "snapshot.json", "lock"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let refused = workspace.run(&["cleanup", "r0copied"]).assert_code(2).stderr;
    assert!(refused.contains("its folder was copied") && refused.contains("--force"), "{refused}");
    assert_eq!(made(&workspace), 3);
    support::interrupt(&child);
    fs::write(workspace.path("go"), "").unwrap();
    child.wait().unwrap();
}

/// Recorded in November 2026 and never changed: journals of runs that an older version left must stay readable.
#[test]
fn what_an_older_version_left_is_undone() {
    let workspace = workspace("0");
    let run = "r196979d";
    let folder = workspace.path(".tp-runner/runs").join(run);
    fs::create_dir_all(&folder).unwrap();
    for name in ["events.jsonl", "snapshot.json", "lock"] {
        let recorded = fs::read_to_string(format!("tests/fixtures/killed-run/{name}")).unwrap();
        let project = workspace.path("").display().to_string();
        let moved = recorded.replace("/home/tester/project", project.trim_end_matches('/'));
        fs::write(folder.join(name), moved).unwrap();
    }
    let files = ["session-one", "session-two", "drawn-by-lot"];
    files.iter().for_each(|name| fs::write(workspace.path("made").join(name), "").unwrap());
    let other_host = workspace.run(&["cleanup", run]).assert_code(2);
    assert!(other_host.text().contains("--force"), "{}", other_host.text());
    assert_eq!(made(&workspace), 3);
    let done = workspace.run(&["cleanup", "--force", run]).assert_code(0).stdout;
    assert!(done.ends_with(&format!("run {run}: cleaned up, nothing is left\n")), "{done}");
    assert_eq!(made(&workspace), 0);
    let report = workspace.run(&["report", run]).assert_code(0).stdout;
    assert!(report.contains("### A") && report.contains("interrupted"), "{report}");
}

#[test]
fn a_cleanup_that_is_killed_is_done_by_the_next() {
    let workspace = workspace("0");
    let run = killed(&workspace);
    // an undo that waits
    let snapshot = workspace.path(&format!(".tp-runner/runs/{run}/snapshot.json"));
    let text = fs::read_to_string(&snapshot).unwrap();
    let slow = text.replace(
        "[rm, '${folder}/${inputs.name}']",
        "[bash, -c, 'test -e go || sleep 600; rm -f ${folder}/${inputs.name}']",
    );
    assert_ne!(slow, text);
    fs::write(&snapshot, slow).unwrap();
    let mut child = start(&workspace, &["cleanup"]);
    let done = || fs::read_to_string(workspace.journal(&run)).unwrap_or_default().contains("undo-finished");
    eventually("the first undo", Duration::from_secs(60), || done().then_some(()));
    child.kill().and_then(|()| child.wait()).expect("a cleanup");
    fs::write(workspace.path("go"), "").unwrap();
    let open = workspace.run(&["cleanup", "--dry-run"]).assert_code(0).stdout;
    assert!(open.contains("2 undo actions open"), "{open}");
    workspace.run(&["cleanup", &run]).assert_code(0);
    assert_eq!(made(&workspace), 0);
}

#[test]
fn unknown_runs_and_those_of_old_versions_are_refused() {
    let workspace = workspace("0");
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
    assert!(workspace.run(&["cleanup", "r1"]).assert_code(2).stderr.contains("unknown run `r1`"));
    let run = killed(&workspace);
    for file in ["snapshot.json", "lock"] {
        fs::remove_file(workspace.path(&format!(".tp-runner/runs/{run}/{file}"))).unwrap();
    }
    let refused = workspace.run(&["cleanup", &run]).assert_code(2).stderr;
    assert!(refused.contains("an older tp-runner"), "{refused}");
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
}

/// Finished runs of a plan of one action.
fn finished(workspace: &Workspace, args: &[&str]) -> support::RunOutput {
    fs::write(workspace.path("plans/U.yaml"), "plan: U\ncases:\n  - id: A\n    tier: must\n    steps: [{ step: s, do: [{ exec: { run: ['true'] }, expect: { exit: 0 } }] }]\n    expected: [{ result: r, check: run.id != '' }]\n").unwrap();
    workspace.run(&[&["run", "plans/U.yaml", "--quiet"], args].concat())
}

#[test]
fn old_finished_runs_are_removed_and_unfinished_ones_are_kept() {
    let workspace = workspace("0");
    let killed = killed(&workspace);
    let setting = "environments: { here: { about: files, allow: { exec: true }, targets: {} } }\ndefault: here\nruns: { keep: 2 }\n";
    fs::write(workspace.path("tp-runner.yaml"), setting).unwrap();
    for _ in 0..4 {
        finished(&workspace, &[]).assert_code(0);
    }
    let left = workspace.runs();
    assert!(left.len() == 3 && left.contains(&killed), "{left:?}");
    let list = workspace.run(&["runs"]).assert_code(0).stdout;
    let rows: Vec<&str> = list.lines().collect();
    assert!(rows.len() == 4 && rows[0].starts_with(" RUN"), "{list}");
    assert_eq!(rows.iter().filter(|row| row.contains(" U ") && row.contains(" passed ")).count(), 2, "{list}");
    let row = rows.iter().find(|row| row.contains(&killed)).expect("the killed run");
    assert!(row.contains(" plans/T.yaml ") && row.contains(" killed ") && row.ends_with(" unknown"), "{list}");
}

#[test]
fn runs_are_recorded_where_they_are_told() {
    let workspace = workspace("0");
    finished(&workspace, &["--runs-dir", "elsewhere"]).assert_code(0);
    assert_eq!(workspace.runs().len(), 0);
    let run = fs::read_dir(workspace.path("elsewhere")).unwrap().flatten().find(|e| e.path().is_dir()).expect("a run");
    let id = run.file_name().to_string_lossy().into_owned();
    workspace.run(&["report", &id]).assert_code(2);
    workspace.run(&["report", &id, "--runs-dir", "elsewhere"]).assert_code(0);
    let by_variable = workspace.command(&["report", &id]).env("TP_RUNS_DIR", "elsewhere").output().unwrap();
    assert!(by_variable.status.success());
    let setting = "environments: { here: { about: files, allow: { exec: true }, targets: {} } }\ndefault: here\nruns: { folder: elsewhere }\n";
    fs::write(workspace.path("tp-runner.yaml"), setting).unwrap();
    workspace.run(&["report", &id]).assert_code(0);
    finished(&workspace, &[]).assert_code(0);
    assert_eq!(workspace.run(&["runs"]).assert_code(0).stdout.lines().count(), 3);
}

#[test]
fn a_run_whose_folder_is_removed_is_not_recorded() {
    let workspace = workspace("0");
    let mut child =
        workspace.command(&["run", "plans/T.yaml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("three files", Duration::from_secs(60), || (made(&workspace) == 3).then_some(()));
    fs::remove_dir_all(workspace.path(".tp-runner")).unwrap();
    fs::write(workspace.path("go"), "").unwrap();
    // the last action still sleeps
    let _ = std::process::Command::new("pkill").args(["-f", "sleep 600"]).status();
    let status = child.wait().unwrap();
    let out: support::RunOutput = child.wait_with_output().unwrap().into();
    assert!(matches!(status.code(), Some(1 | 5)), "{status}\n{}", out.text());
    assert!(out.stderr.contains("was removed or cut while the run wrote to it"), "{}", out.stderr);
    assert!(out.stdout.contains("report: "), "the table and the report still come: {}", out.stdout);
    assert_eq!(made(&workspace), 0);
}

#[test]
fn a_run_that_keeps_what_it_made_names_the_command_that_undoes_it() {
    let workspace = workspace("0");
    fs::write(workspace.path("go"), "").unwrap();
    let ran = workspace.run(&["run", "plans/T.yaml", "--keep"]).assert_code(0);
    let run = workspace.runs().pop().unwrap();
    assert!(ran.stdout.contains(&format!("3 things left behind: `tp-runner cleanup {run}`")), "{}", ran.stdout);
    assert_eq!(made(&workspace), 3);
    let next = workspace.run(&["run", "plans/T.yaml", "--cleanup-first"]).assert_code(0);
    assert!(next.stdout.contains(&format!("run {run}: cleaned up, nothing is left")), "{}", next.text());
    assert_eq!(made(&workspace), 0);
    let refused = workspace.run(&["run", "TP-004", "--env", "sandbox", "--keep"]).assert_code(2);
    assert!(refused.stderr.contains("the sandbox of this run ends with it"), "{}", refused.stderr);
}

#[test]
fn a_time_limit_stops_a_run_in_time_to_undo_and_to_report() {
    let workspace = workspace("0");
    let ran = workspace.run(&["run", "plans/T.yaml", "--time-limit", "3s"]).assert_code(130);
    assert!(ran.stderr.contains("stopping: the time limit of 3s is over"), "{}", ran.stderr);
    assert!(ran.stdout.contains("cleaned up, nothing is left"), "{}", ran.stdout);
    assert_eq!(made(&workspace), 0);
}

#[test]
fn a_run_on_its_own_sandbox_ended_with_it() {
    let workspace = Workspace::new();
    let mut child = start(&workspace, &["run", "TP-004", "--case", "TC-INT-001"]);
    let run = eventually("a run", Duration::from_secs(30), || workspace.runs().pop());
    let planned = || fs::read_to_string(workspace.journal(&run)).unwrap_or_default().contains("undo-planned");
    eventually("an undo", Duration::from_secs(60), || planned().then_some(()));
    child.kill().and_then(|()| child.wait()).expect("a runner");
    let said = workspace.run(&["cleanup"]).assert_code(0).stdout;
    assert!(said.contains(&format!("run {run}: abandoned: its sandbox ended with it")), "{said}");
    // the files of its sandbox are removed when the next one starts
    let folders = || fs::read_dir(workspace.path("tmp")).unwrap().count();
    assert_eq!(folders(), 1);
    workspace.run(&["run", "TP-004", "--case", "TC-INT-009"]).assert_code(0);
    assert_eq!(folders(), 0);
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
}

/// Kills a run of cases of TP-004 once its journal contains `text`.
fn killed_on(workspace: &Workspace, sandbox: &SandboxProcess, case: &str, text: &str) -> String {
    let before = workspace.runs();
    let mut child =
        start(workspace, &["run", "TP-004", "--config", &sandbox.env_file(), "--case", case, "--allow-exec"]);
    let run =
        eventually("a run", Duration::from_secs(30), || workspace.runs().into_iter().find(|r| !before.contains(r)));
    let has = || fs::read_to_string(workspace.journal(&run)).unwrap_or_default().contains(text);
    eventually(text, Duration::from_secs(120), || has().then_some(()));
    child.kill().and_then(|()| child.wait()).expect("a runner");
    run
}

#[test]
#[ignore = "needs kubectl, sqlite3 and curl: tests/run"]
fn a_fault_that_a_killed_run_left_is_healed_by_the_next() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &[]);
    let run = killed_on(&workspace, &sandbox, "TC-INT-010", "undo-planned");
    let text = workspace.keep_fault("database-down");
    let cut = killed_on(&workspace, &sandbox, "TC-INT-010", r#""heals":"database-down""#);
    workspace.write_plan(&text);
    // the link may be cut a moment after its undo is recorded
    std::thread::sleep(Duration::from_millis(300));
    let next = workspace.run(&["run", "TP-004", "--config", &sandbox.env_file(), "--case", "TC-INT-009"]);
    let text = next.text();
    assert_eq!(next.code, Some(0), "{text}");
    assert!(text.contains(&format!("healed `database-down`, which the killed run `{cut}` left broken")), "{text}");
    assert!(text.contains(&format!("note: the killed run `{run}` left ")), "{text}");
    assert_ne!(sandbox.sqlite(&format!("select count(*) from sessions where template_name like '%{cut}%'")), "0");
    let args = ["run", "TP-004", "--config", &sandbox.env_file(), "--case", "TC-INT-009", "--cleanup-first"];
    workspace.run(&args).assert_code(0);
    for run in [run, cut] {
        let rows = sandbox.sqlite(&format!("select count(*) from sessions where template_name like '%{run}%'"));
        assert_eq!(rows, "0", "{run}");
        let objects = sandbox.kubectl(&["get", "sessions,templates,deployments,services,pods", "-o", "name"]).stdout;
        let objects = String::from_utf8(objects).unwrap();
        assert!(!objects.contains(&run), "{objects}");
    }
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
}
