//! `${env.NAME}` in every value of an environment, and variables that are not set.
mod support;

use std::{fs, path::Path, process::Command};
use support::{BINARY, RunOutput};

const PLAN: &str = "plan: T
environment: here
vars: { word: none }
cases:
  - { id: A, tier: must, expected: [{ result: It holds, check: word == 'hello' }, { result: It fails, check: word == 'x' }] }
";

const ENVIRONMENT: &str = "environments:
  here:
    about: the platform at ${env.T_HOST}
    notice: ${env.T_NOTICE}
    targets:
      api: { http: 'http://${env.T_HOST}:1', cookies: '${env.T_COOKIES}' }
      inbox: { webhook: '${env.T_HOST}:0', signature: { header: X-Signature, scheme: '${env.T_SCHEME}' } }
      log: { logs: { file: here.log, zone: '${env.T_ZONE}' } }
    secrets: { key: '${env.T_KEY}' }
    vars: { word: '${env.T_WORD}' }
    jobs: ${env.T_JOBS}
    protected: ${env.T_PROTECTED}
    versions: { platform: '${env.T_VERSION}' }
    faults:
      down: { relay: { listen: '${env.T_HOST}:0', upstream: '${env.T_HOST}:${env.T_PORT}', delay: '${env.T_DELAY}' } }
      cut: { relay: { control: '${has(env.T_NONE) ? env.T_NONE : env.T_SOCKET}', reset: '${env.T_RESET}' } }
    known_failures:
      - { case: '${env.T_CASE}', sentence: It fails, issue: '${env.T_ISSUE}', until: '${env.T_DAY}' }
";

const VARIABLES: [(&str, &str); 18] = [
    ("T_HOST", "127.0.0.1"),
    ("T_NOTICE", "a notice from outside"),
    ("T_COOKIES", "insecure"),
    ("T_SCHEME", "hmac-sha256-hex"),
    ("T_ZONE", "Europe/Berlin"),
    ("T_KEY", "correct-horse-battery"),
    ("T_WORD", "hello"),
    ("T_JOBS", "3"),
    ("T_PROTECTED", "false"),
    ("T_VERSION", "2.11"),
    ("T_PORT", "9"),
    ("T_DELAY", "2s"),
    ("T_SOCKET", "relay.sock"),
    ("T_RESET", "true"),
    ("T_CASE", "A"),
    ("T_ISSUE", "https://tracker.example/1"),
    ("T_DAY", "2999-12-31"),
    ("T_UNUSED", "x"),
];

fn run(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> RunOutput {
    fs::write(folder.join("t.yaml"), PLAN).unwrap();
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(folder).envs(variables.iter().copied());
    command.output().expect("the binary starts").into()
}

/// [`VARIABLES`], with another value for one of them.
fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    VARIABLES.map(|(n, v)| (n, if n == name { value } else { v })).to_vec()
}

#[test]
fn variables_work_in_every_value() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // a relay as a process is not needed here
    let environment: String =
        ENVIRONMENT.lines().filter(|l| !l.contains("control:")).map(|l| format!("{l}\n")).collect();
    fs::write(folder.join("tp-runner.yaml"), environment).unwrap();
    let ran = run(folder, &["run", "t.yaml"], &VARIABLES).assert_code(0);
    assert!(ran.text().contains("a notice from outside") && ran.text().contains("known failure"), "{}", ran.text());
    let report = fs::read_to_string(folder.join("tests/reports/t-report.md")).unwrap();
    for part in ["the platform at 127.0.0.1", "http://127.0.0.1:1", "2.11", "https://tracker.example/1"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains("${"), "{report}");
    // a value is judged where it is used
    for (name, value, message) in [
        ("T_JOBS", "many", "expected a positive number"),
        ("T_PROTECTED", "maybe", "expected `true` or `false`"),
        ("T_COOKIES", "sweet", "`cookies` must be"),
        ("T_DELAY", "soon", "expected a duration like `30s`, found `soon`"),
        ("T_DAY", "tomorrow", "expected a date like `2027-01-31`, found `tomorrow`"),
        ("T_SCHEME", "rot13", "rot13"),
        ("T_CASE", "B", "unknown case `B`"),
    ] {
        let ran = run(folder, &["run", "t.yaml"], &with(name, value)).assert_code(2);
        assert!(ran.stderr.contains(message) && ran.stderr.contains(&format!("env.{name}")), "{name}: {}", ran.stderr);
    }
    // in a message, too, a secret is masked
    let secret = [&with("T_DELAY", "correct-horse-battery-2")[..], &[("T_TOKEN", "correct-horse-battery-2")]].concat();
    let ran = run(folder, &["run", "t.yaml"], &secret).assert_code(2);
    assert!(ran.stderr.contains("‹env.T_TOKEN›") && !ran.stderr.contains("horse"), "{}", ran.stderr);
}

#[test]
fn an_unset_variable_is_named_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tp-runner.yaml"), format!("{ENVIRONMENT}  other: {{ targets: {{}} }}\n")).unwrap();
    for (name, _) in VARIABLES.into_iter().filter(|(name, _)| !["T_UNUSED", "T_SOCKET"].contains(name)) {
        let set: Vec<_> = VARIABLES.into_iter().filter(|(n, _)| *n != name).collect();
        let (line, text) = ENVIRONMENT.lines().enumerate().find(|(_, l)| l.contains(&format!("env.{name}}}"))).unwrap();
        let column = text.find(&format!("env.{name}}}")).unwrap() + 1;
        let place = format!("tp-runner.yaml:{}:{column}", line + 1);
        let message = format!("[unset-variable]: the environment variable `{name}` is not set");
        for (args, severity, code) in [
            (&["check", "t.yaml", "--env", "here"][..], "warning", 0),
            (&["run", "t.yaml"], "error", 2),
            (&["doctor", "t.yaml"], "error", 2),
        ] {
            let ran = run(folder, args, &set).assert_code(code);
            let expected = format!("{severity}{message}");
            assert!(ran.stderr.contains(&expected) && ran.stderr.contains(&place), "{place}: {}", ran.stderr);
            assert!(!ran.stderr.replace(&expected, "").contains("error["), "{name}: {}", ran.stderr);
        }
        // an environment that is not used needs no variables
        run(folder, &["check", "t.yaml", "--env", "other"], &set).assert_code(0);
    }
    // without `--env`, the default environment is meant
    fs::write(folder.join("tp-runner.yaml"), format!("{ENVIRONMENT}default: here\n")).unwrap();
    let ran = run(folder, &["check", "t.yaml"], &[]).assert_code(0);
    assert!(ran.stderr.contains("warning[unset-variable]: the environment variable `T_JOBS`"), "{}", ran.stderr);
    // an expression with `has()` may fail all the same
    let set: Vec<_> = VARIABLES.into_iter().filter(|(n, _)| *n != "T_SOCKET").collect();
    let ran = run(folder, &["run", "t.yaml"], &set).assert_code(2);
    assert!(
        ran.stderr.contains("tp-runner.yaml:16:32") && ran.stderr.contains("`T_SOCKET` not found"),
        "{}",
        ran.stderr
    );
}
