//! Kubeconfigs: read, and turned into a client, which sends nothing yet.
use super::driver::Outcome;
use std::{fs, sync::LazyLock};
use tp_runner::{executors::k8s::K8s, testing::Harness};

pub fn kubeconfig(text: &str) -> Outcome {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
    fs::write(FOLDER.path().join("kubeconfig"), text).expect("a file");
    let harness = Harness::new(&K8s, FOLDER.path());
    let errors = ["a", "b", "c", "x"].map(|context| {
        let target = format!("k8s: {{ kubeconfig: kubeconfig, context: {context} }}");
        let connected = RUNTIME.block_on(harness.connect(&target));
        connected.err().map(|e| e.to_string().chars().filter(|c| c.is_alphabetic()).take(60).collect::<String>())
    });
    Outcome::of(errors)
}
