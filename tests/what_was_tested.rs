//! The report and the events say what was tested: the address of each target, the versions, and the CI job.
mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Command,
    thread,
};
use support::{BINARY, run_in};

const PASSWORD: &str = "correct-horse-battery";

/// The address of a platform that says its commit and its version, and has no other pages.
fn platform() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
            let request = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines.next().and_then(Result::ok).is_some_and(|l| !l.is_empty()) {}
            let (status, body) =
                if request.contains(" /version ") { ("200 OK", r#"{"commit":"583a9f9"}"#) } else { ("404 None", "") };
            let head =
                format!("HTTP/1.1 {status}\r\nX-Version: 2.4.1\r\nContent-Type: application/json\r\nConnection: close");
            let _ = (&stream).write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    address.to_string()
}

#[test]
fn report_names_addresses_versions_and_the_ci_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, platform) = (folder.path(), platform());
    let environment = "environments:
  here:
    secrets: { password: '${env.T_PASSWORD}' }
    targets:
      api: { http: 'http://tester:${password}@${env.T_PLATFORM}' }
      database: { db: '${env.T_FILE}' }
      inbox: { webhook: '127.0.0.1:0' }
      unused: { db: 'postgres://tester:${password}@db.example/streamspace?sslmode=require' }
    versions:
      image: 'streamspace/api:${env.T_TAG}'
      commit:
        - http: { request: GET /version }
          expect: { status: 200 }
          save: { version: body.commit }
      platform:
        - http: { request: GET / }
          save: { version: 'headers[\"x-version\"]' }
      agent:
        - http: { request: GET /agent }
          expect: { status: 200 }
          save: { version: body.version }
";
    let plan = "plan: T
environment: here
cases:
  - id: A
    tier: must
    expected:
      - result: The platform and its database respond
        do:
          - http: { request: GET /version }
            expect: { status: 200 }
          - db: { sql: select 1 as one }
            expect: { rows: [{ one: 1 }] }
          - webhook: { open: box }
            check: url != ''
";
    fs::write(folder.join("tp-runner.yaml"), environment).expect("a file");
    fs::write(folder.join("t.yaml"), plan).expect("a file");
    fs::write(folder.join("here.db"), "").expect("a file");
    let ran = Command::new(BINARY)
        .args(["run", "t.yaml"])
        .current_dir(folder)
        .envs([("T_PASSWORD", PASSWORD), ("T_PLATFORM", &platform), ("T_FILE", "here.db"), ("T_TAG", "2.4")])
        .envs([("GITHUB_ACTIONS", "true"), ("GITHUB_JOB", "integration"), ("GITHUB_SHA", "a1b2c3d")])
        .env_remove("GITHUB_WORKFLOW")
        .output()
        .expect("the binary starts");
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let report = fs::read_to_string(folder.join("tests/reports/t-report.md")).expect("a report");
    for row in [
        format!("api `http://{platform}`"),
        "database `here.db`".into(),
        "unused `postgres://tester@db.example/streamspace?sslmode=require`".into(),
        "image `streamspace/api:2.4`".into(),
        "commit `583a9f9`".into(),
        "platform `2.4.1`".into(),
        "agent ``unknown: `status`: expected 200, found 404``".into(),
        "database `SQLite 3.".into(),
        "- **Run by**: System `GitHub Actions`, Job `integration`, Commit `a1b2c3d`".into(),
    ] {
        assert!(report.contains(&row), "{row}\n{report}");
    }
    // the port that was bound, not port 0
    let inbox = report.split_once("inbox `http://127.0.0.1:").expect("an inbox").1.split('`').next().expect("a port");
    assert_ne!(inbox, "0");
    assert!(!report.contains("${") && !report.contains(PASSWORD), "{report}");

    let run = fs::read_dir(folder.join(".tp-runner/runs")).unwrap().flatten().next().expect("a run").file_name();
    let run = run.to_string_lossy().into_owned();
    let events = fs::read_to_string(folder.join(".tp-runner/runs").join(&run).join("events.jsonl")).expect("events");
    assert!(events.contains(r#""event":"environment-described""#) && !events.contains(PASSWORD), "{events}");
    // the same report from the journal alone
    assert_eq!(run_in(folder, &["report", &run]).assert_code(0).stdout, report);
}
