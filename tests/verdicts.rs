//! Verdicts and exit codes of plans that run programs: what an undo, a time limit and a known failure change.
mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};
use support::{RunOutput, run_in};
use tempfile::TempDir;

/// Runs a plan of these cases in a folder of its own.
fn run_cases(folder: &TempDir, cases: &str, args: &[&str]) -> RunOutput {
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("a file");
    write("plan.yaml", format!("plan: P\nenvironment: here\nreport: report.md\ncases:\n{cases}"));
    if !folder.path().join("tp-runner.yaml").exists() {
        write("tp-runner.yaml", "environments:\n  here:\n    allow: { exec: true }\n    targets: {}\n".into());
    }
    run_in(folder.path(), &[&["--quiet", "run", "plan.yaml"], args].concat())
}

fn report(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("report.md")).expect("a report")
}

#[test]
fn an_undo_that_is_answered_wrongly_fails_the_run_and_one_that_cannot_be_sent_errors_it() {
    let case = |undo: &str| {
        format!(
            "
  - id: A
    tier: must
    steps:
      - step: Make it
        do: [{{ exec: {{ run: [printf, made] }}, as: made, undo: [{{ exec: {{ run: {undo} }} }}] }}]
    expected: [{{ result: It is made, check: made.stdout == 'made' }}]
"
        )
    };
    for (undo, code, texts) in [
        ("[ls, /no/such/object]", 1, ["failed A", "the undo failed:", "`ls /no/such/object`"]),
        ("[no-such-program, x]", 3, ["errored A", "not everything could be undone:", "no-such-program"]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let ran = run_cases(&folder, &case(undo), &[]).assert_code(code);
        for text in texts {
            let both = format!("{}{}", ran.stdout.split_whitespace().collect::<Vec<_>>().join(" "), report(&folder));
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(both.contains(&text), "{text} is not in\n{}{}", ran.stdout, report(&folder));
        }
    }
}

/// What reads the outputs of a `use` that could not be performed is not reached: it neither failed nor holds.
#[test]
fn outputs_of_an_action_that_could_not_be_performed_prove_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = "environments: { here: { targets: { api: { http: 'http://127.0.0.1:1' } } } }\n";
    std::fs::write(folder.path().join("tp-runner.yaml"), environment).expect("a file");
    for outputs in ["    outputs: { id: placed.body.id, order: placed.body }\n", ""] {
        for expected in ["order: { total: 3 }", "order: $absent", "status: 201", "status: $absent"] {
            let declares = expected.starts_with("order");
            if declares == outputs.is_empty() {
                continue;
            }
            let plan = format!(
                "plan: P\nenvironment: here\nreport: report.md\nactions:\n  place:\n    do:\n      \
                 - http: {{ request: POST /orders }}\n        expect: {{ status: 201 }}\n        as: placed\n{outputs}\
                 cases:\n  - id: A\n    tier: must\n    steps: [{{ step: Place it, do: [{{ use: {{ place: }}, as: seen }}] }}]\n    \
                 expected: [{{ result: It is placed, expect: {{ seen: {{ {expected} }} }} }}]\n"
            );
            std::fs::write(folder.path().join("plan.yaml"), plan).expect("a file");
            let ran = run_in(folder.path(), &["--quiet", "run", "plan.yaml"]).assert_code(3);
            let text = format!("{}{}", ran.text(), report(&folder));
            assert!(text.contains("`seen` was never bound"), "{expected}: {text}");
        }
    }
}

/// Answers `GET /` on connections of its own: the first at once, each further one after `delay`. Sends whether the client was still
/// there for the response.
fn slow_server(delay: Duration) -> (String, mpsc::Receiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (answered, answers) = mpsc::channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let (mut stream, answered) = (stream, answered.clone());
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                if n > 0 {
                    std::thread::sleep(delay);
                }
                let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
                let is_open = !matches!(stream.read(&mut [0; 1]), Ok(0));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
                let _ = answered.send(is_open);
            });
        }
    });
    (address, answers)
}

#[test]
fn the_last_read_of_a_window_is_not_broken_off_unless_its_own_timeout_ends() {
    let case = |more: &str| {
        format!(
            "
  - id: A
    tier: must
    expected:
      - result: It stays
        do: [{{ http: {{ request: GET / }}, always: 1s, expect: {{ status: 200 }}{more} }}]
"
        )
    };
    for (more, code, completed) in [("", 0, true), (", timeout: 1200ms", 1, false)] {
        let (address, answers) = slow_server(Duration::from_millis(1500));
        let folder = tempfile::tempdir().expect("a folder");
        let environment = format!("environments:\n  here:\n    targets: {{ api: {{ http: '{address}' }} }}\n");
        std::fs::write(folder.path().join("tp-runner.yaml"), environment).expect("a file");
        let ran = run_cases(&folder, &case(more), &[]).assert_code(code);
        let all: Vec<bool> = (0..2).map(|_| answers.recv_timeout(Duration::from_secs(5)).expect("a request")).collect();
        assert_eq!(all, [true, completed], "{more}: {}", ran.stdout);
        let note = format!("1 request was abandoned before the response: `GET {address}/` (A/expected/1/do/0)");
        for text in [&ran.stdout, &report(&folder)] {
            assert_eq!(text.contains(&note), !completed, "{more}: {text}");
        }
    }
}

#[test]
fn the_verdict_line_of_a_case_says_that_it_ran_out_of_time() {
    let case = "
  - id: A
    tier: must
    timeout: 300ms
    steps:
      - step: Print
        do: [{ exec: { run: [printf, x] }, expect: { stdout: y } }]
      - step: Wait
        do: [{ exec: { run: [sleep, 1] }, expect: { exit: 0 } }]
      - step: Print again
        do: [{ exec: { run: [touch, never] }, expect: { exit: 0 } }]
    expected: [{ result: It is printed, check: run.id != '' }]
";
    let folder = tempfile::tempdir().expect("a folder");
    let ran = run_cases(&folder, case, &[]).assert_code(1);
    assert!(ran.stdout.contains("failed A, out of time (limit 300 ms)"), "{}", ran.stdout);
    let report = report(&folder);
    let line = report.lines().find(|l| l.starts_with("❌ **failed** in ")).expect("a verdict line");
    assert!(line.contains(" s, out of time (limit 300 ms)"), "{line}");
    assert!(!folder.path().join("never").exists());
}
