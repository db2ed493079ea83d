//! Verdicts and exit codes of plans that run programs: what an undo, a time limit and a known failure change.
mod support;

use support::{RunOutput, run_in};
use tempfile::TempDir;

/// Runs a plan of these cases in a folder of its own.
fn run_cases(folder: &TempDir, cases: &str, args: &[&str]) -> RunOutput {
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("a file");
    write("plan.yaml", format!("plan: P\nenvironment: here\nreport: report.md\ncases:\n{cases}"));
    write("tp-runner.yaml", "environments:\n  here:\n    targets: {}\n".into());
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
        ("[ls, /no/such/object]", 1, ["A  failed", "the undo failed:", "`ls /no/such/object`"]),
        ("[no-such-program, x]", 3, ["A  errored", "not everything could be undone:", "no-such-program"]),
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
