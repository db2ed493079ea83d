//! The binary from outside: how it is started, and what it left.
#![allow(dead_code)] // each test file uses its own part
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_tp-runner");
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder of its own for one run: plan, report, journal and temporary files all lie in it.
pub struct Place {
    pub folder: tempfile::TempDir,
}

/// What a run came to.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(o: Output) -> Self {
        Ran {
            code: o.status.code(),
            stdout: String::from_utf8_lossy(&o.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&o.stderr).into_owned(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Place {
    /// Holds a copy of TP-004, changed by `change`, and the Markdown that it is compared with.
    pub fn with_plan(change: impl FnOnce(String) -> String) -> Place {
        let place = Place { folder: tempfile::tempdir().expect("a folder") };
        let text = std::fs::read_to_string(Path::new(ROOT).join("plans/TP-004.yaml")).expect("the plan");
        let changed = change(text);
        for (name, content) in [
            ("plans/TP-004.yaml", changed),
            ("docs/TP-004.md", std::fs::read_to_string(Path::new(ROOT).join("docs/TP-004.md")).expect("the Markdown")),
        ] {
            let path = place.path(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        std::fs::create_dir_all(place.path("tmp")).expect("a folder");
        place
    }

    pub fn new() -> Place {
        Place::with_plan(|t| t)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(BINARY);
        c.args(args)
            .current_dir(self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        c
    }

    pub fn run(&self, args: &[&str]) -> Ran {
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

/// A sandbox in a process of its own.
pub struct Standing {
    pub child: Child,
    pub env_file: PathBuf,
    /// What it says of itself, by label: `api`, `kubeconfig`, `database`, `log`.
    pub at: std::collections::HashMap<String, String>,
}

impl Standing {
    pub fn start(place: &Place, more: &[&str]) -> Standing {
        let env_file = place.path("standing.yaml");
        let file = env_file.to_string_lossy().into_owned();
        let mut args = vec!["sandbox", "--env-file", &file];
        args.extend(more);
        let mut child =
            place.command(&args).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the sandbox starts");
        let mut at = std::collections::HashMap::new();
        for line in BufReader::new(child.stdout.take().expect("its words")).lines().map_while(Result::ok) {
            if let Some((label, value)) = line.split_once(':') {
                at.insert(label.to_string(), value.trim().to_string());
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        assert!(env_file.is_file(), "the sandbox did not come up");
        Standing { child, env_file, at }
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

    /// The answer of its API to the administrator, by curl.
    pub fn api(&self, path: &str) -> serde_json::Value {
        let text = std::fs::read_to_string(&self.env_file).expect("the environment file");
        let password = text.split("password: \"").nth(1).and_then(|t| t.split('"').next()).expect("a password");
        let login = format!(r#"{{"username":"admin","password":"{password}"}}"#);
        let answer = curl(&["-X", "POST", "-d", &login, &format!("{}/api/v1/auth/login", self.at["api"])]);
        let token = answer["token"].as_str().expect("a token").to_string();
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

impl Drop for Standing {
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

/// What Ctrl-C does.
pub fn interrupt(child: &Child) {
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
}

/// Waits until `f` gives something; fails aloud.
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

/// A new database on the PostgreSQL server that `tests/run` starts. `None` where the quick tests leave it out, which is said.
pub fn fresh_database(name: &str) -> Option<String> {
    let Ok(server) = std::env::var("TP_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("TP_TEST_QUICK").is_some(),
            "TP_TEST_POSTGRES is not set: run the tests with `tests/run`"
        );
        println!("skipped: it needs a PostgreSQL server");
        return None;
    };
    let name = format!("{name}_{}", std::process::id());
    psql(&server, &format!("create database {name}"));
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    Some(format!("{base}/{name}"))
}

/// The kubeconfig of a real Kubernetes API server; without one it says aloud what is left out.
pub fn real_cluster(what: &str) -> Option<PathBuf> {
    let given = std::env::var_os("TP_TEST_KUBECONFIG").map(PathBuf::from);
    if given.is_none() {
        aloud(&format!("skipped: no TP_TEST_KUBECONFIG, so no test that {what}"));
    }
    given
}

/// A line that the test harness does not keep to itself when the test passes.
pub fn aloud(line: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

pub fn psql(database: &str, sql: &str) -> String {
    let out =
        Command::new("psql").args(["-X", "-q", "-A", "-t", "-c", sql, database]).output().expect("psql is installed");
    assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_string()
}
