//! TP-004 as a process: against the sandbox, and against a sandbox that is manipulated while it
//! runs. A failure must appear in the sentence that the manipulation breaks.
mod support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use support::{GrowingFile, SandboxProcess, Workspace, eventually, interrupt};

fn verdicts(report: &str) -> Vec<(String, String)> {
    report
        .lines()
        .skip_while(|l| *l != "## Success Criteria")
        .take_while(|l| *l != "## Objective")
        .filter_map(|l| {
            // `- ✅ [TC-INT-001](#anchor): Title: **passed** in 1.2 s`
            let id = &l[l.find("TC-INT-")?..][..10];
            let verdict = l.split("**").nth(1).unwrap_or("not selected");
            Some((id.to_string(), verdict.to_string()))
        })
        .collect()
}

fn verdict(report: &str, case: &str) -> String {
    verdicts(report).into_iter().find(|(id, _)| id == case).unwrap_or_else(|| panic!("{case} is not in\n{report}")).1
}

/// The part of the report about one case.
fn section<'r>(report: &'r str, case: &str) -> &'r str {
    let start =
        report.find(&format!("\n### {case}")).unwrap_or_else(|| panic!("{case} has no section in\n{report}")) + 1;
    let end = report[start + 4..].find("\n### ").map_or(report.len(), |i| start + 4 + i);
    &report[start..end]
}

#[test]
fn passes_and_leaves_nothing_behind() {
    let workspace = Workspace::new();
    let ran = workspace.run(&["run", "TP-004"]).assert_code(0);
    let report = workspace.report();
    assert_eq!(verdicts(&report).len(), 10);
    assert!(verdicts(&report).iter().all(|(_, v)| v == "passed"), "{report}");
    for sentence in
        ["Multiple sessions running", "Verify failures collected in errors array", "No stack traces in responses"]
    {
        assert!(report.contains(sentence), "the plan's words are missing: {sentence}");
    }
    for text in ["must 3/3", "should 4/4", "nice 3/3", "andbox (embedded reference platform): no deployment was tested"]
    {
        assert!(report.contains(text), "not in the report: {text}");
    }
    assert!(ran.stdout.contains("tests/reports/integration-test-report.md"), "{}", ran.stdout);
    let left: Vec<_> = std::fs::read_dir(workspace.path("tmp")).unwrap().flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "left on disk: {left:?}");

    // the same report from the journal alone
    let run = workspace.runs().pop().expect("a recorded run");
    let again = workspace.run(&["report", &run]).assert_code(0).stdout;
    assert_eq!(again, report);
    // the platform tried to connect while each fault was active
    let refused: Vec<i64> = support::attempts(&workspace.journal(&run))
        .iter()
        .filter(|attempt| attempt["address"].as_str().is_some_and(|a| a.starts_with("TC-INT-010/")))
        .filter_map(|attempt| attempt["value"]["refused"].as_i64())
        .collect();
    assert!(refused.len() == 2 && refused.iter().all(|n| *n >= 1), "refused, by fault: {refused:?}");
    // secrets are masked in the journal
    let journal = std::fs::read_to_string(workspace.journal(&run)).unwrap();
    assert!(journal.contains("‹password›") && journal.contains("‹field token›"), "nothing was masked");
    assert!(!journal.contains("whsec_"), "a webhook's secret is in the journal");
}

/// Uses PostgreSQL, whose connection is cut by a relay.
#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn passes_on_postgresql() {
    let database = support::fresh_database("tp004");
    let workspace = Workspace::new();
    let ran = workspace.run(&["run", "TP-004", "--database", &database]).assert_code(0);
    assert!(
        workspace.report().contains("PostgreSQL") && ran.stdout.contains("PASSED: all 10 deciding cases passed"),
        "{}",
        ran.stdout
    );
    let run = workspace.runs().pop().unwrap();
    for (table, column) in [("sessions", "template_name"), ("connections", "session_id"), ("webhooks", "name")] {
        let left = support::psql(&database, &format!("select count(*) from {table} where {column} like '%{run}%'"));
        assert_eq!(left, "0", "left in {table}");
    }
}

/// Two platforms in one namespace are two controllers of the same sessions, which revert each other.
fn alone_on_the_cluster() -> MutexGuard<'static, ()> {
    static PLATFORM: Mutex<()> = Mutex::new(());
    PLATFORM.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Uses PostgreSQL and a real Kubernetes API server, each cut by a relay.
