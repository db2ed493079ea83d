//! Measures the time from the bytes of a watch to `ActionFinished`: a hundred waits in sequence, then two hundred at the same time,
//! which share one watch.
//!
//! A small server in this process plays the cluster, so that the time of each change on its socket is known. The measured
//! time covers reading the watch, waking the wait, judging, the journal on disk, and the event reaching its sink.
use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    response::{IntoResponse as _, Response},
    routing::get,
    serve::ListenerExt as _,
};
use serde_json::{Value as Data, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{broadcast, mpsc};
use tp_runner::event::{Event, EventKind, EventSink, SinkError};

#[allow(dead_code)] // the comparison with a bare loop is not used here
mod runner;

const WAITS: usize = 100;
/// Waits that are not measured, since they include connecting.
const WARM: usize = 5;
const AT_ONCE: usize = 200;
const BUDGET: Duration = Duration::from_millis(2);

fn main() {
    if std::env::args().any(|a| a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--test");
    let (waits, at_once) = if quick { (10, 20) } else { (WAITS, AT_ONCE) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(64 << 20)
        .build()
        .expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async {
        let mut delays = one_by_one(waits + WARM).await.split_off(WARM);
        delays.sort();
        let median = delays[delays.len() / 2];
        println!("from the bytes of the watch to `ActionFinished`, {waits} waits one after the other:");
        println!("  median {:>7.3} ms    (budget {} ms)", ms(median), BUDGET.as_millis());
        println!("  best   {:>7.3} ms", ms(delays[0]));
        println!("  worst  {:>7.3} ms", ms(delays[delays.len() - 1]));
        let (took, watches, requests) = all_at_once(at_once).await;
        println!("{at_once} waits at once:");
        println!("  {watches} watch, {requests} other requests");
        println!("  all finished {:.1} ms after the first change was sent", ms(took));
        assert_eq!(watches, 1, "all who wait on a resource share one watch");
        if !quick && median > BUDGET {
            println!("over budget");
        }
    });
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// Each wait is for the next state of one object, which is sent when the wait has observed the state before.
async fn one_by_one(waits: usize) -> Vec<Duration> {
    let cluster = Cluster::start(1).await;
    let (tap, mut progress) = EventTap::new();
    let items = (1..=waits).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let action = "          - k8s: { get: sessions.stream.space/s0 }\n            foreach: ${items}\n            eventually: 60s\n            \
                  check: object.spec.state == item\n";
    let running = tokio::spawn(run_action(cluster.url.clone(), items, action, tap));
    let mut delays = vec![];
    while delays.len() < waits {
        match progress.recv().await.expect("the run goes on") {
            (Progress::Observed, _) => {}
            (Progress::Finished, _) => panic!("it waits"),
        }
        // The first observation ends before the wait begins.
        tokio::time::sleep(Duration::from_millis(3)).await;
        let sent = cluster.change(0, delays.len() as i64 + 1);
        loop {
            if let (Progress::Finished, at) = progress.recv().await.expect("the run goes on") {
                delays.push(at.duration_since(sent));
                break;
            }
        }
    }
    running.await.expect("the run");
    delays
}

async fn all_at_once(waits: usize) -> (Duration, usize, usize) {
    let cluster = Cluster::start(waits).await;
    let (tap, mut progress) = EventTap::new();
    let items = (0..waits).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let action = "          - parallel:\n              overlap: all\n              branches:\n                - k8s: { get: \
                  \"sessions.stream.space/s${item}\" }\n                  eventually: 60s\n                  check: object.spec.state == 1\n            \
                  foreach: ${items}\n";
    let running = tokio::spawn(run_action(cluster.url.clone(), items, action, tap));
    for _ in 0..waits {
        progress.recv().await.expect("the run goes on");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let sent = Instant::now();
    for i in 0..waits {
        cluster.change(i, 1);
    }
    let (mut finished, mut last) = (0, sent);
    while finished < waits {
        if let (Progress::Finished, at) = progress.recv().await.expect("the run goes on") {
            (finished, last) = (finished + 1, at);
        }
    }
    running.await.expect("the run");
    let asked = |n: &AtomicUsize| n.load(Ordering::SeqCst);
    (last.duration_since(sent), asked(&cluster.shared.watches), asked(&cluster.shared.requests))
}

// --- the cluster -----------------------------------------------------------------------------------------------------------------

/// Sessions `s0`, `s1`, … whose `spec.state` is a number, and the connections that read them.
struct Cluster {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    objects: Mutex<Objects>,
    lines: broadcast::Sender<(u64, String)>,
    watches: AtomicUsize,
    requests: AtomicUsize,
}

struct Objects {
    version: u64,
    all: BTreeMap<String, Data>,
    history: Vec<(u64, String)>,
}

impl Cluster {
    async fn start(sessions: usize) -> Cluster {
        let shared = Arc::new(Shared {
            objects: Mutex::new(Objects { version: 100, all: BTreeMap::new(), history: vec![] }),
            lines: broadcast::channel(1024).0,
            watches: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        });
        for i in 0..sessions {
            let all = &mut shared.objects.lock().expect("the objects").all;
            all.insert(format!("s{i}"), session(i, 0, 100));
        }
        let version = json!({ "groupVersion": "stream.space/v1alpha1", "version": "v1alpha1" });
        let groups = json!({ "kind": "APIGroupList", "groups": [
            { "name": "stream.space", "versions": [version], "preferredVersion": version }] });
        let sessions = json!({ "kind": "APIResourceList", "resources": [{ "name": "sessions", "singularName": "session",
            "kind": "Session", "namespaced": true, "verbs": ["get", "list", "watch"] }] });
        let app = Router::new()
            .route("/api", get(|| async { Json(json!({ "kind": "APIVersions", "versions": [] })) }))
            .route("/apis", get(|| async { Json(groups) }))
            .route("/apis/stream.space/v1alpha1", get(|| async { Json(sessions) }))
            .route("/apis/stream.space/v1alpha1/namespaces/bench/sessions", get(answer))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let listener = listener.tap_io(|c| drop(c.set_nodelay(true)));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Cluster { url, shared }
    }

    /// Returns the time before the bytes are written.
    fn change(&self, name: usize, state: i64) -> Instant {
        let mut objects = self.shared.objects.lock().expect("the objects");
        objects.version += 1;
        let object = session(name, state, objects.version);
        objects.all.insert(format!("s{name}"), object.clone());
        let line = format!("{}\n", json!({ "type": "MODIFIED", "object": object }));
        let told = (objects.version, line);
        objects.history.push(told.clone());
        let sent = Instant::now();
        let _ = self.shared.lines.send(told);
        sent
    }
}

/// Of the size of a real one.
fn session(name: usize, state: i64, version: u64) -> Data {
    json!({ "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": { "name": format!("s{name}"), "namespace": "bench", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "labels": { "app": "streamspace", "user": "admin" }, "creationTimestamp": "2026-01-02T03:04:05Z" },
        "spec": { "user": "admin", "template": "firefox", "state": state, "resources": { "requests": { "cpu": "1", "memory": "2Gi" } } },
        "status": { "phase": "Running", "podName": format!("s{name}-0"), "url": "https://sessions.example/s" } })
}

async fn answer(State(shared): State<Arc<Shared>>, Query(query): Query<HashMap<String, String>>) -> Response {
    if query.contains_key("watch") {
        shared.watches.fetch_add(1, Ordering::SeqCst);
        let from: u64 = query["resourceVersion"].parse().expect("a version");
        let objects = shared.objects.lock().expect("the objects");
        let lines = shared.lines.subscribe();
        let past: Vec<String> = objects.history.iter().filter(|(v, _)| *v > from).map(|(_, l)| l.clone()).collect();
        drop(objects);
        let past = futures::stream::iter(past.into_iter().map(Ok::<_, std::io::Error>));
        let coming = futures::stream::unfold(lines, |mut lines| async {
            let (_, line) = lines.recv().await.ok()?;
            Some((Ok(line), lines))
        });
        return Body::from_stream(futures::StreamExt::chain(past, coming)).into_response();
    }
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let objects = shared.objects.lock().expect("the objects");
    let name = query.get("fieldSelector").and_then(|f| f.strip_prefix("metadata.name=")).unwrap_or_default();
    let items: Vec<&Data> = objects.all.get(name).into_iter().collect();
    Json(json!({ "kind": "SessionList", "apiVersion": "stream.space/v1alpha1",
        "metadata": { "resourceVersion": objects.version.to_string() }, "items": items }))
    .into_response()
}

// --- the runner ------------------------------------------------------------------------------------------------------------------

enum Progress {
    Observed,
    Finished,
}

/// Receives observations that do not hold yet, and the ends of actions.
struct EventTap(mpsc::UnboundedSender<(Progress, Instant)>);

impl EventTap {
    fn new() -> (EventTap, mpsc::UnboundedReceiver<(Progress, Instant)>) {
        let (tell, progress) = mpsc::unbounded_channel();
        (EventTap(tell), progress)
    }
}

impl EventSink for EventTap {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        let now = Instant::now();
        let progress = match &event.kind {
            EventKind::Observed(attempt) if !attempt.unmet.is_empty() => Progress::Observed,
            EventKind::ActionFinished { .. } => Progress::Finished,
            _ => return Ok(()),
        };
        // The receiver is gone at the end.
        let _ = self.0.send((progress, now));
        Ok(())
    }
}

/// Runs a plan of one case with one action.
async fn run_action(url: String, items: String, action: &str, tap: EventTap) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c", "namespace": "bench" } }],
        "clusters": [{ "name": "c", "cluster": { "server": url } }], "users": [{ "name": "c", "user": {} }] });
    std::fs::write(folder.path().join("kubeconfig"), config.to_string()).expect("a kubeconfig");
    let plan = format!(
        "plan: bench\ntitle: Waits\nvars:\n  items: [{items}]\ncases:\n  - id: BENCH-1\n    title: Waits\n    tier: must\n    timeout: \
         10m\n    expected:\n      - result: Every change is seen\n        do:\n{action}"
    );
    let place = "environments:\n  here:\n    targets:\n      cluster: { k8s: { kubeconfig: kubeconfig } }\n";
    // the last sink: what it receives is on disk already
    runner::run_plan_in(folder.path(), &plan, place, vec![Box::new(tap)]).await;
}
