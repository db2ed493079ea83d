//! The verb `k8s` when the API server dies under it: a real one, of the test's own, killed in the middle of an `eventually` and
//! started again. The watch goes on where it was, and no state between is lost.
#![cfg(feature = "sandbox")]
mod executor_stage;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use executor_stage::{Stage, at};
use tp_runner::value::Value;

const SOON: Duration = Duration::from_secs(90);
const PACE: Duration = Duration::from_millis(100);
const MAP: &str = "configmaps/watched";

/// A server in a folder of its own, down when this goes.
struct Server {
    folder: tempfile::TempDir,
    again: Option<Child>,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::Builder::new().prefix("tp-runner-kube-").tempdir().unwrap();
        let up = script("up").arg(folder.path()).stdout(Stdio::null()).status().unwrap();
        assert!(up.success(), "tests/kube/up: {up}");
        Server { folder, again: None }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// `kill -9`; gives what it was started with.
    fn kill(&self) -> Vec<String> {
        let pids = std::fs::read_to_string(self.folder.path().join("pids")).unwrap();
        let pid = pids.lines().find_map(|l| l.strip_suffix(" kube-apiserver")).expect("an API server").to_owned();
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success());
        let words = words.split(|b| *b == 0).filter(|w| !w.is_empty());
        words.map(|w| String::from_utf8_lossy(w).into_owned()).collect()
    }

    /// The same program at the same port, on the same etcd.
    fn restart(&mut self, words: &[String]) {
        let log = std::fs::File::create(self.folder.path().join("again.log")).unwrap();
        let mut again = Command::new(&words[0]);
        again.args(&words[1..]).current_dir(self.folder.path()).stdin(Stdio::null());
        let again = again.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.again = Some(again);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut again) = self.again.take() {
            let _ = again.kill();
            let _ = again.wait();
        }
        let _ = script("down").arg(self.folder.path()).status();
    }
}

fn script(name: &str) -> Command {
    Command::new(Path::new(support::ROOT).join("tests/kube").join(name))
}

async fn stage(kubeconfig: &Path) -> Stage {
    let folder = kubeconfig.parent().unwrap();
    let target = format!("k8s: {{ kubeconfig: '{}', namespace: default }}", kubeconfig.display());
    Stage::new("k8s", folder).open(&target).await.unwrap()
}

fn states(n: std::ops::Range<usize>) -> Vec<String> {
    n.map(|n| format!("s{n}")).collect()
}

fn patch(state: &str) -> String {
    format!("{{ patch: {MAP}, merge: {{ data: {{ state: {state} }} }} }}")
}

#[tokio::test]
async fn a_watch_outlives_the_kill_of_the_api_server_and_misses_nothing() {
    if support::real_cluster("the API server is killed under a watch").is_none() {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut server = Server::start();
    let (waiting, other) = (stage(&server.kubeconfig()).await, stage(&server.kubeconfig()).await);
    let made = "create: { apiVersion: v1, kind: ConfigMap, metadata: { name: watched }, data: { state: s0 } }";
    assert_eq!(at(&other.see(made).await, "found"), Value::Bool(true));

    // What an `eventually` does: look, and look again after each change, until it holds.
    let action = waiting.action(&format!("get: {MAP}"));
    let mut last = action.perform(&waiting.context()).await.unwrap();
    let eventually = async {
        let mut seen: Vec<String> = Vec::new();
        let mut refused = 0;
        let until = Instant::now() + SOON;
        while seen.last().is_none_or(|s| s != "s9") {
            assert!(Instant::now() < until, "seen until the time was up: {seen:?}, refused {refused} times");
            match waiting.next(&*action, &last, PACE).await {
                Ok(next) => {
                    if next.value != last.value {
                        seen.push(at(&next.value, "object.data.state").to_string().trim_matches('"').to_owned());
                    }
                    last = next;
                }
                Err(_) => {
                    refused += 1;
                    tokio::time::sleep(PACE).await;
                }
            }
        }
        seen
    };
    let meanwhile = async {
        for state in states(1..4) {
            other.see(&patch(&state)).await;
        }
        // The watch is up by now, and has told of these.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let words = server.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.restart(&words);
        // The first to reach it again changes the object six times over, as quickly as it can.
        let until = Instant::now() + SOON;
        while other.perform(&patch("s4")).await.ok().is_none_or(|o| at(&o.value, "found") != Value::Bool(true)) {
            assert!(Instant::now() < until, "the API server did not come back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for state in states(5..10) {
            other.see(&patch(&state)).await;
        }
    };
    let (seen, ()) = tokio::join!(eventually, meanwhile);
    assert_eq!(seen, states(1..10));
}