#[test]
#[ignore = "needs PostgreSQL and a Kubernetes API server: tests/run"]
fn passes_on_postgresql_and_a_real_cluster() {
    let (kubeconfig, _alone) = (support::real_cluster(), alone_on_the_cluster());
    let database = support::fresh_database("tp004_kube");
    let workspace = Workspace::new();
    let kubeconfig = kubeconfig.to_string_lossy().into_owned();
    let began = Instant::now();
    let ran = workspace
        .run(&["run", "TP-004", "--env", "sandbox", "--database", &database, "--kubeconfig", &kubeconfig])
        .assert_code(0);
    support::print_uncaptured(&format!("TP-004 on PostgreSQL and a real API server: {:.1?}", began.elapsed()));
    let report = workspace.report();
    assert_eq!(verdicts(&report).iter().filter(|(_, v)| v == "passed").count(), 10, "{report}");
    for text in ["PostgreSQL", "an external cluster"] {
        assert!(ran.stdout.contains(text) || report.contains(text), "neither printed nor in the report: {text}");
    }
    let run = workspace.runs().pop().unwrap();
    let left = std::process::Command::new("kubectl")
        .args(["--kubeconfig", &kubeconfig, "-n", "streamspace", "get", "-o", "name"])
        .arg("sessions.stream.space,templates.stream.space,deployments,services,pods")
        .output()
        .unwrap();
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    assert!(!left.contains(&run), "left in the cluster: {left}");
}

