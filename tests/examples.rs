//! Every example has a comment at its head and a row in the README, is valid, and passes.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The environment variables that the environments read.
const VARIABLES: [(&str, &str); 8] = [
    ("DATABASE_URL", "postgres://tester@127.0.0.1:5432/streamspace"),
    ("KUBECONFIG", "kubeconfig"),
    ("STREAMSPACE_DATABASE_URL", "postgres://streamspace@127.0.0.1:5432/streamspace"),
    ("STREAMSPACE_INBOX_URL", "https://runner.example:9000"),
    ("STREAMSPACE_PASSWORD", "correct-horse-battery"),
    ("STREAMSPACE_URL", "http://streamspace.example:8000"),
    ("STREAMSPACE_USER", "tester"),
    ("TOXIPROXY_URL", "http://toxiproxy:8474"),
];

fn runner(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tp-runner"));
    command.args(args).current_dir(folder).envs(VARIABLES).output().expect("the binary starts")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}

fn examples() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(Path::new(ROOT).join("examples"))
        .expect("the examples")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|n| n.ends_with(".yaml") && n != "tp-runner.yaml")
        .collect();
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    names
}

/// Copies the examples to a temporary folder, where journals and reports are written.
fn copy() -> tempfile::TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry")) {
            let to = to.join(entry.file_name());
            match entry.file_type().expect("a type") {
                t if t.is_dir() && entry.file_name() != ".tp-runner" => all(&entry.path(), &to),
                t if t.is_file() => drop(fs::copy(entry.path(), to).expect("a copy")),
                _ => {}
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    all(&Path::new(ROOT).join("examples"), &folder.path().join("examples"));
    folder
}

#[test]
fn every_example_has_a_head_comment_and_a_row_in_the_readme() {
    let readme = fs::read_to_string(Path::new(ROOT).join("examples/README.md")).expect("the README");
    for name in examples() {
        let plan = fs::read_to_string(Path::new(ROOT).join("examples").join(&name)).expect("a plan");
        let head = plan.lines().take_while(|l| l.starts_with('#')).filter(|l| l.len() > 2).count();
        assert!((2..=4).contains(&head), "{name}: expected 2 to 4 lines of comment at the head, found {head}");
        assert!(plan.contains("\nenvironment: sandbox\n"), "{name}: expected `environment: sandbox`");
        assert!(readme.contains(&format!("| [{name}]({name}) | ")), "{name}: no row in examples/README.md");
    }
    let rows = readme.lines().filter(|l| l.starts_with("| [")).count();
    assert_eq!(rows, examples().len(), "a row without a file");
}

#[test]
fn every_example_is_valid_in_the_sandbox_and_in_staging() {
    let folder = copy();
    let checked = runner(&["check", "examples"], folder.path());
    let output = text(&checked);
    assert_eq!(checked.status.code(), Some(0), "{output}");
    assert_eq!(output.matches("no problems").count(), examples().len(), "{output}");

    let environment = ["--config", "examples/tp-runner.yaml", "--env", "staging"];
    let here = Path::new(ROOT);
    let mut plans = vec!["check".to_string(), "TP-004".to_string()];
    // the environment sets these variables, and an unknown variable is an error
    let fits = |n: &String| {
        let plan = fs::read_to_string(here.join("examples").join(n)).expect("a plan");
        plan.contains("\n  user:") && plan.contains("\n  settle:")
    };
    plans.extend(examples().iter().filter(|n| fits(n)).map(|n| format!("examples/{n}")));
    let args: Vec<&str> = plans.iter().map(String::as_str).chain(environment).collect();
    let checked = runner(&args, here);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    assert_eq!(text(&checked).matches("no problems").count(), plans.len() - 1, "{}", text(&checked));
}

#[test]
fn the_toxiproxy_environment_is_valid_for_the_plan_with_a_fault() {
    let config = ["--config", "examples/toxiproxy/tp-runner.yaml"];
    let args = ["check", "examples/08-a-fault.yaml"].into_iter().chain(config).chain(["--env", "staging"]);
    let checked = runner(&args.collect::<Vec<_>>(), Path::new(ROOT));
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    assert!(text(&checked).contains("no problems"), "{}", text(&checked));
}

#[test]
fn the_streamspace_environments_are_valid_for_tp004() {
    let config = ["check", "TP-004", "--config", "examples/streamspace/tp-runner.yaml"];
    for (more, code, part) in [
        (&["--env", "streamspace"][..], 0, "no problems"),
        (&["--env", "production", "--allow-destructive", "production"], 0, "no problems"),
        // many actions have no undo
        (&["--env", "production"], 2, "the environment `production` is protected"),
    ] {
        let args: Vec<&str> = config.into_iter().chain(more.iter().copied()).collect();
        let checked = runner(&args, Path::new(ROOT));
        assert!(checked.status.code() == Some(code) && text(&checked).contains(part), "{more:?}: {}", text(&checked));
    }
}

#[test]
fn every_example_passes() {
    let folder = copy();
    let queue = std::sync::Mutex::new(examples());
    let wrong = std::sync::Mutex::new(vec![]);
    std::thread::scope(|scope| {
        // examples mostly wait, so three threads suffice
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(name) = { queue.lock().expect("the queue").pop() } {
                    let reports: PathBuf = folder.path().join("reports").join(&name);
                    let plan = format!("examples/{name}");
                    let ran = runner(&["run", &plan, "--report-dir", &reports.display().to_string()], folder.path());
                    let report = fs::read_dir(&reports).ok().and_then(|mut d| d.next()).and_then(Result::ok);
                    let report = report.and_then(|r| fs::read_to_string(r.path()).ok()).unwrap_or_default();
                    if ran.status.code() != Some(0) || !report.starts_with("# Test report: ") {
                        wrong.lock().expect("the list").push(format!("{name}:\n{}", text(&ran)));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("the list");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
