//! Compares the embedded Kubernetes API with a real one: the same requests, compared field by field. Apart from
//! times, uids, versions and `managedFields`, each difference is either listed in a table or a bug.
//!
//! `TP_TEST_KUBECONFIG` names the real one, which `tests/run` starts.
mod explained;
mod pair;
mod reading;
mod schemas;
mod writing;

use explained::EXPLAINED;
use globset::Glob;
use http::Method;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use pair::Pair;
use serde_json::json;
use std::{fmt::Write as _, io::Write as _};
use tokio::net::TcpListener;
use tp_runner_sandbox::cluster::{Options, serve};

/// A run with fewer requests fails, because it would compare too little.
const MIN_REQUESTS: usize = 150;
/// Limit of the history in changes, so short that early versions are dropped.
const HISTORY_WINDOW: usize = 40;

#[tokio::test]
#[ignore = "needs a Kubernetes API server: tests/run"]
async fn embedded_api_responds_like_a_real_cluster() {
    let kubeconfig =
        std::env::var_os("TP_TEST_KUBECONFIG").expect("TP_TEST_KUBECONFIG: run the ignored tests with `tests/run`");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let real = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let real = Config::from_custom_kubeconfig(real, &KubeConfigOptions::default()).await.expect("a cluster");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve(listener, Options { token: "let-me-in".into(), window: HISTORY_WINDOW }).await;
    let mut embedded = Config::new(format!("http://{}", server.address()).parse().unwrap());
    embedded.auth_info.token = Some("let-me-in".to_owned().into());

    let mut pair = Pair::new(embedded, real);
    let run = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    pair.say("ns", &format!("diff-{run}"));
    pair.say("group", &format!("d{run}.example.com"));
    pair.topic("stage");
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "$ns" } });
    pair.post("a namespace", "/api/v1/namespaces", namespace).await;
    schemas::define(&mut pair).await;
    writing::ask(&mut pair).await;
    reading::ask(&mut pair).await;
    schemas::ask(&mut pair).await;
    pair.quietly(Method::DELETE, "/api/v1/namespaces/$ns").await;
    server.shutdown().await;
    check_differences(&pair);
}

/// Every difference must be listed, and every entry must occur.
fn check_differences(pair: &Pair) {
    let globs: Vec<_> = EXPLAINED
        .iter()
        .map(|e| [e.request, e.field].map(|g| Glob::new(g).expect("a glob").compile_matcher()))
        .collect();
    let mut used = vec![0; EXPLAINED.len()];
    let mut wrong = String::new();
    for difference in &pair.differences {
        let by = globs.iter().position(|[r, f]| r.is_match(&difference.request) && f.is_match(&difference.field));
        match by {
            Some(n) => used[n] += 1,
            None => {
                let pair::Difference { request, field, embedded, real } = difference;
                let _ = write!(wrong, "\n{request}\n  {field}\n    embedded: {embedded}\n    real:     {real}\n");
            }
        }
    }
    for (n, explained) in EXPLAINED.iter().enumerate().filter(|(n, _)| used[*n] == 0) {
        let _ = write!(wrong, "\nno difference matches entry {n}: {explained:?}\n");
    }
    let explained: usize = used.iter().sum();
    print_uncaptured(&format!(
        "cluster_differential: {} requests compared, {explained} differences in fields explained by {} entries, {} not explained",
        pair.compared,
        EXPLAINED.len(),
        pair.differences.len() - explained
    ));
    assert!(wrong.is_empty(), "{wrong}");
    assert!(pair.compared >= MIN_REQUESTS, "only {} requests were compared", pair.compared);
}

/// Prints a line that is shown even when the test passes.
fn print_uncaptured(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// `docs/sandbox.md` must state the same reasons.
#[test]
fn accepted_differences_are_documented() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sandbox.md")).unwrap();
    let plain = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for explained in EXPLAINED {
        assert!(plain.contains(explained.reason), "docs/sandbox.md does not say: {}", explained.reason);
    }
}