/// The platform reaches PostgreSQL through a relay that is a process of its own. A runner is killed while it is cut.
#[test]
#[ignore = "needs PostgreSQL and a Kubernetes API server: tests/run"]
fn passes_with_a_relay_process_on_a_real_cluster() {
    let kubeconfig = support::real_cluster().to_string_lossy().into_owned();
    let _alone = alone_on_the_cluster();
    passes_with_a_relay_process(&support::fresh_database("tp004_relay_kube"), &["--kubeconfig", &kubeconfig]);
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn passes_with_a_relay_process_on_postgresql() {
    passes_with_a_relay_process(&support::fresh_database("tp004_relay"), &[]);
}

fn passes_with_a_relay_process(database: &str, more: &[&str]) {
    let workspace = Workspace::new();
    let upstream =
        database.split(['@', '/']).find(|part| part.contains(':') && !part.ends_with(':')).expect("an address");
    let mut relay = support::RelayProcess::start(workspace.folder.path(), upstream);
    let through_relay = database.replace(upstream, &relay.address);
    let sandbox = SandboxProcess::start(&workspace, &[&["--database", &through_relay], more].concat());
    // the runner reads the database directly, and the fault is the relay's
    let text = std::fs::read_to_string(&sandbox.env_file).expect("the environment").replace(&through_relay, database);
    let (head, rest) = text.split_once("      database-down:\n").expect("a fault");
    let (_, tail) = rest.split_once("      cluster-unreachable:\n").expect("a fault");
    let fault = "      database-down: { relay: { control: relay.sock } }\n      cluster-unreachable:\n";
    std::fs::write(workspace.path("tp-runner.yaml"), format!("{head}{fault}{tail}")).expect("a file");

    let ran = workspace.run(&["run", "TP-004"]).assert_code(0);
    assert_eq!(verdicts(&workspace.report()).iter().filter(|(_, v)| v == "passed").count(), 10, "{}", ran.text());
    assert!(workspace.report().contains("database `PostgreSQL "), "{}", workspace.report());
    let doctor = workspace.run(&["doctor", "TP-004", "--faults"]).assert_code(0).stdout;
    assert!(doctor.contains("ok      fault database-down: heal, and connect through "), "{doctor}");

    let text = workspace.keep_fault("database-down");
    let args = ["run", "TP-004", "--case", "TC-INT-010", "--allow-exec"];
    let mut killed = workspace.command(&args).spawn().expect("the binary");
    relay.wait_for_a_refused_connection();
    workspace.write_plan(&text);
    killed.kill().and_then(|()| killed.wait()).expect("a runner");
    assert!(relay.is_alive());
    let doctor = workspace.run(&["doctor", "TP-004", "--faults"]).assert_code(0);
    assert!(doctor.stderr.contains("healed `database-down`, which the killed run"), "{}", doctor.text());
    let ran = workspace.run(&["run", "TP-004", "--cleanup-first"]).assert_code(0);
    assert_eq!(workspace.run(&["cleanup"]).assert_code(0).stdout, "nothing to clean up\n");
    assert!(ran.stdout.contains("PASSED: all 10 deciding cases passed"), "{}", ran.text());
}

#[test]
fn equal_runs_give_equal_reports_except_times_names_and_ids() {
    let redact = |report: String, run: &str| {
        let report = report.replace(run, "RUN");
        let rules = [
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)?", "TIME"),
            (r"\b\d+(\.\d+)? ?(ms|s|µs|min)\b", "TOOK"),
            (r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+", "ID"),
            (r"-[0-9a-f]{8}\b", "-NAME"),
            (r"127\.0\.0\.1:\d+", "ADDRESS"),
            (r"tp-runner-sandbox-\w+", "FOLDER"),
            (r"PT[\d.]+S|\b[\d.]+s\b", "TOOK"),
            // how many values were seen depends on what an attempt came upon
            (r"\b\d+ (more|other values?)\b", "SOME"),
            (r"(TIME\S*) (\(\d+ times\)|and SOME)", "$1"),
            (r"`rows\[0\]\.n` is `\d+`", "COUNT"),
        ];
        rules
            .iter()
            .fold(report, |r, (pattern, word)| regex::Regex::new(pattern).unwrap().replace_all(&r, *word).into_owned())
    };
    let texts: Vec<String> = (0..2)
        .map(|_| {
            let workspace = Workspace::new();
            workspace.run(&["run", "TP-004", "--tier", "must"]).assert_code(0);
            let run = workspace.runs().pop().unwrap();
            redact(workspace.report(), &run).replace(&workspace.folder.path().display().to_string(), "PLACE")
        })
        .collect();
    assert_same_lines(&texts[0], &texts[1]);
}

#[track_caller]
fn assert_same_lines(a: &str, b: &str) {
    let different: Vec<_> = a.lines().zip(b.lines()).filter(|(x, y)| x != y).take(5).collect();
    assert!(different.is_empty() && a.lines().count() == b.lines().count(), "{different:#?}");
}

#[test]
fn runs_exactly_the_selected_cases() {
    let workspace = Workspace::new();
    let performed = |report: &str| -> Vec<String> {
        verdicts(report).into_iter().filter(|(_, v)| v == "passed").map(|(id, _)| id).collect()
    };
    workspace.run(&["run", "TP-004", "--tier", "must"]).assert_code(0);
    let report = workspace.report();
    assert_eq!(performed(&report), ["TC-INT-001", "TC-INT-004", "TC-INT-006"]);
    assert!(report.contains("tier must: 3 of 10 cases"), "the report does not show the selection");
    workspace.run(&["run", "TP-004", "--tier", "nice", "--case", "TC-INT-01*"]).assert_code(0);
    assert_eq!(performed(&workspace.report()), ["TC-INT-010"]);
    let ran = workspace.run(&["run", "TP-004", "--case", "TC-XYZ*"]).assert_code(4);
    assert!(ran.stderr.contains("no case matches `--case TC-XYZ*`"), "{}", ran.stderr);
}

#[test]
fn wrong_literal_fails_and_names_the_sentence() {
    let workspace = Workspace::with_plan(|t| {
        let wrong = t.replacen("error: Session already hibernated", "error: Session was asleep already", 1);
        assert_ne!(wrong, t);
        wrong
    });
    let ran = workspace.run(&["run", "TP-004", "--case", "TC-INT-001"]).assert_code(1);
    let report = workspace.report();
    assert_eq!(verdict(&report, "TC-INT-001"), "failed");
    let section = section(&report, "TC-INT-001");
    assert!(
        section.contains("Session was asleep already") && section.contains("Session already hibernated"),
        "{section}"
    );
    // the log of the platform is collected
    let collected = section.split("**Collected after the failure**").nth(1).unwrap_or_default();
    assert!(collected.contains("session sent to the cluster session="), "{section}");
    assert!(
        ran.stdout.contains("Session was asleep already") && ran.stdout.contains("plans/TP-004.yaml:"),
        "{}",
        ran.stdout
    );
}

#[test]
fn closed_port_is_errored_not_failed() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &[]);
    let text = std::fs::read_to_string(&sandbox.env_file).unwrap();
    // setup still reaches the platform; the requests of the cases do not
    let api = format!("      api:\n        http: \"{}\"", sandbox.at["api"]);
    assert!(text.contains(&api), "{text}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broken = text.replace(&api, &format!("      api:\n        http: \"http://{closed}\"")).replace(
        "request: POST /api/v1/auth/login",
        &format!("request: \"POST {}/api/v1/auth/login\"", sandbox.at["api"]),
    );
    assert_ne!(broken, text);
    std::fs::write(workspace.path("broken.yaml"), broken).unwrap();
    let ran = workspace.run(&["run", "TP-004", "--tier", "must", "--config", "broken.yaml"]).assert_code(3);
    assert!(ran.stdout.contains("errored") || ran.stdout.contains("blocked"), "{}", ran.stdout);
    assert!(ran.stdout.to_lowercase().contains("refused"), "no reason given: {}", ran.stdout);
}

