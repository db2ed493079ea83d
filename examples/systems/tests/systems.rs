//! Every plan of `examples/systems` passes against its server, can fail, and finds each bug that the server has built
//! in.
//!
//! The runner is the binary beside the servers, which `cargo test --workspace` builds, or the one that TP_RUNNER names.
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

const SYSTEMS: &str = env!("CARGO_MANIFEST_DIR");
/// Server, bug, and the case and sentence that fail because of it.
const BUGS: [(&str, &str, &str, &str); 12] = [
    ("orders", "wrong-total", "ORD-1", "The total is 25.50"),
    ("orders", "no-retry", "ORD-2", "Wait for three deliveries, and for no fourth"),
    ("orders", "cancels-shipped", "ORD-3", "The shipped order is refused with a message that names its status"),
    ("jobs", "double-claim", "JOB-2", "Each job has exactly one run"),
    ("jobs", "no-pause", "JOB-3", "The pause before each retry is longer than the one before"),
    ("jobs", "no-dead-letter", "JOB-4", "Wait until it is given up"),
    ("operator", "no-owner", "OP-1", "The Greeting owns the ConfigMap"),
    ("operator", "keeps-entry", "OP-4", "When the Greeting is gone, its entry is gone, too"),
    ("operator", "ready-first", "OP-1", "When the Greeting is Ready, the ConfigMap has the text"),
    ("accounts", "ignores-scope", "ACC-3", "Changing is refused with 403, and the response names the missing scope"),
    ("accounts", "ignores-expiry", "ACC-4", "Use it until it is refused"),
    ("accounts", "quotes-token", "ACC-5", "The error repeats neither the token nor a part of it"),
];
/// Case, sentence and status of what did not pass.
type NotPassed = Vec<(String, String, String)>;

