//! 1,000 HTTP actions one after the other, three checks each, evidence recorded on disk: beside a bare loop over the same client.
//!
//! Both run against the same server in the same process, in turn, for several rounds. What is compared is the ratio of the two
//! medians, which says the same on a quick machine and on a slow one; the absolute figures are only shown.
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tp_runner::{
    engine::{
        compile, dispatch,
        looks::Live,
        run::{self, World, base_scope, run_scope},
    },
    event::{EnvironmentOutline, EventSink, RunStarted},
    executor::RunContext,
    executors,
    outcome::{Tier, Verdict},
    plan::{
        environment,
        read::{Files, Reader},
    },
    report::{jsonl::JsonLines, ledger::Ledger},
    secrets::Secrets,
    source::Source,
};

const ACTIONS: usize = 1000;
const ROUNDS: usize = 9;
/// How much slower than the bare loop the runner may be.
const BUDGET: f64 = 1.3;

/// What the server says: the size of a session in an API.
const ANSWER: &str = r#"{"name":"admin-firefox-1","user":"admin","template":"firefox","state":"running","status":{"phase":"Running","podName":"ss-admin-firefox-1-0","url":"https://sessions.example/admin-firefox-1"},"resources":{"cpu":"1000m","memory":"2Gi"},"persistentHome":true,"tags":[],"createdAt":"2026-01-02T03:04:05Z","updatedAt":"2026-01-02T03:04:05Z"}"#;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

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
    let (mut bare, mut ours) = (vec![], vec![]);
    runtime.block_on(async {
        loop_of_requests(&address, actions.min(200)).await;
        through_the_runner(&address, actions.min(200)).await;
        let calm = memory();
        for round in 0..rounds {
            // neither is always the one that comes first
            if round % 2 == 0 {
                bare.push(loop_of_requests(&address, actions).await);
                ours.push(through_the_runner(&address, actions).await);
            } else {
                ours.push(through_the_runner(&address, actions).await);
                bare.push(loop_of_requests(&address, actions).await);
            }
        }
        println!("{actions} GET requests one after the other, {rounds} rounds in turn, medians:");
        let (bare, ours) = (median(bare), median(ours));
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

/// A server on a thread of its own. Returns its address.
fn serve() -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(format!("http://{}", listener.local_addr().expect("an address"))).expect("a listener");
            let answer = || async { ([("content-type", "application/json")], ANSWER) };
            let app = axum::Router::new().route("/session/{id}", axum::routing::get(answer));
            axum::serve(listener, app).await.expect("a server");
        });
    });
    told.recv().expect("an address")
}

/// The same requests by the same client, and nothing else: each answer is read whole.
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
                assert_eq!(answer.bytes().await.expect("a body").len(), ANSWER.len());
            }
            begun.elapsed()
        }
    };
    // on a worker, where the runner's cases run too
    tokio::spawn(task).await.expect("the loop")
}

/// From a compiled plan to the end of the run: engine, executor, dispatcher, journal on disk.
async fn through_the_runner(address: &str, actions: usize) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
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
    let registry = executors::registry();
    let mut reader = Reader::new(registry.verbs().collect(), &NoFiles);
    let plan = reader.plan(&source("bench.yaml", plan)).expect("a plan");
    let environment =
        environment::read(&mut reader, &source("tp-runner.yaml", place)).expect("environments").all.remove(0);
    let (schedule, problems) = compile::compile(plan, &registry, Some(environment), vec![], &|_| true);
    assert_eq!(problems.errors() + reader.problems.errors(), 0);
    let mut schedule = schedule.expect("a schedule");

    let run = RunContext { id: "rbench".into(), started: jiff::Timestamp::now(), dir: folder.path().into() };
    let secrets = Arc::new(Secrets::default());
    let base = base_scope(&run, &secrets, &schedule.vars, &run_scope(&run, &secrets)).expect("variables");
    let live = Arc::new(Live::new(run.clone(), secrets.clone(), run_scope(&run, &secrets), &schedule.targets));
    let ledger = Ledger::default();
    let journal = folder.path().join("events.jsonl");
    let lines = JsonLines::open(&journal).expect("a journal");
    let sinks: Vec<Box<dyn EventSink>> = vec![Box::new(lines), Box::new(ledger.clone())];
    let cancel = tokio_util::sync::CancellationToken::new();
    let (events, thread) = dispatch::start(secrets.clone(), sinks, cancel.clone());
    let started = RunStarted {
        run: run.id.clone(),
        started: run.started,
        plan: schedule.plan.clone(),
        environment: EnvironmentOutline::default(),
        selection: "all".into(),
        gate: Tier::ALL.to_vec(),
        versions: vec![],
        cases: schedule.outline.clone(),
    };
    let faults = std::mem::take(&mut schedule.faults);
    let on_failure = std::mem::take(&mut schedule.on_failure);
    let world = Arc::new(World {
        run,
        secrets,
        events: events.clone(),
        kill: cancel.clone(),
        cancel,
        links: Default::default(),
        live: Some(live.clone()),
        faults,
        on_failure,
        fail_fast: false,
    });

    let begun = Instant::now();
    run::perform(Arc::new(schedule), world.clone(), live.clone(), base, started).await;
    live.close().await;
    drop((world, events));
    thread.join().expect("the dispatcher").expect("the journal");
    let took = begun.elapsed();

    let index = ledger.index();
    assert_eq!(index.cases[0].verdict, Verdict::Passed, "{:?}", index.cases[0].reason);
    let recorded = std::fs::read_to_string(&journal).expect("the journal").lines().count();
    assert!(recorded > 3 * actions, "{recorded} events");
    took
}

fn source(name: &str, text: String) -> Arc<Source> {
    Arc::new(Source { name: name.into(), text })
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort();
    of[of.len() / 2]
}

/// The most that this process ever had in memory, in MiB.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    peak.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