#[test]
fn misspelt_key_is_reported_before_anything_runs() {
    let workspace = Workspace::with_plan(|t| {
        let misspelt = t.replacen("            expect: { status: 200 }\n", "            exepct: { status: 200 }\n", 1);
        assert_ne!(misspelt, t);
        misspelt
    });
    let ran = workspace.run(&["run", "TP-004"]).assert_code(2);
    assert!(
        ran.stderr.contains("unknown verb or key `exepct`") && ran.stderr.contains("did you mean `expect`?"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("^^^^^^") && ran.stderr.contains("plans/TP-004.yaml:"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty() && workspace.runs().is_empty(), "nothing may have run");
}

#[test]
#[ignore = "needs kubectl, sqlite3 and curl: tests/run"]
fn sandbox_process_serves_the_runner_and_common_tools() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &[]);
    workspace.run(&["run", "TP-004", "--config", &sandbox.env_file(), "--env", "standing"]).assert_code(0);
    assert!(verdicts(&workspace.report()).iter().all(|(_, v)| v == "passed"));

    // a session created with kubectl is visible to curl, kubectl and sqlite3
    let manifest = r#"
apiVersion: stream.space/v1alpha1
kind: Template
metadata: { name: by-hand }
spec: { displayName: By hand, baseImage: pause, defaultResources: { cpu: 100m, memory: 128Mi } }
---
apiVersion: stream.space/v1alpha1
kind: Session
metadata: { name: by-hand-1 }
spec: { user: admin, template: by-hand, state: running, resources: { requests: { cpu: 100m, memory: 128Mi } } }
"#;
    let mut apply = std::process::Command::new("kubectl")
        .args(["--kubeconfig", &sandbox.at["kubeconfig"], "apply", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kubectl is installed");
    apply.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    assert!(apply.wait().unwrap().success());
    eventually("the session runs", Duration::from_secs(10), || {
        (sandbox.api("/api/v1/sessions/by-hand-1")["state"] == "running").then_some(())
    });
    assert_eq!(sandbox.sqlite("select state from sessions where id = 'by-hand-1'"), "running");
    let listed = String::from_utf8(sandbox.kubectl(&["get", "sessions"]).stdout).unwrap();
    assert!(listed.contains("by-hand-1"), "{listed}");
    assert!(sandbox.kubectl(&["delete", "session", "by-hand-1"]).status.success());
}

/// Sends Ctrl-C after sampled events, from the first event of a run to the last.
#[test]
#[ignore = "needs kubectl, sqlite3 and curl: tests/run"]
fn leaves_nothing_after_ctrl_c() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &[]);
    let total = {
        workspace.run(&["run", "TP-004", "--config", &sandbox.env_file()]).assert_code(0);
        let run = workspace.runs().pop().unwrap();
        // The audit log keeps its entries, which shows that queries by the id of a run find rows.
        let audited = sandbox.sqlite(&format!("select count(*) from audit_log where resource_id like '%{run}%'"));
        assert_ne!(audited, "0", "the run `{run}` is not in the audit log");
        std::fs::read_to_string(workspace.journal(&run)).unwrap().lines().count()
    };
    let samples: usize = std::env::var("TP_TEST_INTERRUPTS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    for sample in 0..samples {
        let at = 1 + total * sample / samples;
        let before = workspace.runs();
        let mut child = workspace
            .command(&["run", "TP-004", "--config", &sandbox.env_file()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run = eventually("the run starts", Duration::from_secs(20), || {
            workspace.runs().into_iter().find(|r| !before.contains(r))
        });
        let mut journal = GrowingFile::new(workspace.journal(&run));
        eventually("the event", Duration::from_secs(300), || {
            let ended = child.try_wait().expect("the runner").is_some();
            (ended || journal.lines() >= at).then_some(())
        });
        interrupt(&child);
        let out = child.wait_with_output().unwrap();
        let code = out.status.code();
        assert!(matches!(code, Some(130 | 0)), "at event {at}: {code:?}\n{}", String::from_utf8_lossy(&out.stderr));
        assert!(workspace.report().contains(&run), "at event {at}: no report of the run");
        for table in ["sessions where template_name", "connections where session_id", "webhooks where name"] {
            let rows = sandbox.sqlite(&format!("select count(*) from {table} like '%{run}%'"));
            assert_eq!(rows, "0", "at event {at}: left in {table}");
        }
        let objects = String::from_utf8(
            sandbox.kubectl(&["get", "sessions,templates,deployments,services,pods", "-o", "name"]).stdout,
        )
        .unwrap();
        assert!(!objects.contains(&run), "at event {at}: left in the cluster: {objects}");
        let sessions = sandbox.api("/api/v1/sessions?user=admin").to_string();
        assert!(!sessions.contains(&run), "at event {at}: left in the API: {sessions}");
    }
}

#[test]
fn second_ctrl_c_exits_immediately_and_lists_what_is_left() {
    let workspace = Workspace::new();
    let child = workspace.command(&["run", "TP-004"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let run = eventually("the run starts", Duration::from_secs(20), || workspace.runs().pop());
    // so much that it cannot be undone at once
    eventually("sessions are created", Duration::from_secs(60), || {
        std::fs::read_to_string(workspace.journal(&run)).ok().filter(|t| t.matches("undo-planned").count() > 40)
    });
    interrupt(&child);
    // late enough that the first signal was handled
    std::thread::sleep(Duration::from_millis(30));
    interrupt(&child);
    let out = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("exited immediately; not undone (") && stderr.contains("TC-INT-"), "{stderr}");
    assert!(stderr.contains(&format!("clean up with `tp-runner cleanup {run}`")), "{stderr}");
    assert!(stderr.contains(&format!("template: {run}-int0")), "the names are those of the run: {stderr}");
    assert!(workspace.report().contains(&run), "what is known is reported");
    let left: Vec<_> = std::fs::read_dir(workspace.path("tmp")).unwrap().flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "left on disk: {left:?}");
}

/// Runs cases against a sandbox while `manipulate` changes it; `manipulate` is called until it returns true.
fn run_manipulated(
    args: &[&str],
    manipulate: impl Fn(&SandboxProcess, &str) -> bool + Send + 'static,
) -> (Workspace, String) {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &[]);
    let config = sandbox.env_file();
    let mut all = vec!["run", "TP-004", "--config", &config];
    all.extend(args);
    let child = workspace.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let run = eventually("the run starts", Duration::from_secs(20), || workspace.runs().pop());
    eventually("the manipulation", Duration::from_secs(60), || manipulate(&sandbox, &run).then_some(()));
    let out = child.wait_with_output().unwrap();
    assert_eq!(
        out.status.code(),
        Some(1),
        "{}\n{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    let report = workspace.report();
    (workspace, report)
}

#[track_caller]
fn assert_failed_in(report: &str, case: &str, sentence: &str) {
    assert_eq!(verdict(report, case), "failed", "{}", section(report, case));
    let section = section(report, case);
    let line =
        section.lines().find(|l| l.contains(sentence)).unwrap_or_else(|| panic!("{sentence} is not in {section}"));
    assert!(line.contains("failed"), "{sentence} did not fail: {line}\n{section}");
}

#[test]
#[ignore = "needs kubectl, sqlite3 and curl: tests/run"]
fn detects_an_orphaned_object() {
    let (_workspace, report) = run_manipulated(&["--case", "TC-INT-002"], |sandbox, run| {
        let found = sandbox
            .sqlite(&format!("select id from sessions where template_name = '{run}-int002-1' and state = 'running'"));
        if found.is_empty() {
            return false;
        }
        let manifest = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"planted","namespace":"streamspace","labels":{{"session":"{found}"}}}}}}"#
        );
        let path = std::env::temp_dir().join(format!("planted-{run}.json"));
        std::fs::write(&path, manifest).unwrap();
        let made = sandbox.kubectl(&["create", "-f", &path.to_string_lossy()]);
        let _ = std::fs::remove_file(&path);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        true
    });
    assert_failed_in(&report, "TC-INT-002", "No orphaned resources");
}

