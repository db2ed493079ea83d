//! Kills a real API server during an `eventually` and starts it again: the watch resumes and misses no state.
#![cfg(feature = "sandbox")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{RunOutput, Workspace, eventually};
use tp_runner::{
    executors::k8s::K8s,
    testing::{Harness, at},
    value::Value,
};

const WAIT_TIMEOUT: Duration = Duration::from_secs(90);
const OBJECT: &str = "configmaps/watched";

/// An API server with its own folder, stopped on drop.
struct Server {
    folder: tempfile::TempDir,
    restarted: Option<Child>,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::Builder::new().prefix("tp-runner-kube-").tempdir().unwrap();
        let up = script("up").arg(folder.path()).stdout(Stdio::null()).status().unwrap();
        assert!(up.success(), "tests/kube/up: {up}");
        Server { folder, restarted: None }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Sends SIGKILL and returns the command line.
    fn kill(&self) -> Vec<String> {
        let pids = std::fs::read_to_string(self.folder.path().join("pids")).unwrap();
        let pid = pids.lines().find_map(|l| l.strip_suffix(" kube-apiserver")).expect("an API server").to_owned();
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success());
        let words = words.split(|b| *b == 0).filter(|w| !w.is_empty());
        words.map(|w| String::from_utf8_lossy(w).into_owned()).collect()
    }

    /// Starts the same program again, with the same port and etcd.
    fn restart(&mut self, words: &[String]) {
        let log = std::fs::File::create(self.folder.path().join("restarted.log")).unwrap();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.folder.path()).stdin(Stdio::null());
        self.restarted = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut server) = self.restarted.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = script("down").arg(self.folder.path()).status();
    }
}

fn script(name: &str) -> Command {
    Command::new(Path::new(support::ROOT).join("tests/kube").join(name))
}

async fn open_target(kubeconfig: &Path) -> Harness {
    let folder = kubeconfig.parent().unwrap();
    let target = format!("k8s: {{ kubeconfig: '{}', namespace: default }}", kubeconfig.display());
    Harness::new(&K8s, folder).open(&target).await.unwrap()
}

fn states(n: std::ops::Range<usize>) -> Vec<String> {
    n.map(|n| format!("s{n}")).collect()
}

fn patch(state: &str) -> String {
    format!("{{ patch: {OBJECT}, merge: {{ data: {{ state: {state} }} }} }}")
}

const PLAN: &str = r#"
plan: restart
title: A watch outlives its server
cases:
  - id: RESTART-1
    title: The last state is observed
    tier: must
    steps:
      - step: Wait for the last state
        do:
          - k8s: { get: configmaps/watched }
            eventually: 90s
            expect: { object: { data: { state: s9 } } }
            as: watched
    expected:
      - result: The state is the last
        check: watched.object.data.state == "s9"
"#;

/// The states that the run has observed so far, without repetitions.
fn observed(workspace: &Workspace) -> Vec<String> {
    let attempts = workspace.runs().pop().map(|run| support::attempts(&workspace.journal(&run))).unwrap_or_default();
    let state = |attempt: &serde_json::Value| Some(attempt.pointer("/value/object/data/state")?.as_str()?.to_owned());
    let mut states: Vec<String> = attempts.iter().filter_map(state).collect();
    states.dedup();
    states
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server: tests/run"]
async fn eventually_survives_a_restart_of_a_real_cluster_without_missing_states() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut server = Server::start();
    let direct = open_target(&server.kubeconfig()).await;
    let body = "create: { apiVersion: v1, kind: ConfigMap, metadata: { name: watched }, data: { state: s0 } }";
    assert_eq!(at(&direct.output(body).await, "found"), Value::Bool(true));
    let workspace = Workspace::new();
    std::fs::write(workspace.path("plans/restart.yaml"), PLAN).unwrap();
    let target = format!("k8s: {{ kubeconfig: {:?}, namespace: default }}", server.kubeconfig());
    let environments = format!("environments:\n  own:\n    targets:\n      cluster: {{ {target} }}\n");
    std::fs::write(workspace.path("tp-runner.yaml"), environments).unwrap();
    let mut run = workspace.command(&["run", "plans/restart.yaml", "--env", "own"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    eventually("the first observation", WAIT_TIMEOUT, || (observed(&workspace) == states(0..1)).then_some(()));
    for state in states(1..4) {
        direct.output(&patch(&state)).await;
    }
    eventually("the observations before the kill", WAIT_TIMEOUT, || {
        (observed(&workspace) == states(0..4)).then_some(())
    });
    let words = server.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.restart(&words);
    // Changes the object six times as soon as the server responds, before the watch has reconnected.
    let until = Instant::now() + WAIT_TIMEOUT;
    while direct.perform(&patch("s4")).await.ok().is_none_or(|o| at(&o.value, "found") != Value::Bool(true)) {
        assert!(Instant::now() < until, "the API server did not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for state in states(5..10) {
        direct.output(&patch(&state)).await;
    }
    RunOutput::from(run.wait_with_output().unwrap()).assert_code(0);
    assert_eq!(observed(&workspace), states(0..10));
}
