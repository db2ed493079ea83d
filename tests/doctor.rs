//! `doctor` as a process: prints each problem of an environment on its own line, with a remedy.
mod support;

use std::{fs, net::TcpListener, path::Path, thread};
use support::RunOutput;

const PLAN: &str = "plan: T
cases:
  - { id: A, tier: must, expected: [{ result: r, check: run.id != '' }] }
";

fn doctor(folder: &Path, environment: &str) -> RunOutput {
    fs::write(folder.join("t.yaml"), PLAN).unwrap();
    fs::write(folder.join("tp-runner.yaml"), environment).unwrap();
    std::process::Command::new(support::BINARY)
        .args(["doctor", "t.yaml", "--env", "here", "--config", "tp-runner.yaml"])
        .current_dir(folder)
        .env("DOCTOR_PASSWORD", "correct-horse-battery")
        .output()
        .unwrap()
        .into()
}

/// The address of a server that responds to every request with 204.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::{Read, Write};
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    });
    address.to_string()
}

#[test]
fn each_problem_has_its_own_line_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (healthy, taken) = (server(), TcpListener::bind("127.0.0.1:0").unwrap());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let taken = taken.local_addr().map(|a| (a.port(), taken)).unwrap();
    let kubeconfig = "apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: 'http://127.0.0.1:1' } }]
users: [{ name: u, user: {} }]
contexts: [{ name: one, context: { cluster: c, user: u } }]
current-context: one
";
    fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
    let environment = format!(
        "
environments:
  here:
    secrets: {{ password: '${{env.DOCTOR_PASSWORD}}' }}
    targets:
      api: {{ http: 'http://{healthy}' }}
      refused: {{ http: 'http://127.0.0.1:{free}' }}
      tls: {{ http: 'https://{healthy}' }}
      unknown: {{ http: 'http://no-such-host.invalid' }}
      cluster: {{ k8s: {{ kubeconfig: kubeconfig, context: two }} }}
      database: {{ db: 'sqlite:none.sqlite' }}
      inbox: {{ webhook: '127.0.0.1:{}' }}
      platform-log: {{ logs: {{ file: none.log }} }}
    setup:
      - http: {{ request: GET /login, headers: {{ Authorization: 'Basic ${{password}}' }} }}
        expect: {{ status: 200 }}
",
        taken.0
    );
    let out = doctor(folder.path(), &environment);
    let stdout = &out.stdout;
    assert_eq!(out.code, Some(3), "{stdout}{}", out.stderr);
    let line = |of: &str| {
        stdout
            .lines()
            .find(|l| l.starts_with("error") && l.contains(&format!(" {of}: ")))
            .unwrap_or_else(|| panic!("no error for {of}:\n{stdout}"))
    };
    for (of, why) in [
        ("setup", "status"),
        ("refused", "connection refused"),
        ("tls", "does not speak TLS"),
        ("unknown", "cannot be resolved"),
        ("cluster", "`two`"),
        ("database", "none.sqlite"),
        ("inbox", "in use"),
        ("platform-log", "log file `"),
    ] {
        assert!(line(of).contains(why), "{of}: {}", line(of));
        // A semicolon separates result and remedy.
        assert!(line(of).contains("; "), "{}", line(of));
    }
    assert!(
        stdout.lines().any(|l| l.starts_with("ok") && l.contains(" api: GET http://") && l.ends_with("204 No Content")),
        "{stdout}"
    );
    assert!(stdout.contains("\n8 problems"), "{stdout}");
    assert!(!stdout.contains("correct-horse"), "{stdout}");
}

#[test]
fn valid_environment_has_no_problems() {
    let folder = tempfile::tempdir().unwrap();
    let environment =
        format!("environments: {{ here: {{ targets: {{ api: {{ http: 'http://{}' }} }} }} }}\n", server());
    let out = doctor(folder.path(), &environment);
    let stdout = &out.stdout;
    assert_eq!(out.code, Some(0), "{stdout}{}", out.stderr);
    assert!(stdout.ends_with("\nno problems\n") && out.stderr.is_empty(), "{stdout}");
}

#[test]
fn unreadable_secret_ends_the_probes() {
    let folder = tempfile::tempdir().unwrap();
    for (source, why) in [
        ("{ file: none.txt }", "none.txt"),
        ("{ command: [sh, -c, 'exit 4'] }", "exit status: 4"),
        ("{ command: ['true'] }", "is empty"),
    ] {
        let environment = format!("environments: {{ here: {{ secrets: {{ s: {source} }}, targets: {{}} }} }}\n");
        let out = doctor(folder.path(), &environment);
        let stdout = &out.stdout;
        assert!(
            out.code == Some(3) && stdout.contains("error   secrets") && stdout.contains(why),
            "{source}: {stdout}"
        );
    }
}

#[test]
fn sandbox_has_no_problems() {
    let out = support::run_in(Path::new(support::ROOT), &["doctor", "TP-004", "--env", "sandbox", "--faults"]);
    let stdout = &out.stdout;
    assert_eq!(out.code, Some(0), "{stdout}{}", out.stderr);
    for line in [
        "ok      setup: ",
        "ok      api: ",
        "ok      cluster: log in",
        "ok      database: delete in `sessions`: allowed",
        "ok      fault database-down: probe: passes",
        "ok      fault database-down: probe meanwhile: fails: ",
        "ok      fault database-down: heal, and probe: passes, ",
        "ok      fault cluster-unreachable: probe meanwhile: fails: ",
        "ok      fault cluster-unreachable: heal, and probe: passes",
    ] {
        assert!(stdout.contains(line), "{line}:\n{stdout}");
    }
}