/// A server that is stopped at the end of the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts a server, and reads its address from the line that it prints when it is ready.
    fn start(binary: &str, args: &[&str]) -> Server {
        let mut command = Command::new(binary);
        command.args(args).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let address = line.split(" is ready at ").nth(1).unwrap_or_else(|| panic!("expected an address: {line:?}"));
        let address = address.split([',', '\n']).next().expect("a part").to_string();
        Server { process, address }
    }

    /// Sends SIGTERM, and waits for up to 10 seconds until the server ends.
    fn terminate(&mut self) -> Option<ExitStatus> {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(sent.expect("kill starts").success());
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Some(status) = self.process.try_wait().expect("a status") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Requires that the server ends at SIGTERM.
    fn stop(mut self) {
        let status = self.terminate();
        assert!(status.is_some_and(|s| s.success()), "expected status 0 after SIGTERM, found {status:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.process.try_wait().is_ok_and(|status| status.is_some());
        if !ended && self.terminate().is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn runner() -> PathBuf {
    let beside = || Path::new(env!("CARGO_BIN_EXE_orders")).with_file_name("tp-runner");
    let runner = env::var_os("TP_RUNNER").map_or_else(beside, PathBuf::from);
    assert!(runner.exists(), "no {}: run `cargo build --bin tp-runner`, or set TP_RUNNER", runner.display());
    runner
}

/// A copy of the folder of a system, where runs and reports are written, and the variables of its environment.
struct System {
    name: &'static str,
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl System {
    fn new(name: &'static str, variables: &[(&'static str, &str)]) -> System {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["plan.yaml", "tp-runner.yaml"] {
            fs::copy(Path::new(SYSTEMS).join(name).join(file), folder.path().join(file)).expect("a copy");
        }
        let variables = variables.iter().map(|(name, value)| (*name, value.to_string())).collect();
        System { name, folder, variables }
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }

    fn runner(&self, args: &[&str]) -> Output {
        let mut command = Command::new(runner());
        command.args(args).current_dir(self.folder.path()).env_remove("CI");
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().expect("the runner starts")
    }

    /// Runs the plan. Returns the exit code and what did not pass.
    fn run(&self, more: &[&str]) -> (Option<i32>, NotPassed) {
        let args = ["run", "plan.yaml", "--format", "json", "--report-dir", "reports"];
        let output = self.runner(&[&args, more].concat());
        let reports =
            fs::read_dir(self.folder.path().join("reports")).unwrap_or_else(|e| panic!("{e}: {}", text(&output)));
        let mut files = reports.map(|entry| entry.expect("an entry").path());
        let report = files.find(|path| path.extension().is_some_and(|e| e == "json")).expect("a report");
        let report: Value = serde_json::from_slice(&fs::read(&report).expect("the report")).expect("JSON");
        let string = |value: &Value| value.as_str().expect("a string").to_string();
        let cases = report["cases"].as_array().expect("cases");
        assert!((3..=5).contains(&cases.len()), "{}: {} cases", self.name, cases.len());
        let mut not_passed = vec![];
        for case in cases {
            let (id, before) = (string(&case["id"]), not_passed.len());
            for sentence in case["sentences"].as_array().expect("sentences") {
                if !["passed", "info"].contains(&sentence["status"].as_str().expect("a status")) {
                    not_passed.push((id.clone(), string(&sentence["text"]), string(&sentence["status"])));
                }
            }
            if case["verdict"] != "passed" && before == not_passed.len() {
                not_passed.push((id, String::new(), string(&case["verdict"])));
            }
        }
        if output.status.code() != Some(0) {
            println!("{}", text(&output));
        }
        (output.status.code(), not_passed)
    }

    /// The plan is valid, passes, and each of its assertions can fail.
    #[track_caller]
    fn passes(&self) {
        let checked = self.runner(&["check", "plan.yaml"]);
        assert!(checked.status.success() && text(&checked).contains("no problems"), "{}", text(&checked));
        assert_eq!(self.run(&[]), (Some(0), vec![]));
        let runs = fs::read_dir(self.folder.path().join(".tp-runner/runs")).expect("the runs");
        let run = runs.map(|r| r.expect("a run").path()).find(|r| r.join("events.jsonl").exists()).expect("a run");
        let run = run.file_name().expect("a name").to_string_lossy().into_owned();
        let proved = self.runner(&["prove", "--run", &run, "--report-dir", "proof"]);
        assert_eq!(proved.status.code(), Some(0), "{}", text(&proved));
    }

    /// The run fails, and this sentence of this case is among those that failed.
    #[track_caller]
    fn finds(&self, case: &str, sentence: &str) {
        // what a bug prevents never happens, so waiting is cut short
        let limits: &[&str] = match self.name {
            "operator" => &["--set", "settle=5s", "--set", "collected=5s"],
            _ => &["--set", "settle=10s"],
        };
        let (code, not_passed) = self.run(limits);
        let failed = not_passed
            .iter()
            .any(|(id, text, status)| (id.as_str(), text.as_str(), status.as_str()) == (case, sentence, "failed"));
        assert!(code == Some(1) && failed, "exit code {code:?}, did not pass: {not_passed:#?}");
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}

fn bugs_of(server: &str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    BUGS.into_iter().filter(move |row| row.0 == server).map(|(_, bug, case, sentence)| (bug, case, sentence))
}

#[test]
fn the_readme_and_the_help_list_each_bug() {
    let readme = fs::read_to_string(Path::new(SYSTEMS).join("README.md")).expect("the README");
    for (server, bug, case, sentence) in BUGS {
        let row = format!(" | `{bug}` | {case}: {sentence} |");
        assert!(readme.contains(&row), "README.md: no row{row}");
        let binary = Path::new(env!("CARGO_BIN_EXE_orders")).with_file_name(server);
        let help = text(&Command::new(binary).arg("--help").output().expect("the server starts"));
        assert!(help.contains(&format!("- {bug}: ")), "{help}");
    }
    assert_eq!(
        readme.lines().filter(|l| l.starts_with("| ") && l.contains("-") && l.contains(": ")).count(),
        BUGS.len()
    );
}

/// A folder for a test, and a shop that keeps its tables there.
fn orders(bug: &[&str]) -> (Server, System, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let tables = folder.path().join("orders.db").display().to_string();
    let args = [&["--listen", "127.0.0.1:0", "--database", &tables], bug].concat();
    let server = Server::start(env!("CARGO_BIN_EXE_orders"), &args);
    let system = System::new("orders", &[("ORDERS_URL", &server.address), ("ORDERS_DATABASE", &tables)]);
    (server, system, folder)
}

#[test]
fn the_plan_of_the_shop_passes_and_can_fail() {
    let (server, system, _folder) = orders(&[]);
    system.passes();
    server.stop();
}

#[test]
fn the_plan_of_the_shop_finds_each_bug() {
    for (bug, case, sentence) in bugs_of("orders") {
        let (_server, system, _folder) = orders(&["--bug", bug]);
        system.finds(case, sentence);
    }
}

fn accounts(bug: &[&str]) -> (Server, System) {
    let server = Server::start(env!("CARGO_BIN_EXE_accounts"), &[&["--listen", "127.0.0.1:0"], bug].concat());
    let system = System::new("accounts", &[("ACCOUNTS_URL", &server.address)]);
    (server, system)
}

#[test]
fn the_plan_of_the_accounts_passes_and_can_fail() {
    let (server, system) = accounts(&[]);
    system.passes();
    server.stop();
}

#[test]
fn the_plan_of_the_accounts_finds_each_bug() {
    for (bug, case, sentence) in bugs_of("accounts") {
        let (_server, system) = accounts(&["--bug", bug]);
        system.finds(case, sentence);
    }
}

/// A queue with a database of its own on the server of TP_TEST_POSTGRES.
fn jobs(bug: &[&str]) -> (Server, System) {
    let server = env::var("TP_TEST_POSTGRES").expect("TP_TEST_POSTGRES: run the ignored tests with `tests/run`");
    let name = format!("systems_{}_{}", bug.last().unwrap_or(&"none").replace('-', "_"), std::process::id());
    let created = Command::new("psql").args(["-X", "-q", "-c", &format!("create database {name}"), &server]).output();
    let created = created.expect("psql is installed");
    assert!(created.status.success(), "{}", text(&created));
    let database = format!("{}/{name}", server.rsplit_once('/').expect("a URL with a database").0);
    let mut system = System::new("jobs", &[("DATABASE_URL", &database)]);
    let log = system.path("jobs.log");
    let args = [&["--listen", "127.0.0.1:0", "--database", &database, "--log", &log], bug].concat();
    let server = Server::start(env!("CARGO_BIN_EXE_jobs"), &args);
    system.variables.extend([("JOBS_URL", server.address.clone()), ("JOBS_LOG", log)]);
    (server, system)
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn the_plan_of_the_queue_passes_and_can_fail() {
    let (server, system) = jobs(&[]);
    system.passes();
    server.stop();
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn the_plan_of_the_queue_finds_each_bug() {
    for (bug, case, sentence) in bugs_of("jobs") {
        let (_server, system) = jobs(&["--bug", bug]);
        system.finds(case, sentence);
    }
}

/// An operator, with the bug or without, and its plan.
fn operator(kubeconfig: &str, namespace: &str, bug: &[&str]) -> (Server, System) {
    let args = [&["--kubeconfig", kubeconfig, "--namespace", namespace], bug].concat();
    let server = Server::start(env!("CARGO_BIN_EXE_operator"), &args);
    let system = System::new("operator", &[("KUBECONFIG", kubeconfig), ("OPERATOR_NAMESPACE", namespace)]);
    (server, system)
}

/// The runner's sandbox, for its Kubernetes API, and the kubeconfig of that.
fn sandbox() -> (Server, String) {
    let mut command = Command::new(runner());
    let mut process = command.arg("sandbox").stdout(Stdio::piped()).spawn().expect("the sandbox starts");
    let lines = BufReader::new(process.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let address = lines.filter_map(|l| l.strip_prefix("kubeconfig:").map(|path| path.trim().to_string())).next();
    let address = address.expect("a line with the kubeconfig");
    (Server { process, address: address.clone() }, address)
}

#[test]
fn the_plan_of_the_operator_passes_and_can_fail() {
    let (_sandbox, kubeconfig) = sandbox();
    let (server, system) = operator(&kubeconfig, "default", &[]);
    system.passes();
    server.stop();
}

#[test]
fn the_plan_of_the_operator_finds_each_bug() {
    for (bug, case, sentence) in bugs_of("operator") {
        let (_sandbox, kubeconfig) = sandbox();
        let (_server, system) = operator(&kubeconfig, "default", &["--bug", bug]);
        system.finds(case, sentence);
    }
}

/// A namespace in the cluster of TP_TEST_KUBECONFIG. It is emptied and deleted at the end.
struct Namespace {
    kubeconfig: String,
    name: String,
}

impl Namespace {
    fn new(purpose: &str) -> Namespace {
        let kubeconfig =
            env::var("TP_TEST_KUBECONFIG").expect("TP_TEST_KUBECONFIG: run the ignored tests with `tests/run`");
        let namespace = Namespace { kubeconfig, name: format!("systems-{purpose}-{}", std::process::id()) };
        let created = namespace.kubectl(&["create", "namespace", &namespace.name]);
        assert!(created.status.success(), "{}", text(&created));
        namespace
    }

    fn kubectl(&self, args: &[&str]) -> Output {
        let args = [&["--kubeconfig", &self.kubeconfig], args].concat();
        Command::new("kubectl").args(args).output().expect("kubectl is installed")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // what an operator left that was killed keeps its finalizer
        let all = ["-n", &self.name, "get", "greetings.example.com", "-o", "name"];
        for greeting in String::from_utf8_lossy(&self.kubectl(&all).stdout).lines() {
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            self.kubectl(&["-n", &self.name, "patch", greeting, "--type", "merge", "-p", patch]);
        }
        self.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}

#[test]
#[ignore = "needs a Kubernetes API server: tests/run"]
fn the_plan_of_the_operator_passes_and_can_fail_on_a_real_cluster() {
    let namespace = Namespace::new("passes");
    let (server, system) = operator(&namespace.kubeconfig, &namespace.name, &[]);
    system.passes();
    server.stop();
}

#[test]
#[ignore = "needs a Kubernetes API server: tests/run"]
fn the_plan_of_the_operator_finds_each_bug_on_a_real_cluster() {
    for (bug, case, sentence) in bugs_of("operator") {
        let namespace = Namespace::new(bug);
        let (_server, system) = operator(&namespace.kubeconfig, &namespace.name, &["--bug", bug]);
        system.finds(case, sentence);
    }
}