#[test]
#[ignore = "needs kubectl, sqlite3 and curl: tests/run"]
fn detects_a_password_in_the_audit_log() {
    let (_workspace, report) = run_manipulated(&["--case", "TC-INT-009"], |sandbox, run| {
        if sandbox.sqlite(&format!("select count(*) from audit_log where resource_id like '%{run}-int009%'")) == "0" {
            return false;
        }
        sandbox.sqlite(&format!(
            "insert into audit_log (user_id, action, resource_type, resource_id, changes, timestamp, ip_address) \
             select user_id, 'login', 'auth', 'x', '{{\"password\":\"bait-{run}\"}}', timestamp, ip_address from audit_log order by id desc limit 1"
        ));
        true
    });
    assert_failed_in(&report, "TC-INT-009", "No passwords/tokens in logs");
}

#[test]
#[ignore = "needs kubectl, sqlite3 and curl: tests/run"]
fn detects_a_duplicate_row() {
    let (_workspace, report) = run_manipulated(&["--case", "TC-INT-008"], |sandbox, run| {
        if sandbox.sqlite(&format!("select count(*) from sessions where template_name like '{run}-int008-%'")) != "10" {
            return false;
        }
        let columns = sandbox.sqlite("select group_concat(name) from pragma_table_info('sessions') where name <> 'id'");
        sandbox.sqlite(&format!(
            "insert into sessions (id, {columns}) select 'second-of-{run}', {columns} from sessions where template_name = '{run}-int008-0'"
        ));
        true
    });
    assert_failed_in(&report, "TC-INT-008", "Verify all created successfully");
}

