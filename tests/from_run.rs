//! `run --from RUN`: the plan as it is now judges what a run recorded. Nothing is performed, and what was not recorded is
//! not guessed.
mod support;

use std::{fs, path::Path};
use support::{RunOutput, run_in};

const PLAN: &str = r#"plan: COUNT
vars: { limit: 2s, word: hello }
cases:
  - id: COUNT-1
    title: Counting
    tier: must
    steps:
      - step: Count
        do:
          - exec: { run: [sh, -c, 'echo x >> count; wc -l < count; echo "${word}"'] }
            as: counted
            expect: { exit: 0 }
            undo:
              - exec: { run: [sh, -c, 'echo undone >> undone'] }
                expect: { exit: 0 }
      - step: Wait
        do:
          - exec: { run: [sh, -c, 'echo y >> waited; wc -l < waited'] }
            eventually: 20s
            check: int(stdout.trim()) >= 3
    expected:
      - result: One was counted
        check: counted.stdout.contains("hello")
"#;

const ENVIRONMENT: &str = "environments: { local: { allow: { exec: true }, targets: {} } }\n";

struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("tp-runner.yaml"), ENVIRONMENT).expect("a file");
        let project = Project(folder);
        project.write(PLAN);
        project
    }

    fn write(&self, plan: &str) {
        fs::write(self.0.path().join("count.yaml"), plan).expect("a file");
    }

    fn edit(&self, from: &str, to: &str) {
        assert!(PLAN.contains(from), "{from}");
        self.write(&PLAN.replace(from, to));
    }

    fn run(&self, more: &[&str]) -> RunOutput {
        run_in(self.0.path(), &[&["run", "count.yaml", "--env", "local"], more].concat())
    }

    /// The id of a run that passed.
    fn recorded(&self) -> String {
        self.run(&["--quiet"]).assert_code(0);
        let runs = fs::read_dir(self.0.path().join(".tp-runner/runs")).expect("the runs");
        let names = runs.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|n| n.starts_with('r')).max().expect("a run")
    }

    fn lines(&self, file: &str) -> usize {
        fs::read_to_string(self.0.path().join(file)).unwrap_or_default().lines().count()
    }

    /// The files of the folder and the runs, to see that nothing changed.
    fn inventory(&self) -> Vec<String> {
        fn all(folder: &Path, into: &mut Vec<String>) {
            for entry in fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry")) {
                if entry.path().is_dir() {
                    all(&entry.path(), into);
                } else {
                    let text = fs::read(entry.path()).expect("a file");
                    into.push(format!("{} {}", entry.path().display(), text.len()));
                }
            }
        }
        let mut files = vec![];
        all(self.0.path(), &mut files);
        files.sort();
        files
    }
}

#[test]
fn an_edited_assertion_is_judged_without_performing_anything() {
    let project = Project::new();
    let run = project.recorded();
    assert_eq!([project.lines("count"), project.lines("waited"), project.lines("undone")], [1, 3, 1]);
    let before = project.inventory();
    let same = project.run(&["--from", &run]).assert_code(0);
    assert!(same.stdout.contains("PASSED"), "{}", same.text());
    assert!(same.text().contains(&format!("judged again from the run {run}")), "{}", same.text());
    project.edit("contains(\"hello\")", "contains(\"howdy\")");
    let failed = project.run(&["--from", &run]).assert_code(1);
    let text = failed.text();
    assert!(text.contains("One was counted") && text.contains("howdy") && text.contains("hello"), "{text}");
    // a wait is judged on the attempts that were made
    project.edit(">= 3", ">= 4");
    let failed = project.run(&["--from", &run]).assert_code(1);
    assert!(failed.text().contains("Wait"), "{}", failed.text());
    project.edit(">= 3", ">= 2");
    project.run(&["--from", &run]).assert_code(0);
    project.write(PLAN);
    assert_eq!(project.inventory(), before);
}

#[test]
fn the_report_of_it_is_written_only_where_it_is_wanted() {
    let project = Project::new();
    let run = project.recorded();
    project.edit("contains(\"hello\")", "contains(\"howdy\")");
    project.run(&["--from", &run, "--report-dir", "again", "--format", "json"]).assert_code(1);
    let report = fs::read_to_string(project.0.path().join("again/count-report.md")).expect("a report");
    assert!(report.contains("udged again from the run") && report.contains("FAILED"), "{report}");
    assert!(project.0.path().join("again/count-report.json").is_file());
    let own = fs::read_to_string(project.0.path().join("tests/reports/count-report.md")).expect("the run's report");
    assert!(!own.contains("udged again"), "{own}");
}

#[test]
fn what_was_not_recorded_is_errored_and_never_passed() {
    let project = Project::new();
    let run = project.recorded();
    // another program
    project.edit("echo \"${word}\"", "echo \"${word}\"; echo more");
    let text = project.run(&["--from", &run]).assert_code(3).text();
    assert!(text.contains("it performs something else than in the recorded run: run the plan again"), "{text}");
    // one more action
    project.edit(
        "    expected:\n",
        "      - step: Look\n        do:\n          - exec: { run: [printf, '5'] }\n            expect: { stdout: \"5\" }\n    expected:\n",
    );
    let text = project.run(&["--from", &run]).assert_code(3).text();
    assert!(text.contains("the recorded run did not perform it: run the plan again"), "{text}");
    assert_eq!(project.lines("count"), 1);
    // a variable that a request was made with
    project.edit("word: hello", "word: howdy");
    let text = project.run(&["--from", &run]).assert_code(0).text();
    assert!(text.contains("warning: `word` keeps its value of the recorded run"), "{text}");
    // a new one, of an assertion only
    project.write(&PLAN.replace("word: hello", "word: hello, greeting: howdy").replace("\"hello\"", "greeting"));
    project.run(&["--from", &run]).assert_code(1);
}
