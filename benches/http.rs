//! Compares 1,000 HTTP actions in sequence, with three checks each and evidence on disk, with a bare loop over the same client.
//!
//! Both run against the same server in the same process, alternating for several rounds. The ratio of their medians is checked,
//! since it does not depend on the machine; absolute figures are only printed.
mod runner;

use std::time::{Duration, Instant};

const ACTIONS: usize = 1000;
const ROUNDS: usize = 9;
/// The largest accepted ratio of the runner to the bare loop.
const BUDGET: f64 = 1.3;

/// The body of each response: of the size of a session.
const RESPONSE: &str = r#"{"name":"admin-firefox-1","user":"admin","template":"firefox","state":"running","status":{"phase":"Running","podName":"ss-admin-firefox-1-0","url":"https://sessions.example/admin-firefox-1"},"resources":{"cpu":"1000m","memory":"2Gi"},"persistentHome":true,"tags":[],"createdAt":"2026-01-02T03:04:05Z","updatedAt":"2026-01-02T03:04:05Z"}"#;

fn main() {
    if std::env::args().any(|a| a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--test");
    let (actions, rounds) = if quick { (20, 1) } else { (ACTIONS, ROUNDS) };
    let address = serve();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(64 << 20)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        loop_of_requests(&address, actions.min(200)).await;
        through_the_runner(&address, actions.min(200)).await;
        let calm = memory();
        let (bare, ours) = runner::in_turn(
            rounds,
            async || loop_of_requests(&address, actions).await,
            async || through_the_runner(&address, actions).await,
        )
        .await;
        println!("{actions} GET requests one after the other, {rounds} rounds in turn, medians:");
        let ratio = ours.as_secs_f64() / bare.as_secs_f64();
        println!("  bare loop over the client      {:>7.1} ms", bare.as_secs_f64() * 1e3);
        println!("  tp-runner, 3 checks, on disk   {:>7.1} ms", ours.as_secs_f64() * 1e3);
        println!("  ratio                          {ratio:>7.2}    (budget {BUDGET})");
        println!("  peak memory                    {:>7.1} MiB  ({calm:.1} MiB before)", memory());
        if !quick && ratio > BUDGET {
            println!("over budget");
        }
    });
}

/// Starts a server on a thread of its own and returns its address.
fn serve() -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(format!("http://{}", listener.local_addr().expect("an address"))).expect("a listener");
            let answer = || async { ([("content-type", "application/json")], RESPONSE) };
            let app = axum::Router::new().route("/session/{id}", axum::routing::get(answer));
            axum::serve(listener, app).await.expect("a server");
        });
    });
    told.recv().expect("an address")
}

/// Sends the same requests with the same client, and reads each response.
async fn loop_of_requests(address: &str, actions: usize) -> Duration {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let task = {
        let address = address.to_string();
        async move {
            let begun = Instant::now();
            for i in 0..actions {
                let answer = client.get(format!("{address}/session/{i}")).send().await.expect("an answer");
                assert_eq!(answer.status(), 200);
                assert_eq!(answer.bytes().await.expect("a body").len(), RESPONSE.len());
            }
            begun.elapsed()
        }
    };
    // on a worker thread, like the runner's cases
    tokio::spawn(task).await.expect("the loop")
}

async fn through_the_runner(address: &str, actions: usize) -> Duration {
    let items = (0..actions).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let plan = format!(
        r#"
plan: bench
title: Requests one after the other
vars:
  ids: [{items}]
cases:
  - id: BENCH-1
    title: Requests
    tier: must
    expected:
      - result: Every answer is right
        do:
          - http: {{ request: "GET /session/${{item}}" }}
            foreach: ${{ids}}
            check:
              - status == 200
              - body.state == "running" && body.status.phase == "Running"
              - body.name.startsWith(body.user)
"#
    );
    let place = format!("environments:\n  here:\n    targets:\n      api: {{ http: \"{address}\" }}\n");
    runner::run_plan(&plan, &place, actions).await
}

/// The peak memory of this process, in MiB.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    peak.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