/// A proxy delays one DELETE request.
#[test]
fn detects_a_stalled_request_as_a_deadlock() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &[]);
    let api: std::net::SocketAddr = sandbox.at["api"].trim_start_matches("http://").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let stalled = Arc::new(AtomicBool::new(false));
    let flag = stalled.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let flag = flag.clone();
            std::thread::spawn(move || forward_slowly(client, api, &flag));
        }
    });
    // variables of the environment file may read environment variables of the process
    let text = std::fs::read_to_string(&sandbox.env_file)
        .unwrap()
        .replace(&api.to_string(), &proxy.to_string())
        .replace("    targets:\n", "    vars: { slowest_answer: \"${env.TP_TEST_SLOWEST}\" }\n    targets:\n");
    std::fs::write(workspace.path("slow.yaml"), text).unwrap();
    let args = ["run", "TP-004", "--config", "slow.yaml", "--case", "TC-INT-008", "--set", "deadlock_after=2s"];
    let ran: support::RunOutput =
        workspace.command(&args).env("TP_TEST_SLOWEST", "60s").output().expect("the binary starts").into();
    ran.assert_code(1);
    assert!(stalled.load(Ordering::SeqCst), "no request was held back");
    assert_failed_in(&workspace.report(), "TC-INT-008", "No deadlocks");
}

fn forward_slowly(mut client: TcpStream, api: std::net::SocketAddr, stalled: &AtomicBool) {
    let Ok(mut server) = TcpStream::connect(api) else { return };
    let (Ok(mut back_from), Ok(mut back_to)) = (server.try_clone(), client.try_clone()) else { return };
    std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
    let mut buffer = [0u8; 16 << 10];
    while let Ok(n) = client.read(&mut buffer) {
        if n == 0 {
            break;
        }
        let deletes = buffer[..n].starts_with(b"DELETE") && String::from_utf8_lossy(&buffer[..n]).contains("int008-3");
        if deletes && !stalled.swap(true, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(3));
        }
        if server.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}

#[test]
fn passes_on_a_platform_that_differs_in_every_way_that_is_right() {
    let workspace = Workspace::new();
    let names = tp_runner_sandbox::variation::Variation::ALL.iter().map(|v| v.name());
    let options: Vec<&str> = names.flat_map(|name| ["--variation", name]).collect();
    // every response takes 150 ms longer, and a machine that runs other tests adds to that
    let limits = ["--set", "reconcile_within=20s", "--set", "slowest_answer=20s", "--set", "all_running_within=60s"];
    workspace.run(&[&["run", "TP-004"][..], &options, &limits].concat()).assert_code(0);
}
