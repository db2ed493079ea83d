//! Helpers for black-box tests: start the binary, read its output and the files it wrote.
#![allow(dead_code)] // each test file uses its own part
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_tp-runner");
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A temporary folder that holds plan, report, journal and temporary files of a test.
pub struct Workspace {
    pub folder: tempfile::TempDir,
}

/// Exit code and output of the binary.
pub struct RunOutput {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for RunOutput {
    fn from(o: Output) -> Self {
        RunOutput {
            code: o.status.code(),
            stdout: String::from_utf8_lossy(&o.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&o.stderr).into_owned(),
        }
    }
}

impl RunOutput {
    /// Stderr followed by stdout.
    pub fn text(&self) -> String {
        format!("{}{}", self.stderr, self.stdout)
    }

    #[track_caller]
    pub fn assert_code(self, code: i32) -> RunOutput {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Workspace {
    /// A workspace with a copy of TP-004, modified by `change`, and its Markdown plan.
    pub fn with_plan(change: impl FnOnce(String) -> String) -> Workspace {
        let workspace = Workspace { folder: tempfile::tempdir().expect("a folder") };
        let text = std::fs::read_to_string(Path::new(ROOT).join("plans/TP-004.yaml")).expect("the plan");
        let changed = change(text);
        for (name, content) in [
            ("plans/TP-004.yaml", changed),
            ("docs/TP-004.md", std::fs::read_to_string(Path::new(ROOT).join("docs/TP-004.md")).expect("the Markdown")),
        ] {
            let path = workspace.path(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        std::fs::create_dir_all(workspace.path("tmp")).expect("a folder");
        workspace
    }

    pub fn new() -> Workspace {
        Workspace::with_plan(|t| t)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write_plan(&self, text: &str) {
        std::fs::write(self.path("plans/TP-004.yaml"), text).expect("a file");
    }

    /// Changes TP-004 so that the fault stays in force for a minute before it is healed. Returns the text before.
    pub fn keep_fault(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path("plans/TP-004.yaml")).expect("the plan");
        let heal = format!("          - fault: {{ heal: {name} }}\n");
        assert!(text.contains(&heal), "{heal}");
        let wait = "          - exec: { run: [sleep, '60'] }\n            expect: { exit: 0 }\n";
        self.write_plan(&text.replace(&heal, &format!("{wait}{heal}")));
        text
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(BINARY);
        c.args(args).current_dir(self.folder.path()).env("TMPDIR", self.path("tmp")).stdin(Stdio::null());
        c
    }

    pub fn run(&self, args: &[&str]) -> RunOutput {
        self.command(args).output().expect("the binary starts").into()
    }

    pub fn report(&self) -> String {
        std::fs::read_to_string(self.path("tests/reports/integration-test-report.md")).expect("a report")
    }

    /// The ids of the runs recorded here.
    pub fn runs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(".tp-runner/runs")).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }

    pub fn journal(&self, run: &str) -> PathBuf {
        self.path(&format!(".tp-runner/runs/{run}/events.jsonl"))
    }
}

/// Runs the binary in `folder`.
pub fn run_in(folder: &Path, args: &[&str]) -> RunOutput {
    let output = Command::new(BINARY).args(args).current_dir(folder).stdin(Stdio::null()).output();
    output.expect("the binary starts").into()
}

/// A sandbox in a process of its own, stopped when dropped.
pub struct SandboxProcess {
    pub child: Child,
    pub env_file: PathBuf,
    /// The addresses that the sandbox prints, by label: `api`, `kubeconfig`, `database`, `log`.
    pub at: std::collections::HashMap<String, String>,
}

impl SandboxProcess {
    pub fn start(workspace: &Workspace, more: &[&str]) -> SandboxProcess {
        let env_file = workspace.path("standing.yaml");
        let file = env_file.to_string_lossy().into_owned();
        let mut args = vec!["sandbox", "--env-file", &file];
        args.extend(more);
        let mut child = workspace
            .command(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the sandbox starts");
        let mut at = std::collections::HashMap::new();
        for line in BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
            if let Some((label, value)) = line.split_once(':') {
                at.insert(label.to_string(), value.trim().to_string());
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        assert!(env_file.is_file(), "the sandbox did not start");
        SandboxProcess { child, env_file, at }
    }

    pub fn env_file(&self) -> String {
        self.env_file.to_string_lossy().into_owned()
    }

    pub fn kubectl(&self, args: &[&str]) -> Output {
        Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.at["kubeconfig"])
            .args(args)
            .output()
            .expect("kubectl is installed")
    }

    pub fn sqlite(&self, sql: &str) -> String {
        let out = Command::new("sqlite3")
            .args(["-cmd", ".timeout 5000", &self.at["database"], sql])
            .output()
            .expect("sqlite3 is installed");
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_string()
    }

    /// Requests `path` from the API with curl, as administrator, and returns the body.
    pub fn api(&self, path: &str) -> serde_json::Value {
        let text = std::fs::read_to_string(&self.env_file).expect("the environment file");
        let password = text.split("password: \"").nth(1).and_then(|t| t.split('"').next()).expect("a password");
        let login = format!(r#"{{"username":"admin","password":"{password}"}}"#);
        let response = curl(&["-X", "POST", "-d", &login, &format!("{}/api/v1/auth/login", self.at["api"])]);
        let token = response["token"].as_str().expect("a token").to_string();
        curl(&["-H", &format!("Authorization: Bearer {token}"), &format!("{}{path}", self.at["api"])])
    }
}

fn curl(args: &[&str]) -> serde_json::Value {
    let out = Command::new("curl")
        .args(["-s", "-H", "Content-Type: application/json"])
        .args(args)
        .output()
        .expect("curl is installed");
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{args:?}: {e}: {}", String::from_utf8_lossy(&out.stdout)))
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        interrupt(&self.child);
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A relay in a process of its own, killed when dropped.
pub struct RelayProcess {
    pub child: Child,
    pub socket: PathBuf,
    /// Where it listens.
    pub address: String,
}

impl RelayProcess {
    /// Starts a relay to `upstream` with the control socket `relay.sock` in `folder`.
    pub fn start(folder: &Path, upstream: &str) -> RelayProcess {
        let args = ["relay", "--listen", "127.0.0.1:0", "--upstream", upstream, "--control", "relay.sock"];
        let mut command = Command::new(BINARY);
        let mut child = command.args(args).current_dir(folder).stdout(Stdio::piped()).spawn().expect("the binary");
        let mut line = String::new();
        // not kept open: a relay must survive the end of its reader
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line.split(' ').nth(1).unwrap_or_else(|| panic!("no address: {line}")).to_string();
        RelayProcess { child, address, socket: folder.join("relay.sock") }
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a line to the control socket, and returns the reply.
    pub fn send(&self, line: &str) -> serde_json::Value {
        let mut stream = UnixStream::connect(&self.socket).expect("a control socket");
        stream.write_all(format!("{line}\n").as_bytes()).expect("a command");
        stream.shutdown(std::net::Shutdown::Write).expect("the end of the commands");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        serde_json::from_str(&reply).unwrap_or_else(|e| panic!("{line}: {e}: {reply}"))
    }

    /// Waits until the relay is cut and has refused a connection.
    pub fn wait_for_a_refused_connection(&self) {
        eventually("a refused connection", Duration::from_secs(60), || {
            let state = self.send(r#"{"do":"state"}"#);
            let fault = &state["faults"][0];
            (fault["active"] == true && fault["refused"].as_u64() >= Some(1)).then_some(())
        });
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGINT, as Ctrl-C does.
pub fn interrupt(child: &Child) {
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
}

/// Polls `f` until it returns `Some`; panics after `within`.
pub fn eventually<T>(what: &str, within: Duration, mut f: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + within;
    loop {
        if let Some(found) = f() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen within {within:?}");
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// The attempts of all actions in a journal, as JSON, each with the `address` of its action. Empty if the journal is missing.
pub fn attempts(journal: &Path) -> Vec<serde_json::Value> {
    let read = tp_runner::journal::lines::read(journal).map(|journal| journal.events).unwrap_or_default();
    let attempt = |event: &tp_runner::event::Event| {
        let mut json = serde_json::to_value(event.kind.attempt()?).expect("JSON");
        json["address"] = event.address.as_str().into();
        Some(json)
    };
    read.iter().filter_map(attempt).collect()
}

/// A file that another process appends to. Each byte is read once.
pub struct GrowingFile {
    path: PathBuf,
    read: u64,
    lines: usize,
}

impl GrowingFile {
    pub fn new(path: PathBuf) -> Self {
        GrowingFile { path, read: 0, lines: 0 }
    }

    /// How many lines it has now; none while it does not exist.
    pub fn lines(&mut self) -> usize {
        use std::io::{Seek as _, SeekFrom};
        let mut added = vec![];
        if let Ok(mut file) = std::fs::File::open(&self.path) {
            file.seek(SeekFrom::Start(self.read)).and_then(|_| file.read_to_end(&mut added)).expect("the file");
        }
        self.read += added.len() as u64;
        self.lines += added.iter().filter(|&&byte| byte == b'\n').count();
        self.lines
    }
}

/// Creates a database on the PostgreSQL server that `tests/run` starts, and returns its URL.
pub fn fresh_database(name: &str) -> String {
    let server = std::env::var("TP_TEST_POSTGRES").expect("TP_TEST_POSTGRES: run the ignored tests with `tests/run`");
    let name = format!("{name}_{}", std::process::id());
    psql(&server, &format!("create database {name}"));
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{base}/{name}")
}

/// The kubeconfig of a real Kubernetes API server, which `tests/run` starts.
pub fn real_cluster() -> PathBuf {
    std::env::var_os("TP_TEST_KUBECONFIG").expect("TP_TEST_KUBECONFIG: run the ignored tests with `tests/run`").into()
}

/// Prints a line that the test harness does not capture.
pub fn print_uncaptured(line: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

pub fn psql(database: &str, sql: &str) -> String {
    let out =
        Command::new("psql").args(["-X", "-q", "-A", "-t", "-c", sql, database]).output().expect("psql is installed");
    assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_string()
}

/// A server that responds to every request with 4,000 bytes.
pub fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
                while let Some(Ok(line)) = lines.next() {
                    if line.is_empty() {
                        continue;
                    }
                    // skip the headers; requests have no body
                    while lines.next().and_then(Result::ok).is_some_and(|l| !l.is_empty()) {}
                    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n{}", "x".repeat(4000));
                    if (&stream).write_all(response.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// An address without a listener.
pub fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
}
